"""What a camera shows, measured: light, detail, likeness to what it usually shows, stillness."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from detector.inference.view import ViewGauge, edges_of
from detector.inference.view import sharpness as sharpness_of
from detector.media.pictures import Bgr
from detector.tracking.view import ADOPT_S, LEARN_S, UsualViews, correlation
from detector.values import CameraView

Picture = NDArray[np.uint8]


class ViewMeter:
    """Measures pictures and learns from each, as a looker and a tracker do together."""

    def __init__(self) -> None:
        self._gauge, self._usual = ViewGauge(), UsualViews()
        self.learned, self.recall = self._usual.learned, self._usual.recall

    def look(self, image: Picture, at: float) -> CameraView:
        self._gauge.glance(Bgr(image), at)
        return self._usual.look(self._gauge.measure(Bgr(image)), at)


def sharpness(image: Picture) -> float:
    return sharpness_of(image[..., 1])


def warehouse(seed: int = 0, size: tuple[int, int] = (320, 180)) -> Picture:
    """Boxes of many sizes and greys on a floor."""
    random = np.random.default_rng(seed)
    picture = np.full((size[1], size[0], 3), 110, np.uint8)
    for _ in range(60):
        x, y = int(random.integers(0, size[0])), int(random.integers(0, size[1]))
        w, h = (int(n) for n in random.integers(size[0] // 40, size[0] // 8, 2))
        cv2.rectangle(picture, (x, y), (x + w, y + h), [int(random.integers(30, 220))] * 3, -1)
    return picture


def noisy(picture: Picture, seed: int, by: float = 2.0) -> Picture:
    noise = np.random.default_rng(seed).normal(0, by, picture.shape[:2])[..., None]
    return np.clip(picture + noise, 0, 255).astype(np.uint8)


def blurred(picture: Picture, sigma: float) -> Picture:
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), np.uint8)


def cloth() -> Picture:
    """Folds before the lens, out of focus."""
    folds = cv2.GaussianBlur(np.random.default_rng(0).normal(0, 1, (180, 320)), (0, 0), 12)
    return np.clip(70 + 8 * folds / folds.std(), 0, 255).astype(np.uint8)[..., None].repeat(3, 2)


def watched(meter: ViewMeter, picture: Picture, since: float, until: float, fps: float = 1.0) -> CameraView:
    """The last view of a noisy camera that shows one picture for a while."""
    shown, view = [noisy(picture, seed) for seed in range(3)], None
    for n in range(round((until - since) * fps)):
        view = meter.look(shown[n % 3], since + n / fps)
    assert view is not None
    return view


def learned_meter() -> ViewMeter:
    meter = ViewMeter()
    watched(meter, warehouse(), 0, LEARN_S + 5)
    return meter


def test_brightness_and_contrast_are_shares_of_white() -> None:
    half = np.zeros((90, 160, 3), np.uint8)
    half[:, 80:] = 255
    view = ViewMeter().look(half, 0)
    assert (view.brightness, view.contrast) == pytest.approx((0.5, 0.5), abs=0.01)
    grey = ViewMeter().look(np.full((90, 160, 3), 51, np.uint8), 0)
    assert (grey.brightness, grey.contrast, grey.sharpness) == pytest.approx((0.2, 0, 0), abs=0.01)


def test_nothing_is_usual_until_a_minute_was_seen() -> None:
    meter = ViewMeter()
    assert watched(meter, warehouse(), 0, LEARN_S - 2).likeness is None
    after = watched(meter, warehouse(), LEARN_S, LEARN_S + 5).likeness
    assert after is not None
    assert after > 0.9


@pytest.mark.parametrize(
    ("changed", "least", "most"),
    [
        pytest.param(lambda p: p // 3, 0.7, 1, id="lamps off"),
        pytest.param(lambda p: np.clip(p.astype(int) * 3 // 2 + 20, 0, 255).astype(np.uint8), 0.7, 1, id="sun"),
        pytest.param(lambda p: 255 - p, 0.7, 1, id="dark and light exchanged, as infra-red may"),
        pytest.param(lambda p: cv2.rectangle(p.copy(), (25, 20), (125, 180), (20, 20, 60), -1), 0.5, 1, id="forklift"),
        pytest.param(lambda p: np.roll(p, 20, 1), -0.3, 0.25, id="turned a little"),
        pytest.param(lambda p: p[::-1], -0.3, 0.25, id="upside down"),
        pytest.param(lambda p: warehouse(7), -0.3, 0.25, id="another hall"),
        pytest.param(lambda p: np.full_like(p, 90), -0.3, 0.25, id="a cloth"),
        pytest.param(lambda p: np.zeros_like(p), -0.3, 0.25, id="a cap"),
    ],
)
def test_likeness_is_of_the_scene_and_not_of_its_light(
    changed: Callable[[Picture], Picture], least: float, most: float
) -> None:
    meter = learned_meter()
    likeness = meter.look(noisy(changed(warehouse()), 1), 100).likeness
    assert likeness is not None
    assert least <= likeness <= most


def test_what_hides_the_scene_for_minutes_is_not_learned() -> None:
    meter = learned_meter()
    hidden = watched(meter, warehouse(7), 100, 100 + 0.7 * ADOPT_S).likeness
    assert hidden is not None
    assert hidden < 0.25
    back = watched(meter, warehouse(), 3000, 3002).likeness
    assert back is not None
    assert back > 0.9


def test_a_camera_aimed_anew_is_usual_after_half_an_hour_and_both_views_are_known() -> None:
    meter = learned_meter()
    assert (watched(meter, warehouse(7), 100, 100 + ADOPT_S + 5).likeness or 0) > 0.9
    assert (watched(meter, warehouse(), 3000, 3002).likeness or 0) > 0.9


def test_a_camera_aimed_anew_is_usual_after_half_an_hour_of_clips_between_which_time_leaps() -> None:
    meter = learned_meter()
    for n in range(1, round(ADOPT_S / 60) + 3):
        before, meter = meter, ViewMeter()
        meter.recall(json.loads(json.dumps(before.learned())))
        view = watched(meter, warehouse(7), 1000.0 * n, 1000.0 * n + 60)
    assert (view.likeness or 0) > 0.9


def test_a_view_without_anything_to_see_is_never_usual() -> None:
    meter = ViewMeter()
    blank = np.full((90, 160, 3), 70, np.uint8)
    assert watched(meter, blank, 0, 3 * LEARN_S).likeness is None


def test_what_shows_next_to_nothing_is_never_usual_however_long_it_hides_the_scene() -> None:
    meter = learned_meter()
    for began in (100, 2 * ADOPT_S):  # over a restart, too
        assert (watched(meter, cloth(), began, began + 1.5 * ADOPT_S, fps=0.2).likeness or 0) < 0.25
        before, meter = meter, ViewMeter()
        meter.recall(json.loads(json.dumps(before.learned())))


def test_learned_views_outlive_the_meter_and_the_size_of_the_picture() -> None:
    heir = ViewMeter()
    heir.recall(json.loads(json.dumps(learned_meter().learned())))
    likeness = heir.look(np.asarray(cv2.resize(warehouse(), (1280, 720)), np.uint8), 5).likeness
    assert likeness is not None
    assert likeness > 0.8


def test_views_learned_by_an_older_version_are_taken_up() -> None:
    heir = ViewMeter()
    (view,) = learned_meter().learned()["usual"]
    heir.recall({"usual": [{name: view[name] for name in ("edges", "seen_s")}]})
    assert (heir.look(warehouse(), 5).likeness or 0) > 0.8


@pytest.mark.parametrize(
    "learned",
    [
        {}, {"usual": None}, {"usual": [{"edges": "AAAA", "seen_s": 1}]}, {"usual": [{"edges": "no", "seen_s": 1}]},
        {"usual": [], "other": {"edges": "no", "seen_s": 1}}, {"usual": [], "other": 1},
    ],
)  # fmt: skip
def test_learned_views_that_make_no_sense_are_left_out(
    learned: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    meter = ViewMeter()
    meter.recall(learned)
    assert meter.look(warehouse(), 0).likeness is None
    assert "learned anew" in caplog.text


def test_stillness_counts_only_while_nothing_at_all_changes() -> None:
    meter, still, moved = ViewMeter(), warehouse(), warehouse()
    moved[100, 100] ^= 255
    moved[100:104, 100:104, 1] ^= 1
    shown = [still, still, still, moved, moved, still]
    assert [meter.look(picture, n / 2).still_s for n, picture in enumerate(shown)] == [0, 0.5, 1, 0, 0.5, 0]


def test_sharpness_falls_as_the_blur_grows_and_noise_does_not_hide_it() -> None:
    picture = warehouse(size=(1280, 720))
    for by in (0.0, 4.0):
        figures = [sharpness(noisy(blurred(picture, s), 3, by)) for s in (0.5, 1.5, 3, 6)]
        assert figures == sorted(figures, reverse=True)
        assert figures[0] > 0.8
        assert figures[2] < 0.45 * figures[0]
    assert sharpness(blurred(picture, 4)) == pytest.approx(1 / 4, rel=0.3), "as the docstring says"
    assert sharpness(picture) == pytest.approx(sharpness(picture // 3), abs=0.05)


def test_noise_alone_is_not_sharp() -> None:
    assert sharpness(noisy(np.full((720, 1280, 3), 60, np.uint8), 1, 2.0)) < 0.1


@pytest.mark.parametrize("size", [(1, 1), (2, 1), (1, 500), (500, 1), (17, 9), (33, 47), (161, 91)])
def test_any_picture_can_be_measured(size: tuple[int, int]) -> None:
    meter = ViewMeter()
    picture = np.random.default_rng(0).integers(0, 255, (size[1], size[0], 3), np.uint8)
    for n in range(3):
        view = meter.look(picture, float(n))
    assert np.isfinite([view.brightness, view.contrast, view.sharpness, view.still_s]).all()


@given(st.integers(0, 2**32 - 1), st.floats(0.2, 1.0), st.integers(0, 50))
def test_edges_are_alike_under_any_even_light(seed: int, gain: float, offset: int) -> None:
    grey = cv2.resize(warehouse(seed)[..., 1], (160, 90), interpolation=cv2.INTER_AREA)
    lit = np.clip(grey * gain * 0.8 + offset, 0, 255).astype(np.uint8)
    assert correlation(edges_of(np.asarray(grey, np.uint8)), edges_of(lit)) > 0.8
