"""Scene generation, as far as it needs no Blender: projection, truth rules, regions, the sensor's look."""

from __future__ import annotations

import random
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scenes.camera import Camera, hang
from scenes.regions import CELL, around, covering, faded
from scenes.sensor import look
from scenes.truth import LENS_REACH, Register, act_of, annotate, exposed, extents, together

SIZE = (320, 180)


def camera_above(height: float = 3.0, barrel: float = 0.0) -> Camera:
    """A camera that looks almost straight down at the origin, its picture's up towards +y."""
    return Camera((0.0, -0.001, height), (0.0, 0.0, 0.0), 60.0, SIZE, barrel)


def square(x: float, y: float, z: float, half: float) -> np.ndarray:
    """Corners of a level square, counter-clockwise from above, from the lower left."""
    return np.array([(x + a * half, y + b * half, z) for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1))])


def seen(register: Register, camera: Camera, hidden=lambda x, y: False) -> dict:
    """Truth of level things as drawn in order of their ids, `hidden` where something unregistered covers them."""
    index = np.zeros(SIZE[::-1], np.int32)
    for thing in register.things.values():
        pixels, _ = camera.project(thing.points[-4:])
        cv2.fillConvexPoly(index, np.round(pixels).astype(np.int32), thing.id)
    y, x = np.mgrid[0 : SIZE[1], 0 : SIZE[0]]
    index[np.vectorize(hidden)(x, y)] = 0
    return annotate(register, index, np.full(index.shape, 3.0), camera)


def box_with_label(register: Register, *, on_top: bool = True):
    """A parcel at the origin, 1 m wide, with a label on its top or none in sight."""
    top = square(0, 0, 0.5, 0.5)
    parcel = register.add("parcel", np.concatenate([square(0, 0, 0, 0.5), top]), shape="box")
    parcel.top = top
    if on_top:
        label = register.add("label", square(0, 0, 0.5, 0.2), parcel=parcel.id, face="top")
        label.normal = np.array([0, 0, 1.0])
    return parcel


points_ahead = st.tuples(st.floats(-2, 2), st.floats(-2, 2), st.floats(0, 2))


@given(points_ahead)
def test_depth_is_the_distance_along_the_optical_axis(point):
    camera = Camera((0.0, -5.0, 4.0), (0.0, 0.0, 0.5), 70.0, SIZE)
    _, (depth,) = camera.project(point)
    axis = np.subtract(camera.target, camera.position)
    assert depth == pytest.approx(np.dot(np.subtract(point, camera.position), axis) / np.linalg.norm(axis))


def test_target_is_in_the_middle_and_field_of_view_spans_the_width():
    camera = Camera((0.0, -4.0, 0.0), (0.0, 0.0, 0.0), 90.0, SIZE)
    pixels, _ = camera.project([(0, 0, 0), (4, 0, 0), (0, 0, 1)])
    assert pixels[0] == pytest.approx((160, 90))
    assert pixels[1] == pytest.approx((320, 90))
    assert pixels[2][1] < 90


def test_tilt_is_measured_below_the_horizon():
    assert Camera((0, -2, 2.0), (0, 0, 0.0), 70, SIZE).tilt_deg == pytest.approx(45)


@given(st.floats(0.01, 0.2), points_ahead)
def test_distorted_picture_agrees_with_distorted_projection(barrel, point):
    camera = Camera((0.0, -5.0, 4.0), (0.0, 0.0, 0.5), 70.0, SIZE, barrel)
    (straight,), _ = camera.project(point, distort=False)
    (bent,), _ = camera.project(point)
    if not ((bent > 8) & (bent < np.array(SIZE) - 8)).all():
        return
    picture = np.zeros((*SIZE[::-1], 1), np.float32)
    cv2.circle(picture, tuple(np.round(straight - 0.5).astype(int).tolist()), 3, 1.0, -1)
    warped = camera.distorted(picture, smooth=True)
    y, x = np.nonzero(warped > 0.5)
    assert abs(x.mean() + 0.5 - bent[0]) < 1.5
    assert abs(y.mean() + 0.5 - bent[1]) < 1.5


def test_barrel_keeps_the_corners():
    camera = camera_above(barrel=0.15)
    picture = np.arange(SIZE[0] * SIZE[1], dtype=np.float32).reshape(SIZE[::-1])
    warped = camera.distorted(picture, smooth=False)
    assert abs(warped[0, 0] - picture[0, 0]) < 2
    assert abs(warped[-1, -1] - picture[-1, -1]) < 2


@given(st.integers(0, 10_000), st.booleans())
def test_hung_cameras_keep_to_the_promised_ranges(seed, near):
    room = SimpleNamespace(width=14.0, depth=12.0, height=6.0)
    camera = hang(random.Random(seed), room, (0.5, -0.5), (960, 540), near=near, clear=lambda position: True)
    (head, foot), _ = camera.project([(0.5, -0.5, 1.7), (0.5, -0.5, 0.0)], distort=False)
    assert 2.5 <= camera.position[2] <= 6
    assert 10 <= camera.tilt_deg <= 60
    assert 50 <= camera.fov_deg <= 110
    assert (140 if near else 55) < foot[1] - head[1] < (450 if near else 180)


def test_a_room_too_small_for_any_camera_is_an_error():
    room = SimpleNamespace(width=0.4, depth=0.4, height=3.0)
    with pytest.raises(ValueError, match="no camera position"):
        hang(random.Random(1), room, (0, 0), SIZE, near=True, clear=lambda position: True)


def test_a_phone_photographs_only_when_it_points_at_a_label():
    assert act_of("photo", "label") == "photo"
    assert act_of("photo", None) == "browse"
    assert act_of("text", None) == "browse"
    assert act_of("call", None) == "call"
    assert act_of("scan", "label") == "scan"
    assert act_of(None, None) == "none"


def test_a_parcel_owns_its_label_pixels():
    register = Register()
    box_with_label(register)
    truth = seen(register, camera_above())
    (parcel,) = truth["parcels"]
    assert parcel["labels"] == [2]
    assert parcel["top_visible"] > 0.97
    assert parcel["top_cos"] == pytest.approx(1, abs=0.01)
    assert parcel["visible_fraction"] > 0.95


def test_what_covers_half_of_the_top_halves_its_visibility():
    register = Register()
    box_with_label(register, on_top=False)
    (parcel,) = seen(register, camera_above(), hidden=lambda x, y: x < 160)["parcels"]
    assert parcel["top_visible"] == pytest.approx(0.5, abs=0.05)
    assert parcel["bbox"][0] == 160


@given(st.floats(-175, 175))
def test_label_angle_is_counter_clockwise_as_the_viewer_sees_it(angle):
    register = Register()
    parcel = box_with_label(register, on_top=False)
    c, s = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    corners = square(0, 0, 0.5, 0.2) @ np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]).T
    label = register.add("label", corners, parcel=parcel.id, face="top")
    label.normal = np.array([0, 0, 1.0])
    (entry,) = seen(register, camera_above())["labels"]
    assert entry["angle_img"] == pytest.approx(angle, abs=0.5)
    assert entry["cos_view"] == pytest.approx(1, abs=0.01)


def test_held_things_are_listed_by_what_they_are():
    register = Register()
    register.add("held", square(0, 0, 1, 0.1), holder=7, what="cup")
    (held,) = seen(register, camera_above())["held"]
    assert (held["kind"], held["holder"]) == ("cup", 7)
    assert held["bbox"] is not None


def test_things_behind_the_camera_are_left_out():
    register = Register()
    register.add("phone", square(0, 0, 9, 0.1), holder=1)
    assert seen(register, camera_above())["phones"] == []


def test_forgetting_a_frame_gives_its_ids_out_again():
    register = Register()
    kept = register.add("parcel").id
    first = register.add("person").id
    register.keep({kept})
    assert register.add("person").id == first


marked = st.lists(st.tuples(st.integers(0, 11), st.integers(0, 19)), max_size=40).map(
    lambda cells: np.array([[(row, column) in cells for column in range(20)] for row in range(12)])
)


@given(marked)
def test_regions_cover_every_marked_cell_within_the_picture(cells):
    covered = np.zeros(SIZE[::-1], bool)
    for x1, y1, x2, y2 in covering(cells, SIZE):
        assert 0 <= x1 < x2 <= SIZE[0]
        assert 0 <= y1 < y2 <= SIZE[1]
        covered[y1:y2, x1:x2] = True
    wanted = np.kron(cells, np.ones((CELL, CELL), bool))[: SIZE[1], : SIZE[0]]
    assert covered[wanted].all()


def test_regions_far_apart_stay_apart():
    cells = np.zeros((12, 20), bool)
    cells[0, 0] = cells[11, 19] = True
    assert len(covering(cells, SIZE)) == 2


def test_cells_around_an_outline_keep_the_margin():
    (rows, columns), size = np.nonzero(around([np.array([(160.0, 90.0)] * 200)], SIZE, 40)), 40 + CELL
    assert columns.min() * CELL <= 160 - 40
    assert columns.max() * CELL + CELL >= 160 + 40
    assert rows.min() * CELL >= 90 - size - CELL
    assert rows.max() * CELL <= 90 + size


def test_what_stands_beside_the_picture_still_touches_its_border():
    assert around([np.array([(-10.0, 90.0)] * 200)], SIZE, 30)[:, 0].any()
    assert not around([np.array([(-100.0, 90.0)] * 200)], SIZE, 30).any()


def test_a_rendered_region_fades_at_its_rim_but_not_at_the_border():
    plate, picture = np.zeros((*SIZE[::-1], 3), np.float32), np.ones((*SIZE[::-1], 3), np.float32)
    touched = np.zeros(SIZE[::-1], bool)
    touched[:90, :160] = True
    result = faded(plate, picture, touched)[..., 0]
    assert result[0, 0] == 1
    assert result[45, 80] == 1
    assert 0 <= result[89, 80] < 0.1
    assert not result[~touched].any()


@given(st.lists(st.integers(0, 4), min_size=12, max_size=12).map(lambda ids: np.array(ids).reshape(3, 4)))
def test_extents_count_the_pixels_of_each_id(index):
    found = extents(index)
    assert set(found) == set(np.unique(index)) - {0}
    for number, (x1, y1, x2, y2, count) in found.items():
        rows, columns = np.nonzero(index == number)
        assert (x1, y1, x2, y2) == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        assert count == len(rows)


def test_a_box_of_nothing_is_none():
    assert together([]) == (0, None)
    assert together([[1, 2, 3, 4, 2], [0, 3, 2, 6, 5]]) == (7, [0, 2, 3, 6])


def grey_card() -> np.ndarray:
    """A linear picture: a red and a green half under even light."""
    card = np.full((*SIZE[::-1], 3), 0.2, np.float32)
    card[:, :160] *= (2.0, 0.5, 0.5)
    card[:, 160:] *= (0.5, 2.0, 0.5)
    return card


def test_infrared_has_no_colour():
    picture = look(grey_card(), np.random.default_rng(1), "ir").astype(int)
    assert abs(picture - picture.mean(2, keepdims=True)).max() <= 3


def test_daylight_keeps_colour_and_the_same_chance_gives_the_same_picture():
    first = look(grey_card(), np.random.default_rng(1), "day")
    assert first[:, :140, 2].mean() > first[:, :140, 1].mean() + 30
    assert (first == look(grey_card(), np.random.default_rng(1), "day")).all()


def test_exposure_makes_up_for_dim_light():
    bright, dim = (look(grey_card() * k, np.random.default_rng(2), "day").mean() for k in (1.0, 0.05))
    assert dim == pytest.approx(bright, rel=0.1)


def test_against_the_light_the_foreground_is_dark():
    scene = np.full((*SIZE[::-1], 3), 0.05, np.float32)
    scene[:60] = 8.0
    tones = {
        mode: np.mean([look(scene, np.random.default_rng(k), mode)[120:].mean() for k in range(8)])
        for mode in ("day", "backlight")
    }
    assert tones["backlight"] < 0.9 * tones["day"]


def test_an_unknown_look_is_an_error():
    with pytest.raises(ValueError, match="dusk"):
        look(grey_card(), np.random.default_rng(0), "dusk")


PHONE_DOWN = np.stack([[1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0]], 1)  # its screen looks up, its lens down
LENS = np.array([0, 0.055, 0])  # of a phone at the origin


def label_at(point, normal=(0, 0, 1.0), number: int = 1):
    """A label of no size."""
    return SimpleNamespace(id=number, points=np.array([point], float), normal=np.array(normal, float))


@pytest.mark.parametrize(
    ("way", "normal", "is_seen"),
    [
        ((0, 0, -0.4), (0, 0, 1), True),
        ((0, 0, 0.4), (0, 0, -1), False),  # behind the screen
        ((0, 0, -2.4), (0, 0, 1), True),
        ((0, 0, -2.6), (0, 0, 1), False),  # too far to read
        ((np.tan(np.radians(25)), 0, -1), (0, 0, 1), True),  # 52 degrees across the phone …
        ((np.tan(np.radians(27)), 0, -1), (0, 0, 1), False),
        ((0, np.tan(np.radians(32)), -1), (0, 0, 1), True),  # … and 66 along it
        ((0, -np.tan(np.radians(34)), -1), (0, 0, 1), False),
        ((0, 0, -1), (np.sin(np.radians(74)), 0, np.cos(np.radians(74))), True),
        ((0, 0, -1), (np.sin(np.radians(76)), 0, np.cos(np.radians(76))), False),  # edge on
        ((0, 0, -1), (0, 0, -1), False),  # its back
    ],
)
def test_a_phone_sees_labels_in_its_frustum_that_face_it_and_are_near(way, normal, is_seen):
    label = label_at(LENS + way, normal)
    assert exposed(np.zeros(3), PHONE_DOWN, [label]) == ([1] if is_seen else [])


@given(st.floats(-180, 180), points_ahead, points_ahead)
def test_what_a_phone_sees_does_not_depend_on_where_the_world_s_axes_lie(angle, point, shift):
    c, s = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    rotation, shift = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]]), np.array(shift)
    point = np.array(point) - [0, 0, 2.2]
    if abs(np.linalg.norm(point - LENS) - LENS_REACH) < 1e-6:
        return
    here = exposed(np.zeros(3), PHONE_DOWN, [label_at(point)])
    moved = label_at(rotation @ point + shift)
    assert exposed(shift, rotation @ PHONE_DOWN, [moved]) == here


def test_a_label_behind_something_is_not_exposed():
    labels = [label_at((0, 0, -0.5), number=7), label_at((0.1, 0, -0.5), number=5)]
    assert exposed(np.zeros(3), PHONE_DOWN, labels) == [5, 7]
    assert exposed(np.zeros(3), PHONE_DOWN, labels, lambda lens, point: point[0] < 0.05) == [5]
