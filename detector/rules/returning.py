"""Who may be back under another track: people in view enter, one name for all tracks of somebody leaves.

The tracker gives an id on for some seconds, and only where it is beyond doubt who is back. Here a chance of it is
enough: all that hangs on it is whether photos are added up as one person's. Where the network sees nobody for a while,
somebody goes on as another track at about the same place; whoever leaves the picture, or comes into it, does so at its
edge.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from detector.geometry import distance, foot
from detector.values import Box, Person

AWAY_S = 30.0  # so long may somebody be out of sight
NEAR = 1.5  # standing heights between the places of going and coming
MOST = 100  # out of sight at a time that are remembered, the latest: tracks of noise are no people
EDGE = 0.01  # of the picture: who is so near to its edge may come or go there


class Sighting(NamedTuple):
    """Where a track was last: frame time, feet and standing height (pixels), whether at the picture's edge, and who."""

    at: float
    feet: tuple[float, float]
    height: float
    at_edge: bool
    who: int


class Returning:
    """Gives somebody one name, that of their first track, as long as they may be the same."""

    def __init__(self) -> None:
        self._last: dict[int, Sighting] = {}

    def observe(self, at: float, size: tuple[int, int], people: Iterable[Person], heights: Mapping[int, float]) -> None:
        """Take note of who is in view at a frame time; `heights` are standing heights by track, pixels."""
        there = {person.id: person for person in people}
        away = ((track, last) for track, last in self._last.items() if track not in there)
        lately = sorted((last.at, track) for track, last in away if 0 <= at - last.at <= AWAY_S)[-MOST:]
        gone = {track: self._last[track] for _, track in lately}
        seen = {}
        for track, person in there.items():
            feet, height, at_edge = foot(person.box), heights.get(track, 0.0), is_at_edge(person.box, size)
            known = self._last.get(track)
            if known is None and not at_edge and (back := nearest(feet, height, gone)) is not None:
                known = gone.pop(back)  # nobody is two people
            seen[track] = Sighting(at, feet, height, at_edge, known.who if known else track)
        self._last = gone | seen

    def who(self, track: int) -> int:
        """The name of whom a track is of: their first track, or this one."""
        last = self._last.get(track)
        return last.who if last else track


def nearest(feet: tuple[float, float], height: float, gone: Mapping[int, Sighting]) -> int | None:
    """The track lost from sight nearest to a place, within reach and not at the picture's edge."""
    apart = {
        track: distance(last.feet, feet)
        for track, last in gone.items()
        if not last.at_edge and distance(last.feet, feet) <= NEAR * max(height, last.height)
    }
    return min(apart, key=apart.__getitem__, default=None)


def is_at_edge(box: Box, size: tuple[int, int]) -> bool:
    """Whether a box (pixels) comes to the edge of a picture of `size` width and height."""
    (x1, y1, x2, y2), (width, height) = box, size
    return x1 <= EDGE * width or x2 >= (1 - EDGE) * width or y1 <= EDGE * height or y2 >= (1 - EDGE) * height
