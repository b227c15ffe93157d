"""Raw output to detections: thresholds by label, and one box where there were many."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.geometry import iou
from detector.inference.decode import Layout, corners, decode, suppress
from detector.values import ANGLE_COS, ANGLE_SIN, LABEL, LABELS, PERSON, PHONE
from tests.inference.tiny_models import Row, raw_output

QUARTER = dict.fromkeys(LABELS, 0.25)


def slow_suppress(boxes: np.ndarray, scores: np.ndarray, kinds: np.ndarray, most: float) -> list[int]:
    kept: list[int] = []
    for k in np.argsort(-scores, kind="stable"):
        if all(kinds[k] != kinds[j] or iou(boxes[[k]], boxes[[j]])[0, 0] <= most for j in kept):
            kept.append(int(k))
    return kept


# Whole numbers, so that no overlap lies within rounding of the limit, and beyond the picture's border as well.
rows = st.lists(
    st.tuples(st.integers(-60, 60), st.integers(-60, 60), st.integers(1, 40), st.integers(1, 40), st.integers(0, 4)),
    max_size=12,
)


@settings(deadline=None)
@given(rows, st.randoms(use_true_random=False))
def test_suppression_agrees_with_the_schoolbook(
    found: list[tuple[int, int, int, int, int]], random: np.random.RandomState
) -> None:
    boxes = np.array([(x, y, x + w, y + h) for x, y, w, h, _ in found], np.float32).reshape(-1, 4)
    kinds = np.array([kind for *_, kind in found], np.int64)
    order = list(range(len(found)))
    random.shuffle(order)
    scores = np.array([(n + 1) / 20 for n in order], np.float32)
    kept = suppress(boxes, scores, kinds, 0.4567)
    assert kept.tolist() == slow_suppress(boxes, scores, kinds, 0.4567)


def test_suppression_of_what_is_suppressed_changes_nothing() -> None:
    boxes = np.array([(0, 0, 10, 10), (1, 0, 11, 10), (50, 50, 60, 60)], np.float32)
    scores, kinds = np.array([0.5, 0.9, 0.3], np.float32), np.zeros(3, np.int64)
    kept = suppress(boxes, scores, kinds, 0.5)
    assert kept.tolist() == [1, 2]
    assert suppress(boxes[kept], scores[kept], kinds[kept], 0.5).tolist() == [0, 1]


@pytest.mark.parametrize(
    ("said", "found"),
    [
        pytest.param([], [], id="nothing"),
        pytest.param([("phone", 50, 50, 10, 20, 0.25, {})], [("phone", [45, 40, 55, 60])], id="just enough"),
        pytest.param([("phone", 50, 50, 10, 20, 0.249, {})], [], id="just too little"),
        pytest.param(
            [("parcel", 50, 50, 10, 20, 0.5, {}), ("parcel", 50, 51, 10, 20, 0.8, {})],
            [("parcel", [45, 41, 55, 61])],
            id="twice the same",
        ),
        pytest.param(
            [("parcel", 50, 50, 10, 20, 0.5, {}), ("label", 50, 50, 10, 20, 0.4, {})],
            [("parcel", [45, 40, 55, 60]), ("label", [45, 40, 55, 60])],
            id="a label on a parcel",
        ),
    ],
)
def test_what_the_network_said(said: list[Row], found: list[tuple[str, list[float]]]) -> None:
    result = decode(raw_output(said), QUARTER)
    assert [(LABELS[k], box.tolist()) for k, box in zip(result.class_ids, result.boxes, strict=True)] == found


def test_traits_stay_with_their_box() -> None:
    said: list[Row] = [
        ("parcel", 20, 20, 10, 10, 0.4, {"up": 0.9}),
        ("phone", 80, 80, 10, 10, 0.8, {"photo": 0.7, "call": 0.1}),
    ]
    result = decode(raw_output(said), QUARTER)
    np.testing.assert_allclose(result.traits[:, :4], [[0, 0, 0.7, 0.1], [0.9, 0, 0, 0]], rtol=1e-6)


def test_each_label_has_its_own_threshold() -> None:
    said: list[Row] = [("person", 20, 20, 10, 10, 0.4, {}), ("phone", 80, 80, 10, 10, 0.4, {})]
    result = decode(raw_output(said), QUARTER | {"person": 0.5})
    assert [LABELS[k] for k in result.class_ids] == ["phone"]


def test_a_box_beyond_the_border_does_not_suppress_one_of_another_kind() -> None:
    boxes = np.array([(41, 41, 81, 81), (-60, -60, -20, -20), (90, 90, 100, 100)], np.float32)
    assert suppress(boxes, np.array([0.9, 0.8, 0.7], np.float32), np.array([0, 1, 0]), 0.5).tolist() == [0, 1, 2]


def test_traits_go_where_the_layout_says_and_the_others_are_unknown() -> None:
    raw = np.zeros((1, 4 + 1 + 2, 1), np.float32)
    raw[0, :, 0] = 50, 50, 20, 20, 0.9, 0.3, 0.8
    result = decode(raw, QUARTER, Layout(labels=(LABEL,), traits=(ANGLE_SIN, ANGLE_COS)))
    assert result.class_ids.tolist() == [LABEL]
    known = np.array([0, 0, 0, 0, np.nan, np.nan, np.nan, np.nan, 0.8, 0.3], np.float32)
    np.testing.assert_array_equal(result.traits, [known])


def test_a_place_whose_best_class_is_none_of_ours_holds_nothing() -> None:
    raw = np.zeros((1, 4 + 2, 2), np.float32)
    raw[0, :, 0] = 50, 50, 20, 20, 0.8, 0.4
    raw[0, :, 1] = 90, 50, 20, 20, 0.3, 0.4
    result = decode(raw, QUARTER, Layout(labels=(-1, PHONE), traits=()))
    assert result.boxes.tolist() == [[80, 40, 100, 60]]


def test_people_have_keypoints_and_others_none() -> None:
    raw = np.zeros((1, 4 + 2 + 51, 2), np.float32)
    raw[0, :6, 0] = 50, 50, 20, 20, 0.9, 0
    raw[0, :6, 1] = 150, 50, 20, 20, 0, 0.8
    raw[0, 6:, 0] = np.arange(51)
    result = decode(raw, QUARTER, Layout(labels=(PERSON, PHONE), traits=(), keypoints=(17, 3)))
    assert result.keypoints is not None
    assert result.keypoints[0].tolist() == np.arange(51).reshape(17, 3).tolist()
    assert np.isnan(result.keypoints[1]).all()


def test_a_network_that_chooses_itself_gives_corners_score_and_class() -> None:
    raw = np.array([[(10, 20, 30, 60, 0.9, 1), (0, 0, 5, 5, 0.9, 0), (1, 1, 9, 9, 0.1, 1)]], np.float32)
    result = decode(raw, QUARTER, Layout(labels=(-1, PHONE), traits=(), end2end=True))
    assert result.boxes.tolist() == [[10, 20, 30, 60]]
    assert result.class_ids.tolist() == [PHONE]


@pytest.mark.parametrize(
    ("layout", "shape", "fits"),
    [
        (Layout(), (1, 19, 5), True),
        (Layout(), (1, 5, 19), False),
        (Layout(), (2, 19, 5), False),
        (Layout(), (1, 19), False),
        (Layout(labels=(0,) * 80, traits=(), keypoints=(17, 3)), (1, 135, 8400), True),
        (Layout(labels=(0,) * 80, traits=(), end2end=True), (1, 300, 6), True),
        (Layout(labels=(0,) * 80, traits=(), end2end=True), (1, 6, 300), False),
        (Layout(bins=16), (1, 79, 5040), True),
        (Layout(bins=16), (1, 19, 5040), False),
    ],
)
def test_a_layout_knows_its_shape(layout: Layout, shape: tuple[int, ...], fits: bool) -> None:
    assert layout.fits(shape) is fits


def slow_corners(distributions: np.ndarray, size: tuple[int, int]) -> list[tuple[float, ...]]:
    """Boxes of all places, one after the other."""
    boxes, told = [], iter(distributions.astype(float))
    for stride in (8, 16, 32):
        for row in range(size[0] // stride):
            for column in range(size[1] // stride):
                shares = [np.exp(side) / np.exp(side).sum() for side in next(told)]
                left, top, right, bottom = (sum(n * share for n, share in enumerate(side)) for side in shares)
                x, y = column + 0.5, row + 0.5
                boxes.append(tuple(stride * at for at in (x - left, y - top, x + right, y + bottom)))
    assert next(told, None) is None
    return boxes


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 3), st.integers(1, 3), st.integers(2, 16), st.integers(0, 2**32 - 1))
def test_boxes_of_distributions_agree_with_the_schoolbook(rows: int, columns: int, bins: int, seed: int) -> None:
    random, size = np.random.default_rng(seed), (32 * rows, 32 * columns)
    places = rows * columns * (16 + 4 + 1)
    told = random.normal(0, 4, (4, bins, places)).astype(np.float32)
    chosen = np.sort(random.choice(places, random.integers(1, places + 1), replace=False))
    expected = np.array(slow_corners(told.transpose(2, 0, 1), size))[chosen]
    assert corners(told[..., chosen], chosen, size) == pytest.approx(expected, abs=1e-3)


def test_a_box_told_by_distributions_is_found_where_they_say() -> None:
    layout, size = Layout(bins=16), (64, 96)
    raw = np.full((1, layout.channels, 8 * 12 + 4 * 6 + 2 * 3), -30.0, np.float32)
    raw[0, 64:] = 0.0
    place = 8 * 12 + 1 * 6 + 2  # of the second level: the middle is at x 40, y 24
    for side, steps in enumerate((1, 0, 2, 3)):
        raw[0, 16 * side + steps, place] = 30.0
    raw[0, 64 + PHONE, place] = 0.9
    found = decode(raw, QUARTER, layout, size)
    assert found.class_ids.tolist() == [PHONE]
    assert found.boxes[0] == pytest.approx([40 - 16, 24, 40 + 32, 24 + 48], abs=1e-3)
    assert not len(decode(raw * 0, QUARTER, layout, size))
