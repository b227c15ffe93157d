"""Which zone a point lies in."""

from __future__ import annotations

import pytest

from detector.config import WHOLE_FRAME, Zone
from detector.rules.zones import ZoneMap

LEFT = Zone(name="left", kind="storage", polygon=[(0, 0), (0.5, 0), (0.5, 1), (0, 1)])
LOWER = Zone(name="lower", kind="packing", polygon=[(0, 0.5), (1, 0.5), (1, 1), (0, 1)])
IGNORED = Zone(name="clock", kind="ignore", polygon=[(0, 0), (0.2, 0), (0.2, 0.2), (0, 0.2)])


@pytest.mark.parametrize(
    ("point", "name"),
    [
        pytest.param((300, 100), "left", id="in one"),
        pytest.param((900, 500), "lower", id="in the other"),
        pytest.param((300, 500), "left", id="in both: the first in the file"),
        pytest.param((100, 50), None, id="ignored, though in another"),
        pytest.param((900, 100), None, id="in none"),
        pytest.param((0, 719), "left", id="on the border of the picture"),
        pytest.param((1280, 720), "lower", id="in the last corner"),
        pytest.param((1500, 900), "lower", id="beyond the picture"),
    ],
)
def test_a_point_and_its_zone(point: tuple[float, float], name: str | None) -> None:
    zone = ZoneMap([LEFT, LOWER, IGNORED]).at(point, (1280, 720))
    assert (zone.name if zone else None) == name


def test_zones_are_shares_of_the_picture_whatever_its_size() -> None:
    zones = ZoneMap([LEFT])
    for size in ((1280, 720), (640, 480), (3840, 2160)):
        inside, outside = zones.at((0.4 * size[0], 10), size), zones.at((0.6 * size[0], 10), size)
        assert inside is LEFT
        assert outside is None


@pytest.mark.parametrize("point", [(0, 0), (1280, 0), (0, 720), (1280, 720), (640, 360)])
def test_the_whole_frame_holds_its_border(point: tuple[float, float]) -> None:
    assert ZoneMap([WHOLE_FRAME]).at(point, (1280, 720)) is WHOLE_FRAME


def test_no_zones_hold_nothing() -> None:
    assert ZoneMap([]).at((5, 5), (10, 10)) is None
