"""Evidence: the packets around an incident go into MP4 files, never encoded anew.

Nothing of the picture is lost and a second of 720p costs 1.3 ms; the price is that a clip begins at the key frame
before the moment asked for. H.264 and H.265 are both written; browsers play H.264 everywhere and H.265 rarely.

A segment grows as a fragmented MP4 (`.part`): after a power cut it still plays up to its last key frame, and the next
start makes a whole segment of it. Closed, it is rewritten with its index in front, so that a browser plays it while
it loads. Beside it lies its side file (`looks`), of all but salvaged segments.
"""

from __future__ import annotations

import hashlib
import io
import logging
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, dropwhile, islice
from pathlib import Path

import av
import av.container

from detector.alerts.looks import LookRing, Side, write_side
from detector.containers import DECODING, FAR_S, LEAP_S, leaps, open_recording
from detector.errors import SourceUnavailable, WireError
from detector.packets import HOLE_S, Packet, PacketRing, Stored, StreamFormat
from detector.sides import SUFFIX, read_side

logger = logging.getLogger(__name__)

TICKS = 90_000
WHOLE = float("inf")
# Without it FFmpeg holds back fragments until the end, and a full disk is no error to it.
WRITE_THROUGH = {"flush_packets": "1"}

_PART_NAME = re.compile(r"(?P<incident>.+)\.(?P<number>\d+)\.(?P<started_ms>\d+)\.part")


@dataclass(frozen=True, slots=True)
class Segment:
    """A finished piece of an incident's clip.

    Attributes:
        incident_id: The incident it shows.
        number: Counts an incident's segments, from 0.
        path: The MP4 file.
        sha256: Of the file, lower-case hex.
        bytes: Size of the file.
        started_at: When its first picture was taken, Unix seconds UTC.
        duration_s: Length, seconds.
        side: Its side file, if it has one.
    """

    incident_id: str
    number: int
    path: Path
    sha256: str
    bytes: int
    started_at: float
    duration_s: float
    side: Side | None = None


@dataclass(frozen=True, slots=True)
class Cut:
    """A piece cut from a recording: where it begins in the recording and how long it is, seconds."""

    path: Path
    sha256: str
    bytes: int
    start_s: float
    duration_s: float


class ClipRecorder:
    """Writes what a camera saw around the signals of its incidents.

    All calls come from the camera's own thread; the ring may be filled by another. Trouble with the disk is logged
    and costs the clip, never the alert.

    Args:
        folder: Where segments go; made when missing. One recorder to a folder.
        ring: The camera's last seconds.
        pre_roll_s: Seconds kept before what started the incident, as far as the ring reaches.
        post_roll_s: Seconds kept after its last signal.
        longest_s: A longer segment is closed at the next key frame and another begun there.
        on_segment: Is given every finished segment; answers `False` when it may not be safe with whom it was meant for
            yet: then the next start gives it once more, the same to the byte.
        looks: What was seen in the camera's last seconds, for side files; none are written when left out.
    """

    def __init__(
        self,
        folder: Path,
        ring: PacketRing,
        *,
        pre_roll_s: float,
        post_roll_s: float,
        longest_s: float = 600.0,
        on_segment: Callable[[Segment], bool | None],
        looks: LookRing | None = None,
    ) -> None:
        self._folder = folder
        self._looks = looks
        self._ring = ring
        self._pre_roll_s = pre_roll_s
        self._post_roll_s = post_roll_s
        self._longest_s = longest_s
        self._on_segment = on_segment
        self._takes: dict[str, _Take] = {}

    def salvage(self) -> int:
        """Make segments of what an earlier run left unfinished; returns how many. Call it before anything else."""
        saved = 0
        for draft in self._folder.glob(".*.draft"):
            draft.unlink()
        for part in sorted(self._folder.glob("*.part")):
            named = _PART_NAME.fullmatch(part.name)
            if named:
                saved += self._publish(part, named["incident"], int(named["number"]), int(named["started_ms"]) / 1000)
        return saved

    def start_or_extend(
        self, incident_id: str, at: float, since: float | None = None, tracks: Sequence[int] = ()
    ) -> None:
        """A signal of an incident came.

        Args:
            incident_id: Which.
            at: Frame time of the signal; recording goes on for `post_roll_s` after the last one.
            since: When that which it is about began, if earlier; the clip begins `pre_roll_s` before it.
            tracks: Who it is about, as far as is known by now.
        """
        take = self._takes.setdefault(incident_id, _Take())
        if not take.running:
            begin = max(take.recorded_to, min(at, since if since is not None else at) - self._pre_roll_s)
            stored = self._ring.since(begin)
            take.read_to = stored[0].number - 1 if stored else 0
            take.running = True
        take.last_signal_at = max(take.last_signal_at, at)
        take.tracks = tracks

    def tick(self, now: float) -> None:
        """Write what came in; close what is over. Call it for every frame with its time."""
        for incident_id, take in self._takes.items():
            if take.running:
                self._write(incident_id, take)
                if now >= take.last_signal_at + self._post_roll_s:
                    self._close(incident_id, take)
        self._hold_looks()

    def finish(self, incident_id: str | None = None) -> None:
        """Close the segments of one ended incident, or of all, with what the ring holds by now, and forget them."""
        for id_ in [incident_id] if incident_id is not None else list(self._takes):
            take = self._takes.pop(id_, None)
            if take and take.running:
                self._write(id_, take)
                self._close(id_, take)
        self._hold_looks()

    def _hold_looks(self) -> None:
        if self._looks is not None:
            self._looks.hold_from = min((t.part.started_at for t in self._takes.values() if t.part), default=None)

    def _write(self, incident_id: str, take: _Take) -> None:
        try:
            for stored in self._ring.after(take.read_to):
                if take.part and self._is_beyond(take, take.part, stored):
                    self._close(incident_id, take)
                    return
                if take.part and self._turns_over(take.part, stored):
                    self._close(incident_id, take)
                    take.running = True
                if take.part is None:
                    if not stored.packet.key:
                        continue
                    name = f"{incident_id}.{take.number}.{round(stored.packet.shown_at * 1000)}.part"
                    self._folder.mkdir(parents=True, exist_ok=True)
                    take.part = _Part(self._folder / name, stored.packet, stored.stream_format)
                take.part.write(stored.packet)
                take.read_to = stored.number
        except (OSError, av.error.FFmpegError, SourceUnavailable) as error:
            # One line for an incident, which may go on for long while the disk is full.
            level = logging.DEBUG if take.failed else logging.WARNING
            logger.log(level, "clip of incident %s can't be written: %s", incident_id, error)
            take.failed = True
            self._close(incident_id, take)

    def _turns_over(self, part: _Part, stored: Stored) -> bool:
        if stored.stream_format != part.stream_format:
            return True
        return stored.packet.key and stored.packet.shown_at - part.started_at >= self._longest_s

    def _is_beyond(self, take: _Take, part: _Part, stored: Stored) -> bool:
        """Whether the camera was away when the clip was to end, and is back: what follows is none of its business.

        Where packets between them are forgotten, it is only we who were away.
        """
        came_next, shown_at = stored.number == take.read_to + 1, stored.packet.shown_at
        over_at = take.last_signal_at + self._post_roll_s
        return came_next and shown_at - part.ended_at >= HOLE_S and shown_at > over_at

    def _close(self, incident_id: str, take: _Take) -> None:
        take.running = False
        part, take.part = take.part, None
        if part is None:
            return
        take.recorded_to = part.ended_at
        number = take.number
        take.number += 1
        try:
            part.close()
        except (OSError, av.error.FFmpegError) as error:
            # What was written up to here may still be whole.
            logger.warning("clip of incident %s breaks off: %s", incident_id, error)
        self._publish(part.path, incident_id, number, part.started_at, take.tracks)

    def _publish(
        self, part: Path, incident_id: str, number: int, started_at: float, tracks: Sequence[int] | None = None
    ) -> bool:
        """Make a segment of a part, with a side file if `tracks` are known: who the incident is about."""
        beside = self._folder / f"{incident_id}.{number}{SUFFIX}"
        side = None
        try:
            cut = cut_recording(part, 0.0, WHOLE, self._folder / f"{incident_id}.{number}.mp4")
            if tracks is None:
                side = _found_side(beside, incident_id, number, started_at)
            if side is None:
                beside.unlink(missing_ok=True)
            if tracks is not None:
                side = self._write_side(beside, incident_id, number, started_at, cut.duration_s, tracks)
        except OSError as error:
            # The disk may have room at the next start.
            logger.warning("clip of incident %s can't be finished, it stays as %s: %s", incident_id, part, error)
            return False
        except SourceUnavailable as error:
            if not part.stat().st_size:  # the disk was full when it began
                part.unlink()
                return False
            logger.warning("clip of incident %s holds nothing that can be read: %s", incident_id, error)
            part.rename(part.with_suffix(".broken"))
            return False
        segment = Segment(
            incident_id, number, cut.path, cut.sha256, cut.bytes, started_at, round(cut.duration_s, 3), side
        )
        if self._on_segment(segment) is not False:
            # Last of all: killed at any moment before, the next start makes the segment again.
            part.unlink(missing_ok=True)
        return True

    def _write_side(
        self, path: Path, incident_id: str, number: int, started_at: float, duration_s: float, tracks: Sequence[int]
    ) -> Side | None:
        if self._looks is None:
            return None
        try:
            return write_side(
                path,
                self._looks.between(started_at - 1.0, started_at + duration_s + 1.0),
                incident=incident_id,
                segment=number,
                started_at=started_at,
                duration_s=duration_s,
                tracks=tracks,
            )
        except OSError as error:
            logger.warning("clip of incident %s has no side file: %s", incident_id, error)
            return None


@dataclass(slots=True)
class _Take:
    """One incident's recording: `part` is the segment being written, and there is none before the first key frame."""

    running: bool = False
    failed: bool = False
    tracks: Sequence[int] = ()
    number: int = 0
    last_signal_at: float = 0.0
    recorded_to: float = 0.0
    read_to: int = 0
    part: _Part | None = None


class _Part:
    """A segment that grows; what is older than the last key frame survives a power cut."""

    def __init__(self, path: Path, first: Packet, stream_format: StreamFormat) -> None:
        self.path = path
        self.stream_format = stream_format
        self.started_at = first.shown_at
        self.ended_at = first.shown_at
        # delay_moov: the parameter sets come with the first packet, not before it.
        options = {"movflags": "+frag_keyframe+delay_moov+default_base_moof", **WRITE_THROUGH}
        self._container = av.open(os.fspath(path), "w", format="mp4", options=options)
        try:
            self._stream = self._container.add_mux_stream(
                stream_format.codec,
                width=stream_format.width,
                height=stream_format.height,
                time_base=Fraction(1, TICKS),
            )
        except ValueError as error:
            self._container.close()
            raise SourceUnavailable(f"MP4 holds no {stream_format.codec}") from error
        self._last_dts: int | None = None
        self._length = TICKS // 25

    def write(self, packet: Packet) -> None:
        out = av.Packet(bytes(packet.data))
        dts = round((packet.at - self.started_at) * TICKS)
        gap = TICKS // 25 if self._last_dts is None else max(1, dts - self._last_dts)
        out.dts = dts if self._last_dts is None else self._last_dts + gap
        out.pts = out.dts + round(packet.shown_after * TICKS)
        if gap < HOLE_S * TICKS:
            self._length = gap
        out.duration = self._length
        out.time_base = Fraction(1, TICKS)
        out.is_keyframe = packet.key
        out.stream = self._stream
        self._last_dts = out.dts
        self.ended_at = packet.shown_at
        self._container.mux(out)

    def close(self) -> None:
        self._container.close()


def _found_side(path: Path, incident_id: str, number: int, started_at: float) -> Side | None:
    """The side file that an earlier run wrote for this segment, if it got so far."""
    try:
        content = path.read_bytes()
        fields = read_side(io.BytesIO(content))
    except (OSError, WireError):
        return None
    about = fields["incident"], fields["segment"], fields["started_at_unix"]
    if about != (incident_id, number, round(started_at, 3)):
        return None
    return Side(path, hashlib.sha256(content).hexdigest(), len(content))


def cut_recording(path: Path, start_s: float, end_s: float, out: Path) -> Cut:
    """Copy the video of a time range into an MP4 of its own, from the key frame at or before its start; no sound.

    Args:
        path: A recorded file.
        start_s: Seconds from its first picture.
        end_s: Likewise; a picture at `end_s` is still copied.
        out: The file to make, whole or not at all; its folder is made when missing.

    Raises:
        SourceUnavailable: The recording can't be read, or has no picture in that range.
        OSError: `out` can't be written.
    """

    def make(draft: Path) -> tuple[float, float]:
        copy = _copy_in_order if _stands_still(path) else _copy
        return copy(path, start_s, end_s, draft)

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
        except OSError:
            raise
        except av.error.FFmpegError as error:
            raise SourceUnavailable(f"{source}: can't be cut: {error.strerror}") from error
        with draft.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            os.fsync(file.fileno())
        draft.rename(out)
    finally:
        draft.unlink(missing_ok=True)
    return Cut(out, digest, out.stat().st_size, start_at_s, duration_s)


def _opened(path: Path) -> av.container.InputContainer:
    """A recording with a video stream."""
    try:
        source = open_recording(path)
    except av.error.FFmpegError as error:
        raise SourceUnavailable(f"{path}: can't be opened: {error.strerror}") from error
    if not source.streams.video:
        source.close()
        raise SourceUnavailable(f"{path}: holds no video stream")
    if source.streams.video[0].codec_context is not None:
        source.streams.video[0].codec_context.options = dict(DECODING)
    return source


def add_copy(target: av.container.OutputContainer, stream: av.VideoStream) -> av.VideoStream:
    """A stream of an MP4, for packets of another one as they are.

    Raises:
        SourceUnavailable: MP4 holds no video of that codec.
    """
    try:
        # The codec itself: looked up by the name of its decoder, as AV1's `libdav1d`, there is none to write with.
        return target.add_stream_from_template(stream, opaque=True)
    except ValueError as error:
        raise SourceUnavailable(f"MP4 holds no {stream.codec_context.name}") from error


def _copy(path: Path, start_s: float, end_s: float, out: Path) -> tuple[float, float]:
    """Copy packets; seconds where the copy begins and how long it is."""
    with _opened(path) as source:
        stream = source.streams.video[0]
        base = stream.time_base or Fraction(1, TICKS)
        zero = stream.start_time or 0
        end = zero + end_s / base if end_s != WHOLE else WHOLE
        packets = _packets_between(source, stream, zero + round(start_s / base), end, leaps=leaps(path))
        first = next(packets, None)
        if first is None:
            raise SourceUnavailable(f"{path}: no picture between {start_s:.1f} s and {end_s:.1f} s")
        begin = end_of_last = _shown(first)
        with av.open(os.fspath(out), "w", format="mp4", options={"movflags": "+faststart", **WRITE_THROUGH}) as target:
            copy = add_copy(target, stream)
            for packet in chain([first], packets):
                shown = _shown(packet)
                end_of_last = max(end_of_last, shown + (packet.duration or 0))
                packet.pts, packet.dts = shown - begin, (packet.dts or 0) - begin
                packet.stream = copy
                target.mux(packet)
        return float((begin - zero) * base), float((end_of_last - begin) * base)


def _stands_still(path: Path) -> bool:
    """Whether a file's packets all claim the same time, as some recorders and muxers write them."""
    with _opened(path) as source:
        times = [p.dts for p in islice(source.demux(source.streams.video[0]), 12) if p.size]
    return len(times) > 1 and len(set(times)) == 1


def _copy_in_order(path: Path, start_s: float, end_s: float, out: Path) -> tuple[float, float]:
    """Like `_copy`, for a file without usable times: packets are taken to follow each other evenly.

    Pictures may be shown in another order than they are decoded in, which only the decoder knows: numbered packets
    go in, and the numbers come out with the pictures.
    """
    order: list[int] = []
    keys: list[int] = []
    count, length = 0, Fraction(1, 25)
    with _opened(path) as source:
        for packet in source.demux(source.streams.video[0]):
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
        _opened(path) as source,
        av.open(os.fspath(out), "w", format="mp4", options={"movflags": "+faststart", **WRITE_THROUGH}) as target,
    ):
        stream = source.streams.video[0]
        copy = add_copy(target, stream)
        ticks = max(1, round(length * TICKS))
        wanted = set(chosen)
        for number, packet in enumerate(p for p in source.demux(stream) if p.size):
            if number in wanted:
                packet.time_base = Fraction(1, TICKS)
                packet.pts, packet.dts = (rank[number] - begin) * ticks, (number - delay - begin) * ticks
                packet.duration = ticks
                packet.stream = copy
                target.mux(packet)
    return float(begin * length), float(len(chosen) * length)


def _packets_between(
    source: av.container.InputContainer, stream: av.VideoStream, start: int, end: float, *, leaps: bool
) -> Iterator[av.Packet[av.VideoStream]]:
    """Packets from the last key frame shown at or before `start` up to `end`, in the stream's ticks."""
    if leaps:
        packets = _in_line(_packets_from(source, stream, None))
        first = next(packets, None)
    else:
        packets = _packets_from(source, stream, start)
        first = next(packets, None)
        if first is None or _shown(first) > start:
            # Formats without an index are sought by guess and may land too late: read from the beginning instead.
            packets = _packets_from(source, stream, stream.start_time or 0)
            first = next(packets, None)
    group: list[av.Packet[av.VideoStream]] = []
    for packet in chain([first] if first else [], packets):
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


def _packets_from(
    source: av.container.InputContainer, stream: av.VideoStream, ticks: int | None
) -> Iterator[av.Packet[av.VideoStream]]:
    """Packets that are whole and carry a time, from the first key frame met after seeking, if told where to."""
    if ticks is not None:
        source.seek(ticks, stream=stream)
    usable = (p for p in source.demux(stream) if p.size and p.dts is not None and not p.is_corrupt)
    return dropwhile(lambda packet: not packet.is_keyframe, usable)


def _in_line(packets: Iterator[av.Packet[av.VideoStream]]) -> Iterator[av.Packet[av.VideoStream]]:
    """Packets from a file's beginning on one line of time, going on where theirs leaps, as that of looks does.

    Nothing can be sought in a file whose time leaps, so it is read from its beginning.
    """
    shift, last = 0, None
    for packet in packets:
        assert packet.dts is not None and packet.time_base is not None
        ahead_s = (packet.dts + shift - last) * packet.time_base if last is not None else 0
        if last is not None and not -LEAP_S <= ahead_s <= FAR_S:
            shift = last + (packet.duration or 0) - packet.dts
        # Where pictures are reordered, they are shown far ahead some packets before they are decoded there.
        waits = _shown(packet) - packet.dts
        shown = packet.dts + shift + (waits if waits * packet.time_base <= FAR_S else 0)
        last = packet.dts = packet.dts + shift
        packet.pts = shown
        yield packet


def _shown(packet: av.Packet[av.VideoStream]) -> int:
    ticks = packet.pts if packet.pts is not None else packet.dts
    assert ticks is not None
    return ticks
