"""Photo acts that follow each other add up to a sweep; one photo, or photos of one parcel, do not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.config import WHOLE_FRAME, Calendar, Exemption, Policy, Rules, Shift, SweepRule, Zone
from detector.geometry import foot
from detector.rules.acts import ActRecogniser
from detector.rules.noted import Noted
from detector.rules.policy import Permission, Policies
from detector.rules.seriality import SweepWeights
from detector.rules.sweep import SweepRule as Rule
from detector.rules.sweep import is_sweep
from detector.rules.sweep_facts import along_row, crouched_share, pictured
from detector.rules.zones import ZoneMap
from detector.shifts import Shifts
from detector.tracking import SceneTracker
from detector.values import (
    Act,
    ActKind,
    Box,
    CameraView,
    CountRange,
    Device,
    Facing,
    IncidentKind,
    Parcel,
    Scene,
    Severity,
    Signal,
)
from tests.builders import SIZE, act, box_at, detections, look, moved, parcel, person, phone, scene, times
from tests.rules.staging import AHEAD, BEHIND, PLACES, STANDING, aimed, parcels

LOWER: list[tuple[float, float]] = [(0, 0.5), (1, 0.5), (1, 1), (0, 1)]
# Two photos that are sure are a sweep, one is none.
WEIGHTS = SweepWeights(odds=0.94, offset=-1.3)
PAIR = [act(2, 4, [1], score=0.8), act(6, 8, [2], score=0.8)]
FINE = CameraView(0.45, 0.2, 0.5, 0.9, 0.0)
SURE_S, OVER_S = 0.8, 1.2  # an act is told so long after it began, and after it ended


class Told:
    """A recogniser that tells acts from a list, when they are sure and when they are over."""

    def __init__(self, acts: Sequence[Act]) -> None:
        self._left = sorted(
            [(a.started_at + SURE_S, replace(a, ended_at=a.started_at + SURE_S)) for a in acts]
            + [(a.ended_at + OVER_S, a) for a in acts],
            key=lambda told: told[0],
        )

    def observe(self, found: Scene) -> list[Act]:
        due = [a for at, a in self._left if at <= found.at]
        self._left = self._left[len(due) :]
        return due


def zone(kind: str = "storage", **policy: str) -> Zone:
    return Zone(name=kind, kind=kind, polygon=LOWER, policy=Policy(**policy))


def rule(
    acts: Sequence[Act], zones: Sequence[Zone] = (WHOLE_FRAME,), rules: Rules | None = None, *shifts: Shift
) -> Rule:
    policies = Policies(Shifts(Calendar(shifts=list(shifts)), "UTC"))
    return Rule(ZoneMap(zones), rules or Rules(), policies, Told(acts), WEIGHTS)


def standing(t: float, track: int) -> Box:
    return moved(STANDING, (4 * (track - 1), 0))


def scenes(
    acts: Sequence[Act],
    until: float,
    who: Callable[[float, int], Box] = standing,
    floor: Callable[[float], Sequence[Parcel]] = lambda t: parcels(),
    others: Sequence[int] = (),
    begin: float = 0.0,
) -> list[Scene]:
    """People who stand before parcels the whole time and aim a phone at one while they act."""
    everyone = sorted({1, *(a.track for a in acts), *others})
    found = []
    for t in times(begin, until, 5):
        people = [person(n, who(t, n), t, since=begin) for n in everyone]
        devices = [
            phone(aimed(who(t, a.track), PLACES[a.parcels[0]]), a.track)
            for a in acts
            if a.parcels and a.parcels[0] in PLACES and a.started_at <= t <= a.ended_at
        ]
        found.append(scene(t, people, devices, floor(t)))
    return found


def signals(
    acts: Sequence[Act],
    until: float = 15,
    zones: Sequence[Zone] = (WHOLE_FRAME,),
    rules: Rules | None = None,
    seen: Iterable[Scene] | None = None,
) -> list[Signal]:
    watching = rule(acts, zones, rules)
    return [told for each in (scenes(acts, until) if seen is None else seen) for told in watching.observe(each)]


def of_kind(kind: ActKind, start: float, end: float, parcel_id: int | None = None, track: int = 1) -> Act:
    return Act(kind, track, start, end, 0.9, () if parcel_id is None else (parcel_id,))


def test_photos_of_two_parcels_are_a_sweep() -> None:
    found = signals(PAIR)
    last = found[-1]
    assert (last.kind, last.camera, last.zone) == (IncidentKind.LABEL_PHOTOGRAPHY, "cam", "all")
    assert last.severity is Severity.INFO, "odds of four, twice"
    assert last.tracks == (1,)
    assert last.acts == tuple(PAIR)
    assert last.started_at == 2
    assert last.labels_exposed.low == 2
    assert dict(last.facts) == {
        "photos": 2, "parcels": 2, "people": 1, "beside": 0, "pace_per_min": 15.0, "along_row": False,
        "crouched": 0.0, "shift": None, "out_of_hours": False, "scans": 0, "unclear": 0, "moved_on": 0,
        "untold": 3,
        "unsure": True, "other_zones": None,
    }  # fmt: skip
    assert found[0].at == pytest.approx(6.8, abs=0.21)
    assert {s.started_at for s in found} == {last.started_at}


def test_what_is_told_long_after_somebody_was_lost_from_sight_was_when_they_were_last_seen() -> None:
    late = Told([])
    late._left = [(2.8, PAIR[0]), (6.8, replace(PAIR[1], ended_at=6.8)), (17.0, PAIR[1])]
    watching = Rule(ZoneMap([WHOLE_FRAME]), Rules(), Policies(Shifts(Calendar(), "UTC")), late, WEIGHTS)
    found = [s for each in scenes(PAIR, 20) for s in watching.observe(each)]
    assert [(s.at, bool(s.boxes)) for s in found] == [(pytest.approx(6.8, abs=0.21), True), (8, False)]


def test_two_photos_that_are_sure_warn() -> None:
    last = signals([act(2, 4, [1], score=0.98), act(6, 8, [2], score=0.98)])[-1]
    assert (last.severity, last.facts["unsure"]) == (Severity.WARNING, False)


def test_browsing_between_makes_photos_doubtful() -> None:
    acts = [act(2, 4, [1], score=0.98), act(24, 26, [2], score=0.98)]
    assert signals(acts, 40)[-1].severity is Severity.WARNING
    assert signals([*acts, of_kind(ActKind.BROWSE, 4, 24)], 40)[-1].severity is Severity.INFO
    assert signals([*acts, of_kind(ActKind.BROWSE, 4, 24, track=2)], 40)[-1].severity is Severity.WARNING


def test_calling_between_says_nothing_of_photos() -> None:
    acts = [act(2, 4, [1]), act(36, 38, [2])]
    calls = [of_kind(ActKind.CALL, 10, 30)]
    assert signals([*acts, *calls], 40)[-1].score == signals(acts, 40)[-1].score


def test_scanning_between_makes_photos_doubtful() -> None:
    """Who scans along a row is taken for photographing now and then."""
    acts = [act(2, 4, [1], score=0.98), act(12, 14, [2], score=0.98)]
    scans = [of_kind(ActKind.SCAN, t, t + 1.5, 3) for t in (5, 7, 9, 15)]
    assert signals(acts, 20)[-1].severity is Severity.WARNING
    assert signals([*acts, *scans], 20)[-1].severity is Severity.INFO
    elsewhere = [replace(one, track=2) for one in scans]
    assert signals([*acts, *elsewhere], 20)[-1].severity is Severity.WARNING


def test_a_photo_each_of_two_people_is_less_sure_than_two_of_one() -> None:
    assert signals([act(2, 4, [1], score=0.98), act(20, 22, [2], score=0.98)], 70)[-1].severity is Severity.WARNING
    one_each = [act(2, 4, [1], score=0.98), act(20, 22, [2], score=0.98, track=2)]
    assert signals(one_each, 70)[-1].severity is Severity.INFO


@pytest.mark.parametrize(("away_s", "severity"), [(15, Severity.WARNING), (60, Severity.INFO)])
def test_who_is_back_under_another_track_goes_on_with_the_sweep(away_s: float, severity: Severity) -> None:
    back = 10 + away_s
    acts = [act(2, 4, [1], score=0.98), act(back + 4, back + 6, [2], score=0.98, track=2)]
    seen = [
        replace(one, people=tuple(p for p in one.people if p.id == (1 if one.at < back else 2)))
        for one in scenes(acts, back + 15, who=lambda t, track: STANDING)
        if not 10 <= one.at < back
    ]
    assert signals(acts, seen=seen)[-1].severity is severity


def test_acts_come_from_the_recogniser() -> None:
    policies = Policies(Shifts(Calendar(), "UTC"))
    assert isinstance(Rule(ZoneMap([WHOLE_FRAME]), Rules(), policies)._recogniser, ActRecogniser)


@pytest.mark.parametrize(
    "acts",
    [
        pytest.param([], id="nothing"),
        pytest.param([act(2, 4, [1])], id="one photo"),
        pytest.param([act(2, 4, [1]), act(20, 22, [1])], id="two photos of one parcel"),
        pytest.param([act(2, 4, [1]), act(5, 7, [1]), act(30, 32, [1])], id="many photos of one parcel"),
        pytest.param([act(2, 4, [1]), act(190, 192, [2])], id="the window has passed"),
        pytest.param([act(2, 4), act(6, 8)], id="photos of nothing"),
        pytest.param([act(2, 4, [98]), act(6, 8, [98])], id="of a parcel not seen"),
        pytest.param([of_kind(ActKind.SCAN, n, n + 1, 1 + n % 4) for n in range(2, 60, 3)], id="scans"),
        pytest.param([of_kind(ActKind.CALL, n, n + 1) for n in range(2, 60, 3)], id="calls"),
        pytest.param([of_kind(ActKind.BROWSE, n, n + 1, 1 + n % 4) for n in range(2, 60, 3)], id="browsing"),
        pytest.param([of_kind(ActKind.UNCLEAR, n, n + 1, 1 + n % 4) for n in range(2, 60, 3)], id="unclear"),
        pytest.param([act(2, 4, [1]), *(of_kind(ActKind.SCAN, n, n + 1, 2) for n in (6, 9))], id="scans after a photo"),
        pytest.param([act(float("nan"), 4, [1]), act(6, float("nan"), [2])], id="without times"),
    ],
)
def test_no_sweep(acts: list[Act]) -> None:
    assert signals(acts, 200) == []


def test_the_window_runs_from_one_photo_to_the_next() -> None:
    """Three photos, each within three minutes of the one before, though the first and last are not."""
    acts = [act(2, 4, [1]), act(150, 152, [2]), act(300, 302, [3])]
    assert signals(acts, 310)[-1].acts == tuple(acts)


def test_after_the_window_a_sweep_begins_anew() -> None:
    found = signals([act(2, 4, [1]), act(6, 8, [2]), act(200, 202, [1]), act(206, 208, [2])], 215)
    assert {s.started_at for s in found} == {2, 200}


def test_two_people_who_take_turns_are_one_sweep() -> None:
    last = signals([act(2, 4, [1], track=1), act(6, 8, [2], track=2)])[-1]
    assert last.tracks == (1, 2)
    assert last.facts["people"] == 2


@pytest.mark.parametrize("hidden_s", [6, 30])
def test_a_broken_track_is_still_one_sweep_of_one_person(hidden_s: float) -> None:
    """Short, the tracker stitches; long, the sweep goes on under another id, and nobody is counted twice."""
    tracker, start = SceneTracker(), 10 + hidden_s
    seen = []
    for t in times(0, start + 20, 5):
        there = [("person", STANDING, 0.9)] if t <= 10 or t >= start else []
        lying = [("parcel", box, 0.9, {"up": 0.9}) for box in PLACES.values()]
        seen.append(tracker.update(look(t, detections([*there, *lying]))))
    track = seen[-1].people[0].id
    acts = [act(2, 4, [1]), act(6, 8, [2]), act(start + 4, start + 6, [3], track=track)]
    found = signals(acts, seen=seen)
    assert (track == 1) == (hidden_s < 9)
    assert {s.started_at for s in found} == {2}
    assert [a.parcels for a in found[-1].acts] == [(1,), (2,), (3,)]
    assert found[-1].facts["people"] == 1


def test_four_photos_are_no_chance_pair() -> None:
    found = signals([act(4 * n - 2, 4 * n, [n], score=0.9) for n in (1, 2, 3, 4)], 20)
    assert found[0].severity is Severity.INFO
    assert found[-1].severity is Severity.WARNING
    assert [len(s.acts) for s in found] == sorted(len(s.acts) for s in found)


@pytest.mark.parametrize(
    ("zones", "seen"),
    [
        pytest.param([zone("storage")], "storage", id="storage"),
        pytest.param([zone("walkway")], "walkway", id="walkway"),
        pytest.param([zone("packing", phones="allowed")], None, id="packing with phones allowed"),
        pytest.param([zone("packing")], "packing", id="packing with phones forbidden"),
        pytest.param([zone("ignore"), WHOLE_FRAME], None, id="ignored"),
        pytest.param([], None, id="no zone at all"),
        pytest.param([Zone(name="far", kind="storage", polygon=[(0, 0), (0.1, 0), (0, 0.1)])], None, id="elsewhere"),
    ],
)
def test_zones_decide_whether_photos_matter(zones: list[Zone], seen: str | None) -> None:
    assert {s.zone for s in signals(PAIR, zones=zones)} == ({seen} if seen else set())


def around(box: Box) -> Zone:
    """An ignored zone."""
    corners = [
        (x / SIZE[0], y / SIZE[1]) for x, y in ((box[0], box[1]), (box[2], box[1]), (box[2], box[3]), (box[0], box[3]))
    ]
    return Zone(name=f"ignored-{corners[0][0]:.3f}", kind="ignore", polygon=corners)


def test_what_lies_in_an_ignored_zone_may_be_photographed_from_any() -> None:
    assert signals(PAIR, zones=[around(AHEAD), around(BEHIND), WHOLE_FRAME]) == []


def test_what_lies_in_a_watched_zone_may_not_be_photographed_from_an_ignored_one() -> None:
    feet = box_at(foot(STANDING), 40, 40)
    assert {s.zone for s in signals(PAIR, zones=[around(feet), WHOLE_FRAME])} == {"all"}


def test_where_parcels_lie_in_no_zone_the_photographer_s_decides() -> None:
    feet = box_at(foot(STANDING), 40, 40)
    stand = around(feet).model_copy(update={"name": "stand", "kind": "walkway"})
    assert {s.zone for s in signals(PAIR, zones=[stand])} == {"stand"}


# Of the parcels 1 and 3 lie in the right one, 2 and 4 in the left.
LEFT = Zone(name="left", kind="storage", polygon=[(0, 0), (0.5, 0), (0.5, 1), (0, 1)])
RIGHT = Zone(name="right", kind="storage", polygon=[(0.5, 0), (1, 0), (1, 1), (0.5, 1)])


@pytest.mark.parametrize(
    ("taken", "zone", "others"),
    [
        pytest.param([1, 3], "right", None, id="all in one"),
        pytest.param([1, 2], "left", ["right"], id="as many in either: where the last was"),
        pytest.param([1, 3, 2], "right", ["left"], id="most in the first"),
        pytest.param([1, 2, 4], "left", ["right"], id="most in the second"),
    ],
)
def test_a_sweep_over_a_border_is_told_of_the_zone_where_most_was_photographed(
    taken: list[int], zone: str, others: list[str] | None
) -> None:
    acts = [act(2 + 4 * n, 4 + 4 * n, [parcel], score=0.8) for n, parcel in enumerate(taken)]
    last = signals(acts, 20, [LEFT, RIGHT])[-1]
    assert (last.zone, last.facts["other_zones"], last.acts) == (zone, others, tuple(acts))


SOME_ACTS = st.lists(
    st.tuples(
        st.sampled_from([ActKind.PHOTO, ActKind.PHOTO, ActKind.SCAN, ActKind.BROWSE]),
        st.sampled_from([1, 2, 3, 4]),
        st.sampled_from([1.0, 4.0, 30.0, 250.0]),  # how long after the act before
        st.sampled_from([1.0, 3.0]),
    ),
    min_size=2,
    max_size=9,
)


@given(SOME_ACTS)
@settings(deadline=None)
def test_a_border_changes_nothing_but_where_a_sweep_of_one_person_is_told(
    script: list[tuple[ActKind, int, float, float]],
) -> None:
    acts, at = [], 1.0
    for kind, target, pause_s, length_s in script:
        acts.append(of_kind(kind, at + pause_s, at + pause_s + length_s, target))
        at += pause_s + length_s + OVER_S
    when = sorted({t for a in acts for t in (a.started_at + SURE_S, a.ended_at + OVER_S)})
    seen = [scene(t, [person(1, STANDING, t)], [], parcels()) for t in when]
    whole, halves = ([*signals(acts, zones=zones, seen=seen)] for zones in ([WHOLE_FRAME], [LEFT, RIGHT]))
    assert [replace(s, zone="all", facts={**s.facts, "other_zones": None}) for s in halves] == whole


def test_a_photo_each_of_two_people_in_two_zones_is_no_sweep() -> None:
    assert signals([PAIR[0], replace(PAIR[1], track=2)], zones=[LEFT, RIGHT]) == []


def test_two_people_who_sweep_in_two_zones_are_two_sweeps() -> None:
    acts = [act(2, 4, [1]), act(2, 4, [2], track=2), act(6, 8, [3]), act(6, 8, [4], track=2)]
    last = {s.zone: s for s in signals(acts, 20, [LEFT, RIGHT])}
    assert {zone: (s.tracks, s.facts["other_zones"]) for zone, s in last.items()} == {
        "right": ((1,), None), "left": ((2,), None),
    }  # fmt: skip


def test_when_one_of_two_goes_on_over_the_border_both_sweeps_are_told_at_once() -> None:
    """Else what was told of both would stand for the one who stays, until their next photo."""
    acts = [act(2, 4, [1]), act(3, 5, [3], track=2), act(6, 8, [1], track=2), act(10, 12, [2])]
    watching = rule(acts, [LEFT, RIGHT])
    told = [[(s.zone, s.tracks, s.facts["photos"]) for s in watching.observe(each)] for each in scenes(acts, 15)]
    parted = next(n for n, each in enumerate(told) if "left" in [zone for zone, *_ in each])
    assert told[parted] == [("left", (1,), 2), ("right", (2,), 2)]
    assert {tracks for each in told[:parted] for _, tracks, _ in each} == {(1, 2)}


def test_photos_where_they_are_allowed_add_nothing_to_those_elsewhere() -> None:
    desk = LEFT.model_copy(update={"kind": "packing", "policy": Policy(phones="allowed")})
    assert signals(PAIR, zones=[desk, RIGHT]) == []


def test_what_somebody_did_long_ago_elsewhere_does_not_say_where_they_are_now() -> None:
    acts = [*(act(2 + 4 * n, 4 + 4 * n, [1 + 2 * (n % 2)]) for n in range(6)), act(300, 302, [2]), act(304, 306, [4])]
    found = signals(acts, 310, [LEFT, RIGHT])
    assert [(s.zone, len(s.acts)) for s in (found[-3], found[-1])] == [("right", 6), ("left", 2)]


def test_the_settings_decide_how_many() -> None:
    three = Rules(sweep=SweepRule(least_acts=3, least_parcels=3))
    assert signals(PAIR, rules=three) == []
    assert [len(s.acts) for s in signals([*PAIR, act(10, 12, [3])], rules=three)] == [3, 3]


DAY = Shift(name="day", begins="08:00", ends="20:00")
NIGHT = Shift(name="night", begins="22:00", ends="02:00")
NINE = datetime(2026, 11, 2, 9, tzinfo=UTC).timestamp()
ALONE_BY_DAY = Exemption(reason="damage", shifts=["day"], people=1, phones="allowed")


@pytest.mark.parametrize(
    ("hour", "shift", "off"),
    [
        pytest.param(0, "day", False, id="nine in the morning"),
        pytest.param(12, None, True, id="nine in the evening"),
        pytest.param(14, "night", False, id="eleven at night"),
        pytest.param(20, None, True, id="five in the morning"),
    ],
)
def test_a_signal_tells_the_shift(hour: int, shift: str | None, off: bool) -> None:
    at = NINE + 3600 * hour
    acts = [replace(a, started_at=at + a.started_at, ended_at=at + a.ended_at) for a in PAIR]
    watching = rule(acts, [WHOLE_FRAME], None, DAY, NIGHT)
    last = [told for each in scenes(acts, at + 15, begin=at) for told in watching.observe(each)][-1]
    assert (last.facts["shift"], last.facts["out_of_hours"]) == (shift, off)


@pytest.mark.parametrize(
    ("hour", "tracks", "told"),
    [
        pytest.param(0, (1, 1), False, id="one person by day"),
        pytest.param(0, (1, 2), True, id="two by day"),
        pytest.param(14, (1, 1), True, id="one at night"),
    ],
)
def test_an_exemption_holds_in_its_shift_and_for_its_number(hour: int, tracks: tuple[int, int], told: bool) -> None:
    at = NINE + 3600 * hour
    acts = [
        replace(a, started_at=at + a.started_at, ended_at=at + a.ended_at, track=track)
        for a, track in zip(PAIR, tracks, strict=True)
    ]
    bulk = Zone(name="bulk", kind="storage", polygon=LOWER, policy=Policy(exemptions=[ALONE_BY_DAY]))
    watching = rule(acts, [bulk], None, DAY, NIGHT)
    found = [signal for each in scenes(acts, at + 15, begin=at) for signal in watching.observe(each)]
    assert bool(found) is told
    assert all(s.acts == tuple(acts) for s in found[-1:])


NEVER_ALONE: dict[str, Any] = {"reason": "two at a time", "people": 1}


@pytest.mark.parametrize(
    ("kind", "policy"),
    [
        pytest.param(
            ActKind.PHOTO,
            Policy(phones="allowed", exemptions=[Exemption(**NEVER_ALONE, phones="forbidden")]),
            id="phones",
        ),
        pytest.param(ActKind.SCAN, Policy(exemptions=[Exemption(**NEVER_ALONE, scanners="forbidden")]), id="scanners"),
    ],
)
@pytest.mark.parametrize(
    ("tracks", "told"), [pytest.param((1, 1), True, id="one"), pytest.param((1, 2), False, id="two")]
)
def test_what_an_exemption_forbids_to_few_counts_for_few(
    kind: ActKind, policy: Policy, tracks: tuple[int, int], told: bool
) -> None:
    acts = [replace(a, kind=kind, track=track) for a, track in zip(PAIR, tracks, strict=True)]
    assert bool(signals(acts, zones=[Zone(name="bulk", kind="storage", polygon=LOWER, policy=policy)])) is told


def test_where_scanners_are_forbidden_scans_count_but_never_more_than_warn() -> None:
    scans = [of_kind(ActKind.SCAN, 2 + 4 * n, 4 + 4 * n, n + 1) for n in range(4)]
    assert signals(scans, 25, [zone()]) == []
    found = signals(scans, 25, [zone(scanners="forbidden")])
    assert found[-1].severity is Severity.WARNING
    assert (found[-1].facts["photos"], found[-1].facts["scans"]) == (0, 4)


def test_what_the_same_person_did_meanwhile_is_told_beside() -> None:
    aside = [
        of_kind(ActKind.SCAN, 9, 10, 4),
        of_kind(ActKind.UNCLEAR, 10, 11),
        of_kind(ActKind.CALL, 11, 12),
        of_kind(ActKind.SCAN, 9, 10, 4, track=2),
    ]
    last = signals([*PAIR, *aside, act(14, 16, [3])], 20)[-1]
    assert [a.kind.value for a in last.acts] == ["photo", "photo", "scan", "unclear", "call", "photo"]
    assert (last.facts["photos"], last.facts["scans"], last.facts["unclear"]) == (3, 1, 1)
    assert last.labels_exposed.low == 3


def test_what_begins_with_a_photo_takes_nothing_from_it() -> None:
    beginning = [of_kind(ActKind.UNCLEAR, 2, 9), of_kind(ActKind.BROWSE, 6, 9)]
    assert signals([*PAIR, *beginning])[-1].acts == tuple(PAIR)


def test_what_does_not_count_tells_nothing_anew() -> None:
    aside = [of_kind(ActKind.CALL, 10 + 5 * n, 13 + 5 * n) for n in range(20)]
    assert [s.at for s in signals([*PAIR, *aside], 120)] == [s.at for s in signals(PAIR, 120)]


@pytest.mark.parametrize(
    ("length", "gone_after", "photos"),
    [
        pytest.param(1.2, 7, 0, id="quick, then the parcel goes"),
        pytest.param(1.2, None, 3, id="quick, and it stays"),
        pytest.param(1.2, 15, 3, id="it goes much later"),
        pytest.param(3.5, 7, 3, id="long, then the parcel goes"),
        pytest.param(6.0, 3, 3, id="long, and the parcel is taken up meanwhile"),
    ],
)
def test_a_parcel_that_moves_on_after_a_glance_was_scanned(
    length: float, gone_after: float | None, photos: int
) -> None:
    """Someone scans with what looks like a phone: each parcel is looked at briefly and carried off."""
    acts = [act(2 + 25 * n, 2 + length + 25 * n, [n + 1]) for n in range(3)]

    def floor(t: float) -> list[Parcel]:
        gone = {a.parcels[0] for a in acts if gone_after is not None and t > a.started_at + gone_after}
        return [p for p in parcels() if p.id not in gone]

    found = signals(acts, seen=scenes(acts, 80, floor=floor))
    assert (found[-1].facts["photos"] if found else 0) == photos


def test_who_scans_with_what_looks_like_a_phone_is_less_sure_to_photograph() -> None:
    """Two parcels are carried off after a glance each, two others stay: photos among scans, perhaps scans too."""
    scanned = [act(2, 3.2, [1], score=0.98), act(6, 7.2, [2], score=0.98)]
    kept = [act(20, 21.2, [3], score=0.98), act(24, 25.2, [4], score=0.98)]

    def floor(t: float) -> list[Parcel]:
        return [p for p in parcels() if t < 9 or p.id not in (1, 2)]

    found = signals([*scanned, *kept], seen=scenes([*scanned, *kept], 40, floor=floor))
    assert found[-1].facts["photos"] == 2
    assert found[-1].score < signals(kept, 40)[-1].score


def test_a_parcel_that_is_only_counted_anew_has_not_moved_on() -> None:
    acts = [act(2, 3.2, [1]), act(20, 21.2, [2])]

    def floor(t: float) -> list[Parcel]:
        return [replace(p, id=p.id + 50) if p.id == 1 and t > 8 else p for p in parcels()]

    assert signals(acts, seen=scenes(acts, 30, floor=floor))[-1].facts["photos"] == 2


@pytest.mark.parametrize("blind", [None, CameraView(0.02, 0.01, 0.0, 0.02, 0.0)], ids=["light", "dark"])
def test_what_can_not_be_seen_for_the_dark_has_not_moved_on(blind: CameraView | None) -> None:
    acts = [act(2, 3.4, [1]), act(5, 6.4, [2]), act(20, 21.4, [3])]

    def floor(t: float) -> list[Parcel]:
        return [p for p in parcels() if not 7 <= t < 12]

    seen = [replace(one, view=blind) if 7 <= one.at < 12 else one for one in scenes(acts, 30, floor=floor)]
    found = signals(acts, seen=[replace(one, view=one.view or FINE) for one in seen])
    assert found[-1].facts["photos"] == (2 if blind is None else 3)


def test_where_the_camera_looks_elsewhere_no_parcel_has_moved_on() -> None:
    acts = [act(2, 3.4, [1]), act(5, 6.4, [2])]
    before = scenes(acts, 8)
    after = [replace(one, moved=k == 0) for k, one in enumerate(scenes(acts, 15, floor=lambda t: [], begin=8))]
    watching = rule(acts)
    told = [one for each in (*before, *after) for one in watching.observe(each)]
    assert told[-1].facts["photos"] == 2 and not any(n.moved_on for n in watching._noted["all"].values())


def corrected(first: Sequence[int], then: Sequence[int], *zones: Zone) -> list[Signal]:
    """Two photos, of parcels 1 and 3, each told as of others until it is over."""
    aimed_at = [act(2, 4, [1]), act(6, 8, [3])]
    late = Told(aimed_at)
    late._left = [
        (at, replace(one, parcels=(target,)))
        for (at, one), target in zip(late._left, (first[0], then[0], first[1], then[1]), strict=True)
    ]
    watching = Rule(ZoneMap(zones), Rules(), Policies(Shifts(Calendar(), "UTC")), late, WEIGHTS)
    return [told for each in scenes(aimed_at, 15) for told in watching.observe(each)]


WEST: list[tuple[float, float]] = [(0, 0), (0.5, 0), (0.5, 1), (0, 1)]
EAST: list[tuple[float, float]] = [(0.5, 0), (1, 0), (1, 1), (0.5, 1)]


@pytest.mark.parametrize("first", [(1, 3), (2, 2), (4, 4)])
def test_a_photo_is_of_the_zone_of_the_parcel_that_it_turns_out_to_be_of(first: Sequence[int]) -> None:
    bench = Zone(name="bench", kind="packing", polygon=WEST, policy=Policy(phones="allowed"))
    bulk = Zone(name="bulk", kind="storage", polygon=EAST)
    last = corrected(first, (1, 3), bench, bulk)[-1]
    assert (last.zone, last.facts["photos"], last.facts["other_zones"]) == ("bulk", 2, None)
    allowed = replace_zones(bench, bulk)
    assert not [told for told in corrected(first, (1, 3), *allowed) if told.facts["photos"] > 1]


def replace_zones(bench: Zone, bulk: Zone) -> tuple[Zone, Zone]:
    """The same with their places exchanged."""
    return bench.model_copy(update={"polygon": EAST}), bulk.model_copy(update={"polygon": WEST})


def test_labels_of_a_parcel_that_it_was_not_of_are_not_taken() -> None:
    plain = corrected((1, 3), (1, 3), WHOLE_FRAME)[-1].labels_exposed.best
    assert corrected((2, 4), (1, 3), WHOLE_FRAME)[-1].labels_exposed.best == plain


def test_the_same_photos_take_the_same_labels_where_the_picture_ends_above_the_feet() -> None:
    def who(t: float, _: int) -> Box:
        return STANDING if t < 1 else moved(STANDING, (0, 100))

    def ending(found: Scene, row: int) -> Scene:
        people = [replace(p, box=(*p.box[:3], min(p.box[3], row))) for p in found.people]
        return replace(found, people=tuple(people), size=(SIZE[0], row))

    more = [parcel(10 + n, box_at((500 + 70 * (n % 6), 380 + 45 * (n // 6)), 60, 40)) for n in range(18)]
    seen = scenes(PAIR, 15, who, lambda t: [*parcels(), *more])
    whole, cut_off = (signals(PAIR, seen=[ending(one, row) for one in seen])[-1] for row in (SIZE[1], 525))
    assert cut_off.labels_exposed == whole.labels_exposed


def test_it_is_told_how_much_was_crouched() -> None:
    acts = [act(10, 12, [1]), act(20, 22, [2])]

    def who(t: float, n: int) -> Box:
        return (STANDING[0], 390, STANDING[2], 500) if t >= 15 else STANDING

    last = signals(acts, seen=scenes(acts, 30, who))[-1]
    assert last.facts["crouched"] == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize(("below", "share"), [(20, 1.0), (220, 0.0)], ids=["in the picture", "cut off"])
def test_who_photographs_half_beyond_the_picture_s_lower_edge_is_not_told_to_crouch(below: float, share: float) -> None:
    def who(t: float, _: int) -> Box:
        x1, y1, x2, y2 = STANDING
        return STANDING if t < 1 else (x1, y1 + 80 + below - 20, x2, min(y2 + below, SIZE[1]))

    last = signals(PAIR, seen=scenes(PAIR, 15, who))[-1]
    assert last.facts["crouched"] == share


@pytest.mark.parametrize(("lengths", "share"), [((1, 3), 0.25), ((0, 0), 0.5)])
def test_time_crouched_counts_by_how_long_acts_last(lengths: tuple[float, float], share: float) -> None:
    acts = [Noted(act(9 * n, 9 * n + s, [n]), WHOLE_FRAME, FREE, crouched=1.0 - n) for n, s in enumerate(lengths)]
    assert crouched_share(acts) == share


@pytest.mark.parametrize("fps", [5, 0.9])
def test_how_somebody_stood_is_known_however_few_looks_there_are(fps: float) -> None:
    acts = [act(start, start + 2, [number]) for number, start in ((1, 20), (2, 60))]

    def squats(t: float) -> Box:
        return (STANDING[0], 376, STANDING[2], 500) if t >= 5 else STANDING

    seen = [scene(t, [person(1, squats(t), t, since=0.0)], (), parcels()) for t in times(0, 70, fps)]
    watching = rule(acts)
    last = [told for each in seen for told in watching.observe(each)][-1]
    assert last.facts["crouched"] == pytest.approx(1.0, abs=0.01)
    assert watching._noted["all"][acts[1].key].stayed[0] == pytest.approx(60, abs=3)


def test_who_squats_for_minutes_is_told_to_have_crouched_all_the_time() -> None:
    acts = [act(start, start + 2, [number]) for number, start in ((1, 60), (2, 120), (3, 180))]

    def who(t: float, n: int) -> Box:
        return (STANDING[0], 376, STANDING[2], 500) if t >= 5 else STANDING

    last = signals(acts, seen=scenes(acts, 190, who))[-1]
    assert last.facts["crouched"] == pytest.approx(1.0, abs=0.1)


def test_the_same_photos_take_the_same_labels_however_long_somebody_squats() -> None:
    floor = [parcel(9 * i + j + 1, box_at((480 + 40 * j, 470 + 18 * i), 34, 24)) for i in range(6) for j in range(9)]

    def who(t: float, n: int) -> Box:
        return (STANDING[0], 376, STANDING[2], 500) if t >= 5 else STANDING

    taken = []
    for wait in (6.0, 120.0):
        acts = [act(wait, wait + 2, [12]), act(wait + 6, wait + 8, [14])]
        taken.append(signals(acts, seen=scenes(acts, wait + 12, who, floor=lambda _: floor))[-1].labels_exposed)
    assert taken[0] == taken[1]


@pytest.mark.parametrize(("away", "beside"), [pytest.param(80, 1, id="near"), pytest.param(500, 0, id="far away")])
def test_who_stays_beside_is_told(away: float, beside: int) -> None:
    def who(t: float, n: int) -> Box:
        return STANDING if n == 1 else moved(STANDING, (away, 0))

    assert signals(PAIR, seen=scenes(PAIR, 15, who, others=[2]))[-1].facts["beside"] == beside


def test_who_comes_to_a_place_that_somebody_has_left_was_not_beside_them() -> None:
    """As does the same person under another track."""
    seen = [
        replace(s, people=tuple(p for p in s.people if (p.id == 1) == (s.at < 7))) for s in scenes(PAIR, 15, others=[2])
    ]
    last = signals(PAIR, seen=seen)[-1]
    assert (last.at, last.facts["photos"], last.facts["beside"]) == (8, 2, 0)


def test_who_walks_by_is_not_beside() -> None:
    def who(t: float, n: int) -> Box:
        return STANDING if n == 1 else moved(STANDING, (200 * (t - 3), 0))

    assert signals(PAIR, seen=scenes(PAIR, 15, who, others=[2]))[-1].facts["beside"] == 0


FREE = Permission(phones=False, scanners=True, staying=True, working=True, shift=None)


def row(places: Sequence[tuple[float, float]]) -> list[Noted]:
    """Photos of parcels, 40 pixels wide, in the order of their places."""
    return [Noted(act(n, n + 1, [n]), WHOLE_FRAME, FREE, box_at(place, 40, 30)) for n, place in enumerate(places)]


@pytest.mark.parametrize(
    ("places", "is_row"),
    [
        pytest.param([], False, id="none"),
        pytest.param([(0, 0), (50, 0)], False, id="two"),
        pytest.param([(0, 0), (50, 5), (100, -5), (150, 0)], True, id="along"),
        pytest.param([(150, 0), (100, 5), (50, -5), (0, 0)], True, id="back"),
        pytest.param([(0, 0), (40, 30), (80, 60), (120, 90)], True, id="slanting"),
        pytest.param([(0, 0), (100, 0), (50, 0), (150, 0)], True, id="one out of turn"),
        pytest.param([(0, 0), (150, 0), (50, 0), (100, 0), (-50, 0)], False, id="here and there"),
        pytest.param([(0, 0), (100, 0), (100, 100), (0, 100)], False, id="round a square"),
        pytest.param([(0, 0)] * 4, False, id="all in one place"),
    ],
)
def test_photos_along_a_row(places: list[tuple[float, float]], is_row: bool) -> None:
    assert along_row(row(places)) is is_row
    assert along_row(row([(x + 100, y + 900) for x, y in places])) is is_row


spots = st.lists(st.tuples(st.integers(-300, 300), st.integers(-300, 300)), min_size=3, max_size=7)


@given(spots, st.floats(-500, 500), st.booleans())
def test_a_row_is_one_wherever_it_lies_and_whichever_way_it_is_taken(
    places: list[tuple[int, int]], shift: float, back: bool
) -> None:
    elsewhere = [(x + shift, y - shift) for x, y in places]
    spread = {(x, y) for x, y in places}
    if len(spread) < len(places):
        return
    told = along_row(row(places))
    assert isinstance(told, bool)
    assert along_row(row(elsewhere[::-1] if back else elsewhere)) is told or _hangs_by_a_thread(places)


def _hangs_by_a_thread(places: list[tuple[int, int]]) -> bool:
    """Whether a rounding error may decide: two equal axes, or parcels side by side across the line."""
    (near, far) = (along_row(row([(x * s, y) for x, y in places])) for s in (1 - 1e-6, 1 + 1e-6))
    return near is not far or len({x for x, _ in places}) < len(places) or len({y for _, y in places}) < len(places)


@pytest.mark.parametrize(
    ("acts", "sweep"),
    [
        pytest.param([], False, id="none"),
        pytest.param([act(0, 1, [1])], False, id="one"),
        pytest.param([act(0, 1, [1]), act(2, 3, [1])], False, id="one parcel"),
        pytest.param([act(0, 1, [1]), act(2, 3, [2])], True, id="two"),
    ],
)
def test_how_many_acts_and_parcels_make_a_sweep(acts: list[Act], sweep: bool) -> None:
    assert is_sweep(acts, 2, 2) is sweep


def test_labels_of_several_photos_are_counted_once() -> None:
    close = [*parcels(), parcel(7, moved(AHEAD, (0, 45)))]
    acts = [act(2, 4, [1]), act(6, 8, [7]), act(10, 12, [1]), act(14, 16, [7])]
    last = signals(acts, seen=scenes(acts, 20, floor=lambda t: close))[-1]
    assert last.labels_exposed.low == 2
    assert 2 <= last.labels_exposed.best <= last.labels_exposed.high <= len(close)


def test_labels_taken_are_those_before_who_photographs_whoever_else_is_there_with_a_phone() -> None:
    acts = [act(2, 4, [1], track=2), act(6, 8, [2], track=2)]
    close = [*parcels(), *(parcel(10 + n, moved(AHEAD, (0, 12 * n))) for n in range(1, 4))]
    idle = moved(STANDING, (0, -250))
    found = scenes(acts, 15, lambda t, track: STANDING if track == 2 else idle, lambda t: close)
    held = phone((100, 100, 112, 120), 1, score=0.99)
    alone = [replace(each, people=tuple(p for p in each.people if p.id == 2)) for each in found]
    beside = [replace(each, devices=(held, *each.devices)) for each in found]
    of_one, of_two = (signals(acts, seen=seen)[-1].labels_exposed for seen in (alone, beside))
    assert of_one == of_two and of_one.best > 2


def test_who_has_moved_on_by_the_time_a_photo_is_over_has_taken_nothing_there() -> None:
    acts = [act(2, 4, [4]), act(6, 8, [2])]

    def moves_on(t: float, _: int) -> Box:
        return moved(STANDING, (300 if t > 8.4 else 0, 0))

    stays, leaves = (signals(acts, seen=scenes(acts, 15, who))[-1] for who in (standing, moves_on))
    assert stays.labels_exposed == leaves.labels_exposed


APART = [act(2, 4, [1], score=0.8), act(14, 16, [2], score=0.8)]
FLOOR = [*parcels(), *(parcel(20 + n, moved(AHEAD, (40 * n, -200))) for n in range(20))]


def labels(acts: Sequence[Act], who: Callable[[float, int], Box] = standing, told: Sequence[Act] = ()) -> CountRange:
    """Labels that are said to be exposed by acts, beside others that don't count."""
    found = scenes(acts, 20, who, floor=lambda t: FLOOR)
    return signals([*acts, *told], seen=found)[-1].labels_exposed


def test_who_stays_between_two_photos_may_have_taken_more() -> None:
    near, apart = labels(PAIR), labels(APART)
    assert near.low == apart.low == 2
    assert apart.best > near.best
    assert apart.high >= near.high + 5


def test_how_many_photos_may_have_gone_untold_is_told() -> None:
    found = [signals(acts, seen=scenes(acts, 20))[-1].facts["untold"] for acts in (PAIR, APART)]
    assert 0 <= found[0] < found[1]


def test_who_walks_between_two_photos_has_taken_no_more() -> None:
    def who(t: float, n: int) -> Box:
        return moved(STANDING, (150 * min(max(0.0, t - 4), max(0.0, 14 - t)), 0))

    assert labels(APART, who).high <= labels(PAIR).high


@pytest.mark.parametrize("kind", [ActKind.SCAN, ActKind.CALL, ActKind.BROWSE])
def test_who_does_something_else_between_two_photos_has_taken_no_more(kind: ActKind) -> None:
    meanwhile = replace(act(4.2, 13.8, [3]), kind=kind)
    assert labels(APART, told=[meanwhile]).high <= labels(PAIR).high
    assert labels(APART, told=[replace(meanwhile, track=2)]) == labels(APART), "somebody else"


def test_no_more_labels_are_exposed_than_there_are_parcels() -> None:
    acts = [act(2, 4, [1], score=0.8), act(60, 62, [2], score=0.8), act(120, 122, [1], score=0.8)]
    taken = signals(acts, seen=scenes(acts, 130))[-1].labels_exposed
    assert taken.low <= taken.best <= taken.high == len(parcels())


def test_pieces_of_parcels_that_show_for_moments_beside_somebody_add_no_labels_without_end() -> None:
    acts = [act(t, t + 2, [1 + k % 2], score=0.8) for k, t in enumerate(times(2, 300, 1 / 8))]

    def with_pieces(t: float) -> list[Parcel]:
        k, since = int(t // 4), 4 * (t // 4)
        pieces = [parcel(100 + k, moved(AHEAD, (20, -15)), Facing.UNKNOWN, since=since)]
        return [*parcels(), *(pieces if t - since < 2 else [])]

    plain, pieces = (
        signals(acts, seen=scenes(acts, 310, floor=floor))[-1].labels_exposed
        for floor in (lambda t: parcels(), with_pieces)
    )
    assert plain.high <= pieces.high <= plain.high + 1


def test_a_parcel_photographed_that_soon_goes_still_counts() -> None:
    acts = [act(t, t + 2.5, [n], score=0.8) for t, n in ((2, 1), (6, 2), (10, 3), (16, 1))]
    floor = [p for p in parcels() if p.id != 3]
    soon_gone = parcel(3, PLACES[3], since=11)
    found = scenes(acts, 20, floor=lambda t: [*floor, soon_gone] if 10 <= t < 13.6 else floor)
    assert signals(acts, seen=found)[-1].labels_exposed.low == 3


def test_a_signal_shows_who_what_and_every_label() -> None:
    label: Box = (710, 490, 730, 505)
    people = [person(1, STANDING), person(2, moved(STANDING, (300, 0)))]
    found = scene(1, people, [phone(aimed(STANDING, AHEAD))], parcels(), labels=[label])
    shown = pictured([act(0, 1, [1])], found)
    assert [what for what, _ in shown] == ["person", "phone", "parcel", "label"]
    assert shown[-1] == ("label", label)


def test_of_one_device_that_a_look_makes_several_of_the_surest_is_shown() -> None:
    places = [box_at((300 + 12 * n, 300), 9, 9) for n in range(4)]
    phones = [Device("phone", box, score, 1) for box, score in zip(places, (0.13, 0.24, float("nan")), strict=False)]
    found = scene(1, [person(1, STANDING)], [*phones, Device("scanner", places[3], 0.1, 1)], parcels())
    shown = pictured([act(0, 1, [1])], found)
    assert sorted(shown)[1:] == [("person", STANDING), ("phone", places[1]), ("scanner", places[3])]


def test_a_crowd_of_detections_is_no_harm() -> None:
    people = [person(n, moved(STANDING, (n % 50, n % 37))) for n in range(200)]
    devices = [Device("phone", box_at((n, 300), 9, 9), float("nan"), n) for n in range(200)]
    floor = [parcel(n, (5 * n, 400, 5 * n + 30, 430)) for n in range(200)]
    acts = [act(0, 1, [n], track=n, score=float("nan")) for n in range(200)]
    watching = rule(acts)
    found = [s for t in times(0, 4, 5) for s in watching.observe(scene(t, people, devices, floor))]
    assert {s.score for s in found} == {0.0}
    assert max(len(s.acts) for s in found) == 200


def test_days_of_work_are_forgotten() -> None:
    acts = [of_kind(ActKind.SCAN, 60.0 * n, 60.0 * n + 2, 1 + n % 4, track=n) for n in range(400)]
    acts += [act(60.0 * n + 9, 60.0 * n + 12, [1 + n % 4], track=n) for n in range(0, 400, 2)]
    watching = rule(acts)
    for n in range(400):
        t = 60.0 * n
        for at in (t, t + 5, t + 20):
            list(watching.observe(scene(at, [person(n, STANDING, at)], [], parcels(), ended=[n - 1])))
    assert len(watching._postures) <= 2
    assert sum(len(noted) for noted in watching._noted.values()) <= 120
    assert len(watching._quick) <= 10
