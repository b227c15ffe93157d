"""Who stays beside parcels without work lingers; who works there does not, nor who walks by."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.alerts.incidents import IncidentBook
from detector.config import WHOLE_FRAME, Calendar, Exemption, Incidents, LingeringRule, Policy, Shift, Zone
from detector.rules.lingering import COMPANY_S, ParcelChanges, posture, within
from detector.rules.lingering import LingeringRule as Rule
from detector.rules.policy import Policies
from detector.rules.zones import ZoneMap
from detector.shifts import Shifts
from detector.tracking import SceneTracker
from detector.tracking.parcels import HIDDEN_S
from detector.values import ActScores, Box, Device, IncidentKind, Parcel, Phase, Scene, Severity, Signal
from tests.builders import SIZE, detections, look, moved, parcel, person, scanner, scene, times

UTC = "Etc/UTC"
STANDING: Box = (600, 300, 680, 500)
CROUCHED: Box = (595, 390, 685, 500)
PARCELS = [parcel(1, (690, 470, 750, 510)), parcel(2, (530, 480, 590, 520)), parcel(3, (700, 520, 760, 560))]
FAR_OFF = [parcel(9, (100, 100, 150, 140))]
DAY = Calendar(shifts=[Shift(name="day", begins="08:00", ends="20:00")])
LEFT: list[tuple[float, float]] = [(0, 0), (0.5, 0), (0.5, 1), (0, 1)]
RIGHT: list[tuple[float, float]] = [(0.5, 0), (1, 0), (1, 1), (0.5, 1)]


def at_clock(hour: int, minute: int = 0, day: int = 2) -> float:
    return datetime.fromisoformat(f"2026-11-{day:02}T{hour:02}:{minute:02}:00+00:00").timestamp()


def rule(
    zones: Sequence[Zone] = (WHOLE_FRAME,), settings: LingeringRule | None = None, calendar: Calendar | None = None
) -> Rule:
    policies = Policies(Shifts(calendar or Calendar(), UTC))
    return Rule(ZoneMap(zones), settings or LingeringRule(after_s=60, crouched_after_s=20), policies)


def staying(
    start: float,
    seconds: float,
    who: Callable[[float], Box | None] = lambda t: STANDING,
    on_floor: Callable[[float], Sequence[Parcel]] = lambda t: PARCELS,
    devices: Callable[[float], Sequence[Device]] = lambda t: (),
    acts: ActScores | None = None,
) -> list[Scene]:
    """Scenes of one person; the functions take seconds since `start`."""
    scenes = []
    for t in times(0, seconds, 5):
        box = who(t)
        people = [person(1, box, start + t, since=start, acts=acts)] if box else []
        scenes.append(scene(start + t, people, devices(t), on_floor(t)))
    return scenes


def told(by: Rule, scenes: Iterable[Scene]) -> list[Signal]:
    return [signal for one in scenes for signal in by.observe(one)]


def last(signals: Sequence[Signal]) -> dict[str, Any]:
    return dict(signals[-1].facts)


def test_standing_beside_parcels_for_long_informs() -> None:
    first = told(rule(), staying(0, 70))[0]
    assert (first.kind, first.severity, first.zone) == (IncidentKind.LINGERING, Severity.INFO, "all")
    assert first.started_at == 0
    assert first.at == pytest.approx(60, abs=1)
    assert dict(first.facts) == {
        "stay_s": pytest.approx(60, abs=1), "crouched_s": 0.0, "posture": "standing", "people": 1,
        "out_of_hours": False, "shift": None, "parcels": 3,
    }  # fmt: skip
    assert first.score == pytest.approx(0.5, abs=0.01)
    assert first.tracks == (1,)
    assert ("person", STANDING) in first.boxes


def test_crouching_beside_parcels_is_told_sooner() -> None:
    signals = told(rule(), staying(0, 40, lambda t: STANDING if t < 3 else CROUCHED))
    assert signals[0].at == pytest.approx(23, abs=1.5)
    assert signals[0].severity is Severity.INFO
    assert last(signals)["posture"] == "crouched"


def test_who_stands_half_beyond_the_picture_s_lower_edge_does_not_crouch() -> None:
    lying = [parcel(1, (690, 660, 750, 715))]
    whole, cut_off = (600, 300, 680, 700), (600, 480, 680, 720)
    signals = told(rule(), staying(0, 100, lambda t: whole if t < 3 else cut_off, lambda t: lying))
    assert signals[0].at == pytest.approx(60, abs=1)
    assert last(signals)["posture"] == "standing"


def test_who_walks_to_and_fro_through_several_zones_at_night_is_one_incident() -> None:
    begun, thirds = at_clock(23), {"west": (0.0, 0.34), "middle": (0.34, 0.67), "east": (0.67, 1.0)}
    zones = [
        Zone(name=name, kind="storage", polygon=[(a, 0), (b, 0), (b, 1), (a, 1)]) for name, (a, b) in thirds.items()
    ]
    watching, book = rule(zones, calendar=DAY), IncidentBook("site", Incidents())
    walk = staying(begun, 300, lambda t: moved(STANDING, (500 * math.sin(t / 20), 0)))
    updates = [update for one in walk for update in book.admit(watching.observe(one), one.at)]
    assert [update.phase for update in updates].count(Phase.NEW) == 1
    last = updates[-1].after
    assert (last.severity, {last.zone, *last.facts["other_zones"]}) == (Severity.WARNING, {*thirds})
    assert last.ended_at - last.started_at == pytest.approx(300, abs=60)


def test_bending_now_and_then_is_mixed() -> None:
    signals = told(rule(), staying(0, 80, lambda t: CROUCHED if t % 10 > 7 else STANDING))
    assert last(signals)["posture"] == "mixed"
    assert 10 < last(signals)["crouched_s"] < 30


@pytest.mark.parametrize(
    ("who", "on_floor"),
    [
        pytest.param(lambda t: STANDING, lambda t: FAR_OFF, id="no parcel near"),
        pytest.param(lambda t: STANDING, lambda t: [], id="no parcel at all"),
        pytest.param(lambda t: STANDING if t < 50 else None, lambda t: PARCELS, id="not long enough"),
        pytest.param(lambda t: moved(STANDING, (450 * math.sin(t / 9), 0)), lambda t: PARCELS, id="walking about"),
        pytest.param(
            lambda t: moved(STANDING, (450 * math.sin(t / 9), 0)),
            lambda t: [parcel(n, moved(PARCELS[0].box, (80 * n - 680, 0))) for n in range(16)],
            id="walking along parcels",
        ),
        pytest.param(
            lambda t: moved(STANDING, (400 if t % 40 > 30 else 0, 0)), lambda t: PARCELS, id="coming and going"
        ),
        pytest.param(lambda t: (math.nan, 300, 680, 500), lambda t: PARCELS, id="a box of no numbers"),
        pytest.param(lambda t: STANDING, lambda t: [parcel(1, (math.nan,) * 4)], id="a parcel of no numbers"),
    ],
)
def test_who_does_not_stay_beside_parcels_does_not_linger(
    who: Callable[[float], Box | None], on_floor: Callable[[float], Sequence[Parcel]]
) -> None:
    assert told(rule(), staying(0, 200, who, on_floor)) == []


def test_walking_away_from_the_camera_is_not_crouching() -> None:
    def who(t: float) -> Box:
        """Twice as tall near the camera, where they come from."""
        share = min(1.0, t / 6)
        height = 400 - 200 * share
        return 600, 500 + 200 * (1 - share) - height, 600 + 0.4 * height, 500 + 200 * (1 - share)

    assert told(rule(), staying(0, 50, who)) == []


def test_legs_behind_a_parcel_are_no_crouch() -> None:
    hidden = (STANDING[0], STANDING[1], STANDING[2], STANDING[3] - 80)
    assert told(rule(), staying(0, 50, lambda t: STANDING if t < 3 else hidden)) == []


def test_one_box_of_two_people_does_not_make_a_crouch_of_the_rest() -> None:
    merged = (STANDING[0], STANDING[1] - 150, STANDING[2], STANDING[3])
    assert told(rule(), staying(0, 50, lambda t: merged if 5 < t < 5.7 else STANDING)) == []


def test_a_long_crouch_stays_a_crouch() -> None:
    signals = told(rule(), staying(0, 330, lambda t: None if t > 300 else STANDING if t < 3 else CROUCHED))
    assert last(signals)["crouched_s"] == pytest.approx(295, abs=4)


def worked_on(every: float) -> Callable[[float], list[Parcel]]:
    """Parcels of a place where one is laid down in every so many seconds, and one taken away as often."""

    def lying(t: float) -> list[Parcel]:
        laid = [
            parcel(10 + n, (470 + 65 * (n % 3), 510 + 45 * (n % 2), 525 + 65 * (n % 3), 550 + 45 * (n % 2)),
                   since=n * every, at=t)
            for n in range(int(t // every) + 1)
        ]  # fmt: skip
        return [*PARCELS, *laid[-3:]]

    return lying


def test_a_worker_about_whom_parcels_come_and_go_does_not_linger() -> None:
    assert told(rule(), staying(0, 600, lambda t: CROUCHED if t % 15 > 10 else STANDING, worked_on(18))) == []


def test_parcels_that_come_and_go_elsewhere_are_no_work_of_theirs() -> None:
    def lying(t: float) -> list[Parcel]:
        return [*PARCELS, *(parcel(p.id + 100, moved(p.box, (-450, -300)), since=0) for p in worked_on(18)(t))]

    assert told(rule(), staying(0, 100, on_floor=lying))


def test_work_that_ends_is_followed_by_a_stay() -> None:
    signals = told(rule(), staying(0, 250, on_floor=lambda t: worked_on(18)(min(t, 100))))
    assert signals[0].at > 150
    assert signals[0].started_at >= 85


@pytest.mark.parametrize(
    ("acts", "lingers"),
    [
        pytest.param(None, False, id="no closer look"),
        pytest.param(ActScores(0.1, 0.8, 0.0, 0.1), False, id="it looks like scanning"),
        pytest.param(ActScores(0.1, 0.1, 0.0, 0.1), False, id="it looks like nothing"),
        pytest.param(ActScores(0.9, 0.2, 0.0, 0.1), True, id="it looks like a photo"),
    ],
)
def test_scanning_is_work(acts: ActScores | None, lingers: bool) -> None:
    def devices(t: float) -> list[Device]:
        return [scanner((650, 380, 662, 400))] if t % 20 < 3 else []

    assert bool(told(rule(), staying(0, 120, devices=devices, acts=acts))) is lingers


def test_a_scanner_seen_once_is_no_scan() -> None:
    def devices(t: float) -> list[Device]:
        return [scanner((650, 380, 662, 400))] if 30 <= t < 30.5 else []

    assert told(rule(), staying(0, 70, devices=devices))


@pytest.mark.parametrize("kind", ["storage", "walkway", "blind_edge"])
def test_lingering_is_watched_where_parcels_lie(kind: str) -> None:
    zone = Zone(name="z", kind=kind, polygon=WHOLE_FRAME.polygon)
    assert told(rule([zone]), staying(0, 70))


@pytest.mark.parametrize(
    "zones",
    [
        pytest.param([Zone(name="z", kind="packing", polygon=WHOLE_FRAME.polygon)], id="a place of work"),
        pytest.param([Zone(name="z", kind="ignore", polygon=WHOLE_FRAME.polygon)], id="not looked at"),
        pytest.param([Zone(name="z", kind="storage", polygon=LEFT)], id="elsewhere in the picture"),
        pytest.param([], id="no zones"),
    ],
)
def test_lingering_elsewhere_is_not(zones: list[Zone]) -> None:
    scenes = staying(0, 70, lambda t: moved(STANDING, (100, 0)), lambda t: [parcel(1, (790, 470, 850, 510))])
    assert told(rule(zones), scenes) == []


def test_parcels_of_an_ignored_zone_are_nobody_s_business() -> None:
    table = Zone(name="post", polygon=[(0.4, 0.6), (0.7, 0.6), (0.7, 0.9), (0.4, 0.9)], kind="ignore")
    beyond = [parcel(4, (690, 410, 750, 425))]
    feet = (600, 230, 680, 430)
    assert told(rule([WHOLE_FRAME, table]), staying(0, 70, lambda t: feet, lambda t: PARCELS)) == []
    some = told(rule([WHOLE_FRAME, table]), staying(0, 70, lambda t: feet, lambda t: PARCELS + beyond))
    assert last(some)["parcels"] == 1


def test_feet_on_the_border_of_two_zones_are_one_stay() -> None:
    zones = [Zone(name="left", kind="storage", polygon=LEFT), Zone(name="right", kind="storage", polygon=RIGHT)]
    signals = told(rule(zones), staying(0, 100, lambda t: moved(STANDING, (1 if t % 2 > 1 else -1, 0))))
    assert len({signal.zone for signal in signals}) == 1
    assert signals[0].at == pytest.approx(60, abs=2)


def test_whoever_stops_one_step_inside_a_zone_is_in_it() -> None:
    zone = Zone(name="right", kind="storage", polygon=RIGHT)
    signals = told(rule([zone]), staying(0, 100, lambda t: moved(STANDING, (-30 if t < 2 else 60, 0))))
    assert [signal.zone for signal in signals[:1]] == ["right"]


def test_one_stay_is_one_finding_told_ever_more_seldom() -> None:
    signals = told(rule(), staying(0, 3600, lambda t: STANDING if t < 3600 - 60 else None))
    assert {signal.started_at for signal in signals} == {0}
    assert len(signals) <= 15
    stays = [signal.facts["stay_s"] for signal in signals]
    assert stays == sorted(stays)
    assert stays[-1] == pytest.approx(3600 - 60, abs=2)
    gaps = np.diff([signal.at for signal in signals if signal.at <= 600])
    assert gaps.max() < 180


def test_who_stays_on_when_the_longest_has_left_is_told_as_they_stay() -> None:
    stays = ((0, 0, 2400), (1, 2300, 3500))  # who, from when to when
    both = []
    for t in times(0, 3600, 1):
        people = [person(n, moved(STANDING, (60 * n, 0)), t, since=a) for n, a, b in stays if a <= t < b]
        both.append(scene(t, people, (), PARCELS))
    signals = told(rule(), both)
    after = [one for one in signals if one.at > 2460]
    assert np.diff([one.at for one in after if one.at < 3000]).max() < 180
    assert after[-1].tracks == (1,) and after[-1].facts["stay_s"] == pytest.approx(1200, abs=5)
    assert len(signals) < 40


def test_a_stay_that_ends_is_told_with_its_whole_length() -> None:
    signals = told(rule(), staying(0, 120, lambda t: STANDING if t <= 70 else None))
    assert last(signals)["stay_s"] == pytest.approx(70, abs=1)
    assert signals[-1].at == pytest.approx(70, abs=1)
    assert ("person", STANDING) in signals[-1].boxes


def test_who_hides_a_parcel_for_so_long_that_it_is_given_up_stays_on() -> None:
    tracker, by = SceneTracker(), rule()
    beside, behind = (("parcel", box, 0.9) for box in (PARCELS[0].box, (610, 420, 670, 490)))
    found = []
    for t in times(0, HIDDEN_S + 300, 2):
        seen = [beside, ("person", STANDING, 0.9)] if t > 20 else [beside, behind]
        found += by.observe(tracker.update(look(t, detections(seen), SIZE)))
    assert found[-1].facts["stay_s"] > HIDDEN_S
    assert len({signal.started_at for signal in found}) == 1


def test_a_short_occlusion_goes_on_with_the_stay() -> None:
    signals = told(rule(), staying(0, 70, lambda t: None if 30 < t < 36 else STANDING))
    assert signals[0].started_at == 0


def test_a_track_that_ended_takes_its_stay_with_it() -> None:
    scenes = staying(0, 40)
    scenes.append(scene(40.5, ended=[1]))
    scenes += [scene(s.at + 41, [person(2, STANDING, s.at + 41)], (), PARCELS) for s in staying(0, 50)]
    assert told(rule(), scenes) == []


def test_two_who_stay_together_are_one_finding_of_two() -> None:
    scenes = [
        scene(t, [person(1, STANDING, t), person(2, moved(STANDING, (150, 10)), t)], (), PARCELS)
        for t in times(0, 90, 5)
    ]
    signals = told(rule(), scenes)
    assert signals[0].facts["people"] == 2
    assert signals[0].tracks == (1, 2)
    assert {signal.started_at for signal in signals} == {0}
    assert all(signal.severity is Severity.INFO for signal in signals)


def test_who_comes_to_stay_with_a_lingerer_is_told_at_once() -> None:
    two = [person(1, STANDING), person(2, moved(STANDING, (150, 10)))]
    scenes = [
        scene(t, [replace(p, last_seen_at=t) for p in (two if t >= 65 else two[:1])], (), PARCELS)
        for t in times(0, 110, 5)
    ]
    alone, together = ([signal.at for signal in told(rule(), scenes) if signal.facts["people"] == n] for n in (1, 2))
    assert alone[0] == pytest.approx(60, abs=1)
    assert together[0] == pytest.approx(65 + COMPANY_S, abs=1)


def test_a_worker_passing_a_lingerer_is_not_with_them() -> None:
    scenes = [
        scene(t, [person(1, STANDING, t), person(2, moved(STANDING, (40 * t - 1200, 10)), t)], (), PARCELS)
        for t in times(0, 65, 5)
    ]
    assert {signal.facts["people"] for signal in told(rule(), scenes)} == {1}


def test_out_of_hours_even_work_is_a_warning() -> None:
    by = rule(calendar=DAY)
    signals = told(by, staying(at_clock(3), 100, on_floor=worked_on(18)))
    assert {signal.severity for signal in signals} == {Severity.WARNING}
    assert (signals[0].facts["out_of_hours"], signals[0].facts["shift"]) == (True, None)


def test_out_of_hours_no_parcel_is_needed_but_a_while() -> None:
    signals = told(rule(calendar=DAY), staying(at_clock(3), 70, on_floor=lambda t: []))
    assert signals[0].at - at_clock(3) == pytest.approx(60, abs=1)
    assert told(rule(calendar=DAY), staying(at_clock(3), 40, on_floor=lambda t: [])) == []


def test_in_hours_the_same_is_nothing_and_the_shift_is_told() -> None:
    assert told(rule(calendar=DAY), staying(at_clock(9), 100, on_floor=worked_on(18))) == []
    signals = told(rule(calendar=DAY), staying(at_clock(9), 100))
    assert (signals[0].severity, signals[0].facts["shift"]) == (Severity.INFO, "day")


def test_time_before_the_shift_ended_does_not_count_as_out_of_hours() -> None:
    signals = told(rule(calendar=DAY), staying(at_clock(19, 55), 420, on_floor=lambda t: []))
    assert signals[0].at - at_clock(20) == pytest.approx(60, abs=1)


def test_a_stay_that_reaches_well_past_the_shift_rises_to_a_warning() -> None:
    signals = told(rule(calendar=DAY), staying(at_clock(19, 58), 300))
    first = next(signal for signal in signals if signal.severity is Severity.WARNING)
    assert signals[0].severity is Severity.INFO
    assert first.at - at_clock(20) == pytest.approx(60, abs=1)
    assert first.started_at == signals[0].started_at


def test_whoever_lingers_at_the_end_of_the_shift_and_then_goes_is_no_warning() -> None:
    signals = told(rule(calendar=DAY), staying(at_clock(19, 55), 400, lambda t: STANDING if t < 340 else None))
    assert signals
    assert {(signal.severity, signal.facts["out_of_hours"]) for signal in signals} == {(Severity.INFO, False)}


def test_whoever_squats_out_of_hours_all_along_is_a_warning_as_soon_as_it_is_told() -> None:
    signals = told(rule(calendar=DAY), staying(at_clock(3), 40, lambda t: STANDING if t < 2 else CROUCHED))
    assert signals[0].at - at_clock(3) < 30
    assert signals[0].severity is Severity.WARNING


@pytest.mark.parametrize(
    ("policy", "people", "fine"),
    [
        pytest.param(Policy(staying="allowed"), 1, True, id="allowed"),
        pytest.param(Policy(exemptions=[Exemption(reason="guard", people=1, staying="allowed")]), 1, True, id="guard"),
        pytest.param(Policy(exemptions=[Exemption(reason="guard", people=1, staying="allowed")]), 2, False, id="two"),
    ],
)
def test_the_policy_says_who_may_be_here_out_of_hours(policy: Policy, people: int, fine: bool) -> None:
    zone = Zone(name="z", kind="storage", polygon=WHOLE_FRAME.polygon, policy=policy)
    start = at_clock(3)
    scenes = [
        scene(start + t, [person(n, moved(STANDING, (100 * n, 0)), start + t) for n in range(people)])
        for t in times(0, 90, 5)
    ]
    assert (told(rule([zone], calendar=DAY), scenes) == []) is fine


def test_of_two_mouths_of_one_name_each_has_its_own_policy() -> None:
    mouths = [
        Zone(name="corner", kind="blind_edge", polygon=LEFT, policy=Policy(staying="allowed")),
        Zone(name="corner", kind="blind_edge", polygon=RIGHT),
    ]
    start = at_clock(3)
    places = {1: moved(STANDING, (-400, 0)), 2: STANDING}  # in the left half, where one may be, and in the right
    scenes = [scene(start + t, [person(n, box, start + t) for n, box in places.items()]) for t in times(0, 90, 5)]
    assert {track for signal in told(rule(mouths, calendar=DAY), scenes) for track in signal.tracks} == {2}


def test_a_packing_bench_is_watched_out_of_hours() -> None:
    zone = Zone(name="z", kind="packing", polygon=WHOLE_FRAME.polygon)
    assert told(rule([zone], calendar=DAY), staying(at_clock(3), 70))


def test_hundreds_of_people_and_parcels_are_borne() -> None:
    people = [person(n, moved(STANDING, (n % 30, n % 20)), 0.0) for n in range(500)]
    crowd = [parcel(n, moved(PARCELS[0].box, (n % 40, n % 25))) for n in range(500)]
    told(rule(), [scene(t, people, (), crowd) for t in (0.0, 0.5, 1.0)])


def test_memory_is_flat_over_many_people() -> None:
    by = rule()
    for n in range(300):
        start = n * 20.0
        told(by, [scene(start + t, [person(n, STANDING, start + t)], (), PARCELS) for t in (0, 1, 2)])
        told(by, [scene(start + 12, ended=[n])])
    assert len(by._stays) <= 1
    assert len(by._findings) == 0


# Parcels that came or went, as against slots that do.

PLACE: Box = (600, 400, 660, 440)


def changes(lying: Callable[[float], Sequence[Parcel]], people: Callable[[float], Sequence[Box]]) -> list[Box]:
    by, found = ParcelChanges(), []
    for t in times(0, 60, 2):
        one = scene(t, [person(n, box, t) for n, box in enumerate(people(t))], (), lying(t))
        boxes = np.array([p.box for p in one.parcels], np.float32).reshape(-1, 4)
        standing = np.array([p.box for p in one.people], np.float32).reshape(-1, 4)
        found += by.observe(one, boxes, standing).tolist()
    return found


def slot(number: int, t: float, since: float, until: float, box: Box = PLACE) -> list[Parcel]:
    return [parcel(number, box, since=since, at=t)] if since <= t < until else []


OVER: Box = (590, 300, 670, 450)


@pytest.mark.parametrize(
    ("lying", "people", "count"),
    [
        pytest.param(lambda t: slot(1, t, 0, 99), lambda t: [], 0, id="it lies"),
        pytest.param(lambda t: slot(1, t, 0, 30), lambda t: [], 1, id="it went"),
        pytest.param(lambda t: slot(1, t, 30, 99), lambda t: [], 1, id="it came"),
        pytest.param(lambda t: slot(1, t, 30, 99), lambda t: [OVER] if 27 < t < 35 else [], 1, id="laid down"),
        pytest.param(lambda t: slot(1, t, 30, 99), lambda t: [OVER] if t < 30 else [], 0, id="somebody hid it"),
        pytest.param(lambda t: slot(1, t, 0, 30), lambda t: [OVER] if t > 9 else [], 0, id="given up behind somebody"),
        pytest.param(lambda t: slot(1, t, 0, 30), lambda t: [OVER] if 9 < t < 26 else [], 1, id="taken by who hid it"),
        pytest.param(lambda t: slot(1, t, 0, 30) + slot(2, t, 32, 99), lambda t: [], 0, id="lost from sight"),
        pytest.param(lambda t: slot(1, t, 0, 30) + slot(2, t, 45, 99), lambda t: [], 1, id="away and back"),
        pytest.param(
            lambda t: slot(1, t, 0, 33) + slot(2, t, 30, 99, moved(PLACE, (8, 5))), lambda t: [], 0, id="turned"
        ),
        pytest.param(lambda t: slot(1, t, 30, 30.9), lambda t: [], 0, id="carried by"),
        pytest.param(lambda t: slot(1, t, 30, 34), lambda t: [], 1, id="put down and picked up at once"),
        pytest.param(lambda t: slot(1, t, 0, 30, (math.nan,) * 4), lambda t: [], 1, id="of no numbers"),
    ],
)  # fmt: skip
def test_what_counts_as_a_parcel_that_comes_or_goes(
    lying: Callable[[float], Sequence[Parcel]], people: Callable[[float], Sequence[Box]], count: int
) -> None:
    assert len(changes(lying, people)) == count


# Small questions.


@pytest.mark.parametrize(
    ("crouched_s", "stay_s", "said"),
    [(0, 0, "standing"), (0, 60, "standing"), (5, 60, "standing"), (20, 60, "mixed"), (50, 60, "crouched")],
)
def test_posture_is_that_of_most_of_the_stay(crouched_s: float, stay_s: float, said: str) -> None:
    assert posture(crouched_s, stay_s) == said


@given(st.floats(-500, 500), st.floats(-500, 500), st.floats(0, 300))
def test_within_reach_is_the_distance_to_the_nearest_point_of_the_box(x: float, y: float, reach: float) -> None:
    box = (-50.0, -20.0, 50.0, 20.0)
    apart = math.dist((x, y), (min(max(x, -50), 50), min(max(y, -20), 20)))
    near = within(np.array([[x, y]], np.float32), np.array([reach], np.float32), np.array([box], np.float32))[0, 0]
    if abs(apart - reach) > 0.01:
        assert bool(near) == (apart < reach)
