"""Pictures of any shape fit the network's input, and boxes find their way back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.inference.letterbox import DARK, GREY, LARGEST_GAIN, STRIDE, Letterbox, Placement
from detector.media.pictures import Bgr

sides = st.integers(3, 24).map(lambda n: n * STRIDE)


def white(width: int, height: int) -> np.ndarray:
    return np.full((height, width, 3), 255, np.uint8)


def fitted(image: np.ndarray, side: int, fixed: tuple[int, int] | None = None) -> tuple[np.ndarray, Placement]:
    return Letterbox()(Bgr(image), side, fixed)


def content(tensor: np.ndarray) -> tuple[int, int, int, int]:
    """Where in the input the white picture lies."""
    rows, columns = np.nonzero((tensor[0] > (GREY + 5) / 255).all(0))
    return int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 700), st.integers(1, 700), sides)
def test_the_whole_picture_comes_back_as_the_whole_picture(width: int, height: int, side: int) -> None:
    tensor, placement = fitted(white(width, height), side)
    assert tensor.shape[:2] == (1, 3)
    assert max(tensor.shape[2:]) == side
    assert all(n % STRIDE == 0 for n in tensor.shape[2:])
    back = placement.to_picture(np.array([content(tensor)], np.float32))
    np.testing.assert_allclose(back, [[0, 0, width, height]], rtol=1e-4, atol=1e-2)


@pytest.mark.parametrize("size", [(1, 1), (10000, 10), (10, 10000), (2, 1), (641, 640), (1, 5000)])
def test_extreme_pictures_fit_too(size: tuple[int, int]) -> None:
    tensor, placement = fitted(white(*size), 640)
    assert max(tensor.shape[2:]) == 640
    back = placement.to_picture(np.array([content(tensor)], np.float32))
    np.testing.assert_allclose(back, [[0, 0, *size]], rtol=1e-4, atol=1e-2)


def test_the_aspect_is_kept_and_the_input_no_larger_than_needed() -> None:
    tensor, _ = fitted(white(1920, 1080), 640)
    assert tensor.shape == (1, 3, 384, 640)
    assert content(tensor) == (0, 12, 640, 372)


def test_colours_come_as_red_green_blue_from_0_to_1() -> None:
    blue = np.zeros((64, 64, 3), np.uint8)
    blue[..., 0] = 255
    tensor, _ = fitted(blue, 96)
    assert tensor[0, :, 48, 48].tolist() == [0, 0, 1]
    assert tensor.dtype == np.float32


@pytest.mark.parametrize(
    ("level", "shown"),
    [
        pytest.param(0, 0, id="black stays black"),
        pytest.param(5, 5 * LARGEST_GAIN, id="what is hardly there isn't made up"),
        pytest.param(30, DARK, id="dark"),
        pytest.param(79, DARK, id="nearly bright enough"),
        pytest.param(100, 100, id="as bright as most"),
        pytest.param(255, 255, id="white"),
    ],
)
def test_a_dark_picture_is_made_lighter(level: int, shown: float) -> None:
    tensor, _ = fitted(np.full((96, 96, 3), level, np.uint8), 96)
    np.testing.assert_allclose(tensor * 255, shown, atol=0.01)


def test_lamps_in_a_dark_picture_are_white_and_no_more() -> None:
    image = np.full((96, 96, 3), 20, np.uint8)
    image[:8] = 250
    tensor, _ = fitted(image, 96)
    assert tensor.max() == 1
    assert tensor[..., 8:, :].min() * 255 > 40


def test_a_picture_after_a_dark_one_is_as_it_was() -> None:
    letterbox = Letterbox()
    letterbox(Bgr(np.full((96, 96, 3), 20, np.uint8)), 96)
    tensor, _ = letterbox(Bgr(np.full((96, 96, 3), 120, np.uint8)), 96)
    np.testing.assert_allclose(tensor * 255, 120, atol=0.01)


def test_no_boxes_come_back_as_no_boxes() -> None:
    _, placement = fitted(white(20, 10), 96)
    assert placement.to_picture(np.zeros((0, 4), np.float32)).shape == (0, 4)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 700), st.integers(1, 700), st.tuples(st.integers(32, 700), st.integers(32, 700)))
def test_a_picture_fits_an_input_of_one_size(width: int, height: int, size: tuple[int, int]) -> None:
    tensor, placement = fitted(white(width, height), 640, size)
    assert tensor.shape == (1, 3, *size)
    back = placement.to_picture(np.array([content(tensor)], np.float32))
    np.testing.assert_allclose(back, [[0, 0, width, height]], rtol=1e-4, atol=1e-2)
