"""What the rules cost: CPU time of each for a scene of 10 people, all with phones, and 100 parcels.

    python -m tests.bench.rules

Printed in milliseconds a frame, of one thread, beside the cost of tracking the same detections. Then that of one scene
of `HEAP` parcels that the orientation rule has yet to count: so they are when watching begins.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from detector.assembly import build_pipeline
from detector.config import Camera, EdgeConfig
from detector.rules.orientation import OrientationRule
from detector.values import Box, Detections, Facing, Scene
from tests.builders import SIZE, box_at, detections, look, parcel, scene

FRAMES, FPS = 600, 5.0
HEAP = 500
TRAITS = {"act_photo": 0.4, "act_scan": 0.2, "act_call": 0.1, "act_browse": 0.3}


def seen(noise: np.random.Generator) -> Detections:
    """Ten people who stand among a hundred parcels, a little elsewhere each time."""

    def near(x: float, y: float, width: float, height: float) -> Box:
        return box_at((x + noise.normal(0, 1), y + noise.normal(0, 1)), width, height)

    rows: list[tuple[str, Box, float, dict[str, float]]] = []
    for k in range(10):
        rows.append(("person", near(80 + 120 * k, 350, 70, 200), 0.9, TRAITS))
        rows.append(("phone", near(100 + 120 * k, 320, 12, 20), 0.8, {"photo": float(noise.uniform(0.2, 0.9))}))
    sides = {"up": 0.4, "not_up": 0.6}
    rows += [("parcel", near(40 + 60 * (k % 20), 460 + 50 * (k // 20), 50, 40), 0.9, sides) for k in range(100)]
    return detections(rows)


def heap(noise: np.random.Generator) -> Scene:
    """Parcels that lie thrown over the picture, one in three label up."""
    places = noise.uniform((0, 0), SIZE, (HEAP, 2)).tolist()
    sides = (Facing.UP, Facing.NOT_UP, Facing.NOT_UP)
    lying = [parcel(n, box_at((x, y), 20, 20), sides[n % 3], since=-10.0) for n, (x, y) in enumerate(places)]
    return scene(0.0, parcels=lying)


class Nothing:
    """A detector that isn't asked."""

    def detect(self, frame: object, people: object = (), turns: object = None) -> Detections:
        """Nothing."""
        return Detections.empty()


def main() -> None:
    """Measure and print."""
    camera = Camera(name="cam", source="cam.mp4")
    config = EdgeConfig(site="s", edge="e", data_dir=Path("unused"), cameras=[camera])
    stages = build_pipeline(config, camera, Nothing())._stages
    noise, spent = np.random.default_rng(0), dict.fromkeys(["tracking", *(type(r).__name__ for r in stages.rules)], 0.0)

    def timed(name: str, step: Callable[[], object]) -> object:
        began = time.thread_time()
        result = step()
        spent[name] += time.thread_time() - began
        return result

    for n in range(FRAMES):
        shown = look(1_800_000_000 + n / FPS, seen(noise))
        scene = timed("tracking", lambda f=shown: stages.tracker.update(f))
        for rule in stages.rules:
            timed(type(rule).__name__, lambda r=rule, s=scene: list(r.observe(s)))
    each = {name: 1000 * total / FRAMES for name, total in spent.items()}
    for name, ms in each.items():
        print(f"{name:16} {ms:6.3f} ms")
    print(f"{'all rules':16} {sum(each.values()) - each['tracking']:6.3f} ms")
    fresh = next(
        rule for rule in build_pipeline(config, camera, Nothing())._stages.rules if isinstance(rule, OrientationRule)
    )
    began = time.thread_time()
    list(fresh.observe(heap(noise)))
    print(f"{HEAP} parcels at once {1000 * (time.thread_time() - began):.1f} ms")


if __name__ == "__main__":
    main()
