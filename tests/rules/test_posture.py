"""When somebody crouched and when they stayed is told of the last minute, and how long they stayed of all time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.rules.posture import POSTURE_S, Posture
from detector.values import Box, Person
from tests.builders import moved, times

STANDING: Box = (600, 300, 680, 500)


@pytest.mark.parametrize(
    ("begin", "end", "share"),
    [(0, 5, 0.0), (5, 15, 0.5), (10, 20, 1.0), (12, 12, 1.0), (2, 2, 0.0), (15, 35, 0.25)],
)
def test_the_share_of_a_span_spent_crouched(begin: float, end: float, share: float) -> None:
    posture = Posture()
    for t in times(0, 30, 5):
        box: Box = (0, 90, 80, 200) if 10 <= t <= 20 else (0, 0, 80, 200)
        posture = posture.after(Person(1, box, 0.9, 0, t), t)
    assert posture.crouched(begin, end) == pytest.approx(share, abs=0.05)


def test_a_posture_keeps_a_minute() -> None:
    posture = Posture()
    for t in times(0, 600, 5):
        box: Box = (0, 90, 80, 200) if t % 10 > 5 else (0, 0, 80, 200)
        posture = posture.after(Person(1, box, 0.9, 0, t), t)
        assert len(posture.low) <= 8


def after(places: list[tuple[float, float]]) -> Posture:
    """Of somebody 200 pixels tall, from times and feet in pixels across."""
    posture = Posture()
    for t, x in places:
        posture = posture.after(Person(1, moved(STANDING, (x, 0)), 0.9, 0, t), t)
    return posture


@pytest.mark.parametrize(
    ("until", "stayed"),
    [
        pytest.param(10, 10.0, id="before the walk"),
        pytest.param(20, 10.0, id="after it"),
        pytest.param(30, 20.0, id="now"),
    ],
)
def test_how_long_somebody_stayed_until_then(until: float, stayed: float) -> None:
    walk = [(t, 200 * min(max(t - 10, 0), 10)) for t in times(0, 30, 5)]
    assert after(walk).stayed_until(until) == pytest.approx(stayed, abs=1.5)


def test_of_a_long_time_without_looks_nobody_knows_whether_somebody_stayed() -> None:
    first = Posture().after(Person(1, STANDING, 0.9, 0, 0), 0.0)
    for at, stayed in ((1.5, 1.5), (5.0, 0.0)):
        then = first.after(Person(1, moved(STANDING, (5, 0)), 0.9, 0, at), at, looked_at=0.0)
        assert then.stayed_s == pytest.approx(stayed)


def test_how_long_somebody_stayed_is_known_beyond_what_is_remembered() -> None:
    stops = [(t, 300 * (t // 20) + 300 * max(0.0, t % 20 - 17) / 3) for t in times(0, 400, 5)]
    found = after(stops)
    assert found.stays[0][1] >= 400 - POSTURE_S - 20
    assert found.stayed_until(400) == pytest.approx(400 * 17 / 20, rel=0.1)


def test_time_out_of_sight_is_not_stayed() -> None:
    assert after([(0, 0), (0.2, 0), (0.4, 0), (30, 0), (30.2, 0)]).stayed_s == pytest.approx(0.6)


@given(st.lists(st.tuples(st.floats(0.05, 3), st.floats(-300, 300)), min_size=1, max_size=60))
def test_nobody_stays_longer_than_they_are_there(steps: list[tuple[float, float]]) -> None:
    places, t, x = [], 0.0, 0.0
    for seconds, step in steps:
        t, x = t + seconds, x + step
        places.append((t, x))
    found = after(places)
    assert 0 <= found.stayed_s <= t - places[0][0] + 1e-6
    assert found.stayed_until(t) <= found.stayed_s + 1e-6


@given(st.lists(st.tuples(st.floats(-5, 5), st.floats(-300, 300)), min_size=1, max_size=60))
def test_a_clock_that_goes_back_takes_no_stay_away(steps: list[tuple[float, float]]) -> None:
    posture, t, x, stayed = Posture(), 1000.0, 0.0, 0.0
    for seconds, step in steps:
        t, x = t + seconds, x + step
        posture = posture.after(Person(1, moved(STANDING, (x, 0)), 0.9, 0, t), t)
        assert posture.stayed_s >= stayed
        stayed = posture.stayed_s
