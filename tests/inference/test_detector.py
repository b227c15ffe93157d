"""Two looks at a frame: the whole, and each person closely."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from detector.config import Analysis
from detector.inference.decode import Layout
from detector.inference.detector import SceneDetector, merged
from detector.inference.turns import Turns
from detector.inference.zoom import cut_square, missed_of, zoom_square
from detector.values import ACT_PHOTO, ACT_TRAITS, LABELS, PERSON, Box, Detections
from tests.builders import detections, frame
from tests.inference.tiny_models import Row, raw_output

THRESHOLDS = dict.fromkeys(LABELS, 0.25)
SETTINGS = Analysis(frame_side=640, zoom_side=320, zooms=2)


class ScriptedNetwork:
    """Answers by the long side of its input: 640 is the whole frame, 320 a close look."""

    layout = Layout()
    input_size = None
    few_sizes = False

    def __init__(self, whole: list[Row], close: list[Row]) -> None:
        self.answers = {640: raw_output(whole), 320: raw_output(close)}
        self.asked: list[int] = []
        self.shapes: list[tuple[int, ...]] = []

    def __call__(self, tensor: NDArray[np.float32]) -> NDArray[np.float32]:
        self.shapes.append(tensor.shape[2:])
        self.asked.append(max(tensor.shape[2:]))
        return self.answers[self.asked[-1]]


def names(found: Detections) -> list[str]:
    return [LABELS[k] for k in found.class_ids]


def test_a_close_look_finds_the_phone_and_puts_it_where_it_is() -> None:
    network = ScriptedNetwork([("person", 220, 150, 40, 100, 0.9, {})], [("phone", 160, 160, 32, 32, 0.8, {})])
    found = SceneDetector(network, THRESHOLDS, SETTINGS).detect(frame(0, (1280, 640)))
    assert network.asked == [640, 320]
    assert names(found) == ["person", "phone"]
    x, y, side = zoom_square((400, 200, 480, 400))
    middle = (found.boxes[1, :2] + found.boxes[1, 2:]) / 2
    np.testing.assert_allclose(middle, [x + side / 2, y + side / 2], atol=1)


def test_a_close_look_says_nothing_of_people_and_parcels() -> None:
    network = ScriptedNetwork(
        [("person", 220, 150, 40, 100, 0.9, {})],
        [("person", 160, 160, 99, 99, 0.9, {}), ("parcel", 60, 60, 50, 50, 0.9, {})],
    )
    assert names(SceneDetector(network, THRESHOLDS, SETTINGS).detect(frame(0, (1280, 640)))) == ["person"]


NEAR = {"act_photo": 0.8, "act_scan": 0.1, "act_call": 0.05, "act_browse": 0.2}
FAR = dict.fromkeys(NEAR, 0.99)


@pytest.mark.parametrize(
    ("close", "acts"),
    [
        pytest.param([("person", 160, 177, 107, 286, 0.6, NEAR)], list(NEAR.values()), id="seen again"),
        pytest.param(
            [("person", 160, 177, 107, 286, 0.3, NEAR), ("person", 290, 177, 60, 286, 0.9, FAR)],
            list(NEAR.values()),
            id="beside somebody surer",
        ),
        pytest.param([("person", 290, 177, 60, 286, 0.9, NEAR)], [np.nan] * 4, id="only somebody else"),
        pytest.param([("phone", 160, 177, 107, 286, 0.9, NEAR)], [np.nan] * 4, id="no person"),
        pytest.param([], [np.nan] * 4, id="nothing"),
    ],
)
def test_what_a_person_does_is_told_by_the_close_look_alone(close: list[Row], acts: list[float]) -> None:
    # The person's box is (400, 200) to (480, 400): the square round it reaches from 355 to 524 and from 183 to 352.
    network = ScriptedNetwork([("person", 220, 150, 40, 100, 0.9, FAR)], close)
    found = SceneDetector(network, THRESHOLDS, SETTINGS).detect(frame(0, (1280, 640))).of(PERSON)
    np.testing.assert_allclose(found.traits[:, ACT_TRAITS], [acts], rtol=1e-6)


def test_people_beyond_the_number_of_close_looks_have_no_known_act() -> None:
    people: list[Row] = [("person", 100.0 * n, 150, 40, 100 - n, 0.9, FAR) for n in (1, 2, 3)]
    network = ScriptedNetwork(people, [("person", 160, 177, 107, 286, 0.6, NEAR)])
    found = SceneDetector(network, THRESHOLDS, SETTINGS).detect(frame(0, (1280, 640))).of(PERSON)
    assert sorted(np.isnan(found.traits[:, ACT_PHOTO])) == [False, False, True]


def test_close_looks_have_one_size_where_each_further_one_costs_much() -> None:
    at_the_border: Row = ("person", 20, 150, 40, 200, 0.9, FAR)
    shapes = []
    for few in (False, True):
        network = ScriptedNetwork([at_the_border], [("phone", 160, 160, 32, 32, 0.8, {})])
        network.few_sizes = few
        found = SceneDetector(network, THRESHOLDS, SETTINGS).detect(frame(0, (1280, 640)))
        assert names(found) == ["person", "phone"]
        shapes.append(network.shapes)
    assert shapes == [[(320, 640), (320, 224)], [(320, 640), (320, 320)]]


def test_keypoints_come_in_pixels_of_the_frame() -> None:
    network = ScriptedNetwork([], [])
    network.layout = Layout(labels=(PERSON,), traits=(), keypoints=(17, 3))
    raw = np.zeros((1, 5 + 51, 1), np.float32)
    raw[0, :, 0] = [220, 150, 40, 100, 0.9, *[220, 150, 0.5] * 17]
    network.answers = {640: raw, 320: raw}
    found = SceneDetector(network, THRESHOLDS, SETTINGS).detect(frame(0, (1280, 640)))
    assert found.keypoints is not None
    np.testing.assert_allclose(found.keypoints, [[[440, 300, 0.5]] * 17])


def test_people_known_from_before_are_looked_at_though_missed_now() -> None:
    network = ScriptedNetwork([], [("phone", 160, 160, 32, 32, 0.8, {})])
    found = SceneDetector(network, THRESHOLDS, SETTINGS).detect(frame(0), [(400, 200, 480, 400)])
    assert names(found) == ["phone"]


def test_nobody_who_is_seen_waits_for_somebody_missed() -> None:
    people: list[Row] = [("person", 100.0 * n, 150, 40, 100, 0.9, FAR) for n in (1, 2)]
    network = ScriptedNetwork(people, [("person", 160, 177, 107, 286, 0.6, NEAR)])
    detector, turns = SceneDetector(network, THRESHOLDS, SETTINGS), Turns()
    missed = [(900.0 + 100 * n, 100.0, 980.0 + 100 * n, 500.0) for n in range(3)]
    for at in range(4):
        found = detector.detect(frame(at, (1280, 640)), missed, turns).of(PERSON)
        assert found.passed_over is None and not np.isnan(found.traits[:, ACT_PHOTO]).any()


def test_a_person_seen_and_known_is_looked_at_once() -> None:
    network = ScriptedNetwork([("person", 220, 150, 40, 100, 0.9, {})], [])
    SceneDetector(network, THRESHOLDS, SETTINGS).detect(frame(0, (1280, 640)), [(402, 200, 480, 398)])
    assert network.asked == [640, 320]


def test_boxes_end_at_the_border_of_the_picture() -> None:
    network = ScriptedNetwork([("parcel", 0, 0, 100, 100, 0.9, {})], [])
    found = SceneDetector(network, THRESHOLDS, SETTINGS).detect(frame(0, (1280, 640)))
    assert found.boxes.tolist() == [[0, 0, 100, 100]]


@pytest.mark.parametrize("size", [(1, 1), (1, 400), (400, 1)])
def test_a_picture_of_one_line_holds_nothing(size: tuple[int, int]) -> None:
    network = ScriptedNetwork([("parcel", 50, 50, 100, 100, 0.9, {})], [])
    assert len(SceneDetector(network, THRESHOLDS, SETTINGS).detect(frame(0, size))) == 0


def test_a_person_wholly_outside_the_picture_is_not_looked_at() -> None:
    network = ScriptedNetwork([], [("phone", 160, 160, 32, 32, 0.8, {})])
    outside: list[Box] = [(-400, 100, -300, 300), (2000, 100, 2100, 300)]
    found = SceneDetector(network, THRESHOLDS, SETTINGS).detect(frame(0), outside)
    assert network.asked == [640]
    assert len(found) == 0


@settings(deadline=None)
@given(
    st.tuples(st.floats(-500, 900), st.floats(-500, 700), st.floats(0, 600)),
    st.tuples(st.integers(2, 400), st.integers(2, 300)),
)
def test_a_cut_square_is_the_part_inside_the_picture(square: tuple[float, float, float], size: tuple[int, int]) -> None:
    width, height = size
    ys, xs = np.mgrid[:height, :width]
    image = np.stack([xs % 256, ys % 256, xs // 256 + 2 * (ys // 256)], 2).astype(np.uint8)
    crop, left, top = cut_square(image, *square)
    x, y, side = square
    right, bottom = min(width, round(x + side)), min(height, round(y + side))
    wide, high = max(0, right - max(0, round(x))), max(0, bottom - max(0, round(y)))
    if wide == 0 or high == 0:
        assert crop.size == 0
        return
    assert crop.shape == (high, wide, 3)
    assert (crop[0, 0] == image[top, left]).all()


def test_who_was_seen_before_is_missed_unless_somebody_is_seen_there() -> None:
    seen = np.array([(0, 0, 10, 50), (100, 0, 110, 90)], np.float32)
    tracked = np.array([(200, 0, 210, 70), (101, 0, 111, 88)], np.float32)
    assert missed_of(seen, tracked).tolist() == [[200, 0, 210, 70]]
    assert len(missed_of(seen, tracked[:0])) == len(missed_of(seen[:0], tracked[:0])) == 0
    assert len(missed_of(seen[:0], tracked)) == 2


PHONE = ("phone", (100, 100, 120, 140), 0.6)


@pytest.mark.parametrize(
    ("close", "kept"),
    [
        pytest.param(("phone", (100, 100, 121, 141), 0.9), ["phone 0.9"], id="the same, surer"),
        pytest.param(("phone", (100, 100, 121, 141), 0.4), ["phone 0.6"], id="the same, less sure"),
        pytest.param(("scanner", (101, 101, 120, 140), 0.9), ["scanner 0.9"], id="another kind, surer"),
        pytest.param(("phone", (102, 104, 118, 124), 0.4), ["phone 0.6"], id="inside"),
        pytest.param(("phone", (120, 100, 140, 140), 0.4), ["phone 0.6", "phone 0.4"], id="touching"),
        pytest.param(("scanner", (500, 100, 520, 140), 0.9), ["scanner 0.9", "phone 0.6"], id="elsewhere"),
    ],
)
def test_one_device_at_one_place(close: tuple[str, Box, float], kept: list[str]) -> None:
    both = merged(detections([PHONE]), detections([close]))
    assert [f"{LABELS[k]} {s:.1f}" for k, s in zip(both.class_ids, both.scores, strict=True)] == kept


def test_merging_nothing_gives_nothing() -> None:
    assert len(merged(Detections.empty(), Detections.empty())) == 0
