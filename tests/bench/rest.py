"""What is missed where cameras rest, by hand: `python -m tests.bench.rest FOLDER CLIP… [--precision auto]`.

Each CLIP shows a sweep. It is put between stillness (as `labelwatch bench` does) so that it begins at eight instants
between two key frames: somebody stands there from one picture to the next, which is the worst case. Each film is
watched whole and at rest (`analysis.rest: always`), as a camera would be; told are the acts of the sweep found in each,
and how much later the incident begins and is told. Films are kept in FOLDER.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import cv2

from detector.assembly import build_pipeline
from detector.bench.clips import KEY_EVERY_S, ClipMaker, Sequence
from detector.config import Analysis, EdgeConfig, Rest, load_edge
from detector.edge.relief import REST_AFTER_S, Relief
from detector.inference import load_detector
from detector.inference.looker import Detector
from detector.sources.recording import Recording, promised_s
from detector.values import IncidentKind, Phase
from tests.conftest import REPOSITORY

INSTANTS = 8
BEFORE_S, AFTER_S = 2 + REST_AFTER_S + 5, 10.0
START = 1_800_000_000.0


@dataclass(frozen=True)
class Watched:
    """What was found in a film: seconds into it at which the sweep begins and is told, and its acts."""

    begins_s: float | None
    told_s: float | None
    acts: int


def watched(film: Path, config: EdgeConfig, detector: Detector, rest: Rest) -> Watched:
    """Take a film through the pipeline as a camera's thread does."""
    relief, pipeline = Relief(rest), build_pipeline(config, config.cameras[0], detector)
    recording = Recording(film, camera=config.cameras[0].name, start_at=START, fps=config.analysis.fps)
    sweep, told_at = None, None
    for frame in recording:
        for update in pipeline.process(frame):
            if update.after.kind is IncidentKind.LABEL_PHOTOGRAPHY:
                sweep = update.after
                told_at = frame.captured_at if update.phase is Phase.NEW else told_at
        recording.rest(relief.may_rest(pipeline.calm_s, frame.captured_at))
    for update in pipeline.finish():
        if update.after.kind is IncidentKind.LABEL_PHOTOGRAPHY:
            sweep = update.after
    begins_s = None if sweep is None else sweep.started_at - START
    acts = 0 if sweep is None else len(sweep.acts)
    return Watched(begins_s, None if told_at is None else told_at - START, acts)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("clips", type=Path, nargs="+")
    parser.add_argument("--precision", default="auto")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    cv2.setNumThreads(1)
    analysis = Analysis(precision=options.precision)
    config = load_edge(REPOSITORY / "configs/demo/demo.yaml").model_copy(update={"analysis": analysis})
    detector = load_detector(analysis)
    print("| film | whole: acts | at rest: acts | begins later by, s | told later by, s |")
    print("| --- | --- | --- | --- | --- |")
    for clip in options.clips:
        scene_s = promised_s(clip) or 20.0
        maker = ClipMaker(clip)
        for n in range(INSTANTS):
            film = options.folder / f"{clip.stem}-{n}.mp4"
            if not film.exists():
                maker.make(Sequence(clip.stem, BEFORE_S + n * KEY_EVERY_S / INSTANTS, scene_s, AFTER_S), film)
            whole, rested = (watched(film, config, detector, rest) for rest in ("never", "always"))  # type: ignore[arg-type]
            later = [
                "–" if a is None or b is None else f"{b - a:+.1f}"
                for a, b in ((whole.begins_s, rested.begins_s), (whole.told_s, rested.told_s))
            ]
            print(f"| {film.stem} | {whole.acts} | {rested.acts} | {' | '.join(later)} |", flush=True)


if __name__ == "__main__":
    main()
