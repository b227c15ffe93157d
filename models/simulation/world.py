"""People among parcels, seen with measured noise by cameras whose pipelines are the worker's own: what is told of them?

Plans of visits (`crowd.py`) become detections (`noise.py`), and these go through tracker, rules and incidents.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import inf
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from simulation.crowd import PHONE_M, SIZE, TALL_M, Hall, Plan, Step, hall
from simulation.noise import Looks, MeasuredLook, ParcelNoise, as_detections, person_rows

from detector.assembly import build_pipeline
from detector.config import Analysis, Camera, EdgeConfig, Rules, Zone
from detector.media.pictures import Bgr
from detector.pipeline import Pipeline
from detector.values import Box, Detections, Frame, Incident, IncidentKind, IncidentUpdate, Severity

FPS = 5.0
START = 1_790_000_000.0
TURNED = 0.9  # share of a patch's parcels that were turned label up: 18 of 20

LastLooks = dict[tuple[int, str], tuple[MeasuredLook, float, Step]]


@dataclass
class Visitor:
    """One person carrying out a plan; `looks` are the last at them, when and at which step, by camera and act."""

    plan: Plan
    begins: float
    looks: LastLooks = field(default_factory=dict)

    @property
    def ends(self) -> float:
        """When they are gone."""
        return self.begins + self.plan.seconds

    def at(self, time_s: float) -> tuple[Step, tuple[float, float], Step | None] | None:
        """Step, feet (pixels), and the step that has just ended; `None` when not there."""
        left, feet, before = time_s - self.begins, self.plan.steps[0].feet, None
        if not 0 <= left < self.plan.seconds:
            return None
        for step in self.plan.steps:
            if left < step.seconds:
                share = left / step.seconds
                return (
                    step,
                    (feet[0] + share * (step.feet[0] - feet[0]), feet[1] + share * (step.feet[1] - feet[1])),
                    before,
                )
            left, feet, before = left - step.seconds, step.feet, step
        return None


@dataclass
class Told:
    """What came of a simulation: incidents in their last state, when its photos first made it a sweep, and what ran."""

    incidents: dict[str, Incident] = field(default_factory=dict)
    since: dict[str, float] = field(default_factory=dict)
    frames: int = 0
    seconds: float = 0.0

    def take(self, updates: Iterable[IncidentUpdate], now: float) -> None:
        """Remember the last word on each incident."""
        for update in updates:
            self.incidents[update.after.id] = update.after
            # A patch label up is told as such, and makes a warning of a note: that shall not count for the photos.
            if is_sweep(update.after) and update.after.score >= Rules().sweep.sure:
                self.since.setdefault(update.after.id, now)

    @property
    def sweeps(self) -> list[Incident]:
        """Those told as sweeps."""
        return [i for i in self.incidents.values() if is_sweep(i)]


def is_sweep(incident: Incident) -> bool:
    """Whether it is label photography of warning or graver."""
    return incident.kind is IncidentKind.LABEL_PHOTOGRAPHY and incident.severity.rank >= Severity.WARNING.rank


class GivenDetector:
    """Stands where the network would: says what it was given."""

    def __init__(self) -> None:
        self.found = Detections.empty()

    def detect(self, frame: Frame, people: Iterable[Box] = (), turns: object = None) -> Detections:  # noqa: ARG002 - a detector's parameters
        """What was given."""
        return self.found


class View:
    """One camera: what it makes of what is there, and its pipeline.

    Args:
        number: Of the camera, from 0 on.
        place: What it looks at.
        rng: Draws looks.
        noise: Draws the rest.
        zones: As of `World`.
    """

    def __init__(self, number: int, place: Hall, rng: Random, noise: np.random.Generator, zones: int) -> None:
        self.number, self.rng, self.noise = number, rng, noise
        self.parcels = ParcelNoise(np.array(place.parcels), np.array(place.up), noise)
        self.detector = GivenDetector()
        name = f"sim-{number + 1}" if number else "sim"
        camera = Camera(name=name, source="sim.mp4", zones=strips(zones))
        config = EdgeConfig(
            site="sim", edge="sim", data_dir=Path("sim"), cameras=[camera], analysis=Analysis(gate=False)
        )
        self.pipeline: Pipeline = build_pipeline(config, camera, self.detector)
        self._name, self._pictures = name, pictures(noise)

    def frame(self, index: int, at: float) -> Frame:
        """A frame of nothing but the place."""
        return Frame(self._name, index, at, Bgr(self._pictures[index % len(self._pictures)]))


class World:
    """A hall, its cameras' pipelines, and the people who come and go.

    Args:
        seed: Of all that is drawn.
        looks: What the detector makes of people.
        tall: Pixels of a person near the camera.
        zones: How many upright strips of equal width the picture is cut into, each a storage zone.
        cameras: How many see all this, each from another side, but alike far off.
        patch: Whether there are twice as many parcels, and `TURNED` of them label up.

    Attributes:
        views: One for each.
        told: What came of it.
    """

    def __init__(
        self, seed: int, looks: Looks, tall: float, zones: int = 1, cameras: int = 1, *, patch: bool = False
    ) -> None:
        self._rng = Random(seed)
        self._looks, self.now = looks, START
        self.hall = hall(self._rng, tall, rows=8, up=TURNED) if patch else hall(self._rng, tall)
        self._there = np.ones(len(self.hall.parcels), bool)
        self._gone: list[tuple[float, int]] = []
        draws = [(self._rng, np.random.default_rng(seed))]
        draws += [(Random(f"{seed} {k}"), np.random.default_rng((seed, k))) for k in range(1, cameras)]
        self.views = [View(k, self.hall, rng, noise, zones) for k, (rng, noise) in enumerate(draws)]
        self.told = Told()

    def run(self, visitors: Sequence[Visitor], until: float) -> None:
        """Let them carry out their plans."""
        while self.now < until:
            busy = [v for v in visitors if v.begins <= self.now < v.ends]
            self._look(busy)
            # While nobody is there a look a second is enough for tracks and incidents to end.
            self.now += 1 / FPS if busy else 1.0

    def finish(self) -> None:
        """The recording is over."""
        for view in self.views:
            self.told.take(view.pipeline.finish(), self.now)

    def _look(self, visitors: Sequence[Visitor]) -> None:
        self._gone, back = [g for g in self._gone if g[0] > self.now], [n for t, n in self._gone if t <= self.now]
        self._there[back] = True
        for view in self.views:
            rows = []
            for visitor in visitors:
                rows += self._seen(visitor, view)
            view.detector.found = Detections.joined([as_detections(rows), view.parcels(self._there)])
            frame = view.frame(self.told.frames // len(self.views), self.now)
            began = time.perf_counter()
            self.told.take(view.pipeline.process(frame), self.now)
            self.told.seconds += time.perf_counter() - began
            self.told.frames += 1

    def _seen(self, visitor: Visitor, view: View) -> list[tuple[int, Box, float, list[float]]]:
        where = visitor.at(self.now)
        if where is None:
            return []
        step, feet, before = where
        if before is not None and before.takes and before.target is not None and self._there[before.target]:
            self._there[before.target] = False
            self._gone.append((self.now + self._rng.uniform(60, 600), before.target))
        tall, key = self.hall.height(feet[1]), (view.number, step.act)
        last, at, doing = visitor.looks.get(key, (None, self.now, step))
        since = self.now - at if doing is step else inf
        look = self._looks.draw(view.rng, step.act, tall * PHONE_M / TALL_M, last, since)
        visitor.looks[key] = look, self.now, step
        if step.hidden:
            return []
        width, height = (0.5 * tall, 0.62 * tall) if step.crouched else (0.36 * tall, tall)
        box = (feet[0] - width / 2, feet[1] - height, feet[0] + width / 2, feet[1])
        target = None if step.target is None else self.hall.parcels[step.target]
        return person_rows(look, box, target, view.noise)


def strips(number: int) -> list[Zone]:
    """So many storage zones side by side, which together are the whole picture."""
    ends = [k / number for k in range(number + 1)]
    return [
        Zone(name=f"strip-{k}", kind="storage", polygon=[(left, 0.0), (right, 0.0), (right, 1.0), (left, 1.0)])
        for k, (left, right) in enumerate(pairwise(ends), 1)
    ]


def measured_world(
    seed: int, tall: float, zones: int = 1, cameras: int = 1, *, patch: bool = False, **looks: Any
) -> World:
    """A world with looks from a file; arguments as of `World` and `Looks.read`."""
    return World(seed, Looks.read(**looks), tall, zones, cameras, patch=patch)


def pictures(noise: np.random.Generator) -> list[np.ndarray]:
    """Three pictures of one place with sensor noise, so that nothing seems wrong with the camera."""
    place = np.full((SIZE[1], SIZE[0], 3), 120, np.int16)
    for _ in range(150):
        x, y = noise.integers(0, SIZE[0] - 40), noise.integers(0, SIZE[1] - 40)
        place[y : y + noise.integers(10, 200), x : x + noise.integers(10, 200)] = noise.integers(30, 220)
    return [np.clip(place + noise.normal(0, 4, place.shape), 0, 255).astype(np.uint8) for _ in range(3)]
