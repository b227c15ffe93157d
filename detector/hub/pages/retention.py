"""How long footage is kept, what goes next, and what went."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import date
from typing import Annotated

from fastapi import APIRouter
from starlette.responses import Response

from detector.hub.pages.view import View, needs
from detector.hub.storage.rights import Right
from detector.hub.upkeep.retention import NOTE, VERDICTS, Due

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
def retention_page(view: Annotated[View, needs(Right.CONFIGURE)]) -> Response:
    """The rules, the disk, the days ahead, and what was deleted."""
    retention = view.parts.retention
    due = retention.announced(view.scope)
    space = retention.space()
    return view.page(
        "retention.html",
        config=view.parts.config.retention,
        rules=(*VERDICTS, NOTE),
        due=due[:SHOWN],
        more=max(0, len(due) - SHOWN),
        days=_days(view, due),
        gone=retention.gone(SHOWN, view.scope),
        space=space,
        used=space.total - space.free,
    )


def _days(view: View, due: list[Due]) -> list[Day]:
    """The next two weeks; what is overdue goes today."""
    today = view.local(view.now).date()
    count: Counter[int] = Counter()
    size: Counter[int] = Counter()
    for one in due:
        ahead = max(0, (view.local(one.due_at).date() - today).days)
        count[ahead] += 1
        size[ahead] += one.bytes
    tallest = max((count[n] for n in range(AHEAD_DAYS)), default=0)
    return [
        Day(date.fromordinal(today.toordinal() + n), count[n], size[n], count[n] / tallest if tallest else 0.0)
        for n in range(AHEAD_DAYS)
    ]
