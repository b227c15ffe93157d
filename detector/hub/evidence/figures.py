"""Incidents of a case come in; its totals and its time line leave, as plain numbers for the page and the sheet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from math import ceil, floor

from detector.clock import changed
from detector.hub.storage.stored import CLEARED, StoredIncident
from detector.sentences import photographed

FEW_TICKS = 300  # drawn on one day at most


@dataclass(frozen=True, slots=True)
class CaseTotals:
    """What a case comes to, incidents judged authorised or false left out (`cleared` of them).

    Of those in doubt (`unsure` of them) neither photos nor labels count. Labels are added up over incidents: one that
    was photographed twice, or seen by two cameras, counts twice. `seconds` is the time that any of the incidents
    lasted, counted once where they overlap; of one that tells of photos and a stay, the time of the photos.
    """

    incidents: int
    cleared: int
    unsure: int
    labels_low: int
    labels_best: int
    labels_high: int
    photos: int
    seconds: float
    cameras: tuple[tuple[str, str, str], ...]  # site, camera, its name for people
    days: tuple[date, ...]
    first: float | None
    last: float | None


def events(incidents: Sequence[StoredIncident]) -> list[StoredIncident]:
    """Those that no other of them is shown in the stead of: who sees one camera alone puts in what that told."""
    ids = {incident.id for incident in incidents}
    return [incident for incident in incidents if incident.same_as not in ids]


def totals(incidents: Sequence[StoredIncident], zone: tzinfo) -> CaseTotals:
    """Sum up, each event once; days are those of a time zone."""
    incidents = events(incidents)
    counted = [incident for incident in incidents if incident.verdict not in CLEARED]
    sure = [incident for incident in counted if not incident.in_doubt]
    spans = [_span(incident) for incident in counted]
    return CaseTotals(
        len(counted),
        len(incidents) - len(counted),
        len(counted) - len(sure),
        sum(incident.labels_low for incident in sure),
        sum(incident.labels_best for incident in sure),
        sum(incident.labels_high for incident in sure),
        sum(incident.photos for incident in sure),
        united_s(map(_told_span, counted)),
        tuple(sorted({(incident.site, incident.camera, incident.title) for incident in counted})),
        tuple(sorted({datetime.fromtimestamp(begins, zone).date() for begins, _ in spans})),
        min((begins for begins, _ in spans), default=None),
        max((ends for _, ends in spans), default=None),
    )


def _span(incident: StoredIncident) -> tuple[float, float]:
    return incident.started_at, max(incident.started_at, incident.ended_at)


def _told_span(incident: StoredIncident) -> tuple[float, float]:
    """From when to when it was as its sentence says it."""
    begins, ends = _span(incident)
    taken = photographed(incident.record)
    if taken is None:
        return begins, ends
    return max(begins, taken[0] - incident.ahead_s), min(ends, taken[1] - incident.ahead_s)


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
    """A day on which something happened; where the clock is put back, what comes before that and after: two rows.

    `zone` is the time zone's name in such a row (`CEST`, then `CET`), else empty.
    """

    date: date
    zone: str
    spans: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class CaseLine:
    """A row for each day on which something happened; `hours` are marks on the scale: hour and place in percent."""

    days: tuple[Day, ...]
    hours: tuple[tuple[int, float], ...]


@dataclass(frozen=True, slots=True)
class _Row:
    """What is drawn beside one another: from when to when, Unix seconds; `zone` as `Day` has it."""

    date: date
    zone: str
    begins: float
    ends: float


def time_line(incidents: Sequence[StoredIncident], zone: tzinfo) -> CaseLine:
    """Lay out incidents by day and time of day, the scale no longer than what happened; over midnight, on both days."""
    pieces: dict[_Row, list[tuple[StoredIncident, float, float]]] = {}
    for incident in incidents:
        begins, ends = _span(incident)
        for row in _rows(begins, ends, zone):
            pieces.setdefault(row, []).append((incident, max(begins, row.begins), min(ends, row.ends)))
    if not pieces:
        return CaseLine((), ())
    hours = [hour for row in pieces for _, *span in pieces[row] for hour in (_hour(row, at, zone) for at in span)]
    first = floor(min(hours))
    length = max(ceil(max(hours)) - first, 1)
    step = next(step for step in (1, 2, 3, 4, 6) if length / step <= 6)

    def place(hour: float) -> float:
        return min(max(100 * (hour - first) / length, 0.0), 100.0)

    days = []
    for row in sorted(pieces, key=lambda row: row.begins):
        spans = []
        for incident, begins, ends in sorted(pieces[row], key=lambda piece: piece[1]):
            left, right = (place(_hour(row, at, zone)) for at in (begins, ends))
            photos = (act["started_at_unix"] - incident.ahead_s for act in incident.acts if act.get("kind") == "photo")
            within = (place(_hour(row, at, zone)) for at in photos if begins <= at <= ends)
            spans.append(Span(incident, left, right - left, tuple(within)[:FEW_TICKS]))
        days.append(Day(row.date, row.zone, tuple(spans)))
    return CaseLine(tuple(days), tuple((hour, place(hour)) for hour in range(first, first + length + 1, step)))


def _rows(begins: float, ends: float, zone: tzinfo) -> Iterator[_Row]:
    """Rows that a span touches, those of 31 days at most."""
    day = datetime.fromtimestamp(begins, zone).date()
    for _ in range(31):
        next_day = day + timedelta(days=1)
        since, until = (datetime(one.year, one.month, one.day, tzinfo=zone).timestamp() for one in (day, next_day))
        back = changed(since, until, zone)
        if back is None or not datetime.fromtimestamp(back, zone).fold:
            yield _Row(day, "", since, until)
        else:
            if begins < back:
                yield _Row(day, datetime.fromtimestamp(since, zone).strftime("%Z"), since, back)
            if ends > back or begins >= back:
                yield _Row(day, datetime.fromtimestamp(back, zone).strftime("%Z"), back, until)
        if ends <= until:
            return
        day, begins = next_day, until


def _hour(row: _Row, at: float, zone: tzinfo) -> float:
    """What the clock on the wall shows at a time of a row, 0 to 24."""
    if row.zone:  # nothing is changed within it, and it ends at what the clock would have shown
        local = datetime.fromtimestamp(row.begins, zone) + timedelta(seconds=at - row.begins)
    else:
        local = datetime.fromtimestamp(at, zone)
    if local.date() > row.date:
        return 24.0
    return local.hour + local.minute / 60 + (local.second + local.microsecond / 1e6) / 3600
