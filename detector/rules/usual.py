"""What share of parcels usually lies label up: throws enter, a rate and a cautious upper bound of it leave.

A throw of many parcels counts for fewer, since they land alike. The past fades, so that the rate follows a zone that
changes. A throw that looks like a pattern is not learned from, lest an offence that is repeated become the usual; only
where such throws make up a large share of all, it is the usual that has changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, sqrt

from detector.rules.edetector import CORRELATION
from detector.values import DAY_S

PRIOR = 40.0  # parcels that the rate given at the start counts for
FADE_S = 7 * DAY_S
DOUBTED = 0.25  # largest share of what was thrown that may be left out
CAUTION = 1.64  # standard errors between the rate and its bound


@dataclass(slots=True)
class UsualRate:
    """A beta posterior that fades.

    `prior` is the rate at the start. `up`, `not_up` and `left_out` are parcels learned from and left out, counted as
    if each had been thrown alone.
    """

    prior: float
    up: float = 0.0
    not_up: float = 0.0
    left_out: float = 0.0

    @property
    def mean(self) -> float:
        """The rate, 0..1."""
        return (PRIOR * self.prior + self.up) / (PRIOR + self.up + self.not_up)

    @property
    def bound(self) -> float:
        """The rate, more by the error of what was learned; what was given at the start is taken at its word."""
        learned, mean = self.up + self.not_up, self.mean
        return mean + CAUTION * sqrt(mean * (1 - mean) * learned) / (PRIOR + learned)

    def elapse(self, seconds: float) -> None:
        """Let watched time pass: the past fades."""
        kept = exp(-max(seconds, 0.0) / FADE_S)
        self.up *= kept
        self.not_up *= kept
        self.left_out *= kept

    def learn(self, up: int, not_up: int, *, doubtful: bool) -> None:
        """Learn from a throw that is over; `doubtful`: it looks like a pattern."""
        thrown = up + not_up
        if thrown == 0:
            return
        each = 1 / (1 + (thrown - 1) * CORRELATION)
        learned = PRIOR + self.up + self.not_up
        if doubtful and self.left_out + each * thrown <= DOUBTED * (learned + self.left_out + each * thrown):
            self.left_out += each * thrown
            return
        self.up += each * up
        self.not_up += each * not_up
