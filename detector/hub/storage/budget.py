"""Who is told at once and who later: an incident's severity, and what its shift was told already, decide its lane.

The owner sets how many alerts a shift takes. The first warnings of a shift are alerts; what comes after them, and what
is only a note, waits in the digest. What is critical is always an alert, and counts. An alert never becomes digest;
digest becomes an alert when it grows more severe and there is room, or when it turns critical.

A box that tells too much, be it mad or in a thief's hands, takes no other's place: each box has its share of what a
shift takes, rounded up, whatever others told before. So a shift has more than its number where one took more than its
share, and never more than twice as many and one for each box.
"""

from __future__ import annotations

from detector.config import Calendar, HubConfig
from detector.shifts import Shifts
from detector.values import Severity

ALERT = "alert"
DIGEST = "digest"
LANES = (ALERT, DIGEST)
DOUBLE = "double"  # what another incident tells already (`doubles`): in neither lane


class Budget:
    """How many alerts a shift takes.

    Args:
        limit: So many; `None` for as many as come.
        shifts: When people work.
    """

    def __init__(self, limit: int | None = None, shifts: Shifts | None = None) -> None:
        self.limit = limit
        self._shifts = shifts or Shifts(Calendar(), "UTC")

    def shift(self, at: float) -> str:
        """Names the span whose budget an incident that began at Unix seconds `at` takes from.

        That is a shift by the day it began and its name; outside all shifts, or where none are given, the day.
        """
        duty = self._shifts.at(at)
        return f"{duty.day} {duty.name}" if duty else f"{self._shifts.local(at).date()}"

    def lane(
        self,
        severity: str,
        spent: int,
        before: tuple[str, str] | None = None,
        *,
        own: int | None = None,
        boxes: int = 1,
    ) -> str:
        """Whether an incident is an alert or goes to the digest.

        It depends on nothing but what came before it, so that the same messages in the same order decide the same.

        Args:
            severity: Of the incident now; a word that this hub doesn't know counts as a warning.
            spent: How many alerts its shift has had.
            before: Severity and lane of the incident so far; `None` when it is new.
            own: How many of those were of its own box; all when left out.
            boxes: How many boxes share the budget.
        """
        if before is not None:
            severity_before, lane = before
            if lane == ALERT or rank(severity) <= rank(severity_before):
                return lane
        if severity == Severity.CRITICAL:
            return ALERT
        if severity == Severity.INFO:
            return DIGEST
        if self.limit is None or spent < self.limit:
            return ALERT
        return ALERT if (spent if own is None else own) * boxes < self.limit else DIGEST


def budget_of(config: HubConfig) -> Budget:
    """The alert budget that a configuration sets."""
    return Budget(config.alerts_per_shift, Shifts(config.calendar, config.timezone))


RANKS = {severity.value: severity.rank for severity in Severity}


def rank(severity: str) -> int:
    """How grave a word is; one that this hub doesn't know counts as a warning."""
    return RANKS.get(severity, Severity.WARNING.rank)
