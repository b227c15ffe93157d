"""Values from plain lists, so that tests read as tables. Times are seconds, boxes (x1, y1, x2, y2) in pixels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from math import inf

import numpy as np

from detector.media.pictures import Bgr
from detector.values import (
    LABELS,
    TRAITS,
    UNKNOWN_TRAITS,
    Act,
    ActKind,
    ActScores,
    Box,
    CountRange,
    Detections,
    Device,
    Facing,
    Frame,
    IncidentKind,
    Look,
    Parcel,
    Person,
    Scene,
    Severity,
    Signal,
    ViewMeasure,
)

CAMERA = "cam"
SIZE = (1280, 720)


class SteppedClock:
    """Time goes on while one sleeps, and not otherwise; Unix seconds."""

    def __init__(self, at: float = 1_800_000_000.0) -> None:
        self.at = at

    def now(self) -> float:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.at += seconds


def frame(at: float, size: tuple[int, int] = SIZE, *, camera: str = CAMERA, index: int = 0, grey: int = 128) -> Frame:
    """A grey picture taken at a time."""
    return Frame(camera, index, at, Bgr(np.full((size[1], size[0], 3), grey, np.uint8)))


def look(
    at: float,
    found: Detections,
    size: tuple[int, int] = SIZE,
    *,
    camera: str = CAMERA,
    view: ViewMeasure | None = None,
) -> Look:
    """What a look at a time found."""
    return Look(camera, 0, at, size, found, view)


def detections(rows: Iterable[tuple[str, Box, float] | tuple[str, Box, float, Mapping[str, float]]]) -> Detections:
    """Detections from (label, box, score, traits by name); traits may be left out."""
    parts = [
        Detections(
            np.array([box], np.float32),
            np.array([score], np.float32),
            np.array([LABELS.index(label)], np.int64),
            np.array([known_traits(traits[0] if traits else {})], np.float32),
        )
        for label, box, score, *traits in rows
    ]
    return Detections.joined(parts)


def known_traits(traits: Mapping[str, float]) -> list[float]:
    """A row of traits of which these are known."""
    return [traits.get(name, unknown) for name, unknown in zip(TRAITS, UNKNOWN_TRAITS, strict=True)]


def person(
    number: int,
    box: Box,
    at: float = 0.0,
    *,
    since: float | None = None,
    score: float = 0.9,
    acts: ActScores | None = None,
) -> Person:
    """A tracked person seen at a time."""
    return Person(number, box, score, at if since is None else since, at, acts)


def phone(box: Box, holder: int | None = 1, *, photo: float = 0.9, call: float = 0.0, score: float = 0.9) -> Device:
    """A phone in someone's hand."""
    return Device("phone", box, score, holder, photo, call)


def scanner(box: Box, holder: int | None = 1, *, score: float = 0.9) -> Device:
    """A handheld scanner in someone's hand."""
    return Device("scanner", box, score, holder)


def parcel(number: int, box: Box, facing: Facing = Facing.UP, *, since: float = 0.0, at: float = inf) -> Parcel:
    """A parcel slot with its verdict; seen in every scene that it is put into, unless `at` says when it was last."""
    up = {Facing.UP: 0.95, Facing.NOT_UP: 0.05, Facing.UNKNOWN: 0.5}[facing]
    return Parcel(number, box, facing, up, 0 if facing is Facing.UNKNOWN else 10, since, at)


def scene(
    at: float,
    people: Sequence[Person] = (),
    devices: Sequence[Device] = (),
    parcels: Sequence[Parcel] = (),
    *,
    labels: Sequence[Box] = (),
    ended: Iterable[int] = (),
    size: tuple[int, int] = SIZE,
    camera: str = CAMERA,
) -> Scene:
    """What rules see of one instant."""
    lying = tuple(replace(p, last_seen_at=at) if p.last_seen_at == inf else p for p in parcels)
    return Scene(camera, at, size, tuple(people), tuple(devices), lying, tuple(labels), frozenset(ended))


def act(start: float, end: float, parcels: Sequence[int] = (), *, track: int = 1, score: float = 0.9) -> Act:
    """A photo act of a person from `start` to `end`."""
    return Act(ActKind.PHOTO, track, start, end, score, tuple(parcels))


def signal(
    start: float,
    at: float,
    *,
    kind: IncidentKind = IncidentKind.LABEL_PHOTOGRAPHY,
    zone: str | None = "bulk",
    severity: Severity = Severity.WARNING,
    score: float = 0.9,
    acts: Sequence[Act] = (),
    exposed: int = 0,
    boxes: Sequence[tuple[str, Box]] = (),
    camera: str = CAMERA,
) -> Signal:
    """What a rule says at a time of something that began at `start`."""
    return Signal(
        kind, camera, zone, start, at, score, severity, tuple(sorted({a.track for a in acts})), tuple(acts),
        CountRange(exposed, exposed, exposed), {"photos": len(acts)}, tuple(boxes),
    )  # fmt: skip


def box_at(centre: tuple[float, float], width: float, height: float) -> Box:
    """A box by its centre."""
    x, y = centre
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2


def times(start: float, end: float, fps: float) -> list[float]:
    """Frame times from `start` up to `end`, both included."""
    return [start + n / fps for n in range(round((end - start) * fps) + 1)]


def moved(box: Box, by: tuple[float, float]) -> Box:
    """The box elsewhere."""
    return box[0] + by[0], box[1] + by[1], box[2] + by[0], box[3] + by[1]
