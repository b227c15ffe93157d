"""How surely a camera that hangs is told by its clock; run by hand: `python -m tests.bench.frozen PICTURES [SEED]`.

Cameras of ten kinds, each before another of the pictures (`*.jpg`) in a folder, run for 50 s and hang for 40 while
their encoders run on. Told are, for each, when its clock is known (s), for how long it was then told as standing, by
how many grey levels pictures then differed at their edges, at one sample and at the fourth most, and for how long none
of them had changed at all. Then, for as many pictures without a clock, whether one is known all the same.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from detector.inference.printed_clock import SAMPLES, strips
from detector.inference.view import ViewGauge
from tests.inference.clocked import Recorder, pictures_of

RUNS_S, HANGS_S = 50.0, 40.0
RECORDERS = (
    Recorder((1920, 1080), 44, 3, "libx264", 2, 15),
    Recorder((1920, 1080), 44, 6, "libx264", 1, 15, 4),
    Recorder((1920, 1080), 24, 3, "libx264", 2, 25),
    Recorder((1920, 1080), 64, 5, "libx265", 1, 20),
    Recorder((2560, 1440), 40, 4, "libx264", 1.5, 12, 4),
    Recorder((1280, 720), 32, 3, "libx265", 0.6, 12),
    Recorder((1280, 720), 20, 8, "libx264", 0.5, 25, 4),
    Recorder((704, 576), 16, 4, "libx265", 0.2, 8, 4),
    Recorder((640, 360), 18, 4, "libx264", 0.3, 10),
    Recorder((640, 360), 10, 3, "libx264", 0.25, 6, 4),
)


def main(folder: Path, seed: int = 0) -> None:
    """Print a line for each camera."""
    names = sorted(folder.glob("*.jpg"))
    dice = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as scratch:
        for recorder in RECORDERS:
            for kind in (recorder, replace(recorder, digits=0)):
                hall = cv2.imread(str(names[dice.integers(len(names))]))
                assert hall is not None
                film = kind.hangs(Path(scratch) / "film.mp4", np.asarray(hall, np.uint8), RUNS_S, HANGS_S)
                print(kind, told(film), flush=True)


def told(film: Path) -> str:
    """What is told of a film."""
    gauge, known_at, most, before = ViewGauge(), None, np.zeros(SAMPLES, np.uint8), None
    for picture, at in pictures_of(film):
        gauge.glance(picture, at)
        edge = strips(picture.luma())
        if before is not None and at > RUNS_S + 0.5:
            most = np.maximum(most, np.sort(cv2.absdiff(edge, before), axis=None)[-SAMPLES:])
        before = edge
        view = gauge.measure(picture)
        known_at = at if known_at is None and view.has_clock else known_at
    if known_at is None:
        return "no clock"
    stands = f"known {known_at:.0f}, stands {view.calm_s:.1f} s"
    return f"{stands}; differed by {most[-1]} and {most[0]}, the same for {view.still_s:.1f} s"


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
