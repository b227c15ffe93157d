"""What a printed clock tells and costs; run by hand: `python -m tests.bench.printed_clock PICTURES [SEED]`.

First ten minutes of a still hall, drawn, without a clock and with one, are looked at as replay does and as its fast
scan does. Told are pictures decoded, looks, and by how much faster than real time.

Then cameras of ten kinds, each before another of the pictures (`*.jpg`) in a folder, run for 45 s and hang for 25 while
their encoders run on. Told are, for each, when its clock is known (s), for how long it was then told as standing, by
how many grey levels pictures then differed at their edges, at one sample and at the fourth most, and for how long none
of them had changed at all; and whether a clock is known where there is none.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from detector.config import Analysis
from detector.inference.printed_clock import SAMPLES, strips
from detector.inference.view import ViewGauge
from detector.recorded.look_files import unpacked
from detector.recorded.looking import look_at, task_of
from tests.inference.clocked import Image, Recorder, hall, pictures_of

STILL, STILL_S = Recorder((1280, 720), 32, 2, "libx264", 0.6, 10), 600.0
RUNS_S, HANGS_S = 45.0, 25.0
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
    """Print a line for each film."""
    names = sorted(folder.glob("*.jpg"))
    dice = np.random.default_rng(seed)

    def shown() -> Image:
        found = cv2.imread(str(names[dice.integers(len(names))]))
        assert found is not None
        return np.asarray(found, np.uint8)

    with tempfile.TemporaryDirectory() as scratch:
        film = Path(scratch) / "film.mp4"
        for digits in (0, STILL.digits):
            replace(STILL, digits=digits).hangs(film, hall(), STILL_S, 0)
            for fast_scan in (False, True):
                print(f"still, digits of {digits} pixels, fast scan {fast_scan}: {cost(film, fast_scan)}", flush=True)
        for recorder in RECORDERS:
            for kind in (recorder, replace(recorder, digits=0)):
                print(kind, told(kind.hangs(film, shown(), RUNS_S, HANGS_S)), flush=True)


def cost(film: Path, fast_scan: bool) -> str:
    """What it costs to look at a film."""
    found = unpacked(look_at(task_of(film, "hall", Analysis(), fast_scan=fast_scan)))
    read = found.read
    return f"{read.decoded} decoded, {len(found.looks)} looks, {read.seconds / read.cpu_s:.0f} x real time a core"


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
