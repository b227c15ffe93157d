"""What a person does with the device in the hand, told once when sure and once when over."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from detector.config import PhotoRule
from detector.rules.acts import ActRecogniser, aimed_at, at_ear, opinion
from detector.values import Act, ActKind, ActScores, Box, Device, Facing, Parcel, Scene
from tests.builders import box_at, moved, parcel, person, phone, scanner, scene, times
from tests.rules.staging import AHEAD, BEHIND, FURTHER, STANDING, Photo, aimed, carried, parcels, photographed

EAR = box_at((650, 315), 12, 20)
CROUCHED: Box = (590, 400, 690, 500)


def told(scenes: Iterable[Scene]) -> list[tuple[float, Act]]:
    recogniser = ActRecogniser(PhotoRule())
    return [(found.at, act) for found in scenes for act in recogniser.observe(found)]


def photos(scenes: Iterable[Scene]) -> dict[tuple[int, float], Act]:
    """Photo acts by track and start, as last told."""
    return {(act.track, act.started_at): act for _, act in told(scenes) if act.kind is ActKind.PHOTO}


@pytest.mark.parametrize("fps", [5, 10])
def test_a_photo_is_told_once_when_sure_and_once_when_over(fps: float) -> None:
    acts = told(photographed([Photo(2, 4, 1)], times(0, 10, fps)))
    assert [act.kind for _, act in acts] == [ActKind.PHOTO] * 2
    (sure_at, sure), (over_at, over) = acts
    assert (sure.track, sure.started_at, sure.parcels) == (over.track, over.started_at, over.parcels) == (1, 2, (1,))
    assert 2.7 <= sure_at <= 3.3
    assert over.ended_at == pytest.approx(4, abs=0.01)
    assert over_at == pytest.approx(4 + 1.2, abs=0.3)
    assert over.score == pytest.approx(0.9)


def test_frame_rate_changes_an_act_by_no_more_than_a_look() -> None:
    script = [Photo(2.03, 4.13, 1), Photo(8.07, 9.6, 2), Photo(14, 15.99, 3)]
    slow, fast = (list(photos(photographed(script, times(0, 20, fps))).values()) for fps in (5, 10))
    assert len(slow) == len(fast) == 3
    for a, b in zip(slow, fast, strict=True):
        assert a.parcels == b.parcels
        assert a.started_at == pytest.approx(b.started_at, abs=0.201)
        assert a.ended_at == pytest.approx(b.ended_at, abs=0.201)


@pytest.mark.parametrize(
    ("script", "targets"),
    [
        pytest.param([Photo(1, 1.4, 1)], [], id="too short"),
        pytest.param([Photo(1, 3, 1)], [1], id="long enough"),
        pytest.param([Photo(1, 2, 1), Photo(3, 4, 1)], [1], id="phone lost for a moment"),
        pytest.param([Photo(1, 1.4, 1), Photo(2, 2.6, 1)], [1], id="lost before it was sure"),
        pytest.param([Photo(1, 3, 1), Photo(5, 7, 1)], [1], id="the same parcel again soon"),
        pytest.param([Photo(1, 3, 1), Photo(15, 17, 1)], [1, 1], id="the same parcel much later"),
        pytest.param([Photo(1, 3, 1), Photo(5, 7, 2)], [1, 2], id="another parcel"),
        pytest.param([Photo(1, 3, 1), Photo(15, 17, 2)], [1, 2], id="another parcel later"),
        pytest.param([Photo(1, 3, 1, by=1), Photo(1, 3, 2, by=2)], [1, 2], id="two people at once"),
    ],
)
def test_photos_over_time(script: list[Photo], targets: list[int]) -> None:
    for fps in (5, 10):
        acts = photos(photographed(script, times(0, 20, fps)))
        assert [parcel for act in acts.values() for parcel in act.parcels] == targets, fps


def kinds(scenes: Iterable[Scene]) -> set[ActKind]:
    return {act.kind for _, act in told(scenes)}


@pytest.mark.parametrize(
    ("device", "found"),
    [
        pytest.param(lambda who: phone(aimed(who, AHEAD)), {ActKind.PHOTO}, id="phone aimed"),
        pytest.param(lambda who: phone(EAR, photo=0.9), {ActKind.CALL}, id="phone beside the head"),
        pytest.param(lambda who: phone(aimed(who, AHEAD), photo=0.3, call=0.8), {ActKind.CALL}, id="taken for a call"),
        pytest.param(lambda who: scanner(aimed(who, AHEAD)), {ActKind.SCAN}, id="scanner aimed"),
        pytest.param(lambda who: phone(aimed(who, AHEAD), photo=0.1), {ActKind.BROWSE}, id="phone read"),
        pytest.param(lambda who: phone(aimed(who, AHEAD), photo=0.45), set(), id="hard to tell"),
        pytest.param(lambda who: phone(box_at((640, 330), 12, 20)), {ActKind.CALL}, id="phone before the face"),
        pytest.param(lambda who: phone(box_at((720, 330), 12, 20)), set(), id="aimed at no parcel"),
        pytest.param(lambda who: phone(aimed(who, AHEAD), holder=None), set(), id="phone in nobody's hand"),
        pytest.param(lambda who: phone(aimed(who, AHEAD), holder=2), set(), id="phone of somebody else"),
    ],
)
def test_what_a_device_is_used_for(device: Callable[[Box], Device], found: set[ActKind]) -> None:
    ended = [*carried(device, times(0, 5, 5)), scene(8, ended=[1])]
    assert kinds(ended) == found


@pytest.mark.parametrize("fps", [5, 10])
@pytest.mark.parametrize("heights_a_second", [0.5, 0.8, 1.5])
def test_walking_past_parcels_with_a_phone_is_no_photo(fps: float, heights_a_second: float) -> None:
    def who(t: float) -> Box:
        return moved(STANDING, (-500 + 200 * heights_a_second * t, 0))

    row = [parcel(n, moved(AHEAD, (80 * n - 500, 0))) for n in range(14)]
    scenes = [scene(t, [person(1, who(t), t)], [phone(aimed(who(t), moved(AHEAD, (who(t)[0] - 600, 0))))], row)
              for t in times(0, 8, fps)]  # fmt: skip
    assert photos([*scenes, scene(20, ended=[1])]) == {}


def test_stepping_on_to_the_next_parcel_makes_another_act() -> None:
    def who(t: float, _: int) -> Box:
        return moved(STANDING, (0 if t < 4 else 120, 0))

    acts = photos(photographed([Photo(1, 3.9, 1), Photo(5, 7, 3)], times(0, 12, 5), who=who))
    assert [act.parcels for act in acts.values()] == [(1,), (3,)]


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


def test_somebody_hidden_for_longer_than_the_gap_begins_anew() -> None:
    before, after = photographed([Photo(0, 9, 1)], times(0, 2, 5)), photographed([Photo(0, 9, 2)], times(4.6, 7, 5))
    acts = photos([*before, *after, scene(12, ended=[1])])
    assert [act.parcels for act in acts.values()] == [(1,), (2,)]


@pytest.mark.parametrize(
    ("target", "device", "lying"),
    [
        pytest.param(1, aimed(STANDING, AHEAD), parcels(), id="on the line"),
        pytest.param(2, aimed(STANDING, BEHIND), parcels(), id="on the other side"),
        pytest.param(None, aimed(STANDING, AHEAD), [], id="no parcels"),
        pytest.param(None, aimed(STANDING, AHEAD), parcels(Facing.NOT_UP), id="no label on top"),
        pytest.param(1, aimed(STANDING, AHEAD), parcels(Facing.UNKNOWN), id="perhaps a label on top"),
        pytest.param(None, aimed(STANDING, AHEAD), [parcel(1, moved(AHEAD, (200, 200)))], id="out of reach"),
        pytest.param(3, aimed(STANDING, FURTHER), parcels(), id="the one behind it"),
        pytest.param(5, aimed(STANDING, AHEAD), [*parcels(), parcel(5, (660, 410, 690, 440))], id="the nearer one"),
    ],
)
def test_which_parcel_is_aimed_at(target: int | None, device: Box, lying: list[Parcel]) -> None:
    found = aimed_at(STANDING, device, lying)
    assert (found.id if found else None) == target


@pytest.mark.parametrize(
    ("who", "device", "ear"),
    [
        pytest.param(STANDING, EAR, True, id="beside the head"),
        pytest.param(STANDING, box_at((690, 315), 12, 20), False, id="far to the side"),
        pytest.param(STANDING, box_at((650, 350), 12, 20), False, id="before the chest"),
        pytest.param(CROUCHED, box_at((650, 410), 12, 20), False, id="crouched: the head may be anywhere"),
    ],
)
def test_whether_a_phone_is_at_the_ear(who: Box, device: Box, ear: bool) -> None:
    assert at_ear(who, device) is ear


def test_nobody_does_nothing() -> None:
    assert told([scene(t) for t in times(0, 2, 5)]) == []


@pytest.mark.parametrize(
    ("said", "photo", "call"),
    [
        pytest.param(None, 0.8, 0.1, id="no closer look: the phone alone"),
        pytest.param(ActScores(photo=0.2, scan=0.7, call=0.3, browse=0.0), 0.5, 0.2, id="both count alike"),
    ],
)
def test_phone_and_holder_are_both_asked_what_is_done(said: ActScores | None, photo: float, call: float) -> None:
    held = phone(box_at((640, 400), 12, 20), photo=0.8, call=0.1)
    assert opinion(held, person(1, STANDING, acts=said)) == pytest.approx((photo, call))
