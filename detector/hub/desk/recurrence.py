"""When the like of an incident happened at its place: its days and their incidents enter, a drawing of dots leaves.

Whoever photographs labels for a living comes again. That somebody does, and at which hours, shows on no single
incident.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from detector.hub.desk.census_chart import QUARTER_S
from detector.hub.desk.charts import WORST_FIRST
from detector.hub.desk.overview import Begun

DAYS = 14
AFTER_DAYS = 7  # of an incident long ago, so much of what came after it is shown
LONGEST_H = 4  # hours of the day that are worth a visit by whoever wants to see for themselves
MOST = 0.75  # of all incidents lie within these hours
FEWEST = 4  # or nothing is said of hours

# Of the drawing, in its own units: a column is a day, its height the hours of the day.
LEFT, TOP, BOTTOM = 40.0, 6.0, 18.0  # of the columns: for hours, for half a dot, for days
COLUMN, HOUR = 16.0, 3.5
RADIUS, RADIUS_THIS = 3.5, 5.0
NAMED_H = 12  # every so many hours a line has its name


@dataclass(frozen=True, slots=True)
class Dot:
    """A quarter of an hour in which incidents began: which of the days, from 0, the hour on the wall, how bad."""

    day: int
    hour: float
    severity: str
    is_this: bool


@dataclass(frozen=True, slots=True)
class Hours:
    """Hours of the day, `until` excluded and maybe past midnight, within which `count` incidents began."""

    since: int
    until: int
    count: int


@dataclass(frozen=True, slots=True)
class Spot:
    """A dot at its place in the drawing."""

    x: float
    y: float
    radius: float
    dot: Dot


@dataclass(frozen=True, slots=True)
class Drawing:
    """Dots by day and hour, in units of its own, x to the right and y down.

    Attributes:
        width: Of all of it.
        height: Likewise.
        left: Where the columns begin.
        lines: y of hours of the day, and the name of those that have one.
        bands: y and height of the hours when most began: two parts where they go over midnight.
        names: x of the middle of days that have a name, and the name.
        spots: The dots, the last above the others.
    """

    width: float
    height: float
    left: float
    lines: tuple[tuple[float, str], ...]
    bands: tuple[tuple[float, float], ...]
    names: tuple[tuple[float, str], ...]
    spots: tuple[Spot, ...]


@dataclass(frozen=True, slots=True)
class Recurrence:
    """All incidents of a kind at one place within some days.

    Attributes:
        days: Those days, in their order.
        count: How many there are.
        dots: When they began.
        hours: When most of them began; `None` where they are few, or spread over the day.
        labels_low: Labels exposed by all of them, at least.
        labels_high: At most.
    """

    days: tuple[date, ...]
    count: int
    dots: tuple[Dot, ...]
    hours: Hours | None
    labels_low: int
    labels_high: int

    @property
    def on_days(self) -> int:
        """On how many days there were any."""
        return len({dot.day for dot in self.dots})

    @property
    def drawing(self) -> Drawing:
        """Where what is drawn stands."""
        hours = self.hours
        parts = [(hours.since, min(hours.until, 24)), (0, hours.until - 24)] if hours else []
        return Drawing(
            width=LEFT + COLUMN * len(self.days),
            height=_down(24) + BOTTOM,
            left=LEFT,
            lines=tuple((_down(hour), "" if hour % NAMED_H else f"{hour}:00") for hour in range(0, 25, NAMED_H // 2)),
            bands=tuple((_down(since), HOUR * (until - since)) for since, until in parts if until > since),
            names=tuple((_across(n), str(day.day)) for n, day in enumerate(self.days) if self._has_name(n)),
            spots=tuple(
                Spot(_across(dot.day), _down(dot.hour), RADIUS_THIS if dot.is_this else RADIUS, dot)
                for dot in self.dots
            ),
        )

    def _has_name(self, n: int) -> bool:
        """The first day and the last are named, and Mondays that aren't beside these."""
        last = len(self.days) - 1
        return n in (0, last) or (self.days[n].weekday() == 0 and 1 < n < last - 1)


def _across(day: int) -> float:
    return LEFT + COLUMN * (day + 0.5)


def _down(hour: float) -> float:
    return TOP + HOUR * hour


def days_round(day: date, today: date) -> tuple[date, ...]:
    """The days that are shown with an incident of a day: up to today, or up to a week after it."""
    last = max(day, min(today, day + timedelta(days=AFTER_DAYS)))
    return tuple(last - timedelta(days=DAYS - 1 - n) for n in range(DAYS))


def recurrence(
    days: Sequence[date], begun: Sequence[Begun], this: str, local: Callable[[float], datetime]
) -> Recurrence:
    """What is drawn.

    Args:
        days: As `days_round` says.
        begun: All of the kind at the place within these days.
        this: Id of the incident asked of.
        local: The time on the wall at a Unix time.
    """
    place = {day: n for n, day in enumerate(days)}
    # A camera that tells very much tells tens of thousands in these days, but there are few quarters of an hour; no
    # clock is put back, and no day begins, within one.
    counts = Counter(one.at // QUARTER_S for one in begun)
    on_the_wall = {quarter: local(QUARTER_S * quarter) for quarter in counts}
    found = set()
    for quarter, severity, is_this in {(one.at // QUARTER_S, one.severity, one.id == this) for one in begun}:
        at = on_the_wall[quarter]
        found.add(Dot(place[at.date()], at.hour + at.minute / 60, severity, is_this))
    # Of each the last is drawn, and above those of others: the one asked of, or else the worst.
    dots = {(dot.day, dot.hour): dot for dot in sorted(found, key=_above)}
    hours: Counter[int] = Counter()
    for quarter, count in counts.items():
        hours[on_the_wall[quarter].hour] += count
    low, high = sum(one.labels_low for one in begun), sum(one.labels_high for one in begun)
    drawn = tuple(sorted(dots.values(), key=_above))
    return Recurrence(tuple(days), len(begun), drawn, hours_of(hours), low, high)


def _above(dot: Dot) -> tuple[bool | float, ...]:
    return dot.is_this, *(dot.severity == worst for worst in WORST_FIRST), dot.day, dot.hour


def hours_of(counts: Mapping[int, int]) -> Hours | None:
    """The fewest whole hours in a row, the fullest of them, that hold most of what began in any.

    Args:
        counts: How many in each hour of the day; those before midnight and after it are beside each other.
    """
    total = sum(counts.values())
    if total < FEWEST:
        return None
    for length in range(1, LONGEST_H + 1):
        held = [sum(counts.get((since + n) % 24, 0) for n in range(length)) for since in range(24)]
        if max(held) >= MOST * total:
            since = held.index(max(held))
            return Hours(since, since + length, max(held))
    return None
