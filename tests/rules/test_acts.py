"""What a person does with the device in the hand, told once when sure and once when over.

Most tests weigh looks plainly (`staging.PLAIN`), so that they hold whatever the shipped weights have learnt.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.config import PhotoRule
from detector.rules.acts import ActRecogniser, Memory, PersonLook, Run, SequentialTest, belief, margin, step
from detector.rules.aiming import Aims
from detector.rules.bearing import Bearing
from detector.rules.evidence import FEATURES, KINDS, Evidence, Weighing
from detector.values import Act, ActKind, ActScores, Box, Device, Parcel, Scene
from tests.builders import box_at, moved, parcel, person, phone, scanner, scene, times
from tests.rules.staging import (
    AHEAD,
    PLACES,
    STANDING,
    Photo,
    aimed,
    carried,
    parcels,
    photographed,
    weighing,
)

EAR = box_at((650, 315), 12, 20)
CROUCHED: Box = (590, 400, 690, 500)
ACTS_ALONE = weighing(weights={kind: {"act_photo": 1.0} if kind == "photo" else {} for kind in KINDS})


def told(scenes: Iterable[Scene], weights: Weighing | None = None, **rule: float) -> list[tuple[float, Act]]:
    recogniser = ActRecogniser(PhotoRule(**rule), weights or weighing())
    return [(found.at, act) for found in scenes for act in recogniser.observe(found)]


def photos(scenes: Iterable[Scene], weights: Weighing | None = None) -> dict[tuple[int, float], Act]:
    """Photo acts by track and start, as last told."""
    return {(act.track, act.started_at): act for _, act in told(scenes, weights) if act.kind is ActKind.PHOTO}


@pytest.mark.parametrize("fps", [5, 10])
def test_a_photo_is_told_once_when_sure_and_once_when_over(fps: float) -> None:
    acts = told(photographed([Photo(2, 4, 1)], times(0, 10, fps)))
    assert [act.kind for _, act in acts] == [ActKind.PHOTO] * 2
    (sure_at, sure), (over_at, over) = acts
    assert (sure.track, sure.started_at, sure.parcels) == (over.track, over.started_at, over.parcels) == (1, 2, (1,))
    assert 2.7 <= sure_at <= 3.3
    assert over.ended_at == pytest.approx(4, abs=0.01)
    assert 4 < over_at <= 4 + 1.3
    assert over.score == pytest.approx(0.9, abs=0.01)


def test_frame_rate_changes_an_act_by_no_more_than_a_look() -> None:
    script = [Photo(2.03, 4.13, 1), Photo(8.07, 9.6, 2), Photo(14, 15.99, 3)]
    slow, fast = (list(photos(photographed(script, times(0, 20, fps))).values()) for fps in (5, 10))
    assert len(slow) == len(fast) == 3
    for a, b in zip(slow, fast, strict=True):
        assert a.parcels == b.parcels
        assert a.started_at == pytest.approx(b.started_at, abs=0.201)
        assert a.ended_at == pytest.approx(b.ended_at, abs=0.201)


@pytest.mark.parametrize("gap_s", [PhotoRule().gap_s, 0.5])
@pytest.mark.parametrize(("off", "found"), [(0.99, False), (1.01, True)])
def test_the_fewest_looks_a_second_are_those_that_an_act_is_still_told_from(
    gap_s: float, off: float, found: bool
) -> None:
    long = photographed([Photo(2, 58, 1)], times(0, 60, off * PhotoRule(gap_s=gap_s).least_fps))
    assert any(act.kind is ActKind.PHOTO for _, act in told(long, gap_s=gap_s)) == found


@pytest.mark.parametrize(
    ("script", "targets"),
    [
        pytest.param([Photo(1, 1.4, 1)], [], id="too short"),
        pytest.param([Photo(1, 3, 1)], [1], id="long enough"),
        pytest.param([Photo(1, 3, 1), Photo(4, 6, 1)], [1], id="phone lost for a moment"),
        pytest.param([Photo(1, 3, 1), Photo(5, 7, 1)], [1], id="the same parcel again soon"),
        pytest.param([Photo(1, 3, 1), Photo(15, 17, 1)], [1, 1], id="the same parcel much later"),
        pytest.param([Photo(1, 3, 1), Photo(5, 7, 2)], [1, 2], id="another parcel"),
        pytest.param([Photo(1, 3, 1), Photo(3.2, 5.2, 2)], [1, 2], id="another parcel without a pause"),
        pytest.param([Photo(1, 3, 1), Photo(3.2, 3.6, 2), Photo(3.8, 6, 1)], [1], id="another parcel for a moment"),
        pytest.param(
            [Photo(1, 3, 1), Photo(3.2, 5.2, 2), Photo(5.4, 7.4, 3), Photo(7.6, 9.6, 4)],
            [1, 2, 3, 4],
            id="four at once",
        ),
        pytest.param([Photo(1, 3, 1), Photo(15, 17, 2)], [1, 2], id="another parcel later"),
        pytest.param([Photo(1, 3, 1, by=1), Photo(1, 3, 2, by=2)], [1, 2], id="two people at once"),
    ],
)
def test_photos_over_time(script: list[Photo], targets: list[int]) -> None:
    for fps in (5, 10):
        acts = photos(photographed(script, times(0, 20, fps)))
        assert [parcel for act in acts.values() for parcel in act.parcels] == targets, fps


def test_each_of_two_photos_without_a_pause_has_its_own_span() -> None:
    first, second = photos(photographed([Photo(1, 3, 1), Photo(3.2, 5.2, 2)], times(0, 12, 5))).values()
    assert (first.started_at, first.ended_at) == pytest.approx((1, 3), abs=0.21)
    assert (second.started_at, second.ended_at) == pytest.approx((3.2, 5.2), abs=0.21)


def test_aim_that_wavers_between_neighbours_is_one_photo() -> None:
    """Every other look meets the parcel beside the target."""
    scenes = [
        scene(t, [person(1, STANDING, t)], [phone(aimed(STANDING, PLACES[1 if n % 3 else 3]))], parcels())
        for n, t in enumerate(times(0, 8, 5))
    ]
    acts = photos([*scenes, scene(12, ended=[1])])
    assert [act.parcels for act in acts.values()] == [(1,)]


@pytest.mark.parametrize(
    ("device", "found"),
    [
        pytest.param(lambda who: phone(aimed(who, AHEAD)), {ActKind.PHOTO}, id="phone aimed"),
        pytest.param(lambda who: phone(EAR, photo=0.6, call=0.6), {ActKind.CALL}, id="phone beside the head"),
        pytest.param(lambda who: phone(aimed(who, AHEAD), photo=0.3, call=0.8), {ActKind.CALL}, id="taken for a call"),
        pytest.param(lambda who: scanner(aimed(who, AHEAD)), {ActKind.SCAN}, id="scanner aimed"),
        pytest.param(lambda who: phone(aimed(who, AHEAD), photo=0.45), {ActKind.UNCLEAR}, id="hard to tell"),
        pytest.param(
            lambda who: phone(aimed(who, AHEAD), photo=0.0), {ActKind.UNCLEAR}, id="a model that knows no acts"
        ),
        pytest.param(
            lambda who: phone(aimed(who, AHEAD), photo=float("nan")), {ActKind.UNCLEAR}, id="a model that says NaN"
        ),
        pytest.param(lambda who: phone(aimed(who, AHEAD), holder=None), set(), id="phone in nobody's hand"),
        pytest.param(lambda who: phone(aimed(who, AHEAD), holder=2), set(), id="phone of somebody else"),
    ],
)
def test_what_a_device_is_used_for(device: Callable[[Box], Device], found: set[ActKind]) -> None:
    acts = [act for _, act in told([*carried(device, times(0, 8, 5)), scene(12, ended=[1])])]
    assert {act.kind for act in acts} == found
    assert {act.kind for act in acts if act.parcels} == found & {ActKind.PHOTO, ActKind.SCAN}


PHOTOGRAPHING = ActScores(photo=0.97, scan=0.1, call=0.1, browse=0.2)


@pytest.mark.parametrize(
    ("lying", "target"),
    [
        pytest.param(parcels(), (2,), id="the nearest stands in"),
        pytest.param([parcel(1, moved(AHEAD, (300, 0)))], (), id="none within reach"),
    ],
)
def test_a_person_alone_may_tell_the_act_of_a_phone_not_seen(lying: list[Parcel], target: tuple[int, ...]) -> None:
    scenes = [scene(t, [person(1, STANDING, t, acts=PHOTOGRAPHING)], [], lying) for t in times(0, 5, 5)]
    found = photos([*scenes, scene(9, ended=[1])], ACTS_ALONE)
    assert [act.parcels for act in found.values()] == [target]


def test_a_parcel_that_stands_in_gives_way_to_one_aimed_at() -> None:
    def seen(t: float) -> list[Device]:
        return [phone(aimed(STANDING, AHEAD))] if t > 2 else []

    scenes = [scene(t, [person(1, STANDING, t, acts=PHOTOGRAPHING)], seen(t), parcels()) for t in times(0, 5, 5)]
    acts = [act for _, act in told([*scenes, scene(9, ended=[1])], ACTS_ALONE) if act.kind is ActKind.PHOTO]
    assert [act.parcels for act in acts] == [(2,), (1,)]
    assert acts[0].started_at == acts[1].started_at


@pytest.mark.parametrize("fps", [5, 10])
@pytest.mark.parametrize("heights_a_second", [0.3, 0.4, 0.5, 0.8, 1.5])
def test_walking_past_parcels_with_a_phone_is_no_photo(fps: float, heights_a_second: float) -> None:
    def who(t: float) -> Box:
        return moved(STANDING, (-500 + 200 * heights_a_second * t, 0))

    row = [parcel(n, moved(AHEAD, (80 * n - 500, 0))) for n in range(14)]
    scenes = [scene(t, [person(1, who(t), t)], [phone(aimed(who(t), moved(AHEAD, (who(t)[0] - 600, 0))))], row)
              for t in times(0, 8, fps)]  # fmt: skip
    assert photos([*scenes, scene(20, ended=[1])]) == {}


def test_a_call_goes_on_while_its_person_walks() -> None:
    def who(t: float) -> Box:
        return moved(STANDING, (160 * t - 500, 0))

    scenes = carried(lambda box: phone(moved(EAR, (box[0] - 600, 0)), call=0.9), times(0, 6, 5), who)
    acts = [act for _, act in told([*scenes, scene(9, ended=[1])])]
    assert [act.kind for act in acts] == [ActKind.CALL] * 2
    assert acts[-1].ended_at - acts[-1].started_at > 5


def test_stepping_on_to_the_next_parcel_makes_another_act() -> None:
    def who(t: float, _: int) -> Box:
        return moved(STANDING, (0 if t < 4 else 120, 0))

    acts = photos(photographed([Photo(1, 3.9, 1), Photo(5, 7, 3)], times(0, 12, 5), who=who))
    assert [act.parcels for act in acts.values()] == [(1,), (3,)]


@pytest.mark.parametrize(
    ("other", "acts"),
    [
        pytest.param(CROUCHED, 1, id="crouched"),
        pytest.param((600, 300, 680, 400), 1, id="something before the legs"),
        pytest.param(moved(STANDING, (100, 0)), 2, id="half a height further"),
    ],
)
def test_crouching_is_not_moving_on(other: Box, acts: int) -> None:
    scenes = [
        scene(t, [person(1, STANDING if t < 3 else other, t)], [phone(aimed(STANDING, AHEAD))], parcels())
        for t in times(0, 6, 5)
    ]
    assert len(photos([*scenes, scene(9, ended=[1])])) == acts


def test_an_act_is_over_when_its_person_has_left() -> None:
    scenes = photographed([Photo(1, 3, 1)], times(0, 3, 5))
    acts = told([*scenes, scene(3.2, ended=[1])])
    assert [(at, act.ended_at) for at, act in acts][-1] == (3.2, 3.0)
    assert len(acts) == 2


def test_an_unconfirmed_act_is_never_told() -> None:
    assert told([*photographed([Photo(1, 1.4, 1)], times(0, 1.4, 5)), scene(1.6, ended=[1])]) == []


def test_what_was_missed_between_looks_does_not_count_as_photographing() -> None:
    """Ten seconds without pictures, a phone before and after: at most half a second of it counts."""
    assert photos([*photographed([Photo(0, 99, 1)], [0.0, 10.0])]) == {}


def test_whom_nobody_looked_at_closely_is_not_seen_to_do_nothing() -> None:
    """Every third look alone is at their hands, as where people take turns; what the others show is empty hands."""

    def passing_over(n: int, seen: Scene) -> Scene:
        if n % 3 == 0:
            return seen
        return replace(seen, people=tuple(replace(p, passed_over=True) for p in seen.people), devices=())

    scenes = list(photographed([Photo(2, 6, 1)], times(0, 10, 10)))
    (found,) = photos(passing_over(n, seen) for n, seen in enumerate(scenes)).values()
    assert (found.started_at, found.ended_at) == (pytest.approx(2, abs=0.31), pytest.approx(6, abs=0.31))
    looked_at = [replace(seen, devices=()) if n % 3 else seen for n, seen in enumerate(scenes)]
    assert all(act.score < found.score for act in photos(looked_at).values())


@pytest.mark.parametrize("every", [pytest.param(n, id=f"one look in {n}") for n in (3, 7, 10)])
def test_photos_are_told_in_a_hall_so_full_that_turns_are_far_apart(every: int) -> None:
    def passed_over(seen: Scene) -> Scene:
        return replace(seen, people=tuple(replace(person, passed_over=True) for person in seen.people))

    scenes, turn_s = list(photographed([Photo(2, 6, 1)], times(0, 10, 5))), every / 5 + 0.01
    for first in range(every):
        taken = [seen if n % every == first else passed_over(seen) for n, seen in enumerate(scenes)]
        (act,) = photos(taken).values()
        assert act.parcels == (1,)
        assert (act.started_at, act.ended_at) == (pytest.approx(2, abs=turn_s), pytest.approx(6, abs=turn_s))


def test_somebody_hidden_for_a_moment_goes_on_with_the_same_photo() -> None:
    shown = [t for t in times(0, 8, 5) if not 3 < t < 4.8]
    (act,) = photos([*photographed([Photo(1, 7, 1)], shown), scene(12, ended=[1])]).values()
    assert (act.started_at, act.ended_at) == pytest.approx((1, 7), abs=0.01)


def test_somebody_hidden_for_longer_than_the_gap_begins_anew() -> None:
    before, after = photographed([Photo(0, 9, 1)], times(0, 2, 5)), photographed([Photo(0, 9, 2)], times(4.6, 7, 5))
    acts = photos([*before, *after, scene(12, ended=[1])])
    assert [act.parcels for act in acts.values()] == [(1,), (2,)]


def test_contrary_evidence_ends_an_act_before_the_gap_does() -> None:
    script = photographed([Photo(1, 3, 1)], times(0, 3, 5))
    reading = [
        scene(t, [person(1, STANDING, t)], [phone(aimed(STANDING, AHEAD), photo=0.02)], parcels())
        for t in times(3.2, 4.4, 5)
    ]
    at, over = told([*script, *reading])[-1]
    assert over.kind is ActKind.PHOTO
    assert at < 3 + 1.2
    assert over.ended_at == pytest.approx(3)


def test_another_kind_that_is_confirmed_ends_an_act() -> None:
    script = photographed([Photo(1, 3, 1)], times(0, 3, 5))
    calling = carried(lambda who: phone(EAR, photo=0.3, call=0.9), times(3.2, 6, 5))
    found = [(act.kind, round(act.ended_at, 1)) for _, act in told([*script, *calling, scene(9, ended=[1])])]
    assert found[1:] == [(ActKind.PHOTO, 3.0), (ActKind.CALL, found[2][1]), (ActKind.CALL, 6.0)]


def test_an_unclear_device_that_turns_out_to_photograph_is_told_as_both() -> None:
    unclear = carried(lambda who: phone(aimed(who, AHEAD), photo=0.5), times(0, 5, 5))
    clear = photographed([Photo(5.2, 9, 1)], times(5.2, 7, 5))
    found = [act.kind for _, act in told([*unclear, *clear])]
    assert found == [ActKind.UNCLEAR, ActKind.UNCLEAR, ActKind.PHOTO]


@pytest.mark.parametrize("jump", [30.0, 3600.0])
def test_a_gap_ends_what_was_and_what_follows_begins_anew(jump: float) -> None:
    before = photographed([Photo(0, 3, 1)], times(0, 3, 5))
    after = [replace(each, at=each.at + jump) for each in photographed([Photo(3.2, 6, 1)], times(3.2, 6, 5))]
    acts = photos([*before, *after, scene(20 + jump, ended=[1])])
    assert len(acts) == 2
    assert all(act.ended_at - act.started_at < 4 for act in acts.values())


def test_nobody_does_nothing() -> None:
    assert told([scene(t) for t in times(0, 2, 5)]) == []


def test_five_hundred_devices_and_people_are_no_trouble() -> None:
    crowd = [person(n, moved(STANDING, (n % 50, n % 40))) for n in range(500)]
    held = [phone(aimed(STANDING, AHEAD), holder=n, photo=float("nan"), score=float("nan")) for n in range(500)]
    recogniser = ActRecogniser(PhotoRule(), weighing())
    for t in times(0, 1, 5):
        assert recogniser.observe(scene(t, crowd, held, [parcel(n, AHEAD) for n in range(500)])) == []


# ---- the test's stated error -------------------------------------------------------------------------------------

NO_LOOK = Evidence((0.0,) * len(FEATURES), True, True, None)
STILL = Bearing(0.0, 200.0, 200.0, (640.0, 500.0))


def confirmed_in(ratios: Sequence[float], test: SequentialTest, kind: ActKind = ActKind.PHOTO) -> bool:
    """Whether one stretch of looks, a second apart and up to the sum's return to nothing, confirms an act."""
    memory = Memory()
    began = False
    for n, ratio in enumerate(ratios):
        row = [ratio if name == kind.value else 0.0 if name == "none" else -9.0 for name in KINDS]
        memory, acts = step(memory, PersonLook(float(n), 1.0, row, NO_LOOK, STILL._replace(at=float(n))), test)
        if any(isinstance(act, Run) for act in acts):
            return True
        if began and not memory.runs:
            return False
        began = bool(memory.runs)
    return False


@pytest.mark.parametrize(("against", "targets"), [(0.0, [1, 2]), (-2.4, [1])])
def test_what_speaks_against_a_parcel_that_takes_over_counts(against: float, targets: list[int]) -> None:
    """A photo of parcel 1 goes on; then every other look is at parcel 2, and those between say more or less."""
    test = SequentialTest.of(PhotoRule(error=0.1, least_s=0.4, gap_s=60), weighing(tau_s=1.0, longest_s=1.0))
    memory, found = Memory(), set()
    looks = [(2.0, 1)] * 6 + [(3.0, 2), (against, None)] * 4
    for n, (ratio, aim) in enumerate(looks):
        row = [ratio if name == "photo" else 0.0 if name == "none" else -9.0 for name in KINDS]
        evidence = NO_LOOK._replace(parcel=aim)
        memory, acts = step(memory, PersonLook(0.3 * n, 0.3, row, evidence, STILL._replace(at=0.3 * n)), test)
        found |= {act.target for act in acts if isinstance(act, Run) and act.confirmed}
    runs = [run for run in (memory.act, memory.past) if run is not None]
    assert sorted(found | {run.target for run in runs}) == targets


def test_a_photo_is_of_the_parcel_it_stays_at_however_briefly_another_was_met_first() -> None:
    test = SequentialTest.of(PhotoRule(least_s=0.8), weighing())
    memory, told = Memory(), []
    for n, aim in enumerate([2, None, None, None, None, 1, 1, 1, None, None]):
        row = [2.0 * (kind == "photo") for kind in KINDS]
        look = PersonLook(0.3 * n, 0.3, row, NO_LOOK._replace(parcel=aim), STILL._replace(at=0.3 * n))
        memory, acts = step(memory, look, test)
        told += acts
    assert memory.act is not None and (memory.act.started_at, memory.act.target) == (0, 1)
    assert len(told) == 1


def test_a_run_is_about_the_parcel_aimed_at_longest() -> None:
    aims = Aims()
    for n, (aimed_at, target) in enumerate([(1, 1), (1, 1), (2, 1), (2, 1), (2, 2)]):
        aims = aims.after(aimed_at, 0.2 * n, 0.2, confirmed=False)
        assert aims.target == target
    for n in range(5):
        aims = aims.after(1, 1 + 0.2 * n, 0.2, confirmed=True).weighing([1.0] * len(KINDS), 0.5)
    assert aims.target == 2 and aims.seconds == pytest.approx({1: 1.4, 2: 0.6})
    assert aims.rivals[1].weight == 2.5 and aims.rivals[1].sums == (5 * 1.0,) * len(KINDS)


@pytest.mark.parametrize("error", [0.1, 0.03, 0.01])
@pytest.mark.parametrize("apart", [1.0, 2.0, 3.0])
def test_a_stretch_of_something_else_is_taken_for_a_photo_no_more_often_than_stated(error: float, apart: float) -> None:
    """Independent looks of two normal kinds, `apart` standard deviations from each other; the other one is true."""
    test = SequentialTest.of(PhotoRule(error=error, least_s=0.001, gap_s=60), weighing(tau_s=1.0, longest_s=1.0))
    rng = np.random.default_rng(7)
    stretches = 2000
    ratios = apart * rng.normal(-apart / 2, 1, (stretches, 60))
    false = sum(confirmed_in(row, test) for row in ratios.tolist())
    # Within three standard deviations of a binomial count.
    assert false <= stretches * error + 3 * (stretches * error) ** 0.5


def test_what_really_is_a_photo_is_found() -> None:
    test = SequentialTest.of(PhotoRule(error=0.01, least_s=0.001, gap_s=60), weighing(tau_s=1.0, longest_s=1.0))
    ratios = 2.0 * np.random.default_rng(7).normal(1.0, 1, (300, 60))
    found = 0
    for row in ratios.tolist():
        memory = Memory()
        for n, ratio in enumerate(row):
            look = PersonLook(float(n), 1.0, [ratio, -9.0, -9.0, -9.0, 0.0], NO_LOOK, STILL._replace(at=float(n)))
            memory, acts = step(memory, look, test)
            if acts:
                found += 1
                break
    assert found == 300


@given(st.lists(st.floats(-50, 50), min_size=5, max_size=5), st.floats(-9, 9))
def test_a_kind_gains_what_the_likeliest_other_loses(likelihoods: list[float], constant: float) -> None:
    told_kinds = [ActKind(name) for name in KINDS[:-1]]
    margins = [margin(likelihoods, kind) for kind in told_kinds]
    assert sum(found > 0 for found in margins) <= 1
    for kind, found in zip(told_kinds, margins, strict=True):
        own = likelihoods[KINDS.index(kind.value)]
        pairs = [own - other for name, other in zip(KINDS, likelihoods, strict=True) if name != kind.value]
        assert found == pytest.approx(min(pairs))
        assert margin([value + constant for value in likelihoods], kind) == pytest.approx(found, abs=1e-9)
    two = [likelihoods[0], *[-99.0] * 3, likelihoods[4]]
    assert margin(two, ActKind.PHOTO) == pytest.approx(-margin([two[4], *two[1:4], two[0]], ActKind.PHOTO))


def test_weak_looks_that_stay_alike_never_add_up_to_an_act() -> None:
    """Correlation r among the looks of a stretch makes them worth 1 / r at most, however many there are."""
    weak = 0.5
    for intraclass, found in ((0.0, True), (0.5, False)):
        test = SequentialTest.of(PhotoRule(error=0.05, least_s=0.1), weighing(tau_s=1.0, intraclass=intraclass))
        memory, told_acts = Memory(), []
        for n in range(300):
            look = PersonLook(0.2 * n, 0.2, [weak, -9, -9, -9, 0.0], NO_LOOK, STILL._replace(at=0.2 * n))
            memory, acts = step(memory, look, test)
            told_acts += [act for act in acts if isinstance(act, Run)]
        assert bool(told_acts) is found


@given(st.lists(st.tuples(st.floats(0.05, 2), st.lists(st.floats(-9, 9), min_size=5, max_size=5)), max_size=60))
@settings(max_examples=200)
def test_whatever_is_seen_acts_are_told_in_pairs(script: list[tuple[float, list[float]]]) -> None:
    test = SequentialTest.of(PhotoRule(), weighing())
    memory, at = Memory(), 0.0
    open_acts: set[tuple[ActKind, float]] = set()
    for wait, ratios in script:
        at += wait
        look = PersonLook(at, min(wait, 0.5), ratios, NO_LOOK, STILL._replace(at=at))
        memory, acts = step(memory, look, test)
        for told_act in acts:
            act = told_act.act(1)
            assert 0 <= act.score <= 1
            assert act.started_at <= act.ended_at <= at
            open_acts ^= {(act.kind, act.started_at)}
        assert len(open_acts) <= 1
    assert open_acts == {(act.act(1).kind, act.started_at) for act in (memory.act, memory.undecided)
                         if act is not None and act.confirmed}  # fmt: skip


# ---- the shipped weights -----------------------------------------------------------------------------------------


def test_with_the_shipped_weights_plain_cases_come_out_right() -> None:
    cases = {
        ActKind.PHOTO: (phone(aimed(STANDING, AHEAD), photo=0.97, call=0.01), ActScores(0.95, 0.02, 0.01, 0.05)),
        ActKind.SCAN: (scanner(aimed(STANDING, AHEAD)), ActScores(0.03, 0.95, 0.01, 0.02)),
        ActKind.CALL: (phone(EAR, photo=0.02, call=0.97), ActScores(0.01, 0.01, 0.95, 0.02)),
        ActKind.BROWSE: (phone(box_at((640, 400), 12, 20), photo=0.03, call=0.01), ActScores(0.03, 0.01, 0.01, 0.95)),
    }
    for kind, (device, acts) in cases.items():
        recogniser = ActRecogniser(PhotoRule())
        scenes = [scene(t, [person(1, STANDING, t, acts=acts)], [device], parcels()) for t in times(0, 20, 5)]
        assert {act.kind for each in scenes for act in recogniser.observe(each)} - {ActKind.UNCLEAR} == {kind}


def test_with_the_shipped_weights_empty_hands_do_nothing() -> None:
    recogniser = ActRecogniser(PhotoRule())
    acts = ActScores(0.02, 0.02, 0.02, 0.02)
    for t in times(0, 20, 5):
        assert recogniser.observe(scene(t, [person(1, STANDING, t, acts=acts)], [], parcels())) == []


# How far it is believed


def believed(scenes: Iterable[Scene], weights: Weighing | None = None) -> dict[float, float]:
    """The belief that track 1 photographs, after each scene."""
    recogniser = ActRecogniser(PhotoRule(), weights or weighing())
    return {round(s.at, 1): (recogniser.observe(s), recogniser.photographing([1])[1])[1] for s in scenes}


def test_belief_rises_to_the_photo_and_falls_to_nothing_after_it() -> None:
    script = [Photo(2, 4, 1)]
    beliefs = believed(photographed(script, times(0, 10, 5)))
    (sure_at, _), (over_at, _) = told(photographed(script, times(0, 10, 5)))
    assert all(each == 0 for at, each in beliefs.items() if at < 2)
    rising = [each for at, each in beliefs.items() if 2.2 <= at <= 4]
    assert rising == sorted(rising) and 0 < rising[0] < 1
    test = SequentialTest.of(PhotoRule(), weighing())
    assert beliefs[round(sure_at, 1)] >= np.tanh(test.yes / 2) > beliefs[2.0]
    falling = [each for at, each in beliefs.items() if 4 < at < over_at]
    assert falling == sorted(falling, reverse=True)
    assert all(each == 0 for at, each in beliefs.items() if at >= over_at)


def test_belief_is_the_chance_of_a_photo_less_that_of_the_likeliest_other() -> None:
    run = Run(ActKind.PHOTO, 0.0, 1.0, STILL, sums=(np.log(9), 0.0, -1.0, -1.0, -1.0), weight=1.0)
    assert belief(Memory(runs={run.kind: run}), SequentialTest.of(PhotoRule(), weighing())) == pytest.approx(0.8)


def test_belief_in_a_photo_falls_with_what_speaks_against_it() -> None:
    """Somebody who takes a photo and then plainly scans: looks against it come before the act is over."""
    test, seen = SequentialTest.of(PhotoRule(), weighing()), Evidence((0.0,) * len(FEATURES), True, True, 1)
    for_it, against = [[2.0 * (kind == one) for kind in KINDS] for one in ("photo", "scan")]
    memory, beliefs = Memory(), []
    for n in range(20):
        bearing = Bearing(n / 5, 200.0, 200.0, (650.0, 500.0))
        memory, _ = step(memory, PersonLook(n / 5, 0.2, for_it if n < 10 else against, seen, bearing), test)
        beliefs.append(belief(memory, test))
    assert memory.act is None or memory.act.kind is not ActKind.PHOTO
    falling = beliefs[9:]
    assert falling[0] > 0.99 > falling[1] > falling[2] and falling == sorted(falling, reverse=True)
    assert falling[-1] == 0


def test_nothing_is_believed_of_who_was_never_seen_or_calls() -> None:
    recogniser = ActRecogniser(PhotoRule(), weighing())
    assert recogniser.photographing([7]) == {7: 0.0}
    calls = [
        scene(t, [person(1, STANDING, t)], [phone(EAR, 1, photo=0.05, call=0.9)], parcels()) for t in times(0, 6, 5)
    ]
    assert max(believed(calls).values()) == 0


SCORES = st.floats(0, 1)


@given(st.lists(st.tuples(SCORES, SCORES, st.sampled_from([0.1, 0.2, 3.0])), max_size=40))
def test_belief_is_a_share_whatever_is_seen(looks: list[tuple[float, float, float]]) -> None:
    t, scenes = 0.0, []
    for photo, call, step_s in looks:
        t += step_s
        device = phone(aimed(STANDING, PLACES[1]), 1, photo=photo, call=call)
        scenes.append(scene(t, [person(1, STANDING, t)], [device], parcels()))
    assert all(0 <= each <= 1 for each in believed(scenes).values())
