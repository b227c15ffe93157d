"""What is told of a sweep beside its acts: acts as they were noted enter, facts, labels and boxes leave."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median
from typing import Any

import numpy as np

from detector.rules.evidence import sureness
from detector.rules.exposure import united
from detector.rules.noted import Noted
from detector.rules.overlooked import Shot, overlooked
from detector.values import Act, ActKind, Box, CountRange, Scene

ROW_WIDTH, ROW_ORDER = 0.75, 0.6  # `along_row`
# Who does this isn't photographing; what is unclear may be just that.
ELSE = (ActKind.SCAN, ActKind.CALL, ActKind.BROWSE)


def set_aside(counted: Sequence[Noted], noted: Iterable[Noted]) -> list[Noted]:
    """What the same tracks did since a sweep began that doesn't count.

    Args:
        counted: Acts of the sweep, in order of time, at least one.
        noted: All acts of its zone.
    """
    tracks, since = {n.act.track for n in counted}, counted[0].act.started_at
    theirs = [n for n in noted if n.act.track in tracks and n.act.ended_at >= since]
    # What began with a photo and is called unclear or browsing besides is that photo.
    began = {(n.act.track, n.act.started_at) for n in counted}
    return [n for n in theirs if (n.act.track, n.act.started_at) not in began]


def untold_photos(counted: Sequence[Noted], noted: Iterable[Noted]) -> tuple[int, int]:
    """How many photos more there may be of those who sweep, probably and at most; arguments as of `set_aside`."""
    known = {n.act.key for n in counted}
    others = [n for n in noted if n.act.kind in ELSE and n.act.key not in known]
    likely = most = 0
    for who in {n.who for n in counted}:
        more = overlooked(
            [Shot(n.act.track, n.act.started_at, n.act.ended_at, n.stayed) for n in counted if n.who == who],
            tuple((n.act.started_at, n.act.ended_at) for n in others if n.who == who),
        )
        likely, most = likely + more[0], most + more[1]
    return likely, most


def facts(noted: Sequence[Noted], aside: Sequence[Noted], people: int) -> dict[str, Any]:
    """What is told of a sweep beside its acts.

    Args:
        noted: Its acts, in order of time, at least one.
        aside: What the same people did meanwhile that doesn't count.
        people: How many they are, at least.
    """
    acts = [n.act for n in noted]
    span_s = acts[-1].started_at - acts[0].started_at
    tracks = {act.track for act in acts}
    near = [track for n in noted for track in n.beside - tracks]
    kinds = [n.act.kind for n in (*noted, *aside)]
    return {
        "photos": sum(act.kind is ActKind.PHOTO for act in acts),
        "parcels": len({parcel for act in acts for parcel in act.parcels}),
        "people": people,
        # Somebody who stays beside most of the acts without one of their own: a lookout, or a chance neighbour.
        "beside": sum(2 * near.count(track) >= len(acts) for track in set(near)),
        "pace_per_min": round(60 * (len(acts) - 1) / span_s, 1) if span_s > 0 else None,
        "along_row": along_row(noted),
        "crouched": round(crouched_share(noted), 2),
        "shift": noted[0].permission.shift,
        "out_of_hours": not all(n.permission.working for n in noted),
        "scans": kinds.count(ActKind.SCAN),
        "unclear": kinds.count(ActKind.UNCLEAR),
        "moved_on": sum(n.moved_on for n in aside),
    }


def labels(noted: Sequence[Noted], untold: tuple[int, int], brief: frozenset[int]) -> CountRange:
    """Labels that acts took, with so many untold ones, probably and at most; no more than there are parcels.

    Args:
        noted: The acts.
        untold: How many photos more there may be, probably and at most.
        brief: Slots in which no parcel lay; what was aimed at is counted all the same.
    """
    seen = united(n.exposed for n in noted).without(brief).count
    there = len(frozenset[int]().union(*(n.around for n in noted)) - brief)
    high = max(seen.high, min(seen.high + untold[1], there))
    return CountRange(seen.low, min(seen.best + untold[0], high), high)


def along_row(noted: Sequence[Noted]) -> bool:
    """Whether the parcels lie along a line and were taken in its order, one way or the other.

    Of the middles of the distinct parcels, at least three, in the order of their first photos: they lie on the line
    that fits them best (the first principal axis) with a root mean square distance of at most `ROW_WIDTH` of a usual
    parcel's side, and Kendall's tau between their order along it and in time is `ROW_ORDER` at least, by size. Three
    parcels in a line taken in any order would pass by chance one time in three, five one in four, seven one in
    fourteen.
    """
    boxes: dict[int, Box] = {}
    for n in noted:
        if n.target is not None:
            boxes.setdefault(n.act.parcels[0], n.target)
    if len(boxes) < 3:
        return False
    corners = np.array(list(boxes.values()), float)
    places = (corners[:, :2] + corners[:, 2:]) / 2
    side = median(np.sqrt(np.maximum((corners[:, 2:] - corners[:, :2]).prod(axis=1), 0)).tolist())
    from_middle = places - places.mean(axis=0)
    _, _, axes = np.linalg.svd(from_middle, full_matrices=False)
    along, off = from_middle @ axes[0], from_middle @ axes[-1]
    first, second = np.triu_indices(len(along), 1)
    tau = float(np.sign(along[second] - along[first]).mean())
    return bool(np.sqrt((off**2).mean()) <= ROW_WIDTH * side and abs(tau) >= ROW_ORDER)


def crouched_share(noted: Sequence[Noted]) -> float:
    """Share of the acts' time spent crouched or bent; of acts without length, of their number."""
    lengths = [n.act.ended_at - n.act.started_at for n in noted]
    if sum(lengths) <= 0:
        return sum(n.crouched for n in noted) / len(noted)
    return sum(n.crouched * length for n, length in zip(noted, lengths, strict=True)) / sum(lengths)


def pictured(acts: Sequence[Act], scene: Scene) -> tuple[tuple[str, Box], ...]:
    """Boxes to show with the signal: who, the device, which parcels; and every label, to be blurred.

    Of one phone in a hand a look makes two or three at times, side by side: shown is the surest, which acts go by.
    """
    tracks, parcels = {act.track for act in acts}, {parcel for act in acts for parcel in act.parcels}
    shown = [("person", p.box) for p in scene.people if p.id in tracks]
    held = {(d.holder, d.label): d for d in sorted(scene.devices, key=sureness) if d.holder in tracks}
    shown += [(d.label, d.box) for d in held.values()]
    shown += [("parcel", p.box) for p in scene.parcels if p.id in parcels]
    return (*shown, *(("label", box) for box in scene.labels))
