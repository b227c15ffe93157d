"""Which detection is which track: overlaps enter, pairs leave."""

from __future__ import annotations

import numpy as np
from scipy.optimize import linear_sum_assignment

from detector.values import FloatArray


def best_pairs(gain: FloatArray, least: float) -> list[tuple[int, int]]:
    """One-to-one pairs (row, column) that maximise the summed gain, those below `least` left out.

    Args:
        gain: `(N, M)`, e.g. IoU of tracks and detections.
        least: Smallest gain worth a pair.

    Returns:
        Pairs in order of row. Source: Hungarian method (Kuhn, 1955).
    """
    if not gain.size:
        return []
    usable = np.where(gain >= least, gain, -1e3)
    rows, columns = linear_sum_assignment(-usable)
    return [(int(r), int(c)) for r, c in zip(rows, columns, strict=True) if gain[r, c] >= least]
