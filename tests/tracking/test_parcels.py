"""Parcels are slots that stay: hidden ones wait, plainly missing ones go, and facing builds up from many looks."""

from __future__ import annotations

import cmath
import math
import random
from collections.abc import Callable, Iterable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.tracking.parcels import LEAST_ANGLE, ParcelSlots, axial_angle
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


@pytest.mark.parametrize("every_s", [8.0, 3.5, 2.0])
def test_who_passes_before_an_empty_place_does_not_bring_back_what_lay_there(every_s: float) -> None:
    answers = watched(
        lambda t: [(BOX, UP)] if t <= 5 else [],
        times(0, 60, 5),
        lambda t: [SOMEONE] if t > 5 and t % every_s < 0.5 else [],
    )
    assert max(t for t, parcels in answers if parcels) < 5 + 15


def test_a_parcel_behind_somebody_who_is_found_more_often_than_not_keeps_its_slot() -> None:
    seen = times(0, 300, 5)
    answers = watched(lambda t: [] if 5 < t < 290 else [(BOX, UP)], seen, lambda t: [SOMEONE] if t % 3 < 2 else [])
    assert ids(answers) == {1}


def test_a_parcel_missed_once_after_a_long_time_without_a_look_keeps_its_slot() -> None:
    answers = watched(lambda t: [] if t == 60 else [(BOX, UP)], [*times(0, 5, 5), 60, *times(60.2, 65, 5)])
    assert ids(answers) == {1}


def test_a_parcel_missed_now_and_then_keeps_its_slot() -> None:
    answers = watched(lambda t: [(BOX, UP)] if round(t * 5) % 3 == 0 else [], times(0, 20, 5))
    assert ids(answers) == {1}
    assert len(answers[-1][1]) == 1


def test_a_parcel_that_is_missed_every_other_time_keeps_its_slot_while_looks_are_seldom() -> None:
    """As in a dim hall at night, where nothing moves."""
    chance = random.Random(1)
    answers = watched(lambda t: [(BOX, UP)] if chance.random() < 0.5 else [], times(0, 1000, 1 / 4.97))
    assert len(ids(answers)) < 10


def test_a_parcel_taken_away_between_looks_that_are_seldom_is_forgotten_all_the_same() -> None:
    answers = watched(lambda t: [(BOX, UP)] if t <= 5 else [], times(0, 60, 1 / 4.97))
    assert max(t for t, parcels in answers if parcels) < 36


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
    assert answers[-1][1][0].turned_at == pytest.approx(before_s + 2.6, abs=1.0)
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


@pytest.mark.parametrize("fps", [2, 5, 10, 25])
def test_a_turn_takes_the_same_time_at_any_frame_rate(fps: float) -> None:
    answers = watched(lambda t: [(BOX, NOT_UP if t <= 6 else UP)], times(0, 20, fps))
    assert min(t for t, parcels in answers if parcels[0].facing is Facing.UP) == pytest.approx(8.4, abs=0.7)
    assert answers[-1][1][0].turned_at == pytest.approx(8.4, abs=0.7)


def test_a_parcel_turned_behind_somebody_was_turned() -> None:
    """So was one put in its place meanwhile: from where the camera hangs that is the same."""

    def seen(t: float) -> list[tuple[Box, dict[str, float]]]:
        return [] if 5 < t < 15 else [(BOX, NOT_UP if t <= 5 else UP)]

    answers = watched(seen, times(0, 25, 5), lambda t: [SOMEONE] if 5 < t < 15 else [])
    parcel = answers[-1][1][0]
    assert (parcel.id, parcel.facing) == (1, Facing.UP)
    assert parcel.turned_at == pytest.approx(17.4, abs=0.7)


@pytest.mark.parametrize(
    "look",
    [
        pytest.param(lambda t: UP, id="always up"),
        pytest.param(lambda t: UNJUDGED if t < 10 else UP, id="not judged before"),
        pytest.param(lambda t: NOT_UP if 10 < t < 11 else UP, id="a second of doubt"),
        pytest.param(lambda t: UP if round(t * 5) % 2 else NOT_UP, id="now so, now so"),
        pytest.param(lambda t: UP if t < 0.7 else NOT_UP, id="a wrong first impression"),
    ],
)
def test_what_was_not_turned_has_no_turn(look: Callable[[float], dict[str, float]]) -> None:
    answers = watched(lambda t: [(BOX, look(t))], times(0, 40, 5))
    assert {parcel.turned_at for _, parcels in answers for parcel in parcels} == {None}


def test_a_parcel_pushed_along_bit_by_bit_is_another() -> None:
    answers = watched(lambda t: [(moved(BOX, (max(0.0, 12 * (t - 5)), 0)), UP)], times(0, 12, 5))
    assert len(ids(answers)) > 1
    assert all(len(parcels) == 1 for _, parcels in answers)
    assert answers[-1][1][0].first_seen_at > 5


def test_a_box_that_trembles_stays_one() -> None:
    random = np.random.default_rng(3)
    answers = watched(lambda t: [(moved(BOX, tuple(random.normal(0, 4, 2))), UP)], times(0, 60, 5))
    assert ids(answers) == {1}


def test_a_half_hidden_parcel_keeps_its_box() -> None:
    half: Box = (440, 500, 480, 560)
    answers = watched(
        lambda t: [(half if 5 < t < 10 else BOX, UP)], times(0, 9, 5), lambda t: [SOMEONE] if 5 < t < 10 else []
    )
    assert answers[-1][1][0].box == pytest.approx(BOX, abs=1)


def test_a_parcel_behind_somebody_who_never_leaves_is_forgotten_in_the_end() -> None:
    answers = watched(lambda t: [(BOX, UP)] if t <= 5 else [], times(0, 1200, 0.5), lambda t: [SOMEONE])
    assert max(t for t, parcels in answers if parcels) == pytest.approx(905, abs=4)


def test_scores_that_are_no_numbers_judge_nothing() -> None:
    answers = watched(lambda t: [(BOX, {"up": math.nan, "not_up": math.nan})], times(0, 5, 5))
    parcel = answers[-1][1][0]
    assert (parcel.facing, parcel.looks, parcel.up) == (Facing.UNKNOWN, 0, 0.5)


def lying(degrees: float, box: Box = (430, 520, 450, 540)) -> tuple[str, Box, float, dict[str, float]]:
    """A label whose lines run at an angle."""
    doubled = 2 * math.radians(degrees)
    return ("label", box, 0.8, {"angle_cos": (1 + math.cos(doubled)) / 2, "angle_sin": (1 + math.sin(doubled)) / 2})


def angle_of(labels: Callable[[float], list[tuple[str, Box, float, dict[str, float]]]], end: float = 4) -> float | None:
    """Angle of the parcel in `BOX` in degrees, after labels as they are seen over time."""
    slots = ParcelSlots()
    for t in times(0, end, 5):
        seen = detections([("parcel", BOX, 0.8, UP), ("parcel", BESIDE, 0.8, UP)])
        parcels = slots.update(seen, [], t, detections(labels(t)))
    angle = parcels[0].angle
    return None if angle is None else math.degrees(angle)


def apart(a: float, b: float) -> float:
    """Difference of two axial angles in degrees, 0 to 90."""
    return abs((a - b + 90) % 180 - 90)


@settings(deadline=None, max_examples=40)
@given(st.floats(0, 180), st.booleans())
def test_the_angle_is_that_of_the_label_whichever_way_it_is_read(degrees: float, turned: bool) -> None:
    found = angle_of(lambda t: [lying(degrees + (180 if turned and round(t * 5) % 2 else 0))])
    assert found is not None
    assert apart(found, degrees) < 0.1


@pytest.mark.parametrize(
    ("labels", "found"),
    [
        pytest.param([], None, id="no label"),
        pytest.param([("label", (430, 520, 450, 540), 0.8, {})], None, id="of unknown angle"),
        pytest.param([lying(20, (700, 520, 720, 540))], None, id="beside"),
        pytest.param([lying(20, (530, 520, 550, 540))], None, id="on another parcel"),
        pytest.param([lying(0), lying(90)], None, id="they disagree"),
        pytest.param([lying(175), lying(5)], 0, id="the mean goes round"),
        pytest.param([lying(20), ("label", (430, 520, 450, 540), 0.8, {})], 20, id="one is known"),
    ],
)
def test_whose_label_gives_which_angle(labels: list[tuple[str, Box, float, dict[str, float]]], found: float) -> None:
    angle = angle_of(lambda t: labels)
    if found is None:
        assert angle is None
    else:
        assert angle is not None
        assert apart(angle, found) < 0.1


def test_the_angle_follows_a_parcel_that_is_turned_on_the_spot() -> None:
    found = angle_of(lambda t: [lying(10 if t < 10 else 80)], 25)
    assert found is not None
    assert apart(found, 80) < 5


vectors = st.lists(st.tuples(st.floats(0, math.pi), st.floats(0.1, 1)), min_size=1, max_size=6)


@given(vectors, st.floats(0, math.pi))
def test_an_axial_mean_turns_with_its_angles(parts: list[tuple[float, float]], by: float) -> None:
    def mean(turn: float) -> float | None:
        cosine = sum(w * math.cos(2 * (a + turn)) for a, w in parts) / len(parts)
        return axial_angle(cosine, sum(w * math.sin(2 * (a + turn)) for a, w in parts) / len(parts))

    before, after = mean(0), mean(by)
    length = abs(sum(w * cmath.exp(2j * a) for a, w in parts)) / len(parts)
    if abs(length - LEAST_ANGLE) < 1e-6:
        return
    assert (before is None) == (after is None) == (length < LEAST_ANGLE)
    if before is not None and after is not None:
        assert 0 <= before <= math.pi
        assert apart(math.degrees(after), math.degrees(before + by)) < 1e-3


def test_no_parcels_give_no_slots() -> None:
    assert watched(lambda t: [], [0, 1, 2])[-1] == (2, ())
