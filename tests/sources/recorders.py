"""Files as recorders of two makers write them, byte by byte: Hikvision's program streams and Dahua's frames.

No muxer of FFmpeg writes these; what is in them is H.264 or H.265 as `encoded` makes it.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from tests.sources.footage import grey_of

CLOCK = 90_000
H264, H265 = "libx264", "libx265"
BEGAN = datetime(2026, 11, 1, 9, 26, 13, 400_000, UTC)
When = Callable[[int], float]  # seconds that the clock of a picture's number is ahead


@dataclass(frozen=True, slots=True)
class Coded:
    """One picture as its coder left it: when it is shown, seconds."""

    at: float
    data: bytes
    key: bool


def encoded(
    codec: str = H264,
    seconds: float = 8.0,
    *,
    fps: int = 25,
    key_every: int = 25,
    size: tuple[int, int] = (320, 240),
    tells_rate: bool = True,
) -> list[Coded]:
    """Pictures of greys that tell their numbers (`footage.number_of`), as Annex B, none reordered.

    With `tells_rate` the stream says itself how many there are a second.
    """
    coder = av.CodecContext.create(codec, "w")
    coder.width, coder.height = size
    coder.pix_fmt, coder.time_base, coder.framerate, coder.thread_count = (
        "yuv420p",
        Fraction(1, fps if tells_rate else CLOCK),
        fps,
        1,
    )
    x264 = {"g": str(key_every), "keyint_min": str(key_every), "sc_threshold": "0", "bf": "0"}
    x265 = {"x265-params": f"keyint={key_every}:min-keyint={key_every}:bframes=0:log-level=error:pools=1"}
    coder.options = {"preset": "ultrafast", **(x264 if codec == H264 else x265)}
    packets = []
    for number in range(round(seconds * fps)):
        frame = av.VideoFrame.from_ndarray(np.full((size[1], size[0], 3), grey_of(number), np.uint8), "bgr24")
        frame.pts, frame.time_base = round(number / fps / coder.time_base), coder.time_base
        packets += coder.encode(frame)
    packets += coder.encode(None)
    return [Coded(float(p.pts * p.time_base), bytes(p), p.is_keyframe) for p in packets]


def encrypted(pictures: Sequence[Coded], codec: str = H264) -> list[Coded]:
    """The same with all but the parameter sets beyond recognition, as recorders encrypt what they export."""
    plain = (6, 7, 8, 9) if codec == H264 else (32, 33, 34, 35, 39)
    noise = np.random.default_rng(5)

    def told(unit: bytes) -> bytes:
        kind = unit[4] & 31 if codec == H264 else unit[4] >> 1 & 63
        return unit if kind in plain else unit[:6] + noise.integers(1, 255, len(unit) - 6, np.uint8).tobytes()

    return [Coded(one.at, b"".join(map(told, _units(one.data))), one.key) for one in pictures]


def hikvision(
    path: Path,
    pictures: Sequence[Coded],
    *,
    codec: str = H264,
    header: bytes = b"IMKH\x02\x01\x01\x00",
    ticks: int = 0,
    ahead_s: When = lambda number: 0.0,
    sound: bool = False,
    private: bool = False,
) -> Path:
    """An MPEG program stream behind a header of 40 bytes, each picture cut into many packets of which one has the time.

    Args:
        path: The file.
        pictures: What is in it.
        codec: Of these.
        header: What it begins with, filled up with zeros; nothing where it is empty.
        ticks: Where its clock of 33 bits begins.
        ahead_s: How far the clock of each picture is ahead.
        sound: Whether there is G.711, which FFmpeg is told of by the stream map alone.
        private: Whether there are private streams, too.
    """
    out = [header.ljust(40, b"\0") if header else b""]
    for number, one in enumerate(pictures):
        at = round((one.at + ahead_s(number)) * CLOCK) + ticks
        out.append(_pack_header(at, number + 0x12D687))
        if one.key:
            out.append(_stream_map(0x1B if codec == H264 else 0x24))
        times: list[int | None] = [at]
        parts = [unit[begin : begin + 5000] for unit in _units(one.data) for begin in range(0, len(unit), 5000)]
        out += [_pes(0xE0, part, times.pop() if times else None) for part in parts]
        if private:
            out += [_pes(0xBD, bytes(120), at), b"\0\0\1\xbf" + struct.pack(">H", 60) + bytes(60)]
        if sound:
            out.append(_pes(0xC0, bytes(range(256)), at))
    path.write_bytes(b"".join(out))
    return path


def dahua(
    path: Path, pictures: Sequence[Coded], *, codec: str = H264, ahead_s: When = lambda number: 0.0, sound: bool = False
) -> Path:
    """Frames of Dahua's own with the date to the second, and a count of milliseconds of 16 bits."""
    out: list[bytes] = []

    def frame(kind: int, more: bytes, data: bytes, at_s: float, number: int) -> None:
        when = BEGAN + timedelta(seconds=at_s)
        date = ((when.year - 2000) << 26) | (when.month << 22) | (when.day << 17)
        date |= (when.hour << 12) | (when.minute << 6) | when.second
        size = 24 + len(more) + len(data) + 8
        ms = round(at_s * 1000) % 65536
        head = b"DHAV" + struct.pack("<4B3IHB", kind, 0, 0, 0, number, size, date, ms, len(more))
        out.append(head + bytes([sum(head) & 255]) + more + data + b"dhav" + struct.pack("<I", size))

    for number, one in enumerate(pictures):
        told = bytes([0x80, 0, 40, 30, 0x81, 0, 8 if codec == H264 else 12, 25]) if one.key else b""
        frame(0xFD if one.key else 0xFC, told, one.data, one.at + ahead_s(number), number)
        if sound:
            frame(0xF0, bytes([0x83, 1, 0x0E, 0]), bytes(range(256)), one.at + ahead_s(number), number)
    path.write_bytes(b"".join(out))
    return path


def _units(data: bytes) -> list[bytes]:
    return [b"\0\0\0\1" + unit for unit in re.split(rb"\x00{2,3}\x01", data) if unit]


def _pack_header(at: int, number: int) -> bytes:
    """With a count of pictures as its stuffing."""
    at &= (1 << 33) - 1
    marked = (
        1 << 46 | (at >> 30) << 43 | 1 << 42 | (at >> 15 & 0x7FFF) << 27 | 1 << 26 | (at & 0x7FFF) << 11 | 1 << 10 | 1
    )
    return b"\0\0\1\xba" + marked.to_bytes(6, "big") + b"\0\3\xff\xfe\xff\xff" + struct.pack(">I", number)


def _stream_map(video: int) -> bytes:
    streams = bytes([video, 0xE0, 0, 0, 0x90, 0xC0, 0, 0, 0xBD, 0xBD, 0, 0, 0xBF, 0xBF, 0, 0])
    body = b"\xe0\xff\0\0" + struct.pack(">H", len(streams)) + streams + bytes(4)
    return b"\0\0\1\xbc" + struct.pack(">H", len(body)) + body


def _pes(stream: int, data: bytes, at: int | None) -> bytes:
    head = b"\x88\0\x03\xff\xff\xff"
    if at is not None:
        at &= (1 << 33) - 1
        parts = 2 << 4 | at >> 29 & 14 | 1, at >> 22 & 255, at >> 14 & 254 | 1, at >> 7 & 255, at << 1 & 254 | 1
        head = b"\x8c\x80\x0a" + bytes(parts) + b"\xff" * 5
    return b"\0\0\1" + bytes([stream]) + struct.pack(">H", len(head) + len(data)) + head + data
