"""The review desk: what nobody has judged yet, the worst first, played and judged one after another."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query
from starlette.exceptions import HTTPException
from starlette.responses import Response

from detector.hub.desk.reviews import Place
from detector.hub.edges.cameras import by_name
from detector.hub.events import HERE
from detector.hub.pages.incidents import item_of, known
from detector.hub.pages.view import Form, MayJudge, View, event_stream
from detector.hub.storage.budget import LANES
from detector.hub.storage.wanted import Wanted
from detector.names import natural

router = APIRouter()

PAGE_SIZE = 30
DESK = re.compile(r"[A-Za-z0-9-]{8,40}")


@dataclass(frozen=True, slots=True)
class Desk:
    """Which part of the queue a page works through, by its own address."""

    camera: str = ""
    kind: str = ""
    lane: str = ""

    @classmethod
    def of(cls, view: View) -> Desk:
        """What a request asks for."""
        asked = view.request.query_params
        lane = asked.get("lane", "")
        return cls(asked.get("camera", "")[:200], asked.get("kind", "")[:200], lane if lane in LANES else "")

    def wanted(self, view: View) -> Wanted:
        """As the store takes it."""
        return Wanted(told=self.lane or None, kind=self.kind or None, camera=self.camera or None, scope=view.scope)

    def address(self, path: str = "/review", **more: str) -> str:
        """Address of this part of the queue, or of a page that belongs to it."""
        told = {"camera": self.camera, "kind": self.kind, "lane": self.lane}
        query = urlencode({name: value for name, value in {**told, **more}.items() if value})
        return f"{path}?{query}" if query else path


@router.get("/review")
def review(view: MayJudge, incident: str = "") -> Response:
    """The queue, and the incident named or the first of it."""
    last_change = view.store.last_change()  # before reading: what comes meanwhile is told again rather than missed
    desk = Desk.of(view)
    listed = _listed(view, desk)
    shown = known(view, incident) if incident else next(iter(listed["queue"]), None)
    waiting = view.parts.reviews.waiting(view.scope)
    return view.page(
        "review.html",
        desk=desk,
        last_change=last_change,
        cameras=_cameras(view, {camera for camera, _ in waiting} | ({desk.camera} if desk.camera else set())),
        kinds=sorted({kind for _, kind in waiting} | ({desk.kind} if desk.kind else set())),
        lanes=LANES,
        **listed,
        **(item_of(view, shown) if shown else {"incident": None}),
    )


@router.get("/review/queue")
def queue(view: MayJudge, after: str = "") -> Response:
    """The queue alone, or that part of it which follows a place."""
    desk = Desk.of(view)
    return view.page("queue.html", desk=desk, **_listed(view, desk, after))


@router.post("/review/look")
def look(view: MayJudge, fields: Form) -> Response:
    """An open page tells which incident its guard looks at, so that others see it."""
    desk = fields.get("desk", "")
    if not DESK.fullmatch(desk):
        raise HTTPException(400)
    incident = known(view, fields.get("incident", ""))
    view.parts.presence.look(view.user, desk, incident.id, (incident.site, incident.camera), view.now)
    view.parts.live.poke()
    return Response(status_code=204)


@router.get("/review/events")
def review_events(view: MayJudge, desk: str = "", after: Annotated[int, Query(ge=0, lt=2**53)] = 0) -> Response:
    """Changes as they come, as `/events` has them, and who looks at what: `watching` events, each the whole of it."""
    parts, user = view.parts, view.user
    told = ""

    def watching() -> str:
        nonlocal told
        parts.presence.renew(user, desk, parts.clock.now())
        before, told = told, json.dumps(parts.presence.watching(parts.clock.now(), view.scope))
        return f"event: watching\ndata: {told}\n\n" if told != before else ""

    last_seen = view.request.headers.get("last-event-id", "")
    changes = parts.live.stream(
        int(last_seen) if re.fullmatch(r"[0-9]{1,15}", last_seen) else after,
        lambda: parts.gate.is_open(view.session, parts.clock.now()),
        view.scope,
        watching,
        HERE,
        user,
    )

    async def until_closed() -> Any:
        parts.presence.come(user, desk)
        try:
            async for event in changes:
                yield event
        finally:
            parts.presence.leave(user, desk)
            parts.live.poke()

    return event_stream(view, until_closed())


def _listed(view: View, desk: Desk, after: str = "") -> dict[str, Any]:
    """What `queue.html` needs: one page of the queue, and how many are left."""
    wanted = desk.wanted(view)
    found = view.parts.reviews.queue(wanted, _place(after), PAGE_SIZE + 1)
    if after and not found:  # what is judged meanwhile moves the rest of its box to earlier turns
        found = view.parts.reviews.queue(wanted, None, PAGE_SIZE + 1)
    more = found[PAGE_SIZE - 1] if len(found) > PAGE_SIZE else None
    return {
        "queue": [incident for _, incident in found[:PAGE_SIZE]],
        "next_page": desk.address("/review/queue", after=_written_place(more[0])) if more else "",
        "left": view.parts.reviews.left(wanted),
    }


def _cameras(view: View, names: set[str]) -> list[tuple[str, str]]:
    """Names of cameras, each with its title."""
    titles = by_name(view.titles)
    return sorted(((name, titles.get(name, name)) for name in names), key=lambda camera: natural(camera[1], camera[0]))


def _written_place(place: Place) -> str:
    turn, harm, at, incident = place
    return f"{turn},{harm},{at!r},{incident}"


def _place(after: str) -> Place | None:
    """A place in the queue from `turn,harm,time,id`; `None` for its top."""
    try:
        turn, harm, at, incident = after.split(",", 3)
        place = int(turn), int(harm), float(at), incident
    except ValueError:
        return None
    fits = all(0 <= number < 2**53 for number in place[:2]) and math.isfinite(place[2])
    return place if fits and incident and incident.isprintable() else None
