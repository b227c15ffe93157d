"""Where held things are, and how hands grip them; what they look like is `devices.py`'s."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scenes.body import Hand
from scenes.vectors import across, turn, unit

# Held flat like a phone, held upright like a cup, and tools.
FLAT_OBJECTS = ("clipboard", "sheet", "wallet", "card", "notebook")
ROUND_OBJECTS = {"cup": 0.036, "bottle": 0.032}
OBJECTS = (*FLAT_OBJECTS, *ROUND_OBJECTS, "tape_gun", "roll", "knife", "radio")

PALM = 0.022  # from a hand's bones to the skin of the palm, metres
# Bend of the finger joints by grip, degrees; hands at rest are a little bent already.
GRIPS = {
    "phone": {"all": (-10, -2, 52), "index": (-12, -4, 25), "thumb": (15, 28, 15)},
    "behind": {"all": (-10, -10, -8), "thumb": (15, 22, 10)},
    "across": {"all": (-10, -8, 4), "thumb": (15, 26, 12)},
    "pistol": {"all": (64, 72, 42), "index": (38, 50, 30), "thumb": (25, 20, 15)},
    "wrap": {"all": (48, 55, 35), "thumb": (35, 20, 15)},
    "flat": {"all": (-4, 0, 0), "thumb": (0, 5, 5)},
    "point": {"all": (75, 85, 50), "index": (3, 5, 3), "thumb": (35, 40, 25)},
}


@dataclass
class Hold:
    """Where a held thing is.

    Attributes:
        kind: phone, pda, gun, or one of `OBJECTS`.
        centre: `(3,)`.
        up: Direction of what its reader sees as its upper edge (of a gun: upwards).
        back: Direction its back looks, away from who reads it (of a gun: where it points).
        across: Quarter turns in the reader's plane: 1 or -1 for a phone held across.
        lit: Whether the screen is on.
    """

    kind: str
    centre: np.ndarray
    up: np.ndarray
    back: np.ndarray
    across: int = 0
    lit: bool = True

    @property
    def axes(self) -> np.ndarray:
        """Rows: right, up, and towards the reader, as the reader sees them."""
        back = unit(self.back)
        up = across(self.up, back)
        return np.stack([np.cross(back, up), up, -back])

    @property
    def frame(self) -> np.ndarray:
        """Columns: the thing's own right, upper end and front."""
        return turn(self.back, 90 * self.across) @ self.axes.T


def grip_flat(hold: Hold, side: str, *, low: float = 0.02, half_width: float = 0.036, thick: float = 0.009) -> Hand:
    """A hand that comes from the side and lies behind something flat: knuckles at its edge, fingers across its back.

    Args:
        hold: The thing.
        side: Which hand.
        low: How far below the thing's centre, metres.
        half_width: From the centre to the edge on the hand's side, metres.
        thick: Of the thing, metres.
    """
    right, up, towards = hold.axes
    out = right if side == "r" else -right
    fingers = unit(up * 0.55 - out * 0.83)
    knuckles = hold.centre + out * (half_width - 0.004) - up * low - towards * (thick / 2 + PALM)
    return Hand(knuckles - fingers * 0.093, towards, fingers)


def grip_above(hold: Hold, side: str) -> Hand:
    """A hand over the handle of something pushed along with the palm down, such as a tape gun."""
    right, ahead, towards = hold.axes
    out = right if side == "r" else -right
    fingers = unit(ahead * 0.55 - out * 0.75)
    knuckles = hold.centre - ahead * 0.035 + out * 0.02 + towards * 0.045
    return Hand(knuckles - fingers * 0.085, -towards, fingers)


def grip_pistol(hold: Hold, side: str) -> Hand:
    """A hand round the handle of a gun, finger at the trigger."""
    ahead, up = unit(hold.back), across(hold.up, unit(hold.back))
    w = np.cross(ahead, up) * (1 if side == "r" else -1)  # away from the body's middle
    handle = hold.centre - up * 0.05 - ahead * 0.015
    fingers = unit(ahead + up * 0.12)
    palm = -w
    return Hand(handle - fingers * 0.078 + w * 0.024, palm, fingers)


def grip_wrap(hold: Hold, side: str, radius: float) -> Hand:
    """A hand round something upright and round."""
    right, _, towards = hold.axes
    out = right if side == "r" else -right
    fingers = unit(-towards * 0.9 - out * 0.25)
    palm = across(-out, fingers)
    return Hand(hold.centre + out * (radius + 0.022) - fingers * 0.085, palm, fingers)
