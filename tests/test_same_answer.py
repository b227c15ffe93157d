"""Live and replay over the same frames: the same incidents, to the id."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import pytest

from detector.alerts.cutting import cut_recording
from detector.alerts.identity import load_identity
from detector.alerts.outbox import Outbox
from detector.alerts.sink import AlertSink
from detector.assembly import build_pipeline
from detector.clock import iso, unix
from detector.config import Analysis, Camera, EdgeConfig
from detector.edge.camera_worker import CameraWorker
from detector.media.packets import PacketRing
from detector.replay import replay
from detector.sources.played import PlayedFile
from tests.builders import SteppedClock
from tests.conftest import REPOSITORY

START = unix("2026-11-01T09:26:00.125Z")
SWEEP = REPOSITORY / "configs" / "demo" / "sweep_near.mp4"
PATCH = REPOSITORY / "tests" / "clips" / "patch_18_up.mp4"


def edge(folder: Path, fps: float = 5) -> EdgeConfig:
    camera = Camera(name="gate", source="rtsp://127.0.0.1/gate", recordings=["*"])
    return EdgeConfig(site="s", edge="e", data_dir=folder, cameras=[camera], analysis=Analysis(fps=fps))


def watched(video: Path, config: EdgeConfig) -> list[dict[str, Any]]:
    """What a worker's camera tells its hub in the end, when it is shown a video as if it happened now."""
    folder, clock, stop, ring = config.data_dir, SteppedClock(START), threading.Event(), PacketRing(60)
    camera = config.cameras[0]
    outbox = Outbox(folder / "outbox.db", load_identity(folder), clock=clock)
    worker = CameraWorker(
        camera,
        build=lambda: build_pipeline(config, camera),
        open_source=lambda on_packet: PlayedFile(
            video, camera=camera.name, fps=config.analysis.fps, clock=clock, stop=stop, on_packet=on_packet
        ),
        sink=AlertSink(config, camera, outbox, ring),
        ring=ring,
        clock=clock,
        stop=stop,
    )
    worker.start()
    assert worker.join(120) and not worker.crashes
    told = sorted((json.loads(row.payload) for row in outbox.take_due(10_000)), key=lambda fields: fields["seq"])
    outbox.close()
    return [
        the_same_of(fields["after"], lambda act: act["started_at_unix"]) for fields in told if fields["phase"] == "end"
    ]


def replayed(videos: list[Path], config: EdgeConfig, jobs: int = 1) -> list[dict[str, Any]]:
    """What a replay of recordings finds that follow each other."""
    out = config.data_dir / "out"
    replay(videos, config, out, start=START, jobs=jobs)
    found = map(json.loads, (out / "incidents.jsonl").read_text(encoding="utf-8").splitlines())
    return [
        the_same_of(one, lambda act, one=one: unix(one["started_at"]) - one["start_offset_s"] + act["start_offset_s"])
        for one in found
    ]


def the_same_of(incident: dict[str, Any], begins: Callable[[dict[str, Any]], float]) -> dict[str, Any]:
    """What must not depend on who looked: all but where the pictures lie."""
    names = "id camera kind findings severity score zone started_at ended_at tracks labels_exposed facts sentence"
    acts = [(a["kind"], a["track"], a["score"], a["parcels"], iso(begins(a))) for a in incident["acts"]]
    return {name: incident[name] for name in names.split()} | {"acts": acts}


def as_filmed(
    clip: Path, out: Path, *, until_s: float, fps: int | None = None, lost: frozenset[int] = frozenset(),
    b_frames: int = 2,
) -> Path:  # fmt: skip
    """A clip's beginning, encoded anew: at another rate, without the frames that were lost, each at its own time."""
    with av.open(str(clip)) as source, av.open(str(out), "w") as made:
        stream = made.add_stream("libx264", rate=20)
        stream.width, stream.height = source.streams.video[0].width, source.streams.video[0].height
        stream.pix_fmt = "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        stream.options = {"preset": "ultrafast", "g": "1" if not b_frames else "10", "bf": str(b_frames)}
        shot = ((f.time or n / 4, f) for n, f in enumerate(source.decode(video=0)))  # the patch's own times stand still
        taken = [(time, f) for time, f in shot if time < until_s]
        times = [n / fps for n in range(round(until_s * fps))] if fps else [time for time, _ in taken]
        for number, at in enumerate(times):
            if number not in lost:
                shown = [f for time, f in taken if time <= at + 1e-6][-1]
                picture = shown.reformat(format="yuv420p")
                picture.pts, picture.time_base = round(at * 1000), Fraction(1, 1000)
                made.mux(stream.encode(picture))
        made.mux(stream.encode(None))
    return out


def test_of_parcels_turned_label_up_with_frames_missing(tmp_path: Path) -> None:
    lost = frozenset(n for n in range(100) if random.Random(n).random() < 0.2)
    video = as_filmed(PATCH, tmp_path / "lossy.mp4", until_s=60.0, lost=lost)
    (live,) = watched(video, edge(tmp_path))
    assert live["kind"] == "orientation_pattern"
    assert replayed([video], edge(tmp_path)) == [live]


def test_of_a_sweep_that_runs_over_files_which_begin_between_two_steps_of_looking(tmp_path: Path) -> None:
    photos = cut_recording(SWEEP, 2.0, 10.0, tmp_path / "cut" / "photos.mp4").path
    video = as_filmed(photos, tmp_path / "whole.mp4", until_s=8.0, fps=10, b_frames=0)
    borders = [0.0, 2.1, 4.8, 20.0]
    files = [
        cut_recording(video, begin + 0.01, end - 0.05, tmp_path / "cut" / f"{n}.mp4")
        for n, (begin, end) in enumerate(pairwise(borders))
    ]
    assert [file.start_s for file in files] == pytest.approx(borders[:-1])
    config = edge(tmp_path, fps=3)  # enough for photos that are near
    (live,) = watched(video, config)
    assert live["kind"] == "label_photography"
    assert replayed([file.path for file in files], config, jobs=2) == [live]


def test_of_parcels_turned_label_up(tmp_path: Path) -> None:
    (live,) = watched(PATCH, edge(tmp_path))
    assert live["kind"] == "orientation_pattern"
    assert replayed([PATCH], edge(tmp_path)) == [live]
