"""How close people come: each counted by the seconds in view, too far off by how tall they stand."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.rules.closeness import Closeness
from detector.values import Box, Person, Sight
from tests.builders import SIZE, box_at, person, scene, times

LEAST = 200.0
NEAR, FAR = box_at((300, 200), 100, 240), box_at((500, 100), 50, 120)
STOOPING = box_at((300, 260), 110, 120)


def seen(at: float, people: Iterable[Person], *, first: bool = False) -> Sight:
    return Sight(scene(at, people=tuple(people)), {}, first)


def watched(box: Box, end: float = 10.0, fps: float = 5.0) -> Closeness:
    counted = Closeness(LEAST)
    for at in times(0, end, fps):
        counted.observe(seen(at, [person(1, box)]))
    return counted


@pytest.mark.parametrize(("box", "too_far_s"), [(NEAR, 0.0), (FAR, 10.0)], ids=["near", "far"])
def test_who_stands_less_tall_than_the_least_is_too_far_off(box: Box, too_far_s: float) -> None:
    counted = watched(box)
    assert counted.in_view_s == pytest.approx(10.0, abs=0.21)
    assert counted.too_far_s == pytest.approx(too_far_s, abs=0.21)


def test_seconds_do_not_depend_on_how_often_somebody_was_looked_at() -> None:
    assert watched(FAR, fps=2.0).too_far_s == pytest.approx(watched(FAR, fps=10.0).too_far_s, abs=0.6)


def test_who_stoops_is_as_near_as_before() -> None:
    counted = Closeness(LEAST)
    for at in times(0, 6, 5):
        counted.observe(seen(at, [person(1, NEAR if at < 2 else STOOPING)]))
    assert counted.too_far_s == 0.0


def test_whom_the_picture_s_lower_edge_cuts_off_is_near() -> None:
    counted = watched((600, SIZE[1] - LEAST / 2, 700, SIZE[1]))
    assert (counted.in_view_s, counted.too_far_s) == (pytest.approx(10.0, abs=0.21), 0.0)


def test_where_nobody_was_looked_for_nobody_was_in_view() -> None:
    counted = Closeness(LEAST)
    counted.observe(seen(0.0, [person(1, FAR)]))
    counted.observe(seen(600.0, [person(1, FAR)]))
    assert counted.in_view_s == 1.0
    counted.observe(seen(0.0, [person(1, NEAR)], first=True))  # the clock was put back
    counted.observe(seen(0.2, [person(1, NEAR)]))
    assert (counted.in_view_s, counted.too_far_s) == (pytest.approx(1.2), 1.0)


def test_what_fades_is_as_far_off_as_what_is_left() -> None:
    counted = Closeness(LEAST, window_s=5.0)
    for at in times(0, 20, 5):
        counted.observe(seen(at, [person(1, FAR if at < 10 else NEAR)]))
        if at == 10:
            assert counted.too_far_s == pytest.approx(counted.in_view_s, abs=0.21)
    assert counted.in_view_s == 5.0 and counted.too_far_s < 1.0


@given(st.lists(st.tuples(st.floats(0.01, 50.0), st.booleans()), max_size=40), st.floats(1.0, 20.0))
def test_what_lies_further_back_than_the_window_fades(steps: list[tuple[float, bool]], window_s: float) -> None:
    counted, at = Closeness(LEAST, window_s), 0.0
    for step_s, far in steps:
        at += step_s
        counted.observe(seen(at, [person(1, FAR if far else NEAR)]))
        assert 0.0 <= counted.too_far_s <= counted.in_view_s + 1e-9 <= window_s + 1e-6
