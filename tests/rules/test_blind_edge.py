"""Who goes where no camera looks, with a parcel or without, and does not come out."""

from __future__ import annotations

import json
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
from detector.config import BlindEdgeRule, Calendar, Exemption, Incidents, Policy, Shift, Zone
from detector.pipeline import Learner
from detector.rules.blind_edge import HIDDEN_S, bears, distance_to, unsettled, within_a_walk
from detector.rules.blind_edge import BlindEdgeRule as Rule
from detector.rules.zones import ZoneMap
from detector.sentences import sentence
from detector.shifts import Shifts
from detector.values import Box, IncidentKind, Parcel, Scene, Severity, Signal
from tests.builders import SIZE, box_at, parcel, person, scene, times

UTC = "Etc/UTC"
FPS = 5
# The corner behind the last rack: the left tenth of the picture.
CORNER = Zone(name="corner", kind="blind_edge", polygon=[(0, 0.3), (0.1, 0.3), (0.1, 1), (0, 1)])
DOOR = Zone(name="door", kind="blind_edge", polygon=[(0.9, 0.3), (1, 0.3), (1, 1), (0.9, 1)])
DAY = Calendar(shifts=[Shift(name="day", begins="08:00", ends="20:00")])
ALL_DAY = Calendar(shifts=[Shift(name="any", begins="00:00", ends="00:00")])
HEIGHT = 200.0
KEPT_S = 9.0  # trackers tell so long after the last sight that a track ended


def body(x: float, y: float = 500.0) -> Box:
    """Somebody 200 pixels tall with the feet at a point."""
    return x - 40, y - HEIGHT, x + 40, y


def rule(
    zones: Sequence[Zone] = (CORNER,), settings: BlindEdgeRule | None = None, calendar: Calendar | None = None
) -> Rule:
    return Rule(ZoneMap(zones), settings or BlindEdgeRule(), Shifts(calendar or Calendar(), UTC))


class Stage:
    """People on their ways over time, as a tracker tells of them."""

    def __init__(self, start: float = 0.0) -> None:
        self._start = start
        self._ways: list[tuple[int, float, float, Callable[[float], Box], bool]] = []
        self._lying: list[Parcel] = []

    def walks(
        self, track: int, at: float, start: float, to: float, *, speed: float = 100.0, y: float = 500.0,
        parcel: bool = False,
    ) -> Stage:  # fmt: skip
        """Somebody walks from x `start` to x `to` and is not seen afterwards; speed in pixels a second."""
        sign = 1 if to > start else -1
        seconds = abs(to - start) / speed
        self._ways.append((track, at, at + seconds, lambda t: body(start + sign * speed * (t - at), y), parcel))
        return self

    def stands(self, track: int, at: float, until: float, x: float) -> Stage:
        """Somebody stands."""
        self._ways.append((track, at, until, lambda t: body(x), False))
        return self

    def lies(self, *parcels: Parcel) -> Stage:
        """Parcels that lie there all the time."""
        self._lying += parcels
        return self

    def scenes(self, until: float, *, start: float = 0.0) -> Iterable[Scene]:
        """Scenes from `start` to `until`."""
        for t in times(start, until, FPS):
            at = self._start + t
            here = [(n, way(t), bears) for n, begins, ends, way, bears in self._ways if begins <= t <= ends + 1e-6]
            people = [person(n, box, at, since=at) for n, box, _ in here]
            held = [
                parcel(1000 + round(t * FPS), box_at(((box[0] + box[2]) / 2, box[1] + 90), 60, 40), since=at, at=at)
                for _, box, bears in here
                if bears
            ]
            ended = [n for n, _, ends, _, _ in self._ways if 0 <= t - ends - KEPT_S < 1 / FPS]
            yield scene(at, people, (), [*self._lying, *held], ended=ended)


def told(by: Rule, scenes: Iterable[Scene]) -> list[Signal]:
    return [signal for one in scenes for signal in by.observe(one)]


def first(signals: Sequence[Signal]) -> dict[str, Any]:
    return dict(signals[0].facts)


def test_nobody_who_went_in_comes_out() -> None:
    signals = told(rule(), Stage().walks(1, 0, 600, 100).scenes(200))
    assert len(signals) == 1
    (signal,) = signals
    assert (signal.kind, signal.zone, signal.severity) == (IncidentKind.BLIND_CORNER, "corner", Severity.INFO)
    assert signal.started_at == pytest.approx(5, abs=0.2)
    assert signal.at == pytest.approx(185, abs=0.5)
    assert dict(signal.facts) == {
        "away_s": pytest.approx(180, abs=0.5), "still_inside": 1, "carried": False, "visits": 0, "people_inside": 1,
        "out_of_hours": False, "shift": None,
    }  # fmt: skip
    assert signal.tracks == (1,)
    assert signal.score == pytest.approx(0.5, abs=0.01)
    caption, box = signal.boxes[0]
    assert caption == "blind_edge"
    assert box == pytest.approx((0, 216, 128, 720))


def test_who_goes_where_nothing_is_looked_at_is_not_told() -> None:
    over = Zone(name="mirror", kind="ignore", polygon=[(0, 0.2), (0.2, 0.2), (0.2, 1), (0, 1)])
    stage = Stage().walks(1, 0, 600, 100)
    assert told(rule([over, CORNER]), stage.scenes(200)) == []
    assert len(told(rule([over.model_copy(update={"kind": "walkway"}), CORNER]), stage.scenes(200))) == 1


def test_whoever_comes_out_in_time_is_nothing() -> None:
    stage = Stage().walks(1, 0, 600, 100).walks(2, 100, 100, 600)
    assert told(rule(), stage.scenes(400)) == []


def test_coming_out_late_ends_the_finding_with_its_whole_length() -> None:
    stage = Stage().walks(1, 0, 600, 100).walks(2, 425, 100, 600)
    signals = told(rule(), stage.scenes(700))
    assert [signal.facts["still_inside"] for signal in signals] == [1, 1, 1, 1, 0]
    assert signals[-1].facts["away_s"] == pytest.approx(420, abs=30)
    assert {signal.started_at for signal in signals} == {signals[0].started_at}


def test_who_goes_from_one_place_into_another_is_away_there_only_since_then() -> None:
    near = Zone(name="niche", kind="blind_edge", polygon=[(0.3, 0.3), (0.4, 0.3), (0.4, 1), (0.3, 1)])
    stage = Stage().walks(1, 0, 900, 100).walks(2, 170, 100, 400)  # out after 162 s, and in again 3 s later
    signals = told(rule([CORNER, near]), stage.scenes(390))
    assert [(signal.zone, signal.facts["still_inside"]) for signal in signals] == [("niche", 1)]
    assert signals[0].started_at == pytest.approx(173, abs=0.2)
    assert signals[0].at == pytest.approx(353, abs=0.5)


def test_one_presence_is_one_finding_told_ever_more_seldom_and_forgotten() -> None:
    scenes = list(Stage().walks(1, 0, 600, 100).scenes(60))
    scenes += [scene(t) for t in times(61, 6 * 3600, 0.5)]
    by = rule()
    signals = told(by, scenes)
    assert len(signals) <= 12
    assert len({signal.started_at for signal in signals}) == 1
    assert signals[-1].at < 4 * 3600 + 10
    assert all(signal.facts["still_inside"] == 1 for signal in signals)
    assert by._places["corner"].inside == []


def test_whoever_was_in_for_a_moment_hours_ago_hides_nobody_who_goes_in_now() -> None:
    by, later = rule(), 4 * 3600.0
    early = Stage().walks(1, 0, 600, 100).walks(2, 60, 100, 600)
    assert told(by, early.scenes(100)) == []
    assert told(by, (scene(t) for t in times(101, later - 9, 0.1))) == []
    signals = told(by, Stage(later).walks(3, 1, 600, 100).scenes(200))
    assert [(signal.tracks, signal.facts["still_inside"]) for signal in signals] == [((3,), 1)]
    assert signals[0].started_at == pytest.approx(later + 6, abs=0.2)


@pytest.mark.parametrize(
    ("to", "y", "speed", "goes_in"),
    [
        pytest.param(100, 500, 100, True, id="in the zone"),
        pytest.param(128, 500, 100, True, id="on its border"),
        pytest.param(220, 500, 100, True, id="on the way in, a second away"),
        pytest.param(360, 500, 100, False, id="on the way in, but far"),
        pytest.param(220, 500, 30, False, id="too slow to be in by now"),
        pytest.param(10, 500, 100, True, id="at the picture's border"),
        pytest.param(100, 100, 100, False, id="above the zone"),
    ],
)
def test_a_track_goes_in_where_it_is_seen_last(to: float, y: float, speed: float, goes_in: bool) -> None:
    signals = told(rule(), Stage().walks(1, 0, to + 400, to, y=y, speed=speed).scenes(220))
    assert bool(signals) is goes_in


def test_walking_out_of_the_mouth_is_not_going_in() -> None:
    assert told(rule(), Stage().walks(1, 0, 160, 400).scenes(220)) == []


def test_what_blinks_in_one_place_has_not_gone_in() -> None:
    stage = Stage()
    for n in range(6):
        stage.stands(n, 30.0 * n, 30.0 * n + 3, 100)
    assert told(rule(), stage.scenes(500)) == []


@pytest.mark.parametrize(
    ("hidden_s", "appears_at", "goes_in"),
    [
        pytest.param(4, 200, False, id="a step on"),
        pytest.param(12, 400, False, id="walked back unseen"),
        pytest.param(4, 1100, True, id="somebody else, too far off"),
        pytest.param(60, 400, True, id="somebody else, long after"),
    ],
)
def test_whoever_disappeared_on_the_way_and_is_there_again_was_hidden(
    hidden_s: float, appears_at: float, goes_in: bool
) -> None:
    stage = Stage().walks(1, 0, 600, 210).walks(2, 3.9 + hidden_s, appears_at, appears_at + 100)
    assert bool(told(rule(), stage.scenes(240))) is goes_in


def test_a_track_broken_on_the_way_in_is_one_person() -> None:
    stage = Stage().walks(1, 0, 600, 400).walks(2, 4, 330, 100)
    (signal,) = told(rule(), stage.scenes(200))
    assert signal.facts["people_inside"] == 1


def test_a_track_lost_in_the_mouth_and_found_there_changes_no_count() -> None:
    stage = Stage().walks(1, 0, 600, 100).stands(2, 8, 20, 100).stands(3, 23, 30, 100).walks(4, 32, 100, 600)
    by = rule()
    assert told(by, stage.scenes(300)) == []
    assert by._places["corner"].inside == []


def test_who_was_inside_before_we_looked_is_not_missed() -> None:
    by = rule()
    assert told(by, Stage().walks(1, 0, 100, 600).walks(2, 50, 100, 600).scenes(300)) == []
    assert by._places["corner"].inside == []


def test_one_who_went_another_way_does_not_make_a_finding_of_everybody_after() -> None:
    stage = Stage().walks(900, 0, 600, 100)
    for n in range(20):
        stage.walks(2 * n, 600.0 * (n + 1), 600, 100).walks(2 * n + 1, 600.0 * (n + 1) + 60, 100, 600)
    signals = told(rule(), stage.scenes(12_800))
    assert len({signal.started_at for signal in signals}) == 1
    assert len(signals) <= 8


def test_people_who_swap_leave_one_inside_who_just_went_in() -> None:
    """Whoever comes out is taken for the one longest inside."""
    stage = Stage().walks(1, 0, 600, 100).walks(2, 100, 600, 100).walks(3, 120, 100, 600)
    signals = told(rule(), stage.scenes(290))
    assert [signal.facts["people_inside"] for signal in signals] == [1]
    assert signals[0].started_at == pytest.approx(105, abs=0.5)


def test_two_who_stay_are_counted() -> None:
    stage = Stage().walks(1, 0, 600, 100).walks(2, 3, 600, 100)
    signals = told(rule(), stage.scenes(200))
    assert signals[-1].facts["people_inside"] == 2
    assert signals[-1].facts["still_inside"] == 2
    assert signals[-1].tracks == (1, 2)
    assert {signal.started_at for signal in signals} == {signals[0].started_at}


def test_a_look_out_of_the_corner_is_not_coming_out() -> None:
    stage = Stage().walks(1, 0, 600, 100).stands(2, 100, 106, 100)
    signals = told(rule(), stage.scenes(200))
    assert signals[0].facts["away_s"] == pytest.approx(180, abs=1)


def test_coming_out_for_a_while_is() -> None:
    stage = Stage().walks(1, 0, 600, 100).walks(2, 100, 100, 600).walks(2, 105, 600, 100).walks(2, 110, 100, 600)
    assert told(rule(), stage.walks(2, 115, 600, 100).scenes(250)) == []


def test_mouths_of_one_name_are_one_place() -> None:
    back = CORNER.model_copy(update={"polygon": DOOR.polygon})
    stage = Stage().walks(1, 0, 600, 100).walks(2, 60, 1200, 700)
    assert told(rule([CORNER, back]), stage.scenes(300)) == []


def test_places_of_different_names_are_apart() -> None:
    stage = Stage().walks(1, 0, 600, 100).walks(2, 60, 1200, 700)
    assert [signal.zone for signal in told(rule([CORNER, DOOR]), stage.scenes(220))] == ["corner"]


# With a parcel or without.


def test_a_parcel_in_the_arms_makes_it_a_warning() -> None:
    (signal,) = told(rule(), Stage().walks(1, 0, 600, 100, parcel=True).scenes(200))
    assert (signal.facts["carried"], signal.severity) == (True, Severity.WARNING)


def test_whoever_was_hardly_seen_walking_may_carry_anything() -> None:
    (signal,) = told(rule(), Stage().walks(1, 0, 330, 100, speed=250).scenes(200))
    assert (signal.facts["carried"], signal.severity) == (None, Severity.INFO)


def test_parcels_one_walks_past_are_not_carried() -> None:
    stack = [parcel(n, box_at((60.0 * n, 400), 60, 40), since=-60) for n in range(20)]
    (signal,) = told(rule(), Stage().walks(1, 0, 700, 100).lies(*stack).scenes(200))
    assert signal.facts["carried"] is False


def test_a_parcel_seen_anew_where_one_lies_is_not_carried() -> None:
    old = parcel(1, (100, 100, 160, 140), since=0)
    assert unsettled([old, parcel(2, (104, 98, 166, 140), since=60, at=60)], 60) == []
    assert [p.id for p in unsettled([old, parcel(3, (300, 100, 360, 140), since=60, at=60)], 60)] == [3]


@pytest.mark.parametrize(
    ("where", "held"),
    [((600, 400), True), ((640, 400), True), ((600, 490), False), ((600, 310), False), ((720, 400), False)],
)
def test_what_is_before_the_trunk_is_borne(where: tuple[float, float], held: bool) -> None:
    assert bears(body(600), [parcel(1, box_at(where, 50, 40))]) is held


def visits(stage: Stage, number: int, *, every: float = 200.0, seconds: float = 60.0, parcel: bool = True) -> Stage:
    for n in range(number):
        stage.walks(2 * n, every * n, 600, 100, parcel=parcel)
        stage.walks(2 * n + 1, every * n + 5 + seconds, 100, 600)
    return stage


def test_being_there_often_is_told_though_nobody_stays() -> None:
    signals = told(rule(), visits(Stage(), 3).scenes(700))
    assert [signal.facts["visits"] for signal in signals] == [3]
    assert signals[0].severity is Severity.WARNING


@pytest.mark.parametrize(("calendar", "said"), [(None, "visit 3 of this day"), (ALL_DAY, "visit 3 of this shift")])
def test_the_incident_says_whether_visits_are_those_of_a_shift_or_of_the_day(
    calendar: Calendar | None, said: str
) -> None:
    signals = told(rule(calendar=calendar), visits(Stage(), 3).scenes(700))
    (update,) = IncidentBook("site", Incidents()).admit(signals, signals[-1].at)
    assert said in sentence(update.after, "en")


def test_visits_are_dated_to_the_one_that_makes_them_often() -> None:
    signals = told(rule(), visits(Stage(), 6).scenes(1300))
    assert [signal.facts["visits"] for signal in signals] == [3, 6]
    assert [signal.started_at for signal in signals] == pytest.approx([405, 1005], abs=0.3)
    assert [signal.at - signal.started_at for signal in signals] == pytest.approx([30, 30], abs=1)


def test_who_comes_for_the_third_time_is_not_told_with_those_who_came_before() -> None:
    stage = visits(Stage(), 2, seconds=120)
    stage.walks(901, 400, 600, 100, parcel=True).walks(902, 470, 100, 600)
    (signal,) = told(rule(), stage.scenes(600))
    assert (signal.tracks, signal.facts["visits"], signal.facts["people_inside"]) == ((901,), 3, 1)
    assert signal.facts["away_s"] == pytest.approx(30, abs=1)


def test_many_visits_are_no_storm() -> None:
    signals = told(rule(), visits(Stage(), 24).scenes(4900))
    assert [signal.facts["visits"] for signal in signals] == [3, 6, 12, 24]


@pytest.mark.parametrize(
    "stage",
    [
        pytest.param(visits(Stage(), 6, parcel=False), id="without parcels"),
        pytest.param(visits(Stage(), 6, seconds=15), id="short ones"),
    ],
)
def test_other_visits_do_not_count(stage: Stage) -> None:
    assert told(rule(), stage.scenes(1300)) == []


def clock(hour: int, minute: int = 0) -> float:
    return datetime.fromisoformat(f"2026-11-02T{hour:02}:{minute:02}:00+00:00").timestamp()


def test_visits_are_counted_by_shift() -> None:
    calendar = Calendar(
        shifts=[Shift(name="day", begins="08:00", ends="12:00"), Shift(name="late", begins="12:00", ends="20:00")]
    )
    stage = visits(Stage(clock(11, 54)), 4)  # two in each
    assert told(rule(calendar=calendar), stage.scenes(900)) == []
    assert told(rule(calendar=DAY), stage.scenes(900))[0].facts["shift"] == "day"


def test_visits_of_a_shift_are_counted_on_after_a_gap_or_a_restart_and_who_was_inside_is_forgotten() -> None:
    calendar = Calendar(shifts=[Shift(name="day", begins="08:00", ends="12:00")])
    before = rule(calendar=calendar)
    assert told(before, visits(Stage(clock(9)), 2).walks(90, 390, 600, 100).scenes(400)) == []
    assert isinstance(before, Learner)
    kept = json.loads(json.dumps(before.learned()))
    after = rule(calendar=calendar)
    after.recall(kept)
    (signal,) = told(after, visits(Stage(clock(10)), 1).scenes(600))
    assert (signal.facts["visits"], signal.facts["still_inside"]) == (3, 1)
    again = rule(calendar=calendar)
    again.recall(after.learned())
    assert told(again, visits(Stage(clock(11)), 2).scenes(600)) == [], "it was told at the third, and is at the sixth"
    afternoon = rule(calendar=calendar)
    afternoon.recall(kept)
    assert told(afternoon, visits(Stage(clock(13)), 2).scenes(600)) == []


@pytest.mark.parametrize(
    "kept", [{"corner": 3}, {"corner": {"shift": ["day"], "number": 2}}, {"corner": {"number": -1}}]
)
def test_visits_that_make_no_sense_are_counted_anew(kept: Any, caplog: pytest.LogCaptureFixture) -> None:
    by = rule()
    by.recall(kept)
    assert by.learned() == {} and "counted anew" in caplog.text
    by.recall({"a zone of before": {"shift": [None, "2026-11-02"], "number": 2, "told": 0}})
    assert by.learned() == {}


def test_out_of_hours_it_is_a_warning() -> None:
    (signal,) = told(rule(calendar=DAY), Stage(clock(3)).walks(1, 0, 600, 100).scenes(200))
    assert (signal.severity, signal.facts["out_of_hours"], signal.facts["shift"]) == (Severity.WARNING, True, None)


@pytest.mark.parametrize(
    ("since", "seconds", "warns"),
    [
        pytest.param(clock(19, 55), 400, False, id="back soon after the shift"),
        pytest.param(clock(19, 58), 320, False, id="gone in just before its end"),
        pytest.param(clock(19, 55), 600, True, id="still there long after it"),
    ],
)
def test_whoever_is_out_of_sight_when_the_shift_ends_has_yet_to_come_back(
    since: float, seconds: float, warns: bool
) -> None:
    stage = Stage(since).walks(1, 0, 600, 100).walks(2, seconds - 30, 50, 600)
    signals = told(rule(calendar=DAY), stage.scenes(seconds))
    assert signals
    assert {signal.severity for signal in signals} == {Severity.INFO, *([Severity.WARNING] if warns else [])}
    assert signals[-1].facts["out_of_hours"] is warns


@pytest.mark.parametrize(
    ("policy", "people", "fine"),
    [
        pytest.param(Policy(staying="allowed"), 1, True, id="allowed"),
        pytest.param(Policy(exemptions=[Exemption(reason="guard", people=1, staying="allowed")]), 1, True, id="guard"),
        pytest.param(Policy(exemptions=[Exemption(reason="guard", people=1, staying="allowed")]), 2, False, id="two"),
    ],
)
def test_the_policy_says_who_may_be_out_of_sight_out_of_hours(policy: Policy, people: int, fine: bool) -> None:
    corner = CORNER.model_copy(update={"policy": policy})
    stage = Stage(clock(3))
    for n in range(people):
        stage.walks(n, 3 * n, 600, 100)
    (signal,) = told(rule([corner], calendar=DAY), stage.scenes(200))
    assert (signal.severity is Severity.INFO, signal.facts["out_of_hours"]) == (fine, not fine)


def test_being_out_of_sight_is_fine_only_where_every_mouth_allows_it() -> None:
    allowed = CORNER.model_copy(update={"policy": Policy(staying="allowed")})
    stage = Stage(clock(3)).walks(1, 0, 600, 100)
    mouths = [allowed, DOOR.model_copy(update={"name": "corner"})]
    (signal,) = told(rule(mouths, calendar=DAY), stage.scenes(200))
    assert signal.facts["out_of_hours"] is True


# Time and bad input.


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_numbers_that_are_none_are_passed_over(bad: float) -> None:
    by = rule()
    scenes = list(Stage().walks(1, 0, 600, 100).scenes(200))
    scenes.insert(5, replace(scenes[5], people=(*scenes[5].people, person(7, (bad, 0, bad, 9), 1.0))))
    scenes.insert(7, replace(scenes[7], at=scenes[7].at + 0.01, parcels=(parcel(1, (bad, bad, bad, bad)),)))
    assert len(told(by, scenes)) == 1


def test_without_a_blind_edge_there_is_nothing_to_do() -> None:
    zone = CORNER.model_copy(update={"kind": "storage"})
    by = rule([zone])
    assert told(by, Stage().walks(1, 0, 600, 100).scenes(200)) == []
    assert by._walkers == {}


def test_a_zone_that_covers_hardly_anything_is_borne() -> None:
    sliver = CORNER.model_copy(update={"polygon": [(0.0, 0.0), (0.001, 0.0), (0.001, 1.0), (0.0, 1.0)]})
    assert told(rule([sliver]), Stage().walks(1, 0, 600, 10).scenes(200))


def test_tracks_whose_end_is_never_told_are_forgotten() -> None:
    by = rule()
    for n in range(500):
        told(by, [scene(10.0 * n, [person(n, body(600), 10.0 * n)])])
    assert len(by._walkers) <= 4


def test_five_hundred_people_are_borne() -> None:
    crowd = [person(n, body(200 + n), 0.0) for n in range(500)]
    told(rule(), [scene(t, crowd) for t in (0.0, 0.2, 0.4)])


@given(st.floats(-2, 3), st.floats(-2, 3))
def test_the_distance_to_a_square(x: float, y: float) -> None:
    square = np.array([(0.0, 0.0), (1, 0), (1, 1), (0, 1)])
    expected = math.hypot(max(-x, 0, x - 1), max(-y, 0, y - 1))
    assert distance_to(square, (x, y)) == pytest.approx(expected, abs=1e-6)


def test_frames_are_as_large_as_zones_are_drawn_for() -> None:
    """Zones are shares of the picture: the same walk in a picture twice the size is the same."""
    twice = [
        replace(
            s,
            size=(2 * SIZE[0], 2 * SIZE[1]),
            people=tuple(replace(p, box=tuple(2 * v for v in p.box)) for p in s.people),  # type: ignore[arg-type]
        )
        for s in Stage().walks(1, 0, 600, 100).scenes(200)
    ]
    assert len(told(rule(), twice)) == 1


@pytest.mark.parametrize(
    ("apart", "hidden_s", "within"),
    [(199.0, 0.0, True), (201.0, 0.0, False), (201.0, 1.0, True), (0.0, HIDDEN_S, True), (0.0, HIDDEN_S + 0.1, False)],
)
def test_whom_one_who_is_found_again_may_be(apart: float, hidden_s: float, within: bool) -> None:
    assert within_a_walk((300.0, 400.0), 200.0, (300.0 + apart, 400.0), hidden_s) is within
