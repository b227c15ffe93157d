"""The picture that goes with an alert is small, and no label in it can be read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from detector.alerts.incidents import IncidentBook
from detector.alerts.merging import begun
from detector.alerts.snapshot import snapshot_jpeg
from detector.config import Incidents
from detector.media.pictures import Bgr
from detector.media.pixelation import blurred
from detector.recorded.sink import ReplaySink
from detector.values import Box, Frame, IncidentKind, IncidentUpdate, Phase, Severity
from tests.builders import act, frame, signal


def checkered(size: tuple[int, int]) -> Frame:
    """A picture of black and white squares of four pixels: as much detail as a label's print."""
    y, x = np.mgrid[: size[1], : size[0]] // 4
    image = np.repeat(((x + y) % 2 * 255).astype(np.uint8)[..., None], 3, axis=2)
    return Frame("cam", 0, 0.0, Bgr(image))


def shown(frame: Frame, *boxes: tuple[str, Box]) -> np.ndarray:
    data = snapshot_jpeg(frame, IncidentUpdate(Phase.NEW, None, begun("site", signal(0, 1, boxes=boxes))))
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return image


def detail(image: np.ndarray) -> float:
    """Variance of the differences of neighbouring pixels."""
    return float(np.diff(image[..., 0].astype(np.float32), axis=1).var())


@pytest.mark.parametrize(
    ("size", "small"),
    [((1920, 1080), (640, 360)), ((640, 480), (640, 480)), ((320, 200), (320, 200)), ((5000, 2), (640, 1))],
)
def test_it_is_at_most_640_wide_and_keeps_its_aspect(size: tuple[int, int], small: tuple[int, int]) -> None:
    assert shown(checkered(size)).shape == (small[1], small[0], 3)


@pytest.mark.parametrize("size", [(640, 480), (1280, 960)])
def test_a_label_carries_no_detail(size: tuple[int, int]) -> None:
    scale = size[0] / 640
    label = (200 * scale, 200 * scale, 280 * scale, 260 * scale)
    image = shown(checkered(size), ("label", label))
    inside, outside = image[200:260, 200:280], image[200:260, 400:480]
    if scale == 1:
        assert detail(outside) > 1000
    assert detail(inside) < 40
    assert detail(inside) < detail(outside) / 5 or scale > 1


def test_a_label_that_went_undetected_is_illegible_on_its_parcel() -> None:
    frame = checkered((640, 480))
    told = replace(begun("site", signal(0, 1)), private=((200, 200, 320, 300),))
    image = cv2.imdecode(np.frombuffer(snapshot_jpeg(frame, IncidentUpdate(Phase.NEW, None, told)), np.uint8), 1)
    assert image is not None
    assert detail(image[200:300, 200:320]) < 40


def test_the_blur_reaches_a_little_beyond_the_label() -> None:
    image = blurred(checkered((400, 300)).image, [(100, 100, 200, 200)])
    assert detail(image[85:215, 85:215]) < 40
    assert (image[:80] == checkered((400, 300)).image[:80]).all()


@pytest.mark.parametrize(
    "label",
    [
        pytest.param((-50, -50, 30, 30), id="over the corner"),
        pytest.param((380, 280, 500, 400), id="over the far corner"),
        pytest.param((-90, -90, -10, -10), id="outside"),
        pytest.param((500, 500, 600, 600), id="beyond"),
        pytest.param((100, 100, 100, 100), id="empty"),
        pytest.param((100, 100, 101, 101), id="one pixel"),
        pytest.param((-10, -10, 900, 900), id="everything"),
    ],
)
def test_a_label_anywhere_is_blurred_as_far_as_it_is_in_the_picture(label: Box) -> None:
    frame = checkered((400, 300))
    image = blurred(frame.image, [label])
    assert image.shape == frame.image.shape
    x1, y1, x2, y2 = (max(0, int(v)) for v in label)
    if x2 - x1 > 4 and y2 - y1 > 4 and x1 < 400 and y1 < 300:
        assert detail(image[y1:y2, x1:x2]) < 40


def test_the_frame_itself_is_left_untouched() -> None:
    frame = checkered((640, 480))
    before = frame.image.copy()
    shown(frame, ("label", (0, 0, 640, 480)), ("person", (10, 10, 90, 200)), ("phone", (20, 20, 40, 40)))
    assert (frame.image == before).all()


def test_boxes_are_drawn_and_labels_are_not() -> None:
    grey = Frame("cam", 0, 0.0, Bgr(np.full((480, 640, 3), 128, np.uint8)))
    assert np.ptp(shown(grey, ("label", (100, 100, 200, 200)))) < 12
    drawn = shown(grey, ("phone", (100, 100, 200, 200)))
    blue, _, red = (int(v) for v in drawn[150, 100])
    assert red > blue + 80
    assert np.ptp(drawn[140:160, 140:160]) < 12


def test_a_box_beyond_the_picture_does_no_harm() -> None:
    shown(checkered((640, 480)), ("person", (-100, -100, 2000, 2000)), ("anything", (9000, 9000, 9100, 9100)))


def test_the_picture_of_a_replay_stays_that_of_the_act_when_something_else_makes_its_incident_graver(
    tmp_path: Path,
) -> None:
    (tmp_path / "snapshots").mkdir()
    sink, book = ReplaySink(tmp_path, Incidents()), IncidentBook("north", Incidents())
    sink.begin(tmp_path / "a.mp4", 0.0)
    phone: Box = (100, 100, 120, 120)
    photo = signal(1.0, 5.0, acts=[act(1.0, 5.0)], boxes=[("phone", phone)])
    graver = replace(signal(5.0, 30.0, kind=IncidentKind.LINGERING, severity=Severity.CRITICAL), tracks=photo.tracks)
    for found in (photo, graver):
        for update in book.admit([replace(found, private=((0, 0, 50, 50),))], found.at):
            sink.accept(update, frame(found.at))
    (told,) = sink.told.values()
    assert (told.incident.severity, told.incident.boxes) == (Severity.CRITICAL, (("phone", phone),))
    assert told.snapshot_at == 5.0
