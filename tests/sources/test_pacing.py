"""Frames are chosen by time: evenly, without drift, whatever the stream's own rate does."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from detector.sources.pacing import Pacer, first_is_due


def chosen(times: list[float], fps: float = 5.0) -> list[float]:
    pacer = Pacer(fps)
    return [at for at in times if pacer.due(at)]


@pytest.mark.parametrize("rate", [6, 12, 15, 20, 24, 25, 29.97, 30, 60])
def test_five_a_second_from_any_rate(rate: float) -> None:
    times = chosen([n / rate for n in range(round(rate * 100))])
    assert len(times) == pytest.approx(500, abs=2)
    gaps = [b - a for a, b in pairwise(times)]
    # No frame can be nearer to its place than half the stream's own gap.
    assert max(gaps) <= 0.2 + 1 / rate + 1e-9
    assert min(gaps) >= 0.2 - 1 / rate - 1e-9


@pytest.mark.parametrize("rate", [15, 20, 25, 30])
def test_jitter_costs_no_frame(rate: int) -> None:
    draw = random.Random(7)
    times = chosen([(n + draw.uniform(-0.3, 0.3)) / rate for n in range(rate * 100)])
    assert len(times) == pytest.approx(500, abs=2)
    assert times[-1] - times[0] == pytest.approx(100, abs=0.5)


def test_a_slower_stream_is_taken_whole() -> None:
    times = [n / 3 for n in range(30)]
    assert chosen(times) == times


def test_a_rate_that_changes_midway() -> None:
    times = [n / 25 for n in range(250)] + [10 + n / 6 for n in range(60)] + [20 + n / 30 for n in range(300)]
    assert len(chosen(times)) == pytest.approx(150, abs=4)


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ([], []),
        ([3.0], [3.0]),
        ([1.0, 100.0, 100.04, 100.2], [1.0, 100.0, 100.2]),  # a gap is not caught up with
        ([50.0, 50.04, 1.0, 1.04], [50.0, 1.0]),  # time jumped back: begin anew
        ([1e9, 1e9 + 0.04, 1e9 + 0.2], [1e9, 1e9 + 0.2]),  # Unix times
    ],
)
def test_odd_times(times: list[float], expected: list[float]) -> None:
    assert chosen(times) == expected


@pytest.mark.parametrize("rate", [5, 6, 12.5, 15, 20, 25, 29.97, 30])
@pytest.mark.parametrize("begins_at", [0.0, 1_793_496_360.0, 1_793_496_360.125])
def test_a_stream_cut_into_files_is_looked_at_at_the_same_frames(rate: float, begins_at: float) -> None:
    times = [begins_at + n / rate for n in range(round(rate * 8))]
    whole = chosen(times)
    for cut in range(round(rate * 3), round(rate * 3) + 12):
        first, start = chosen(times[:cut]), times[cut]
        pacer = Pacer(5.0, start)
        then = [at for at in times[cut:] if pacer.due(at - start)]
        if not first_is_due(first[-1], then[0], 1 / rate, 5.0):
            then = then[1:]
        assert first + then == whole


@pytest.mark.parametrize("phase", [0.0, 0.05, 0.1, 0.15])
def test_jitter_costs_a_stream_of_just_the_rate_no_frame(phase: float) -> None:
    draw = random.Random(7)
    times = [phase + 0.2 * n + draw.uniform(-0.02, 0.02) for n in range(500)]
    assert chosen(times) == times
