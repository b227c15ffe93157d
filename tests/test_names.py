"""Names stand in lists as people count."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from detector.names import natural


def test_numbers_are_compared_by_their_size_and_letters_whatever_their_case() -> None:
    as_told = ["2 号机", "cam1", "Cam2", "cam2b", "cam10", "dock", "东区 3 号机", "东区 12 号机"]
    shuffled = random.Random(1).sample(as_told, len(as_told))
    assert sorted(shuffled, key=natural) == as_told


def test_the_first_name_counts_before_the_second() -> None:
    places = [("shanghai", "box2"), ("shanghai", "box10"), ("suzhou", "box1")]
    shuffled = places[::-1]
    assert sorted(shuffled, key=lambda place: natural(*place)) == places


@given(st.lists(st.text(max_size=30) | st.from_regex(r"[a-z]{0,3}[0-9]{1,25}[a-z²٣]?", fullmatch=True), max_size=12))
def test_whatever_is_written_has_one_order(texts: list[str]) -> None:
    backwards = texts[::-1]
    assert sorted(texts, key=natural) == sorted(backwards, key=natural)
