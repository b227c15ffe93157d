"""A clock printed into the picture is found, and so is that it stands, in recordings as cameras make them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.inference.gate import MotionGate
from detector.inference.printed_clock import (
    FOUND_S,
    GONE_S,
    STRONG,
    TICKS,
    PrintedClock,
    changes,
    letters,
    strips,
)
from detector.inference.view import SAMPLED, ViewGauge
from detector.media.pictures import Bgr, Picture
from detector.media.shape import Shape, shown
from detector.values import ViewMeasure
from tests.inference.clocked import Image, Recorder, hall, pictures_of

SIZE = (640, 360)
FPS = 5


def measured(pictures: Iterable[tuple[Picture, float]]) -> list[tuple[float, ViewMeasure]]:
    """Each picture's time and measure."""
    gauge, measures = ViewGauge(), []
    for picture, at in pictures:
        gauge.glance(picture, at)
        measures.append((at, gauge.measure(picture)))
    return measures


def drawn(draw: Callable[[Image, float], object], seconds: float, fps: float = FPS) -> list[tuple[Picture, float]]:
    """The hall with something drawn into it as time goes on, that being a multiple of frames."""
    shown: list[tuple[Picture, float]] = []
    still = hall()
    for n in range(round(seconds * fps)):
        picture = still.copy()
        draw(picture, n / fps)
        shown.append((Bgr(picture), n / fps))
    return shown


def counting(picture: Image, at: float, where: tuple[int, int] = (10, 20)) -> None:
    """A clock, white on black."""
    text = f"03:{int(at) // 60 % 60:02}:{int(at) % 60:02}"
    cv2.putText(picture, text, where, cv2.FONT_HERSHEY_SIMPLEX, 0.7, (0, 0, 0), 6)
    cv2.putText(picture, text, where, cv2.FONT_HERSHEY_SIMPLEX, 0.7, (255, 255, 255), 2)


def block(picture: Image, x: int, light: int, y: int = 5) -> None:
    cv2.rectangle(picture, (x, y), (x + 25, y + 25), [light] * 3, -1)


def test_a_camera_that_hangs_while_its_encoder_runs_on_is_seen_by_its_clock(tmp_path: Path) -> None:
    recorder = Recorder(SIZE, 16, mbit_s=0.3)
    after_s, for_s = 40.0, 12.0
    film = recorder.hangs(tmp_path / "film.mp4", hall(), after_s, for_s)
    measures = measured(pictures_of(film, FPS))
    running = [view for at, view in measures if at < after_s]
    assert not running[TICKS * FPS // 2].has_clock
    assert running[-1].has_clock
    assert max(view.calm_s for view in running) < 1.5
    _, last = measures[-1]
    assert last.has_clock
    assert last.calm_s == pytest.approx(for_s, abs=1.5)
    # What this is for: its pictures aren't the same, so that by themselves they don't tell.
    assert last.still_s < for_s / 2


@pytest.mark.parametrize("turn", [90, 270])
def test_a_camera_that_hangs_on_its_side_is_seen_by_its_clock(turn: int) -> None:
    def draw(picture: Image, at: float) -> None:
        counting(picture, min(at, 50))
        block(picture, 300, 100 + round(at * FPS) % 2, 180)  # its encoder runs on

    _, last = measured((shown(picture, Shape(turn=turn)), at) for picture, at in drawn(draw, 70))[-1]
    assert (last.has_clock, last.calm_s) == (True, pytest.approx(20, abs=1))
    assert last.still_s < 1


def test_where_no_clock_is_none_is_found(tmp_path: Path) -> None:
    film = Recorder(SIZE, 0, mbit_s=0.3).hangs(tmp_path / "film.mp4", hall(), FOUND_S, 5.0)
    assert not any(view.has_clock for _, view in measured(pictures_of(film, FPS)))


@pytest.mark.parametrize(
    "draw",
    [
        pytest.param(lambda p, at: block(p, 20, 255 * (round(at * FPS) % 2)), id="a lamp that flickers"),
        pytest.param(lambda p, at: block(p, 20, 255 * (int(2 * at) % 2)), id="one that blinks once a second"),
        pytest.param(lambda p, at: block(p, 20, 255 * (int(at / 0.6) % 2)), id="one that blinks otherwise"),
        pytest.param(lambda p, at: block(p, 20, 255 * (int(at) % 2)), id="one that is lit every other second"),
        pytest.param(lambda p, at: block(p, 20, 255 * (int(at / 2) % 2)), id="one that is lit for two seconds"),
        pytest.param(lambda p, at: block(p, round(90 * at) % 600, 255), id="a belt"),
        pytest.param(lambda p, at: counting(p, at, (300, 180)), id="a display in the hall"),
        pytest.param(lambda p, at: counting(p, at / 10), id="a clock without seconds"),
    ],
)
def test_what_moves_otherwise_is_no_clock(draw: Callable[[Image, float], object]) -> None:
    assert not any(view.has_clock for _, view in measured(drawn(draw, 2 * FOUND_S)))


@pytest.mark.parametrize("fps", [2, 12])
def test_a_clock_is_found_at_any_rate(fps: int) -> None:
    measures = measured(drawn(counting, FOUND_S, fps))
    assert next(at for at, view in measures if view.has_clock) <= FOUND_S
    assert max(view.calm_s for _, view in measures) < 1.5


def test_somebody_who_passes_the_clock_does_not_undo_it() -> None:
    def draw(picture: Image, at: float) -> None:
        if 50 <= at < 60:
            block(picture, round(40 * (at - 50)), 20)
        counting(picture, at)

    assert measured(drawn(draw, 70))[-1][1].has_clock


def test_a_clock_taken_out_of_the_picture_is_forgotten_once_something_moves() -> None:
    def draw(picture: Image, at: float) -> None:
        if at < 50:
            counting(picture, at)
        if at >= 50 + GONE_S + 5:
            block(picture, round(20 * (at - 50)) % 600, 255, 200)

    measures = measured(drawn(draw, 75))
    known = [at for at, view in measures if view.has_clock]
    assert (known[-1], measures[-1][1].has_clock) == (pytest.approx(50 + GONE_S + 5, abs=0.3), False)


def test_a_printed_clock_is_nothing_that_moves() -> None:
    def opened(draw: Callable[[Image, float], object]) -> list[float]:
        gauge, gate = ViewGauge(), MotionGate()
        return [at for p, at in drawn(draw, 150) if gate.opens(gauge.glance(p, at), at, gauge.printed)]

    still = opened(lambda picture, at: None)
    assert [at for at in opened(counting) if at > FOUND_S] == pytest.approx([at for at in still if at > FOUND_S], abs=5)


@pytest.mark.parametrize("where", [(10, 20), (400, 352)], ids=["above", "below"])
def test_what_moves_beside_the_clock_moves_all_the_same(where: tuple[int, int]) -> None:
    def moved(place: tuple[int, int]) -> bool:
        def draw(picture: Image, at: float) -> None:
            counting(picture, at, where)
            if at >= 60:
                block(picture, place[0] + round(5 * (at - 60)), 255, place[1])

        gauge, gate = ViewGauge(), MotionGate()
        moved = [gate.moves(gauge.glance(p, at), at, gauge.printed) for p, at in drawn(draw, 62)]
        return any(moved[60 * FPS + 1 :])

    x, y = where
    assert moved((x, y + 12 if y < 180 else y - 60))
    assert moved((x + 150 if x < 200 else x - 150, y - 20))
    assert moved((300, 180))


def test_what_moves_between_two_clocks_moves_all_the_same() -> None:
    def draw(picture: Image, at: float) -> None:
        counting(picture, at)
        counting(picture, at, (520, 20))
        if at >= 60:
            x = 300 + round(5 * (at - 60))
            cv2.rectangle(picture, (x, 6), (x + 25, 18), (255, 255, 255), -1)

    gauge, gate = ViewGauge(), MotionGate()
    moved = [gate.moves(gauge.glance(p, at), at, gauge.printed) for p, at in drawn(draw, 62)]
    assert gauge.printed is not None
    assert gauge.printed[8, 50] and gauge.printed[8, 305]  # both are known
    assert not gauge.printed[:, 150:200].any()
    assert any(moved[60 * FPS + 1 :])


def test_a_display_that_takes_much_of_the_picture_is_no_clock() -> None:
    def draw(picture: Image, at: float) -> None:
        for x in range(0, 640, 160):
            for y in (40, 355):
                text = f"{int(at) % 1000:03}"
                cv2.putText(picture, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, 2, (0, 0, 0), 20)
                cv2.putText(picture, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, 2, (255, 255, 255), 6)

    assert not any(view.has_clock for _, view in measured(drawn(draw, 100)))


def test_a_clock_that_light_hides_does_not_count_as_one_that_stands() -> None:
    """Its letters are white and have no border: the lamps behind them are switched on, and nobody is there."""

    def draw(picture: Image, at: float) -> None:
        picture[:] = np.minimum(picture, 30) + (160 if at >= 60 else 0)
        text = f"03:{int(at) // 60 % 60:02}:{int(at) % 60:02}"
        cv2.putText(picture, text, (10, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.7, (255, 255, 255), 2)

    measures = measured(drawn(draw, 120))
    assert any(view.has_clock for at, view in measures if at < 60)
    assert max(view.calm_s for _, view in measures if view.has_clock) < 6


def dawning(most: float, stands: float = float("inf")) -> Callable[[Image, float], object]:
    """A clock, white on a floor that comes to be so much lighter after a minute; it stands from `stands` on."""

    def draw(picture: Image, at: float) -> None:
        second = int(min(at, stands))
        picture[:] = 20
        text = f"03:{second // 60 % 60:02}:{second % 60:02}"
        cv2.putText(picture, text, (10, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.7, (255, 255, 255), 2)
        np.maximum(picture, np.uint8(20 + min(max(at - 60, 0), most)), out=picture)

    return draw


def test_daylight_that_comes_slowly_hides_a_clock_and_makes_it_stand_no_more() -> None:
    measures = measured(drawn(dawning(205), 320))
    assert any(view.has_clock for at, view in measures if at < 60)
    assert not measures[-1][1].has_clock
    assert max(view.calm_s for _, view in measures if view.has_clock) < 10


def test_a_clock_that_stands_is_seen_to_by_another_light_than_it_was_found_in() -> None:
    _, last = measured(drawn(dawning(80, stands=180), 210))[-1]
    assert (last.has_clock, last.calm_s) == (True, pytest.approx(30, abs=1))


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(1, 400), width=st.integers(1, 1400), seed=st.integers(0, 2**32 - 1), share=st.floats(0.001, 1)
)
def test_letters_lie_in_a_sample_of_any_size_and_hold_the_cells(
    height: int, width: int, seed: int, share: float
) -> None:
    luma = np.zeros((height, width), np.uint8)
    step = max(1, width // SAMPLED)
    sample, cells = luma[::step, ::step], changes(strips(luma), STRONG)
    clock = np.random.default_rng(seed).random(cells.shape) < share
    there = letters(clock, luma.shape, sample.shape)
    assert there.shape == sample.shape
    assert there.any() == clock.any()


@settings(max_examples=40, deadline=None)
@given(
    height=st.integers(1, 120),
    width=st.integers(1, 700),
    seed=st.integers(0, 2**32 - 1),
    fps=st.sampled_from([1, 2, 5]),
)
def test_pictures_of_any_size_are_taken_and_nothing_is_known_of_chaos(
    height: int, width: int, seed: int, fps: int
) -> None:
    dice, gauge, gate = np.random.default_rng(seed), ViewGauge(), MotionGate()
    for n in range(60):
        picture = Bgr(dice.integers(0, 256, (height, width, 3), np.uint8))
        gate.opens(gauge.glance(picture, n / fps), n / fps, gauge.printed)
    view = gauge.measure(picture)
    assert 0 <= view.calm_s <= 60 / fps


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
def test_letters_are_where_the_clock_is_whichever_way_the_picture_was_turned(turn: int) -> None:
    gauge = ViewGauge()
    for picture, at in drawn(lambda p, at: counting(p, at, (400, 352)), FOUND_S):
        sample = gauge.glance(shown(picture, Shape(turn=turn)), at)
    assert gauge.printed is not None
    assert gauge.printed.shape == sample.shape
    stored = np.rot90(gauge.printed, turn // 90)
    rows, columns = (there * SIZE[0] // stored.shape[1] for there in np.nonzero(stored))
    assert 320 <= rows.min() <= 338
    assert 350 <= rows.max() <= 360
    assert 340 <= columns.min() <= 430  # its minutes begin at 432
    assert 490 <= columns.max() <= 540  # its seconds end at 489


def test_it_makes_nothing_of_pictures_smaller_than_a_digit() -> None:
    for size in ((1, 1), (1, 16), (30, 8)):
        blank = np.zeros(size, np.uint8)
        clock = PrintedClock(blank, blank, 0.0)
        clock.watch(blank + 255, blank + 255, 1.0)
        assert clock.letters is None
