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
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import av
import av.container

from detector.alerts.cutting import TICKS, WHOLE, WRITE_THROUGH, cut_recording
from detector.alerts.looks import LookRing, Side, write_side
from detector.errors import SourceUnavailable, WireError
from detector.media.packets import HOLE_S, Packet, PacketRing, Stored, StreamFormat
from detector.media.shape import AS_TOLD, Shape
from detector.media.sides import SUFFIX, read_side

logger = logging.getLogger(__name__)


RETRY_S = 60.0  # between two tries to finish what a full disk has left

_PART_NAME = re.compile(r"(?P<incident>.+)\.(?P<number>\d+)\.(?P<started_ms>\d+)(?:\.turn(?P<turn>\d+))?\.part")


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
        shape: How the pictures are shown, where the stream isn't to be believed.
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
        shape: Shape = AS_TOLD,
    ) -> None:
        self._folder = folder
        self._shape = shape
        self._looks = looks
        self._ring = ring
        self._pre_roll_s = pre_roll_s
        self._post_roll_s = post_roll_s
        self._longest_s = longest_s
        self._on_segment = on_segment
        self._takes: dict[str, _Take] = {}
        self._unfinished: list[tuple[Path, str, int, float, Sequence[int] | None]] = []
        self._retry_at = 0.0

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

    def is_unfinished(self, incident_id: str) -> bool:
        """Whether segments of an incident wait for room on the disk to be finished."""
        return any(of == incident_id for _, of, *_ in self._unfinished)

    def tick(self, now: float) -> None:
        """Write what came in; close what is over. Call it for every frame with its time."""
        for incident_id, take in self._takes.items():
            if take.running:
                self._write(incident_id, take)
                if now >= take.last_signal_at + self._post_roll_s:
                    self._close(incident_id, take)
        self._finish_what_was_left(now)
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
                    name = f"{incident_id}.{take.number}.{round(stored.packet.shown_at * 1000)}"
                    turn = stored.stream_format.turn if self._shape.turn is None else self._shape.turn
                    if turn:  # the part can't say it itself, and the next run may be configured otherwise
                        name += f".turn{turn}"
                    self._folder.mkdir(parents=True, exist_ok=True)
                    take.part = _Part(self._folder / f"{name}.part", stored.packet, stored.stream_format)
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
        """Make a segment of a part, and a side file if `tracks` are known: who the incident is about. Tells whether."""
        try:
            return self._published(part, incident_id, number, started_at, tracks)
        except OSError as error:
            logger.warning("clip of incident %s can't be finished, it stays as %s: %s", incident_id, part, error)
            if part.exists():  # the disk may have room in a minute; else the next start sees to it
                self._unfinished.append((part, incident_id, number, started_at, tracks))
            return False

    def _finish_what_was_left(self, now: float) -> None:
        if not self._unfinished:
            self._retry_at = now + RETRY_S
        elif now >= self._retry_at:
            self._retry_at = now + RETRY_S
            left, self._unfinished = self._unfinished, []
            for one in left:
                if one[0].exists():
                    self._publish(*one)

    def _shape_of(self, part: Path) -> Shape:
        named = _PART_NAME.fullmatch(part.name)
        return replace(self._shape, turn=int(named["turn"] or 0) if named is not None else 0)

    def _published(
        self, part: Path, incident_id: str, number: int, started_at: float, tracks: Sequence[int] | None
    ) -> bool:
        """Likewise.

        Raises:
            OSError: The disk fails, or somebody has deleted the part.
        """
        beside = self._folder / f"{incident_id}.{number}{SUFFIX}"
        side = None
        try:
            clip = self._folder / f"{incident_id}.{number}.mp4"
            cut = cut_recording(part, 0.0, WHOLE, clip, shape=self._shape_of(part))
            if tracks is None:
                side = _found_side(beside, incident_id, number, started_at)
            if side is None:
                beside.unlink(missing_ok=True)
            if tracks is not None:
                side = self._write_side(beside, incident_id, number, started_at, cut.duration_s, tracks)
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
