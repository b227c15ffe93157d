"""Has the rate of a stream gone up? Counts enter as they come; wealth leaves that may be looked at at any time.

Wealth is bet on windows, each of which sees a part of the stream. It is paid in at a steady pace, `allowance_s` a
second, split among the windows by weight. Every observation is a bet at odds that are fair, or worse than fair, as long
as nothing is wrong: wealth is multiplied by how much likelier the observation is under an alternative than under the
null. So wealth grows by no more than what is paid in, on average, however the windows overlap and whenever one looks:

    E[wealth at T] <= paid in at the start + allowance_s * E[T]        for every stopping time T.

Let an alarm cost all wealth, and be raised only when there is 1 or more. Then for N(t) alarms up to time t

    E[N(t)] <= paid in at the start + allowance_s * t,

and the mean time between false alarms is at least 1 / allowance_s. What was paid in last hour backs evidence of this
hour, what was paid in a minute ago that of this minute: it is a sum of e-processes begun at every instant (an
e-detector; Shin, Ramdas and Rinaldo, 2022; with a likelihood ratio the statistic of Shiryaev and Roberts). Wealth
also fades, with time constant `memory_s`: that only lowers it, and keeps quiet weeks from being saved up.

Observations that come together are alike: a *throw* of parcels has a rate of its own. Within one, the null is a Polya
urn (beta-binomial, intra-class correlation `CORRELATION`). Its ratio grows with the number of ups, so a null of a lower
rate, which has fewer ups in the sense of stochastic order, makes the bets worse, never better: the null may be any rate
up to the one given. A correlation higher than the one given is not covered by this; `models/simulation/zones.py`
measures what it does. Observations that come at the same time may be bet on one after the other, in any order that
knows nothing of what they are, and the alarm raised between them.
"""

from __future__ import annotations

from math import lgamma

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Rows = NDArray[np.intp]

# Of parcels thrown together. Supposed, since no throws were counted: where they are twice as alike, the false alarms of
# `models/simulation/zones.py` stay within what is set.
CORRELATION = 0.04
SPREAD = 1 / CORRELATION - 1
ALTERNATIVE = 0.9  # mean share under the alternative
MOST = 1e12  # wealth beyond this says no more

_lgamma = np.frompyfunc(lgamma, 1, 1)


class EDetector:
    """Wealth of windows over one kind of observation.

    Args:
        weights: `(W,)` share of each window in what is paid in; their sum is this detector's share.
        allowance_s: Alarms that may be raised a second while nothing is wrong, of all detectors that share the alarm.
        memory_s: Time constant of fading, seconds.
        throw_s: Observations of a window within this of the first are one throw.
    """

    def __init__(self, weights: Floats, allowance_s: float, memory_s: float, throw_s: float) -> None:
        self._weights = weights
        self._rest = allowance_s * memory_s * weights  # where wealth comes to rest when nothing is observed
        self._memory_s = memory_s
        self._throw_s = throw_s
        self._wealth = np.zeros(len(weights))
        self._up = np.zeros(len(weights))
        self._seen = np.zeros(len(weights))
        self._began = np.full(len(weights), -np.inf)
        self._ratio = np.zeros(len(weights))

    @property
    def wealth(self) -> float:
        """Of all windows."""
        return float(self._wealth.sum())

    def set_wealth(self, total: float) -> None:
        """Spread so much wealth over the windows by weight: at the start, or 0 after an alarm."""
        self._wealth = total * self._weights

    def elapse(self, seconds: float, share: float = 1.0) -> None:
        """Let watched time pass: this share of the allowance is paid in, and wealth fades."""
        kept = float(np.exp(-max(seconds, 0.0) / self._memory_s))
        rest = share * self._rest
        self._wealth = rest + kept * (self._wealth - rest)

    def observe(self, rows: Rows, up: bool, null: Floats | float, at: float) -> None:
        """Bet on one observation.

        Args:
            rows: `(R,)` windows that see it.
            up: What was seen.
            null: Highest rate of ups, above 0 and below 1, at which nothing is wrong, of each of them or of all.
            at: Frame time, seconds.
        """
        age = at - self._began[rows]
        over = rows[(age > self._throw_s) | (age < 0)]
        self._up[over] = self._seen[over] = self._ratio[over] = 0
        self._began[over] = at
        before = self._up[rows] if up else self._seen[rows] - self._up[rows]
        low, high = _urns(null)
        ratio = (high + before) / (low + before) if up else (SPREAD - high + before) / (SPREAD - low + before)
        self._wealth[rows] = np.minimum(self._wealth[rows] * ratio, MOST)
        self._ratio[rows] += np.log(ratio)
        self._up[rows] += up
        self._seen[rows] += 1

    def likeness(self, rows: Rows) -> float:
        """Largest log ratio of alternative to null of a throw that goes on, over these windows."""
        return float(self._ratio[rows].max(initial=-np.inf))


def log_ratio(up: Floats, not_up: Floats, null: float) -> Floats:
    """Log of how much likelier a throw is under the alternative than under the null.

    Args:
        up: `(R,)` ups seen.
        not_up: `(R,)` others seen.
        null: Mean of the null, above 0 and below 1.

    Source: ratio of beta-binomial probabilities, e.g. Johnson, Kemp and Kotz, Univariate Discrete Distributions, 2005.
    """
    low, high = _urns(null)
    return np.asarray(
        _rising(high, up) - _rising(low, up) + _rising(SPREAD - high, not_up) - _rising(SPREAD - low, not_up),
        np.float64,
    )


def _urns(null: Floats | float) -> tuple[Floats, Floats]:
    """Ups in the urns of null and alternative, of `SPREAD` balls.

    The alternative has a mean of `ALTERNATIVE`, or that of the null where it is higher: then nothing is bet.
    """
    low = np.asarray(null, float) * SPREAD
    return low, np.maximum(low, ALTERNATIVE * SPREAD)


def _rising(start: Floats, steps: Floats) -> Floats:
    """Log of the rising factorial `start * (start + 1) * … ` of so many factors."""
    return np.asarray(_lgamma(start + steps) - _lgamma(start), np.float64)
