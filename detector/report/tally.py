"""Which day, where, who, and how many labels: incidents as written enter, sums for tables leave."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from datetime import date
from typing import TypeVar

from detector.clock import unix
from detector.findings import Record, is_sweep, tells_of_photos
from detector.shifts import Shifts

Key = TypeVar("Key", bound=Hashable)


@dataclass(slots=True)
class Sum:
    """Sweeps, and the labels that they exposed: a range with a best estimate."""

    sweeps: int = 0
    low: int = 0
    best: int = 0
    high: int = 0

    def add(self, incident: Record) -> None:
        """Count one more."""
        exposed = incident["labels_exposed"]
        self.sweeps += 1
        self.low += exposed["low"]
        self.best += exposed["best"]
        self.high += exposed["high"]


def is_doubtful(incident: Record) -> bool:
    """Whether labels may have been photographed: who may have is counted nowhere."""
    return tells_of_photos(incident) and not is_sweep(incident)


def sums(incidents: Iterable[Record], key: Callable[[Record], Key]) -> dict[Key, Sum]:
    """Sweeps summed by something of theirs; what exposed most comes first."""
    found: defaultdict[Key, Sum] = defaultdict(Sum)
    for incident in filter(is_sweep, incidents):
        found[key(incident)].add(incident)
    return dict(sorted(found.items(), key=lambda item: (-item[1].best, -item[1].sweeps)))


@dataclass(frozen=True, slots=True)
class PersonShift:
    """People as one camera numbers them, within a shift; `shift` is `None` outside all, `""` where there are none."""

    day: date
    shift: str | None
    camera: str
    tracks: tuple[int, ...]


class Keys:
    """By what sweeps are summed.

    Args:
        shifts: Of the site; its days are the site's.
        has_shifts: Whether it has any.
    """

    def __init__(self, shifts: Shifts, has_shifts: bool) -> None:
        self._shifts = shifts
        self._has_shifts = has_shifts

    def day(self, incident: Record) -> date:
        """The site's day on which it began."""
        return self._shifts.local(unix(incident["started_at"])).date()

    def zone(self, incident: Record) -> tuple[str, str | None]:
        """Camera and zone."""
        return incident["camera"], incident["zone"]

    def person_shift(self, incident: Record) -> PersonShift:
        """Who, in which shift."""
        tracks = tuple(incident["tracks"])
        on = self._shifts.at(unix(incident["started_at"])) if self._has_shifts else None
        if on is not None:
            return PersonShift(on.day, on.name, incident["camera"], tracks)
        return PersonShift(self.day(incident), None if self._has_shifts else "", incident["camera"], tracks)
