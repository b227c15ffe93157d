"""Photos that may have gone untold beside those told: one person's photos enter, how many more there may be leaves.

Whoever takes labels goes on from one to the next, but not each photo is seen as one: somebody turns away, or is too
small. So the labels of the photos told are nearly always too few. Who stays in one place between two photos may be
photographing all that time, one photo in the median length `d` of those told, but hardly many in a row without one of
them being told. For each time `s` between two photos, in whole photos:

    best:  s / (d + NEXT_S), `USUAL_BETWEEN` at most
    high:  s / d, `MOST_BETWEEN` at most; and twice the most of these for what came before the first and after the last
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from detector.rules.posture import Spans, shared_s

LEAST_S = 0.8  # nobody photographs label after label faster
NEXT_S = 2.0  # from one photo to the next: 2.3 in the median of 27 such times in rendered clips, walks included
# Of the parcels photographed in a simulated sweep that is found 0.33 are told, in the median (models/tried.md): so
# 0.67 / 0.33 photos go untold before the next is told on average, and seven or more one time in sixteen.
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
    usual = [min(int(s // (length + NEXT_S)), USUAL_BETWEEN) for s in between]
    most = [min(int(s // length), MOST_BETWEEN) for s in between]
    return sum(usual), sum(most) + 2 * max(most)


def stayed_s(a: Shot, b: Shot) -> float:
    """Seconds in one place between two photos; of another track those since it began."""
    return b.stayed[0] - (a.stayed[1] if a.track == b.track else 0.0)
