"""Where frames come from: RTSP cameras, recorded files, folders of them."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from detector.clock import Clock
    from detector.config import Camera
    from detector.sources.live import LiveSource
    from detector.sources.paired import PairedSource
    from detector.sources.played import PlayedFile
    from detector.sources.video import OnPacket


def open_source(
    camera: Camera, *, fps: float, clock: Clock, stop: threading.Event, on_packet: OnPacket | None = None
) -> LiveSource | PairedSource | PlayedFile:
    """The source that a camera's configuration names.

    It connects or opens its file when iterated. FFmpeg is loaded here, not on import.
    """
    if camera.live and camera.substream is not None:
        from detector.sources.paired import PairedSource

        return PairedSource(camera, fps=fps, clock=clock, stop=stop, on_packet=on_packet)
    if camera.live:
        from detector.sources.live import LiveSource

        return LiveSource(camera, fps=fps, clock=clock, stop=stop, on_packet=on_packet)
    from detector.sources.played import PlayedFile

    return PlayedFile(
        Path(camera.source), camera=camera.name, fps=fps, clock=clock, stop=stop, loop=camera.loop, on_packet=on_packet,
        shape=camera.shape,
    )  # fmt: skip
