"""More people than can be looked at closely take turns, and whom nobody looked at is not seen to do nothing."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.config import Analysis
from detector.inference.detector import SceneDetector
from detector.inference.missed import KEEP_S
from detector.inference.turns import Turns, first
from detector.values import ACT_PHOTO, PERSON, FloatArray
from tests.builders import frame
from tests.inference.test_detector import FAR, NEAR, THRESHOLDS, Row, ScriptedNetwork

SETTINGS = Analysis(frame_side=640, zoom_side=320, zooms=2)


def people(*heights: float, x: float = 0.0) -> FloatArray:
    """Boxes of people so tall, pixels, well apart."""
    return np.array(
        [(x + 300 * k, 0, x + 300 * k + 40, height) for k, height in enumerate(heights)], np.float32
    ).reshape(-1, 4)


def test_as_many_as_can_be_are_looked_at_each_time_the_tallest_first() -> None:
    turns = Turns()
    for at in range(3):
        assert turns.take(people(50, 90, 70), 3, at).tolist() == [1, 2, 0]
    assert first(people(50, 90, 70), 2).tolist() == [1, 2] and first(people(), 4).tolist() == []


def test_who_has_waited_longest_comes_first_and_of_equals_the_tallest() -> None:
    turns, here = Turns(), people(50, 90, 70, 60, 80)
    assert [turns.take(here, 2, at).tolist() for at in range(5)] == [[1, 4], [2, 3], [0, 1], [4, 2], [3, 1]]


def test_whoever_comes_is_looked_at_first_and_whoever_walks_keeps_their_turn() -> None:
    turns = Turns()
    assert turns.take(people(90, 80, 70), 2, 0.0).tolist() == [0, 1]
    assert turns.take(people(90, 80, 70, 50, x=8), 2, 0.2).tolist() == [2, 3]
    assert turns.take(people(90, 80, 70, 50, x=16), 2, 0.4).tolist() == [0, 1]


@pytest.mark.parametrize("apart_s", [0.2, 0.5, 0.8])
def test_who_stands_keeps_their_turn_while_others_walk_by_however_far_looks_are_apart(apart_s: float) -> None:
    turns, standing = Turns(), [(0, 800, 70, 1000), (150, 800, 220, 1000)]
    looked = []
    for n in range(20):
        far = 180 * apart_s * n  # pixels: a brisk walk of people 200 tall
        walking = [(400 * k + far, 250 * k, 400 * k + 70 + far, 250 * k + 200) for k in range(3)]
        looked.append(set(turns.take(np.array([*standing, *walking], np.float32), 3, apart_s * n).tolist()))
    assert all({0, 1} <= one | two for one, two in pairwise(looked))


@pytest.mark.parametrize(("away_s", "chosen"), [(KEEP_S - 0.1, 1), (KEEP_S + 0.1, 0)])
def test_who_is_out_of_sight_keeps_their_turn_for_seconds(away_s: float, chosen: int) -> None:
    turns = Turns()
    turns.take(people(90, 80)[:1], 1, 0.0)
    turns.take(people(90, 80)[:0], 1, 0.1)
    assert turns.take(people(90, 80), 1, away_s).tolist() == [chosen]


@given(st.integers(1, 40), st.integers(1, 8), st.integers(1, 4))
def test_nobody_waits_longer_than_a_round(count: int, most: int, rounds: int) -> None:
    turns, here = Turns(), people(*range(40, 40 + count))
    round_of = -(-count // most)
    looked = [set(turns.take(here, most, 0.2 * n).tolist()) for n in range(round_of * rounds)]
    for n in range(len(looked) - round_of + 1):
        assert set().union(*looked[n : n + round_of]) == set(range(count))
    assert all(len(one) == min(most, count) for one in looked)


def test_nobody_is_looked_at_where_no_close_look_is_made() -> None:
    assert Turns().take(people(50, 90), 0, 0.0).tolist() == []


def test_all_of_a_crowd_are_looked_at_closely_in_turn_and_who_is_not_is_marked() -> None:
    rows: list[Row] = [("person", 100.0 * n, 150, 40, 100 - n, 0.9, FAR) for n in (1, 2, 3)]
    network = ScriptedNetwork(rows, [("person", 160, 177, 107, 286, 0.6, NEAR)])
    detector, turns = SceneDetector(network, THRESHOLDS, SETTINGS), Turns()
    waiting = []
    for n in range(2):
        found = detector.detect(frame(n, (1280, 640)), turns=turns).of(PERSON)
        assert found.passed_over is not None
        assert np.array_equal(found.passed_over, np.isnan(found.traits[:, ACT_PHOTO]))
        waiting += found.boxes[found.passed_over][:, 0].tolist()
    assert len(set(waiting)) == 2
    few = SceneDetector(ScriptedNetwork(rows[:2], []), THRESHOLDS, SETTINGS)
    assert few.detect(frame(0, (1280, 640)), turns=Turns()).passed_over is None
