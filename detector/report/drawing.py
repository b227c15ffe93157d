"""Days as lines: what was watched of a camera, and how parcels lay in a zone, as shapes in a box of `WIDTH` wide."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from detector.clock import unix

WIDTH, HEIGHT = 1000.0, 100.0
APART = 0.5  # of `WIDTH`: a gap that can't be seen
BREAK_S = 600.0  # without a count for so long, the line breaks off


@dataclass(slots=True)
class WatchedDay:
    """A camera's day: watched stretches as x and width, incidents as x and severity; `hours` watched.

    `glanced` are stretches of which only key frames were looked at.
    """

    camera: str
    day: date
    watched: list[tuple[float, float]] = field(default_factory=list)
    glanced: list[tuple[float, float]] = field(default_factory=list)
    incidents: list[tuple[float, str, str]] = field(default_factory=list)
    hours: float = 0.0


@dataclass(frozen=True, slots=True)
class ParcelDay:
    """A zone's day: SVG paths of the share label up and of what is usual, and x of turns."""

    camera: str
    zone: str
    day: date
    line: str
    band: str
    turns: list[float]
    low: float
    high: float


class Days:
    """Cuts time into the days of a time zone.

    Args:
        zone: Its name.
    """

    def __init__(self, zone: str) -> None:
        self._zone = ZoneInfo(zone)

    def of(self, at: float) -> tuple[date, float, float]:
        """The day of a moment (Unix seconds), with its beginning and its end; some have 23 or 25 hours."""
        day = datetime.fromtimestamp(at, self._zone).date()
        begin, end = (datetime.combine(day + timedelta(days=n), time(), self._zone).timestamp() for n in (0, 1))
        return day, begin, end

    def parts(self, begin: float, end: float) -> Iterable[tuple[date, float, float, float]]:
        """Day, x, width and seconds of each piece of a stretch of time."""
        while begin < end:
            day, from_, until = self.of(begin)
            stop, scale = min(end, until), WIDTH / (until - from_)
            yield day, (begin - from_) * scale, (stop - begin) * scale, stop - begin
            begin = stop

    def x(self, at: float) -> float:
        """Where in its day a moment is."""
        _, begin, end = self.of(at)
        return round(WIDTH * (at - begin) / (end - begin), 1)


def watched_days(
    recordings: Iterable[Mapping[str, Any]], incidents: Iterable[Mapping[str, Any]], days: Days
) -> list[WatchedDay]:
    """What was watched, by camera and day; recordings as in `summary.json`."""
    found: dict[tuple[str, date], WatchedDay] = {}

    def of(camera: str, day: date) -> WatchedDay:
        return found.setdefault((camera, day), WatchedDay(camera, day))

    until: dict[str, float] = {}  # what files that overlap show of the same time was seen once
    for file in recordings:
        if not file["seconds"]:
            continue
        begin = unix(file["start"])
        end, seen = begin + file["seconds"], until.get(file["camera"], begin)
        until[file["camera"]] = max(end, seen)
        edges = [0.0, *(edge for hole in file.get("holes", ()) for edge in hole), file["seconds"]]
        for from_s, until_s in zip(edges[::2], edges[1::2], strict=True):
            for day, x, width, seconds in days.parts(max(begin + from_s, seen), begin + until_s):
                row = of(file["camera"], day)
                _add(row.watched, round(x, 2), max(round(width, 2), 2.0))
                row.hours += seconds / 3600
        for from_s, until_s in file.get("key_frames_only", ()):
            for day, x, width, _ in days.parts(begin + from_s, begin + until_s):
                _add(of(file["camera"], day).glanced, round(x, 2), round(width, 2))
    for incident in incidents:
        at = unix(incident["started_at"])
        of(incident["camera"], days.of(at)[0]).incidents.append((days.x(at), incident["severity"], incident["id"]))
    return [found[key] for key in sorted(found)]


def _add(watched: list[tuple[float, float]], x: float, width: float) -> None:
    """Add a stretch; one that goes on from the last is part of it."""
    if watched and 0 <= x - watched[-1][0] <= watched[-1][1] + APART:
        begin = watched[-1][0]
        watched[-1] = begin, round(max(watched[-1][1], x + width - begin), 2)
    else:
        watched.append((x, width))


def parcel_days(census: Mapping[str, Mapping[str, Sequence[Sequence[float]]]], days: Days) -> list[ParcelDay]:
    """How parcels lay, by camera, zone and day.

    Args:
        census: For each camera and zone its counts: Unix seconds, share label up, what is usual at least and at most,
            parcels turned since the count before, and the smallest and largest share since then.
        days: Cuts it.
    """
    drawn = []
    for camera, zones in sorted(census.items()):
        for zone, counts in sorted(zones.items()):
            by_day: defaultdict[date, list[Sequence[float]]] = defaultdict(list)
            for count in counts:
                by_day[days.of(count[0])[0]].append(count)
            drawn += [_parcel_day(camera, zone, day, of_day, days) for day, of_day in sorted(by_day.items())]
    return drawn


def _parcel_day(camera: str, zone: str, day: date, counts: list[Sequence[float]], days: Days) -> ParcelDay:
    line, band = "", ""
    for part in _unbroken(counts):
        at = [days.x(count[0]) for count in part]
        line += _path([(x, count[1]) for x, count in zip(at, part, strict=True)])
        high = [(x, count[3]) for x, count in zip(at, part, strict=True)]
        low = [(x, count[2]) for x, count in zip(at, part, strict=True)]
        band += _path([*high, *reversed(low)]) + "z"
    turns = sorted({days.x(count[0]) for count in counts if count[4]})
    least, most = min(count[5] for count in counts), max(count[6] for count in counts)
    return ParcelDay(camera, zone, day, line, band, turns, least, most)


def _unbroken(counts: Sequence[Sequence[float]]) -> list[list[Sequence[float]]]:
    """Counts, split where none came for long."""
    parts: list[list[Sequence[float]]] = []
    before = float("-inf")
    for count in counts:
        if count[0] - before > BREAK_S:
            parts.append([])
        parts[-1].append(count)
        before = count[0]
    return parts


def _path(points: Sequence[tuple[float, float]]) -> str:
    found = " ".join(f"{x:.1f},{HEIGHT * (1 - share):.0f}" for x, share in points)
    return f"M{found}" + ("h1" if len(points) == 1 else "")
