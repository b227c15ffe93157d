"""Which zone of a camera a point of the picture lies in."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from detector.config import Zone
from detector.geometry import points_in_polygon


class ZoneMap:
    """Zones of one camera; `ignore` wins over the others, then the first in the file."""

    def __init__(self, zones: Sequence[Zone]) -> None:
        ordered = sorted(zones, key=lambda zone: zone.kind != "ignore")
        self._zones = [(zone, np.asarray(zone.polygon, np.float32)) for zone in ordered]

    def at(self, point: tuple[float, float], size: tuple[int, int]) -> Zone | None:
        """Zone of a point in pixels of a frame of `size` (width, height); `None` outside all and where ignored."""
        share = np.array([[point[0] / size[0], point[1] / size[1]]], np.float32)
        share = np.clip(share, 1e-4, 1 - 1e-4)  # a point on the frame's border belongs to a whole-frame zone
        for zone, polygon in self._zones:
            if points_in_polygon(share, polygon)[0]:
                return None if zone.kind == "ignore" else zone
        return None
