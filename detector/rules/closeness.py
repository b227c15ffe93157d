"""How close people come to a camera: sights enter, the seconds of people in view leave, and of those too far off.

Too far off is who stands less tall in the picture than a person whose phone is just large enough to be judged
(`coverage.least_height_px`). Who only crouches, or is hidden from the hips down, looks farther off than they are; whom
the picture's lower edge cuts off is near.
"""

from __future__ import annotations

from math import inf

from detector.rules.bearing import Bearing, carried_on, shows_feet
from detector.rules.memory import TrackMemory
from detector.values import Sight

LONGEST_S = 1.0  # between two looks further apart nobody knows who was there
MOSTLY = 0.5  # from this share of their time on, people are mostly too far off


class Closeness:
    """Counts for one camera.

    Args:
        least_height_px: Of somebody standing, whose phone can be judged, pixels of the frame.
        window_s: Seconds in view, about which what lies further back fades; nothing does when left out.

    Attributes:
        in_view_s: Seconds that people were in view, each counted.
        too_far_s: Of these, too far off.
    """

    def __init__(self, least_height_px: float, window_s: float = inf) -> None:
        self.in_view_s = self.too_far_s = 0.0
        self._least = least_height_px
        self._window_s = window_s
        self._before: TrackMemory[Bearing | None] = TrackMemory(lambda: None)
        self._at: float | None = None

    def observe(self, sight: Sight) -> None:
        """Take in what was seen in one look."""
        scene = sight.scene
        if sight.first:
            self._before, self._at = TrackMemory(lambda: None), None
        seconds = min(scene.at - self._at, LONGEST_S) if self._at is not None else 0.0
        self._at = scene.at
        self._before.drop(scene.ended)
        for person in scene.people:
            bearing = self._before[person.id] = carried_on(self._before[person.id], person, scene.at)
            self.in_view_s += seconds
            self.too_far_s += seconds * (bearing.height < self._least and shows_feet(person.box, scene.size))
        if self.in_view_s > self._window_s:
            self.in_view_s, self.too_far_s = self._window_s, self.too_far_s * self._window_s / self.in_view_s
