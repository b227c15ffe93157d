"""Days as a calendar: what each day brought enters, weeks from Monday to Sunday leave."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, timedelta

from detector.report.tally import Sum


@dataclass(frozen=True, slots=True)
class Day:
    """Labels exposed on a day, hours watched of all cameras together, and files of it not read to their end."""

    day: date
    found: Sum = field(default_factory=Sum)
    hours: float = 0.0
    unread: int = 0


@dataclass(frozen=True, slots=True)
class Week:
    """Seven days; `skipped` weeks before it, since the week told last, brought nothing at all."""

    days: tuple[Day, ...]
    skipped: int


def weeks(days: Iterable[Day]) -> list[Week]:
    """Each week of which there is anything: one file with a wrong date makes no calendar of years."""
    known = {day.day: day for day in days}
    found: list[Week] = []
    for monday in sorted({day - timedelta(days=day.weekday()) for day in known}):
        week = [monday + timedelta(days=n) for n in range(7)]
        skipped = (monday - found[-1].days[0].day).days // 7 - 1 if found else 0
        found.append(Week(tuple(known.get(day, Day(day)) for day in week), skipped))
    return found
