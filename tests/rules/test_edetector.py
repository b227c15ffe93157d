"""Wealth is fair while nothing is wrong, grows when something is, and so keeps to the alarms that were allowed."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.rules.edetector import ALTERNATIVE, CORRELATION, SPREAD, EDetector, log_ratio

ONE = np.array([0])
RATES = st.floats(0.02, 0.85)


def chance(sequence: tuple[bool, ...], rate: float, spread: float = SPREAD) -> float:
    """Chance of a throw's parcels in this order, as a Polya urn draws them."""
    result, up = 1.0, 0
    for n, each in enumerate(sequence):
        share = (rate * spread + up) / (spread + n)
        result *= share if each else 1 - share
        up += each
    return result


def bet(sequence: tuple[bool, ...], null: float, *, start: float = 1.0, apart_s: float = 1.0) -> EDetector:
    """A detector of one window after these observations."""
    detector = EDetector(np.ones(1), 1e-9, 1e9, throw_s=60)
    detector.set_wealth(start)
    for n, up in enumerate(sequence):
        detector.observe(ONE, up, null, apart_s * n)
    return detector


@given(RATES)
@settings(max_examples=25, deadline=None)
def test_a_bet_is_fair_at_the_null(null: float) -> None:
    mean = sum(chance(s, null) * bet(s, null).wealth for s in product((False, True), repeat=6))
    assert mean == pytest.approx(1)


@given(RATES, st.floats(0, 1))
@settings(max_examples=25, deadline=None)
def test_a_bet_is_unfavourable_at_every_lower_rate(null: float, share: float) -> None:
    lower = share * null
    mean = sum(chance(s, lower) * bet(s, null).wealth for s in product((False, True), repeat=6))
    assert mean <= 1 + 1e-9


@given(RATES)
def test_a_bet_gains_where_labels_lie_up(null: float) -> None:
    assert bet((True,) * 8, null).wealth >= 1
    assert bet((False,) * 8, null).wealth <= 1


@given(st.lists(st.booleans(), min_size=1, max_size=30), RATES, st.randoms())
@settings(deadline=None)
def test_the_order_within_a_throw_does_not_matter(throw: list[bool], null: float, random: object) -> None:
    shuffled = sorted(throw, key=lambda _: random.random())  # type: ignore[attr-defined]
    up = np.array([float(sum(throw))])
    expected = float(log_ratio(up, len(throw) - up, null)[0])
    for sequence in (throw, shuffled):
        detector = bet(tuple(sequence), null, apart_s=0)
        assert detector.likeness(ONE) == pytest.approx(expected)
        assert np.log(detector.wealth) == pytest.approx(expected)


def test_the_ratio_is_that_of_throws_whose_rates_differ() -> None:
    random = np.random.default_rng(3)

    def share(rate: float) -> float:
        rates = random.beta(rate * SPREAD, (1 - rate) * SPREAD, 400_000)
        return float((random.binomial(12, rates) == 9).mean())

    expected = share(ALTERNATIVE) / share(0.35)
    assert np.exp(log_ratio(np.array([9.0]), np.array([3.0]), 0.35)[0]) == pytest.approx(expected, rel=0.05)


def test_parcels_of_one_throw_count_for_less_than_parcels_of_many() -> None:
    together, apart = bet((True,) * 10, 0.3, apart_s=1), bet((True,) * 10, 0.3, apart_s=100)
    assert 1 < together.wealth < apart.wealth


@pytest.mark.parametrize("null", [ALTERNATIVE, 0.95])
def test_nothing_is_bet_where_nearly_all_lie_up_as_a_rule(null: float) -> None:
    assert bet((True, False, True), null).wealth == pytest.approx(1)


@given(st.lists(st.floats(0, 1e6), max_size=20))
def test_what_is_paid_in_never_exceeds_the_allowance(spans: list[float]) -> None:
    detector = EDetector(np.array([0.5, 0.25, 0.25]), 1e-6, 86400, throw_s=60)
    for span in spans:
        detector.elapse(span)
    assert 0 <= detector.wealth <= 1e-6 * sum(spans) + 1e-12
    assert detector.wealth <= 1e-6 * 86400 + 1e-12


def test_time_that_runs_backwards_pays_nothing_and_begins_a_throw() -> None:
    detector = EDetector(np.ones(1), 1e-6, 86400, throw_s=60)
    detector.elapse(-5)
    assert detector.wealth == 0
    detector.set_wealth(1)
    detector.observe(ONE, True, 0.3, 1000.0)
    detector.observe(ONE, True, 0.3, 10.0)
    assert detector.wealth == pytest.approx((ALTERNATIVE / 0.3) ** 2)


def test_endless_evidence_stays_a_number() -> None:
    detector = bet((True,) * 5000, 0.05, apart_s=100)
    assert np.isfinite(detector.wealth)
    assert bet((False,) * 5000, 0.05, apart_s=100).wealth >= 0


def test_alarms_keep_to_the_allowance_and_a_change_is_soon_found() -> None:
    """Throws every hour into one of four windows, for a hundred thousand hours; an alarm is allowed every 200 hours."""
    random, allowance, null = np.random.default_rng(5), 1 / (200 * 3600), 0.3
    detector = EDetector(np.full(4, 0.25), allowance, 50 * 3600, throw_s=60)

    def alarms(rate: float, hours: int) -> list[int]:
        found = []
        rates = random.beta(rate * SPREAD, (1 - rate) * SPREAD, hours)
        for hour in range(hours):
            detector.elapse(3600)
            window = np.array([hour % 4])
            for up in random.random(random.integers(1, 10)) < rates[hour]:
                detector.observe(window, bool(up), null, 3600.0 * hour)
                if detector.wealth >= 1:
                    found.append(hour)
                    detector.set_wealth(0)
        return found

    ordinary = alarms(null, 10_000)
    # 50 are allowed. A rate of exactly that would give more than 64 in one of forty runs.
    assert 3 <= len(ordinary) <= 50
    detector.set_wealth(0)
    assert alarms(0.9, 100)[0] <= 10


def test_the_correlation_is_one_of_throws_not_of_coins() -> None:
    assert pytest.approx(1 / (SPREAD + 1)) == CORRELATION
