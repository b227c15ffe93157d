"""How tidily parcels lie: angles or places enter, a length of order and the chance of it leave.

These inform only; no alarm rests on them. Parcels can't lie inside each other, so they keep apart even when thrown, and
tests against scattered points (Clark and Evans, 1954) call every floor regular; rows are told by the directions from
each parcel to its nearest neighbour instead, which thrown parcels have in every direction.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Order(NamedTuple):
    """Mean resultant length 0 (none) to 1 (perfect), and the chance of one so long without any order."""

    length: float
    chance: float


def alignment(angles: Sequence[float]) -> Order:
    """How much labels lie square to each other.

    Args:
        angles: Of their text lines, radians; those that are not finite are left out.

    A label's axes are measured to a few degrees, but which of the two its text runs along is often mistaken
    (`inference/axes.py`). So angles that differ by a right angle count as the same.

    Source: Rayleigh's test on four times the angle (Mardia and Jupp, Directional Statistics, 2000), with the chance as
    given by Zar, Biostatistical Analysis, 2010, equation 27.4.
    """
    return _rayleigh(np.asarray(angles, float).reshape(-1))


def rows(places: NDArray[np.float64]) -> Order:
    """How much nearest neighbours lie in rows and columns, `places` `(N, 2)` in pixels.

    Rayleigh's test on four times the direction, so that both ways along a row and along a column are the same. Two
    parcels that are each other's nearest count once.
    """
    places = np.asarray(places, float).reshape(-1, 2)
    places = places[np.isfinite(places).all(axis=1)]
    if len(places) < 2:
        return Order(0.0, 1.0)
    apart = np.linalg.norm(places[:, None] - places[None], axis=2)
    np.fill_diagonal(apart, np.inf)
    nearest = apart.argmin(axis=1)
    pairs = np.unique(np.sort(np.stack([np.arange(len(places)), nearest], 1), axis=1), axis=0)
    way = places[pairs[:, 1]] - places[pairs[:, 0]]
    return _rayleigh(np.arctan2(way[:, 1], way[:, 0]))


def _rayleigh(angles: NDArray[np.float64]) -> Order:
    """Of angles that are the same after a quarter turn."""
    angles = np.mod(angles[np.isfinite(angles)], 2 * np.pi)
    n = len(angles)
    if n == 0:
        return Order(0.0, 1.0)
    length = float(abs(np.exp(4j * angles).mean()))
    return Order(length, min(1.0, exp(sqrt(1 + 4 * n + 4 * n * n * max(0.0, 1 - length**2)) - (1 + 2 * n))))
