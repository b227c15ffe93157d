"""Copies of clips that browsers play, redacted or not; for a process of its own (`transcode`) alone."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import av
import cv2
import numpy as np
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from detector.errors import WireError
from detector.hub.footage.opened import INPUT, PLAYED_PIXELS, Refused, decoded, video_of
from detector.hub.footage.redact import Faces, Redaction
from detector.media.containers import pixel_aspect, turn_of
from detector.media.pixelation import LABEL_BLOCKS, Blocks, coarse_blocks, pixelate
from detector.media.sides import read_side
from detector.values import DAY_S, Box

LONGEST_S = DAY_S
SHARED_SIDE = 1920  # pixels: a shared copy is no larger
HEAD_BLOCKS: Blocks = (3, 3)
WHOLE_BLOCKS: Blocks = (40, 22)  # of a picture of which nothing is known
TICKS = 90_000
ENCODER = {"preset": "veryfast", "crf": "23", "threads": "1", "bf": "0", "g": "50", "x264-params": "rc-lookahead=10"}
Plane = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Job:
    """A copy to be made.

    Attributes:
        source: The clip.
        out: Where the copy goes; written over.
        faces: Whose heads are hidden; `None`: no redaction, the copy has the pixels of the source.
        side: What the models saw, for a redacted copy; without it the whole picture is made coarse.
        started_at: When the first picture was taken, Unix seconds.
        zone: In which times are burnt in.
        length_s: How long the clip is said to be, seconds; for the share that is done.
        cpu_s: Processor time it may take.
        largest_bytes: Of the copy.
    """

    source: str
    out: str
    faces: Faces | None
    side: str | None
    started_at: float
    zone: str
    length_s: float
    cpu_s: int
    largest_bytes: int


def make(job: Job, on_share: Callable[[float], None] = lambda _share: None) -> list[str]:
    """Write a copy.

    Args:
        job: Which, and where to.
        on_share: Is told how far it is, 0..1.

    Returns:
        Remarks on it: `no_side`, `side_unreadable` (the whole picture is coarse), `blind` (a part of it is, where the
        models didn't look), `cut_short` (it is shorter than the clip was said to be).

    Raises:
        Refused: It can't be made.
        OSError: It can't be read or written.
    """
    side, remarks = _side(job)
    count, end, share = 0, 0.0, 0.0
    # As browsers turn it; what key frames say of it besides is left out, or they would be turned and no others.
    quarters = -turn_of(Path(job.source)) // 90 % 4
    with av.open(job.source, **INPUT) as container, _output(job) as out:
        stream = video_of(container)
        target: VideoStream | None = None
        stored: tuple[int, int] | None = None
        redaction: Redaction | None = None
        for t, frame in _timed(decoded(container, stream), stream):
            stored = stored or (frame.width, frame.height)
            picture = Picture.of(frame, SHARED_SIDE if job.faces else None, quarters, size=stored)
            if target is None:
                target = _encoder(out, stream, frame, picture, quarters)
                if job.faces and side:
                    shape = picture.width / picture.height * float(target.codec_context.sample_aspect_ratio or 1)
                    redaction = Redaction(side, aspect=shape, faces=job.faces)
            if job.faces:
                if redaction is None or redaction.is_blind(t):
                    picture.pixelate((0.0, 0.0, 1.0, 1.0), WHOLE_BLOCKS)
                    remarks |= {"blind"} if redaction else set()
                else:
                    hide(picture, redaction, t)
                picture.write(f"REDACTED COPY | labelwatch | {_burnt_time(job, t)}")
            for packet in target.encode(picture.frame(t)):
                out.mux(packet)
                count += 1
            end = t
            if job.length_s > 0 and t / job.length_s >= share + 0.01:
                share = t / job.length_s
                on_share(min(1.0, share))
        if target is None:
            raise Refused("unreadable")
        for packet in target.encode(None):
            out.mux(packet)
            count += 1
    _hold_whole(job.out, count)
    if end < job.length_s - max(2.0, 0.1 * job.length_s):
        remarks.add("cut_short")
    return sorted(remarks)


class Picture:
    """One picture as planes of brightness and colour, with even sides; all that is hidden is hidden here.

    The planes are views of one array, so that what is done to them is done to the picture.
    """

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self._pixels = np.empty((height * 3 // 2, width), np.uint8)
        flat, size = self._pixels.reshape(-1), width * height
        half = (height // 2, width // 2)
        self.planes: tuple[Plane, Plane, Plane] = (
            self._pixels[:height],
            flat[size : size * 5 // 4].reshape(half),
            flat[size * 5 // 4 :].reshape(half),
        )

    @classmethod
    def of(
        cls, frame: VideoFrame, longest_side: int | None, quarters: int, *, size: tuple[int, int] | None = None
    ) -> Picture:
        """A frame's own pixels, turned against the clock, made smaller where a side is longer than wanted.

        `size`: width and height to take it as, pixels, before that; a camera may be set to another within a clip.
        """
        width, height = size or (frame.width, frame.height)
        scale = min(1.0, (longest_side or max(width, height)) / max(width, height))
        if scale < 1.0:
            width, height = (max(2, 2 * round(side * scale / 2)) for side in (width, height))
        if (width, height) != (frame.width, frame.height) or frame.format.name not in PLAYED_PIXELS:
            frame = frame.reformat(width=width, height=height, format="yuv420p")
        planes = [np.rot90(_plane(plane), quarters) for plane in frame.planes[:3]]
        tall, wide = planes[0].shape
        picture = cls(wide + wide % 2, tall + tall % 2)
        for own, plane in zip(picture.planes, planes, strict=True):
            rows, columns = plane.shape
            own[:rows, :columns] = plane
            own[rows:, :columns] = plane[-1:]
            own[:, columns:] = own[:, columns - 1 : columns]
        return picture

    def pixelate(self, box: Box, blocks: Blocks | None = None) -> None:
        """Average a box, shares of the picture, into blocks; without a number of them, as parcels are."""
        x1, y1, x2, y2 = (v * side for v, side in zip(box, 2 * (self.width, self.height), strict=True))
        blocks = blocks or coarse_blocks(round(x2 - x1), round(y2 - y1))
        pixelate(self.planes[0], (x1, y1, x2, y2), blocks)
        for plane in self.planes[1:]:
            pixelate(plane, (x1 / 2, y1 / 2, x2 / 2, y2 / 2), blocks)

    def write(self, line: str) -> None:
        """Burn a line into the lower left corner, white on black."""
        scale = max(0.3, self.height / 1600)
        (wide, tall), below = cv2.getTextSize(line, cv2.FONT_HERSHEY_SIMPLEX, scale, 1)
        scale *= min(1.0, 0.94 * self.width / wide)
        (wide, tall), below = cv2.getTextSize(line, cv2.FONT_HERSHEY_SIMPLEX, scale, 1)
        strip = np.full((tall + below + 4, min(wide + 8, self.width)), 16, np.uint8)
        cv2.putText(strip, line, (4, tall + 2), cv2.FONT_HERSHEY_SIMPLEX, scale, 235, 1, cv2.LINE_AA)
        rows, columns = min(strip.shape[0], self.height), strip.shape[1]
        self.planes[0][-rows:, :columns] = strip[-rows:]
        for plane in self.planes[1:]:
            plane[-((rows + 1) // 2) :, : (columns + 1) // 2] = 128

    def frame(self, t: float) -> VideoFrame:
        """For the encoder."""
        frame = VideoFrame.from_ndarray(self._pixels, format="yuv420p")
        frame.pts, frame.time_base = round(t * TICKS), Fraction(1, TICKS)
        return frame


def hide(picture: Picture, redaction: Redaction, t: float) -> None:
    """Pixelate all that isn't to be seen at a time, seconds into the clip."""
    blocks: dict[str, Blocks | None] = {"parcel": None, "label": LABEL_BLOCKS, "head": HEAD_BLOCKS}
    regions = redaction.at(t)
    for what in blocks:  # parcels first: what is blurred after them stays beyond reading
        for region in regions:
            if region.what == what:
                picture.pixelate(region.box, blocks[what])


def _side(job: Job) -> tuple[dict[str, Any] | None, set[str]]:
    if job.faces is None:
        return None, set()
    if job.side is None:
        return None, {"no_side"}
    try:
        with Path(job.side).open("rb") as file:
            side = read_side(file)
    except (WireError, OSError):
        return None, {"side_unreadable"}
    return (side, set()) if side["looks"] else (None, {"no_side"})


def _timed(frames: Iterator[VideoFrame], stream: VideoStream) -> Iterator[tuple[float, VideoFrame]]:
    """Frames with their time, seconds after the clip's first one; always later than the one before."""
    # The first may be damaged: what was seen is counted from it all the same.
    first = (
        None if stream.start_time is None or stream.time_base is None else float(stream.start_time * stream.time_base)
    )
    last = -1.0
    for frame in frames:
        at = frame.time if frame.time is not None else (first or 0.0) + last + 1 / _rate(stream)
        first = at if first is None else first
        t = at - first
        if not t < LONGEST_S:
            raise Refused("unreadable")
        if t >= last + 2 / TICKS or last < 0:
            last = max(t, 0.0)
            yield last, frame


def _output(job: Job) -> Any:
    title = "redacted copy" if job.faces else "preview"
    # Without flush_packets a full disk is no error to FFmpeg.
    out = av.open(job.out, "w", format="mp4", options={"movflags": "faststart", "flush_packets": "1"})
    out.metadata["title"] = f"labelwatch {title}"
    return out


def _encoder(out: Any, source: VideoStream, frame: VideoFrame, picture: Picture, quarters: int) -> VideoStream:
    stream: VideoStream = out.add_stream("libx264", rate=_rate(source), options=ENCODER)
    stream.width, stream.height, stream.pix_fmt = picture.width, picture.height, "yuv420p"
    context = stream.codec_context
    context.time_base = Fraction(1, TICKS)
    if (wide := pixel_aspect(source)) is not None:
        context.sample_aspect_ratio = 1 / wide if quarters % 2 else wide
    if frame.format.name in PLAYED_PIXELS:  # taken as they are: said as they were
        context.color_range = 2 if frame.format.name == "yuvj420p" else frame.color_range
        context.colorspace, context.color_trc = frame.colorspace, source.codec_context.color_trc
        context.color_primaries = source.codec_context.color_primaries
    return stream


def _rate(stream: VideoStream) -> Fraction:
    rate = stream.average_rate
    return rate if rate is not None and 1 <= rate <= 120 else Fraction(25)


def _plane(plane: Any) -> Plane:
    return np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: plane.height, : plane.width]


def _burnt_time(job: Job, t: float) -> str:
    """With its offset from UTC: the zone's name says nothing to who has none of it."""
    return datetime.fromtimestamp(job.started_at + t, ZoneInfo(job.zone)).isoformat(" ", "seconds")


def _hold_whole(path: str, count: int) -> None:
    """Make sure that a copy holds all that was written, on the disk.

    Raises:
        Refused: It doesn't.
    """
    with av.open(path, **INPUT) as container:
        if sum(1 for packet in container.demux(container.streams.video[0]) if packet.size) != count:
            raise Refused("no_room")
    with Path(path).open("rb") as file:
        os.fsync(file.fileno())
