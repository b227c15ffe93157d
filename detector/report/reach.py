"""How far each camera sees well enough: cameras as set up and as seen enter, a sentence about each leaves."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from detector.config import EdgeConfig
from detector.errors import ModelError
from detector.rules.closeness import MOSTLY

logger = logging.getLogger(__name__)


LEAST_S = 5.0  # people in view for less say nothing of how close they come


@dataclass(frozen=True, slots=True)
class Reach:
    """Of one camera: `zh` and `en` say how far; `None` where nobody said how it hangs, or it can't be known.

    `people` says for how long people were in view (seconds, each counted), and the share of that, 0..1, too far off to
    judge a phone; `None` where that isn't known, or there was hardly anybody.
    """

    title: str
    zh: str | None = None
    en: str | None = None
    people: tuple[float, float] | None = None

    @property
    def is_mostly_too_far(self) -> bool:
        """Whether people were too far off for most of their time."""
        return self.people is not None and self.people[1] >= MOSTLY


def reaches(cameras: Iterable[Mapping[str, Any]], config: EdgeConfig) -> list[Reach]:
    """Of each camera of a summary that has shown something."""
    return [replace(_reach(camera, config), people=people_in(camera)) for camera in cameras if camera["size"]]


def people_in(camera: Mapping[str, Any]) -> tuple[float, float] | None:
    """As `Reach.people`, of a camera of a summary."""
    told = camera.get("people")
    if not told or told["in_view_s"] < LEAST_S:
        return None
    return told["in_view_s"], told["too_far_s"] / told["in_view_s"]


def _reach(camera: Mapping[str, Any], config: EdgeConfig) -> Reach:
    from detector.coverage import View, coverage_with

    title = camera["title"]
    known = next((c for c in config.cameras if c.name == camera["camera"]), None)
    if known is None or known.mounting is None:
        return Reach(title)
    hangs = known.mounting
    try:
        width, height = camera["size"]
        view = View(hangs.height_m, hangs.tilt_deg, hangs.fov_deg, width, height, camera["turned"])
        return Reach(title, *coverage_with(view, config.analysis).sentence())
    except (ModelError, ValueError) as error:
        logger.warning("how far a phone can be judged isn't known camera=%s: %s", camera["camera"], error)
        return Reach(title)
