"""Somebody lost from sight who goes on at the same place as another track is the same person; others are not."""

from __future__ import annotations

import pytest

from detector.rules.returning import AWAY_S, MOST, Returning
from detector.values import Box
from tests.builders import SIZE, moved, person

HERE: Box = (300, 100, 360, 280)
TALL = 180.0


def names(*frames: tuple[float, dict[int, Box]]) -> dict[int, int]:
    """What each track of the last frame is called after people were seen there at these times."""
    returning = Returning()
    for at, boxes in frames:
        people = [person(track, box, at) for track, box in boxes.items()]
        returning.observe(at, SIZE, people, dict.fromkeys(boxes, TALL))
    return {track: returning.who(track) for track in frames[-1][1]}


@pytest.mark.parametrize(
    ("away_s", "apart", "same"),
    [
        pytest.param(12, 0, True, id="at the same place"),
        pytest.param(AWAY_S - 1, 1.4 * TALL, True, id="a few steps on"),
        pytest.param(12, 1.6 * TALL, False, id="too far"),
        pytest.param(AWAY_S + 1, 0, False, id="too late"),
    ],
)
def test_who_was_lost_from_sight_goes_on_as_another_track(away_s: float, apart: float, same: bool) -> None:
    assert names((0, {1: HERE}), (away_s, {2: moved(HERE, (apart, 0))})) == {2: 1 if same else 2}


@pytest.mark.parametrize("heights", [(TALL, TALL / 2), (TALL / 2, TALL)])
def test_how_far_somebody_may_have_gone_goes_by_the_taller_of_what_was_seen(heights: tuple[float, float]) -> None:
    returning = Returning()
    for track, height in enumerate(heights, 1):
        there = person(track, moved(HERE, (1.4 * TALL * (track - 1), 0)), track)
        returning.observe(track, SIZE, [there], {track: height})
    assert [returning.who(track) for track in (1, 2)] == [1, 1]


def test_a_track_that_was_never_seen_is_itself() -> None:
    assert Returning().who(7) == 7


def test_two_in_view_together_are_two() -> None:
    assert names((0, {1: HERE}), (1, {1: HERE, 2: moved(HERE, (40, 0))})) == {1: 1, 2: 2}


def test_one_lost_from_sight_comes_back_once() -> None:
    back = {2: HERE, 3: moved(HERE, (30, 0))}
    assert names((0, {1: HERE}), (12, back)) == {2: 1, 3: 3}


def test_the_name_is_kept_over_several_losses() -> None:
    assert names((0, {1: HERE}), (12, {2: HERE}), (24, {3: HERE}), (25, {3: HERE})) == {3: 1}


@pytest.mark.parametrize(
    ("edge", "inwards"),
    [
        pytest.param((0, 100, 50, 280), (90, 0), id="left"),
        pytest.param((SIZE[0] - 50, 100, SIZE[0], 280), (-90, 0), id="right"),
        pytest.param((300, 0, 360, 180), (0, 90), id="top"),
        pytest.param((300, SIZE[1] - 180, 360, SIZE[1]), (0, -90), id="bottom"),
    ],
)
def test_who_leaves_by_the_edge_or_comes_in_there_is_nobody_else(edge: Box, inwards: tuple[float, float]) -> None:
    inside = moved(edge, inwards)
    assert names((0, {1: inside}), (5, {2: inside})) == {2: 1}
    for gone, come in ((edge, edge), (edge, inside), (inside, edge)):
        assert names((0, {1: gone}), (5, {2: come})) == {2: 2}


@pytest.mark.parametrize("nearer", [1, 2])
def test_of_two_lost_from_sight_the_nearer_one_comes_back(nearer: int) -> None:
    gone = {track: moved(HERE, (0 if track == nearer else 100, 0)) for track in (1, 2)}
    assert names((0, gone), (5, {3: moved(HERE, (20, 0))})) == {3: nearer}


def test_a_clock_that_is_set_back_brings_nobody_back() -> None:
    assert names((100, {1: HERE}), (50, {2: HERE})) == {2: 2}


def test_a_storm_of_tracks_is_forgotten_but_for_the_latest() -> None:
    returning = Returning()
    for frame in range(20):
        tracks = range(50 * frame, 50 * frame + 50)
        people = [person(track, moved(HERE, (track / 10, 0)), frame / 5) for track in tracks]
        returning.observe(frame / 5, SIZE, people, {})
    assert len(returning._last) == 50 + MOST
