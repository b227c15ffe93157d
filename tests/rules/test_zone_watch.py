"""Windows cover a zone, their weights sum to one, and what nobody watched pays nothing in."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.config import WHOLE_FRAME, OrientationRule, Zone
from detector.geometry import crosses_itself, points_in_polygon
from detector.rules.edetector import CORRELATION
from detector.rules.zone_watch import MEMORY_S, MONTH_S, MOST_AT_REST, QUARANTINE_S, ZoneWatch, window_weights, windows

shares = st.floats(0, 1)


def watch(zone: Zone = WHOLE_FRAME, **keys: float) -> ZoneWatch:
    return ZoneWatch(zone, OrientationRule(**keys))


@st.composite
def zones(draw: st.DrawFn) -> Zone:
    """Triangles and quadrangles with some area, convex or not."""
    corners = draw(st.lists(st.tuples(shares, shares), min_size=3, max_size=4))
    twice = sum(a[0] * b[1] - b[0] * a[1] for a, b in zip(corners, corners[1:] + corners[:1], strict=True))
    is_zone = abs(twice) >= 2e-4 and not crosses_itself(corners)
    return Zone(name="z", kind="storage", polygon=corners if is_zone else WHOLE_FRAME.polygon)


@settings(deadline=None, max_examples=40)
@given(zones(), st.lists(st.tuples(shares, shares), min_size=1, max_size=20))
def test_every_place_lies_in_the_whole_and_in_up_to_four_windows_of_each_size(
    zone: Zone, places: list[tuple[float, float]]
) -> None:
    one, boxes = watch(zone), windows(zone)
    assert window_weights(boxes).sum() == pytest.approx(1)
    inside = points_in_polygon(np.array(places, np.float32), np.array(zone.polygon, np.float32))
    for place in np.array(places)[inside]:
        rows = one.windows_of((float(place[0]), float(place[1])))
        sides = np.round(boxes[rows, 2] - boxes[rows, 0], 6).tolist()
        assert sides.count(1.0) == 1
        assert len(rows) <= 9


def test_a_whole_picture_has_one_window_nine_halves_and_forty_nine_quarters() -> None:
    boxes = windows(WHOLE_FRAME)
    sides, counts = np.unique(boxes[:, 2] - boxes[:, 0], return_counts=True)
    assert dict(zip(sides.tolist(), counts.tolist(), strict=True)) == {0.25: 49, 0.5: 9, 1.0: 1}


def test_windows_beside_the_zone_are_left_out() -> None:
    corner = Zone(name="z", kind="storage", polygon=[(0, 0), (1, 0), (0, 1)])
    assert len(windows(corner)) < 59
    assert not any(left >= 0.6 and top >= 0.6 for left, top, _, _ in windows(corner))


@pytest.mark.parametrize("level", [0.001, 0.1, 1, 10, 100, 1000])
def test_no_zone_starts_with_an_alarm(level: float) -> None:
    one = watch(false_alarms_per_month=level)
    assert 0 < one.wealth <= MOST_AT_REST
    one.arrive([(one.windows_of((0.5, 0.5)), False)] * 20, 0.0)
    assert one.judge(0.0) is None


@pytest.mark.parametrize(("months", "paid"), [(0, 0.1), (0.5, 0.55), (1, 1.0), (2.5, 2.5)])
@pytest.mark.parametrize("steps", [1, 7])
def test_no_month_is_paid_more_than_its_allowance_though_the_first_is_paid_in_part_at_the_start(
    months: float, paid: float, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("detector.rules.zone_watch.MEMORY_S", 1e11)  # so that nothing fades
    one = watch()
    for _ in range(steps):
        one.elapse(months * MONTH_S / steps)
    assert one.wealth == pytest.approx(paid, rel=1e-3)


@pytest.mark.parametrize("rate", [0.97, 1.0])
@pytest.mark.parametrize("level", [1, 1000])
def test_a_zone_where_nearly_every_label_lies_up_is_watched_without_harm(rate: float, level: float) -> None:
    bench = WHOLE_FRAME.model_copy(update={"label_up_rate": rate})
    one = watch(bench, false_alarms_per_month=level)
    rows = one.windows_of((0.5, 0.5))
    for k in range(30):
        one.elapse(3600)
        one.arrive([(rows, k != 5)] + [(rows, True)] * 9, 3600.0 * k)
        assert one.judge(3600.0 * k) is None
        low, high = one.band(10)
        assert 0 <= low <= high <= 1


@pytest.mark.parametrize("up", [True, False])
def test_odds_of_turns_are_fair_where_parcels_are_misread_both_ways(up: bool) -> None:
    """Of 20 parcels of which 4 lie up, at a rate of 0.2, as many turn up as down."""
    one = watch(Zone(name="z", kind="storage", polygon=WHOLE_FRAME.polygon, label_up_rate=0.2), learn=False)
    rows = np.array([0])
    one.lie([(rows, k < 4) for k in range(20)])
    before = one._turns.wealth
    one.turn([(rows, up)], 0.0)
    gain = (one._turns.wealth - before) / before / float(one._turns._weights[0] / 0.5)
    assert gain == pytest.approx(0.9 / 0.5 - 1 if up else 0.1 / 0.5 - 1)


def test_a_turn_that_is_not_bet_on_is_noted_all_the_same() -> None:
    one = watch()
    rows = one.windows_of((0.5, 0.5))
    one.lie([(rows, False)] * 8)
    before = one.wealth
    one.turn([(rows, True)] * 8, 0.0, bet=False)
    assert one.wealth == before
    assert one.patch() in rows


def test_parcels_that_are_gone_are_no_patch() -> None:
    one = watch()
    rows = one.windows_of((0.5, 0.5))
    one.arrive([(rows, True)] * 12, 0.0)
    assert one.patch() is not None
    one.lie([(rows, True)] * 12, -1)
    assert one.patch() is None
    assert one.judge(0.0) is None


def test_an_alarm_uses_up_all_evidence_and_says_since_when() -> None:
    one = watch()
    rows = one.windows_of((0.5, 0.5))
    one.arrive([(rows, True)] * 10, 100.0)
    one.arrive([(rows, True)] * 10, 130.0)
    alarm = one.judge(130.0)
    assert alarm is not None
    assert alarm.since == 100
    assert alarm.evidence >= 1
    assert alarm.window in rows
    assert one.wealth == 0
    assert one.judge(131.0) is None


def test_a_watch_over_ages_stays_finite() -> None:
    one = watch(false_alarms_per_month=1000)
    rows = one.windows_of((0.5, 0.5))
    for k in range(50):
        one.elapse(1e9)
        one.arrive([(rows, k % 3 == 0)], 1e9 * k)
    assert math.isfinite(one.wealth)
    assert math.isfinite(one.usual.bound)


def test_evidence_is_the_most_there_was_since_it_was_asked_for() -> None:
    one = watch()
    rows = one.windows_of((0.5, 0.5))
    one.arrive([(rows, True)] * 20, 100.0)
    most = one.wealth
    one.arrive([(rows, False)] * 4, 101.0)
    assert one.wealth < most
    alarm = one.judge(101.0)
    assert alarm is not None and alarm.evidence == pytest.approx(most)


def test_a_pattern_of_turns_is_since_the_first_of_them() -> None:
    one = watch()
    rows = one.windows_of((0.5, 0.5))
    one.lie([(rows, False)] * 20)
    for at in (100.0, 110.0):
        one.turn([(rows, True)] * 10, at)
    alarm = one.judge(110.0)
    assert alarm is not None and alarm.since == 100


def test_what_comes_soon_after_an_alarm_is_not_learned() -> None:
    one = watch()
    rows = one.windows_of((0.5, 0.5))
    one.arrive([(rows, True)] * 20, 0.0)
    assert one.judge(0.0) is not None
    for at in (1000.0, 2000.0):
        one.arrive([(rows, False)], at)
    assert one.usual.not_up == 0
    one.elapse(QUARANTINE_S)
    for at in (3000.0, 4000.0):
        one.arrive([(rows, False)], at)
    assert one.usual.not_up == 1


def test_after_an_alarm_wealth_comes_back_to_rest() -> None:
    one = watch(false_alarms_per_month=1)
    rows = one.windows_of((0.5, 0.5))
    one.arrive([(rows, True)] * 20, 0.0)
    assert one.judge(0.0) is not None
    one.elapse(100 * MEMORY_S)
    assert one.wealth == pytest.approx(MEMORY_S / MONTH_S)


def test_a_band_is_as_wide_as_parcels_that_are_alike_differ_19_times_in_20() -> None:
    one = watch(WHOLE_FRAME.model_copy(update={"label_up_rate": 0.35}), learn=False)
    half = 1.96 * math.sqrt(0.35 * 0.65 * (0.01 + CORRELATION * 0.99))
    assert one.band(100) == pytest.approx((0.35 - half, 0.35 + half), abs=1e-3)
