"""Pictures of any shape fit the network's input, and boxes find their way back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.inference.letterbox import BLACK, CONTRAST, DARK, GREY, LARGEST_GAIN, STRIDE, Letterbox, Placement
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


def hall(darkest: float, lightest: float) -> np.ndarray:
    """A picture of every grey from one level to another."""
    levels = np.linspace(darkest, lightest, 96).round().astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(levels[:, None, None], (96, 96, 3)))


def seen(image: np.ndarray) -> tuple[float, float, float]:
    """Grey levels of the darkest and the lightest places that reach the network, and the mean."""
    tensor, _ = fitted(image, 96)
    return float(tensor.min()) * 255, float(tensor.max()) * 255, float(tensor.mean()) * 255


def test_a_picture_as_bright_as_most_is_left_as_it_is() -> None:
    image = hall(10, 220)
    tensor, _ = fitted(image, 96)
    np.testing.assert_allclose(tensor[0, ::-1].transpose(1, 2, 0) * 255, image, atol=0.01)


@pytest.mark.parametrize("light", [0.2, 0.3, 0.5])
def test_a_dark_picture_is_made_lighter(light: float) -> None:
    _, lightest, mean = seen(hall(10 * light, 200 * light))
    assert mean >= DARK - 2
    assert lightest >= CONTRAST - 10


def test_what_is_dark_is_made_lighter_though_a_small_lamp_shines_in_it() -> None:
    image = hall(5, 60)
    image[:8, :8] = 255
    _, lightest, mean = seen(image)
    assert round(lightest) == 255
    assert mean >= DARK - 5


@pytest.mark.parametrize("masked", [0.3, 0.5, 0.8])
def test_what_a_mask_hides_makes_the_rest_no_lighter_than_white(masked: float) -> None:
    image = hall(10, 230)
    image[:, : round(96 * masked)] = 0
    tensor, _ = fitted(image, 96)
    assert tensor[..., -1].max() <= 1
    assert (tensor[..., -1] == 1).mean() < 0.1


@pytest.mark.parametrize(("contrast", "over"), [(0.5, 90), (0.3, 120), (0.3, 0)])
def test_a_veil_over_all_of_a_picture_is_taken_off(contrast: float, over: float) -> None:
    darkest, lightest, _ = seen(hall(over, over + 220 * contrast))
    assert darkest <= BLACK + 5
    assert lightest >= darkest + CONTRAST - 5


def test_what_is_hardly_there_is_not_made_up() -> None:
    darkest, lightest, _ = seen(hall(100, 115))
    assert lightest - darkest <= 15 * LARGEST_GAIN + 0.01


@pytest.mark.parametrize("levels", [(0, 0), (1, 1), (3, 8), (128, 128), (250, 255), (255, 255)])
def test_a_picture_with_nothing_in_it_is_left_as_it_is(levels: tuple[int, int]) -> None:
    darkest, lightest, _ = seen(hall(*levels))
    assert (round(darkest), round(lightest)) == levels


@given(st.integers(0, 255), st.integers(0, 255))
def test_the_input_stays_within_its_bounds_and_what_is_lighter_stays_lighter(one: int, other: int) -> None:
    image = hall(min(one, other), max(one, other))
    tensor, _ = fitted(image, 96)
    assert 0 <= tensor.min() <= tensor.max() <= 1
    assert (np.diff(tensor[0, 0, :, 0]) >= 0).all()


def test_a_picture_after_a_dark_one_is_as_it_was() -> None:
    letterbox = Letterbox()
    letterbox(Bgr(hall(2, 40)), 96)
    tensor, _ = letterbox(Bgr(hall(10, 220)), 96)
    np.testing.assert_allclose(tensor[0, 1, :, 0] * 255, hall(10, 220)[:, 0, 1], atol=0.01)


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
