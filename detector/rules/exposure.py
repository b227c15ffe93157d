"""Which labels a photo may have taken: a person, a phone, the parcel aimed at and those around enter, a range leaves.

The camera is not calibrated, so the place of things on the floor follows from what the picture shows, but for one
unknown: the tilt t of the camera below the horizon. Near the person, who stands 1.7 m tall and H pixels,

    s = 1.7 cos t / H                            metres a pixel, across the picture
    X = s (x - x_f)                              of a point at height z above the floor, from the feet (x_f, y_f):
    Y = (s (y_f - y) - z cos t) / sin t          to the right, and away from the camera

(an affine picture: what is metres nearer or farther than the person is placed less well). Labels on top of a parcel
are taken to be `TOP` above the floor, at the middle of its box. The phone is held `HELD` before the body, towards the
parcel aimed at; its height follows from its place in the picture, or is that of somebody's chest where it isn't seen.

A phone's camera sees 66 by 52 degrees, any way up. A label on top of a parcel is taken if it

- lies within an angle of the line from the phone to the parcel aimed at,
- is no farther than a phone can read it from: at 2.5 m a pixel of a usual phone is 0.8 mm, a digit 3 mm,
- is seen no more slantwise than 75 degrees from straight above.

low:  the parcel aimed at, if a label is seen on it.
best: the parcel aimed at, and those label up within 32 degrees (a circle as large as the picture), at a tilt of 35.
high: these, and all that may bear a label (none was judged to lie label down, unless a label is seen on it) within 42
      degrees (the picture's corner is at 39), at any tilt of 20, 35 or 50.

What hides labels from the phone isn't known, nor are parcels on shelves told from those farther away on the floor.
Labels of several photos are united by the slots they lie in, never added up. Photos that aren't told take labels too:
`overlooked.py` says how many more there may be.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detector.geometry import as_array, centre, foot
from detector.values import Box, CountRange, Facing, Parcel

STANDING_M, TOP_M, HELD_M = 1.7, 0.25, 0.4
CHEST = 0.65  # of the height of a person's box, crouched or not: where a phone is that isn't seen
LOWEST_M, HIGHEST_M = 0.35, 1.8  # of a phone
TILT, TILTS = 35.0, (20.0, 35.0, 50.0)
CONE, WIDE_CONE = 32.0, 42.0
READ_M = 2.5
SLANT = 75.0


@dataclass(frozen=True, slots=True)
class Exposed:
    """Slots whose labels a photo took: surely, probably, possibly; each holds the one before."""

    low: frozenset[int] = frozenset()
    best: frozenset[int] = frozenset()
    high: frozenset[int] = frozenset()

    def __or__(self, other: Exposed) -> Exposed:
        return Exposed(self.low | other.low, self.best | other.best, self.high | other.high)

    def without(self, slots: frozenset[int]) -> Exposed:
        """What is left beside these slots; those that were surely or probably taken stay."""
        return Exposed(self.low, self.best, self.best | self.high - slots)

    @property
    def count(self) -> CountRange:
        """How many they are."""
        return CountRange(len(self.low), len(self.best), len(self.high))


NO_LABELS = Exposed()


def united(photos: Iterable[Exposed]) -> Exposed:
    """All that several photos took."""
    found = NO_LABELS
    for photo in photos:
        found |= photo
    return found


def exposed(
    person: Box, height: float, phone: Box | None, target: Parcel, parcels: Sequence[Parcel], labels: Sequence[Box]
) -> Exposed:
    """Which labels one photo took.

    Args:
        person: Box of whoever takes it, pixels.
        height: Their standing height, pixels.
        phone: Its box, where it is seen.
        target: The parcel aimed at.
        parcels: Every slot of the scene.
        labels: Boxes of every label seen.
    """
    others = [parcel for parcel in parcels if parcel.id != target.id]
    everything = [target, *others]
    bears = holding(everything, labels)
    up = np.array([parcel.facing is Facing.UP for parcel in everything])
    may = bears | np.array([parcel.facing is not Facing.NOT_UP for parcel in everything])
    boxes = as_array([parcel.box for parcel in everything])
    middles = ((boxes[:, :2] + boxes[:, 2:]) / 2).astype(float)
    ids = np.array([parcel.id for parcel in everything])
    near = in_view(person, height, phone, middles, TILT, CONE)
    wide = np.zeros(len(ids), bool)
    for tilt in TILTS:
        wide |= in_view(person, height, phone, middles, tilt, WIDE_CONE)
    own = frozenset([target.id])
    low = own if bears[0] or up[0] else frozenset[int]()
    best = own | frozenset(ids[near & up].tolist())
    return Exposed(low, best, best | frozenset(ids[wide & may].tolist()))


def holding(parcels: Sequence[Parcel], labels: Sequence[Box]) -> NDArray[np.bool_]:
    """Which parcels `(N,)` have the middle of a label in their box."""
    if not labels or not parcels:
        return np.zeros(len(parcels), bool)
    boxes, seen = as_array([parcel.box for parcel in parcels]), as_array(labels)
    (x, y), (x1, y1, x2, y2) = ((seen[:, :2] + seen[:, 2:]) / 2).T, boxes.T[:, :, None]
    return np.asarray(((x >= x1) & (x <= x2) & (y >= y1) & (y <= y2)).any(axis=1), np.bool_)


def in_view(
    person: Box,
    height: float,
    phone: Box | None,
    places: NDArray[np.float64],
    tilt: float,
    cone: float,
) -> NDArray[np.bool_]:
    """Which labels are in a phone's view, if the camera has this tilt.

    Args:
        person: Box of the holder, pixels.
        height: Their standing height, pixels.
        phone: Its box; `None`: at the chest.
        places: `(N, 2)` of labels on top of parcels in the picture, pixels; the phone is aimed at the first.
        tilt: Of the camera below the horizon, degrees.
        cone: Half the phone's angle of view, degrees.

    Returns:
        `(N,)` booleans; none where a number is missing or the person has no height.
    """
    if not np.isfinite([*person, height]).all() or height <= 0:
        return np.zeros(len(places), bool)
    points = on_floor(places, foot(person), height, tilt)
    lens = held(person, height, phone, points[0], tilt)
    ways, aim = points - lens, points[0] - lens
    away = np.linalg.norm(ways, axis=1)
    along = ways @ aim >= np.cos(np.radians(cone)) * away * np.linalg.norm(aim)
    above = -ways[:, 2] >= np.cos(np.radians(SLANT)) * away
    return np.asarray(along & above & (away <= READ_M), np.bool_)


def on_floor(
    places: NDArray[np.float64], feet: tuple[float, float], height: float, tilt: float, above: float = TOP_M
) -> NDArray[np.float64]:
    """Points `(N, 3)` in metres from somebody's feet: to the right, away from the camera, up.

    Args:
        places: `(N, 2)` in the picture, pixels.
        feet: Of the person, pixels.
        height: Their standing height, pixels.
        tilt: Of the camera below the horizon, degrees.
        above: Height of the points above the floor, metres.
    """
    t = np.radians(tilt)
    scale = STANDING_M * np.cos(t) / height
    right = scale * (places[:, 0] - feet[0])
    away = (scale * (feet[1] - places[:, 1]) - above * np.cos(t)) / np.sin(t)
    return np.stack([right, away, np.full(len(places), above)], axis=1)


def held(
    person: Box, height: float, phone: Box | None, target: NDArray[np.float64], tilt: float
) -> NDArray[np.float64]:
    """Where a phone is `(3,)`, in metres from its holder's feet (`on_floor`), as it is aimed at a point `(3,)`."""
    t = np.radians(tilt)
    scale, feet = STANDING_M * np.cos(t) / height, foot(person)
    x, y = centre(phone) if phone is not None else (feet[0], person[3] - CHEST * (person[3] - person[1]))
    distance = float(np.hypot(target[0], target[1]))
    before = min(HELD_M, distance) / distance if distance > 0 else 0.0
    away = before * target[1]
    up = (scale * (feet[1] - y) - away * np.sin(t)) / np.cos(t)
    right = scale * (x - feet[0]) if phone is not None else before * target[0]
    return np.array([right, away, np.clip(up, LOWEST_M, HIGHEST_M)])
