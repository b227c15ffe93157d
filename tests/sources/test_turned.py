"""Pictures that are stored turned: by phones held upright, and by cameras that hang on their side or upside down."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from av.bitstream import BitStreamFilterContext
from hypothesis import given
from hypothesis import strategies as st

from detector.alerts.clips import ClipRecorder, Segment
from detector.alerts.cutting import cut_recording
from detector.alerts.joined import Part, join
from detector.clock import SystemClock
from detector.config import Camera
from detector.edge.learned import LearnedFile
from detector.errors import SourceUnavailable
from detector.hub.footage.copying import Job, make
from detector.media.containers import turn_of
from detector.media.packets import PacketRing
from detector.media.pictures import Bgr
from detector.media.shape import AS_TOLD, Shape, across, shown, shown_size
from detector.sources import open_source
from detector.sources.recording import RecordedPicture, Recording
from tests.sources.conftest import RtspServer
from tests.sources.footage import make_turned, make_video
from tests.sources.test_live import Watcher, soon

QUARTERS = [90, 180, 270]
UPRIGHT = (320, 192)


def stored(turn: int) -> Callable[[int], np.ndarray]:
    """What is stored of a scene that is light at its top left, where it has to be turned to be upright."""
    upright = np.full((UPRIGHT[1], UPRIGHT[0], 3), 40, np.uint8)
    upright[: UPRIGHT[1] // 2, : UPRIGHT[0] // 2] = 200
    lying = np.ascontiguousarray(np.rot90(upright, turn // 90))
    return lambda number: lying


def film(path: Path, turn: int, **how: object) -> Path:
    return make_video(
        path, size=across(UPRIGHT, turn), draw=stored(turn), seconds=3, fps=10, key_every=10, **how  # type: ignore[arg-type]
    )  # fmt: skip


def is_upright(image: np.ndarray) -> bool:
    height, width = image.shape[0] // 2, image.shape[1] // 2
    light = [
        int(part.mean()) > 120
        for part in (image[:height, :width], image[:height, width:], image[height:, :width], image[height:, width:])
    ]
    return (image.shape[1], image.shape[0]) == UPRIGHT and light == [True, False, False, False]


def first_of(path: Path, shape: Shape = AS_TOLD) -> np.ndarray:
    return next(iter(Recording(path, camera="dock", start_at=0.0, fps=5, shape=shape))).image


@given(data=st.data())
def test_a_part_of_a_turned_picture_is_that_part_of_the_whole(data: st.DataObject) -> None:
    size = data.draw(st.tuples(st.integers(2, 40), st.integers(2, 40)))
    shape = Shape(data.draw(st.none() | st.floats(0.5, 2.0)), data.draw(st.sampled_from([0, *QUARTERS])))
    image = np.random.default_rng(3).integers(0, 255, (size[1], size[0], 3)).astype(np.uint8)
    picture = shown(Bgr(image), shape)
    assert picture.size == shown_size(size, shape) == picture.bgr().shape[1::-1] == picture.luma().shape[::-1]
    assert picture.resized(7, 5).shape == (5, 7, 3)
    assert picture.turn == shape.turn
    if shape.aspect is None:
        left, top = data.draw(st.integers(0, picture.size[0])), data.draw(st.integers(0, picture.size[1]))
        right, bottom = data.draw(st.integers(left, picture.size[0])), data.draw(st.integers(top, picture.size[1]))
        np.testing.assert_array_equal(picture.cropped(left, top, right, bottom), picture.bgr()[top:bottom, left:right])
        np.testing.assert_array_equal(picture.bgr(), np.rot90(image, -(shape.turn or 0) // 90))


@pytest.mark.parametrize("turn", QUARTERS)
@pytest.mark.parametrize("said_by", ["the film", "the configuration", "the configuration against the film"])
def test_a_recording_s_pictures_and_clips_are_upright(tmp_path: Path, turn: int, said_by: str) -> None:
    path, shape = film(tmp_path / "level.mp4", turn), Shape(turn=turn)
    if said_by == "the film":
        path, shape = make_turned(tmp_path / "a.mp4", -turn, path), AS_TOLD
    if said_by == "the configuration against the film":
        path = make_turned(tmp_path / "a.mp4", 90, path) if turn != 270 else make_turned(tmp_path / "a.mp4", 0, path)
    assert is_upright(first_of(path, shape))
    recorded = RecordedPicture(path, 1.0, UPRIGHT, shape)
    assert is_upright(recorded.bgr())
    assert recorded.turn == turn
    # Whoever plays a clip sees it upright, too: it says so itself.
    cuts = [cut_recording(path, at, at + 0.9, tmp_path / f"{at}.mp4", shape=shape) for at in (0.0, 2.0)]
    whole = join([Part(cuts[0].path, 0.0), Part(cuts[1].path, 2.0)], tmp_path / "whole.mp4")
    assert all(is_upright(first_of(cut.path)) for cut in (*cuts, whole))


def test_a_film_that_says_nothing_is_looked_at_as_it_is(tmp_path: Path) -> None:
    assert not is_upright(first_of(film(tmp_path / "a.mp4", 180)))


def test_a_film_that_is_wrong_about_itself_is_put_right_by_the_configuration(tmp_path: Path) -> None:
    path = make_turned(tmp_path / "a.mp4", 90, film(tmp_path / "level.mp4", 0))
    assert is_upright(first_of(path, Shape(turn=0)))
    assert is_upright(first_of(cut_recording(path, 0.0, 1.0, tmp_path / "cut.mp4", shape=Shape(turn=0)).path))


def test_a_mirrored_film_is_refused(tmp_path: Path) -> None:
    level = film(tmp_path / "level.mp4", 0)
    with av.open(str(level)) as source, av.open(str(tmp_path / "a.mp4"), "w") as target:
        copy = target.add_stream_from_template(source.streams.video[0])
        copy.set_display_rotation(0, hflip=True)
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = copy
                target.mux(packet)
    with pytest.raises(SourceUnavailable, match="its pictures are turned"):
        list(Recording(tmp_path / "a.mp4", camera="dock", start_at=0.0, fps=5))


@pytest.mark.parametrize("said", [90, 180])
def test_what_a_camera_says_in_its_key_frames_is_left_out_as_browsers_leave_it_out(tmp_path: Path, said: int) -> None:
    """Supplemental information on the display's orientation, ITU-T H.264, D.2.25."""
    path = tmp_path / "a.mp4"
    with av.open(str(film(tmp_path / "level.mp4", 0))) as source, av.open(str(path), "w") as target:
        copy = target.add_stream_from_template(source.streams.video[0])
        saying = BitStreamFilterContext(f"h264_metadata=display_orientation=insert:rotate={said}", copy)
        for packet in source.demux(video=0):
            for one in saying.filter(packet if packet.size else None):
                one.stream = copy
                target.mux(one)
    with av.open(str(path)) as container:
        assert {abs(frame.rotation) for frame in container.decode(video=0)} == {0, said}
    for shape in (AS_TOLD, Shape(turn=0)):
        cut = cut_recording(path, 0.0, 2.0, tmp_path / "cut.mp4", shape=shape)
        for clip in (path, cut.path):
            frames = Recording(clip, camera="dock", start_at=0.0, fps=5, shape=shape)
            assert all(is_upright(frame.image) for frame in frames)
    copy = tmp_path / "copy.mp4"
    make(Job(str(cut.path), str(copy), None, None, 0.0, "UTC", 2.0, 60, 1 << 30))
    assert all(is_upright(frame.image) for frame in Recording(copy, camera="dock", start_at=0.0, fps=5))


def test_a_turned_film_is_upright_while_its_camera_rests_and_after(tmp_path: Path) -> None:
    path = make_turned(tmp_path / "a.mp4", -90, film(tmp_path / "level.mp4", 90))
    recording = Recording(path, camera="dock", start_at=0.0, fps=10)
    recording.rest(True)
    frames = iter(recording)
    seen = [next(frames), next(frames)]
    recording.rest(False)
    seen += frames
    assert len(seen) > 5
    assert all(is_upright(frame.image) for frame in seen)


def test_a_turned_film_with_a_damaged_beginning_is_upright(tmp_path: Path) -> None:
    path = make_turned(tmp_path / "a.mp4", -90, film(tmp_path / "level.mp4", 90))
    content = bytearray(path.read_bytes())
    at = content.index(b"mdat") + 4
    content[at + 700 : at + 760] = bytes(60)
    path.write_bytes(content)
    recording = Recording(path, camera="dock", start_at=0.0, fps=10)
    frames = list(recording)
    assert recording.decode_errors
    assert frames and is_upright(frames[-1].image)


def test_clips_turned_otherwise_are_not_joined(tmp_path: Path) -> None:
    clips = [
        make_turned(tmp_path / f"{turn}.mp4", -turn, film(tmp_path / f"level{turn}.mp4", turn)) for turn in (90, 270)
    ]
    with pytest.raises(SourceUnavailable, match="coded otherwise"):
        join([Part(clips[0], 0.0), Part(clips[1], 3.0)], tmp_path / "whole.mp4")


@pytest.fixture(scope="session")
def phone_film(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("phone")
    return make_turned(folder / "a.mp4", -90, film(folder / "level.mp4", 90)).read_bytes()


@given(data=st.data())
def test_what_is_no_film_says_nothing_of_how_it_is_turned(phone_film: bytes, data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.mp4")
        content = bytearray(phone_film)
        begin = content.index(b"moov") - 4
        for _ in range(data.draw(st.integers(1, 6))):
            content[data.draw(st.integers(begin, len(content) - 1))] = data.draw(st.integers(0, 255))
        path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
        assert turn_of(path) in (0, 90, 180, 270)
    assert turn_of(path) == 0


@pytest.mark.parametrize("killed", [False, True])
@pytest.mark.parametrize("said_by", ["the film", "the configuration"])
def test_a_played_film_and_its_clips_are_upright(tmp_path: Path, said_by: str, *, killed: bool) -> None:
    path = film(tmp_path / "level.mp4", 90)
    if said_by == "the film":
        path = make_turned(tmp_path / "a.mp4", -90, path)
    camera = Camera(name="dock", source=str(path), turned=None if said_by == "the film" else 90)
    ring, segments = PacketRing(10), list[Segment]()
    recorder, after_it = (
        ClipRecorder(
            tmp_path / "clips", ring, pre_roll_s=1.0, post_roll_s=9.0, on_segment=segments.append, shape=camera.shape
        )
        for _ in range(2)
    )
    source = open_source(camera, fps=5, clock=SystemClock(), stop=threading.Event(), on_packet=ring.append)
    for number, frame in enumerate(source):
        assert is_upright(frame.image)
        if number == 2:
            recorder.start_or_extend("i1", frame.captured_at)
        recorder.tick(frame.captured_at)
    source.close()
    if killed:
        after_it.salvage()
    else:
        recorder.finish()
    assert len(segments) == 1
    assert is_upright(first_of(segments[0].path))


@pytest.mark.parametrize("now", [None, 90])
def test_what_a_run_left_unfinished_is_upright_however_the_camera_is_set_now(tmp_path: Path, now: int | None) -> None:
    ring, segments = PacketRing(10), list[Segment]()
    before, after = (
        ClipRecorder(
            tmp_path / "clips",
            ring,
            pre_roll_s=1.0,
            post_roll_s=9.0,
            on_segment=segments.append,
            shape=Shape(turn=turn),
        )
        for turn in (180, now)
    )
    path = film(tmp_path / "a.mp4", 180)
    for frame in Recording(path, camera="dock", start_at=1000.0, fps=5, on_packet=ring.append, shape=Shape(turn=180)):
        before.start_or_extend("i1", frame.captured_at)
        before.tick(frame.captured_at)
    assert after.salvage() == 1
    assert is_upright(first_of(segments[0].path))


def test_a_live_camera_that_hangs_upside_down_is_upright_and_its_clips_are(
    rtsp_server: Callable[..., RtspServer], tmp_path: Path
) -> None:
    footage = film(tmp_path / "a.h264", 180, form="h264")
    camera = Camera(name="dock", source=rtsp_server(footage=footage).url, turned=180)
    ring, segments = PacketRing(10), list[Segment]()
    watcher = Watcher(camera, on_packet=ring.append)
    recorder = ClipRecorder(
        tmp_path / "clips", ring, pre_roll_s=1.0, post_roll_s=0.5, on_segment=segments.append, shape=camera.shape
    )
    try:
        assert watcher.sees_more(10)
        assert all(is_upright(frame.image) for frame in watcher.frames)
        recorder.start_or_extend("i1", watcher.frames[-1].captured_at)
        assert soon(lambda: recorder.tick(watcher.frames[-1].captured_at) or bool(segments))
        assert is_upright(first_of(segments[0].path))
    finally:
        watcher.stop.set()
        watcher.source.close()


def test_a_camera_turned_otherwise_learns_its_view_anew(tmp_path: Path) -> None:
    before, after = LearnedFile.of(tmp_path, "dock", 0), LearnedFile.of(tmp_path, "dock", 180)
    before.save({"view": {"seen_s": 60.0}})
    assert after.load() == {}
    assert LearnedFile.of(tmp_path, "dock", 0).load() == {"view": {"seen_s": 60.0}}
