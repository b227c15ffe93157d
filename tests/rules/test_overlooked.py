"""Photos that go untold are counted in as far as time was for them, and as far as they may have gone untold."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.rules.overlooked import MOST_BETWEEN, USUAL_BETWEEN, Shot, overlooked


def shots(*gaps: float, length: float = 2.0, stays: float = 1.0) -> list[Shot]:
    """Photos of one length, so far apart, of somebody who stays in one place for a share of that."""
    found, at, stayed = [], 0.0, 0.0
    for gap in (0.0, *gaps):
        at, stayed = at + gap, stayed + gap * stays
        found.append(Shot(1, at, at + length, (stayed, stayed + length)))
        at, stayed = at + length, stayed + length
    return found


@pytest.mark.parametrize(
    ("told", "more"),
    [
        pytest.param([], (0, 0), id="none told"),
        pytest.param(shots(), (0, 0), id="one told"),
        pytest.param(shots(1.9), (0, 0), id="no time for one more"),
        pytest.param(shots(2.0), (0, 3), id="time for one if the phone needn't be moved"),
        pytest.param(shots(4.0), (1, 6), id="time for one, or for two, and so for two before and two after"),
        pytest.param(shots(4.0, 0.5, 2.0), (1, 7), id="of several times each by itself"),
        pytest.param(shots(600.0), (USUAL_BETWEEN, 3 * MOST_BETWEEN), id="ten minutes: hardly all of it untold"),
        pytest.param(shots(600.0, stays=0.0), (0, 0), id="ten minutes of walking"),
        pytest.param(shots(4.1, length=0.1), (1, 15), id="photos told too short count as long as one takes"),
    ],
)
def test_as_many_as_time_was_for(told: list[Shot], more: tuple[int, int]) -> None:
    assert overlooked(told) == more


def test_what_else_was_done_leaves_no_time() -> None:
    told = shots(12.0)
    assert overlooked(told, ((2.0, 13.0),)) == (0, 0)
    assert overlooked(told, ((2.0, 7.0), (20.0, 30.0))) == overlooked(shots(7.0))


def test_of_another_track_the_time_since_it_came_counts() -> None:
    a, b = Shot(1, 0, 2, (50, 52)), Shot(2, 100, 102, (7, 9))
    assert overlooked([a, b]) == overlooked(shots(7.0))


@given(st.lists(st.floats(0, 400), min_size=1, max_size=12), st.floats(0.05, 20), st.floats(0, 1), st.floats(0, 50))
def test_most_is_never_less_than_likely_and_grows_with_the_time(
    gaps: list[float], length: float, stays: float, more_s: float
) -> None:
    likely, most = overlooked(shots(*gaps, length=length, stays=stays))
    assert 0 <= likely <= most
    longer = overlooked(shots(gaps[0] + more_s, *gaps[1:], length=length, stays=stays))
    assert longer[0] >= likely
    assert longer[1] >= most
