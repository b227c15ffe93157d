"""Opens clips that may be hostile, with FFmpeg told what it may read; for a process of its own (`transcode`) alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import av
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from detector.media.containers import CODECS, DECODING, RECORDED

MOST_PIXELS = 16 * 2**20  # of one picture: cameras of 12 megapixels and 4K fit
# Format and protocol are named: else FFmpeg might take a file for a play list, and fetch what it names.
INPUT: dict[str, Any] = {
    "format": "mp4",
    "options": {**RECORDED, "max_pixels": str(MOST_PIXELS)},
    "metadata_errors": "replace",  # makers write their names in whatever encoding they have
}
PLAYED_PIXELS = ("yuv420p", "yuvj420p")  # 8 bits, a quarter of the colour: all that browsers take of H.264


class Refused(Exception):  # noqa: N818  (an answer to the hub)
    """It can't be done; the text is the reason."""


def probe(path: str) -> dict[str, Any]:
    """Codec and size of a clip, found by decoding its first picture.

    Raises:
        Refused: There is none, or it is too large.
    """
    with av.open(path, **INPUT) as container:
        stream = video_of(container)
        for frame in decoded(container, stream):
            name = stream.codec_context.name
            plays = name == "h264" and frame.format.name in PLAYED_PIXELS
            return {"codec": name, "width": frame.width, "height": frame.height, "plays": plays}
    raise Refused("unreadable")


def video_of(container: Any) -> VideoStream:
    """The stream of an open clip that is to be decoded, bounded.

    Raises:
        Refused: There is none, or it is too large.
    """
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


def decoded(container: Any, stream: VideoStream) -> Iterator[VideoFrame]:
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
