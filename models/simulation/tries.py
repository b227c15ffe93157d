"""What is tried in the simulation, each from a seed alone: hours of work or of who stays, a sweep, a courier, a patch.

A job is a seed, how tall people are near the camera (pixels), what else the try is made of, and the arguments of
`measured_world`. What comes of it is a row of figures.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from math import inf
from random import Random
from typing import Any

import numpy as np
from simulation.crowd import Hall, ordinary, sorting, sweep
from simulation.world import LastLooks, Visitor, World, is_sweep, measured_world

from detector.values import ActKind, IncidentKind

TALL = (160.0, 240.0, 340.0, 460.0)  # pixels of a person near the camera: phones there are about 15 to 43 pixels
MONTH_H = 60.0  # of work with somebody in the picture, as many as a camera sees in a month (`people.py`)
STAY_S = 3600.0
CALM_S = 200.0  # after a visit, so that what comes later is another incident


def working_day(rng: Random, place: Hall, begins: float, hours: float) -> Iterator[Visitor]:
    """Visits of ordinary work that fill so many hours, mostly one person at a time, two at others."""
    now, end = begins, begins + hours * 3600
    while now < end:
        plan = ordinary(rng, place)
        yield Visitor(plan, now)
        now += plan.seconds * rng.choices((0.4, 1.0), (0.3, 0.7))[0] + rng.choices((2.0, 30.0), (0.7, 0.3))[0]


def staying(rng: Random, place: Hall, begins: float, hours: float, together: int = 1) -> list[Visitor]:
    """People who stay for an hour each, so many at a time, one after the other, each place for so many hours in all."""
    found = []
    for _ in range(together):
        now, left = begins + (rng.uniform(0, CALM_S) if together > 1 else 0.0), hours * 3600
        while left > 0:
            plan = sorting(rng, place, min(left, STAY_S))
            found.append(Visitor(plan, now))
            now, left = now + plan.seconds + CALM_S, left - STAY_S
    return sorted(found, key=lambda visitor: visitor.begins)


def month_part(job: tuple[int, float, float, dict[str, Any]]) -> dict[str, Any]:
    """Hours of ordinary work of one camera: false sweeps, whose they were, and for how many hours anybody was there."""
    seed, tall, hours, settings = job
    world = measured_world(seed, tall, **settings)
    return worked(world, tall, list(working_day(Random(seed + 1), world.hall, world.now, hours)))


def stay_part(job: tuple[int, float, float, dict[str, Any]], together: int = 1) -> dict[str, Any]:
    """The same of people who stay, so many at a time."""
    seed, tall, hours, settings = job
    world = measured_world(seed, tall, **settings)
    return worked(world, tall, staying(Random(seed + 1), world.hall, world.now, hours, together))


def worked(world: World, tall: float, visitors: Sequence[Visitor]) -> dict[str, Any]:
    """What came of these visits, none of which is a sweep."""
    last = max(v.ends for v in visitors)
    # Few are there at a time: those of the past and the far future need no asking.
    for k in range(0, len(visitors), 20):
        near = visitors[max(0, k - 20) : k + 25]
        world.run(near, visitors[k + 20].begins if k + 20 < len(visitors) else last + CALM_S)
    world.finish()
    blamed: Counter[str] = Counter()
    for incident in world.told.sweeps:
        there = [v for v in visitors if v.begins <= incident.ended_at and v.ends >= incident.started_at]
        blamed[" + ".join(sorted({v.plan.name for v in there}))] += 1
    busy = sum(v.plan.seconds for v in visitors) / 3600
    somebody = in_view_s([(v.begins, v.ends) for v in visitors]) / 3600
    others = Counter(
        f"{i.kind.value} {i.severity.value}" for i in world.told.incidents.values() if i not in world.told.sweeps
    )
    return {
        "tall": tall, "hours": somebody, "person_hours": busy, "false": len(world.told.sweeps),
        "scores": [(round(i.score, 3), sum(a.kind is ActKind.PHOTO for a in i.acts)) for i in world.told.sweeps],
        "blamed": blamed, "others": others, "frames": world.told.frames, "seconds": world.told.seconds,
    }  # fmt: skip


def in_view_s(spans: Sequence[tuple[float, float]]) -> float:
    """For how many seconds anybody is there, by when each comes and goes, in order of their coming."""
    seconds, until = 0.0, -inf
    for begin, end in spans:
        seconds += max(0.0, end - max(begin, until))
        until = max(until, end)
    return seconds


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
