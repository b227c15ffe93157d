"""A patch with nearly every label up is surprising; thrown parcels are not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.config import OrientationRule, Zone
from detector.rules.orientation import CORRELATION, log_tail, most_surprising_patch, patch_sizes
from detector.rules.orientation import OrientationRule as Rule
from detector.rules.zones import ZoneMap
from detector.values import Facing, IncidentKind, Parcel, Scene, Severity, Signal
from tests.builders import box_at, parcel, scene, times

RATE = 0.35


def thrown(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Places and facings of thrown parcels of one throw: their rate varies as parcels of a throw land alike."""
    random = np.random.default_rng(seed)
    spread = 1 / CORRELATION - 1
    rate = random.beta(RATE * spread, (1 - RATE) * spread)
    return random.uniform(0, 1000, (n, 2)), random.random(n) < rate


def planted(n: int = 60, size: int = 20, up: int = 18) -> tuple[np.ndarray, np.ndarray, set[int]]:
    """Thrown parcels among which the `size` nearest to the middle were turned, `up` of them label up."""
    places, facing = thrown(n)
    patch = np.argsort(np.linalg.norm(places - 500, axis=1))[:size]
    facing[patch] = [True] * up + [False] * (size - up)
    return places, facing, set(patch.tolist())


def test_a_planted_patch_is_found() -> None:
    places, up, patch = planted()
    found = most_surprising_patch(places, up, RATE, 8)
    assert found.p_value <= 0.002
    both = patch & set(found.members)
    assert len(both) >= 0.7 * max(len(patch), len(found.members))
    assert found.up == up[list(found.members)].sum()


def test_thrown_parcels_are_called_surprising_no_more_often_than_said() -> None:
    values = [most_surprising_patch(*thrown(12, seed), RATE, 8, draws=99).p_value for seed in range(200)]
    # 200 scenes at 0.1: 20 expected, three standard deviations are 13.
    assert 2 <= sum(p <= 0.1 for p in values) <= 33
    assert 0.35 <= float(np.mean(values)) <= 0.75


@settings(max_examples=25, deadline=None)
@given(st.integers(3, 14), st.integers(0, 2**32 - 1), st.floats(0, 1), st.integers(3, 8))
def test_equal_scenes_give_equal_answers_whatever_they_are(n: int, seed: int, rate: float, least: int) -> None:
    random = np.random.default_rng(seed)
    places, up = random.uniform(0, 100, (n, 2)), random.random(n) < 0.5
    least = min(least, n)
    first, again = (most_surprising_patch(places, up, rate, least, draws=19) for _ in range(2))
    assert first == again
    assert 0 < first.p_value <= 1
    assert len(first.members) >= least
    assert first.up == int(up[list(first.members)].sum())


def test_parcels_all_in_one_place_can_be_searched() -> None:
    found = most_surprising_patch(np.zeros((9, 2)), np.ones(9, bool), RATE, 8, draws=99)
    assert found.p_value <= 0.05


def test_no_label_up_is_no_surprise() -> None:
    places, _ = thrown(12)
    assert most_surprising_patch(places, np.zeros(12, bool), RATE, 8, draws=99).p_value == 1


@settings(deadline=None)
@given(st.integers(1, 80), st.floats(0.02, 0.98))
def test_the_tail_of_a_patch_falls_from_certainty_and_ends_with_the_patch(size: int, rate: float) -> None:
    tail = log_tail(size, rate, size + 3)
    assert tail[0] == pytest.approx(0.0, abs=1e-9)
    assert (np.diff(tail[: size + 1]) < 0).all()
    assert (tail[size + 1 :] == -np.inf).all()


def test_the_tail_is_that_of_parcels_whose_rate_differs_from_throw_to_throw() -> None:
    random = np.random.default_rng(3)
    spread = 1 / CORRELATION - 1
    ups = random.binomial(12, random.beta(RATE * spread, (1 - RATE) * spread, 200_000))
    for k in (2, 5, 8):
        assert np.exp(log_tail(12, RATE, 12)[k]) == pytest.approx((ups >= k).mean(), abs=0.004)


@settings(deadline=None)
@given(st.integers(3, 20), st.integers(0, 300))
def test_patches_grow_from_the_least_to_all(least: int, more: int) -> None:
    sizes = patch_sizes(least, least + more)
    assert sizes[0] == least
    assert sizes[-1] == least + more
    assert sizes == sorted(set(sizes))


# The rule, over time.

STORAGE = Zone(name="bulk", kind="storage", polygon=[(0, 0), (0.5, 0), (0.5, 1), (0, 1)])
WALKWAY = Zone(name="aisle", kind="walkway", polygon=[(0.5, 0), (1, 0), (1, 1), (0.5, 1)])


def lying(facings: Sequence[Facing], *, since: float = 0.0, left: float = 60) -> list[Parcel]:
    """Parcels in rows of six."""
    return [
        parcel(n + 1, box_at((left + 80 * (n % 6), 200 + 70 * (n // 6)), 60, 50), facing, since=since)
        for n, facing in enumerate(facings)
    ]


TURNED = [Facing.UP] * 18 + [Facing.NOT_UP] * 2
ORDINARY = [Facing.UP if n % 3 == 0 else Facing.NOT_UP for n in range(20)]


def signals(scenes: Iterable[Scene], zones: Sequence[Zone] = (STORAGE, WALKWAY)) -> list[Signal]:
    rule = Rule(ZoneMap(zones), OrientationRule())
    return [found for each in scenes for found in rule.observe(each)]


def test_a_turned_patch_is_told_once() -> None:
    found = signals(scene(t, parcels=lying(TURNED), labels=[(1, 2, 3, 4)]) for t in times(0, 60, 2))
    assert len(found) == 1
    told = found[0]
    assert (told.kind, told.zone, told.severity) == (IncidentKind.ORIENTATION_PATTERN, "bulk", Severity.WARNING)
    assert told.started_at == 4
    assert told.at == 6
    assert told.facts["zone_up"] == 18
    assert told.facts["zone_judged"] == 20
    assert told.facts["p_value"] <= 0.002
    assert ("label", (1, 2, 3, 4)) in told.boxes
    assert sum(what == "up" for what, _ in told.boxes) == told.facts["up"]


@pytest.mark.parametrize(
    "parcels",
    [
        pytest.param([], id="no parcels"),
        pytest.param(lying(ORDINARY), id="thrown"),
        pytest.param(lying([Facing.UP] * 7), id="too few"),
        pytest.param(lying([Facing.UNKNOWN] * 20), id="none could be judged"),
        pytest.param(lying(TURNED, left=700), id="in a walkway"),
        pytest.param(lying([Facing.NOT_UP] * 20), id="none up"),
    ],
)
def test_what_is_no_pattern(parcels: list[Parcel]) -> None:
    assert signals(scene(t, parcels=parcels) for t in times(0, 20, 2)) == []


def test_a_pattern_of_a_moment_is_not_told() -> None:
    assert signals(scene(t, parcels=lying(TURNED if 10 <= t < 11.5 else ORDINARY)) for t in times(0, 20, 2)) == []


def test_a_cleared_pattern_that_comes_back_is_told_again() -> None:
    def at(t: float) -> list[Parcel]:
        return lying(ORDINARY) if 20 <= t < 40 else lying(TURNED)

    assert [s.at for s in signals(scene(t, parcels=at(t)) for t in times(0, 60, 2))] == [6, 42]


def test_a_zone_whose_parcels_usually_lie_label_up_is_not_surprising() -> None:
    usual = Zone(name="bulk", kind="storage", polygon=STORAGE.polygon, label_up_rate=0.9)
    assert signals((scene(t, parcels=lying(TURNED)) for t in times(0, 20, 2)), [usual]) == []


def test_parcels_that_have_just_been_put_down_do_not_count_yet() -> None:
    found = signals(scene(t, parcels=lying(TURNED, since=10)) for t in times(10, 30, 2))
    assert [s.started_at for s in found] == [14]
