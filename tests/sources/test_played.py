"""Recordings played as a camera: at their pace, again and again, with a time that never steps back."""

from __future__ import annotations

import threading
from itertools import pairwise
from pathlib import Path

import pytest

from detector.config import Camera
from detector.errors import SourceUnavailable
from detector.media.packets import Packet
from detector.sources import open_source
from detector.sources.played import PlayedFile
from tests.builders import SteppedClock
from tests.sources.footage import make_video, number_of


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock(1_000_000.0)


@pytest.fixture
def stop() -> threading.Event:
    return threading.Event()


def play(path: Path, clock: SteppedClock, stop: threading.Event, **more: object) -> PlayedFile:
    return PlayedFile(path, camera="dock", fps=5, clock=clock, stop=stop, **more)  # type: ignore[arg-type]


def test_each_frame_comes_when_it_is_due(tmp_path: Path, clock: SteppedClock, stop: threading.Event) -> None:
    source = play(make_video(tmp_path / "a.mp4", seconds=4), clock, stop)
    began = clock.now()
    for frame in source:
        assert clock.now() == pytest.approx(frame.captured_at, abs=1e-6)
    assert clock.now() == pytest.approx(began + 3.8, abs=0.1)
    assert source.stats.state == "ended"
    assert (source.stats.frames_in, source.stats.analysed, source.stats.dropped) == (100, 20, 0)


def test_without_loop_a_slow_consumer_loses_nothing(tmp_path: Path, clock: SteppedClock, stop: threading.Event) -> None:
    source = play(make_video(tmp_path / "a.mp4", seconds=4), clock, stop)
    seen = 0
    for _ in source:
        clock.at += 3.0
        seen += 1
    assert (seen, source.stats.dropped) == (20, 0)


def test_a_loop_is_one_stream(tmp_path: Path, clock: SteppedClock, stop: threading.Event) -> None:
    packets: list[Packet] = []
    path = make_video(tmp_path / "a.mp4", seconds=2, b_frames=2)
    source = play(path, clock, stop, loop=True, on_packet=lambda packet, _: packets.append(packet))
    frames = []
    for frame in source:
        frames.append(frame)
        if len(frames) == 35:
            stop.set()
    times = [f.captured_at for f in frames]
    gaps = [b - a for a, b in pairwise(times)]
    assert min(gaps) > 0.1
    assert max(gaps) < 0.3
    assert times[-1] - times[0] == pytest.approx(34 / 5, abs=0.1)
    assert [number_of(f.image) for f in frames] == [f.index % 50 % 12 for f in frames]
    assert [p.at for p in packets] == sorted({p.at for p in packets})
    assert sum(p.key for p in packets) >= 6
    assert source.stats.state == "ended"


def test_a_slow_consumer_of_a_loop_loses_frames_and_keeps_the_pace(
    tmp_path: Path, clock: SteppedClock, stop: threading.Event
) -> None:
    source = play(make_video(tmp_path / "a.mp4", seconds=4), clock, stop, loop=True)
    began = clock.now()
    seen = 0
    for frame in source:
        assert clock.now() - frame.captured_at < 1.3
        clock.at += 1.0
        seen += 1
        if clock.now() - began > 20:
            stop.set()
    assert seen <= 22
    assert source.stats.dropped > 60


class SlowMachine(SteppedClock):
    """Whatever is done between two looks at the clock takes time; it is stopped after a minute."""

    def __init__(self, stop: threading.Event) -> None:
        super().__init__()
        self._stop = stop
        self._stop_at = self.at + 60

    def now(self) -> float:
        self.at += 0.05
        if self.at > self._stop_at:
            self._stop.set()
        return self.at


def test_a_loop_that_is_decoded_more_slowly_than_it_was_taken_is_seen_all_the_same(
    tmp_path: Path, stop: threading.Event
) -> None:
    clock = SlowMachine(stop)
    source = play(make_video(tmp_path / "a.mp4", seconds=4), clock, stop, loop=True)
    times = []
    for frame in source:
        assert clock.at - frame.captured_at < 12.0, "later than what it takes to decode the file"
        times.append(frame.captured_at)
    assert len(times) > 30
    assert times == sorted(set(times))


def test_a_folder_is_played_in_order_and_its_bad_file_skipped(
    tmp_path: Path, clock: SteppedClock, stop: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    make_video(tmp_path / "2.mp4", seconds=1, size=(64, 48))
    make_video(tmp_path / "10.mp4", seconds=1, size=(96, 64))
    (tmp_path / "3.mp4").write_text("no video")
    source = play(tmp_path, clock, stop)
    frames = list(source)
    assert [f.file for f in frames] == ["2.mp4"] * 5 + ["10.mp4"] * 5
    times = [f.captured_at for f in frames]
    assert times == sorted(set(times))
    assert [f.index for f in frames] == sorted({f.index for f in frames})
    assert "3.mp4: not a video file" in caplog.text
    assert "3.mp4" in (source.stats.last_error or "")


@pytest.mark.parametrize("loop", [False, True])
def test_nothing_readable_is_an_error(tmp_path: Path, clock: SteppedClock, stop: threading.Event, loop: bool) -> None:
    (tmp_path / "3.mp4").write_text("no video")
    for path, reason in ((tmp_path, "not a video file"), (tmp_path / "gone.mp4", "no such file")):
        with pytest.raises(SourceUnavailable, match=reason):
            list(play(path, clock, stop, loop=loop))


def test_stop_ends_it_between_frames(tmp_path: Path, clock: SteppedClock, stop: threading.Event) -> None:
    source = play(make_video(tmp_path / "a.mp4", seconds=4), clock, stop)
    frames = iter(source)
    next(frames)
    stop.set()
    assert list(frames) == []
    source.close()
    source.close()


def test_the_configuration_chooses_the_source(tmp_path: Path, clock: SteppedClock, stop: threading.Event) -> None:
    from detector.sources.live import LiveSource

    file = Camera(name="a", source=str(make_video(tmp_path / "a.mp4", seconds=1)), loop=False)
    assert len(list(open_source(file, fps=5, clock=clock, stop=stop))) == 5
    live = open_source(Camera(name="b", source="rtsp://10.0.0.9/stream"), fps=5, clock=clock, stop=stop)
    assert isinstance(live, LiveSource)
    live.close()
