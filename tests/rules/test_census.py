"""What lies in the storage zones is counted for people to see, and no judgement changes by it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.census import ZoneCensus
from detector.config import OrientationRule, Zone
from detector.rules.orientation import OrientationRule as Rule
from detector.rules.zone_watch import ZoneWatch
from detector.values import Facing, Parcel, Scene
from tests.builders import box_at, person, scene, times
from tests.rules.test_orientation import STORAGE, TURNED, N, U, lying, rule

SIZE = scene(0).size


def watched(watch: Rule, scenes: Sequence[Scene]) -> ZoneCensus:
    """The zone's census after these scenes."""
    for each in scenes:
        list(watch.observe(each))
    (counted,) = watch.census(scenes[-1])
    return counted


def test_parcels_are_counted_as_the_rule_holds_them() -> None:
    parcels = lying([U] * 5 + [N] * 3) + lying([Facing.UNKNOWN] * 2, first=50)
    in_the_aisle = lying([U, Facing.UNKNOWN], first=70, left=700)
    counted = watched(rule(), [scene(t, parcels=parcels + in_the_aisle) for t in times(0, 10, 1)])
    assert (counted.zone, counted.up, counted.not_up, counted.unknown) == ("bulk", 5, 3, 2)
    assert counted.usual_rate == 0.35 and 0 < counted.evidence < 1
    assert counted.band is not None and counted.band[0] < 0.35 < counted.band[1]
    assert [slot.facing for slot in counted.slots] == ["up"] * 5 + ["not_up"] * 3 + ["unknown"] * 2
    x1, y1, x2, y2 = parcels[0].box
    expected = (x1 / SIZE[0], y1 / SIZE[1], x2 / SIZE[0], y2 / SIZE[1])
    assert counted.slots[0].box == pytest.approx(expected, abs=1e-4)


def test_what_has_not_settled_is_not_counted() -> None:
    counted = watched(rule(), [scene(t, parcels=lying(TURNED)) for t in times(0, 3, 1)])
    assert (counted.up, counted.not_up, counted.unknown, counted.usual_rate, counted.band) == (0, 0, 0, None, None)


def test_what_lay_there_when_watching_began_did_not_arrive() -> None:
    watch, old = rule(), lying([U] * 4 + [N] * 2)
    first = watched(watch, [scene(t, parcels=old) for t in times(0, 10, 1)])
    assert (first.lay_up, first.came_up, first.came_not_up) == (4, 0, 0)
    new = lying([U, N, N], since=20, first=30, left=66)
    new = [replace(p, box=box_at((100 + 60 * n, 520), 40, 40)) for n, p in enumerate(new)]
    then = watched(watch, [scene(t, parcels=old + new) for t in times(11, 30, 1)])
    assert (then.up, then.lay_up, then.turned_up, then.came_up, then.came_not_up) == (5, 4, 0, 1, 2)
    assert [slot.came for slot in then.slots] == ["lay"] * 6 + ["arrived"] * 3
    again = watched(watch, [scene(31, parcels=old + new)])
    assert (again.up, again.came_up, again.came_not_up) == (5, 0, 0)  # told once
    swept = watched(watch, [scene(32)])
    assert (swept.up, swept.not_up, swept.band) == (0, 0, None)


def turning(who: int | None) -> list[Scene]:
    """Ten parcels lie label down; six of them are turned up at 20 s, by whom."""
    before, after = lying([N] * 10), lying([U] * 6 + [N] * 4, turned=dict.fromkeys(range(6), 20.0))
    hands = [] if who is None else [person(who, (0, 100, 600, 700))]
    return [
        scene(t, people=hands if 15 <= t <= 22 else [], parcels=before if t < 20 else after) for t in times(0, 40, 1)
    ]


@pytest.mark.parametrize("who", [7, None])
def test_a_turn_says_what_became_of_it_where_when_and_who_was_near(who: int | None) -> None:
    counted = watched(rule(), turning(who))
    tracks = () if who is None else (who,)
    assert (counted.up, counted.not_up, counted.turned_up, counted.near) == (6, 4, 6, tracks)
    assert [(turn.at, turn.up, turn.tracks) for turn in counted.turns] == [(20.0, True, tracks)] * 6
    assert counted.turns[0].place == pytest.approx((60 / SIZE[0], 200 / SIZE[1]), abs=1e-3)
    assert [slot.came for slot in counted.slots] == ["turned"] * 6 + ["lay"] * 4


def test_counting_changes_no_judgement() -> None:
    counting, silent = rule(), rule()
    for each in turning(7):
        assert list(counting.observe(each)) == list(silent.observe(each))
        counting.census(each)
    assert counting.learned() == silent.learned()


def test_nothing_else_than_storage_is_counted_and_what_lies_nowhere_harms_nobody() -> None:
    walkway = Zone(name="aisle", kind="walkway", polygon=STORAGE.polygon)
    watch, parcels = rule([walkway]), lying(TURNED)
    for each in (scene(t, parcels=parcels) for t in times(0, 10, 1)):
        list(watch.observe(each))
    assert watch.census(scene(10, parcels=parcels)) == ()
    odd: list[Parcel] = [replace(p, box=(float("nan"),) * 4) for p in lying(TURNED)]
    nowhere = watched(rule(), [scene(t, parcels=odd) for t in times(0, 10, 1)])
    assert (nowhere.up, nowhere.unknown, nowhere.slots) == (0, 0, ())


@settings(max_examples=40)
@given(st.integers(1, 400), st.floats(0, 1))
def test_a_band_holds_the_usual_rate_and_narrows_with_more_parcels(parcels: int, usual: float) -> None:
    watch = ZoneWatch(STORAGE.model_copy(update={"label_up_rate": usual}), OrientationRule())
    low, high = watch.band(parcels)
    assert 0 <= low <= round(usual, 4) <= high <= 1
    narrow_low, narrow_high = watch.band(parcels + 1)
    assert low <= narrow_low and narrow_high <= high
