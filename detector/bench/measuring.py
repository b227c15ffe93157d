"""A process that measures one thing once: a job enters as JSON on stdin, what it took leaves on stdout.

Each run has a process of its own, so that its memory and what it had to load are its own.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detector.bench.setups import ANALYSED_FPS, DECODE, FPS, MODEL, TRACK, Setup, Taken

if TYPE_CHECKING:
    from detector.config import Camera, EdgeConfig

MODEL_S = 1.0  # the network alone is called for so long


@dataclass(frozen=True, slots=True)
class Job:
    """Measure this setup on this clip.

    Attributes:
        setup: What.
        clip: On what.
        warm_up: A short clip that everything is run on before, so that loading isn't counted.
        most_s: Seconds of the clip, at most; for what costs the same whatever is shown.
        weights: Of Ultralytics; untrained ones where left out.
    """

    setup: Setup
    clip: Path
    warm_up: Path
    most_s: float | None = None
    weights: Path | None = None

    def json(self) -> str:
        """For the process."""
        return json.dumps(asdict(self), default=str)

    @classmethod
    def of(cls, text: str) -> Job:
        """As it was before `json`."""
        fields: dict[str, Any] = json.loads(text)
        weights = fields["weights"]
        return cls(
            Setup(**fields["setup"]),
            Path(fields["clip"]),
            Path(fields["warm_up"]),
            fields["most_s"],
            Path(weights) if weights else None,
        )


@dataclass(slots=True)
class Meter:
    """Where processor time goes while it measures."""

    cpu_s: float = 0.0
    wall_s: float = 0.0
    parts: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def measuring(self) -> Iterator[None]:
        """Count from nothing what goes on within."""
        self.parts.clear()
        wall, cpu = time.monotonic(), time.process_time()
        yield
        self.cpu_s, self.wall_s = time.process_time() - cpu, time.monotonic() - wall

    def timed(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, counted to a part."""

        @wraps(function)
        def counted(*arguments: Any, **named: Any) -> Any:
            began = time.process_time()
            try:
                return function(*arguments, **named)
            finally:
                self.parts[part] = self.parts.get(part, 0.0) + time.process_time() - began

        return counted

    def timed_steps(self, part: str, function: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
        """The generator function, each step of it counted to a part."""

        @wraps(function)
        def counted(*arguments: Any, **named: Any) -> Iterator[Any]:
            step = self.timed(part, function(*arguments, **named).__next__)
            with suppress(StopIteration):
                while True:
                    yield step()

        return counted


def measured(job: Job) -> Taken:
    """Do it.

    Raises:
        LabelwatchError: A clip or a model can't be read.
        MissingPart: Ultralytics isn't installed.
    """
    what = job.setup.what
    if what == TRACK:
        from detector.bench.rival import track

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
    from detector.resources import resource

    config = load_edge(resource("configs", "demo", "demo.yaml"))
    looks = {"frame_side": setup.side, "precision": setup.precision, "gate": setup.gate, "zooms": setup.zooms}
    edge = Zone(name="edge", kind="blind_edge", polygon=[(0.0, 0.0), (0.05, 0.0), (0.05, 1.0), (0.0, 1.0)])
    camera = config.cameras[0].model_copy(update={"zones": [*config.cameras[0].zones, edge]})
    analysis = config.analysis.model_copy(update={**looks, "fps": ANALYSED_FPS})
    return config.model_copy(update={"analysis": analysis, "cameras": [camera]}), camera


def _decode(job: Job) -> Taken:
    from detector.containers import open_recording

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


def taken(meter: Meter, frames: int, looks: int, note: str = "") -> Taken:
    """What a run took."""
    decode_s, inference_s = (meter.parts.get(part, 0.0) for part in ("decode", "inference"))
    return Taken(frames, looks, meter.cpu_s, meter.wall_s, decode_s, inference_s, most_memory_mb(), note)


def most_memory_mb(status: Path = Path("/proc/self/status")) -> float:
    """The most memory this process ever held, MB."""
    try:
        lines = status.read_text(encoding="utf-8").splitlines()
    except OSError:
        # Of the process that started this one too, where that was larger; hence the file first.
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / 2**20 if sys.platform == "darwin" else peak / 2**10
    return next(float(line.split()[1]) / 2**10 for line in lines if line.startswith("VmHWM:"))


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asdict(measured(Job.of(sys.stdin.read())))) + "\n")
