"""How many labels a photo took: a range from where the phone is and points, held against a camera that is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from detector.geometry import foot
from detector.rules.exposure import STANDING_M, TOP_M, Exposed, exposed, held, holding, in_view, on_floor, united
from detector.values import Box, CountRange, Facing, Parcel
from tests.builders import box_at, parcel

NAN = float("nan")
Points = NDArray[np.float64]


@dataclass(frozen=True)
class Overhead:
    """A camera without perspective: metres from somebody's feet to pixels, at a tilt (degrees) and scale (pixels/m)."""

    tilt: float
    scale: float = 100.0
    feet: tuple[float, float] = (600.0, 500.0)

    def pixels(self, points: Points) -> Points:
        t = np.radians(self.tilt)
        x, y, z = np.atleast_2d(points).T
        down = y * np.sin(t) + z * np.cos(t)
        return np.stack([self.feet[0] + self.scale * x, self.feet[1] - self.scale * down], axis=1)

    @property
    def height(self) -> float:
        """Of somebody standing, pixels."""
        return self.scale * STANDING_M * float(np.cos(np.radians(self.tilt)))

    @property
    def person(self) -> Box:
        x, y = self.feet
        return x - 30, y - self.height, x + 30, y

    def box(self, point: tuple[float, float, float], size: float = 20) -> Box:
        x, y = self.pixels(np.array(point))[0].tolist()
        return box_at((x, y), size, size)

    def parcel(self, number: int, x: float, y: float, facing: Facing = Facing.UP) -> Parcel:
        return parcel(number, self.box((x, y, TOP_M)), facing)


tilts = st.floats(15, 60)
metres = st.floats(-4, 4)


@given(tilts, st.floats(20, 300), st.lists(st.tuples(metres, metres), min_size=1, max_size=9))
def test_a_place_in_the_picture_is_a_place_on_the_floor(
    tilt: float, scale: float, places: list[tuple[float, float]]
) -> None:
    camera = Overhead(tilt, scale)
    there = np.array([(x, y, TOP_M) for x, y in places])
    assert on_floor(camera.pixels(there), camera.feet, camera.height, tilt) == pytest.approx(there, abs=1e-6)


@given(tilts, st.floats(-0.4, 0.4), st.floats(0.4, 1.7))
def test_a_phone_is_as_high_as_it_looks(tilt: float, aside: float, high: float) -> None:
    camera, target = Overhead(tilt), np.array([0.0, 1.0, TOP_M])
    phone = camera.box((aside, 0.4, high), 6)
    assert held(camera.person, camera.height, phone, target, tilt) == pytest.approx([aside, 0.4, high], abs=1e-6)


@pytest.mark.parametrize(
    ("place", "taken"),
    [
        pytest.param((0.0, 0.9), True, id="aimed at"),
        pytest.param((0.4, 0.9), True, id="beside"),
        pytest.param((1.2, 0.9), False, id="farther aside"),
        pytest.param((0.0, 1.5), True, id="behind it"),
        pytest.param((0.0, -0.5), False, id="behind the person"),
        pytest.param((0.0, 3.6), False, id="too far to read"),
    ],
)
@pytest.mark.parametrize("tilt", [25, 35, 45])
def test_what_is_in_view_of_a_phone_held_over_parcels(place: tuple[float, float], taken: bool, tilt: float) -> None:
    camera = Overhead(tilt)
    labels = camera.pixels(np.array([(0.0, 0.9, TOP_M), (*place, TOP_M)]))
    phone = camera.box((0.0, 0.4, 1.2), 6)
    assert in_view(camera.person, camera.height, phone, labels, tilt, 32).tolist() == [True, taken]


def truly_taken(lens: Points, labels: Points, half: float, reach: float, slant: float) -> list[bool]:
    """Which labels lie within a cone about the way to the first, near enough and not too slantwise."""
    ways = labels - lens
    away = np.linalg.norm(ways, axis=1)
    turned = np.degrees(np.arccos(np.clip(ways @ ways[0] / (away * away[0]), -1, 1)))
    above = np.degrees(np.arccos(np.clip(-ways[:, 2] / away, -1, 1)))
    return ((turned <= half) & (above <= slant) & (away <= reach)).tolist()


floors = st.lists(st.tuples(st.floats(-1.5, 1.5), st.floats(-1.0, 2.0)), min_size=1, max_size=12)


@settings(deadline=None)
@given(st.floats(20, 50), st.floats(0.6, 1.5), st.tuples(st.floats(-0.3, 0.3), st.floats(0.5, 1.2)), floors)
def test_the_range_holds_what_a_known_camera_shows(
    tilt: float, high: float, target: tuple[float, float], floor: list[tuple[float, float]]
) -> None:
    """The tilt is anything between those tried; the labels that are truly taken lie between low and high."""
    camera = Overhead(tilt)
    places = np.array([(*target, TOP_M), *((x, y, TOP_M) for x, y in floor)])
    before = 0.4 / float(np.hypot(*target))
    lens = np.array([before * target[0], before * target[1], high])
    slots = [camera.parcel(n, x, y) for n, (x, y, _) in enumerate(places.tolist())]
    found = exposed(camera.person, camera.height, camera.box(tuple(lens), 6), slots[0], slots, [])
    # Of what hangs by a few degrees nothing is promised.
    sure = {n for n, taken in enumerate(truly_taken(lens, places, 26, 2.0, 65)) if taken}
    assert found.low <= found.best <= found.high
    assert 0 in found.low
    assert sure <= found.high


@pytest.mark.parametrize(
    ("target", "beside", "label", "count"),
    [
        pytest.param(Facing.UP, Facing.UP, False, CountRange(1, 2, 2), id="both up"),
        pytest.param(Facing.UP, Facing.UNKNOWN, False, CountRange(1, 1, 2), id="one beside that can't be judged"),
        pytest.param(Facing.UP, Facing.NOT_UP, False, CountRange(1, 1, 1), id="one beside that bears none"),
        pytest.param(Facing.UNKNOWN, Facing.NOT_UP, False, CountRange(0, 1, 1), id="no label seen"),
        pytest.param(Facing.UNKNOWN, Facing.NOT_UP, True, CountRange(1, 1, 1), id="a label seen"),
        pytest.param(Facing.NOT_UP, Facing.NOT_UP, False, CountRange(0, 1, 1), id="aimed at one that bears none"),
    ],
)
def test_which_parcels_count(target: Facing, beside: Facing, label: bool, count: CountRange) -> None:
    camera = Overhead(35)
    slots = [camera.parcel(1, 0, 0.9, target), camera.parcel(2, 0.3, 0.9, beside), camera.parcel(3, -3, 0.9)]
    labels = [box_at(((slots[0].box[0] + slots[0].box[2]) / 2, (slots[0].box[1] + slots[0].box[3]) / 2), 8, 8)]
    phone = camera.box((0, 0.4, 1.2), 6)
    assert exposed(camera.person, camera.height, phone, slots[0], slots, labels if label else []).count == count


def test_a_phone_that_is_not_seen_is_at_the_chest() -> None:
    camera = Overhead(35)
    slots = [camera.parcel(1, 0, 0.9), camera.parcel(2, 0.3, 0.9)]
    assert exposed(camera.person, camera.height, None, slots[0], slots, []).best == {1, 2}


def test_photos_are_united_and_not_added_up() -> None:
    one, two = (Exposed(frozenset([1]), frozenset(best), frozenset([*best, 9])) for best in ([1, 2], [1, 3]))
    assert united([one, two, one]).count == CountRange(1, 3, 4)
    assert united([]).count == CountRange(0, 0, 0)


@pytest.mark.parametrize(
    ("person", "height"),
    [
        pytest.param((570, 361, 630, NAN), 139.0, id="no feet"),
        pytest.param((570, 361, 630, 500), NAN, id="no height"),
        pytest.param((570, 500, 630, 500), 0.0, id="flat"),
    ],
)
def test_without_a_measure_only_the_target_counts(person: Box, height: float) -> None:
    camera = Overhead(35)
    slots = [camera.parcel(1, 0, 0.9), camera.parcel(2, 0.3, 0.9)]
    with np.errstate(all="raise"):
        assert exposed(person, height, None, slots[0], slots, []).count == CountRange(1, 1, 1)


def test_one_who_stands_on_the_target_takes_it() -> None:
    camera = Overhead(35)
    under = parcel(1, box_at(foot(camera.person), 20, 20))
    assert exposed(camera.person, camera.height, None, under, [under], []).count == CountRange(1, 1, 1)


def test_a_label_lies_in_a_parcel_by_its_middle() -> None:
    slots = [parcel(1, (0, 0, 50, 50)), parcel(2, (100, 0, 150, 50))]
    assert holding(slots, [(40, 40, 58, 58), (110, 10, 120, 20)]).tolist() == [True, True]
    assert holding(slots, [(45, 45, 65, 65)]).tolist() == [False, False]
    assert holding(slots, []).tolist() == [False, False]
    assert holding([], [(0, 0, 1, 1)]).tolist() == []
