"""How far each camera sees well enough: cameras as set up and as seen enter, a sentence about each leaves."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from detector.config import EdgeConfig
from detector.errors import ModelError

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reach:
    """Of one camera: `zh` and `en` say how far; `None` where nobody said how it hangs, or it can't be known."""

    title: str
    zh: str | None = None
    en: str | None = None


def reaches(cameras: Iterable[Mapping[str, Any]], config: EdgeConfig) -> list[Reach]:
    """Of each camera of a summary that has shown something."""
    return [_reach(camera, config) for camera in cameras if camera["size"]]


def _reach(camera: Mapping[str, Any], config: EdgeConfig) -> Reach:
    from detector.coverage import View, coverage, least_px_of

    title = camera["title"]
    hangs = next((c.mounting for c in config.cameras if c.name == camera["camera"]), None)
    if hangs is None:
        return Reach(title)
    try:
        view = View(hangs.height_m, hangs.tilt_deg, hangs.fov_deg, *camera["size"])
        return Reach(title, *coverage(view, least_px_of(config.analysis.model)).sentence())
    except (ModelError, ValueError) as error:
        logger.warning("how far a phone can be judged isn't known camera=%s: %s", camera["camera"], error)
        return Reach(title)
