"""A zone's usual rate is learned from throws, follows the zone, and isn't led astray by patterns."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.rules.edetector import SPREAD
from detector.rules.usual import FADE_S, PRIOR, UsualRate


def test_what_was_given_is_taken_at_its_word_until_something_is_learned() -> None:
    rate = UsualRate(0.35)
    assert rate.mean == rate.bound == 0.35


@pytest.mark.parametrize("true", [0.05, 0.2, 0.6])
def test_the_rate_of_a_zone_is_learned(true: float) -> None:
    random, rate = np.random.default_rng(1), UsualRate(0.35)
    for each in random.beta(true * SPREAD, (1 - true) * SPREAD, 200):
        up = int(random.binomial(10, each))
        rate.learn(up, 10 - up, doubtful=False)
    assert rate.mean == pytest.approx(true, abs=0.04)
    assert true - 0.02 <= rate.bound <= true + 0.08


@given(st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500), st.booleans(), st.floats(0, 1e7)), max_size=30))
def test_the_rate_is_a_share_whatever_comes(throws: list[tuple[int, int, bool, float]]) -> None:
    for prior in (0.0, 0.35, 1.0):
        rate = UsualRate(prior)
        for up, not_up, doubtful, seconds in throws:
            rate.learn(up, not_up, doubtful=doubtful)
            rate.elapse(seconds)
            assert 0 <= rate.mean <= rate.bound <= 1.2


def test_a_large_throw_counts_for_few_parcels_since_they_land_alike() -> None:
    one, many = UsualRate(0.2), UsualRate(0.2)
    one.learn(100, 0, doubtful=False)
    for _ in range(100):
        many.learn(1, 0, doubtful=False)
    assert one.up < 25
    assert many.up == 100


def test_the_past_fades() -> None:
    rate = UsualRate(0.2)
    rate.learn(10, 10, doubtful=False)
    before = rate.up
    rate.elapse(FADE_S)
    assert rate.up == pytest.approx(before / np.e)
    rate.elapse(100 * FADE_S)
    assert rate.mean == pytest.approx(0.2)


def test_what_was_left_out_fades_too() -> None:
    rate = UsualRate(0.35, up=10.0, not_up=20.0, left_out=30.0)
    rate.elapse(FADE_S)
    assert (rate.up, rate.not_up, rate.left_out) == pytest.approx((10 / np.e, 20 / np.e, 30 / np.e))


def test_a_pattern_now_and_then_is_not_learned() -> None:
    rate = UsualRate(0.2)
    for _ in range(40):
        for _ in range(5):
            rate.learn(2, 8, doubtful=False)
        rate.learn(18, 2, doubtful=True)
    assert rate.mean == pytest.approx(0.2, abs=0.01)
    assert rate.left_out > 100


def test_what_has_become_the_rule_is_learned() -> None:
    rate = UsualRate(0.2)
    for _ in range(20):
        rate.learn(2, 8, doubtful=False)
    for _ in range(100):
        rate.learn(8, 2, doubtful=True)
        rate.elapse(3600)
    assert rate.mean > 0.6


def test_an_empty_throw_says_nothing() -> None:
    rate = UsualRate(0.2)
    rate.learn(0, 0, doubtful=True)
    assert (rate.up, rate.not_up, rate.left_out) == (0, 0, 0)
    assert PRIOR > 0
