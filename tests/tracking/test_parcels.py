"""Parcels are slots that stay: hidden ones wait, plainly missing ones go, and facing builds up from many looks."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from detector.tracking.parcels import ParcelSlots
from detector.values import Box, Facing, Parcel
from tests.builders import detections, moved, times

BOX: Box = (400, 500, 480, 560)
BESIDE: Box = (500, 500, 580, 560)
SOMEONE: Box = (380, 200, 460, 570)

UP = {"up": 0.9, "not_up": 0.05}
NOT_UP = {"up": 0.05, "not_up": 0.9}
UNJUDGED = {"up": 0.3, "not_up": 0.2}

Looks = Callable[[float], list[tuple[Box, dict[str, float]]]]


def watched(
    seen: Looks, at: Iterable[float], people: Callable[[float], list[Box]] = lambda t: []
) -> list[tuple[float, tuple[Parcel, ...]]]:
    """Slots over time, of parcels seen as (box, facing scores)."""
    slots = ParcelSlots()
    return [
        (t, slots.update(detections([("parcel", box, 0.8, facing) for box, facing in seen(t)]), people(t), t))
        for t in at
    ]


def ids(answers: list[tuple[float, tuple[Parcel, ...]]]) -> set[int]:
    return {parcel.id for _, parcels in answers for parcel in parcels}


@pytest.mark.parametrize("fps", [2, 5, 10])
def test_a_parcel_hidden_by_a_person_keeps_its_slot(fps: float) -> None:
    def seen(t: float) -> list[tuple[Box, dict[str, float]]]:
        return [(BESIDE, UP)] if 5 < t < 65 else [(BOX, UP), (BESIDE, UP)]

    answers = watched(seen, times(0, 70, fps), lambda t: [SOMEONE] if 5 < t < 65 else [])
    assert ids(answers) == {1, 2}
    assert all(len(parcels) == 2 for _, parcels in answers)
    assert answers[-1][1][0].facing is Facing.UP


@pytest.mark.parametrize("fps", [2, 5, 10])
def test_a_parcel_taken_away_in_plain_view_is_forgotten_after_keep_s(fps: float) -> None:
    answers = watched(lambda t: [(BOX, UP)] if t <= 5 else [], times(0, 15, fps))
    last = max(t for t, parcels in answers if parcels)
    assert last == pytest.approx(5 + 4, abs=1.1 / fps)


def test_a_parcel_taken_away_behind_a_person_is_forgotten_after_that() -> None:
    answers = watched(
        lambda t: [(BOX, UP)] if t <= 5 else [], times(0, 25, 5), lambda t: [SOMEONE] if 5 < t < 15 else []
    )
    assert max(t for t, parcels in answers if parcels) == pytest.approx(15 + 4, abs=0.3)


def test_a_parcel_missed_now_and_then_keeps_its_slot() -> None:
    answers = watched(lambda t: [(BOX, UP)] if round(t * 5) % 3 == 0 else [], times(0, 20, 5))
    assert ids(answers) == {1}
    assert len(answers[-1][1]) == 1


def test_another_parcel_in_its_place_later_is_another() -> None:
    answers = watched(lambda t: [(BOX, UP)] if t <= 3 or t >= 10 else [], times(0, 12, 5))
    assert ids(answers) == {1, 2}


def test_a_parcel_elsewhere_is_another() -> None:
    assert ids(watched(lambda t: [(BOX, UP)] if t <= 3 else [(moved(BOX, (300, 0)), UP)], times(0, 4, 5))) == {1, 2}


@pytest.mark.parametrize(
    ("looks", "facing"),
    [
        pytest.param([UP], Facing.UNKNOWN, id="one look"),
        pytest.param([UP, UP], Facing.UNKNOWN, id="two looks"),
        pytest.param([UP, UP, UP], Facing.UP, id="three looks agree"),
        pytest.param([NOT_UP] * 3, Facing.NOT_UP, id="and the other way"),
        pytest.param([UP, NOT_UP] * 4, Facing.UNKNOWN, id="they disagree"),
        pytest.param([UNJUDGED] * 30, Facing.UNKNOWN, id="none could judge"),
        pytest.param([UP, UP, UP, *[UNJUDGED] * 4], Facing.UP, id="most could judge"),
        pytest.param([UP, UP, UP, *[UNJUDGED] * 30], Facing.UNKNOWN, id="few could judge"),
        pytest.param([UP, UP, UP, UP, NOT_UP], Facing.UP, id="one slip"),
    ],
)
def test_facing_builds_up_from_looks(looks: list[dict[str, float]], facing: Facing) -> None:
    answers = watched(lambda t: [(BOX, looks[round(t * 5)])], [n / 5 for n in range(len(looks))])
    parcel = answers[-1][1][0]
    assert parcel.facing is facing
    assert parcel.looks == sum(look is not UNJUDGED for look in looks)
    assert 0 <= parcel.up <= 1


@pytest.mark.parametrize("before_s", [4, 60, 3600])
def test_a_turned_parcel_is_known_as_turned_within_seconds(before_s: float) -> None:
    at = [*times(0, before_s, 1), *times(before_s + 0.2, before_s + 30, 5)]
    answers = watched(lambda t: [(BOX, NOT_UP if t <= before_s else UP)], at)
    facing = {t: parcels[0].facing for t, parcels in answers}
    assert facing[before_s] is Facing.NOT_UP
    turned = min(t for t in at if t > before_s and facing[t] is Facing.UP)
    assert turned - before_s <= 5
    assert all(facing[t] is Facing.UP for t in at if t >= turned)


@pytest.mark.parametrize("before_s", [4, 60, 3600])
def test_a_parcel_turned_after_long_being_unjudged_is_known_within_seconds(before_s: float) -> None:
    at = [*times(0, before_s, 1), *times(before_s + 0.2, before_s + 30, 5)]
    answers = watched(lambda t: [(BOX, UNJUDGED if t <= before_s else UP)], at)
    facing = {t: parcels[0].facing for t, parcels in answers}
    assert facing[before_s] is Facing.UNKNOWN
    assert facing[at[-1]] is Facing.UP
    assert min(t for t in at if facing[t] is Facing.UP) - before_s <= 10


def test_no_parcels_give_no_slots() -> None:
    assert watched(lambda t: [], [0, 1, 2])[-1] == (2, ())
