"""What FFmpeg may do with what others made: recordings, uploads and cameras' streams, any of which may be hostile.

Left alone, FFmpeg chooses by a file's content among hundreds of formats and decoders. Some of these formats are lists
that name other files and addresses to be read; some pictures are so large that one of them fills the memory. So what is
read is named here: formats that hold their own pictures, protocols, decoders, and the size of a picture.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    import av.container

MOST_PIXELS = 32 * 2**20  # of one picture: 8K fits
MOST_STRETCHED = 4  # how much wider than high, or higher than wide, a pixel may be; more is nonsense
CODECS = frozenset(
    {"h264", "hevc", "mjpeg", "mpeg4", "mpeg2video", "mpeg1video", "h263", "vp8", "vp9", "av1", "libdav1d"}
    | {"ffv1", "rawvideo"}
)
FORMATS = (
    "mov", "matroska", "avi", "mpegts", "mpeg", "mpegvideo", "flv", "h264", "hevc", "m4v", "mjpeg", "dhav", "hxvs",
)  # fmt: skip

MOST_BOXES = 100  # of a level of an MP4; few have ten
# Signs of a track's matrix (a, b, c, d) to degrees clockwise.
_TURNS: dict[tuple[int, ...], int] = {(0, 1, -1, 0): 90, (-1, 0, 0, -1): 180, (0, -1, 1, 0): 270}

MAY_LEAP = 0x0200  # AVFMT_TS_DISCONT, of formats in which time may leap
LEAP_S = 1.0  # what goes back by less is a stutter, or pictures in another order
HARDLY_S = 0.002  # from picture to picture while such a stutter lasts: they can still be told apart
PASSED_S = 1.0  # pictures aren't reordered by more
FAR_S = 86_400.0  # no recorder leaves out more within a file: what is further ahead is a clock that went wrong
EVER = (float("-inf"), float("inf"))

SHORTEST_S = 1 / 240  # from frame to frame; no camera of a warehouse takes more
MOST_STUMBLES = 100  # damaged places one after the other: a file in which nothing else comes isn't of its format

DECODING = {"max_pixels": str(MOST_PIXELS), "codec_whitelist": ",".join(sorted(CODECS))}
"""Options of a decoder. FFmpeg decodes while it opens, too, so they belong to both ways."""

RECORDED = {
    **DECODING,
    "protocol_whitelist": "file",
    "format_whitelist": ",".join(FORMATS),
    # FFmpeg takes any clock of 33 bits that goes back for one that began anew after 26 hours, as that of a camera that
    # was started anew is not: the rest would be of the next day. Whoever reads goes on where time leaps back.
    "correct_ts_overflow": "0",
}
"""Options with which a file is opened."""

LIVE = {
    **DECODING,
    "protocol_whitelist": "rtsp,rtsps,tcp,tls",
    "allowed_media_types": "video",  # sound would be decoded for nothing
    "max_streams": "16",
}
"""Options with which a camera is opened."""


def open_recording(path: Path) -> av.container.InputContainer:
    """A file, opened to be read.

    Raises:
        av.error.FFmpegError: It can't be, or isn't of a format in `FORMATS`.
    """
    import av

    return av.open(os.fspath(path), options=dict(RECORDED), metadata_errors="replace")


def film_of(container: av.container.InputContainer) -> av.VideoStream | None:
    """The video that is looked at, `None` where there is none.

    Of several it is the one with the most pixels: recorders write a small copy for phones beside it.
    """
    return max(container.streams.video, key=_readable_pixels, default=None)


def others_like(film: av.VideoStream) -> int:
    """How many more videos of its size there are: of other cameras, then."""
    return sum(_readable_pixels(one) == _readable_pixels(film) for one in film.container.streams.video) - 1


def _readable_pixels(film: av.VideoStream) -> int:
    from av.stream import Disposition

    context = film.codec_context
    if context is None or context.name not in CODECS or film.disposition & Disposition.attached_pic:
        return 0
    return context.width * context.height


def pixel_aspect(film: av.VideoStream) -> Fraction | None:
    """How wide a pixel is shown by its height, as the container says, else the stream; `None` where neither does."""
    return sound_aspect(film.sample_aspect_ratio or film.codec_context.sample_aspect_ratio)


def sound_aspect(told: Fraction | None) -> Fraction | None:
    """What was told of how wide a pixel is; 1 where that is nonsense: nobody could look at 704 pixels by 3."""
    if not told:
        return None
    return told if 1 / MOST_STRETCHED <= told <= MOST_STRETCHED else Fraction(1)


def turn_of(path: Path) -> int:
    """By how many degrees clockwise pictures of an MP4 or MOV are to be turned, as phones write; 0 of all others.

    What the container says, and it alone: browsers turn by nothing else, while FFmpeg also believes what some cameras
    write into key frames. Nothing is decoded. Formula: the matrix of the track header, ISO/IEC 14496-12, 8.3.2.
    """
    try:
        with path.open("rb") as file:
            tracks = list(_within(file, (b"moov", b"trak"), 0, path.stat().st_size))
            films = [_film_in(file, begin, end) for begin, end in tracks]
            _, matrix = max((film for film in films if film is not None), default=(0, ()))
            return _TURNS.get(matrix, 0)
    except (OSError, struct.error):
        return 0  # whoever reads it will say so


def _film_in(file: BinaryIO, begin: int, end: int) -> tuple[int, tuple[int, ...]] | None:
    """Pixels and the signs of the matrix of a track that holds video; `None` of others."""
    kind = next(_within(file, (b"mdia", b"hdlr"), begin, end), None)
    head = next(_within(file, (b"tkhd",), begin, end), None)
    if kind is None or head is None:
        return None
    file.seek(kind[0] + 8)
    if file.read(4) != b"vide":
        return None
    file.seek(head[0])
    is_long = file.read(1) == b"\1"  # its times have eight bytes each
    file.seek(head[0] + (52 if is_long else 40))
    a, b, _, c, d, _, _, _, _, width, height = struct.unpack("!9i2I", file.read(44))
    return width * height, tuple((value > 0) - (value < 0) for value in (a, b, c, d))


def _within(file: BinaryIO, names: tuple[bytes, ...], begin: int, end: int) -> Iterator[tuple[int, int]]:
    """Where the contents of boxes within boxes begin and end; of each level the first `MOST_BOXES` are looked at."""
    for _ in range(MOST_BOXES):
        if begin + 8 > end:
            return
        file.seek(begin)
        size, name = struct.unpack("!I4s", file.read(8))
        inner = begin + 8
        if size == 1:
            (size,), inner = struct.unpack("!Q", file.read(8)), begin + 16
        after = begin + size if size else end
        if not inner <= after <= end:
            return
        if name == names[0] and len(names) == 1:
            yield inner, after
        elif name == names[0]:
            yield from _within(file, names[1:], inner, after)
        begin = after


def frame_s(film: av.VideoStream, packet_s: float | None) -> float:
    """Seconds from frame to frame: what the last packet says of itself, else what its container does; else 1/25.

    A file whose times all stand still has a senseless average rate, while its packets know how long they are. Some are
    said to last one tick of a clock.
    """
    told = (packet_s, *(float(1 / rate) for rate in (film.average_rate, film.base_rate) if rate))
    return next((told_s for told_s in told if told_s is not None and told_s >= SHORTEST_S), 0.04)


def packets_of(
    container: av.container.InputContainer, film: av.VideoStream, damaged: Callable[[], None] = lambda: None
) -> Iterator[av.Packet[av.VideoStream]]:
    """Compressed packets of a file to its end; what can't be taken apart is left out.

    Args:
        container: The file.
        film: Which of its streams.
        damaged: Told of each such place.

    Raises:
        av.error.FFmpegError: It can't be read any further.
    """
    import av

    stumbles = 0
    while True:
        try:
            for packet in container.demux(film):
                stumbles = 0
                if container.format.name == "avi":
                    _show_before_a_pause(packet)
                yield packet
            return
        except av.error.InvalidDataError:  # what comes after it may well be whole
            damaged()
            stumbles += 1
            if stumbles > MOST_STUMBLES:
                raise


def _show_before_a_pause(packet: av.Packet[av.VideoStream]) -> None:
    """An AVI tells only when pictures are decoded; FFmpeg has each shown with the next one, after a pause, too."""
    if packet.pts is not None and packet.dts is not None and packet.duration:
        packet.pts = min(packet.pts, packet.dts + packet.duration)


def leaps(path: Path) -> bool:
    """Whether time goes back within a file, as in joined ones, or where a recorder wrote on after a lost connection.

    Or far ahead (`FAR_S`), where a camera's clock went wrong. Then nothing in it can be found by time. A file that
    can't be read doesn't leap.
    """
    return EVER in _told_twice(path)


def may_be_another(path: Path, offset_s: float) -> bool:
    """Whether a file that is entered at a time may give other pictures of then: it is to be read from its start.

    That is so of all of it where it leaps, else round the places where its clock was put back a little.

    Args:
        path: The file.
        offset_s: Seconds from its first picture.
    """
    return any(begin_s - PASSED_S <= offset_s <= end_s + PASSED_S for begin_s, end_s in _told_twice(path))


@lru_cache(maxsize=256)
def _told_twice(path: Path) -> tuple[tuple[float, float], ...]:
    """Stretches in which a file's time may come more than once, seconds from its first picture; `EVER` where it leaps.

    Only reading all of it tells, which is done for formats and lengths with which that may be, once in a process.
    """
    import av

    twice: list[tuple[float, float]] = []
    latest_s = float("-inf")
    try:
        with open_recording(path) as container:
            if not container.format.flags & MAY_LEAP and (container.duration or 0) < FAR_S * av.time_base:
                return ()
            film = film_of(container)
            for packet in () if film is None else packets_of(container, film):
                if packet.dts is not None and packet.time_base is not None:
                    at_s = float((packet.dts - (packet.stream.start_time or 0)) * packet.time_base)
                    if latest_s - at_s > LEAP_S or FAR_S < at_s - latest_s < float("inf"):
                        return (EVER,)
                    if at_s < latest_s:
                        begin_s = latest_s - LEAP_S
                        if twice and begin_s <= twice[-1][1]:
                            begin_s, _ = twice.pop()
                        twice.append((begin_s, latest_s))
                    latest_s = max(latest_s, at_s)
    except av.error.FFmpegError:  # who reads pictures says what is wrong
        pass
    return tuple(twice)
