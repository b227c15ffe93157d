"""People among parcels, without pixels: how often are sweeps found, and how often is ordinary work taken for one?

    python models/simulation/people.py --hours 60 --sweeps 600 --out DIR

Plans of visits (`crowd.py`) become detections with measured noise (`noise.py`), and these go through the worker's own
tracker, rules and incidents. Writes DIR/people.md with plots, and people.json.

A *camera-month* of ordinary work is 60 hours with somebody in the picture: 30 days of 10 hours, a fifth of the time.
Sweeps are missed when no label-photography incident of warning or graver overlaps them. A false sweep is any such
incident while nobody photographs more than one parcel. `--zones 3` cuts the picture into upright strips: what is seen
stays the same, so that runs of one seed differ by the borders alone.

`--cameras 2` lets another camera see the same from across: what it makes of people is drawn anew, and whichever tells a
sweep has found it. So it is as in scenes rendered twice (`scenes/stills.py --across`): who is overlooked by one camera
is hardly more likely to be by the other.

The case that labelwatch exists for is a patch of parcels all turned label up, photographed from end to end.
`--patches` are such: after how many photos was somebody told of a sweep, by the photos alone?
`--turned` has ordinary work and all else go on among such parcels.

Who does this for a living comes again. `--couriers` are people who each sweep `--visits` times, in the same style and
from the same parcel on: after how many visits was one of them told?

Visits of ordinary work last for minutes, so nobody has many chances to be mistaken. `--stays` are hours of somebody who
stays for an hour each and handles parcel after parcel: how often is that taken for a sweep?
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise
from math import inf
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from evaluation.svg import Series, chart
from simulation.crowd import PHONE_M, SIZE, STYLES, TALL_M, Hall, Plan, Step, hall, ordinary, sorting, sweep
from simulation.intervals import count_interval, share_interval
from simulation.noise import LOOKS, SAME_PERSON, Looks, MeasuredLook, ParcelNoise, as_detections, person_rows

from detector.assembly import build_pipeline
from detector.cli.arguments import positive
from detector.config import Analysis, Camera, EdgeConfig, Rules, Zone
from detector.coverage import least_height_px
from detector.media.pictures import Bgr
from detector.pipeline import Pipeline
from detector.values import ActKind, Box, Detections, Frame, Incident, IncidentKind, IncidentUpdate, Severity

FPS = 5.0
MONTH_H = 60.0
START = 1_790_000_000.0
TALL = (160.0, 240.0, 340.0, 460.0)  # pixels of a person near the camera: phones there are about 15 to 43 pixels
THERE = (0.0, 90.0, 130.0, 170.0, 210.0, 250.0, 500.0)  # bins of the pixels of a person where the photos are taken
PHOTOS = (1, 6, 9, 13, 17, 21)  # bins of how many parcels are photographed in a sweep
WITHIN = (5, 10, 15, 20, 30, 40, 60)  # photos of a patch
STAY_S = 3600.0
TURNED = 0.9  # share of a patch's parcels that were turned label up: 18 of 20
CALM_S = 200.0  # after a visit, so that what comes later is another incident

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

    def detect(self, frame: Frame, people: Iterable[Box] = ()) -> Detections:  # noqa: ARG002 - a detector's parameters
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


def working_day(rng: Random, place: Hall, begins: float, hours: float) -> Iterator[Visitor]:
    """Visits of ordinary work that fill so many hours, mostly one person at a time, two at others."""
    now, end = begins, begins + hours * 3600
    while now < end:
        plan = ordinary(rng, place)
        yield Visitor(plan, now)
        now += plan.seconds * rng.choices((0.4, 1.0), (0.3, 0.7))[0] + rng.choices((2.0, 30.0), (0.7, 0.3))[0]


def staying(rng: Random, place: Hall, begins: float, hours: float) -> Iterator[Visitor]:
    """People who stay for an hour each, one after the other, so many hours in all."""
    now, left = begins, hours * 3600
    while left > 0:
        plan = sorting(rng, place, min(left, STAY_S))
        yield Visitor(plan, now)
        now, left = now + plan.seconds + CALM_S, left - STAY_S


def month_part(job: tuple[int, float, float, dict[str, Any]]) -> dict[str, Any]:
    """Hours of ordinary work of one camera: false sweeps, and whose they were."""
    seed, tall, hours, settings = job
    world = measured_world(seed, tall, **settings)
    return worked(world, tall, list(working_day(Random(seed + 1), world.hall, world.now, hours)))


def stay_part(job: tuple[int, float, float, dict[str, Any]]) -> dict[str, Any]:
    """The same of people who stay."""
    seed, tall, hours, settings = job
    world = measured_world(seed, tall, **settings)
    return worked(world, tall, list(staying(Random(seed + 1), world.hall, world.now, hours)))


def worked(world: World, tall: float, visitors: Sequence[Visitor]) -> dict[str, Any]:
    """What came of these visits, none of which is a sweep."""
    last = max(v.ends for v in visitors)
    # Few are there at a time: those of the past and the far future need no asking.
    for k in range(0, len(visitors), 20):
        near = visitors[max(0, k - 5) : k + 25]
        world.run(near, visitors[k + 20].begins if k + 20 < len(visitors) else last + CALM_S)
    world.finish()
    blamed: Counter[str] = Counter()
    for incident in world.told.sweeps:
        there = [v for v in visitors if v.begins <= incident.ended_at and v.ends >= incident.started_at]
        blamed[" + ".join(sorted({v.plan.name for v in there}))] += 1
    busy = sum(v.plan.seconds for v in visitors) / 3600
    others = Counter(
        f"{i.kind.value} {i.severity.value}" for i in world.told.incidents.values() if i not in world.told.sweeps
    )
    return {
        "tall": tall, "hours": (last - START) / 3600, "person_hours": busy, "false": len(world.told.sweeps),
        "scores": [(round(i.score, 3), sum(a.kind is ActKind.PHOTO for a in i.acts)) for i in world.told.sweeps],
        "blamed": blamed, "others": others, "frames": world.told.frames, "seconds": world.told.seconds,
    }  # fmt: skip


def one_sweep(job: tuple[int, float, str, dict[str, Any]]) -> dict[str, Any]:
    """One sweep of a style, at times with an ordinary worker about: was it found, and how many labels were counted?"""
    seed, tall, style, settings = job
    world = measured_world(seed, tall, **settings)
    rng = Random(seed + 1)
    plan = sweep(rng, world.hall, style)
    visitors = [Visitor(plan, world.now + 5)]
    if rng.random() < 0.4:
        visitors.append(Visitor(ordinary(rng, world.hall), world.now + rng.uniform(0, 30)))
    world.run(visitors, visitors[0].ends + CALM_S)
    world.finish()
    about = [
        i
        for i in world.told.incidents.values()
        if i.kind is IncidentKind.LABEL_PHOTOGRAPHY
        and i.started_at <= visitors[0].ends + 10
        and i.ended_at >= visitors[0].begins - 10
    ]
    found = [i for i in about if is_sweep(i)]
    photos = [s for s in plan.steps if s.act == "photo"]
    parcels = len({s.target for s in photos})
    acts = [act for act in found[0].acts if act.kind is ActKind.PHOTO] if found else []
    tall_there = float(np.median([world.hall.height(s.feet[1]) for s in photos]))
    exposed = found[0].labels_exposed if found else None
    return {
        "tall": tall, "tall_there": round(tall_there, 1), "style": style, "photos": parcels,
        "found": bool(found), "found_or_noted": bool(about), "incidents": len(found),
        "exposed": None if exposed is None else [exposed.low, exposed.best, exposed.high],
        "score": round(found[0].score, 3) if found else None,
        "acts": len(acts), "told": len({act.parcels[0] for act in acts if act.parcels}),
        "delay_s": None if not found else max(0.0, found[0].started_at - visitors[0].begins),
    }  # fmt: skip


def one_courier(job: tuple[int, float, str, int, dict[str, Any]]) -> dict[str, Any]:
    """Somebody who sweeps again and again, in one style from one parcel on: which visits were told?

    They look as alike from visit to visit as one person's photos do; what lies there is the same at each.
    """
    seed, tall, style, visits, settings = job
    world = measured_world(seed, tall, **settings)
    rng = Random(seed + 1)
    first, photos, told = rng.randrange(len(world.hall.parcels)), 0, []
    looks: LastLooks = {}
    for _ in range(visits):
        plan = sweep(rng, world.hall, style, first=first)
        visitors = [Visitor(plan, world.now + 5, looks)]
        if rng.random() < 0.4:
            visitors.append(Visitor(ordinary(rng, world.hall), world.now + rng.uniform(0, 30)))
        before = set(world.told.incidents)
        world.run(visitors, max(v.ends for v in visitors) + CALM_S)
        told.append(any(i.id not in before for i in world.told.sweeps))
        photos += len({s.target for s in plan.steps if s.act == "photo"})
    return {"tall": tall, "style": style, "photos": photos, "told": told,
            "tall_there": round(world.hall.height(world.hall.parcels[first][3]), 1)}  # fmt: skip


def one_patch(job: tuple[int, float, str, dict[str, Any]]) -> dict[str, Any]:
    """A patch turned label up and photographed from end to end: how many photos had been taken when that was told?"""
    seed, tall, style, settings = job
    world = measured_world(seed, tall, **{**settings, "patch": True})
    plan = sweep(Random(seed + 1), world.hall, style, photos=len(world.hall.parcels))
    visitor = Visitor(plan, world.now + 5)
    world.run([visitor], visitor.ends + CALM_S)
    world.finish()
    first = min(world.told.since.values(), default=inf)
    taken, at = 0, visitor.begins
    for step in plan.steps:
        taken, at = taken + (step.act == "photo" and at < first), at + step.seconds
    feet = [step.feet[1] for step in plan.steps if step.act == "photo"]
    return {
        "tall": tall, "style": style, "photos": len(feet), "found": first < inf, "told_after": taken,
        "told_after_s": first - visitor.begins if first < inf else None, "seconds": plan.seconds,
        "tall_there": round(float(np.median([world.hall.height(y) for y in feet])), 1),
    }  # fmt: skip


def share(found: int, of: int) -> dict[str, float | int | None]:
    """A share with its 95 % interval."""
    if not of:
        return {"found": 0, "of": 0, "share": None, "low": None, "high": None}
    low, high = share_interval(found, of)
    return {"found": found, "of": of, "share": round(found / of, 4), "low": round(low, 4), "high": round(high, 4)}


def rate(count: int, months: float) -> dict[str, float | int]:
    """Events a month with their 95 % interval."""
    low, high = (end / months for end in count_interval(count))
    return {"count": count, "months": round(months, 3), "a_month": round(count / months, 3),
            "low": round(low, 3), "high": round(high, 3)}  # fmt: skip


def summary(
    parts: Sequence[dict[str, Any]],
    sweeps: Sequence[dict[str, Any]],
    couriers: Sequence[dict[str, Any]] = (),
    stays: Sequence[dict[str, Any]] = (),
    patches: Sequence[dict[str, Any]] = (),
) -> dict[str, Any]:
    """Figures of all runs, by how tall people are and by style."""
    phone = {tall: round(tall * PHONE_M / TALL_M) for tall in TALL}
    blamed, others = Counter[str](), Counter[str]()
    for part in parts:
        blamed.update(part["blamed"])
        others.update(part["others"])
    near_enough = least_height_px("scene")

    def found(chosen: Iterable[dict[str, Any]]) -> dict[str, float | int | None]:
        kept = list(chosen)
        return share(sum(s["found"] for s in kept), len(kept))

    frames, seconds = sum(p["frames"] for p in parts), sum(p["seconds"] for p in parts)
    return {
        "false_sweeps": rate(sum(p["false"] for p in parts), sum(p["hours"] for p in parts) / MONTH_H)
        if parts
        else None,
        "false_by_phone_px": {
            phone[t]: rate(sum(p["false"] for p in parts if p["tall"] == t), hours / MONTH_H)
            for t in TALL
            if (hours := sum(p["hours"] for p in parts if p["tall"] == t))
        },
        "blamed": dict(blamed.most_common()),
        "other_incidents": dict(others.most_common()),
        "recall": found(sweeps),
        "recall_with_notes": share(sum(s["found_or_noted"] for s in sweeps), len(sweeps)),
        "recall_by_phone_px": {phone[t]: found(s for s in sweeps if s["tall"] == t) for t in TALL},
        "recall_by_person_px_there": {
            f"{low:g} to {high:g}": found(s for s in sweeps if low <= s["tall_there"] < high)
            for low, high in pairwise(THERE)
        },
        # Where people are as tall as the product says they must be for a phone to be judged (`labelwatch doctor`).
        "recall_where_near_enough": {"person_px": round(near_enough)}
        | found(s for s in sweeps if s["tall_there"] >= near_enough),
        "recall_by_photos": {
            f"{low} to {beyond - 1}": found(s for s in sweeps if low <= s["photos"] < beyond)
            for low, beyond in pairwise(PHOTOS)
        },
        "recall_by_style": {style: found(s for s in sweeps if s["style"] == style) for style in STYLES},
        "labels": labels([s for s in sweeps if s["found"]]),
        "couriers": found_out(couriers),
        "stays": stayed(stays),
        "patches": patched(patches),
        "incidents_a_sweep": round(sum(s["incidents"] for s in sweeps) / max(1, sum(s["found"] for s in sweeps)), 3),
        "pipeline_ms_a_frame": round(1000 * seconds / frames, 3) if frames else None,
    }


def labels(found: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """How many labels are said to be exposed in sweeps found, against how many parcels were photographed."""
    low, best, high = np.array([s["exposed"] for s in found], float).reshape(-1, 3).T
    true, told = (np.array([s[name] for s in found], float) for name in ("photos", "told"))

    def of_truth(counts: np.ndarray) -> dict[str, float] | None:
        """Quantiles over the sweeps of a count's share of the true one; `None` where none was found."""
        if not found:
            return None
        shares = np.quantile(counts / true, (0.1, 0.5, 0.9))
        return {name: round(float(q), 2) for name, q in zip(("tenth", "median", "nine tenths"), shares, strict=True)}

    return {
        "range_holds_the_truth": share(int(((low <= true) & (true <= high)).sum()), len(found)),
        "too_low": int((high < true).sum()),
        "told_of_true": of_truth(told), "best_of_true": of_truth(best), "high_of_true": of_truth(high),
    }  # fmt: skip


def found_out(couriers: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """Of how many couriers a sweep was told within so many visits; `None` without any."""
    if not couriers:
        return None
    visits, near_enough = len(couriers[0]["told"]), least_height_px("scene")

    def told(within: int, chosen: Iterable[dict[str, Any]] = couriers) -> dict[str, float | int | None]:
        kept = list(chosen)
        return share(sum(any(c["told"][:within]) for c in kept), len(kept))

    return {
        "photos_in_all_median": float(np.median([c["photos"] for c in couriers])),
        "told_within_visits": {n: told(n) for n in range(1, visits + 1)},
        "told_at_last_by_style": {
            style: told(visits, (c for c in couriers if c["style"] == style)) for style in STYLES
        },
        "told_at_last_by_person_px_there": {
            f"{low:g} to {high:g}": told(visits, (c for c in couriers if low <= c["tall_there"] < high))
            for low, high in pairwise(THERE)
        },
        "told_at_last_where_near_enough": told(visits, (c for c in couriers if c["tall_there"] >= near_enough)),
    }


def patched(patches: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """Of how many patches somebody was told within so many photos; `None` without any."""
    if not patches:
        return None

    def told(within: float, chosen: Iterable[dict[str, Any]] = patches) -> dict[str, float | int | None]:
        kept = list(chosen)
        return share(sum(p["found"] and p["told_after"] <= within for p in kept), len(kept))

    return {
        "photos_in_all_median": float(np.median([p["photos"] for p in patches])),
        "told_within_photos": {n: told(n) for n in WITHIN},
        "told": told(inf),
        "told_by_style": {style: told(inf, (p for p in patches if p["style"] == style)) for style in STYLES},
        "told_by_phone_px": {
            round(tall * PHONE_M / TALL_M): told(inf, (p for p in patches if p["tall"] == tall)) for tall in TALL
        },
    }


def stayed(stays: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """Of people who stay: false sweeps an hour, and how many were told as notes; `None` without any."""
    if not stays:
        return None
    hours, false = sum(part["person_hours"] for part in stays), sum(part["false"] for part in stays)
    low, high = (end / hours for end in count_interval(false))
    notes = sum(part["others"].get("label_photography info", 0) for part in stays)
    return {"hours": round(hours, 1), "false": false, "an_hour": round(false / hours, 3), "low": round(low, 3),
            "high": round(high, 3), "notes": notes}  # fmt: skip


def page(figures: dict[str, Any]) -> str:
    """The figures as Markdown with plots."""
    bins = zip(pairwise(THERE), figures["recall_by_person_px_there"].values(), strict=True)
    known = {(low + high) / 2: s for (low, high), s in bins if s["of"]}
    plot = chart(
        [Series("sweeps found", list(known), [s["share"] for s in known.values()],
                [s["low"] for s in known.values()], [s["high"] for s in known.values()])],
        "pixels of a person where the photos are taken", "share", marks=[(0.95, "wanted")],
    )  # fmt: skip
    false = figures["false_by_phone_px"]
    top = max([1.5, *(r["high"] for r in false.values())])
    false_plot = chart(
        [Series("false sweeps a camera-month", list(false), [r["a_month"] for r in false.values()],
                [r["low"] for r in false.values()], [r["high"] for r in false.values()])],
        "pixels of a phone near the camera", "a camera-month", y_range=(0.0, top), marks=[(1.0, "at most")],
    )  # fmt: skip
    lines = ["# People among parcels, simulated", "", plot, "", false_plot, ""]
    if couriers := figures["couriers"]:
        within = couriers["told_within_visits"]
        told = list(within.values())
        lines += [
            chart(
                [Series("couriers told", list(within), [t["share"] for t in told],
                        [t["low"] for t in told], [t["high"] for t in told])],
                "visits of the same courier", "share of couriers",
            ),
            "",
        ]  # fmt: skip
    if patches := figures["patches"]:
        within = patches["told_within_photos"]
        told = list(within.values())
        lines += [
            chart(
                [Series("patches told", list(within), [t["share"] for t in told],
                        [t["low"] for t in told], [t["high"] for t in told])],
                "photos taken of the same patch", "share of patches",
            ),
            "",
        ]  # fmt: skip
    lines += ["| style | found | of | share | 95 % |", "| --- | --- | --- | --- | --- |"]
    for style, s in figures["recall_by_style"].items():
        lines.append(f"| {style} | {s['found']} | {s['of']} | {s['share']} | {s['low']} to {s['high']} |")
    lines += ["", "```json", json.dumps(figures, indent=1), "```", ""]
    return "\n".join(lines)


def main() -> None:
    """Run both simulations and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=float, default=60.0, help="of ordinary work, all sizes together")
    parser.add_argument("--sweeps", type=int, default=240)
    parser.add_argument("--couriers", type=int, default=0, help="people who come again and again")
    parser.add_argument("--visits", type=positive, default=6, help="of each courier")
    parser.add_argument("--patches", type=int, default=0, help="of parcels label up, photographed from end to end")
    parser.add_argument("--turned", action="store_true", help="all of this among the parcels of such a patch")
    parser.add_argument("--stays", type=float, default=0.0, help="hours of people who stay for an hour each")
    parser.add_argument("--zones", type=positive, default=1, help="upright strips that the picture is cut into")
    parser.add_argument("--cameras", type=positive, default=1, help="that see the same, each from another side")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--looks", type=Path, default=LOOKS, help="table of measured looks (looks.py)")
    parser.add_argument("--drawn", type=int, metavar="SEED", help="draw the table's warehouses anew, with replacement")
    parser.add_argument("--hold-s", type=float, default=0.6, help="how long the detector keeps an error")
    parser.add_argument("--mixed", type=float, default=0.0, help="share of looks that are another act's")
    parser.add_argument("--blinded", type=float, default=0.0, help="share of looks in which no device is seen")
    parser.add_argument("--same", type=float, default=SAME_PERSON, help="share of acts seen as the person's one before")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    if not args.looks.exists():
        sys.exit(f"people: {args.looks} is missing (looks.py makes it)")
    settings = {
        "zones": args.zones,
        "cameras": args.cameras,
        "patch": args.turned,
        "path": args.looks,
        "drawn": args.drawn,
        "hold_s": args.hold_s,
        "mixed": args.mixed,
        "blinded": args.blinded,
        "same": args.same,
    }
    args.out.mkdir(parents=True, exist_ok=True)
    pieces = max(len(TALL), round(args.hours / 2 / len(TALL)) * len(TALL))
    days = [(args.seed * 1000 + k, TALL[k % len(TALL)], args.hours / pieces, settings) for k in range(pieces)]
    tries = [
        (args.seed * 1_000_000 + k, TALL[k % len(TALL)], STYLES[k // len(TALL) % len(STYLES)], settings)
        for k in range(args.sweeps)
    ]
    whole = [
        (args.seed * 1_000_000 + 700_000 + k, TALL[k % len(TALL)], STYLES[k // len(TALL) % len(STYLES)], settings)
        for k in range(args.patches)
    ]
    lives = [
        (
            args.seed * 1_000_000 + 500_000 + k,
            TALL[k % len(TALL)],
            STYLES[k // len(TALL) % len(STYLES)],
            args.visits,
            settings,
        )
        for k in range(args.couriers)
    ]
    pieces = max(1, round(args.stays / len(TALL))) * len(TALL)
    long = [(args.seed * 1000 + 500 + k, TALL[k % len(TALL)], args.stays / pieces, settings) for k in range(pieces)]
    with ProcessPoolExecutor(args.jobs) as pool:
        sweeps = list(counted(pool.map(one_sweep, tries), "sweep", len(tries)))
        parts = list(counted(pool.map(month_part, days if args.hours else []), "stretch of work", len(days)))
        couriers = list(counted(pool.map(one_courier, lives), "courier", len(lives)))
        stays = list(counted(pool.map(stay_part, long if args.stays else []), "stay", len(long)))
        patches = list(counted(pool.map(one_patch, whole), "patch", len(whole)))
    figures = summary(parts, sweeps, couriers, stays, patches)
    (args.out / "people.json").write_text(
        json.dumps(
            figures
            | {"sweeps": sweeps, "work": parts, "each_courier": couriers, "each_stay": stays, "each_patch": patches},
            indent=1,
        ),
        encoding="utf-8",
    )
    (args.out / "people.md").write_text(page(figures), encoding="utf-8")
    print(json.dumps(figures, indent=1))


def counted(results: Iterable[dict[str, Any]], what: str, of: int) -> Iterator[dict[str, Any]]:
    """Tells of progress on standard error."""
    for k, result in enumerate(results, 1):
        if k % 10 == 0 or k == of:
            print(f"{what} {k} of {of}", file=sys.stderr, flush=True)
        yield result


if __name__ == "__main__":
    main()
