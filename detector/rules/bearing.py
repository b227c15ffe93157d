"""How a person carries themselves: looks at a person enter, their height, place, speed and posture leave.

Lengths are in heights of the person standing, so that they mean the same near and far.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp

from detector.geometry import distance, foot
from detector.values import Person

FORGET_S = 60.0  # the standing height of somebody who only crouches is believed about so long
FRESH_S = 2.0  # after a longer gap speed starts anew
CROUCHED = 0.72  # of the standing height, below which somebody crouches or bends


@dataclass(frozen=True, slots=True)
class Bearing:
    """A person's bearing at frame time `at`.

    Attributes:
        at: Frame time, seconds.
        height: Standing height, pixels: the largest seen, forgotten slowly, so that a crouch doesn't shorten it.
        now: Height of the box now, pixels.
        feet: Bottom centre of the box, pixels.
        speed: Of the feet, standing heights a second, smoothed over half a second.
    """

    at: float
    height: float
    now: float
    feet: tuple[float, float]
    speed: float = 0.0

    @property
    def crouched(self) -> bool:
        """Whether the person crouches or bends, as far as the box tells."""
        return self.now < CROUCHED * self.height


def carried_on(before: Bearing | None, person: Person, at: float) -> Bearing:
    """The bearing after one more look at a person; `None` before the first."""
    feet, now = foot(person.box), max(person.box[3] - person.box[1], 1.0)
    if before is None:
        return Bearing(at, now, now, feet)
    elapsed = max(at - before.at, 1e-3)
    height = max(now, before.height * exp(-elapsed / FORGET_S))
    if elapsed > FRESH_S:
        return Bearing(at, height, now, feet)
    measured = distance(feet, before.feet) / height / elapsed
    return Bearing(at, height, now, feet, before.speed + min(1.0, elapsed / 0.5) * (measured - before.speed))
