"""What side files cost: CPU time of remembering looks beside that of seeing them, and of writing ten minutes of them.

    python -m tests.bench.looks

Looks are those of `rules.py`'s crowd, 10 people with phones among 100 parcels, and of the shipped clip through the
shipped model. In one run, of one thread: a frame's time through the pipeline without, and what is added to it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from detector.alerts.looks import LookRing, write_side
from detector.assembly import build_pipeline
from detector.config import Camera, EdgeConfig
from detector.pipeline import Pipeline
from detector.sources.recording import Recording
from detector.values import Detections, Frame
from tests.bench.rules import FPS, seen
from tests.builders import frame
from tests.conftest import REPOSITORY

START = 1_800_000_000.0
CLIP = REPOSITORY / "configs" / "demo" / "sweep_near.mp4"
SEGMENT_S = 600.0


class Crowd:
    """A detector that sees what it is told to."""

    def __init__(self) -> None:
        self._noise = np.random.default_rng(0)
        self.found = Detections.empty()

    def detect(self, frame: object, people: object = ()) -> Detections:
        """The crowd."""
        return seen(self._noise)


def measured(pipeline: Pipeline, frames: list[Frame], ring: LookRing) -> tuple[float, float]:
    """CPU milliseconds a frame of the pipeline, and of what side files add to it."""
    believe, added = pipeline._photographing, 0.0

    def timed(scene: object) -> dict[int, float]:
        nonlocal added
        began = time.thread_time()
        beliefs = believe(scene)  # type: ignore[arg-type]
        added += time.thread_time() - began
        return beliefs

    pipeline._photographing = timed  # type: ignore[method-assign, assignment]
    began = time.thread_time()
    for shown in frames:
        pipeline.process(shown)
        at = time.thread_time()
        if pipeline.sight is not None:
            ring.append(pipeline.sight)
        added += time.thread_time() - at
    total = time.thread_time() - began
    return 1000 * (total - added) / len(frames), 1000 * added / len(frames)


def told(name: str, measure: Callable[[], tuple[float, float]]) -> None:
    """Print one comparison."""
    without, added = measure()
    print(f"{name:28} {without:8.3f} ms a frame without, {added:6.3f} ms added: {100 * added / without:.2f} %")


def main() -> None:
    """Measure and print."""
    camera = Camera(name="cam", source="cam.mp4")
    config = EdgeConfig(site="s", edge="e", data_dir=Path("unused"), cameras=[camera])
    ring = LookRing(5.0)
    ring.hold_from = START
    crowd = [frame(START + n / FPS) for n in range(int(SEGMENT_S * FPS) + 1)]
    told("crowd, without a model", lambda: measured(build_pipeline(config, camera, Crowd()), crowd, ring))
    looks, held = ring.held
    with TemporaryDirectory() as folder:
        began = time.thread_time()
        side = write_side(
            Path(folder) / "a", ring.between(0, 1e12), incident="i", segment=0, started_at=START, duration_s=SEGMENT_S,
            tracks=[1],
        )  # fmt: skip
        spent = time.thread_time() - began
    assert side is not None
    print(
        f"{looks} looks held in {held / 2**20:.1f} MiB; written in {1000 * spent:.0f} ms, {side.bytes / 2**20:.1f} MiB"
    )
    shown = list(Recording(CLIP, camera="cam", start_at=START, fps=FPS))
    told("shipped clip, shipped model", lambda: measured(build_pipeline(config, camera), shown, LookRing(60.0)))


if __name__ == "__main__":
    main()
