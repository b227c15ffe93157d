"""A picture left as it was decoded looks the same, whole, small or in part, as FFmpeg's conversion of it."""

from __future__ import annotations

import av
import cv2
import numpy as np
import pytest

from detector.media.pictures import Bgr
from detector.sources.decoded import FULL, LIMITED, WEIGHTS, Yuv, picture_of
from tests.conftest import REPOSITORY

CLIPS = [REPOSITORY / "configs/demo/sweep_near.mp4", REPOSITORY / "tests/clips/patch_18_up.mp4"]
ROUNDING = 1.5  # grey levels on average: FFmpeg cuts off what this rounds


def real(number: int = 0) -> av.VideoFrame:
    """The first picture of a shipped clip."""
    with av.open(str(CLIPS[number])) as container:
        return next(container.decode(video=0))


def made(size: tuple[int, int], form: str = "yuv420p", space: int = 2, scale: int = LIMITED) -> av.VideoFrame:
    """Part of a real picture in another form; what its numbers mean is said anew."""
    width, height = size
    cut = np.ascontiguousarray(real().to_ndarray(format="bgr24")[100 : 100 + height, 300 : 300 + width])
    picture = av.VideoFrame.from_ndarray(cut, "bgr24").reformat(format=form)
    picture.colorspace, picture.color_range = space, scale
    return picture


def apart(a: np.ndarray, b: np.ndarray) -> float:
    assert a.shape == b.shape
    assert a.dtype == b.dtype == np.uint8
    return float(np.abs(a.astype(int) - b).mean())


@pytest.mark.parametrize("number", range(len(CLIPS)))
def test_real_pictures_differ_from_ffmpegs_by_rounding(number: int) -> None:
    picture = picture_of(real(number))
    assert isinstance(picture, Yuv)
    assert picture.size == (1280, 720)
    whole = picture.bgr()
    assert apart(picture.cropped(0, 0, 1280, 720), whole) < ROUNDING
    assert apart(picture.cropped(301, 87, 640, 402), whole[87:402, 301:640]) < ROUNDING
    for size in ((640, 360), (416, 234), (333, 190)):
        assert apart(picture.resized(*size), cv2.resize(whole, size)) < ROUNDING
    assert (
        apart(
            picture.luma(), np.clip(16 + cv2.cvtColor(whole, cv2.COLOR_BGR2GRAY) * (219 / 255), 0, 255).astype(np.uint8)
        )
        < 2
    )


@pytest.mark.parametrize("form", ["yuv420p", "yuvj420p"])
@pytest.mark.parametrize("space", [*WEIGHTS, 0, 3, 8, 14])
@pytest.mark.parametrize("scale", [0, LIMITED, FULL])
def test_colours_are_those_that_the_stream_says(form: str, space: int, scale: int) -> None:
    picture = picture_of(made((320, 240), form, space, scale))
    full = scale == FULL or form == "yuvj420p"
    assert picture.levels == ((0, 255) if full else (16, 235))
    assert apart(picture.cropped(0, 0, 320, 240), picture.bgr()) < ROUNDING


@pytest.mark.parametrize("size", [(2, 2), (3, 5), (1, 1), (322, 242), (333, 111)])
def test_sides_may_be_odd(size: tuple[int, int]) -> None:
    picture = picture_of(made(size))
    width, height = picture.size
    assert picture.size == size
    assert picture.luma().shape == (height, width)
    assert picture.bgr().shape == picture.cropped(0, 0, width, height).shape == (height, width, 3)
    assert picture.cropped(width // 2, height // 2, width, height).shape == (
        height - height // 2,
        width - width // 2,
        3,
    )
    assert picture.cropped(0, 0, 0, height).shape == (height, 0, 3)
    assert picture.resized(7, 5).shape == (5, 7, 3)


@pytest.mark.parametrize("form", ["nv12", "yuv422p", "yuv444p", "yuv420p10le", "gray", "rgb24"])
def test_other_forms_are_converted_at_once(form: str) -> None:
    picture = picture_of(made((320, 240), form))
    assert isinstance(picture, Bgr)
    assert picture.bgr().shape == (240, 320, 3)
    assert picture.levels == (0, 255)


def test_the_whole_is_converted_once() -> None:
    picture = picture_of(real())
    assert picture.bgr() is picture.bgr()


def test_a_picture_outlives_its_decoder() -> None:
    container = av.open(str(CLIPS[0]))
    pictures = [picture_of(decoded) for decoded, _ in zip(container.decode(video=0), range(20), strict=False)]
    before = [picture.luma().copy() for picture in pictures]
    list(container.decode(video=0))
    container.close()
    for picture, luma in zip(pictures, before, strict=True):
        assert np.array_equal(picture.luma(), luma)
