"""Labels that run one way and parcels in rows are told from what was thrown."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.rules.layout import alignment, rows


def scattered(n: int, seed: int, apart: float = 0.0) -> np.ndarray:
    """Places in a square of 1000, none nearer to another than `apart`."""
    random = np.random.default_rng(seed)
    places: list[np.ndarray] = []
    while len(places) < n:
        place = random.uniform(0, 1000, 2)
        if all(np.linalg.norm(place - other) >= apart for other in places):
            places.append(place)
    return np.array(places)


def grid(jitter: float, turn: float = 0.0) -> np.ndarray:
    """Twenty places in rows of five, turned by an angle."""
    places = np.array([[90 * (k % 5), 100 * (k // 5)] for k in range(20)], float)
    places += np.random.default_rng(0).normal(0, jitter, places.shape)
    return places @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])


@pytest.mark.parametrize("turn", [0.0, 0.3, 0.78, 1.57])
def test_rows_are_rows_however_the_camera_hangs(turn: float) -> None:
    assert rows(grid(8, turn)).chance < 0.001


def test_parcels_that_only_keep_apart_are_in_no_rows() -> None:
    chances = [rows(scattered(20, seed, apart=120)).chance for seed in range(200)]
    assert sum(c < 0.001 for c in chances) <= 2
    assert sum(c < 0.1 for c in chances) <= 40


@pytest.mark.parametrize("way", [0.0, 0.02, 1.5, 3.13])
def test_labels_that_run_one_way_are_aligned_at_any_angle(way: float) -> None:
    random = np.random.default_rng(2)
    # Half of the angles are those of the label's other axis.
    angles = way + random.normal(0, 0.1, 12) + np.pi / 2 * random.integers(0, 2, 12)
    order = alignment((angles % np.pi).tolist())
    assert order.length > 0.8
    assert order.chance < 0.001


def test_labels_that_run_any_way_are_aligned_by_chance_as_often_as_said() -> None:
    random = np.random.default_rng(4)
    chances = np.array([alignment(random.uniform(0, np.pi, 12).tolist()).chance for _ in range(10_000)])
    assert (chances < 0.05).mean() == pytest.approx(0.05, abs=0.008)


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=40))
def test_any_angles_have_an_order(angles: list[float]) -> None:
    order = alignment(angles)
    assert 0 <= order.length <= 1 + 1e-9
    assert 0 <= order.chance <= 1


@pytest.mark.parametrize(
    "places",
    [np.zeros((0, 2)), np.zeros((1, 2)), np.zeros((9, 2)), np.full((5, 2), np.nan), np.array([[0.0, 0.0], [5, 5]])],
    ids=["none", "one", "all in one place", "not numbers", "two"],
)
def test_places_without_order_have_a_chance_all_the_same(places: np.ndarray) -> None:
    assert 0 <= rows(places).chance <= 1
