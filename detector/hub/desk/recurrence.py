"""When the like of an incident happened at its place: its days and their incidents enter, a drawing of dots leaves.

Whoever photographs labels for a living comes again. That somebody does, and at which hours, shows on no single
incident.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

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
    dots: dict[tuple[int, int], Dot] = {}
    hours = []
    # Of a quarter of an hour the last is drawn: the one asked of, or else the worst.
    for one in sorted(begun, key=lambda one: (one.id == this, *(one.severity == worst for worst in WORST_FIRST))):
        at = local(one.at)
        quarter = 4 * at.hour + at.minute // 15
        hours.append(at.hour + at.minute / 60)
        key = place[at.date()], quarter
        dots.pop(key, None)  # so that it lies above those of other quarters, too
        dots[key] = Dot(key[0], quarter / 4, one.severity, one.id == this)
    low, high = sum(one.labels_low for one in begun), sum(one.labels_high for one in begun)
    return Recurrence(tuple(days), len(begun), tuple(dots.values()), hours_of(hours), low, high)


def hours_of(times: Sequence[float]) -> Hours | None:
    """The fewest whole hours in a row, the fullest of them, that hold most of some times of the day.

    Args:
        times: 0 to 24; what is near midnight is near on both sides of it.
    """
    if len(times) < FEWEST:
        return None
    for length in range(1, LONGEST_H + 1):
        held = [sum((time - since) % 24 < length for time in times) for since in range(24)]
        if max(held) >= MOST * len(times):
            since = held.index(max(held))
            return Hours(since, since + length, max(held))
    return None
