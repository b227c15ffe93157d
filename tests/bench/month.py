"""Whether judging keeps more and more: a simulated month of one camera, and this program's memory day by day.

    python -m tests.bench.month

Eighteen hours a day somebody works: each hour parcels lie thrown anew, and people walk past them, into a blind corner
too, phone in hand; 50 seconds of it are judged, two looks a second. Prints the resident memory after each
fifth day, and how many incidents were told till then.
"""

from __future__ import annotations

import gc
import resource
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from detector.assembly import build_pipeline
from detector.config import Camera, EdgeConfig, Zone
from detector.values import DAY_S, Box, Detections, Phase
from tests.bench.rules import Nothing
from tests.builders import SIZE, box_at, detections, look

DAYS, EACH = 30, 5
HOURS = range(8, 26)  # from 8 in the morning to 2 at night
LOOKS, FPS = 100, 2.0
PARCELS, PEOPLE = 40, 3
BEGINS = 1_800_000_000.0
ZONES = [
    Zone(name="bulk", kind="storage", polygon=[(0, 0.3), (1, 0.3), (1, 1), (0, 1)]),
    Zone(name="corner", kind="blind_edge", polygon=[(0.85, 0), (1, 0), (1, 0.3), (0.85, 0.3)]),
    Zone(name="aisle", kind="walkway", polygon=[(0, 0), (0.85, 0), (0.85, 0.3), (0, 0.3)]),
]


def hour(noise: np.random.Generator) -> Iterator[Detections]:
    """What is seen of an hour: parcels lie where they fell, people walk to and fro above them."""
    places, up = noise.uniform((0, 0.3 * SIZE[1]), SIZE, (PARCELS, 2)), noise.random(PARCELS) < 0.3
    begin, speed = noise.uniform(0, SIZE[0], PEOPLE), noise.uniform(-60, 60, PEOPLE)
    for n in range(LOOKS):
        rows: list[tuple[str, Box, float, dict[str, float]]] = []
        for (x, y), is_up in zip(places + noise.normal(0, 0.5, places.shape), up, strict=True):
            rows.append(("parcel", box_at((x, y), 40, 30), 0.85, {"up": 0.9 * is_up, "not_up": 0.9 * (not is_up)}))
        for x in begin + speed * n / FPS:
            if 0 < x < SIZE[0]:
                acts = {"act_photo": 0.8 * noise.random(), "act_scan": 0.3, "act_call": 0.1, "act_browse": 0.2}
                rows.append(("person", box_at((x, 0.2 * SIZE[1]), 60, 180), 0.9, acts))
                rows.append(("phone", box_at((x + 20, 0.2 * SIZE[1]), 12, 18), 0.6, {"photo": noise.random()}))
        yield detections(rows)


def main() -> None:
    """Judge a month and print."""
    camera = Camera(name="cam", source="cam.mp4", zones=ZONES)
    config = EdgeConfig(site="s", edge="e", data_dir=Path("unused"), cameras=[camera])
    pipeline, noise, told = build_pipeline(config, camera, Nothing()), np.random.default_rng(0), Counter[str]()
    for day in range(DAYS):
        for begins in (BEGINS + day * DAY_S + 3600.0 * h for h in HOURS):
            for n, seen in enumerate(hour(noise)):
                updates = pipeline.judge(look(begins + n / FPS, seen))
                told.update(update.after.kind.value for update in updates if update.phase is Phase.NEW)
        if (day + 1) % EACH == 0:
            gc.collect()
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            print(f"day {day + 1:2}  {pages * resource.getpagesize() / 1e6:6.1f} MB  {dict(told)}", flush=True)


if __name__ == "__main__":
    main()
