"""Scene generation, as far as it needs no Blender: projection, truth, regions, the look, and a clip's motion."""

from __future__ import annotations

import random
from types import SimpleNamespace

import av
import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scenes import scripts
from scenes.body import Pose
from scenes.camera import Camera, hang
from scenes.clips import Recorder, rounded
from scenes.floor import Floor, Ground
from scenes.motion import (
    CYCLE,
    Arm,
    Foot,
    Grip,
    Key,
    Sway,
    Walk,
    angle_between,
    blended,
    evenly,
    stride,
)
from scenes.regions import CELL, around, covering, faded
from scenes.sensor import look
from scenes.stills import LARGE, SMALL, write_still
from scenes.truth import COCO_POINTS, LENS_REACH, Register, act_of, annotate, exposed, extents, together
from scenes.vectors import turn

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
    tall = LARGE if near else SMALL
    camera = hang(random.Random(seed), room, (0.5, -0.5), (960, 540), tall=tall, clear=lambda position: True)
    (head, foot), _ = camera.project([(0.5, -0.5, 1.7), (0.5, -0.5, 0.0)], distort=False)
    assert 2.5 <= camera.position[2] <= 6
    assert 10 <= camera.tilt_deg <= 60
    assert 50 <= camera.fov_deg <= 110
    assert (140 if near else 55) < foot[1] - head[1] < (450 if near else 180)


def test_a_room_too_small_for_any_camera_is_an_error():
    room = SimpleNamespace(width=0.4, depth=0.4, height=3.0)
    with pytest.raises(ValueError, match="no camera position"):
        hang(random.Random(1), room, (0, 0), SIZE, tall=LARGE, clear=lambda position: True)


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


@pytest.mark.parametrize("half", [0.02, 0.06, 0.3])
@pytest.mark.parametrize(("at", "in_frame"), [(0.0, 1.0), (3 * np.tan(np.radians(30)), 0.5), (9.0, 0.0)])
def test_how_much_is_seen_is_a_share_of_the_area_however_small(half: float, at: float, in_frame: float) -> None:
    register, camera = Register(), camera_above()
    phone = register.add("phone", square(at, 0.0, 0.0, half))
    area = in_frame * (2 * half * camera.focal / 3) ** 2
    index = np.zeros(SIZE[::-1], np.int32)
    index.ravel()[: round(0.4 * area)] = phone.id
    (entry,) = annotate(register, index, np.full(index.shape, 3.0), camera)["phones"]
    assert entry["visible_fraction"] == pytest.approx(0.4 if in_frame else 0.0, abs=0.05)
    assert entry["in_frame_fraction"] == pytest.approx(in_frame, abs=0.02)


def test_what_covers_half_of_the_top_halves_its_visibility():
    register = Register()
    box_with_label(register, on_top=False)
    (parcel,) = seen(register, camera_above(), hidden=lambda x, y: x < 160)["parcels"]
    assert parcel["top_visible"] == pytest.approx(0.5, abs=0.05)
    assert parcel["bbox"][0] == 160


@settings(max_examples=40)
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


def test_a_whole_person_is_as_large_as_what_there_is_to_see() -> None:
    register, camera = Register(), camera_above()
    person = register.add("person", act="none")
    body = square(0.0, 0.0, 0.0, 0.3)
    person.joints = dict.fromkeys(COCO_POINTS, np.zeros(3))
    person.surfaces = [(np.vstack([body, [[0.9, 0.0, 0.0]]]), [[0, 1, 2], [0, 2, 3]])]
    empty = np.zeros(SIZE[::-1], np.int32)
    (entry,) = annotate(register, empty, np.full(empty.shape, 3.0), camera)["people"]
    corners, _ = camera.project(body)
    assert entry["bbox_amodal"] == pytest.approx([*corners.min(0), *corners.max(0)])


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


def test_a_still_that_the_disk_has_no_room_for_is_an_error(tmp_path):
    picture = np.random.default_rng(1).integers(0, 256, (54, 96, 3), np.uint8)
    write_still(str(tmp_path / "s7_00"), picture, {"size": [96, 54]})
    assert cv2.imread(str(tmp_path / "s7_00.jpg")).shape == picture.shape
    assert (tmp_path / "s7_00.json").read_text() == '{"size": [96, 54]}'
    (tmp_path / "s7_01.jpg").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left"):
        write_still(str(tmp_path / "s7_01"), picture, {})


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


# ---- clips: floors, scripts, motion, the recorder ----


def furnished_floor() -> Floor:
    """A hall of 8 by 6 metres with a long table across its middle, open at one end."""
    floor = Floor(8, 6)
    floor.take(-1.0, 0.0, 2.6, 0.4)
    return floor


def test_gaps_are_measured_to_walls_and_to_turned_things():
    floor = Floor(8, 6)
    assert floor.gap(0, 0) == pytest.approx(3)
    floor.take(2.0, 0.0, 1.0, 0.5, yaw=90)
    assert floor.gap(0, 0) == pytest.approx(1.5)
    assert floor.gap(2.0, 0.9) == pytest.approx(-0.1)
    assert floor.gap(np.array([0.0, 2.0]), np.array([0.0, 0.9])) == pytest.approx([1.5, -0.1])


def test_what_was_taken_since_a_mark_is_forgotten():
    floor = furnished_floor()
    mark = floor.mark()
    before = floor.gap(2.5, 2.0)
    floor.take(2.5, 2.0, 0.3)
    floor.release(mark)
    assert floor.gap(2.5, 2.0) == before


def test_a_path_goes_round_the_table():
    path = Ground(furnished_floor()).path((-1.0, -1.5), (-1.0, 1.5))
    assert path[0] == pytest.approx([-1.0, -1.5])
    assert path[-1] == pytest.approx([-1.0, 1.5])
    assert furnished_floor().gap(*evenly(path).T).min() > 0


def test_a_path_with_nothing_in_its_way_is_straight():
    assert len(Ground(Floor(8, 6)).path((-2, -1), (2, 1))) == 2


def test_a_spot_walled_in_is_still_reached():
    floor = Floor(8, 6)
    for x, y, a, b in ((0, 1, 1, 0.2), (0, -1, 1, 0.2), (1, 0, 0.2, 1), (-1, 0, 0.2, 1)):
        floor.take(x, y, a, b)
    assert Ground(floor).path((0, 0), (3, 2))[-1] == pytest.approx([3, 2])


@pytest.mark.parametrize("script", scripts.SCRIPTS)
@given(seed=st.integers(0, 10_000), seconds=st.floats(4, 40))
def test_scripts_fill_the_clip(script, seed, seconds):
    for steps in scripts.written(script, random.Random(seed), seconds):
        assert scripts.enough(steps, seconds)
        assert all(step.seconds > 0 for step in steps)


@given(st.integers(0, 10_000))
def test_who_photographs_where_is_what_the_script_says(seed):
    photographers = {
        script: sum(any(s.act == "photo" for s in steps) for steps in scripts.written(script, random.Random(seed), 20))
        for script in scripts.SCRIPTS
    }
    assert photographers["sweep"] == 1
    assert photographers["sweep_two"] == 2
    assert not any(photographers[script] for script in ("scanning", "phones", "work", "idle"))


@given(st.integers(0, 10_000))
def test_a_sweep_takes_each_parcel_for_one_and_a_half_to_four_seconds(seed):
    steps = scripts.written("sweep", random.Random(seed), 20)[0]
    photos = [s.seconds for s in steps if s.act == "photo"]
    assert len(photos) >= 2
    assert all(1.5 <= seconds <= 4 for seconds in photos)


def test_an_idler_uses_the_phone_in_the_hand_for_nothing():
    acts = {s.act for seed in range(20) for s in scripts.idler(random.Random(seed), 20)}
    assert acts == {"held", "leave"}


def test_a_clip_s_script_is_drawn_as_before_there_were_idlers():
    before = [(script, weight) for script, weight in scripts.WEIGHTS.items() if script != "idle"]
    for seed in range(200):
        (script,) = random.Random(seed).choices(*zip(*before, strict=True))
        assert scripts.drawn(random.Random(seed)) == script


def test_an_honest_phone_user_looks_at_the_phone_before_a_parcel_once():
    for seed in range(20):
        acts = [s.act for s in scripts.phone_user(random.Random(seed), 20)]
        assert acts.count("look") == 1


def test_a_porter_puts_down_only_what_they_carry():
    for seed in range(50):
        carries = False
        for step in scripts.porter(random.Random(seed), 30):
            if step.act == "put":
                assert carries
            carries = {"carry": True, "lift": True, "put": False}.get(step.act, carries)


def test_an_unknown_script_is_an_error():
    with pytest.raises(ValueError, match="dance"):
        scripts.written("dance", random.Random(1), 20)


def key_at(x: float, y: float, yaw: float, *, hips: float = 0.9, grip: Grip | None = None) -> Key:
    """A pose with feet at the body's sides and the hands in front."""
    feet = {side: Foot(np.array([sign * 0.1, 0.0, 0.0]), 0.0, 0.0) for side, sign in (("l", 1), ("r", -1))}
    arms = {side: Arm(np.array([0, -0.3, -0.2]), np.eye(3), np.array([0, 0, -1.0])) for side in "lr"}
    curls = {side: np.zeros((5, 3)) for side in "lr"}
    return Key(np.array([x, y]), yaw, np.array([hips, *[0.0] * 7]), feet, arms, curls, grip)


def foot_on_floor(key: Key, side: str) -> np.ndarray:
    """World place of an ankle."""
    return turn([0, 0, 1], key.yaw) @ key.feet[side].place + [*key.position, 0]


places = st.tuples(st.floats(-0.3, 0.3), st.floats(-0.3, 0.3), st.floats(-180, 180), st.floats(0.4, 0.95))


@given(places, places)
def test_a_blend_starts_and_ends_with_its_keys(start, end):
    a, b = (key_at(x, y, yaw, hips=hips) for x, y, yaw, hips in (start, end))
    for key, s in ((a, 0.0), (b, 1.0)):
        got = blended(a, b, s)
        assert got.position == pytest.approx(key.position)
        assert abs(angle_between(got.yaw, key.yaw)) < 1e-6
        assert got.trunk == pytest.approx(key.trunk)
        for side in "lr":
            assert foot_on_floor(got, side) == pytest.approx(foot_on_floor(key, side), abs=1e-6)


@given(places, places, st.floats(0, 1))
def test_while_one_foot_steps_the_other_stands(start, end, s):
    a, b = (key_at(x, y, yaw, hips=hips) for x, y, yaw, hips in (start, end))
    got = blended(a, b, s)
    moving = 0
    for side in "lr":
        at = foot_on_floor(got, side)
        stands = [np.allclose(at, foot_on_floor(key, side), atol=1e-6) for key in (a, b)]
        moving += not any(stands)
        assert at[2] >= 0
    assert moving <= (2 if 0.45 <= s <= 0.55 else 1)


def test_a_head_turns_the_shorter_way():
    assert blended(key_at(0, 0, 170), key_at(0, 0, -170), 0.5).yaw % 360 == pytest.approx(180)


def test_a_phone_stays_in_the_hand_that_has_it():
    grip = Grip("r", np.array([0.0, 0.1, 0]), np.eye(3))
    other = Grip("r", np.array([0.0, 0.2, 0]), turn([0, 0, 1], 90))
    half = blended(key_at(0, 0, 0, grip=grip), key_at(0, 0, 0, grip=other), 0.5).grip
    assert half.centre == pytest.approx([0, 0.15, 0])
    assert half.frame == pytest.approx(turn([0, 0, 1], 45))
    assert blended(key_at(0, 0, 0, grip=grip), key_at(0, 0, 0), 0.7).grip is grip


@settings(max_examples=40)
@given(st.floats(0.8, 6.0), st.floats(0.7, 1.4))
def test_a_walk_arrives_and_never_turns_back(length, speed):
    start, end = key_at(0, 0, 90), key_at(length, 0, 90)
    walk = Walk(start, end, [(0, 0), (length, 0)], speed, lambda phase: key_at(0, 0, 0))
    way = [walk.at(s).position[0] for s in np.linspace(0, 1, 60)]
    assert way[0] == pytest.approx(0, abs=1e-6)
    assert way[-1] == pytest.approx(length, abs=1e-6)
    assert (np.diff(way) > -1e-9).all()
    assert np.diff(way).max() * 59 / walk.seconds <= speed * 1.05
    assert walk.at(0.5).yaw == pytest.approx(90)


def test_a_foot_on_the_ground_stays_there_while_the_body_walks_on():
    body = SimpleNamespace(joint={"pelvis": np.array([0, 0, 0.95])})
    on_floor = []
    for phase in np.linspace(0.05, 0.4, 8):
        pose = Pose()
        stride(body, pose, phase)
        on_floor.append(pose.feet["l"][1] - phase * CYCLE)  # ahead is -y
    assert np.ptp(on_floor) < 1e-6


def test_somebody_who_keeps_a_pose_still_sways_a_little():
    key = key_at(0, 0, 0)
    sway = Sway(np.arange(5.0), np.ones(5), {"r": np.array([0, 0.1, 0])})
    moved = [sway.at(key, t) for t in np.linspace(0, 6, 30)]
    assert 0 < np.ptp([m.trunk[2] for m in moved]) < 4
    assert np.ptp([m.arms["r"].wrist[1] for m in moved]) > 0.1
    assert all(m.arms["l"].wrist is key.arms["l"].wrist for m in moved)
    assert (key.trunk == key_at(0, 0, 0).trunk).all()


@pytest.mark.parametrize("fps", [5.0, 12.5])
def test_recorded_frames_bear_their_times(tmp_path, fps):
    path = tmp_path / "clip.mp4"
    recorder = Recorder(path, SIZE, fps, 28)
    for k in range(12):
        recorder.write(np.full((*SIZE[::-1], 3), 20 * k, np.uint8))
    recorder.close()
    with av.open(str(path)) as clip:
        frames = list(clip.decode(video=0))
    assert [frame.time for frame in frames] == pytest.approx([k / fps for k in range(12)], abs=1e-3)
    shades = [frame.to_ndarray(format="bgr24").mean() for frame in frames]
    assert shades == pytest.approx([20 * k for k in range(12)], abs=6)


def test_a_clip_s_truth_is_rounded_but_its_ids_are_whole():
    assert rounded({"id": 3, "bbox": [1.23456, np.float64(2.0)], "act": "photo", "target": None}) == {
        "id": 3,
        "bbox": [1.235, 2.0],
        "act": "photo",
        "target": None,
    }


def test_frames_of_one_camera_differ_in_nothing_but_noise():
    card = grey_card()
    first, second, other = (
        look(card, np.random.default_rng(seed), "day", np.random.default_rng(grain)).astype(float)
        for seed, grain in ((1, 1), (1, 2), (2, 1))
    )
    assert (first != second).any()
    assert abs(first.mean((0, 1)) - second.mean((0, 1))).max() < 0.5
    assert abs(first.mean((0, 1)) - other.mean((0, 1))).max() > 0.5
