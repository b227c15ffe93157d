"""How long footage is kept, what goes next, and what went."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from fastapi import APIRouter
from starlette.responses import Response

from detector.hub.pages.view import MayConfigure, View
from detector.hub.upkeep.retention import NO_ALERT, NOTE, VERDICTS

router = APIRouter()

SHOWN = 100
AHEAD_DAYS = 14


@dataclass(frozen=True, slots=True)
class Day:
    """What goes on one day: how many incidents' footage, how many bytes, and how high its bar is (0..1)."""

    day: date
    count: int
    bytes: int
    height: float


@router.get("/retention")
def retention_page(view: MayConfigure) -> Response:
    """The rules, the disk, the days ahead, and what was deleted."""
    retention = view.parts.retention
    days, count = _days(view)
    due = retention.announced(SHOWN, view.scope) if count else []
    space = retention.space()
    return view.page(
        "retention.html",
        config=view.parts.config.retention,
        rules=(*VERDICTS, NOTE, NO_ALERT),
        due=due,
        more=max(0, count - len(due)),
        days=days,
        gone=retention.gone(SHOWN, view.scope),
        space=space,
        used=space.total - space.free,
    )


def _days(view: View) -> tuple[list[Day], int]:
    """The next two weeks, what is overdue going today, and of how many incidents footage goes at any time."""
    today = view.local(view.now).date()
    dates = [today + timedelta(days=n) for n in range(AHEAD_DAYS)]
    ahead = view.parts.retention.ahead([view.span_of(day)[1] for day in dates], view.scope)
    tallest = max(count for count, _ in ahead[:-1]) or 1
    days = [Day(day, *ahead[n], ahead[n][0] / tallest) for n, day in enumerate(dates)]
    return days, sum(count for count, _ in ahead)
