"""Which cameras' recordings are hardly shown in the shape in which they are stored: people in them look too thin."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from detector.config import EdgeConfig
from detector.media.shape import across, is_doubtful


def squeezed(cameras: Iterable[Mapping[str, Any]], config: EdgeConfig) -> list[tuple[str, str]]:
    """Title and size of each camera of a summary of which neither a recording nor the configuration says the shape."""
    told = {camera.name for camera in config.cameras if camera.aspect is not None}
    return [
        (camera["title"], f"{camera['size'][0]}x{camera['size'][1]}")
        for camera in cameras
        if camera["size"]
        and camera["camera"] not in told
        and is_doubtful(across(tuple(camera["size"]), camera["turned"]))
    ]
