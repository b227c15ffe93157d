"""Photos that may have gone untold beside those told: one person's photos enter, how many more there may be leaves.

Whoever takes labels goes on from one to the next, but not each photo is seen as one: somebody turns away, or is too
small. So the labels of the photos told are nearly always too few. Who stays in one place between two photos may be
photographing all that time, one photo in the median length `d` of those told, but hardly many in a row without one of
them being told. For each time `s` between two photos of `k`:

    high:  s / d, `MOST_BETWEEN` at most; and twice the most of these for what came before the first and after the last
    best:  s / (d + NEXT_S), `USUAL_BETWEEN` at most; all of it times (k + 1) / (k - 1), for k photos picked at random
           out of a row split it into k + 1 pieces that are equally long on average

each in whole photos.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from detector.rules.posture import Spans, shared_s

LEAST_S = 0.8  # nobody photographs label after label faster
NEXT_S = 1.0  # in which the phone is moved on to the next label
# Of the parcels photographed in simulated sweeps that are found the median sweep has 0.36 told (models/README.md): so
# (1 - 0.36) / 0.36 photos go untold before the next is told on average, and more than seven one time in twenty.
USUAL_BETWEEN, MOST_BETWEEN = 2, 7


@dataclass(frozen=True, slots=True)
class Shot:
    """A photo told.

    Attributes:
        track: Who took it.
        started_at: Frame time, seconds.
        ended_at: Frame time, seconds.
        stayed: Seconds that the track had stayed in one place when the photo began, and when it ended.
    """

    track: int
    started_at: float
    ended_at: float
    stayed: tuple[float, float]


def overlooked(shots: Sequence[Shot], busy: Spans = ()) -> tuple[int, int]:
    """How many photos more than those told one person took: probably, and at most.

    Args:
        shots: Those told, of one person, who may have had several tracks, in order of time.
        busy: Spans of time (from, to) in which the person did something else.
    """
    if len(shots) < 2:
        return 0, 0
    length = max(median(shot.ended_at - shot.started_at for shot in shots), LEAST_S)
    between = [max(0.0, stayed_s(a, b) - shared_s(busy, a.ended_at, b.started_at)) for a, b in pairwise(shots)]
    usual = sum(min(int(s // (length + NEXT_S)), USUAL_BETWEEN) for s in between)
    most = [min(int(s // length), MOST_BETWEEN) for s in between]
    return round(usual * (len(shots) + 1) / (len(shots) - 1)), sum(most) + 2 * max(most)


def stayed_s(a: Shot, b: Shot) -> float:
    """Seconds in one place between two photos; of another track those since it began."""
    return b.stayed[0] - (a.stayed[1] if a.track == b.track else 0.0)
