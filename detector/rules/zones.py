"""Which zone of a camera a point of the picture lies in."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from detector.config import Zone
from detector.geometry import points_in_polygon
from detector.values import FloatArray


class ZoneMap:
    """Zones of one camera; `ignore` wins over the others, then the first in the file."""

    def __init__(self, zones: Sequence[Zone]) -> None:
        ordered = sorted(zones, key=lambda zone: zone.kind != "ignore")
        self._zones = [(zone, np.asarray(zone.polygon, np.float32)) for zone in ordered]

    @property
    def zones(self) -> tuple[Zone, ...]:
        """Every zone, in order of precedence."""
        return tuple(zone for zone, _ in self._zones)

    def at(self, point: tuple[float, float], size: tuple[int, int]) -> Zone | None:
        """Zone of a point in pixels of a frame of `size` (width, height); `None` outside all and where ignored."""
        return self.of(np.array([point], np.float32), size)[0]

    def ignores(self, point: tuple[float, float], size: tuple[int, int]) -> bool:
        """Whether a point, as `at` takes it, lies where nothing is to be looked at."""
        return bool(self.ignored(np.array([point], np.float32), size)[0])

    def ignored(self, points: FloatArray, size: tuple[int, int]) -> NDArray[np.bool_]:
        """Which of points `(N, 2)`, as `at` takes them, lie where nothing is to be looked at."""
        found, places = np.zeros(len(points), bool), shares(points, size)
        for zone, polygon in self._zones:
            if zone.kind == "ignore":
                found |= points_in_polygon(places, polygon)
        return found

    def of(self, points: FloatArray, size: tuple[int, int]) -> list[Zone | None]:
        """Zones of points `(N, 2)`, as `at` tells them."""
        found: list[Zone | None] = [None] * len(points)
        places = shares(points, size)
        for zone, polygon in reversed(self._zones):  # the first in the list has the last word
            for k in np.flatnonzero(points_in_polygon(places, polygon)):
                found[k] = None if zone.kind == "ignore" else zone
        return found


def shares(points: FloatArray, size: tuple[int, int]) -> FloatArray:
    """Points `(N, 2)` in pixels as shares of the frame; one on its border belongs to a whole-frame zone."""
    return np.clip(points / np.array(size, np.float32), 1e-4, 1 - 1e-4).astype(np.float32)
