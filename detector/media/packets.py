"""Compressed video as it came from a camera, and a ring that remembers the last seconds of it.

Evidence is cut from these packets without encoding anything: 1.3 ms of work a second of 720p, and no quality lost.
"""

from __future__ import annotations

import mmap
import threading
from collections import deque
from dataclasses import dataclass, replace
from typing import NamedTuple

BLOCK = 1 << 19  # bytes
HOLE_S = 3.0  # a picture that comes so long after the one before isn't as long: the camera was away


@dataclass(frozen=True, slots=True)
class StreamFormat:
    """What a packet's bytes are.

    Attributes:
        codec: By its FFmpeg name (`h264`, `hevc`, `mjpeg`).
        width: Of the picture as it is stored, pixels.
        height: Likewise.
        pixel_aspect: How wide a pixel is shown by its height (`shape`).
        turn: By how many degrees clockwise the picture is turned to be upright, as a recording says of itself.
    """

    codec: str
    width: int
    height: int
    pixel_aspect: float = 1.0
    turn: int = 0


@dataclass(frozen=True, slots=True)
class Packet:
    """One compressed picture.

    Attributes:
        at: When it is decoded, Unix seconds UTC; increases strictly within a camera.
        data: H.264 and H.265 as Annex B, with the parameter sets before every key frame, so that a clip may start at
            any of them and nothing else has to be kept. Read-only.
        key: Whether decoding can start here.
        shown_after: Seconds from decoding to showing; above zero where pictures are reordered (B-frames).
    """

    at: float
    data: bytes | memoryview
    key: bool
    shown_after: float = 0.0

    @property
    def shown_at(self) -> float:
        """When the picture is shown, Unix seconds UTC."""
        return self.at + self.shown_after


class Stored(NamedTuple):
    """A packet with its place in the ring's endless count."""

    number: int
    packet: Packet
    stream_format: StreamFormat


class Blocks:
    """Copies of packets' bytes, laid one after the other into large blocks.

    Kept each by itself, packets of all sizes lie between everything else for half a minute, and what is freed around
    them fits nothing: the heap creeps upwards for hours though no more is in use. Blocks are mapped outside it, and
    unmapped when the last view into them is gone.
    """

    def __init__(self) -> None:
        self._block = memoryview(bytearray())
        self._used = 0

    def copied(self, data: bytes | memoryview) -> memoryview:
        """The same bytes in a block, read-only; the block stays as long as this does."""
        end = self._used + len(data)
        if end > len(self._block):
            size = max(BLOCK, len(data))
            self._block = memoryview(mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))
            self._used, end = 0, len(data)
        self._block[self._used : end] = data
        view = self._block[self._used : end].toreadonly()
        self._used = end
        return view


class PacketRing:
    """The last `seconds` of a camera, always from a key frame on.

    One thread appends, others read. Whole groups of pictures are forgotten, oldest first, once the rest still covers
    `seconds`, or as soon as more than `largest_bytes` are held.
    """

    def __init__(self, seconds: float, largest_bytes: int = 64 << 20) -> None:
        self.seconds = seconds
        self.largest_bytes = largest_bytes
        self._groups: deque[list[Stored]] = deque()
        self._blocks = Blocks()
        self._bytes = 0
        self._count = 0
        self._lock = threading.Lock()

    def append(self, packet: Packet, stream_format: StreamFormat) -> None:
        """Remember a packet; those before the first key frame are of no use and are dropped."""
        with self._lock:
            self._count += 1
            if packet.key:
                self._groups.append([])
            if not self._groups:
                return
            kept = replace(packet, data=self._blocks.copied(packet.data))
            self._groups[-1].append(Stored(self._count, kept, stream_format))
            self._bytes += len(packet.data)
            while self._outlived(packet.at):
                self._bytes -= sum(len(stored.packet.data) for stored in self._groups.popleft())

    def _outlived(self, now: float) -> bool:
        if self._bytes > self.largest_bytes:
            return bool(self._groups)
        return len(self._groups) > 1 and self._groups[1][0].packet.at <= now - self.seconds

    def since(self, at: float) -> list[Stored]:
        """Packets from the last key frame shown at or before `at`, or from the oldest held when all are later.

        Where the camera was away at that time, from when it came back.
        """
        with self._lock:
            groups = list(self._groups)
            first = max((n for n, group in enumerate(groups) if group[0].packet.shown_at <= at), default=0)
            if first + 1 < len(groups):
                last, back = groups[first][-1].packet.shown_at, groups[first + 1][0].packet.shown_at
                first += last < at and back - last >= HOLE_S
            return [stored for group in groups[first:] for stored in group]

    def after(self, number: int) -> list[Stored]:
        """Packets that came after the one with this number.

        Should they be forgotten already, the answer starts at the oldest key frame held; a reader sees the gap in
        the numbers.
        """
        with self._lock:
            return [s for group in self._groups if group[-1].number > number for s in group if s.number > number]

    @property
    def held(self) -> tuple[float, int]:
        """Seconds and bytes held now."""
        with self._lock:
            if not self._groups:
                return 0.0, 0
            return self._groups[-1][-1].packet.at - self._groups[0][0].packet.at, self._bytes
