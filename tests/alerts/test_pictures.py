"""Pictures of cameras: when they are sent, and that no label can be read in them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest

from detector import wire
from detector.alerts.pictures import EVERY_S, SETTLE_S, CameraPictures
from detector.alerts.snapshot import view_jpeg
from detector.errors import LabelwatchError
from detector.media.pictures import Bgr
from detector.values import Frame
from tests.builders import frame, parcel, scene
from tests.test_pipeline import ScriptedDetector, pipeline_of

START = 1000.0


class Sent:
    """What was sent: large or not, and when."""

    def __init__(self) -> None:
        self.pictures: list[tuple[bool, float]] = []
        self.camera = CameraPictures(lambda large, _jpeg, at: self.pictures.append((large, at - START)))

    def watch(
        self, begin: float, end: float, step: float = 1.0, moved: bool | None = False
    ) -> list[tuple[bool, float]]:
        """Offer frames; what was sent of them."""
        before = len(self.pictures)
        for at in np.arange(begin, end, step):
            self.camera.offer(frame(START + at, (64, 36)), replace(scene(START + at, size=(64, 36)), moved=moved))
        return self.pictures[before:]


def test_both_come_once_parcels_are_known_and_the_small_one_again_now_and_then() -> None:
    sent = Sent()
    assert sent.watch(0, SETTLE_S) == []
    assert sent.watch(SETTLE_S, EVERY_S) == [(False, SETTLE_S), (True, SETTLE_S)]
    assert sent.watch(EVERY_S, 2 * EVERY_S) == [(False, SETTLE_S + EVERY_S)]


def test_the_hub_may_ask_but_not_without_measure() -> None:
    sent = Sent()
    sent.watch(0, 20)
    sent.camera.ask(large=True)
    assert sent.watch(20, 25) == [(True, 20)]
    for _ in range(50):
        sent.camera.ask(large=True)
    assert sent.watch(25, 45) == [(True, 30)]
    sent.camera.ask(large=False)
    assert sent.watch(45, 50) == [(False, 45)]


def test_a_pipeline_that_begins_anew_must_know_the_parcels_again_first() -> None:
    sent = Sent()
    sent.watch(0, 20)
    sent.camera.begin_anew()
    sent.camera.ask(large=True)
    assert sent.watch(20, 20 + SETTLE_S) == []
    assert sent.watch(20 + SETTLE_S, 40) == [(True, 20 + SETTLE_S)]


def test_where_a_camera_was_turned_its_parcels_must_be_known_again_first() -> None:
    sent = Sent()
    sent.watch(0, 20)
    sent.camera.ask(large=True)
    assert sent.watch(20, 20 + SETTLE_S, moved=None) == []  # the tracker isn't sure yet where it looks
    assert sent.watch(20 + SETTLE_S, 30, moved=None) == [(True, 20 + SETTLE_S)]
    for at, moved in ((40, True), (60, False)):
        sent.camera.ask(large=True)
        assert sent.watch(at, at + 2, moved=moved) == [(True, at)]


def test_nothing_is_sent_of_a_frame_that_was_passed_over() -> None:
    sent = Sent()
    for at in range(30):
        sent.camera.offer(frame(START + at, (64, 36)), scene(START, size=(64, 36)))
    assert sent.pictures == []


def test_a_picture_is_sent_whatever_digits_the_camera_s_clock_has() -> None:
    sent, pipeline = Sent(), pipeline_of(ScriptedDetector(lambda _t: []))
    for n in range(20):
        shown = frame(START + n + 0.123456789)
        pipeline.process(shown)
        assert pipeline.scene is not None
        sent.camera.offer(shown, pipeline.scene)
    assert [large for large, _ in sent.pictures] == [False, True]


def test_a_clock_that_is_set_back_stops_nothing() -> None:
    sent = Sent()
    sent.watch(0, 20)
    assert len(sent.watch(-500, -400)) == 2


def written(size: tuple[int, int] = (1920, 1080)) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Grey, with print all over: letters with strokes of three pixels."""
    image = np.full((size[1], size[0], 3), 200, np.uint8)
    for y in range(30, size[1], 40):
        cv2.putText(image, "LABEL 8812 0093 " * 12, (0, y), cv2.FONT_HERSHEY_SIMPLEX, 1.0, (0, 0, 0), 3)
    return image


def relief(jpeg: bytes, box: tuple[float, float, float, float]) -> float:
    """How much neighbouring pixels differ within a box (shares of the picture)."""
    grey = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert grey is not None
    height, width = grey.shape
    part = grey[int(box[1] * height) : int(box[3] * height), int(box[0] * width) : int(box[2] * width)]
    return float(np.abs(np.diff(part.astype(np.int16), axis=1)).mean())


@pytest.mark.parametrize("large", [False, True])
def test_labels_and_parcels_can_t_be_read_and_all_else_can_be_seen(large: bool) -> None:
    image = written()
    parcels, labels = (200.0, 200.0, 700.0, 600.0), (1000.0, 300.0, 1300.0, 500.0)
    seen = scene(5.0, parcels=[parcel(1, parcels)], labels=[labels], size=(1920, 1080))
    side = wire.PICTURE_SIDES[large]
    jpeg = view_jpeg(seen, Frame("cam", 0, 5.0, Bgr(image)), side, wire.LARGEST_JPEG[large])
    assert len(jpeg) <= wire.LARGEST_JPEG[large]
    shape = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert shape is not None and shape.shape[:2] == (side * 9 // 16, side)
    plain = relief(jpeg, (0.7, 0.6, 0.95, 0.95))
    for left, top, right, bottom in (parcels, labels):
        inside = (left / 1920 + 0.01, top / 1080 + 0.02, right / 1920 - 0.01, bottom / 1080 - 0.02)
        assert relief(jpeg, inside) < plain / 5


def test_a_tall_picture_is_no_longer_than_agreed() -> None:
    jpeg = view_jpeg(scene(0.0, size=(900, 1600)), frame(0.0, (900, 1600)), 640, 200_000)
    shape = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert shape is not None and shape.shape[:2] == (640, 360)


def test_what_can_t_be_made_small_enough_is_not_sent() -> None:
    noise = np.random.default_rng(1).integers(0, 255, (720, 1280, 3), np.uint8)
    with pytest.raises(LabelwatchError, match="small enough"):
        view_jpeg(scene(0.0), Frame("cam", 0, 0.0, Bgr(noise)), 1280, 20_000)
