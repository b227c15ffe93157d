"""People keep their ids through crossings and misses, and are forgotten by seconds."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.geometry import as_array
from detector.tracking.matching import best_pairs
from detector.tracking.people import PeopleTracker, closeness
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
        pytest.param(2.8, {1}, id="almost too long"),
        pytest.param(3.4, {1, 2}, id="too long"),
        pytest.param(600.0, {1, 2}, id="ten minutes"),
    ],
)
@pytest.mark.parametrize("frames_in_gap", [True, False])
@pytest.mark.parametrize("fps", [2, 5, 10])
def test_a_missed_person_is_kept_for_three_seconds_of_frame_time(
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

    results = {fps: followed(seen, times(0, 14, fps)) for fps in (2, 5, 10)}
    for fps, answers in results.items():
        assert {p.id for _, people, _ in answers for p in people} == {1, 2}, fps
        ends = ended_at(answers)
        assert ends[1] == pytest.approx(9, abs=0.51)
        assert ends[2] == pytest.approx(11, abs=0.51)


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


@pytest.mark.parametrize(("fps", "heights_a_second"), [(2, 0.45), (5, 1.2), (10, 2.4)])
def test_a_walker_is_one_person_up_to_a_quarter_of_a_height_between_pictures(
    fps: float, heights_a_second: float
) -> None:
    answers = followed(lambda t: [walker(100 + 200 * heights_a_second * t)], times(0, 2, fps))
    assert {p.id for _, people, _ in answers for p in people} == {1}


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
    pairs = best_pairs(gain, 0.4)
    rows, columns = [r for r, _ in pairs], [c for _, c in pairs]
    assert rows == sorted(set(rows))
    assert len(columns) == len(set(columns))
    assert all(gain[r, c] >= np.float32(0.4) for r, c in pairs)
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
