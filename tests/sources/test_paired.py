"""A camera's two streams as one source, by real RTSP servers of which either may die or show another shape."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from detector.clock import SystemClock
from detector.config import Camera
from detector.media.packets import Packet, StreamFormat
from detector.media.pictures import Bgr, Image
from detector.media.shape import Shape, across, shown
from detector.sources.paired import PairedPicture, PairedSource, alike
from detector.sources.same_view import shows_the_same
from detector.sources.video import MOST_ASIDE, Video
from detector.values import Frame
from tests.builders import SteppedClock
from tests.sources.conftest import CAMERA_FPS, RtspServer
from tests.sources.footage import grey_of, make_video
from tests.sources.test_live import HASTY, soon

Servers = Callable[..., RtspServer]
View = Callable[[Image], Image]
LARGE, SMALL, SQUARE = (640, 480), (320, 240), (240, 240)
HASTY_PAIR: dict[str, Any] = {"patience": HASTY, "lost_s": 2.0}


@pytest.fixture(scope="session")
def footage(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """A camera's raw stream of pictures of a size: flat ones, or what `view` shows of a hall, squeezed into it."""
    folder = tmp_path_factory.mktemp("pair")
    made: dict[object, Path] = {}

    def of(size: tuple[int, int], view: View | None = None) -> Path:
        if (size, view) not in made:
            path = folder / f"{len(made)}.h264"
            shown = cv2.resize(view(HALL), size, interpolation=cv2.INTER_AREA) if view else None
            made[size, view] = make_video(
                path, seconds=6, fps=CAMERA_FPS, size=size, key_every=3 * CAMERA_FPS, form="h264",
                draw=None if shown is None else lambda _: shown,
            )  # fmt: skip
        return made[size, view]

    return of


class Pair:
    """Consumes a source in a thread, and looks closely while `closely` is set."""

    def __init__(self, camera: Camera) -> None:
        self.stop = threading.Event()
        self.closely = False
        self.frames: list[Frame] = []
        self.detailed = 0
        self.packets: list[tuple[Packet, StreamFormat]] = []
        self.source = PairedSource(
            camera, fps=5, clock=SystemClock(), stop=self.stop, on_packet=self._take, **HASTY_PAIR
        )
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _take(self, packet: Packet, stream_format: StreamFormat) -> None:
        self.packets.append((packet, stream_format))

    def _run(self) -> None:
        for frame in self.source:
            self.frames.append(frame)
            if self.closely:
                frame.picture.cropped(10, 10, 110, 110)
                self.detailed += frame.picture._best is not frame.picture._small  # type: ignore[attr-defined]

    def has_both(self) -> bool:
        """Whether both streams have come; frames of before, while a slow machine still waits for one, are forgotten."""
        came = soon(lambda: self.source.stats.lack is None and self.source._large.stats.state == "online")
        seen = len(self.frames)
        came = came and self.sees_more(1)  # one that was under way has only the small one's size
        del self.frames[: seen + 1]
        return came

    def sees_more(self, count: int = 5) -> bool:
        enough = len(self.frames) + count
        return soon(lambda: len(self.frames) >= enough)

    def end(self) -> None:
        self.stop.set()
        self._thread.join(10)
        self.source.close()
        assert not self._thread.is_alive()


@pytest.fixture
def watch() -> Iterator[Callable[..., Pair]]:
    pairs: list[Pair] = []

    def start(large: RtspServer, small: RtspServer, **more: Any) -> Pair:
        pairs.append(Pair(Camera(name="dock", source=large.url, substream=small.url, **more)))
        return pairs[-1]

    yield start
    for pair in pairs:
        pair.end()


def test_people_are_looked_for_in_the_small_stream_and_the_large_one_is_decoded_for_close_looks_only(
    rtsp_server: Servers, watch: Callable[..., Pair], footage: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCK_PASSWORD", "p@ss/w:rd")
    monkeypatch.setattr("detector.sources.paired.CLOSELY_S", 1.0)
    login = ("viewer", "p@ss/w:rd")
    servers = [rtsp_server(login, footage(size)) for size in (LARGE, SMALL)]
    pair = watch(*servers, username="viewer", password_env="DOCK_PASSWORD")
    assert pair.has_both()
    assert pair.sees_more(6)
    assert {frame.size for frame in pair.frames} == {LARGE}
    times = [frame.captured_at for frame in pair.frames]
    assert times == sorted(set(times))
    assert pair.packets[0][0].key
    assert {(form.width, form.height) for _, form in pair.packets} == {LARGE}
    # Pictures and packets share one clock.
    assert abs(pair.packets[-1][0].at - pair.frames[-1].captured_at) < 2
    assert pair.source._large.stats.frames_in == 0  # not one was decoded
    stats = pair.source.stats
    assert (stats.state, stats.trouble, stats.lack) == ("online", None, None)
    assert stats.frames_in >= 2 * stats.analysed
    # Now somebody looks closely, for a while.
    pair.closely = True
    assert soon(lambda: pair.detailed >= 3)
    pair.closely = False
    large = pair.source._large.stats
    assert soon(lambda: _rests(lambda: large.frames_in))
    assert (large.decode_errors, pair.source.stats.lack) == (0, None)


def _rests(count: Callable[[], int]) -> bool:
    before = count()
    threading.Event().wait(0.7)
    return count() == before


def test_without_one_of_its_streams_the_other_is_looked_at_and_the_lack_is_told(
    rtsp_server: Servers, watch: Callable[..., Pair], footage: Callable[..., Path]
) -> None:
    large, small = rtsp_server(footage=footage(LARGE)), rtsp_server(footage=footage(SMALL))
    pair = watch(large, small)
    assert pair.has_both()
    assert pair.sees_more(2)
    small.kill()
    assert soon(lambda: pair.source.stats.lack == "small_lost")
    assert pair.sees_more(4)
    assert (pair.source.stats.state, pair.source.stats.last_error is None) == ("online", False)
    small.start()
    assert soon(lambda: pair.source.stats.lack is None)
    assert soon(lambda: _rests(lambda: pair.source._large.stats.frames_in))
    large.kill()
    assert soon(lambda: pair.source.stats.lack == "large_lost")
    assert pair.sees_more(3)
    assert pair.source.stats.state == "online"
    # Nothing that is remembered in pixels is forgotten for that, and time went on.
    assert {frame.size for frame in pair.frames} == {LARGE}
    times = [frame.captured_at for frame in pair.frames]
    assert times == sorted(set(times))


def test_the_reason_told_is_that_of_the_stream_that_is_lacking() -> None:
    clock = SteppedClock(1_800_000_000.0)
    camera = Camera(name="dock", source="rtsp://10.0.0.1/1", substream="rtsp://10.0.0.1/2")
    source = PairedSource(camera, fps=5, clock=clock, stop=threading.Event())
    small, large = source._small.stats, source._large.stats
    small.state, small.last_error = "online", "broke off in the night"
    large.state, large.last_error = "refused", "the camera refused the user name or password"
    for _ in range(20):
        clock.sleep(1.0)
        small.last_frame_at = clock.now()
    assert (source.stats.state, source.stats.lack) == ("online", "large_lost")
    assert source.stats.last_error == large.last_error
    source.close()


def hall(seed: int) -> Image:
    """A picture in which there is something to see everywhere."""
    random = np.random.default_rng(seed)
    image = np.full((480, 640, 3), 90, np.uint8)
    for _ in range(150):
        x, y = random.integers(0, 620), random.integers(0, 460)
        colour = tuple(int(value) for value in random.integers(20, 235, 3))
        cv2.rectangle(image, (x, y), (x + int(random.integers(8, 90)), y + int(random.integers(8, 70))), colour, -1)
    return image


HALL = hall(1)


def whole(image: Image) -> Image:
    return image


def faint(seed: int) -> Image:
    """Noise, as it is left of a dark hall."""
    noise = np.random.default_rng(seed).normal(20, 3, (120, 160, 1)).clip(0, 255).astype(np.uint8)
    return np.asarray(cv2.resize(noise, (640, 480), interpolation=cv2.INTER_NEAREST)[..., None].repeat(3, 2), np.uint8)


def middle(image: Image) -> Image:
    return image[:, 80:560]


@pytest.mark.parametrize("turned", [None, 90])
def test_a_small_stream_squeezed_to_another_shape_is_stretched(
    rtsp_server: Servers,
    watch: Callable[..., Pair],
    footage: Callable[..., Path],
    caplog: pytest.LogCaptureFixture,
    turned: int | None,
) -> None:
    caplog.set_level(logging.INFO)
    pair = watch(*(rtsp_server(footage=footage(size, whole)) for size in (LARGE, SQUARE)), turned=turned)
    assert soon(lambda: bool(pair.source._fits) and not pair.source._alone)
    assert soon(lambda: _rests(lambda: pair.source._large.stats.frames_in))
    pair.frames.clear()
    assert pair.sees_more(3)
    assert {frame.size for frame in pair.frames} == {across(LARGE, turned or 0)}
    assert pair.source.stats.lack is None
    said = [record.levelname for record in caplog.records if "without its small stream" in record.getMessage()]
    assert set(said) <= {"INFO"}  # nothing is wrong
    shown = pair.frames[-1].picture.resized(*across((160, 120), turned or 0)).astype(int)
    upright = np.rot90(cv2.resize(HALL, (160, 120), interpolation=cv2.INTER_AREA), -(turned or 0) // 90)
    assert np.abs(shown - upright).mean() < 12


def test_a_small_stream_that_shows_another_part_is_not_looked_at(
    rtsp_server: Servers, watch: Callable[..., Pair], footage: Callable[..., Path]
) -> None:
    pair = watch(rtsp_server(footage=footage(LARGE, whole)), rtsp_server(footage=footage(SQUARE, middle)))
    assert soon(lambda: pair.source.stats.lack == "small_differs")
    pair.frames.clear()
    assert pair.sees_more(5)
    assert {frame.size for frame in pair.frames} == {LARGE}


def test_where_nothing_can_be_seen_the_large_stream_is_looked_at_and_nothing_is_told(
    rtsp_server: Servers, watch: Callable[..., Pair], footage: Callable[..., Path]
) -> None:
    pair = watch(*(rtsp_server(footage=footage(size)) for size in (LARGE, SQUARE)))
    assert pair.sees_more(8)
    assert pair.source._fits is None
    assert pair.source.stats.lack is None
    assert pair.frames[-1].size == LARGE


def cut(image: Image, shape: float) -> Image:
    """The middle of a picture that is so much wider than it."""
    height, width = image.shape[:2]
    wide, high = round(width * min(shape, 1)), round(height / max(shape, 1))
    left, top = (width - wide) // 2, (height - high) // 2
    return image[top : top + high, left : left + wide]


def test_streams_of_which_no_pictures_are_taken_at_one_time_are_compared_all_the_same() -> None:
    camera = Camera(name="dock", source="rtsp://127.0.0.1:1/a", substream="rtsp://127.0.0.1:1/b")
    source = PairedSource(camera, fps=5, clock=SystemClock(), stop=threading.Event())
    squeezed = cv2.resize(HALL, SQUARE, interpolation=cv2.INTER_AREA)
    source._fits, source._unfit = None, Frame("dock", 0, 10.0, Bgr(squeezed))
    source._compare(Frame("dock", 0, 10.19, Bgr(HALL)))  # at five a second they may stay so far apart
    assert source._fits
    source.close()


@pytest.mark.parametrize("size", [(240, 240), (352, 288), (640, 270), (240, 320)])
@pytest.mark.parametrize(
    ("small", "large", "same"),
    [
        (lambda image, _: image, lambda image, _: image, True),
        (cut, lambda image, _: image, False),
        (lambda image, _: image, lambda image, shape: cut(image, 1 / shape), False),
        (lambda image, _: image[240:], lambda image, _: image, False),
        (lambda image, _: middle(image), lambda image, _: image, False),
        (lambda image, _: image, lambda *_: hall(2), False),
        (lambda image, _: image // 64 + 16, lambda image, _: image, None),
        (lambda *_: faint(3), lambda *_: faint(4), None),
        (lambda image, _: np.uint8(255) - image, lambda image, _: image, False),
    ],
    ids=[
        "squeezed", "a part of it", "more of it", "its lower half", "a part of it, squeezed", "another hall",
        "in the dark", "noise", "inverted",
    ],
)  # fmt: skip
def test_a_squeezed_view_is_told_from_another_one(
    small: Callable[[Image, float], Image],
    large: Callable[[Image, float], Image],
    same: bool | None,
    size: tuple[int, int],
) -> None:
    shape = size[0] / size[1] / (640 / 480)
    seen = cv2.resize(small(HALL, shape), size, interpolation=cv2.INTER_AREA)
    assert shows_the_same(Bgr(seen), Bgr(cv2.resize(large(HALL, shape), LARGE))) is same


@pytest.mark.parametrize(
    ("small", "large", "same"),
    [
        ((640, 360), (1920, 1080), True),
        ((704, 396), (2560, 1440), True),
        ((640, 368), (1920, 1088), True),
        ((352, 288), (1920, 1080), False),
        ((704, 576), (1920, 1080), False),
        ((360, 640), (1920, 1080), False),
    ],
)
def test_shapes_are_alike_up_to_whole_blocks(small: tuple[int, int], large: tuple[int, int], same: bool) -> None:
    assert alike(small, large) is same


@pytest.mark.parametrize("turn", [0, 90])
def test_a_paired_picture_was_turned_as_the_small_one_was(turn: int) -> None:
    small = shown(_half_white(SMALL), Shape(turn=turn))
    assert PairedPicture(across(LARGE, turn), small, None, lambda: None).turn == turn


def _half_white(size: tuple[int, int]) -> Bgr:
    image = np.zeros((size[1], size[0], 3), np.uint8)
    image[:, : size[0] // 2] = 255
    return Bgr(image)


@pytest.mark.parametrize("has_detail", [True, False])
def test_a_paired_picture_is_one_picture_of_the_large_size(has_detail: bool) -> None:
    asked: list[bool] = []
    detail = _half_white(LARGE) if has_detail else None
    picture = PairedPicture(LARGE, _half_white(SMALL), detail, lambda: asked.append(True))
    assert picture.size == LARGE
    assert picture.luma().shape == (LARGE[1], LARGE[0])
    assert picture.bgr().shape == (LARGE[1], LARGE[0], 3)
    assert picture.resized(64, 48).shape == (48, 64, 3)
    assert not asked
    left, right = picture.cropped(100, 50, 300, 250), picture.cropped(340, 50, 540, 250)
    assert left.shape == right.shape == (200, 200, 3)
    assert (int(left.min()), int(right.max())) == (255, 0)  # the same places as in the whole
    assert asked


# Decoding that pauses


def _video(path: Path) -> Video:
    return Video(av.open(str(path)), str(path), evidence=True)


def _number(decoded: av.VideoFrame) -> int:
    return round((float(decoded.to_ndarray(format="gray").mean()) - grey_of(0)) / 20)


@pytest.mark.parametrize("began", [5, 25, 37])
def test_decoding_goes_on_at_once_from_packets_kept_since_the_last_key_frame(tmp_path: Path, began: int) -> None:
    video = _video(make_video(tmp_path / "a.mp4", seconds=3, key_every=25))
    video.decoding = False
    shown = []
    for number, step in enumerate(video.steps()):
        assert step.data or number >= 75  # evidence never pauses
        assert bool(step.pictures) is (number >= began) or number >= 75
        shown += [_number(decoded) for _, decoded in step.pictures]
        video.decoding = video.decoding or number + 1 == began
    assert shown == [n % 12 for n in range(began, 75)]
    assert video.decode_errors == 0
    video.close()


def test_where_the_last_key_frame_is_too_long_ago_decoding_waits_for_the_next(tmp_path: Path) -> None:
    video = _video(make_video(tmp_path / "a.mp4", seconds=26, key_every=MOST_ASIDE + 50, size=(64, 48)))
    video.decoding = False
    with_pictures = []
    for number, step in enumerate(video.steps()):
        video.decoding = number >= MOST_ASIDE + 10
        with_pictures += [number] if step.pictures else []
    assert with_pictures[0] == MOST_ASIDE + 50
    assert video.decode_errors == 0
    video.close()


def test_of_a_backlog_each_small_picture_has_the_large_one_of_its_time() -> None:
    camera = Camera(name="dock", source="rtsp://127.0.0.1/large", substream="rtsp://127.0.0.1/small")
    source = PairedSource(camera, fps=5, clock=SystemClock(), stop=threading.Event())
    large = [Frame("dock", n, 100.0 + n / 10, Bgr(np.full((48, 64, 3), n, np.uint8))) for n in range(30)]
    waiting = iter(large)
    source._large.taken = lambda _timeout_s: next(waiting, None)  # type: ignore[method-assign]
    for n in range(15):
        small = Frame("dock", n, 100.0 + n / 5, Bgr(np.zeros((24, 32, 3), np.uint8)))
        assert source._detail_of(small, (64, 48)) is large[2 * n].picture
    late = Frame("dock", 15, 100.0 + 20.0, Bgr(np.zeros((24, 32, 3), np.uint8)))
    assert source._detail_of(late, (64, 48)) is None
