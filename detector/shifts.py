"""When people work: a calendar of shifts and a time zone; from Unix seconds to the shift that is on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from detector.clock import by_schedule
from detector.config import DAYS, Calendar, Shift

Date = date  # for rules, which handle days but have nothing that could ask for today's


@dataclass(frozen=True, slots=True)
class OnDuty:
    """A shift that is on: its name, and the day on which it began."""

    name: str
    day: date


class Shifts:
    """The shifts of a site.

    A shift past midnight belongs to the day on which it began, except that a closed day is closed as a whole: a night
    shift that runs into one ends at midnight, and one that began on one is not on the morning after. A shift that ends
    when it begins lasts a day. Times are the wall clock's, so that a shift is an hour longer or shorter on the night
    when the clocks change, and one that begins in an hour that is left out begins after it; of an hour that comes twice
    the first is meant.
    """

    def __init__(self, calendar: Calendar, timezone: str) -> None:
        self._calendar = calendar
        self._zone = ZoneInfo(timezone)
        self._closed = frozenset(calendar.closed)

    def local(self, at: float) -> datetime:
        """Unix seconds as the site's date and time."""
        return datetime.fromtimestamp(at, self._zone)

    def at(self, at: float) -> OnDuty | None:
        """The shift that is on at Unix seconds `at`; the first in the file where several are; `None` outside all."""
        now = self.local(at)
        if now.date() in self._closed:
            return None
        clock = f"{by_schedule(now):%H:%M}"
        for shift in self._calendar.shifts:
            for began in (now.date(), now.date() - timedelta(days=1)):
                if (
                    DAYS[began.weekday()] in shift.days
                    and began not in self._closed
                    and _is_on(shift, began, now, clock)
                ):
                    return OnDuty(shift.name, began)
        return None

    def day(self, at: float) -> date:
        """The day that Unix seconds `at` count to: on which the shift that is on began, or today."""
        duty = self.at(at)
        return duty.day if duty else self.local(at).date()

    def working(self, at: float) -> bool:
        """Whether it is working time; where no shifts are given, always but on closed days."""
        if not self._calendar.shifts:
            return self.local(at).date() not in self._closed
        return self.at(at) is not None


def _is_on(shift: Shift, began: date, now: datetime, clock: str) -> bool:
    overnight = shift.ends <= shift.begins
    if began == now.date():
        return shift.begins <= clock and (overnight or clock < shift.ends)
    return overnight and clock < shift.ends
