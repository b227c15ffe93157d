"""A piece of a recording becomes an MP4 of its own: its packets are copied, never encoded anew."""

from __future__ import annotations

import errno
import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, dropwhile, islice
from pathlib import Path

import av
import av.container

from detector.errors import SourceUnavailable
from detector.media.containers import (
    DECODING,
    FAR_S,
    HARDLY_S,
    LEAP_S,
    film_of,
    frame_s,
    may_be_another,
    open_recording,
    packets_of,
    pixel_aspect,
)
from detector.media.packets import HOLE_S
from detector.media.shape import AS_TOLD, Shape, level_size, turn_in

TICKS = 90_000
WHOLE = float("inf")
MOST_REORDERED = 16  # pictures that are decoded before one that is shown before them; no codec takes more
# Without it FFmpeg holds back fragments until the end, and a full disk is no error to it.
WRITE_THROUGH = {"flush_packets": "1"}


@dataclass(frozen=True, slots=True)
class Cut:
    """A piece cut from a recording: where it begins in the recording and how long it is, seconds."""

    path: Path
    sha256: str
    bytes: int
    start_s: float
    duration_s: float


def cut_recording(path: Path, start_s: float, end_s: float, out: Path, *, shape: Shape = AS_TOLD) -> Cut:
    """Copy the video of a time range into an MP4 of its own, from the key frame at or before its start; no sound.

    Args:
        path: A recorded file.
        start_s: Seconds from its first picture.
        end_s: Likewise; a picture at `end_s` is still copied.
        out: The file to make, whole or not at all; its folder is made when missing.
        shape: How its pictures are to be shown, where the recording isn't to be believed.

    Raises:
        SourceUnavailable: The recording can't be read, or has no picture in that range.
        OSError: `out` can't be written.
    """

    def make(draft: Path) -> tuple[float, float]:
        copy = _copy_in_order if _stands_still(path) else _copy
        return copy(path, start_s, end_s, draft, Shape(shape.aspect, turn_in(path, shape)))

    return made_whole(out, path, make)


def made_whole(out: Path, source: Path, make: Callable[[Path], tuple[float, float]]) -> Cut:
    """Make a clip that is there whole or not at all; its folder is made when missing.

    Args:
        out: The file.
        source: What it is made of, for the error.
        make: Writes the file it is given; tells where in the source it begins, and how long it is, seconds.

    Raises:
        SourceUnavailable: It can't be made of that.
        OSError: `out` can't be written.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    draft = out.with_name(f".{out.name}.draft")
    try:
        try:
            start_at_s, duration_s = make(draft)
        except OSError as error:
            if not isinstance(error, av.error.FFmpegError) or error.errno != errno.EPERM:
                raise
            # Its readers say -1 of what they can't do: no disk is full or gone, and no other clip has to wait.
            raise SourceUnavailable(f"{source}: can't be cut: {error.strerror}") from error
        except av.error.FFmpegError as error:
            raise SourceUnavailable(f"{source}: can't be cut: {error.strerror}") from error
        with draft.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            os.fsync(file.fileno())
        draft.rename(out)
    finally:
        draft.unlink(missing_ok=True)
    return Cut(out, digest, out.stat().st_size, start_at_s, duration_s)


@contextmanager
def _opened(path: Path) -> Iterator[tuple[av.container.InputContainer, av.VideoStream]]:
    """A recording, and the video in it."""
    try:
        source = open_recording(path)
    except av.error.FFmpegError as error:
        raise SourceUnavailable(f"{path}: can't be opened: {error.strerror}") from error
    with source:
        film = film_of(source)
        if film is None:
            raise SourceUnavailable(f"{path}: holds no video stream")
        if film.codec_context is not None:
            film.codec_context.options = dict(DECODING)
        yield source, film


def add_copy(target: av.container.OutputContainer, stream: av.VideoStream, shape: Shape = AS_TOLD) -> av.VideoStream:
    """A stream of an MP4, for packets of another one as they are, shown as it is looked at (`shape.shown`).

    Raises:
        SourceUnavailable: MP4 holds no video of that codec.
    """
    try:
        # The codec itself: looked up by the name of its decoder, as AV1's `libdav1d`, there is none to write with.
        copy = target.add_stream_from_template(stream, opaque=True)
    except ValueError as error:
        raise SourceUnavailable(f"MP4 holds no {stream.codec_context.name}") from error
    if stream.codec_context.name == "hevc" and stream.codec_context.extradata:
        # Apple's players, Safari among them, play H.265 that is called so, but not `hev1`, which FFmpeg calls it.
        copy.codec_context.codec_tag = "hvc1"
    told, stored = pixel_aspect(stream), (stream.codec_context.width, stream.codec_context.height)
    if min(stored) > 0 and (told is not None or shape.aspect is not None):
        width, height = level_size(stored, float(told or 1), shape.aspect)
        copy.codec_context.sample_aspect_ratio = Fraction(width * stored[1], height * stored[0])
    if shape.turn is not None:
        copy.set_display_rotation(-shape.turn)
    return copy


def _copy(path: Path, start_s: float, end_s: float, out: Path, shape: Shape) -> tuple[float, float]:
    """Copy packets; seconds where the copy begins and how long it is."""
    with ExitStack() as opened:
        source, stream = opened.enter_context(_opened(path))
        base = stream.time_base or Fraction(1, TICKS)
        zero = stream.start_time or 0
        end = zero + end_s / base if end_s != WHOLE else WHOLE
        start = zero + round(start_s / base)
        found = None if may_be_another(path, start_s) else _entered(source, stream, start)
        if found is None:
            source, stream = opened.enter_context(_opened(path))
            found = _in_line(_usable(source, stream))
        packets = _between(found, start, end)
        if source.format.name == "avi" and stream.codec_context.has_b_frames:
            packets = _as_shown(packets, stream)
        first = next(packets, None)
        if first is None:
            raise SourceUnavailable(f"{path}: no picture between {start_s:.1f} s and {end_s:.1f} s")
        begin = end_of_last = _shown(first)
        with av.open(os.fspath(out), "w", format="mp4", options={"movflags": "+faststart", **WRITE_THROUGH}) as target:
            copy = add_copy(target, stream, shape)
            last_dts, length = None, max(1, round(Fraction(1, 25) / base))
            for packet in chain([first], packets):
                shown = _shown(packet)
                if (packet.duration or 0) * base >= HOLE_S:  # so an MP4 says of the last before a pause
                    packet.duration = length
                length = packet.duration or length
                end_of_last = max(end_of_last, shown + (packet.duration or 0))
                packet.pts, packet.dts = shown - begin, (packet.dts or 0) - begin
                if last_dts is not None and packet.dts <= last_dts:  # no muxer takes a time twice
                    packet.dts = last_dts + 1
                    packet.pts = max(packet.pts, packet.dts)
                last_dts = packet.dts
                packet.stream = copy
                target.mux(packet)
        return float((begin - zero) * base), float((end_of_last - begin) * base)


def _stands_still(path: Path) -> bool:
    """Whether a file's packets all claim the same time, as some recorders and muxers write them."""
    with _opened(path) as (source, stream):
        times = [p.dts for p in islice(packets_of(source, stream), 12) if p.size]
    return len(times) > 1 and len(set(times)) == 1


def _copy_in_order(path: Path, start_s: float, end_s: float, out: Path, shape: Shape) -> tuple[float, float]:
    """Like `_copy`, for a file without usable times: packets are taken to follow each other evenly.

    Pictures may be shown in another order than they are decoded in, which only the decoder knows: numbered packets
    go in, and the numbers come out with the pictures.
    """
    order: list[int] = []
    keys: list[int] = []
    count, length = 0, Fraction(1, 25)
    with _opened(path) as (source, stream):
        for packet in packets_of(source, stream):
            if packet.size:
                if packet.duration and packet.time_base:
                    length = packet.duration * packet.time_base
                if packet.is_keyframe:
                    keys.append(count)
                packet.pts = packet.dts = count
                count += 1
            order += [frame.pts for frame in packet.decode() if frame.pts is not None]
    rank = {number: place for place, number in enumerate(order)}
    delay = max((number - place for number, place in rank.items()), default=0)
    begin = max((k for k in keys if k * length <= start_s), default=0)
    chosen = [n for n in range(begin, count) if n in rank and begin <= rank[n] and rank[n] * length <= end_s]
    if not chosen:
        raise SourceUnavailable(f"{path}: no picture between {start_s:.1f} s and {end_s:.1f} s")
    with (
        _opened(path) as (source, stream),
        av.open(os.fspath(out), "w", format="mp4", options={"movflags": "+faststart", **WRITE_THROUGH}) as target,
    ):
        copy = add_copy(target, stream, shape)
        ticks = max(1, round(length * TICKS))
        wanted = set(chosen)
        for number, packet in enumerate(p for p in packets_of(source, stream) if p.size):
            if number in wanted:
                packet.time_base = Fraction(1, TICKS)
                packet.pts, packet.dts = (rank[number] - begin) * ticks, (number - delay - begin) * ticks
                packet.duration = ticks
                packet.stream = copy
                target.mux(packet)
    return float(begin * length), float(len(chosen) * length)


def _between(
    packets: Iterator[av.Packet[av.VideoStream]], start: int, end: float
) -> Iterator[av.Packet[av.VideoStream]]:
    """Packets from the last key frame shown at or before `start` up to `end`, in the stream's ticks."""
    group: list[av.Packet[av.VideoStream]] = []
    for packet in packets:
        assert packet.dts is not None
        if packet.dts <= start:
            # Not there yet: hold the newest group of pictures that begins in time.
            if packet.is_keyframe and _shown(packet) <= start:
                group.clear()
            group.append(packet)
        elif packet.dts > end:
            break
        else:
            yield from group
            group.clear()
            yield packet
    if group and max(map(_shown, group)) >= start:
        yield from group


def _as_shown(
    packets: Iterator[av.Packet[av.VideoStream]], stream: av.VideoStream
) -> Iterator[av.Packet[av.VideoStream]]:
    """Packets of an AVI, which tells only when they are decoded, with the times at which they are shown.

    Only the decoder knows their order: the first picture out of it is shown one later than the first was decoded, as
    FFmpeg tells it of looks, and so on. What gives no picture is left out.
    """
    held = list(packets)
    order: list[int] = []
    for packet in [*held, None]:
        if packet is not None:
            packet.pts = packet.dts
        with suppress(av.error.InvalidDataError):
            order += [frame.pts for frame in stream.decode(packet) if frame.pts is not None]
    place = {at: n for n, at in enumerate(dict.fromkeys(order))}
    seen = [packet for packet in held if packet.dts in place]
    decoded = [_shown(packet) for packet in seen]
    delay = max((n - place[at] for n, at in enumerate(decoded)), default=0)
    for n, packet in enumerate(seen):
        packet.pts = decoded[place[decoded[n]]] + _frame_ticks(packet)
        packet.dts = decoded[max(0, n - delay)] - max(0, delay - n) * _frame_ticks(packet)
        yield packet


def _entered(
    source: av.container.InputContainer, stream: av.VideoStream, ticks: int
) -> Iterator[av.Packet[av.VideoStream]] | None:
    """Packets from a key frame shown at or before a time; `None` where a file can't be entered there.

    Dahua's refuse their first seconds, and give nothing more then. Formats without an index are sought by guess, and
    may land too late, even where their beginning is sought.
    """
    try:
        source.seek(ticks, stream=stream)
        packets = _usable(source, stream)
        first = next(packets, None)
    except av.error.FFmpegError:
        return None
    return chain([first], packets) if first is not None and _shown(first) <= ticks else None


def _usable(source: av.container.InputContainer, stream: av.VideoStream) -> Iterator[av.Packet[av.VideoStream]]:
    """Packets that are whole and carry a time, from the first key frame on."""
    whole = (p for p in _timed(packets_of(source, stream), stream) if not p.is_corrupt)
    return dropwhile(lambda packet: not packet.is_keyframe, whole)


def _timed(packets: Iterator[av.Packet[av.VideoStream]], stream: av.VideoStream) -> Iterator[av.Packet[av.VideoStream]]:
    """Packets that carry a time; where some are told none and are shown as they come, each follows the one before.

    Where pictures are reordered, FFmpeg tells of the first ones read when they are shown alone: they are decoded
    before the one that it tells both of.
    """
    last = None
    untold: deque[av.Packet[av.VideoStream]] = deque(maxlen=MOST_REORDERED)
    for packet in packets:
        if packet.dts is None and last is not None and not stream.codec_context.has_b_frames:
            packet.pts = packet.dts = last + _frame_ticks(packet)
        if packet.dts is None and packet.pts is not None and packet.size:
            untold.append(packet)
        last = packet.dts
        if packet.size and last is not None:
            for place, early in enumerate(untold):
                early.dts = last - (len(untold) - place) * _frame_ticks(early)
                yield early
            untold.clear()
            yield packet


def _frame_ticks(packet: av.Packet[av.VideoStream]) -> int:
    base = packet.time_base or Fraction(1, TICKS)
    told_s = float(packet.duration * base) if packet.duration else None
    return max(1, round(frame_s(packet.stream, told_s) / base))


def _in_line(packets: Iterator[av.Packet[av.VideoStream]]) -> Iterator[av.Packet[av.VideoStream]]:
    """Packets from a file's beginning on one line of time, which goes on where theirs goes back, as that of looks does.

    Nothing can be sought in a file whose time leaps, so it is read from its beginning.
    """
    shift, last = 0, None
    for packet in packets:
        assert packet.dts is not None and packet.time_base is not None
        ahead_s = (packet.dts + shift - last) * packet.time_base if last is not None else 0
        if last is not None and not -LEAP_S <= ahead_s <= FAR_S:
            shift = last + _frame_ticks(packet) - packet.dts
        # Where pictures are reordered, they are shown far ahead some packets before they are decoded there.
        waits = _shown(packet) - packet.dts
        shown = packet.dts + shift + (waits if waits * packet.time_base <= FAR_S else 0)
        packet.dts += shift
        if last is not None and packet.dts < last:
            packet.dts = last + round(HARDLY_S / packet.time_base)
            shown = max(shown, packet.dts)
        last, packet.pts = packet.dts, shown
        yield packet


def _shown(packet: av.Packet[av.VideoStream]) -> int:
    ticks = packet.pts if packet.pts is not None else packet.dts
    assert ticks is not None
    return ticks
