"""Where the CPU time of looking and judging goes, stage by stage; run by hand:

    python -m tests.bench.fastpath CLIP [--precision auto] [--side 640] [--no-gate] [--zooms 4]

Each stage's own time, without that of the stages it calls, of one thread (`thread_time`, so what else the machine does
matters little). Decoding alone is measured first, over the same file. `tests/bench` has the other figures.
"""

from __future__ import annotations

import argparse
import functools
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2

import detector.inference.detector as looking
import detector.inference.looker as looker
from detector.assembly import build_pipeline
from detector.config import Analysis, load_edge
from detector.inference.gate import MotionGate
from detector.inference.letterbox import Letterbox
from detector.inference.session import Session
from detector.inference.view import ViewGauge
from detector.sources.decoded import Yuv
from detector.sources.recording import Recording
from detector.sources.video import Video
from detector.tracking.people import PeopleTracker
from tests.conftest import REPOSITORY

STAGES: list[tuple[Any, str, str]] = [
    (Video, "decode", "decode"),
    (ViewGauge, "glance", "sample"),
    (ViewGauge, "measure", "view measure"),
    (MotionGate, "moves", "gate"),
    (Yuv, "resized", "resize and convert"),
    (Yuv, "cropped", "crop and convert"),
    (Letterbox, "__call__", "letterbox: canvas, floats"),
    (Session, "__call__", "network"),
    (looking, "decode", "outputs, NMS"),
    (looking, "sharpened", "axes of labels"),
    (looking, "merged", "merge of looks"),
    (looking.SceneDetector, "look", "detector, rest"),
    (PeopleTracker, "update", "people followed"),
    (looker, "sound", "soundness"),
]


class Clock:
    """Own time of nested stages."""

    def __init__(self) -> None:
        self.spent: Counter[str] = Counter()  # microseconds
        self.calls: Counter[str] = Counter()
        self._inner: list[int] = []

    def timed(self, name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        """The same work, measured."""

        @functools.wraps(work)
        def measured(*args: Any, **options: Any) -> Any:
            began = time.thread_time_ns()
            self._inner.append(0)
            try:
                return work(*args, **options)
            finally:
                took = time.thread_time_ns() - began
                self.spent[name] += (took - self._inner.pop()) // 1000
                self.calls[name] += 1
                if self._inner:
                    self._inner[-1] += took

        return measured


def decode_only(clip: Path) -> float:
    """Real time over CPU time of decoding a clip."""
    recording = Recording(clip, camera="bench", start_at=0.0, fps=5.0, due=lambda offset_s: False)
    began = time.thread_time()
    list(recording)
    return recording.end_s / (time.thread_time() - began)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("clip", type=Path)
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--side", type=int, default=640)
    parser.add_argument("--no-gate", action="store_true")
    parser.add_argument("--zooms", type=int, default=4)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    alone = decode_only(options.clip)
    analysis = Analysis(
        precision=options.precision, frame_side=options.side, gate=not options.no_gate, zooms=options.zooms
    )
    config = load_edge(REPOSITORY / "configs/demo/demo.yaml").model_copy(update={"analysis": analysis})
    pipeline, clock = build_pipeline(config, config.cameras[0]), Clock()
    stages = pipeline._stages
    judging = [(stages.tracker, "update", "tracking"), (stages.policy, "admit", "policy")]
    for owner, name, stage in [*STAGES, *judging]:
        setattr(owner, name, clock.timed(stage, getattr(owner, name)))
    for rule in stages.rules:  # whose work is done while its signals are taken, not when it is asked for them
        rule.observe = clock.timed("rules", lambda scene, ask=rule.observe: list(ask(scene)))
    recording = Recording(options.clip, camera=config.cameras[0].name, start_at=1.8e9, fps=analysis.fps)
    process = clock.timed("pipeline, rest", pipeline.process)
    began = time.thread_time()
    clock.timed("demux, times, pacing", lambda: [process(frame) for frame in recording])()
    total = time.thread_time() - began
    print(f"{options.clip.name}, {options.precision}, {options.side}, gate {'off' if options.no_gate else 'on'}")
    print("\n| stage | calls | ms a call | s | share |\n| --- | --- | --- | --- | --- |")
    for stage, spent in clock.spent.most_common():
        calls, spent_s = clock.calls[stage], spent / 1e6
        print(f"| {stage} | {calls} | {spent_s / calls * 1e3:.3f} | {spent_s:.2f} | {spent_s / total:.1%} |")
    own = 1 - (clock.spent["decode"] + clock.spent["network"]) / 1e6 / total
    speed = recording.end_s / total
    print(f"\nour own code {own:.1%}; passed over {pipeline.passed_over} of {clock.calls['pipeline, rest']}")
    print(f"{speed:.1f} times real time, {speed / alone:.0%} of decoding alone ({alone:.1f})")


if __name__ == "__main__":
    main()
