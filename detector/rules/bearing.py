"""How a person carries themselves: looks at a person enter, their height, place, speed and posture leave.

Lengths are in heights of the person standing, so that they mean the same near and far.
"""

from __future__ import annotations

from math import exp
from typing import NamedTuple

from detector.geometry import distance, foot
from detector.values import Box, Person

FORGET_S = 60.0  # the standing height of somebody who only crouches is believed about so long
FRESH_S = 2.0  # after a longer gap speed starts anew
CROUCHED = 0.72  # of the standing height, below which somebody crouches or bends
RISE_S = 2.0  # how long somebody must stand taller than before to be believed so tall
EDGE = 0.01  # of the picture's height: a box that comes so near to its lower edge may go on beyond it


class Bearing(NamedTuple):
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
    def top(self) -> tuple[float, float]:
        """Top centre of the box, pixels."""
        return self.feet[0], self.feet[1] - self.now

    @property
    def crouched(self) -> bool:
        """Whether the person crouches or bends, as far as the box tells."""
        return is_crouched(self.now, self.height)


def is_crouched(now: float, height: float) -> bool:
    """Whether somebody `height` pixels tall who is `now` so tall crouches or bends."""
    return now < CROUCHED * height


def shows_feet(box: Box, size: tuple[int, int]) -> bool:
    """Whether somebody's feet are in a picture of `size` width and height; else nobody knows how tall they are now."""
    return box[3] < (1 - EDGE) * size[1]


def whole(box: Box, height: float, size: tuple[int, int]) -> Box:
    """The box of somebody so tall (pixels), down to the feet as if standing, also where they are beyond the edge."""
    return box if shows_feet(box, size) else (*box[:3], max(box[3], box[1] + height))


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


def standing(upright: tuple[float, float], row: float) -> float:
    """Height standing, pixels, with the feet in a row of the picture.

    Farther off the feet are higher in the picture and people are smaller. A camera above head height sees heights
    shrink by less than the feet rise (they shrink in proportion to the distance from the horizon, which is above the
    head), so that the rise is the most that standing farther off can explain. Somebody whose legs are hidden by parcels
    is not taken to crouch either. Unlike a mean that fades, it outlasts a crouch of any length.
    """
    height, tallest_row = upright
    return max(height - max(0.0, tallest_row - row), 1.0)


def risen(upright: tuple[float, float], now: float, row: float, elapsed_s: float) -> tuple[float, float]:
    """`upright` after a look at somebody `now` pixels tall; believed over `RISE_S`, lest one wrong box should stay."""
    height = standing(upright, row)
    return upright if now < height else (height + min(1.0, elapsed_s / RISE_S) * (now - height), row)
