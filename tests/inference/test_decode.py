"""Raw output to detections: thresholds by label, and one box where there were many."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.geometry import iou
from detector.inference.decode import decode, suppress
from detector.values import LABELS
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
    np.testing.assert_allclose(result.traits, [[0, 0, 0.7, 0.1], [0.9, 0, 0, 0]], rtol=1e-6)


def test_each_label_has_its_own_threshold() -> None:
    said: list[Row] = [("person", 20, 20, 10, 10, 0.4, {}), ("phone", 80, 80, 10, 10, 0.4, {})]
    result = decode(raw_output(said), QUARTER | {"person": 0.5})
    assert [LABELS[k] for k in result.class_ids] == ["phone"]


def test_a_box_beyond_the_border_does_not_suppress_one_of_another_kind() -> None:
    boxes = np.array([(41, 41, 81, 81), (-60, -60, -20, -20), (90, 90, 100, 100)], np.float32)
    assert suppress(boxes, np.array([0.9, 0.8, 0.7], np.float32), np.array([0, 1, 0]), 0.5).tolist() == [0, 1, 2]
