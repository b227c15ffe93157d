"""A fast scan looks at key frames, and at everything round those in which something changed or somebody is."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from detector.config import Analysis
from detector.inference.looker import SceneLooker
from detector.recorded import looking
from detector.recorded.look_files import FileLooks, unpacked
from detector.recorded.looking import look_at, task_of
from detector.recorded.scanning import LOOK_EVERY_S, KeyFrameScan
from detector.values import Detections, Frame
from tests.builders import detections, frame
from tests.inference.clocked import Recorder

MOVES = (24.0, 30.0)  # seconds in which something crosses the picture


def make_scene(path: Path, seconds: int = 60, fps: int = 10, begins_s: int = 0) -> Path:
    """An empty place that something crosses once; the file's own times begin at `begins_s`."""
    noise = np.random.default_rng(1)
    place = noise.integers(60, 120, (30, 40), np.uint8).repeat(8, 0).repeat(8, 1)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        stream.options = {"preset": "ultrafast", "g": str(2 * fps), "sc_threshold": "0"}
        for n in range(seconds * fps):
            grey = place.copy()
            if MOVES[0] <= n / fps < MOVES[1]:
                x = round(40 * (n / fps - MOVES[0]))
                grey[100:160, x : x + 24] = 220
            picture = av.VideoFrame.from_ndarray(grey, "gray").reformat(format="yuv420p")
            picture.pts = begins_s * fps + n
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path


def make_clocked(path: Path, seconds: float = 180) -> Path:
    """A still place with a clock printed into it."""
    place = np.random.default_rng(1).integers(60, 120, (36, 64, 1), np.uint8).repeat(3, 2)
    return Recorder((320, 180), 12, fps=4, mbit_s=0.2).hangs(path, place, seconds, 0)


class Staying:
    """Sees somebody who stands still from one time to another."""

    def __init__(self, begin: float, end: float) -> None:
        self.begin, self.end = begin, end

    def detect(self, frame: Frame, people: object = (), turns: object = None) -> Detections:
        there = self.begin <= frame.captured_at < self.end
        return detections([("person", (200, 60, 230, 150), 0.9)] if there else [])


def looked(path: Path, monkeypatch: pytest.MonkeyPatch, seen: Staying, *, fast_scan: bool) -> FileLooks:
    monkeypatch.setattr(looking, "load", lambda analysis: seen)
    return unpacked(look_at(task_of(path, "dock", Analysis(), fast_scan=fast_scan)))


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_scene(tmp_path_factory.mktemp("scene") / "a.mp4")


def test_what_moves_is_looked_at_as_without_and_the_rest_is_told(scene: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nobody = Staying(-1, -1)
    fast = looked(scene, monkeypatch, nobody, fast_scan=True)
    whole = looked(scene, monkeypatch, nobody, fast_scan=False)
    during = [look.captured_at for look in whole.looks if MOVES[0] <= look.captured_at < MOVES[1]]
    assert len(during) >= 28
    assert [look.captured_at for look in fast.looks if MOVES[0] <= look.captured_at < MOVES[1]] == during
    assert fast.read.seconds == pytest.approx(whole.read.seconds)
    assert fast.read.frame_s == pytest.approx(whole.read.frame_s)
    assert fast.read.decoded + fast.read.undecoded == whole.read.decoded
    assert fast.read.undecoded > whole.read.decoded / 2
    assert whole.read.scanned == ()
    times = [look.captured_at for look in fast.looks]
    assert times == sorted(set(times))
    assert max(np.diff([0.0, *times, 60.0])) <= LOOK_EVERY_S + 2.1, "nothing is out of sight for long"


def test_somebody_who_stands_still_is_found_and_looked_at_closely(scene: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fast = looked(scene, monkeypatch, Staying(36, 56), fast_scan=True)
    people = [look.captured_at for look in fast.looks if len(look.detections)]
    assert len(people) >= 5 * 8
    assert people[0] <= 36 + LOOK_EVERY_S


@pytest.mark.parametrize("begins_s", [0, 3 * 3600])
def test_a_file_in_which_time_begins_again_is_scanned_to_its_end(
    begins_s: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where recordings were joined, or a recorder wrote on after it had lost its camera for hours."""
    parts = make_scene(tmp_path / "1.mkv", 40, begins_s=begins_s), make_scene(tmp_path / "2.mkv", 40)
    joined = tmp_path / "joined.mkv"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    fast = looked(joined, monkeypatch, Staying(-1, -1), fast_scan=True)
    whole = looked(joined, monkeypatch, Staying(-1, -1), fast_scan=False)
    assert fast.read.seconds == pytest.approx(whole.read.seconds, abs=0.2)
    assert fast.read.decoded + fast.read.undecoded == whole.read.decoded
    moving = {look.captured_at for look in whole.looks if MOVES[0] <= look.captured_at % 40 < MOVES[1]}
    assert len(moving) >= 2 * 28
    assert moving <= {look.captured_at for look in fast.looks}


@pytest.mark.parametrize("step_s", [0.0, -2.0])
def test_all_is_wanted_of_a_file_whose_time_does_not_go_on(step_s: float) -> None:
    scan = KeyFrameScan(SceneLooker(Staying(-1, -1)))
    assert [scan.changed(frame(100 + n * step_s)) for n in range(5)] == [True] * 5


def test_whoever_stands_still_where_time_begins_again_is_found() -> None:
    scan = KeyFrameScan(SceneLooker(Staying(0, 50)))
    first, again = [frame(at) for at in range(100, 140, 2)], [frame(at) for at in range(0, 40, 2)]
    assert not any([scan.changed(one) for one in first][1:])
    assert sum(scan.changed(one) for one in again) >= 1 + 38 // LOOK_EVERY_S


def test_results_of_both_ways_have_names_of_their_own(scene: Path) -> None:
    assert task_of(scene, "dock", Analysis()).name != task_of(scene, "dock", Analysis(), fast_scan=True).name


def test_a_clock_printed_into_the_picture_calls_for_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = looked(make_clocked(tmp_path / "a.mp4"), monkeypatch, Staying(-1, -1), fast_scan=True).read
    assert max(end - begin for begin, end in read.scanned) > 100
    assert read.undecoded > read.decoded


def test_pictures_of_another_size_are_judged_without_the_clock_of_those_before() -> None:
    scan = KeyFrameScan(SceneLooker(Staying(-1, -1)), printed=lambda: np.ones((48, 64), np.bool_))
    found = [scan.changed(frame(float(n), (64, 48) if n < 6 else (128, 96))) for n in range(12)]
    assert [found[5], found[6], found[11]] == [False, True, False]
