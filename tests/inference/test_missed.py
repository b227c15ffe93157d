"""Where people were who are seen no more is worth a look, for seconds and from nothing older."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from detector.inference.missed import KEEP_S, MissedPeople
from detector.values import Box, Detections
from tests.builders import detections

HERE: Box = (100, 100, 160, 280)
STEP_S = 0.25


def seen(*boxes: Box, score: float = 0.9) -> Detections:
    return detections([("person", box, score) for box in boxes])


def where(looks: list[Detections]) -> set[Box]:
    """What is worth a look after these, a quarter of a second apart."""
    missed = MissedPeople()
    for n, people in enumerate(looks):
        missed.update(people, n * STEP_S)
    return set(missed.boxes)


def test_who_is_seen_no_more_is_missed_for_seconds() -> None:
    kept = int(KEEP_S / STEP_S)
    assert where([seen(HERE)]) == {HERE}
    assert where([seen(HERE), *[seen()] * kept]) == {HERE}
    assert where([seen(HERE), *[seen()] * (kept + 1)]) == set()


def test_who_was_seen_since_nearby_is_not_missed_where_they_were() -> None:
    walked: Box = (135, 100, 195, 280)
    far: Box = (400, 100, 460, 280)
    assert where([seen(HERE), seen(walked)]) == {walked}
    assert where([seen(HERE), seen(walked), seen(), seen(far)]) == {walked, far}
    assert where([seen(HERE), seen(walked, score=0.3), seen()]) == set()  # there, but nobody to come back to


def test_who_walks_on_between_two_looks_is_missed_nowhere() -> None:
    steps: list[Box] = [(100 + 120 * n, 100, 160 + 120 * n, 280) for n in range(6)]
    beside: Box = (180, 130, 240, 290)
    assert where([seen(step) for step in steps]) == {steps[-1]}
    assert where([seen(HERE, beside), seen(HERE)]) == {HERE, beside}, "who is where they were has not come from there"


def test_somebody_unsure_is_not_missed() -> None:
    assert where([seen(HERE, score=0.39), seen()]) == set()


boxes = st.tuples(st.integers(0, 300), st.integers(0, 200), st.integers(20, 90), st.integers(60, 200)).map(
    lambda v: (float(v[0]), float(v[1]), float(v[0] + v[2]), float(v[1] + v[3]))
)
people = st.lists(boxes, max_size=3, unique=True).map(lambda found: seen(*found))


@settings(deadline=None, max_examples=40)
@given(st.lists(people, max_size=12), st.lists(people, min_size=13, max_size=16))
def test_nothing_older_plays_a_part(before: list[Detections], recent: list[Detections]) -> None:
    assert where([*before, *recent]) == where(recent)
