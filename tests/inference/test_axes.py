"""How the way a label lies is measured."""

from __future__ import annotations

from math import cos, pi, radians, sin

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.inference.axes import label_axes, sharpened
from detector.values import ANGLE_COS, ANGLE_SIN, Box
from tests.builders import detections


def label_at(degrees: float, side: int = 28) -> tuple[np.ndarray, Box]:
    """A picture of a white label with text lines, turned counter-clockwise, and its box."""
    large = np.full((480, 480), 120, np.uint8)
    cv2.rectangle(large, (150, 150), (330, 330), 240, -1)
    for y in range(175, 320, 30):
        cv2.rectangle(large, (165, y), (315, y + 10), 40, -1)
    turned = cv2.warpAffine(large, cv2.getRotationMatrix2D((240, 240), degrees, 1), (480, 480), borderValue=120)
    scale = side / 180
    size = round(480 * scale)
    picture = cv2.resize(turned, (size, size), interpolation=cv2.INTER_AREA)
    half = 90 * (abs(cos(radians(degrees))) + abs(sin(radians(degrees)))) * scale
    return picture, (size / 2 - half, size / 2 - half, size / 2 + half, size / 2 + half)


def apart(a: float, b: float, turn: float) -> float:
    """How far angles are apart, both known modulo `turn`."""
    return abs((a - b + turn / 2) % turn - turn / 2)


def traits(angle: float) -> dict[str, float]:
    return {"angle_cos": (1 + cos(2 * angle)) / 2, "angle_sin": (1 + sin(2 * angle)) / 2}


def told(row: np.ndarray) -> float:
    return float(np.arctan2(2 * row[ANGLE_SIN] - 1, 2 * row[ANGLE_COS] - 1) / 2 % pi)


@given(degrees=st.integers(0, 179))
def test_the_axes_of_a_label_are_found_to_a_few_degrees(degrees):
    picture, box = label_at(degrees)
    axes = label_axes(picture, box)
    assert axes is not None
    assert apart(axes, radians(degrees), pi / 2) < radians(6)


@pytest.mark.parametrize("degrees", [0, 20, 44, 70, 100, 133, 178])
def test_the_network_says_along_which_axis_the_text_runs(degrees):
    picture, box = label_at(degrees)
    rough = radians(degrees + 30)
    found = sharpened(detections([("label", box, 0.9, traits(rough)), ("parcel", box, 0.9)]), picture)
    assert apart(told(found.traits[0]), radians(degrees), pi) < radians(6)


def test_a_label_too_small_to_show_its_axes_has_no_angle():
    picture, _ = label_at(20)
    found = sharpened(detections([("label", (30, 30, 40, 40), 0.9, traits(0.3))]), picture)
    assert np.isnan(found.traits[0, [ANGLE_COS, ANGLE_SIN]]).all()


@pytest.mark.parametrize(
    "box", [(-50, -50, -10, -10), (500, 500, 600, 600), (30, 30, 30, 30), (40, 40, 20, 20), (float("nan"),) * 4]
)
def test_a_box_without_pixels_has_no_axes(box):
    assert label_axes(label_at(20)[0], box) is None


def test_an_even_surface_has_no_axes():
    assert label_axes(np.full((60, 60), 90, np.uint8), (10, 10, 50, 50)) is None


def test_nothing_is_said_for_a_model_that_knows_no_angles():
    picture, box = label_at(20)
    found = detections([("label", box, 0.9)])
    assert sharpened(found, picture) is found


def test_no_more_labels_are_measured_than_time_allows():
    picture, box = label_at(20)
    found = sharpened(detections([("label", box, 0.9, traits(0.4))] * 40), picture)
    assert (~np.isnan(found.traits[:, ANGLE_COS])).sum() == 24
