"""A recorded file as frames: its time is the start time given plus the time in the file."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from zoneinfo import ZoneInfo

import av
import numpy as np
from numpy.typing import NDArray

from detector.errors import NotThere, SourceUnavailable
from detector.media.containers import FAR_S, HARDLY_S, LEAP_S, PASSED_S, leaps, may_be_another, open_recording, turn_of
from detector.media.packets import Packet
from detector.media.pictures import Picture
from detector.media.shape import AS_TOLD, Shape, shown, turn_in
from detector.sources.decoded import picture_of
from detector.sources.key_frames import Undecoded, scanned
from detector.sources.pacing import Pacer
from detector.sources.video import LONGEST_S, OnPacket, Step, Video, seconds
from detector.values import Frame

SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".3gp", ".mkv", ".webm", ".avi", ".ts", ".mts", ".m2ts", ".mpg", ".mpeg", ".ps", ".vob"}
    | {".flv", ".dav", ".h264", ".264", ".avc", ".h265", ".265", ".hevc"}
    | {".asf", ".wmv"}  # not read, but footage all the same: it is told that nobody saw it
)


Changed = Callable[[Frame], bool]

ASF = bytes.fromhex("3026b2758e66cf11")  # what Windows Media files begin with
BOXES = frozenset({b"ftyp", b"styp", b"moof", b"mdat", b"free", b"wide"})  # what MP4 files begin with, after a length
ARCHIVES = (b"PK\x03\x04", b"Rar!", b"7z\xbc\xaf")
SAME_S = 0.001  # times of one picture differ by rounding only
HOLE_S = 10.0  # recorders that record on motion leave such stretches out


class Recording:
    """Frames of one file, once through.

    Only the frames that `due` chooses are given, and none is converted to BGR before somebody asks for that.
    What can't be decoded is counted in `decode_errors` and left out; a file that breaks off ends there.

    Args:
        path: The file.
        camera: Name of the camera it was recorded by.
        start_at: When its first picture was taken, Unix seconds UTC.
        fps: Frames a second to give; fewer where the file has fewer.
        on_packet: Is given every packet, before the frame it holds; `Packet.at` counts like `captured_at`.
        due: Chooses frames by seconds into the file, instead of an even `fps`.
        first_index: `Frame.index` of the first picture.
        shape: How its pictures are shown, where the file isn't to be believed.
        changed: Has the file read by key frames (`key_frames.scanned`): it is shown each, ahead of time, and only what
            is round those it says yes to is decoded and given. No packets are given then.

    Attributes:
        frames_decoded: Pictures.
        undecoded: Stretches of which no more than key frames were decoded, seconds into the file.
        frames_undecoded: Pictures in these.
        broken_off: It can't be read to its end.
        disk_failed: That is so since the disk or the network gave nothing back, which may pass.
        end_s: Seconds of video read.
        is_untimed: Its times are counted, by a rate that may be wrong.

    Raises:
        SourceUnavailable: The file can't be opened, and why; its cause is an `OSError` where that may pass. Iterating
            raises it, too, where its pictures are mirrored, turned but not by quarters, or turned in another format
            than MP4 and MOV.
    """

    def __init__(
        self,
        path: Path,
        *,
        camera: str,
        start_at: float,
        fps: float,
        on_packet: OnPacket | None = None,
        due: Callable[[float], bool] | None = None,
        first_index: int = 0,
        changed: Changed | None = None,
        shape: Shape = AS_TOLD,
    ) -> None:
        self.path = path
        self._camera = camera
        self._start_at = start_at
        self._due = due or Pacer(fps, start_at).due
        self._on_packet = on_packet
        self._video = _open(path, evidence=on_packet is not None)
        self.is_untimed = self._video.is_untimed
        self._first_index = first_index
        self._changed = changed
        self._shape = shape
        self._turn = turn_of(path) if shape.turn is None else 0
        self.frames_decoded = self.frames_undecoded = 0
        self.undecoded: list[tuple[float, float]] = []
        self.broken_off = self.disk_failed = False
        self.end_s = 0.0
        self._last_s: float | None = None
        self._holes: list[tuple[float, float]] = []

    @property
    def holes(self) -> list[tuple[float, float]]:
        """Stretches without a picture, seconds into the file; a camera that takes one now and then leaves none."""
        return self._holes if 2 * len(self._holes) < self.frames_decoded + self.frames_undecoded else []

    @property
    def duration_s(self) -> float | None:
        """Seconds of video as the file says; `None` when it doesn't, or can't know. `end_s` is what was really read."""
        return _said_s(self._video, self.path)

    @property
    def others(self) -> int:
        """Videos in it that are as large and aren't given."""
        return self._video.others

    @property
    def decode_errors(self) -> int:
        """Packets and pictures that were damaged."""
        return self._video.decode_errors

    def __iter__(self) -> Iterator[Frame]:
        """Yield the chosen frames; stops where the file can't be read any further (`broken_off`)."""
        shown, decoded = _Timeline(self._video.start_s), _Timeline(self._video.start_s)
        steps = self._video.steps() if self._changed is None else scanned(self._video, self._key_frame_changed)
        while True:
            try:
                step = next(steps, None)
            except av.error.FFmpegError as error:
                self.broken_off = True
                self.disk_failed = isinstance(error, OSError)
                return
            if step is None:
                return
            frame_s = self._video.frame_s
            if isinstance(step, Undecoded):
                for undecoded_s in step.times:
                    self._leave_out(shown.at(undecoded_s, frame_s), frame_s)
                continue
            if self._on_packet and step.data:
                at = self._start_at + decoded.at(step.decoded_s, frame_s)
                stream_format = replace(self._video.format, turn=self._turn)
                self._on_packet(Packet(at, step.data, step.key, step.shown_after), stream_format)
            if not step.pictures:
                self._note_undecoded(step, frame_s)
            for stream_s, picture in step.pictures:
                if not picture.key_frame:
                    self._check_turn(picture)
                offset_s = shown.at(stream_s, frame_s)
                index = self._first_index + self.frames_decoded + self.frames_undecoded
                self._reach(offset_s, frame_s)
                self.frames_decoded += 1
                if self._due(offset_s):
                    at = self._start_at + offset_s
                    yield Frame(self._camera, index, at, self._shown(picture), self.path.name, offset_s)

    def _shown(self, decoded: av.VideoFrame) -> Picture:
        return shown(picture_of(decoded), self._shape, pixel_aspect=self._video.pixel_aspect, turn=self._turn)

    def _check_turn(self, picture: av.VideoFrame) -> None:
        # Clips are copied and shown by others: all have to be turned alike, or they tell lies. What key frames say is
        # left out, since cameras write there what browsers don't know.
        turn = -picture.rotation % 360
        if self._shape.turn is None and turn != self._turn:
            hint = "ffmpeg -i FILE UPRIGHT.mp4 makes a recording that can be looked at"
            raise SourceUnavailable(f"{self.path}: its pictures are turned by {turn}°: {hint}")

    def _key_frame_changed(self, stream_s: float, picture: av.VideoFrame) -> bool:
        assert self._changed is not None
        offset_s = stream_s - (self._video.start_s or 0.0)
        index = self._first_index + round(offset_s / self._video.frame_s)
        return self._changed(
            Frame(self._camera, index, self._start_at + offset_s, self._shown(picture), self.path.name, offset_s)
        )

    def _leave_out(self, offset_s: float, frame_s: float) -> None:
        self._due(offset_s)  # the frames after are chosen as if it were there
        self.frames_undecoded += 1
        self._reach(offset_s, frame_s)
        begin_s = offset_s
        if self.undecoded and offset_s - self.undecoded[-1][1] < frame_s:
            begin_s, _ = self.undecoded.pop()
        self.undecoded.append((begin_s, offset_s + frame_s))

    def _reach(self, offset_s: float, frame_s: float) -> None:
        """There is a picture so many seconds into the file."""
        if self._last_s is not None and offset_s - self._last_s > HOLE_S:
            self._holes.append((self._last_s, offset_s))
        self._last_s = offset_s
        self.end_s = offset_s + frame_s

    def _note_undecoded(self, step: Step, frame_s: float) -> None:
        """What isn't decoded at rest belongs to the film all the same, which ends with it."""
        if self._video.resting and step.decoded_s is not None and self._video.start_s is not None:
            end_s = step.decoded_s + step.shown_after - self._video.start_s + frame_s
            if 0 < end_s - self.end_s <= LONGEST_S:  # times that make no sense say nothing
                self.end_s = end_s

    def skip_to(self, offset_s: float) -> None:
        """Begin at the last key frame before a picture so many seconds into the file; to be called before iterating.

        Times stay those of the file as far as it gives any. A file that can't be entered is read from its beginning.
        """
        if not self._video.seek(offset_s):
            self._video.close()
            self._video = _open(self.path, evidence=self._on_packet is not None)

    def rest(self, resting: bool) -> None:
        """Whether key frames are enough for now."""
        self._video.resting = resting

    def close(self) -> None:
        """Release the file; safe to call twice."""
        self._video.close()


class RecordedPicture:
    """A picture of a file, decoded when it is asked for.

    Args:
        path: The file.
        offset_s: When it is shown, seconds into the file, as `Frame.offset_s` was.
        size: Width and height in which it is shown, pixels.
        shape: As of `Recording`.
    """

    def __init__(self, path: Path, offset_s: float, size: tuple[int, int], shape: Shape = AS_TOLD) -> None:
        self._path = path
        self._offset_s = offset_s
        self._shape = shape
        self.size = size

    def bgr(self) -> NDArray[np.uint8]:
        """The whole, `(H, W, 3)` BGR.

        Raises:
            SourceUnavailable: It can't be found any more.
        """
        return self._picture.bgr()

    def luma(self) -> NDArray[np.uint8]:
        """Its brightness, `(H, W)`; as `bgr`."""
        return self._picture.luma()

    @property
    def levels(self) -> tuple[int, int]:
        """What black and white are in `luma`; as `bgr`."""
        return self._picture.levels

    @property
    def turn(self) -> int:
        """Degrees clockwise by which it was turned."""
        return turn_in(self._path, self._shape)

    def resized(self, width: int, height: int) -> NDArray[np.uint8]:
        """A copy of this size; as `bgr`."""
        return self._picture.resized(width, height)

    def cropped(self, left: int, top: int, right: int, bottom: int) -> NDArray[np.uint8]:
        """A part of it; as `bgr`."""
        return self._picture.cropped(left, top, right, bottom)

    def _is_it(self, at_s: float) -> bool:
        if at_s > self._offset_s + PASSED_S:
            raise _PassedBy
        return abs(at_s - self._offset_s) < SAME_S

    @cached_property
    def _picture(self) -> Picture:
        # Where a file can't be entered in its middle, it is read from its start.
        for begin_s in (None,) if may_be_another(self._path, self._offset_s) else (self._offset_s, None):
            recording = Recording(self._path, camera="", start_at=0.0, fps=1.0, due=self._is_it, shape=self._shape)
            try:
                if begin_s is not None:
                    recording.skip_to(begin_s)
                for frame in recording:
                    return frame.picture
            except _PassedBy:
                continue
            finally:
                recording.close()
        raise SourceUnavailable(f"{self._path}: has no picture at {self._offset_s:.3f} s any more")


class _PassedBy(Exception):  # noqa: N818 - it says what happened
    """What is looked for isn't there."""


class _Timeline:
    """Seconds since a stream began, strictly increasing.

    Missing times, and times that stand still, are filled in by the frame rate; where time jumps back (joined files) or
    ahead by more than `FAR_S`, it goes on from where it was. What goes back by less than `LEAP_S` is a stutter: time
    hardly goes on until the stream's own is ahead, and holds again. Jumps ahead of less than `FAR_S` stand: recorders
    that record on motion have real gaps.
    """

    def __init__(self, start_s: float | None) -> None:
        self._start_s = start_s
        self._last: float | None = None
        self._told_s: float | None = None

    def at(self, stream_s: float | None, frame_s: float) -> float:
        """Seconds for the next time in the stream, frames being `frame_s` apart where it doesn't say."""
        expected = 0.0 if self._last is None else self._last + frame_s
        found = expected
        if stream_s is not None and stream_s != self._told_s:
            # Decoding begins a little before the first picture is shown, hence not below -1 rather than 0.
            earliest, latest = (-1.0, FAR_S) if self._last is None else (self._last - LEAP_S, self._last + FAR_S)
            if self._start_s is None or not earliest < stream_s - self._start_s <= latest:
                self._start_s = stream_s - expected
            offset_s = stream_s - self._start_s
            # A stutter moves nothing that comes after it, or looks would be of other pictures than clips, which are cut
            # by the stream's own time.
            found = offset_s if self._last is None or offset_s > self._last else self._last + HARDLY_S
            self._told_s = stream_s
        self._last = found
        return found


def recordings_in(path: Path) -> list[Path]:
    """Video files of a folder in natural order (`2.mp4` before `10.mp4`), or the one file that `path` is.

    Raises:
        SourceUnavailable: Nothing is there, or no video in the folder.
    """
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise NotThere(path)
    files = [file for file in path.iterdir() if file.is_file() and file.suffix.lower() in SUFFIXES]
    if not files:
        raise SourceUnavailable(f"{path}: no video file in this folder")
    return sorted(files, key=natural)


def natural(path: Path) -> list[tuple[int, int, str]]:
    """What paths are sorted by so that `2.mp4` comes before `10.mp4`."""
    parts = re.split(r"(\d+)", path.name.lower())
    return [(1, int(part), "") if part.isdecimal() else (0, 0, part) for part in parts if part]


def _open(path: Path, *, evidence: bool) -> Video:
    try:
        size = path.stat().st_size
    except OSError as error:
        raise SourceUnavailable(f"{path}: {_plain(error)}") from error
    if path.is_dir():
        raise SourceUnavailable(f"{path}: is a folder, not a video file")
    if not size:
        raise SourceUnavailable(f"{path}: the file is empty (zero bytes)")
    try:
        try:
            container = open_recording(path)
        except (av.error.InvalidDataError, av.error.ArgumentError) as error:  # the latter of formats that aren't read
            raise SourceUnavailable(f"{path}: {_why_unreadable(path)}") from error
    except (av.error.FFmpegError, OSError) as error:
        raise SourceUnavailable(f"{path}: {_plain(error)}") from error
    try:
        return Video(container, str(path), evidence=evidence, recorded=True)
    except SourceUnavailable:
        container.close()
        raise


def _why_unreadable(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(1 << 16)
        file.seek(-1, os.SEEK_END)
        file.read()  # where the disk fails, FFmpeg may take what isn't given back for missing
    if head[4:8] in BOXES:
        cut = "truncated: its index (moov) is missing; the recorder was probably cut off while writing"
        return f"{cut}: export it again"
    if head.startswith(ASF):
        return "its format, Windows Media, isn't read here: export it as MP4 or MKV"
    if head.startswith(ARCHIVES):
        return "is packed: unpack it, and replay what is in it"
    if head.startswith(b"MZ"):
        return "is a program: if it plays a recording, export that as MP4 or AVI instead"
    if not any(head):
        return "begins with nothing but zeros: the recorder only made room, or copying broke off: export it again"
    return "not a video file that is read here: if the recorder's player shows it, save it there as MP4 or AVI"


def _plain(error: OSError | av.error.FFmpegError) -> str:
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(error, PermissionError):
        return "reading it is not permitted"
    if isinstance(error, EOFError):
        return "ends before its first picture: it was cut off or is encrypted: export it again without a password"
    return error.strerror or type(error).__name__


def made_at(path: Path, zone: str) -> float | None:
    """When a recording was begun as its container says, Unix seconds; `None` where it doesn't, or can't be read.

    Recorders without a clock write the beginning of their calendar there (1904, 1970), so nothing before 2000 counts.
    Dahua's files count their time from 1970 on, as the recorder's clock shows it.

    Args:
        path: The file.
        zone: Name of the time zone that the recorder's clock shows.
    """
    try:
        with open_recording(path) as container:
            film = container.streams.video[0]
            said = container.metadata.get("creation_time") or film.metadata.get("creation_time")
            at = datetime.fromisoformat(said) if said else None
            shown_s = seconds(film.start_time, film.time_base) if container.format.name == "dhav" else None
            if shown_s is not None:
                at = datetime.fromtimestamp(shown_s, UTC).replace(tzinfo=ZoneInfo(zone))
    except (av.error.FFmpegError, OSError, ValueError, OverflowError, IndexError):
        return None
    if at is None or not 2000 <= at.year < 9999:
        return None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def promised_s(path: Path) -> float | None:
    """Seconds of video as a file's container says; `None` where it doesn't, or can't be read."""
    try:
        video = _open(path, evidence=False)
    except SourceUnavailable:
        return None
    try:
        return _said_s(video, path)
    finally:
        video.close()


def _said_s(video: Video, path: Path) -> float | None:
    """Seconds of video as a file says; `None` where that is the leap of a clock."""
    said_s = video.duration_s
    return None if said_s is not None and said_s > FAR_S and leaps(path) else said_s
