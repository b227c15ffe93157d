"""The ring: always from a key frame on, bounded by seconds and by bytes."""

from __future__ import annotations

import threading

from hypothesis import given, settings
from hypothesis import strategies as st

from detector.media.packets import BLOCK, Packet, PacketRing, StreamFormat

FORM = StreamFormat("h264", 64, 48)


def filled(seconds: float, *, last: int, key_every: int = 5, size: int = 10, most: int = 1 << 20) -> PacketRing:
    """Ten packets a second at times 0.0, 0.1 … last / 10."""
    ring = PacketRing(seconds, most)
    for n in range(last + 1):
        ring.append(Packet(n / 10, bytes(size), n % key_every == 0), FORM)
    return ring


def times(stored: list) -> list[float]:
    return [s.packet.at for s in stored]


def test_since_starts_at_the_key_frame_before() -> None:
    ring = filled(10, last=40)
    assert times(ring.since(2.3))[0] == 2.0
    assert times(ring.since(2.5))[0] == 2.5
    assert times(ring.since(2.3))[-1] == 4.0


def test_since_starts_at_the_oldest_when_asked_for_more_than_is_held() -> None:
    ring = filled(1.0, last=40)
    assert times(ring.since(0.0))[0] == 3.0
    assert ring.since(0.0)[0].packet.key


def test_since_a_time_when_the_camera_was_away_starts_with_its_return() -> None:
    ring = filled(100, last=40)
    for n in range(10):
        ring.append(Packet(60 + n / 10, b"", n % 5 == 0), FORM)
    assert times(ring.since(3.95))[0] == 3.5
    assert [times(ring.since(at))[0] for at in (4.1, 30.0, 59.9)] == [60.0] * 3
    assert [times(ring.since(at))[0] for at in (60.0, 60.7)] == [60.0, 60.5]


def test_the_last_seconds_are_always_covered() -> None:
    for last in range(11, 60):
        held_s, _ = filled(1.0, last=last).held
        assert 1.0 <= held_s <= 1.5


def test_a_key_frame_counts_by_when_it_is_shown() -> None:
    ring = PacketRing(10)
    ring.append(Packet(0.0, b"x", True, 0.1), FORM)
    ring.append(Packet(1.0, b"x", True, 0.1), FORM)
    assert times(ring.since(1.05)) == [0.0, 1.0]
    assert times(ring.since(1.1)) == [1.0]


def test_after_goes_on_where_one_left_off() -> None:
    ring = filled(10, last=40)
    number = ring.since(4.0)[0].number
    assert times(ring.after(number)) == []
    ring.append(Packet(4.1, b"", False), FORM)
    assert times(ring.after(number)) == [4.1]


def test_after_goes_on_at_a_key_frame_when_the_rest_is_forgotten() -> None:
    ring = filled(1.0, last=40)
    assert times(ring.after(3))[0] == 3.0


def test_bytes_are_bounded_even_when_key_frames_are_rare() -> None:
    ring = filled(1e9, last=1000, key_every=300, size=1000, most=100_000)
    assert ring.held[1] <= 100_000
    ring = filled(1e9, last=1000, key_every=10, size=1000, most=100_000)
    assert ring.held[1] <= 100_000
    assert ring.since(0)[0].packet.key


def test_nothing_is_kept_before_the_first_key_frame() -> None:
    ring = PacketRing(10)
    ring.append(Packet(0.0, b"x", False), FORM)
    assert ring.since(0) == [] == ring.after(0)
    assert ring.held == (0.0, 0)


@given(st.lists(st.binary(max_size=BLOCK + 100), max_size=12))
@settings(max_examples=30)
def test_what_is_kept_is_what_came(packets: list[bytes]) -> None:
    ring = PacketRing(1e9, 1 << 30)
    for n, data in enumerate(packets):
        ring.append(Packet(float(n), data, n == 0), FORM)
    assert [bytes(stored.packet.data) for stored in ring.since(0.0)] == packets
    assert all(memoryview(stored.packet.data).readonly for stored in ring.since(0.0))


def test_packets_lie_in_few_large_blocks_that_go_with_the_last_of_them() -> None:
    ring = filled(20.0, last=2000, size=9000, most=1 << 30)
    blocks = {id(memoryview(stored.packet.data).obj) for stored in ring.since(0.0)}
    assert len(ring.since(0.0)) > 200
    assert len(blocks) <= ring.held[1] / BLOCK + 2


def test_one_writes_while_another_reads() -> None:
    ring = PacketRing(0.5)
    stop = threading.Event()
    seen: list[float] = []

    def read() -> None:
        number = 0
        while not stop.is_set():
            for stored in ring.after(number):
                seen.append(stored.packet.at)
                number = stored.number

    reader = threading.Thread(target=read)
    reader.start()
    for n in range(3000):
        ring.append(Packet(n / 1000, b"x", n % 50 == 0), FORM)
    stop.set()
    reader.join()
    assert seen == sorted(set(seen))
