"""`labelwatch bench`: clips that are as they say, figures that follow from runs, and what it says where it can't."""

from __future__ import annotations

import importlib.util
import json
import math
import sys
from collections.abc import Iterable
from pathlib import Path
from xml.etree import ElementTree

import av
import numpy as np
import pytest

from detector.bench import machine
from detector.bench.clips import KEY_EVERY_S, SIZE, ClipMaker, Sequence
from detector.bench.comparison import NOT_THERE, BenchFailedError, _run, bench
from detector.bench.measuring import measured
from detector.bench.meter import Job, Meter, most_memory_mb
from detector.bench.plot import plot
from detector.bench.results import Results
from detector.bench.setups import DECODE, FPS, OURS, SHIPPED, TRACK, Setup, Taken, setups
from detector.bench.tables import markdown, tables
from detector.cli import main
from detector.errors import MissingPart, SourceUnavailable
from tests.conftest import REPOSITORY

DEMO = REPOSITORY / "configs" / "demo" / "sweep_near.mp4"
KEYS = {
    "ours_fps_per_cpu_s", "decode_fps_per_cpu_s", "track_fps_per_cpu_s", "ratio_to_track", "share_of_decode", "rss_mb",
    "times_real_time", "decode_share", "inference_share", "own_share", "track_rss_mb", "ratio_of_memory",
}  # fmt: skip
DECODING, TRACKING = Setup(DECODE), Setup(TRACK)


def run(fps: float, *, frames: int = 1000, decode: float = 0.5, inference: float = 0.4, rss_mb: float = 200.0) -> Taken:
    """A run of so many frames a processor second, which was spent so."""
    cpu_s = frames / fps
    return Taken(frames, frames // 4, cpu_s, cpu_s, decode * cpu_s, inference * cpu_s, rss_mb)


def results(*rounds: dict[Setup, Taken]) -> Results:
    """Of rounds in which both clips took the same."""
    return Results([{(clip, s): taken for clip in ("busy", "quiet") for s, taken in one.items()} for one in rounds])


def pictures(path: Path) -> Iterable[np.ndarray]:
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            yield frame.to_ndarray(format="gray").astype(np.int16)


@pytest.fixture(scope="module")
def of_the_demo() -> ClipMaker:
    return ClipMaker(DEMO)


class TestClips:
    def test_a_clip_is_as_cameras_send_it(self, of_the_demo: ClipMaker, tmp_path: Path) -> None:
        of_the_demo.make(Sequence("some", 0.5, 2.0, 0.5), tmp_path / "some.mp4")
        with av.open(str(tmp_path / "some.mp4")) as container:
            stream = container.streams.video[0]
            assert (stream.width, stream.height, stream.average_rate) == (*SIZE, FPS)
            assert (stream.codec_context.name, stream.codec_context.has_b_frames) == ("h264", 0)
            keys = [packet.is_keyframe for packet in container.demux(stream) if packet.size]
        assert [n for n, key in enumerate(keys) if key] == [0, KEY_EVERY_S * FPS]
        assert len(keys) == 3 * FPS

    def test_stillness_shows_the_place_with_nobody_in_it_under_noise(
        self, of_the_demo: ClipMaker, tmp_path: Path
    ) -> None:
        of_the_demo.make(Sequence("some", 1.0, 1.0, 1.0), tmp_path / "some.mp4")
        first, *others = pictures(tmp_path / "some.mp4")

        def changed(picture: np.ndarray) -> float:
            return float((np.abs(picture - first) > 40).mean())

        assert changed(others[FPS - 2]) < 0.001 and changed(others[-1]) < 0.001
        assert changed(others[FPS + 5]) > 0.01  # somebody stands there
        assert any((picture != first).any() for picture in others[: FPS - 1])

    def test_a_recording_shorter_than_what_is_shown_of_it_is_shown_again(
        self, of_the_demo: ClipMaker, tmp_path: Path
    ) -> None:
        of_the_demo.make(Sequence("short", 0.0, 0.4, 0.0), tmp_path / "short.mp4")
        ClipMaker(tmp_path / "short.mp4").make(Sequence("long", 0.0, 1.2, 0.0), tmp_path / "long.mp4")
        assert len(list(pictures(tmp_path / "long.mp4"))) == round(1.2 * FPS)

    @pytest.mark.parametrize("content", [b"", b"no video", DEMO.read_bytes()[:2000]], ids=["empty", "text", "cut off"])
    def test_what_is_no_recording_is_one_line(
        self, content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "some.mp4").write_bytes(content)
        assert main(["bench", str(tmp_path / "some.mp4")]) == 1
        said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("labelwatch: ")]
        assert len(said) == 1 and str(tmp_path / "some.mp4") in said[0]

    def test_a_recording_without_a_picture_is_said(self, tmp_path: Path) -> None:
        with av.open(str(tmp_path / "sound.mp4"), "w") as container:
            container.add_stream("aac", rate=8000)
        with pytest.raises(SourceUnavailable):
            ClipMaker(tmp_path / "sound.mp4")


class TestFigures:
    def test_ratios_are_taken_within_a_round(self) -> None:
        """The machine was three times as slow in one round: the ratio is that of each, not that of the medians."""
        found = results(
            {SHIPPED: run(300), TRACKING: run(100), DECODING: run(600)},
            {SHIPPED: run(100), TRACKING: run(50), DECODING: run(200)},
            {SHIPPED: run(290), TRACKING: run(145), DECODING: run(290)},
        ).record([])
        assert found["busy"]["ours_fps_per_cpu_s"] == 290.0
        assert found["busy"]["track_fps_per_cpu_s"] == 100.0
        assert found["busy"]["ratio_to_track"] == 2.0
        assert found["busy"]["share_of_decode"] == 0.5
        assert found["busy"]["times_real_time"] == 14.5

    def test_our_own_share_is_what_neither_decoding_nor_the_network_takes(self) -> None:
        found = results({SHIPPED: run(100, decode=0.25, inference=0.625)}).record([])["quiet"]
        assert (found["decode_share"], found["inference_share"], found["own_share"]) == (0.25, 0.625, 0.125)

    def test_each_side_is_compared_with_its_own(self) -> None:
        small = Setup(OURS, 416, gate=False)
        found = results({SHIPPED: run(100), small: run(180), TRACKING: run(50), Setup(TRACK, 416): run(90)}).record([])
        rows = {row["name"]: row["ratio_to_track"] for row in found["busy"]["configurations"]}
        assert rows[SHIPPED.name] == 2.0 and rows[small.name] == 2.0
        assert rows[TRACKING.name] is None

    def test_without_a_rival_nothing_is_made_up(self) -> None:
        found = results({SHIPPED: run(100), DECODING: run(500)}).record([])
        assert found["busy"].keys() >= KEYS
        assert {key for key in KEYS if found["busy"][key] is None} == {
            "track_fps_per_cpu_s", "ratio_to_track", "track_rss_mb", "ratio_of_memory",
        }  # fmt: skip
        goals = {goal["what"]: goal["met"] for goal in found["goals"]}
        assert goals["memory, of YOLO.track's"] is None and goals["quiet: of decoding alone"] is False

    @pytest.mark.parametrize(("rss_mb", "met"), [(240.0, True), (241.0, False)])
    def test_a_goal_is_met_or_missed(self, rss_mb: float, met: bool) -> None:
        found = results({SHIPPED: run(100, rss_mb=rss_mb), TRACKING: run(50, rss_mb=480.0)}).record([])
        (goal,) = (goal for goal in found["goals"] if goal["what"].startswith("memory"))
        assert goal["met"] is met

    def test_every_goal_is_about_something_that_is_measured(self) -> None:
        fast = ["bf16", "int8"]
        there = {clip: setups(clip, fast, True) for clip in ("busy", "quiet")}
        found = Results([{(clip, s): run(100) for clip, of_clip in there.items() for s in of_clip}])
        assert all(goal.measured is not None for goal in found.goals(fast))

    @pytest.mark.parametrize(("before", "wall_s", "said"), [(0.1, 10.0, 0), (64000.0, 10.0, 1), (0.1, 30.0, 1)])
    def test_a_busy_machine_is_warned_of(self, before: float, wall_s: float, said: int) -> None:
        assert len(machine.warnings(before, wall_s, 10.0)) == said


class TestProcesses:
    def test_a_job_comes_through_as_it_is(self, tmp_path: Path) -> None:
        job = Job(Setup(OURS, 416, "bf16", gate=False, zooms=0), tmp_path / "a.mp4", tmp_path / "b.mp4", 2.5, tmp_path)
        assert Job.of(job.json()) == job

    def test_time_is_counted_to_the_part_it_is_spent_in(self) -> None:
        meter = Meter()

        def burn() -> None:
            np.linalg.svd(np.random.default_rng(0).random((200, 200)))

        with meter.measuring():
            meter.timed("decode", burn)()
            meter.timed("inference", burn)()
            burn()
        assert min(meter.parts["inference"], meter.parts["decode"]) > 0
        assert sum(meter.parts.values()) <= meter.cpu_s

    def test_a_run_that_fails_says_why(self, tmp_path: Path) -> None:
        missing = tmp_path / "missing.mp4"
        with pytest.raises(BenchFailedError, match=r"decode only on missing\.mp4: .*No such file"):
            _run(Job(DECODING, missing, missing), tmp_path)

    def test_without_ultralytics_it_says_what_brings_it(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setitem(sys.modules, "ultralytics", None)
        for name in ("OPENCV_FFMPEG_CAPTURE_OPTIONS", "YOLO_OFFLINE", "YOLO_AUTOINSTALL"):
            monkeypatch.setenv(name, "")
        with pytest.raises(MissingPart, match="make setup-train"):
            measured(Job(TRACKING, tmp_path, tmp_path))

    def test_weights_that_are_not_there_are_said(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["bench", "--weights", str(tmp_path / "no.pt")]) == 2
        assert "no such file of weights" in capsys.readouterr().err

    def test_memory_is_this_process_s_own(self, tmp_path: Path) -> None:
        (tmp_path / "status").write_text("VmPeak: 9 kB\nVmHWM:\t  20480 kB\n")
        assert most_memory_mb(tmp_path / "status") == 20.0
        assert most_memory_mb(tmp_path / "elsewhere") > 1.0
        (tmp_path / "status").write_text("VmRSS:\t  20480 kB\n")  # as of a kernel that keeps no peak
        assert most_memory_mb(tmp_path / "status") > 1.0


def test_a_whole_bench_gives_finite_figures_that_its_tables_and_plot_show() -> None:
    steps: list[tuple[int, int]] = []
    figures = bench(
        DEMO,
        rounds=1,
        sequences=(Sequence("busy", 0.0, 1.0, 0.0), Sequence("quiet", 1.0, 0.0, 0.0)),
        choose=lambda clip, fast, track: [DECODING, SHIPPED] if clip == "busy" else [DECODING],
        progress=lambda what, done, of: steps.append((done, of)),
    )
    figures = json.loads(json.dumps(figures))
    for clip in ("busy", "quiet"):
        assert figures[clip].keys() >= KEYS
        told = {key: value for key, value in figures[clip].items() if isinstance(value, float)}
        assert all(math.isfinite(value) and value > 0 for value in told.values())
    told = figures["busy"]
    assert told["ours_fps_per_cpu_s"] < told["decode_fps_per_cpu_s"]
    assert sum(told[f"{part}_share"] for part in ("decode", "inference", "own")) == pytest.approx(1.0, abs=0.02)
    assert steps == [(n, 6) for n in range(7)]
    assert (NOT_THERE in figures["notes"]) is (importlib.util.find_spec("ultralytics") is None)

    names = [row["name"] for clip in ("busy", "quiet") for row in figures[clip]["configurations"]]
    page = markdown(figures)
    assert all(f"| {name} |" in page for name in names) and figures["machine"]["processor"] in page
    drawn = ElementTree.fromstring(plot(figures))
    assert {text.text for text in drawn.iter("{http://www.w3.org/2000/svg}text")} >= set(names)
    assert len(tables(figures)) == 3
