"""People keep their ids through crossings and misses, and are forgotten by seconds."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.geometry import as_array, closeness
from detector.tracking.matching import best_pairs
from detector.tracking.people import PeopleTracker
from detector.values import Box, Person
from tests.builders import box_at, detections, times

Seen = list[tuple[Box, float]]


def followed(seen_at: Callable[[float], Seen], at: Iterable[float]) -> list[tuple[float, tuple[Person, ...], set[int]]]:
    """A tracker's answers to people as they are seen over time."""
    tracker = PeopleTracker()
    answers = []
    for t in at:
        people, ended = tracker.update(detections([("person", box, score) for box, score in seen_at(t)]), t)
        answers.append((t, people, set(ended)))
    return answers


def ids_near(answers: list[tuple[float, tuple[Person, ...], set[int]]], where: Callable[[float], float]) -> list[int]:
    """Id, at each time, of the person whose middle is nearest to a moving place."""
    found = []
    for t, people, _ in answers:
        if people:
            nearest = min(people, key=lambda p: abs((p.box[0] + p.box[2]) / 2 - where(t)))
            found.append(nearest.id)
    return found


def walker(x: float, y: float = 400.0) -> tuple[Box, float]:
    return box_at((x, y), 70, 200), 0.9


def ended_at(answers: list[tuple[float, tuple[Person, ...], set[int]]]) -> dict[int, float]:
    return {track: t for t, _, ended in answers for track in ended}


@pytest.mark.parametrize("fps", [0.5, 1, 1.4, 2, 5])
def test_somebody_seen_by_look_after_look_counts_however_few_these_are(fps: float) -> None:
    answers = followed(lambda _t: [walker(300)], times(0, 20, fps))
    assert {p.id for _, people, _ in answers for p in people} == {1}
    assert len(answers[1][1]) == (fps < 5)
    assert all(len(people) == 1 for _, people, _ in answers[2:])


def test_somebody_not_yet_sure_whom_looks_miss_for_longer_than_a_moment_is_somebody_new() -> None:
    answers = followed(lambda t: [] if 0.1 < t < 0.9 else [walker(300)], times(0, 2, 5))
    assert {p.first_seen_at for _, people, _ in answers for p in people} == {1.0}


@pytest.mark.parametrize("fps", [5, 10])
@pytest.mark.parametrize("apart", [0, 60])
def test_two_people_crossing_keep_their_ids(fps: float, apart: float) -> None:
    def right(t: float) -> float:
        return 200 + 120 * t

    def left(t: float) -> float:
        return 800 - 120 * t

    answers = followed(lambda t: [walker(right(t)), walker(left(t), 400 + apart)], times(0, 5, fps))
    assert set(ids_near(answers, right)) - set(ids_near(answers[: len(answers) // 4], right)) == set()
    before, after = answers[len(answers) // 4 : len(answers) // 4 + 1], answers[-1:]
    assert ids_near(before, right) == ids_near(after, right)
    assert ids_near(before, left) == ids_near(after, left)
    assert {p.id for _, people, _ in answers for p in people} == {1, 2}


def test_one_hidden_while_crossing_keeps_its_id() -> None:
    def seen(t: float) -> Seen:
        front = [walker(200 + 120 * t)]
        return front if 2.1 <= t <= 2.9 else [*front, walker(800 - 120 * t, 360)]

    answers = followed(seen, times(0, 5, 10))
    assert {p.id for _, people, _ in answers for p in people} == {1, 2}
    assert ids_near(answers[5:6], lambda t: 800 - 120 * t) == ids_near(answers[-1:], lambda t: 800 - 120 * t)


@pytest.mark.parametrize(
    ("gap", "ids"),
    [
        pytest.param(0.6, {1}, id="short"),
        pytest.param(2.8, {1}, id="still followed"),
        pytest.param(3.4, {1}, id="stitched"),
        pytest.param(8.5, {1}, id="almost too long"),
        pytest.param(9.6, {1, 2}, id="too long"),
        pytest.param(600.0, {1, 2}, id="ten minutes"),
    ],
)
@pytest.mark.parametrize("frames_in_gap", [True, False])
@pytest.mark.parametrize("fps", [2, 5, 10])
def test_a_missed_person_is_remembered_for_nine_seconds_of_frame_time(
    gap: float, ids: set[int], frames_in_gap: bool, fps: float
) -> None:
    """A camera that was away is no reason to take whoever stands there afterwards for who stood there before."""
    at = [*times(0, 2, fps), *times(2 + gap, 5 + gap, fps)]
    if frames_in_gap:
        at = sorted({*at, *times(2, 2 + min(gap, 10), fps)})
    answers = followed(lambda t: [] if 2 < t < 2 + gap else [walker(300)], at)
    assert {p.id for _, people, _ in answers for p in people} == ids
    assert set(ended_at(answers)) == ids - {max(ids)}


def test_a_walk_gives_the_same_ids_and_ends_at_any_frame_rate() -> None:
    def seen(t: float) -> Seen:
        first = [walker(150 + 60 * t)] if t <= 6 else []
        second = [walker(900 - 50 * t, 300)] if 3 <= t <= 8 else []
        return first + second

    results = {fps: followed(seen, times(0, 20, fps)) for fps in (2, 5, 10)}
    for fps, answers in results.items():
        assert {p.id for _, people, _ in answers for p in people} == {1, 2}, fps
        ends = ended_at(answers)
        assert ends[1] == pytest.approx(15, abs=0.51)
        assert ends[2] == pytest.approx(17, abs=0.51)


@pytest.mark.parametrize(
    ("seen_at", "known"),
    [
        pytest.param([0.0], False, id="one picture"),
        pytest.param([0.0, 0.2], False, id="a fifth of a second"),
        pytest.param([0.0, 0.2, 0.4], True, id="long enough"),
        pytest.param([0.0, 0.6], True, id="missed in between"),
        pytest.param([0.0, 1.0], False, id="too far apart"),
    ],
)
def test_a_person_counts_after_being_watched(seen_at: list[float], known: bool) -> None:
    answers = followed(lambda t: [walker(300)] if t in seen_at else [], sorted({*seen_at, *times(0, 1, 5)}))
    assert any(people for _, people, _ in answers) == known
    assert all(not ended for _, _, ended in answers)


def test_an_unsure_detection_keeps_a_track_but_starts_none() -> None:
    def seen(t: float) -> Seen:
        box, _ = walker(300)
        return [(box, 0.9 if t < 1 else 0.3), (box_at((900, 400), 70, 200), 0.3)]

    answers = followed(seen, times(0, 4, 5))
    assert {p.id for _, people, _ in answers for p in people} == {1}
    assert len(answers[-1][1]) == 1


@pytest.mark.parametrize(("fps", "heights_a_second"), [(1.5, 1.1), (2, 1.1), (3, 1.1), (4, 1.1), (5, 1.2), (10, 2.4)])
def test_a_walker_is_one_person_at_two_metres_a_second_or_a_quarter_of_a_height_between_pictures(
    fps: float, heights_a_second: float
) -> None:
    answers = followed(lambda t: [walker(100 + 200 * heights_a_second * t)], times(0, 4, fps))
    assert {p.id for _, people, _ in answers for p in people} == {1}
    assert all(people for t, people, _ in answers if t >= 0.7)


@pytest.mark.parametrize("fps", [2, 3, 5])
def test_whoever_stops_is_known_to_be_where_they_are_however_few_looks_there_are(fps: float) -> None:
    def x(t: float) -> float:
        return 100 + 90 * min(t, 3.0)

    answers = followed(lambda t: [walker(x(t))], times(0, 6, fps))
    assert {p.id for _, people, _ in answers for p in people} == {1}
    off = [abs((p.box[0] + p.box[2]) / 2 - x(t)) for t, people, _ in answers if t > 3 for p in people]
    assert len(off) == 3 * fps and max(off) <= 8  # pixels, of somebody 200 tall


@pytest.mark.parametrize("fps", [1.5, 2, 3])
def test_who_may_be_either_of_two_is_taken_for_neither_however_few_looks_there_are(fps: float) -> None:
    apart = 200 * 0.9 / fps  # pixels: somebody new could have come from either side
    seen = {0.0: [walker(300), walker(300 + 2 * apart)], 1 / fps: [walker(300 + apart)]}
    answers = followed(seen.__getitem__, seen)
    assert all(not people for _, people, _ in answers)
    alone = followed(lambda t: seen[t][:1], seen)
    assert [p.id for p in alone[-1][1]] == [1]


def standing(x: float, y: float = 500.0, height: float = 200.0) -> tuple[Box, float]:
    """Somebody whose feet are at a place."""
    return (x - 35, y - height, x + 35, y), 0.9


def everyone(answers: list[tuple[float, tuple[Person, ...], set[int]]]) -> set[int]:
    return {p.id for _, people, _ in answers for p in people}


@pytest.mark.parametrize(
    ("later", "ids"),
    [
        pytest.param([standing(300)], {1}, id="the same place"),
        pytest.param([standing(380)], {1}, id="a step aside"),
        pytest.param([standing(300, height=110)], {1}, id="crouching"),
        pytest.param([standing(300, height=300)], {1, 2}, id="much taller"),
        pytest.param([standing(800)], {1, 2}, id="too far to have walked"),
        pytest.param([standing(285), standing(395)], {1, 2, 3}, id="two who may be meant"),
        pytest.param([standing(300), standing(800)], {1, 3}, id="somebody else far away"),
    ],
)
@pytest.mark.parametrize("fps", [4, 5, 10])
def test_somebody_who_was_hidden_is_taken_up_only_beyond_doubt(later: Seen, ids: set[int], fps: float) -> None:
    answers = followed(lambda t: [standing(300)] if t <= 3 else later if t >= 8 else [], times(0, 12, fps))
    assert everyone(answers) == ids


@pytest.mark.parametrize(
    ("apart", "ids"), [pytest.param(60, {1, 2, 3}, id="close"), pytest.param(500, {1, 2}, id="far")]
)
def test_of_two_who_were_hidden_together_nobody_is_taken_for_the_other(apart: float, ids: set[int]) -> None:
    def seen(t: float) -> Seen:
        both = [standing(300), standing(300 + apart)]
        return both if t <= 3 else both[:1] if t >= 8 else []

    assert everyone(followed(seen, times(0, 12, 5))) == ids


def test_both_come_back_each_under_the_own_id() -> None:
    both = [standing(300), standing(800)]
    answers = followed(lambda t: both if t <= 3 or t >= 8 else [], times(0, 12, 5))
    assert everyone(answers) == {1, 2}
    assert ids_near(answers[:10], lambda t: 300)[-1] == ids_near(answers[-1:], lambda t: 300)[0]


def test_who_is_taken_up_was_first_seen_when_they_were() -> None:
    answers = followed(lambda t: [standing(300)] if t <= 3 or t >= 8 else [], times(0, 30, 5))
    assert {p.first_seen_at for _, people, _ in answers for p in people} == {0}
    assert ended_at(answers) == {}


def test_somebody_ends_once_and_only_when_really_over() -> None:
    answers = followed(lambda t: [standing(300)] if t <= 3 or 8 <= t <= 10 else [], times(0, 30, 5))
    ends = [(t, track) for t, _, ended in answers for track in ended]
    assert [track for _, track in ends] == [1]
    assert ends[0][0] == pytest.approx(19, abs=0.41)


@pytest.mark.parametrize(
    ("out", "ids"), [pytest.param(True, {1, 2}, id="out of the picture"), pytest.param(False, {1}, id="out of sight")]
)
def test_who_went_out_of_the_picture_is_not_who_comes_in_there(out: bool, ids: set[int]) -> None:
    edge = 1280 if out else 1600
    tracker = PeopleTracker()
    found = set()
    for t in times(0, 12, 5):
        x = 1000 + 80 * t
        box: Box = (x, 300, min(x + 70, 1280), 500)
        there = [(box, 0.9)] if x < 1230 else [((1190, 300, 1260, 500), 0.9)] if t > 6 else []
        people, _ = tracker.update(detections([("person", b, s) for b, s in there]), t, (edge, 720))
        found |= {p.id for p in people}
    assert found == ids


people_anywhere = st.lists(
    st.tuples(st.floats(0, 1200, width=32), st.floats(250, 700, width=32), st.floats(20, 240, width=32)), max_size=6
)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.floats(0.05, 12), people_anywhere), max_size=14))
def test_ids_are_one_to_a_person_and_end_once(steps: list[tuple[float, list[tuple[float, float, float]]]]) -> None:
    tracker, at, over = PeopleTracker(), 0.0, set[int]()
    for step, places in steps:
        at += step
        seen = [("person", *standing(x, y, height)) for x, y, height in places]
        people, ended = tracker.update(detections(seen), at, (1280, 720))
        ids = [p.id for p in people]
        assert len(ids) == len(set(ids)) <= len(seen)
        assert not over & {*ids, *ended}
        assert all(p.first_seen_at <= at == p.last_seen_at for p in people)
        over |= ended


def test_nobody_gives_nobody() -> None:
    assert followed(lambda t: [], times(0, 1, 5))[-1][1:] == ((), set())


def test_trackers_do_not_share_numbers() -> None:
    for _ in range(2):
        assert followed(lambda t: [walker(300)], times(0, 1, 5))[-1][1][0].id == 1


gains = st.integers(0, 5).flatmap(
    lambda n: st.integers(0, 5).flatmap(
        lambda m: st.lists(st.lists(st.floats(0, 1, width=32), min_size=m, max_size=m), min_size=n, max_size=n).map(
            lambda rows: np.array(rows, np.float32).reshape(n, m)
        )
    )
)


@settings(deadline=None)
@given(gains)
def test_pairs_are_one_to_one_and_worth_it(gain: np.ndarray) -> None:
    rows, columns = (found.tolist() for found in best_pairs(gain, 0.4))
    assert rows == sorted(set(rows))
    assert len(rows) == len(columns) == len(set(columns))
    assert all(gain[r, c] >= np.float32(0.4) for r, c in zip(rows, columns, strict=True))
    free = gain[[r for r in range(gain.shape[0]) if r not in rows]]
    assert not (free[:, [c for c in range(gain.shape[1]) if c not in columns]] >= 0.4).any()


boxes = st.tuples(*[st.floats(0, 500, width=32)] * 2, *[st.floats(1, 300, width=32)] * 2).map(
    lambda v: (v[0], v[1], v[0] + v[2], v[1] + v[3])
)


@settings(deadline=None)
@given(st.lists(boxes, max_size=4), st.lists(boxes, max_size=4))
def test_closeness_is_bounded_and_one_for_the_same_box(a: list[Box], b: list[Box]) -> None:
    found = closeness(as_array(a), as_array(b))
    assert found.shape == (len(a), len(b))
    assert ((found >= 0) & (found <= 1 + 1e-5)).all()
    for k, box in enumerate(a):
        assert closeness(as_array([box]), as_array([box]))[0, 0] == pytest.approx(1), k


def test_what_the_closer_look_says_comes_from_this_frame_or_not_at_all() -> None:
    tracker = PeopleTracker()
    acts = {"act_photo": 0.75, "act_scan": 0.25, "act_call": 0.0, "act_browse": 0.5}
    told = []
    for t in times(0, 1, 5):
        seen = ("person", box_at((300, 300), 60, 180), 0.9, *([acts] if t > 0.7 else []))
        told += [person.acts for person in tracker.update(detections([seen]), t)[0]]
    assert told[0] is None
    assert told[-1] == (0.75, 0.25, 0.0, 0.5)
