"""A program of its own that reads one clip, which may be hostile, and writes a copy of it that browsers play.

    python -m detector.hub.footage.transcode probe CLIP    prints {"codec": "hevc", "width": 1920, …, "plays": false}
    python -m detector.hub.footage.transcode make JOB      JOB is `Job` as JSON; prints {"share": 0.4} as it goes, and
                                                           {"remarks": ["no_side"]} when the copy is there and whole

What can't be done ends with status 1 and {"reason": "unreadable" | "too_large" | "no_room"}.

The hub starts it (`derived`), never imports it: FFmpeg's decoders meet the clip here, with bounds on memory, processor
time and file size, at the lowest priority, and in one thread. When the hub goes, so does this: it holds our input open.
"""

from __future__ import annotations

import errno
import json
import os
import resource
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from pathlib import Path
from typing import Any, TextIO
from zoneinfo import ZoneInfo

import av
import cv2
import numpy as np
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from detector.errors import WireError
from detector.hub.footage.redact import Faces, Redaction
from detector.media.containers import CODECS, DECODING, RECORDED
from detector.media.pixelation import LABEL_BLOCKS, Blocks, coarse_blocks, pixelate
from detector.media.sides import read_side
from detector.values import DAY_S, Box

MEMORY_BYTES = 3 * 2**30
PROBE_CPU_S = 20
MOST_PIXELS = 16 * 2**20  # of one picture: cameras of 12 megapixels and 4K fit
LONGEST_S = DAY_S
SHARED_SIDE = 1920  # pixels: a shared copy is no larger
HEAD_BLOCKS: Blocks = (3, 3)
WHOLE_BLOCKS: Blocks = (40, 22)  # of a picture of which nothing is known
TICKS = 90_000
# Format and protocol are named: else FFmpeg might take a file for a play list, and fetch what it names.
INPUT: dict[str, Any] = {
    "format": "mp4",
    "options": {**RECORDED, "max_pixels": str(MOST_PIXELS)},
    "metadata_errors": "replace",  # makers write their names in whatever encoding they have
}
ENCODER = {"preset": "veryfast", "crf": "23", "threads": "1", "bf": "0", "g": "50", "x264-params": "rc-lookahead=10"}
NO_ROOM = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)
PLAYED_PIXELS = ("yuv420p", "yuvj420p")  # 8 bits, a quarter of the colour: all that browsers take of H.264
Plane = NDArray[np.uint8]


class Refused(Exception):  # noqa: N818  (an answer to the hub)
    """It can't be done; the text is the reason."""


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


def main(arguments: list[str]) -> int:
    """Do one thing and say how it went; an exit status."""
    cv2.setNumThreads(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        if arguments[0] == "probe":
            _limit(PROBE_CPU_S, 0)
            _say(probe(arguments[1]))
        else:
            job = Job(**json.loads(arguments[1]))
            _limit(job.cpu_s, job.largest_bytes)
            _say({"remarks": make(job, sys.stdout)})
    except Refused as refused:
        _say({"reason": str(refused)})
        return 1
    except MemoryError:
        _say({"reason": "too_large"})
        return 1
    except (OSError, av.FFmpegError) as error:
        _say({"reason": "no_room" if error.errno in NO_ROOM else "unreadable", "text": ascii(error.strerror)[:200]})
        return 1
    return 0


def probe(path: str) -> dict[str, Any]:
    """Codec and size of a clip, found by decoding its first picture.

    Raises:
        Refused: There is none, or it is too large.
    """
    with av.open(path, **INPUT) as container:
        stream = _video(container)
        for frame in _decoded(container, stream):
            name = stream.codec_context.name
            plays = name == "h264" and frame.format.name in PLAYED_PIXELS
            return {"codec": name, "width": frame.width, "height": frame.height, "plays": plays}
    raise Refused("unreadable")


def make(job: Job, progress: TextIO | None = None) -> list[str]:
    """Write a copy.

    Returns:
        Remarks on it: `no_side`, `side_unreadable` (the whole picture is coarse), `blind` (a part of it is, where the
        models didn't look), `cut_short` (it is shorter than the clip was said to be).

    Raises:
        Refused: It can't be made.
        OSError: It can't be read or written.
    """
    side, remarks = _side(job)
    count, end, share = 0, 0.0, 0.0
    with av.open(job.source, **INPUT) as container, _output(job) as out:
        stream = _video(container)
        target: VideoStream | None = None
        redaction: Redaction | None = None
        for t, frame in _timed(_decoded(container, stream), stream):
            picture = Picture.of(frame, SHARED_SIDE if job.faces else None)
            if target is None:
                target = _encoder(out, stream, frame, picture)
                if job.faces and side:
                    redaction = Redaction(side, aspect=picture.width / picture.height, faces=job.faces)
            elif (picture.width, picture.height) != (target.width, target.height):
                raise Refused("unreadable")  # a clip of one camera has one size
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
            if progress and job.length_s > 0 and t / job.length_s >= share + 0.01:
                share = t / job.length_s
                _say({"share": min(1.0, share)}, progress)
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
    def of(cls, frame: VideoFrame, longest_side: int | None) -> Picture:
        """A frame's own pixels, upright, made smaller where a side is longer than wanted."""
        width, height, turns = frame.width, frame.height, round(frame.rotation / 90) % 4  # against the clock
        scale = min(1.0, (longest_side or max(width, height)) / max(width, height))
        if scale < 1.0:
            width, height = (max(2, 2 * round(side * scale / 2)) for side in (width, height))
        if scale < 1.0 or frame.format.name not in PLAYED_PIXELS:
            frame = frame.reformat(width=width, height=height, format="yuv420p")
        planes = [np.rot90(_plane(plane), turns) for plane in frame.planes[:3]]
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


def _video(container: Any) -> VideoStream:
    if not container.streams.video:
        raise Refused("unreadable")
    stream: VideoStream = container.streams.video[0]
    if stream.codec_context is None or stream.codec_context.name not in CODECS:
        raise Refused("unreadable")
    if stream.codec_context.width * stream.codec_context.height > MOST_PIXELS:
        raise Refused("too_large")
    stream.codec_context.thread_type = "NONE"
    stream.codec_context.options = {**DECODING, "max_pixels": str(MOST_PIXELS)}
    return stream


def _decoded(container: Any, stream: VideoStream) -> Iterator[VideoFrame]:
    """All pictures that can be had; one that is damaged is passed over."""
    for packet in container.demux(stream):
        try:
            frames = packet.decode()
        except av.InvalidDataError:
            continue
        for frame in frames:
            if frame.width * frame.height > MOST_PIXELS:
                raise Refused("too_large")
            yield frame


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


def _encoder(out: Any, source: VideoStream, frame: VideoFrame, picture: Picture) -> VideoStream:
    stream: VideoStream = out.add_stream("libx264", rate=_rate(source), options=ENCODER)
    stream.width, stream.height, stream.pix_fmt = picture.width, picture.height, "yuv420p"
    context = stream.codec_context
    context.time_base = Fraction(1, TICKS)
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


def _limit(cpu_s: int, largest_bytes: int) -> None:
    os.nice(19)
    for what, most in (
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_CPU, cpu_s),
        (resource.RLIMIT_FSIZE, largest_bytes),
        (resource.RLIMIT_NOFILE, 64),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(what, (most, most))


def _end_with_parent() -> None:
    os.read(0, 1)  # returns when the other end is closed; sys.stdin would hold a lock that the interpreter's end needs
    os._exit(3)


def _say(fields: dict[str, Any], out: TextIO | None = None) -> None:
    out = out or sys.stdout
    out.write(json.dumps(fields) + "\n")
    out.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
