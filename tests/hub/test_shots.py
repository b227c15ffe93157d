"""Of each parcel that was photographed the page shows the longest photo that is on film."""

from __future__ import annotations

from typing import Any

import pytest

from detector.hub.desk.shots import MOST_SHOTS, Shot, shots
from detector.hub.storage.stored import Clip
from tests.hub.conftest import make_act

NOON = 1_793_505_600.0
FILM = Clip("inc", 0, "shanghai", "box1", "cam3", NOON, 30.0, 1000, "a" * 64, "inc/0.mp4", NOON + 60)


def photo(at: float, parcel: Any, length_s: float = 2.0, **changes: Any) -> dict[str, Any]:
    return {**make_act(NOON + at, length_s=length_s), "parcels": [parcel], **changes}


def test_each_parcel_is_shown_by_its_longest_photo_in_order_of_time() -> None:
    acts = [photo(1, 5), photo(4, 6), photo(8, 5, 3.0), photo(12, 6, 1.0)]
    assert shots(acts, [FILM]) == [Shot(6, 7, NOON + 4, NOON + 6, 2), Shot(5, 7, NOON + 8, NOON + 11, 2)]


def test_a_longer_photo_that_is_not_on_film_gives_way() -> None:
    (shot,) = shots([photo(1, 5), photo(40, 5, 9.0)], [FILM])
    assert (shot.started_at, shot.photos) == (NOON + 1, 2)


@pytest.mark.parametrize(
    "act",
    [
        pytest.param(photo(1, 5, kind="scan"), id="a scan"),
        pytest.param(photo(29.5, 5), id="after the film"),
        pytest.param(photo(-5, 5), id="before the film"),
        pytest.param(photo(1, 5, parcels=[]), id="of no parcel"),
        pytest.param(photo(1, 5, parcels="5"), id="parcels that are no list"),
        pytest.param(photo(1, "5"), id="a parcel that is no number"),
        pytest.param(photo(1, 5, track=None), id="of nobody"),
    ],
)
def test_what_shows_no_parcel_being_photographed_is_left_out(act: dict[str, Any]) -> None:
    assert shots([act], [FILM]) == []


def test_without_film_nothing_is_shown() -> None:
    assert shots([photo(1, 5)], []) == []


def test_of_very_many_the_first_are_shown() -> None:
    found = shots([photo(0.1 * n, n) for n in range(2 * MOST_SHOTS)], [FILM])
    assert [shot.parcel for shot in found] == list(range(MOST_SHOTS))
