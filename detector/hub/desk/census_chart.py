"""Minutes of a storage zone come in; what is drawn of its day and a list of what happened go out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from detector.census import Turn, ZoneCensus
from detector.hub.edges.census import Minute

GAP_S = 150.0  # a count comes every minute: after a longer pause nobody is known to have watched
TOGETHER_S = 120.0  # what happens so soon after another is told with it
QUARTER_S = 900.0
COLUMNS = 48
WIDTH, HEIGHT = 1000.0, 100.0
LEAST_HIGHEST = 4  # what is little doesn't fill the height


@dataclass(frozen=True, slots=True)
class Stretch:
    """Part of the day that was watched without a gap: SVG paths in a box of `WIDTH` x `HEIGHT`.

    `unsure` lies between the shares that would be if all that can't be judged lay one way or the other.
    """

    line: str
    band: str
    unsure: str


@dataclass(slots=True)
class Column:
    """A piece of the day: how many came and were turned, label up and otherwise."""

    came_up: int = 0
    came_not_up: int = 0
    turned_up: int = 0
    turned_not_up: int = 0


@dataclass(frozen=True, slots=True)
class Rect:
    """A piece of a bar, in the same box."""

    x: float
    y: float
    width: float
    height: float


@dataclass(slots=True)
class Event:
    """Parcels that came, or were turned, at about the same time; `tracks` are people who were near the turned."""

    turned: bool
    since: float
    until: float
    up: int = 0
    not_up: int = 0
    tracks: set[int] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class DayChart:
    """The day of a zone; `ticks` are the full hours from `start` to `end` in percent of the width."""

    stretches: list[Stretch]
    came_up: list[Rect]
    came_not_up: list[Rect]
    turned_up: list[Rect]
    turned_not_up: list[Rect]
    came: int
    came_facing_up: int
    turned: int
    turns: list[float]
    events: list[Event]


def shown_span(minutes: Sequence[Sequence[Minute]], start: float, end: float) -> tuple[float, float]:
    """The quarters of an hour of a day (Unix seconds) that anything is known of; all of it where nothing is.

    So that the first hour of a camera isn't a dot on an empty day.
    """
    times = [minute.at for zone in minutes for minute in zone]
    if not times:
        return start, end
    first, last = (start + (at - start) // QUARTER_S * QUARTER_S for at in (min(times), max(times)))
    return first, min(max(last + QUARTER_S, first + 2 * QUARTER_S), end)


def day_chart(minutes: Sequence[Minute], start: float, end: float) -> DayChart:
    """What is drawn of a zone between two times (Unix seconds)."""
    columns, turns = _columns(minutes, start, end), [turn for minute in minutes for turn in minute.zone.turns]
    most = max(LEAST_HIGHEST, *(max(c.came_up + c.came_not_up, c.turned_up + c.turned_not_up) for c in columns))
    return DayChart(
        [_stretch(part, start, end) for part in _parts(minutes)],
        _bars([c.came_up for c in columns], [0] * COLUMNS, most),
        _bars([c.came_not_up for c in columns], [c.came_up for c in columns], most),
        _bars([c.turned_up for c in columns], [0] * COLUMNS, most),
        _bars([c.turned_not_up for c in columns], [c.turned_up for c in columns], most),
        sum(minute.zone.came_up + minute.zone.came_not_up for minute in minutes),
        sum(minute.zone.came_up for minute in minutes),
        len(turns),
        sorted({round(100 * (turn.at - start) / (end - start), 1) for turn in turns if start <= turn.at < end}),
        _events(minutes),
    )


def share(zone: ZoneCensus) -> float | None:
    """Which share of the judged lies up; `None` where none was judged."""
    judged = zone.up + zone.not_up
    return zone.up / judged if judged else None


def _parts(minutes: Sequence[Minute]) -> list[list[Minute]]:
    """Minutes with a share, split where a gap is between them."""
    parts: list[list[Minute]] = []
    before: Minute | None = None
    for minute in minutes:
        if share(minute.zone) is None:
            before = None
            continue
        if before is None or minute.at - before.at > GAP_S:
            parts.append([])
        parts[-1].append(minute)
        before = minute
    return parts


def _stretch(part: Sequence[Minute], start: float, end: float) -> Stretch:
    line, low, high, least, most = [], [], [], [], []
    for minute in part:
        zone, x = minute.zone, WIDTH * (minute.at - start) / (end - start)
        total = zone.up + zone.not_up + zone.unknown
        line.append((x, zone.up / (zone.up + zone.not_up)))
        least.append((x, zone.up / total))
        most.append((x, (zone.up + zone.unknown) / total))
        if zone.band is not None:
            low.append((x, zone.band[0]))
            high.append((x, zone.band[1]))
    return Stretch(_path(line), _area(low, high), _area(least, most))


def _path(points: Sequence[tuple[float, float]]) -> str:
    if not points:
        return ""
    found = " ".join(f"{x:.1f},{HEIGHT * (1 - y):.1f}" for x, y in points)
    return f"M{found}" + ("h1" if len(points) == 1 else "")


def _area(low: Sequence[tuple[float, float]], high: Sequence[tuple[float, float]]) -> str:
    if not low:
        return ""
    edge = [*high, *reversed(low)]
    if len(low) == 1:  # as wide as its dot
        (x, below), (_, above) = low[0], high[0]
        edge = [(x - 1, above), (x + 2, above), (x + 2, below), (x - 1, below)]
    return _path(edge) + "z"


def _columns(minutes: Sequence[Minute], start: float, end: float) -> list[Column]:
    columns = [Column() for _ in range(COLUMNS)]

    def at(time: float) -> Column:
        return columns[min(max(int(COLUMNS * (time - start) / (end - start)), 0), COLUMNS - 1)]

    for minute in minutes:
        at(minute.at).came_up += minute.zone.came_up
        at(minute.at).came_not_up += minute.zone.came_not_up
        for turn in minute.zone.turns:
            at(turn.at).turned_up += turn.up
            at(turn.at).turned_not_up += not turn.up
    return columns


def _bars(counts: Sequence[int], below: Sequence[int], most: int) -> list[Rect]:
    """A piece for every count, standing on what is below it."""
    wide, unit = WIDTH / COLUMNS, HEIGHT / most
    return [
        Rect(
            round(n * wide + 1, 1),
            round(HEIGHT - (under + count) * unit, 1),
            round(wide - 2, 1),
            round(count * unit, 1),
        )
        for n, (count, under) in enumerate(zip(counts, below, strict=True))
        if count
    ]


def _events(minutes: Sequence[Minute]) -> list[Event]:
    """What happened, latest first."""
    came: list[Event] = []
    turned: list[Event] = []
    for minute in minutes:
        zone = minute.zone
        if zone.came_up or zone.came_not_up:
            event = _joined(came, minute.at, turned=False)
            event.up += zone.came_up
            event.not_up += zone.came_not_up
    turns: list[Turn] = sorted((turn for minute in minutes for turn in minute.zone.turns), key=lambda turn: turn.at)
    for turn in turns:
        event = _joined(turned, turn.at, turned=True)
        event.up += turn.up
        event.not_up += not turn.up
        event.tracks |= set(turn.tracks)
    return sorted([*came, *turned], key=lambda event: event.since, reverse=True)


def _joined(events: list[Event], at: float, *, turned: bool) -> Event:
    """The last of these events where it goes on, else a new one among them."""
    if not events or at - events[-1].until > TOGETHER_S:
        events.append(Event(turned, at, at))
    events[-1].until = at
    return events[-1]
