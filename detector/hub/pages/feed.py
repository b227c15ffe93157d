"""The owner's feed: alerts newest first, the digest of a day, and changes as they come."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter
from starlette.responses import Response, StreamingResponse

from detector.hub.budget import ALERT, DIGEST
from detector.hub.cameras import camera_states, look
from detector.hub.charts import hour_bars
from detector.hub.pages.view import Somebody, View
from detector.hub.store import Digested, StoredIncident, Wanted

router = APIRouter()

PAGE_SIZE = 20


@dataclass(frozen=True, slots=True)
class Listing:
    """Which incidents a page lists, by its own address: all alerts, or the digest of one day, or a part of that."""

    wanted: Wanted
    day: date | None = None

    @classmethod
    def of(cls, view: View) -> Listing:
        """What a request asks for."""
        if not view.request.url.path.startswith("/digest"):
            return cls(Wanted(ALERT, scope=view.scope))
        asked = view.request.query_params
        day = _day(view, asked.get("day", ""))
        part = asked.get("kind"), asked.get("camera"), asked.get("zone")
        return cls(Wanted(DIGEST, *view.span_of(day), *part, scope=view.scope), day)

    @property
    def filters(self) -> dict[str, str]:
        """The part of a day's digest that is asked for."""
        found = {"kind": self.wanted.kind, "camera": self.wanted.camera, "zone": self.wanted.zone}
        return {name: value for name, value in found.items() if value is not None}

    def address(self, page: str = "") -> str:
        """Address of this list or, by `page`, of its `/head` or `/cards`; ready for one more parameter."""
        query = {"day": str(self.day), **self.filters} if self.day else {}
        return f"{'/digest' if self.day else '/feed' if page else '/'}{page}?{urlencode(query)}{'&' if query else ''}"


@router.get("/")
def feed(view: Somebody, before: str = "") -> Response:
    """Alerts, newest first; a script that asks for older ones gets their cards alone."""
    return _list(view, before)


@router.get("/digest")
def digest(view: Somebody, before: str = "") -> Response:
    """What exceeded the alert budget on one day, and notes: counted by kind and zone, then one by one."""
    return _list(view, before)


def _list(view: View, before: str) -> Response:
    listing = Listing.of(view)
    last_change = view.store.last_change()  # before reading: what comes meanwhile is told again rather than missed
    incidents = view.store.feed(_place(before), PAGE_SIZE + 1, wanted=listing.wanted)
    more = incidents[PAGE_SIZE - 1].cursor if len(incidents) > PAGE_SIZE else None
    values = {**cards_of(view, incidents[:PAGE_SIZE]), "more": more, "listing": listing}
    if view.wants_fragment:
        return view.page("more.html", **values)
    return view.page("feed.html", **values, **_head(view, listing), before=before, last_change=last_change)


@router.get("/feed/head")
@router.get("/digest/head")
def feed_head(view: Somebody) -> Response:
    """The lines above the feed or the digest."""
    listing = Listing.of(view)
    return view.page("head.html", listing=listing, **_head(view, listing))


@router.get("/feed/cards")
@router.get("/digest/cards")
def feed_cards(view: Somebody) -> Response:
    """Cards of those of the incidents named by `id` that belong on the list."""
    ids = view.request.query_params.getlist("id")[:50]
    return view.page("cards.html", **cards_of(view, view.store.incidents(ids, wanted=Listing.of(view).wanted)))


@router.get("/events")
def events(view: Somebody, after: int = 0) -> Response:
    """Changes as they come; the address tells the last one a page knows, `Last-Event-ID` overrides it."""
    parts = view.parts
    if parts.live.is_full:
        return Response(status_code=503, headers={"Retry-After": "5"})
    token = view.session.token if view.session else None
    last_seen = view.request.headers.get("last-event-id", "")
    stream = parts.live.stream(
        int(last_seen) if re.fullmatch(r"[0-9]{1,15}", last_seen) else after,
        lambda: parts.gate.session(token, parts.clock.now(), extend=False) is not None,
        view.scope,
    )
    headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    return StreamingResponse(stream, media_type="text/event-stream", headers=headers)


def cards_of(view: View, incidents: list[StoredIncident]) -> dict[str, Any]:
    """What `cards.html` needs to draw incidents."""
    return {"incidents": incidents, "with_clips": view.store.with_clips([incident.id for incident in incidents])}


def _head(view: View, listing: Listing) -> dict[str, Any]:
    start, end = view.span_of(view.local(view.now).date())
    budget = view.parts.budget
    cameras = camera_states(view.store.edges(view.scope), view.now, view.scope)
    return {
        "totals": view.store.totals(start, end, view.scope),
        "hours": hour_bars(view.store.by_slot(start, end, 3600, view.scope), start, view.local(view.now).hour),
        "look": look(cameras),
        "spent": view.store.alerts_in(budget.shift(view.now)),
        "limit": budget.limit,
        "digested": _digested(view, listing, {camera.name: camera.title for camera in cameras}) if listing.day else [],
    }


def _digested(view: View, listing: Listing, titles: dict[str, str]) -> list[dict[str, Any]]:
    """A day's digest by kind, the most first: how many, and how many in each zone, each with its address."""
    start, end = view.span_of(listing.day) if listing.day else (0.0, 0.0)
    by_kind: dict[str, list[Digested]] = {}
    for found in view.store.digest(start, end, view.scope):
        by_kind.setdefault(found.kind, []).append(found)

    def part(count: int, title: str, **filters: str) -> dict[str, Any]:
        here = filters == listing.filters
        query = {"day": str(listing.day), **({} if here else filters)}
        return {"count": count, "title": title, "here": here, "address": f"/digest?{urlencode(query)}"}

    kinds = [
        {
            **part(sum(zone.count for zone in zones), view.say.either(f"kind_{kind}", kind), kind=kind),
            "zones": [
                part(
                    zone.count,
                    " · ".join(filter(None, (titles.get(zone.camera, zone.camera), zone.zone))),
                    kind=kind, camera=zone.camera, zone=zone.zone or "",
                )
                for zone in zones
            ],
        }
        for kind, zones in by_kind.items()
    ]  # fmt: skip
    return sorted(kinds, key=lambda kind: -kind["count"])


def _day(view: View, asked: str) -> date:
    """A day from `2026-11-01`; today from anything else."""
    today = view.local(view.now).date()
    try:
        day = date.fromisoformat(asked)
    except ValueError:
        return today
    return day if date(1971, 1, 1) <= day <= today else today


def _place(before: str) -> tuple[float, str] | None:
    """A place in the feed from `time,id`; `None` for its top."""
    at, _, incident = before.partition(",")
    try:
        return (float(at), incident) if before else None
    except ValueError:
        return None
