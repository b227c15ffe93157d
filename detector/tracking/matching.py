"""Which detection is which track: overlaps enter, pairs leave."""

from __future__ import annotations

import lap
import numpy as np

from detector.values import FloatArray


def best_pairs(gain: FloatArray, least: float) -> list[tuple[int, int]]:
    """One-to-one pairs (row, column) that maximise the summed gain, those below `least` left out.

    Args:
        gain: `(N, M)` 0..1, e.g. IoU of tracks and detections.
        least: Smallest gain worth a pair.

    Returns:
        Pairs in order of row. Source: Jonker and Volgenant, 1987 (package `lap`).
    """
    if not gain.size:
        return []
    usable = np.where(gain >= least, gain, 0.0).astype(np.float64)
    _, column_of, _ = lap.lapjv(1.0 - usable, extend_cost=True)
    return [(row, int(k)) for row, k in enumerate(column_of) if k >= 0 and gain[row, k] >= least]
