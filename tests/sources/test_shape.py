"""Pictures that are shown in another shape than they are stored in: as small streams and recorders have them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.alerts.clips import ClipRecorder, Segment
from detector.alerts.cutting import cut_recording
from detector.alerts.joined import Part, join
from detector.clock import SystemClock
from detector.config import Camera
from detector.media.packets import PacketRing
from detector.media.pictures import Bgr
from detector.media.shape import Shape, Stretched, is_doubtful, level_size, shaped, shown_size
from detector.sources import open_source
from detector.sources.recording import RecordedPicture, Recording
from tests.sources.conftest import RtspServer
from tests.sources.footage import make_video
from tests.sources.test_live import Watcher, soon

D1 = (704, 576)
WIDE = Fraction(16, 11)


@pytest.mark.parametrize(
    ("stored", "pixel_aspect", "aspect", "size"),
    [
        ((1920, 1080), 1.0, None, (1920, 1080)),
        (D1, 1.0, None, D1),
        (D1, 16 / 11, None, (1024, 576)),
        (D1, 12 / 11, None, (768, 576)),
        (D1, 1.0, 16 / 9, (1024, 576)),
        (D1, 12 / 11, 16 / 9, (1024, 576)),  # who says so knows better than the stream
        (D1, 16 / 11, 704 / 576, D1),
        ((960, 576), 0.8, None, (960, 720)),  # nothing that was there is lost
        ((1920, 1088), 1.0, 16 / 9, (1920, 1088)),  # whole blocks
        (D1, 0.0, None, D1),
        (D1, 9.0, None, D1),
        (D1, -1.0, None, D1),
        ((7680, 4320), 3.0, None, (7680, 4320)),  # more than may be held
        ((0, 576), 2.0, 16 / 9, (0, 576)),
    ],
)
def test_the_size_shown_is_that_of_square_pixels(
    stored: tuple[int, int], pixel_aspect: float, aspect: float | None, size: tuple[int, int]
) -> None:
    assert shown_size(stored, Shape(aspect), pixel_aspect=pixel_aspect) == size


@pytest.mark.parametrize(
    ("size", "doubtful"),
    [
        (D1, True), ((352, 288), True), ((704, 480), True), ((720, 576), True), ((960, 576), True),
        ((640, 360), False), ((1280, 720), False), ((640, 480), False), ((768, 576), False), ((1024, 576), False),
    ],
)  # fmt: skip
def test_sizes_of_television_are_doubted(size: tuple[int, int], doubtful: bool) -> None:
    assert is_doubtful(size) is doubtful


def smooth(size: tuple[int, int], seed: int = 3) -> np.ndarray:
    """A picture without edges, so that how it is resampled hardly shows."""
    coarse = np.random.default_rng(seed).integers(0, 255, (5, 6, 3)).astype(np.uint8)
    return np.asarray(cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC), np.uint8)


@given(data=st.data())
def test_a_part_of_a_stretched_picture_is_that_part_of_the_whole(data: st.DataObject) -> None:
    stored = data.draw(st.tuples(st.integers(8, 90), st.integers(8, 90)))
    wide = data.draw(st.floats(0.3, 3.5))
    size = level_size(stored, wide)
    picture = shaped(Bgr(smooth(stored)), size)
    left, top = data.draw(st.integers(0, size[0])), data.draw(st.integers(0, size[1]))
    right, bottom = data.draw(st.integers(left, size[0])), data.draw(st.integers(top, size[1]))
    part = picture.cropped(left, top, right, bottom)
    assert part.shape == (bottom - top, right - left, 3)
    assert picture.bgr().shape == (size[1], size[0], 3)
    assert picture.luma().shape == (size[1], size[0])
    if part.size:
        assert np.abs(part.astype(int) - picture.bgr()[top:bottom, left:right]).max() <= 4


def test_a_picture_of_square_pixels_is_left_as_it_is() -> None:
    picture = Bgr(smooth(D1))
    assert shaped(picture, D1) is picture
    assert isinstance(shaped(picture, (1024, 576)), Stretched)


def circle(_number: int) -> np.ndarray:
    """What a camera of 16:9 stores of a ball in 704x576."""
    round_one = np.full((576, 1024, 3), 60, np.uint8)
    cv2.circle(round_one, (600, 300), 120, (200, 200, 200), -1)
    return np.asarray(cv2.resize(round_one, D1, interpolation=cv2.INTER_AREA), np.uint8)


def ball(image: np.ndarray) -> tuple[float, float, float]:
    """Its width through its height, and where its centre is, in shares of the picture."""
    ys, xs = np.nonzero(image[..., 1] > 130)
    shape = (xs.max() - xs.min() + 1) / (ys.max() - ys.min() + 1)
    return shape, xs.mean() / image.shape[1], ys.mean() / image.shape[0]


def films(tmp_path: Path) -> dict[str, tuple[Path, float | None]]:
    """Of one camera, with the shape that its configuration says where the film doesn't say any, or a wrong one."""
    squeezed = {"size": D1, "seconds": 4, "fps": 10, "draw": circle, "key_every": 10}
    return {
        "stream": (make_video(tmp_path / "said.mkv", **squeezed, pixel_aspect=WIDE), None),
        "configuration": (make_video(tmp_path / "unsaid.mp4", **squeezed), 16 / 9),
        "configuration against the stream": (
            make_video(tmp_path / "wrong.mp4", **squeezed, pixel_aspect=Fraction(12, 11)), 16 / 9,
        ),
    }  # fmt: skip


@pytest.mark.parametrize("said_by", ["stream", "configuration", "configuration against the stream"])
def test_a_recording_s_pictures_and_clips_have_the_shape_that_was_said(tmp_path: Path, said_by: str) -> None:
    path, aspect = films(tmp_path)[said_by]
    frame = next(iter(Recording(path, camera="dock", start_at=0.0, fps=5, shape=Shape(aspect))))
    assert frame.size == (1024, 576)
    assert ball(frame.image) == pytest.approx((1.0, 600 / 1024, 300 / 576), abs=0.02)
    again = RecordedPicture(path, 1.0, (1024, 576), Shape(aspect))
    assert ball(again.bgr()) == pytest.approx((1.0, 600 / 1024, 300 / 576), abs=0.02)
    part = frame.picture.cropped(400, 150, 800, 450)
    assert ball(part)[0] == pytest.approx(1.0, abs=0.03)
    # Whoever plays the clip sees it so, too, and the pictures in it are the recording's to the byte.
    cuts = [cut_recording(path, at, at + 1.5, tmp_path / f"{at}.mp4", shape=Shape(aspect)) for at in (0.0, 2.0)]
    whole = join([Part(cuts[0].path, 0.0), Part(cuts[1].path, 2.0)], tmp_path / "whole.mp4")
    for cut in (*cuts, whole):
        shown = next(iter(Recording(cut.path, camera="dock", start_at=0.0, fps=5)))
        assert shown.size == (1024, 576)


def test_without_a_word_on_it_pictures_stay_as_they_are_stored(tmp_path: Path) -> None:
    path, _ = films(tmp_path)["configuration"]
    frame = next(iter(Recording(path, camera="dock", start_at=0.0, fps=5)))
    assert frame.size == D1
    cut = cut_recording(path, 0.0, 1.0, tmp_path / "cut.mp4")
    assert next(iter(Recording(cut.path, camera="dock", start_at=0.0, fps=5))).size == D1


@pytest.mark.parametrize("said", [Fraction(1, 255), Fraction(255)])
def test_a_shape_that_nobody_could_look_at_is_neither_believed_nor_copied(tmp_path: Path, said: Fraction) -> None:
    path = make_video(tmp_path / "said.mp4", size=D1, seconds=1, fps=10, pixel_aspect=said)
    assert next(iter(Recording(path, camera="dock", start_at=0.0, fps=5))).size == D1
    cut = cut_recording(path, 0.0, 1.0, tmp_path / "cut.mp4")  # no browser plays a picture 3 pixels wide
    with av.open(str(cut.path)) as container:
        assert container.streams.video[0].sample_aspect_ratio == 1


@pytest.mark.parametrize(
    ("later", "said", "shown"),
    [((1280, 720), Fraction(1), (1280, 720)), ((1280, 720), None, (1280, 720)), (D1, None, D1)],
)
def test_where_a_camera_is_set_otherwise_within_a_file_its_pictures_have_the_later_shape(
    tmp_path: Path, later: tuple[int, int], said: Fraction | None, shown: tuple[int, int]
) -> None:
    parts = [
        make_video(tmp_path / f"{n}.h264", size=size, seconds=1, fps=10, form="h264", pixel_aspect=aspect)
        for n, (size, aspect) in enumerate([(D1, WIDE), (later, said)])
    ]
    whole = tmp_path / "whole.h264"
    whole.write_bytes(b"".join(part.read_bytes() for part in parts))
    sizes = [frame.size for frame in Recording(whole, camera="dock", start_at=0.0, fps=5)]
    assert (sizes[0], sizes[-1]) == ((1024, 576), shown)
    # What a container says of a stream that says otherwise from its beginning is believed to the end.
    cut = cut_recording(parts[0], 0.0, 1.0, tmp_path / "cut.mp4", shape=Shape(4 / 3))
    assert {frame.size for frame in Recording(cut.path, camera="dock", start_at=0.0, fps=5)} == {(768, 576)}


def test_a_clip_is_shown_as_its_recording_was_looked_at_where_what_was_said_cannot_be(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4", size=(96, 640), seconds=2, fps=10, key_every=10)
    cut = cut_recording(path, 0.0, 1.0, tmp_path / "cut.mp4", shape=Shape(16 / 9))  # each pixel twelve times as wide
    frames = (
        next(iter(Recording(path, camera="dock", start_at=0.0, fps=5, shape=Shape(16 / 9)))),
        next(iter(Recording(cut.path, camera="dock", start_at=0.0, fps=5))),
    )
    assert {frame.size for frame in frames} == {(96, 640)}


def test_a_played_file_has_its_camera_s_shape(tmp_path: Path) -> None:
    path, _ = films(tmp_path)["configuration"]
    camera = Camera(name="dock", source=str(path), aspect="16:9")
    source = open_source(camera, fps=5, clock=SystemClock(), stop=threading.Event())
    assert next(iter(source)).size == (1024, 576)
    source.close()


@pytest.mark.parametrize(("said", "aspect"), [(WIDE, None), (Fraction(12, 11), "16:9")])
def test_a_live_camera_s_pictures_have_the_shape_that_was_said(
    rtsp_server: Callable[..., RtspServer], tmp_path: Path, said: Fraction | None, aspect: str | None
) -> None:
    footage = make_video(
        tmp_path / "a.h264", size=D1, seconds=6, fps=15, key_every=15, form="h264", draw=circle, pixel_aspect=said
    )
    camera = Camera(name="dock", source=rtsp_server(footage=footage).url, aspect=aspect)
    ring, segments = PacketRing(10), list[Segment]()
    watcher = Watcher(camera, on_packet=ring.append)
    recorder = ClipRecorder(
        tmp_path / "clips", ring, pre_roll_s=1.0, post_roll_s=0.5, on_segment=segments.append, shape=camera.shape
    )
    try:
        assert watcher.sees_more()
        assert {frame.size for frame in watcher.frames} == {(1024, 576)}
        assert ball(watcher.frames[-1].image) == pytest.approx((1.0, 600 / 1024, 300 / 576), abs=0.02)
        form = watcher.source.stream_format
        assert form is not None
        assert (form.width, form.height) == D1
        assert form.pixel_aspect == pytest.approx(float(said or 1))
        assert watcher.sees_more(10)
        recorder.start_or_extend("i1", watcher.frames[-1].captured_at)
        assert soon(lambda: recorder.tick(watcher.frames[-1].captured_at) or bool(segments))
        shown = next(iter(Recording(segments[0].path, camera="dock", start_at=0.0, fps=5)))
        assert shown.size == (1024, 576)
    finally:
        watcher.stop.set()
        watcher.source.close()
