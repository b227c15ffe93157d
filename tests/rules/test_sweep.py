"""Photo acts that follow each other add up to a sweep; one photo, or photos of one parcel, do not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.config import WHOLE_FRAME, Policy, Rules, SweepRule, Zone
from detector.rules.sweep import SweepRule as Rule
from detector.rules.sweep import is_sweep, neighbours, pictured, sweep_score
from detector.rules.zones import ZoneMap
from detector.values import Act, Box, CountRange, IncidentKind, Scene, Severity, Signal
from tests.builders import act, moved, parcel, person, phone, scene, times
from tests.rules.staging import AHEAD, STANDING, Photo, aimed, parcels, photographed

LOWER: list[tuple[float, float]] = [(0, 0.5), (1, 0.5), (1, 1), (0, 1)]
PAIR = [Photo(2, 4, 1), Photo(6, 8, 2)]


def zone(kind: str = "storage", phones: str = "forbidden") -> Zone:
    return Zone(name=kind, kind=kind, polygon=LOWER, policy=Policy(phones=phones))


def signals(
    scenes: Iterable[Scene], zones: Sequence[Zone] = (WHOLE_FRAME,), rules: Rules | None = None
) -> list[Signal]:
    rule = Rule(ZoneMap(zones), rules or Rules())
    return [found for each in scenes for found in rule.observe(each)]


@pytest.mark.parametrize("fps", [5, 10])
def test_photos_of_two_parcels_are_a_sweep(fps: float) -> None:
    found = signals(photographed(PAIR, times(0, 15, fps)))
    last = found[-1]
    assert (last.kind, last.camera, last.zone) == (IncidentKind.LABEL_PHOTOGRAPHY, "cam", "all")
    assert last.severity is Severity.WARNING
    assert last.tracks == (1,)
    assert [a.parcels for a in last.acts] == [(1,), (2,)]
    assert last.started_at == pytest.approx(2, abs=0.01)
    assert (last.labels_exposed.low, last.labels_exposed.best) == (2, 2)
    assert dict(last.facts) == {"photos": 2, "parcels": 2, "people": 1}
    assert found[0].at == pytest.approx(6.8, abs=0.4)
    assert {s.started_at for s in found} == {last.started_at}


@pytest.mark.parametrize(
    "script",
    [
        pytest.param([], id="nothing"),
        pytest.param([Photo(2, 4, 1)], id="one photo"),
        pytest.param([Photo(2, 4, 1), Photo(20, 22, 1)], id="two photos of one parcel"),
        pytest.param([Photo(2, 4, 1), Photo(5, 7, 1), Photo(30, 32, 1)], id="many photos of one parcel"),
        pytest.param([Photo(2, 4, 1), Photo(190, 192, 2)], id="the window has passed"),
        pytest.param([Photo(2, 2.4, 1), Photo(6, 6.4, 2)], id="glimpses"),
    ],
)
def test_no_sweep(script: list[Photo]) -> None:
    assert signals(photographed(script, times(0, 200, 5))) == []


def test_the_window_runs_from_one_photo_to_the_next() -> None:
    """Three photos, each within three minutes of the one before, though the first and last are not."""
    script = [Photo(2, 4, 1), Photo(150, 152, 2), Photo(300, 302, 3)]
    last = signals(photographed(script, times(0, 310, 5)))[-1]
    assert [a.parcels for a in last.acts] == [(1,), (2,), (3,)]


def test_after_the_window_a_sweep_begins_anew() -> None:
    script = [Photo(2, 4, 1), Photo(6, 8, 2), Photo(200, 202, 1), Photo(206, 208, 2)]
    found = signals(photographed(script, times(0, 215, 5)))
    assert {round(s.started_at) for s in found} == {2, 200}


def test_two_people_who_take_turns_are_one_sweep() -> None:
    last = signals(photographed([Photo(2, 4, 1, by=1), Photo(6, 8, 2, by=2)], times(0, 15, 5)))[-1]
    assert last.tracks == (1, 2)
    assert last.facts["people"] == 2


def test_four_photos_are_no_chance_pair_any_more() -> None:
    script = [Photo(2, 4, 1), Photo(6, 8, 2), Photo(10, 12, 3), Photo(14, 16, 4)]
    found = signals(photographed(script, times(0, 20, 5)))
    assert found[0].severity is Severity.WARNING
    assert found[-1].severity is Severity.CRITICAL
    assert [len(s.acts) for s in found] == sorted(len(s.acts) for s in found)


@pytest.mark.parametrize(
    ("zones", "seen"),
    [
        pytest.param([zone("storage")], "storage", id="storage"),
        pytest.param([zone("walkway")], "walkway", id="walkway"),
        pytest.param([zone("packing", "allowed")], None, id="packing with phones allowed"),
        pytest.param([zone("packing")], "packing", id="packing with phones forbidden"),
        pytest.param([zone("ignore"), WHOLE_FRAME], None, id="ignored"),
        pytest.param([], None, id="no zone at all"),
    ],
)
def test_zones_decide_whether_photos_matter(zones: list[Zone], seen: str | None) -> None:
    found = signals(photographed(PAIR, times(0, 15, 5)), zones)
    assert {s.zone for s in found} == ({seen} if seen else set())


def test_photos_in_two_zones_are_no_sweep_of_either() -> None:
    left = Zone(name="left", kind="storage", polygon=[(0, 0), (0.5, 0), (0.5, 1), (0, 1)])
    right = Zone(name="right", kind="storage", polygon=[(0.5, 0), (1, 0), (1, 1), (0.5, 1)])
    assert signals(photographed(PAIR, times(0, 15, 5)), [left, right]) == []


def test_the_settings_decide_how_many() -> None:
    three = Rules(sweep=SweepRule(least_acts=3, least_parcels=3))
    assert signals(photographed(PAIR, times(0, 15, 5)), rules=three) == []
    script = [*PAIR, Photo(10, 12, 3)]
    assert [len(s.acts) for s in signals(photographed(script, times(0, 15, 5)), rules=three)] == [3, 3]


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


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), max_size=8))
def test_the_score_is_a_chance_and_never_falls_with_another_act(scores: list[float]) -> None:
    acts = [act(n, n + 1, [n], score=score) for n, score in enumerate(scores)]
    chances = [sweep_score(acts[:n]) for n in range(len(acts) + 1)]
    assert all(-1e-9 <= chance <= 1 + 1e-9 for chance in chances)
    assert all(a <= b + 1e-9 for a, b in pairwise(chances))


@pytest.mark.parametrize(
    ("scores", "chance"), [([], 0), ([1.0], 0), ([1.0, 1.0], 1), ([0.5, 0.5], 0.25), ([0.5, 0.5, 0.5], 0.5)]
)
def test_the_score_is_the_chance_of_two_real_acts(scores: list[float], chance: float) -> None:
    assert sweep_score([act(n, n, score=s) for n, s in enumerate(scores)]) == pytest.approx(chance)


def test_parcels_beside_the_target_may_be_in_the_picture_too() -> None:
    row = [parcel(n, moved(AHEAD, (54 * n, 0))) for n in range(4)]
    assert neighbours(1, row) == {0, 2}
    assert neighbours(99, row) == frozenset()
    assert neighbours(0, row[:1]) == frozenset()
    close = [*parcels(), parcel(7, moved(AHEAD, (0, 45)))]
    assert signals(photographed(PAIR, times(0, 15, 5), on_floor=close))[-1].labels_exposed == CountRange(2, 2, 3)


def test_a_signal_shows_who_what_and_every_label() -> None:
    label: Box = (710, 490, 730, 505)
    people = [person(1, STANDING), person(2, moved(STANDING, (300, 0)))]
    found = scene(1, people, [phone(aimed(STANDING, AHEAD))], parcels(), labels=[label])
    shown = pictured([act(0, 1, [1])], found)
    assert [what for what, _ in shown] == ["person", "phone", "parcel", "label"]
    assert shown[-1] == ("label", label)
