"""Which detection is which track: overlaps enter, pairs leave."""

from __future__ import annotations

import lap
import numpy as np
from numpy.typing import NDArray

from detector.values import FloatArray


def best_pairs(gain: FloatArray, least: float) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """One-to-one pairs (row, column) that maximise the summed gain, those below `least` left out.

    Most rows and columns have one candidate or none; what is left for the assignment is small.

    Args:
        gain: `(N, M)` 0..1, e.g. IoU of tracks and detections; what isn't finite is no pair.
        least: Smallest gain worth a pair, above 0.

    Returns:
        Rows and columns of the pairs, `(K,)` each, in order of row. Source: Jonker and Volgenant, 1987 (package `lap`).
    """
    possible = gain >= least
    in_row, in_column = possible.sum(axis=1), possible.sum(axis=0)
    rows, columns = np.nonzero(possible & (in_row == 1)[:, None] & (in_column == 1)[None])
    possible[rows] = False
    open_rows, open_columns = np.flatnonzero(possible.any(axis=1)), np.flatnonzero(possible.any(axis=0))
    if len(open_rows):
        cut = np.ix_(open_rows, open_columns)
        cost = 1.0 - np.where(possible[cut], gain[cut], 0.0).astype(np.float64)
        _, column_of, _ = lap.lapjv(cost, extend_cost=True)
        chosen = np.flatnonzero(column_of >= 0)
        chosen = chosen[possible[cut][chosen, column_of[chosen]]]
        rows = np.concatenate([rows, open_rows[chosen]])
        columns = np.concatenate([columns, open_columns[column_of[chosen]]])
        order = np.argsort(rows)
        rows, columns = rows[order], columns[order]
    return rows, columns
