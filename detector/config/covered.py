"""Zones that others of the same camera cover wholly, so that they can never count: by one rule at the edge and the hub.

Of zones that overlap the first in the list wins, and what is ignored wins over all.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from detector.config.zones import Policy, Zone
from detector.geometry import points_in_polygon

GRID = 100  # points a side that tell whether a zone is covered by others


@dataclass(frozen=True, slots=True)
class Covered:
    """A zone that others cover, by its place in the list of zones; `ignored`: those ignored are enough to cover it."""

    place: int
    zone: Zone
    by: tuple[Zone, ...]
    ignored: bool

    @property
    def field(self) -> str:
        """Which setting of the zone has no effect: a mouth of a blind corner is watched wherever it lies."""
        return "policy" if self.zone.kind == "blind_edge" and not self.ignored else "polygon"

    @property
    def names(self) -> tuple[str, ...]:
        """Of those that cover it, each once: mouths of one blind corner share one."""
        return tuple(dict.fromkeys(zone.name for zone in self.by))

    @property
    def reason(self) -> str:
        """What is wrong, as a configuration's problem says it: the same, whatever those that cover it are called."""
        return f"{self.zone.name} lies wholly in " + (
            "what is ignored" if self.ignored else "zones before it, which win"
        )

    @property
    def hint(self) -> str:
        """What to do about it."""
        who = ", ".join(self.names)
        return f"make {who} smaller" if self.ignored else f"put it before {who}"


def covered_zones(zones: Sequence[Zone]) -> list[Covered]:
    """Zones of a camera that others cover wholly, in their order."""
    ignored = [zone for zone in zones if zone.kind == "ignore"]
    found = []
    for z, zone in enumerate(zones):
        if zone.kind == "ignore":
            continue
        winners = [*ignored, *(other for other in zones[:z] if other.kind != "ignore")]
        for others in (ignored, winners):
            if by := _covering(zone, others):
                found.append(Covered(z, zone, by, ignored=others is ignored))
                break
    # What is fine in a mouth is all of it that those before it can outdo.
    return [one for one in found if one.field == "polygon" or one.zone.policy != Policy()]


def newly_covered(zones: Sequence[Zone], known: Iterable[Sequence[Zone]]) -> list[Covered]:
    """Those of `covered_zones` that aren't so already in other lists of the camera's zones, such as those in force."""
    before = {one.reason for others in known for one in covered_zones(others)}
    return [one for one in covered_zones(zones) if one.reason not in before]


def _covering(zone: Zone, others: Sequence[Zone]) -> tuple[Zone, ...]:
    """Which of others cover a zone together, as far as a grid of points tells: the one that does so alone, if any.

    Empty where they don't, and for a zone too thin to hold a point of the grid.
    """
    if not others:
        return ()
    corners = np.asarray(zone.polygon, np.float64)
    low, high = corners.min(0), corners.max(0)
    steps = (np.arange(GRID) + 0.5) / GRID
    points = np.stack(np.meshgrid(*(low[:, None] + steps * (high - low)[:, None])), -1).reshape(-1, 2)
    points = points[points_in_polygon(points.astype(np.float32), corners.astype(np.float32))].astype(np.float32)
    if not len(points):
        return ()
    hidden = np.stack([points_in_polygon(points, np.asarray(other.polygon, np.float32)) for other in others])
    if not hidden.any(0).all():
        return ()
    alone = [other for other, of_it in zip(others, hidden, strict=True) if of_it.all()]
    return tuple(alone[:1] or [other for other, of_it in zip(others, hidden, strict=True) if of_it.any()])
