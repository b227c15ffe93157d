"""Exact 95 % intervals of counts: a count enters, the ends of the interval leave."""

from __future__ import annotations

from collections.abc import Callable
from math import exp, lgamma, log

TAIL = 0.025


def share_interval(found: int, of: int) -> tuple[float, float]:
    """Interval of a share of `of` trials (Clopper and Pearson, 1934)."""

    def chance(k: int, p: float) -> float:
        # By logarithms, since ways to choose are more than a float can hold from a thousand trials on.
        ways = lgamma(of + 1) - lgamma(k + 1) - lgamma(of - k + 1)
        return exp(ways + k * log(p) + (of - k) * log(1 - p))

    def at_least(p: float) -> float:
        return sum(chance(k, p) for k in range(found, of + 1))

    def at_most(p: float) -> float:
        return sum(chance(k, p) for k in range(found + 1))

    low = _where(at_least, TAIL, 0.0, 1.0) if found else 0.0
    high = _where(lambda p: -at_most(p), -TAIL, 0.0, 1.0) if found < of else 1.0
    return low, high


def count_interval(count: int, tail: float = TAIL) -> tuple[float, float]:
    """Interval of the mean of a Poisson count (Garwood, 1936); either end is wrong with a chance of `tail`."""

    def at_most(mean: float, most: int) -> float:
        return sum(exp(k * log(mean) - mean - lgamma(k + 1)) for k in range(most + 1)) if mean > 0 else 1.0

    top = count + 10 * (count + 1) ** 0.5 + 10
    low = _where(lambda mean: 1 - at_most(mean, count - 1), tail, 0.0, top) if count else 0.0
    return low, _where(lambda mean: -at_most(mean, count), -tail, 0.0, top)


def _where(rising: Callable[[float], float], value: float, low: float, high: float) -> float:
    """Where a rising function takes a value, by bisection."""
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) < value else (low, middle)
    return (low + high) / 2
