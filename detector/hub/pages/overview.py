"""Much in one picture: a day by hours and cameras, and four weeks by kind."""

from __future__ import annotations

from datetime import timedelta
from statistics import median

from fastapi import APIRouter
from starlette.responses import Response

from detector.hub.desk.charts import day_rows, trends
from detector.hub.edges.cameras import by_place, overview
from detector.hub.pages.feed import ALL, day_of
from detector.hub.pages.view import Somebody
from detector.hub.storage.wanted import Wanted

router = APIRouter()

DAYS = 28


@router.get("/day")
def day_page(view: Somebody, day: str = "") -> Response:
    """Hours and cameras of a day: how many, and how bad."""
    today = view.local(view.now).date()
    shown = day_of(view, day, today) or today
    start, end = view.span_of(shown)
    cameras = view.parts.keys.in_service(view.cameras)
    # Of a day gone by, which cameras there were is known only by what they told.
    known = by_place(cameras) if shown == today else {}
    hours = list(view.hours_of(shown))
    happened = view.parts.overview.happened(Wanted(since=start, until=end, scope=view.scope))
    return view.page(
        "day.html", day=shown, today=today, totals=view.store.totals(start, end, view.scope), look=overview(cameras),
        rows=day_rows(happened, view.titles, known, view.hour_of, hours),
        hours=hours, now_at=hours.index(view.hour_of(view.now)) if shown == today else len(hours), told=ALL,
        seen=view.store.last_change(),
    )  # fmt: skip


@router.get("/weeks")
def weeks_page(view: Somebody) -> Response:
    """Four weeks, day by day: labels exposed, incidents by kind, and how soon somebody was there."""
    today = view.local(view.now).date()
    days = [today - timedelta(days=DAYS - 1 - n) for n in range(DAYS)]
    by_day = view.parts.overview.by_kind([view.span_of(day) for day in days], Wanted(scope=view.scope))
    cameras = view.parts.keys.in_service(view.cameras)
    waits = view.parts.responses.waits(Wanted(since=view.span_of(days[0])[0], scope=view.scope))
    wait_s = median(waits) if waits else 0.0
    return view.page(
        "weeks.html", trends=trends(days, by_day), told=ALL, look=overview(cameras), waits=waits, wait_s=wait_s
    )
