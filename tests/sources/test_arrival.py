"""When what arrived was taken: in step with the stream, and by arrival where the stream talks nonsense."""

from __future__ import annotations

import itertools

import pytest

from detector.sources.arrival import LONGEST_LATE_S, Arrival


def taken(arrived: list[float], stream: list[float | None]) -> list[float]:
    arrival = Arrival()
    return [arrival.taken_at(at, said) for at, said in zip(arrived, stream, strict=True)]


def test_what_a_stalled_network_lets_go_at_once_keeps_its_distances() -> None:
    stream = [number / 25 for number in range(200)]
    # Of two seconds nothing comes before they are over; then all at once.
    arrived = [100 + (3.98 + number / 10_000 if 50 <= number < 100 else s) for number, s in enumerate(stream)]
    found = taken(arrived, stream)
    steps = [after - before for before, after in itertools.pairwise(found)]
    assert sum(step_s < 0.03 for step_s in steps) <= 2 and max(steps) < 0.05
    assert found[-1] == pytest.approx(arrived[-1], abs=0.1)


def test_nothing_is_taken_after_it_arrived_or_long_before() -> None:
    stream = [number / 25 for number in range(2000)]
    for rate in (0.999, 1.0, 1.001):  # of the camera's clock, worse than any
        arrived = [100 + s / rate + number % 7 / 100 for number, s in enumerate(stream)]
        early = [a - t for a, t in zip(arrived, taken(arrived, stream), strict=True)]
        assert min(early) >= 0 and max(early) < 0.2


@pytest.mark.parametrize(
    "said",
    [
        lambda n: 0.0, lambda n: -n / 25, lambda n: n * 3600.0, lambda n: None, lambda n: n * 2_654_435_761 % 1000,
        lambda n: n % 10 / 25,
    ],
)  # fmt: skip
def test_stamps_without_sense_leave_arrival(said: object) -> None:
    arrived = [100 + number / 25 for number in range(100)]
    found = taken(arrived, [said(number) for number in range(100)])  # type: ignore[operator]
    assert found[10:] == arrived[10:]


def test_a_stream_that_counts_half_the_time_is_seen_through() -> None:
    arrived = [100 + number / 25 for number in range(2000)]
    found = taken(arrived, [number / 50 for number in range(2000)])
    assert max(a - t for a, t in zip(arrived, found, strict=True)) <= LONGEST_LATE_S
    assert found[-1] == arrived[-1]


def test_a_camera_s_clock_that_was_set_once_is_believed_again() -> None:
    stream = [number / 5 + (3600.0 if number >= 100 else 0.0) for number in range(20_000)]
    late = range(19_900, 19_910)  # they come at once, at the end
    arrived = [100 + (max(late) if number in late else number) / 5 for number in range(20_000)]
    found = taken(arrived, stream)  # type: ignore[arg-type]
    assert found[100:2000] == arrived[100:2000]
    assert min(after - before for before, after in itertools.pairwise(found)) > 0.15


def test_stamps_that_never_make_sense_are_tried_ever_more_seldom() -> None:
    arrived = [100 + number / 5 for number in range(5 * 86_400)]
    found = taken(arrived, [number / 10 for number in range(5 * 86_400)])
    assert sum(a != t for a, t in zip(arrived, found, strict=True)) < 0.01 * len(arrived)
