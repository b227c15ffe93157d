"""Incidents of a case come in; its totals and its time line leave, as plain numbers for the page and the sheet."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from math import ceil, floor

from detector.hub.storage.stored import CLEARED, StoredIncident

FEW_TICKS = 300  # drawn on one day at most


@dataclass(frozen=True, slots=True)
class CaseTotals:
    """What a case comes to, incidents judged authorised or false left out (`cleared` of them).

    Labels are added up over incidents: one that was photographed twice, or seen by two cameras, counts twice.
    `seconds` is the time that any of the incidents lasted, counted once where they overlap.
    """

    incidents: int
    cleared: int
    labels_low: int
    labels_best: int
    labels_high: int
    photos: int
    seconds: float
    cameras: tuple[tuple[str, str, str], ...]  # site, camera, its name for people
    days: tuple[date, ...]
    first: float | None
    last: float | None


def totals(incidents: Sequence[StoredIncident], zone: tzinfo) -> CaseTotals:
    """Sum up; days are those of a time zone."""
    counted = [incident for incident in incidents if incident.verdict not in CLEARED]
    spans = [_span(incident) for incident in counted]
    return CaseTotals(
        len(counted),
        len(incidents) - len(counted),
        sum(incident.labels_low for incident in counted),
        sum(incident.labels_best for incident in counted),
        sum(incident.labels_high for incident in counted),
        sum(incident.photos for incident in counted),
        united_s(spans),
        tuple(sorted({(incident.site, incident.camera, incident.title) for incident in counted})),
        tuple(sorted({datetime.fromtimestamp(begins, zone).date() for begins, _ in spans})),
        min((begins for begins, _ in spans), default=None),
        max((ends for _, ends in spans), default=None),
    )


def _span(incident: StoredIncident) -> tuple[float, float]:
    return incident.started_at, max(incident.started_at, incident.ended_at)


def united_s(spans: Iterable[tuple[float, float]]) -> float:
    """How long any of these spans lasts; where they overlap, that counts once."""
    total, until = 0.0, float("-inf")
    for begins, ends in sorted(spans):
        total += max(0.0, ends - max(begins, until))
        until = max(until, ends)
    return total


@dataclass(frozen=True, slots=True)
class Span:
    """One incident on a day: places in percent of the width, `ticks` those of its photo acts."""

    incident: StoredIncident
    left: float
    width: float
    ticks: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Day:
    """A day on which something happened."""

    date: date
    spans: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class CaseLine:
    """A row for each day on which something happened; `hours` are marks on the scale: hour and place in percent."""

    days: tuple[Day, ...]
    hours: tuple[tuple[int, float], ...]


def time_line(incidents: Sequence[StoredIncident], zone: tzinfo) -> CaseLine:
    """Lay out incidents by day and time of day, the scale no longer than what happened; over midnight, on both days."""
    pieces: dict[date, list[tuple[StoredIncident, float, float]]] = {}
    for incident in incidents:
        for day, begins, ends in _by_day(*_span(incident), zone):
            pieces.setdefault(day, []).append((incident, begins, ends))
    if not pieces:
        return CaseLine((), ())
    hours = [hour for day in pieces for _, begins, ends in pieces[day] for hour in _hours(day, begins, ends, zone)]
    first = floor(min(hours))
    length = max(ceil(max(hours)) - first, 1)
    step = next(step for step in (1, 2, 3, 4, 6) if length / step <= 6)

    def place(hour: float) -> float:
        return min(max(100 * (hour - first) / length, 0.0), 100.0)

    days = []
    for day in sorted(pieces):
        spans = []
        for incident, begins, ends in sorted(pieces[day], key=lambda piece: piece[1]):
            left, right = map(place, _hours(day, begins, ends, zone))
            photos = (act["started_at_unix"] - incident.ahead_s for act in incident.acts if act.get("kind") == "photo")
            within = (place(_hours(day, at, at, zone)[0]) for at in photos if begins <= at <= ends)
            spans.append(Span(incident, left, right - left, tuple(within)[:FEW_TICKS]))
        days.append(Day(day, tuple(spans)))
    return CaseLine(tuple(days), tuple((hour, place(hour)) for hour in range(first, first + length + 1, step)))


def _by_day(begins: float, ends: float, zone: tzinfo) -> Iterable[tuple[date, float, float]]:
    """Days that a span touches (31 at most) and from when to when it lies in each, Unix seconds."""
    day = datetime.fromtimestamp(begins, zone).date()
    for _ in range(31):
        next_day = day + timedelta(days=1)
        next_midnight = datetime(next_day.year, next_day.month, next_day.day, tzinfo=zone).timestamp()
        yield day, begins, min(ends, next_midnight)
        if ends <= next_midnight:
            return
        day, begins = next_day, next_midnight


def _hours(day: date, begins: float, ends: float, zone: tzinfo) -> tuple[float, float]:
    """What the clock on the wall shows, 0 to 24; no width where it was put back meanwhile."""

    def hour(at: float) -> float:
        local = datetime.fromtimestamp(at, zone)
        if local.date() > day:
            return 24.0
        return local.hour + local.minute / 60 + (local.second + local.microsecond / 1e6) / 3600

    return hour(begins), max(hour(begins), hour(ends))
