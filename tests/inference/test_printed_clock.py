"""A clock printed into the picture is found, and so is that it stands, in recordings as cameras make them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import cv2
import numpy as np
import pytest

from detector.inference.gate import MotionGate
from detector.inference.printed_clock import FOUND_S, GONE_S, TICKS, PrintedClock
from detector.inference.view import ViewGauge
from detector.media.pictures import Bgr, Picture
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
    shown = []
    for n in range(round(seconds * fps)):
        picture = hall()
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


def test_where_no_clock_is_none_is_found(tmp_path: Path) -> None:
    film = Recorder(SIZE, 0, mbit_s=0.3).hangs(tmp_path / "film.mp4", hall(), FOUND_S, 5.0)
    assert not any(view.has_clock for _, view in measured(pictures_of(film, FPS)))


@pytest.mark.parametrize(
    "draw",
    [
        pytest.param(lambda p, at: block(p, 20, 255 * (round(at * FPS) % 2)), id="a lamp that flickers"),
        pytest.param(lambda p, at: block(p, 20, 255 * (int(2 * at) % 2)), id="one that blinks once a second"),
        pytest.param(lambda p, at: block(p, 20, 255 * (int(at / 0.6) % 2)), id="one that blinks otherwise"),
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


def test_letters_are_where_the_clock_is() -> None:
    gauge = ViewGauge()
    for picture, at in drawn(lambda p, at: counting(p, at, (400, 352)), FOUND_S):
        gauge.glance(picture, at)
    assert gauge.printed is not None
    rows, columns = (2 * there for there in np.nonzero(gauge.printed))  # samples are of every other pixel
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
