"""How far a camera sees a phone: the pinhole camera over flat ground, and the picture that shows it."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from detector.coverage import (
    BEYOND,
    PHONE_HEIGHT_M,
    PHONE_SIDE_M,
    View,
    coverage,
    draw,
    fov_of,
    least_phone_px,
)
from detector.errors import ModelError
from detector.media.shape import across

views = st.builds(
    View,
    height_m=st.floats(1.0, 12.0),
    tilt_deg=st.floats(0.0, 80.0),
    fov_deg=st.floats(20.0, 130.0),
    width=st.integers(320, 3840),
    height=st.integers(240, 2160),
)
distances = st.floats(0.0, 100.0)


def view(
    height_m: float = 3.0, tilt_deg: float = 30.0, fov_deg: float = 90.0, width: int = 1280, height: int = 720
) -> View:
    return View(height_m, tilt_deg, fov_deg, width, height)


def bins(*rows: tuple[float, float | None, int, int]) -> list[dict[str, object]]:
    """A card's curve from (low, high, found, phones)."""
    return [{"px": [low, high], "found": found, "phones": phones} for low, high, found, phones in rows]


@given(views, distances, distances)
def test_moving_away_never_enlarges_a_phone(camera: View, a: float, b: float) -> None:
    near, far = sorted((a, b))
    assume(camera.depth_m(near, PHONE_HEIGHT_M) > 0)
    assert camera.phone_px(far) <= camera.phone_px(near)


@given(views, distances, distances)
def test_moving_away_never_lowers_the_row(camera: View, a: float, b: float) -> None:
    near, far = sorted((a, b))
    assume(camera.depth_m(near) > 0)
    assert camera.row(far) <= camera.row(near) + 1e-6


@given(views, distances)
def test_a_row_of_the_ground_comes_back_as_its_distance(camera: View, distance: float) -> None:
    assume(camera.depth_m(distance) > 0.05)
    back = camera.ground_m(camera.row(distance))
    assert back is not None
    assert back == pytest.approx(distance, rel=1e-6, abs=1e-6)


@given(views, distances)
def test_a_phones_size_comes_back_as_its_distance(camera: View, distance: float) -> None:
    assume(camera.depth_m(distance, PHONE_HEIGHT_M) > 0.05)
    assert camera.distance_m(camera.phone_px(distance)) == pytest.approx(distance, rel=1e-6, abs=1e-6)


@given(views, distances, st.integers(2, 4))
def test_resolution_scales_sizes_and_rows(camera: View, distance: float, times: int) -> None:
    assume(camera.depth_m(distance, PHONE_HEIGHT_M) > 0.05)
    finer = View(camera.height_m, camera.tilt_deg, camera.fov_deg, camera.width * times, camera.height * times)
    assert finer.phone_px(distance) == pytest.approx(times * camera.phone_px(distance))
    assert finer.row(distance) == pytest.approx(times * camera.row(distance))


@given(views, st.floats(1.0, 100.0))
def test_a_longer_lens_sees_farther(camera: View, least_px: float) -> None:
    longer = View(camera.height_m, camera.tilt_deg, camera.fov_deg / 2, camera.width, camera.height)
    assert longer.distance_m(least_px) > camera.distance_m(least_px)


@given(views, distances, st.sampled_from([90, 180, 270]))
def test_turning_the_picture_changes_no_size(camera: View, distance: float, turn: int) -> None:
    assume(camera.depth_m(distance, PHONE_HEIGHT_M) > 0.05)
    width, height = across((camera.width, camera.height), turn)
    turned = View(camera.height_m, camera.tilt_deg, camera.fov_deg, width, height, turn)
    assert turned.phone_px(distance) == camera.phone_px(distance)
    assert turned.row(distance) - turned.height / 2 == pytest.approx(camera.row(distance) - camera.height / 2)


@given(views)
def test_the_optical_axis_meets_the_ground_in_the_middle_row(camera: View) -> None:
    assume(camera.tilt_deg > 1)
    ahead = camera.height_m / math.tan(math.radians(camera.tilt_deg))
    assert camera.row(ahead) == pytest.approx(camera.height / 2, abs=1e-6 * camera.height)


def test_sizes_are_those_of_the_design() -> None:
    # 1080p and 90 degrees: a phone is 29 x 14 pixels at 5 m and 18 x 9 at 8 m.
    camera = view(PHONE_HEIGHT_M, 0.0, 90.0, 1920, 1080)
    assert camera.phone_px(5) == pytest.approx(math.sqrt(28.8 * 14.4), rel=1e-6)
    assert camera.phone_px(8) == pytest.approx(math.sqrt(18 * 9), rel=1e-6)


def test_a_level_camera_has_its_horizon_in_the_middle() -> None:
    assert view(tilt_deg=0).ground_m(360) is None
    assert view(tilt_deg=0).ground_m(0) is None
    assert view(tilt_deg=0).ground_m(720) == pytest.approx(640 * 3 / 360)


@pytest.mark.parametrize(
    "wrong",
    [
        {"height_m": 0}, {"height_m": -3}, {"height_m": float("nan")}, {"tilt_deg": 90}, {"tilt_deg": -1},
        {"fov_deg": 0}, {"fov_deg": 180}, {"fov_deg": float("nan")}, {"width": 0}, {"height": 0},
    ],
)  # fmt: skip
def test_a_camera_that_cannot_be_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"must be|pixels"):
        View(**{"height_m": 3.0, "tilt_deg": 30.0, "fov_deg": 90.0, "width": 1280, "height": 720} | wrong)  # type: ignore[arg-type]


def test_a_focal_length_is_a_field_of_view() -> None:
    assert fov_of(2.8, 5.6) == pytest.approx(90)
    assert fov_of(4.0) < fov_of(2.8)
    for wrong in (0.0, math.inf, math.nan):
        with pytest.raises(ValueError, match="above 0 mm, and finite"):
            fov_of(wrong)
        with pytest.raises(ValueError, match="above 0 mm, and finite"):
            fov_of(4.0, wrong)


def test_the_least_size_lies_where_half_are_found() -> None:
    least = least_phone_px(bins((8, 16, 0, 10_000), (16, 32, 10_000, 10_000)))
    assert least == pytest.approx(16, abs=0.01)


def test_a_small_bin_of_luck_does_not_make_small_phones_visible() -> None:
    lucky = bins((4, 8, 1, 1), (8, 16, 1, 40), (16, 32, 38, 40))
    least = least_phone_px(lucky)
    assert least is not None
    assert least > 11


def test_a_few_finds_at_each_size_do_not_make_a_phone_of_no_pixels_judged() -> None:
    measured = bins((0, 6, 2, 2), (6, 8, 2, 5), (8, 12, 8, 11), (12, 16, 3, 9), (16, 24, 16, 24), (24, 32, 16, 19))
    least = least_phone_px(measured)
    assert least is not None
    assert 12 < least < 20


def test_nothing_is_said_of_sizes_smaller_than_measured() -> None:
    assert least_phone_px(bins((12, 16, 9, 10), (16, None, 9, 10))) == 12


def test_a_model_that_finds_too_few_has_no_least_size() -> None:
    assert least_phone_px(bins((8, 16, 1, 10), (16, 32, 4, 10))) is None
    assert least_phone_px([]) is None


@given(
    st.lists(st.tuples(st.integers(0, 20), st.integers(1, 20)).map(lambda t: (min(t), max(t))), min_size=1, max_size=6)
)
def test_more_found_never_raises_the_least_size(counts: list[tuple[int, int]]) -> None:
    edges = [6, 8, 12, 16, 24, 32, 48]
    some = bins(*((edges[k], edges[k + 1], found, of) for k, (found, of) in enumerate(counts)))
    more = bins(*((edges[k], edges[k + 1], min(found + 1, of), of) for k, (found, of) in enumerate(counts)))
    least, with_more = least_phone_px(some), least_phone_px(more)
    if least is not None:
        assert with_more is not None
        assert with_more <= least + 1e-9


@pytest.mark.parametrize(
    "curve",
    [[{"px": [8, 16]}], [{"px": [16, 8], "found": 1, "phones": 2}], [{"px": [8, 16], "found": 3, "phones": 2}], ["x"]],
)
def test_a_curve_that_is_none_is_refused(curve: list[object]) -> None:
    with pytest.raises(ModelError, match="phone_recall_by_px"):
        least_phone_px(curve)  # type: ignore[arg-type]


def test_part_of_the_ground_can_be_judged() -> None:
    covered = coverage(view(), 10.0)
    # 640 * 0.106 / 10 = 6.79 m of depth, less 2.5 m sin 30, over cos 30.
    assert covered.limit_m == pytest.approx((640 * PHONE_SIDE_M / 10 - 2.5 * 0.5) / math.cos(math.pi / 6))
    assert covered.kind == "part"
    assert f"{covered.limit_m:.1f}" in covered.sentence()[0]
    assert f"{covered.limit_m:.1f}" in covered.sentence()[1]


def test_all_or_none_of_the_ground_can_be_judged() -> None:
    assert coverage(view(tilt_deg=60), 2.0).kind == "all"
    assert coverage(view(), 200.0).kind == "none"
    assert "降低" in coverage(view(), 200.0).sentence()[0]


@given(views, st.floats(4.0, 200.0))
def test_no_distance_that_is_told_lies_behind_the_camera(camera: View, least_px: float) -> None:
    assume(camera.ground_m(camera.height) is not None)
    covered = coverage(camera, least_px)
    assert not any("-" in text for text in covered.sentence())
    assert (covered.record()["limit_m"] is None) <= (covered.kind == "none")


@pytest.mark.parametrize("least_px", [5.0, 25.0, 200.0])
def test_the_chinese_sentence_has_chinese_punctuation(least_px: float) -> None:
    assert not set(coverage(view(), least_px).sentence()[0]) & set(",()")


@pytest.mark.parametrize(
    ("camera", "least_px", "advice"),
    [
        pytest.param(view(tilt_deg=0, fov_deg=1), 15.0, ("再向下倾斜", "tilt the camera further down"), id="over it"),
        pytest.param(view(12, 30, 30), 15.0, ("再向下倾斜", "tilt the camera further down"), id="high, a long lens"),
        pytest.param(
            view(), 200.0, ("降低摄像机", "hang the camera lower, or take a longer lens"), id="too far anyhow"
        ),
        pytest.param(view(6, 75, 80), 15.5, ("降低摄像机", "hang the camera lower"), id="steep already"),
    ],
)
def test_what_is_advised_where_nothing_can_be_judged_helps(
    camera: View, least_px: float, advice: tuple[str, str]
) -> None:
    covered = coverage(camera, least_px)
    assert covered.kind == "none"
    for words, sentence in zip(advice, covered.sentence(), strict=True):
        assert words in sentence


def test_a_steep_camera_that_judges_only_what_is_behind_it_judges_nothing() -> None:
    covered = coverage(view(6.0, 75.0, 80.0), 15.5)
    assert covered.nearest_m < covered.limit_m < 0
    assert covered.kind == "none"


def test_a_camera_that_shows_no_ground_is_told() -> None:
    # Level, and one row high: that row is the horizon's.
    upwards = view(tilt_deg=0.0, height=1, fov_deg=1e-9)
    with pytest.raises(ValueError, match="no ground"):
        coverage(upwards, 10.0)


def test_the_record_is_what_a_script_wants() -> None:
    record = coverage(view(), 10.0).record()
    assert record["judged"] == "part"
    assert record["limit_m"] == pytest.approx(6.4, abs=0.05)
    assert record["phone_px_by_m"]["4"] == pytest.approx(view().phone_px(4), abs=0.06)
    assert set(record["sentence"]) == {"zh", "en"}


def test_beyond_the_line_is_reddened_and_before_it_is_not() -> None:
    grey = np.full((720, 1280, 3), 120, np.uint8)
    covered = coverage(view(), 10.0)
    drawn = draw(grey, covered, "en")
    line = round(view().row(covered.limit_m))
    middle = 640
    assert drawn.shape == grey.shape
    assert (grey == 120).all()
    assert tuple(drawn[line, middle]) == BEYOND
    assert drawn[line - 8, middle, 2] > drawn[line - 8, middle, 0] + 30
    assert tuple(drawn[line + 8, middle]) == (120, 120, 120)


def test_where_there_is_no_font_for_chinese_the_picture_speaks_english(monkeypatch: pytest.MonkeyPatch) -> None:
    grey = np.full((720, 1280, 3), 120, np.uint8)
    monkeypatch.delattr(cv2, "FontFace", raising=False)
    for covered in (coverage(view(), 10.0), coverage(view(), 100.0)):
        assert (draw(grey, covered, "zh") == draw(grey, covered, "en")).all()
        assert (draw(grey, covered, "zh") != grey).any()


def test_where_all_can_be_judged_nothing_is_red() -> None:
    drawn = draw(np.full((720, 1280, 3), 120, np.uint8), coverage(view(tilt_deg=60), 2.0), "zh")
    assert (drawn[..., 0] == drawn[..., 2]).all()
