"""Which pictures of a live camera are looked at, after a stall and where looking takes too long."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from detector.media.containers import MOST_PIXELS
from detector.sources.arrival import LONGEST_LATE_S
from detector.sources.messages import Laid
from detector.sources.waiting import Arrived, PictureQueue

FPS = 5
STALL_S = 3.0


@dataclass
class Memory:
    """Stands in for a reader: counts the pictures of which it may use the room again."""

    freed: list[int] = field(default_factory=list)

    def image(self, laid: Laid) -> str:
        self.freed.append(laid.number)
        return "a copy"

    def seen(self, slot: int) -> None:
        self.freed.append(slot)


def arrived(memory: Memory, index: int, at: float, size: tuple[int, int] = (1920, 1080)) -> Arrived:
    line_sizes = (size[0], size[0] // 2, size[0] // 2, 0)
    laid = Laid(at, index, index, *size, line_sizes, (1, 1, 1, 1), "yuv420p")
    return Arrived(memory, laid, index, at)  # type: ignore[arg-type]


def looked_at(takes_s: float, *, stalls_at: float, seconds: float) -> list[tuple[float, float]]:
    """When each picture was looked at, and when it had been taken, by who needs so long for one."""
    now, free_at = 0.0, 0.0
    queue, memory, looked = PictureQueue(lambda: now), Memory(), []
    for tick in range(round(seconds * 1000)):
        now = tick / 1000
        stalled = stalls_at <= now < stalls_at + STALL_S
        if tick % (1000 // FPS) == 0 and not stalled:
            back = now == stalls_at + STALL_S
            for number in range(round(STALL_S * FPS) if back else 0, -1, -1):
                at = now - number / FPS
                queue.put(arrived(memory, round(at * FPS), at, (640, 360)), now - at)
        if now >= free_at and (taken := queue.take(0.0)) is not None:
            looked.append((now, taken.at))
            free_at = now + takes_s
    return looked


def test_all_of_a_stall_is_looked_at_and_then_the_present() -> None:
    looked = looked_at(0.08, stalls_at=10.0, seconds=30.0)
    times = [round(at * FPS) for _, at in looked]
    assert times == list(range(30 * FPS))
    assert all(now - at < 0.1 for now, at in looked if now > 10.0 + STALL_S + LONGEST_LATE_S)


@pytest.mark.parametrize("takes_s", [0.19, 0.21, 0.5, 2.0])
def test_who_is_too_slow_is_soon_back_in_the_present(takes_s: float) -> None:
    looked = looked_at(takes_s, stalls_at=10.0, seconds=60.0)
    times = [at for _, at in looked]
    assert times == sorted(set(times))
    assert all(now - at <= STALL_S + LONGEST_LATE_S + takes_s for now, at in looked)
    assert all(now - at <= takes_s + 1 / FPS for now, at in looked if now > 10.0 + STALL_S + LONGEST_LATE_S + takes_s)


def test_a_stream_that_stays_late_is_caught_up_with_once() -> None:
    now = 0.0
    queue, memory = PictureQueue(lambda: now), Memory()
    for index in range(200):
        now = index / FPS
        queue.put(arrived(memory, index, now - 1.0), 1.0)
    assert (taken := queue.take(0.0)) is not None and taken.index == 199
    assert queue.take(0.0) is None


def test_each_of_two_stalls_is_looked_at() -> None:
    now = 0.0
    queue, memory = PictureQueue(lambda: now), Memory()
    for index, late_s in enumerate([0.0, 3.0, 1.0, 0.2, 0.0, 3.0, 1.0, 0.2]):
        now += 2 * LONGEST_LATE_S if index == 5 else 0.001
        assert queue.put(arrived(memory, index, now - late_s), late_s) == 0
        if index == 4:
            assert [taken.index for _ in range(5) if (taken := queue.take(0.0))] == [0, 1, 2, 3, 4]
    assert [taken.index for _ in range(3) if (taken := queue.take(0.0))] == [5, 6, 7]


def test_a_backlog_of_large_pictures_is_thinned_out() -> None:
    queue, memory = PictureQueue(lambda: 0.0), Memory()
    dropped = sum(queue.put(arrived(memory, index, index / FPS), 4.0) for index in range(25))
    left = []
    while (taken := queue.take(0.0)) is not None:
        assert taken.picture() == "a copy"
        left.append(taken.index)
    assert len(left) + dropped == 25 and len(left) * 1920 * 1080 <= MOST_PIXELS
    assert left == sorted(left) and left[-1] == 24 and left[0] <= 4
    assert sorted(memory.freed) == list(range(25)), "who waits outside has no room of the reader's"


def test_without_a_stall_the_newest_waits_alone() -> None:
    queue, memory = PictureQueue(lambda: 0.0), Memory()
    assert [queue.put(arrived(memory, index, index / FPS), 0.1) for index in range(5)] == [0, 1, 1, 1, 1]
    assert memory.freed == [0, 1, 2, 3] and not queue.is_backlog
    assert (taken := queue.take(0.0)) is not None and taken.index == 4
