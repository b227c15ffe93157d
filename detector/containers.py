"""What FFmpeg may do with what others made: recordings, uploads and cameras' streams, any of which may be hostile.

Left alone, FFmpeg chooses by a file's content among hundreds of formats and decoders. Some of these formats are lists
that name other files and addresses to be read; some pictures are so large that one of them fills the memory. So what is
read is named here: formats that hold their own pictures, protocols, decoders, and the size of a picture.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import av.container

MOST_PIXELS = 32 * 2**20  # of one picture: 8K fits
CODECS = frozenset(
    {"h264", "hevc", "mjpeg", "mpeg4", "mpeg2video", "mpeg1video", "h263", "vp8", "vp9", "av1", "libdav1d"}
    | {"ffv1", "rawvideo"}
)
FORMATS = ("mov", "matroska", "avi", "mpegts", "mpeg", "mpegvideo", "flv", "h264", "hevc", "m4v", "mjpeg", "dhav")

DECODING = {"max_pixels": str(MOST_PIXELS), "codec_whitelist": ",".join(sorted(CODECS))}
"""Options of a decoder. FFmpeg decodes while it opens, too, so they belong to both ways."""

RECORDED = {**DECODING, "protocol_whitelist": "file", "format_whitelist": ",".join(FORMATS)}
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
