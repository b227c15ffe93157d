"""A process that measures one thing once: a job enters as JSON on stdin, what it took leaves on stdout.

Each run has a process of its own, so that its memory and what it had to load are its own.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detector.bench.meter import Job, Meter, taken
from detector.bench.rival import track
from detector.bench.setups import ANALYSED_FPS, DECODE, FPS, MODEL, TRACK, Setup, Taken

if TYPE_CHECKING:
    from detector.config import Camera, EdgeConfig

MODEL_S = 1.0  # the network alone is called for so long


def measured(job: Job) -> Taken:
    """Do it.

    Raises:
        LabelwatchError: A clip or a model can't be read.
        MissingPart: Ultralytics isn't installed.
    """
    what = job.setup.what
    if what == TRACK:
        return track(job)
    if what == MODEL:
        return _model(job)
    return _decode(job) if what == DECODE else _ours(job)


def _ours(job: Job) -> Taken:
    """As `labelwatch replay` does: each file is looked at, and what was seen is judged."""
    from detector.assembly import build_judge
    from detector.inference.session import Session
    from detector.recorded.look_files import unpacked
    from detector.recorded.looking import look_at, task_of
    from detector.sources.video import Video

    meter = Meter()
    # Taking the file apart belongs to decoding, which can't be had without it, and is measured with it.
    Video.packets = meter.timed_steps("decode", Video.packets)  # type: ignore[method-assign]
    Video.decode = meter.timed("decode", Video.decode)  # type: ignore[method-assign]
    another = Video.another_decoder
    Video.another_decoder = lambda video: _Counted(another(video), meter)  # type: ignore
    Session.__call__ = meter.timed("inference", Session.__call__)  # type: ignore[method-assign]
    config, camera = configuration(job.setup)

    def once(clip: Path) -> tuple[int, int]:
        found = unpacked(look_at(task_of(clip, camera.name, config.analysis, fast_scan=job.setup.fast_scan)))
        judge = build_judge(config, camera)
        for look in found.looks:
            judge.judge(look)
        judge.finish()
        return round(found.read.seconds * FPS), len(found.looks)

    once(job.warm_up)
    with meter.measuring():
        frames, looks = once(job.clip)
    return taken(meter, frames, looks)


class _Counted:
    """A decoder whose time is counted."""

    def __init__(self, decoder: Any, meter: Meter) -> None:
        self._decoder = decoder
        self.decode = meter.timed("decode", decoder.decode)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._decoder, name)


def configuration(setup: Setup) -> tuple[EdgeConfig, Camera]:
    """The demo's, with zones of every kind that a rule watches."""
    from detector.config import Zone, load_edge
    from detector.machine.resources import resource

    config = load_edge(resource("configs", "demo", "demo.yaml"))
    looks = {"frame_side": setup.side, "precision": setup.precision, "gate": setup.gate, "zooms": setup.zooms}
    edge = Zone(name="edge", kind="blind_edge", polygon=[(0.0, 0.0), (0.05, 0.0), (0.05, 1.0), (0.0, 1.0)])
    camera = config.cameras[0].model_copy(update={"zones": [*config.cameras[0].zones, edge]})
    analysis = config.analysis.model_copy(update={**looks, "fps": ANALYSED_FPS})
    return config.model_copy(update={"analysis": analysis, "cameras": [camera]}), camera


def _decode(job: Job) -> Taken:
    from detector.media.containers import open_recording

    def once(clip: Path) -> int:
        with open_recording(clip) as container:
            container.streams.video[0].codec_context.thread_count = 1
            return sum(1 for _ in container.decode(video=0))

    meter = Meter()
    once(job.warm_up)
    with meter.measuring():
        frames = once(job.clip)
    meter.parts["decode"] = meter.cpu_s
    return taken(meter, frames, 0)


def _model(job: Job) -> Taken:
    import numpy as np

    from detector.inference.card import find_card
    from detector.inference.session import Session

    session = Session(find_card(configuration(job.setup)[0].analysis.model), job.setup.precision)
    height = -(-job.setup.side * 9 // 16 // 32) * 32  # of a 16:9 camera
    picture = np.random.default_rng(3).random((1, 3, height, job.setup.side), np.float32)
    session(picture)
    meter, calls = Meter(), 0
    with meter.measuring():
        began = time.process_time()
        while time.process_time() - began < MODEL_S:
            session(picture)
            calls += 1
    meter.parts["inference"] = meter.cpu_s
    return taken(meter, calls, calls)


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asdict(measured(Job.of(sys.stdin.read())))) + "\n")
