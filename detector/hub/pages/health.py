"""Health of the promise: who watches and who didn't, what was lost or came late; probes for supervisors and Prometheus.

Nought is shown as nought: a figure that an edge doesn't tell is a dash.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from detector.hub.edges.cameras import CameraState, Overload, camera_states, counter, overload, reported
from detector.hub.evidence.figures import united_s
from detector.hub.pages.alarms import LATEST, alarm_lines, may_acknowledge, standing
from detector.hub.pages.view import Anybody, MayLook, View
from detector.hub.storage.rights import EVERYWHERE, Right, Scope
from detector.hub.storage.stored import Edge, EdgeId, is_time, told_number
from detector.hub.watch.alarms import Alarm
from detector.hub.watch.gaps import Gap
from detector.hub.watch.signs import LOSSES
from detector.names import natural
from detector.values import DAY_S

router = APIRouter()

DAYS = 7
FOLDED = 7  # so many cameras of a box that nothing is to be said of are folded away, with one line for all
MOST_IN_HEAD = 4
COUNTS = ("backlog", "full", "clips", "dropped", "dropped_clips", "dropped_views", "dead", "set_aside")
FULL_DISK = 0.95  # from this share on, a disk is called nearly full
BAD_CLOCK_S = 2.0  # evidence carries the edge's time
# What a camera that is seen goes on without.
LACKS = ("small_lost", "small_differs", "large_lost", "sparse", "squeezed", "far")
FORWARDED = ("x-forwarded-for", "forwarded", "x-real-ip")


@dataclass(frozen=True, slots=True)
class GapLine:
    """A gap in words: `text` says who was away and how many alerts came late for it."""

    gap: Gap
    text: str
    began: str
    ended: str

    @property
    def is_open(self) -> bool:
        """Whether it still lasts."""
        return self.gap.ended_at is None


@dataclass(frozen=True, slots=True)
class Strip:
    """The last 24 hours of one place: spans of watching (`seen`) and of gaps, in thousandths of the width."""

    spans: list[tuple[str, float, float, str]]
    words: str


@dataclass(frozen=True, slots=True)
class CameraHealth:
    """A camera as its edge last told; what isn't told is `None`."""

    state: CameraState
    strip: Strip
    told: dict[str, Any]

    @property
    def is_calm(self) -> bool:
        """Whether nothing is to be said of it: it watches as it should, and did so for the last 24 hours."""
        away = any(what != "seen" for what, *_ in self.strip.spans)
        return self.state.is_fine and not self.state.behind and not self.told["lack"] and not away


@dataclass(frozen=True, slots=True)
class EdgeHealth:
    """An edge box as last heard of, and its cameras.

    An edge counts what it lost for as long as its store lasts. `known` has the alarms, by kind, with which somebody
    acknowledged all of it: that is history, and no trouble of today. With `has_its_share` its clips wait with it, since
    the hub's disk is short (`footage.shares`). What the box says in words of its own may name any of its cameras: it is
    told with `is_seen_whole` alone, to who sees all of them.
    """

    edge: Edge
    state: str
    told: dict[str, Any]
    strip: Strip
    cameras: list[CameraHealth]
    late: int
    refused: int
    overload: Overload | None
    known: dict[str, Alarm]
    has_its_share: bool
    is_seen_whole: bool

    @property
    def calm(self) -> list[CameraHealth]:
        """Its cameras that are folded away: those of which nothing is to be said, where there are many."""
        calm = [camera for camera in self.cameras if camera.is_calm]
        return calm if len(calm) >= FOLDED else []

    @property
    def least_analysed(self) -> float | None:
        """Frames a second looked at of the one folded away that has fewest."""
        return min((fps for one in self.calm if (fps := one.told["analysed_fps"]) is not None), default=None)

    @property
    def is_fine(self) -> bool:
        """Whether it watches all that it should, as it should, and lost nothing but what people have acknowledged."""
        return (
            self.state == "online"
            and self.overload is None
            and not self.has_its_share
            and self.told["safe_since"] is None
            and _losses(self.edge, self.told).keys() <= self.known.keys()
            and all(camera.state.is_fine and not camera.told["lack"] for camera in self.cameras)
        )


@router.get("/health")
def health(view: MayLook) -> Response:
    """Whether anybody is watching, whether anything was lost, and when nobody watched."""
    return view.page("health.html", **_page(view))


@router.get("/health/part")
def health_part(view: MayLook) -> Response:
    """The same, for a page that keeps itself fresh."""
    return view.page("health_part.html", **_page(view))


def _page(view: View) -> dict[str, Any]:
    kept = view.parts.health
    only_replaying = view.store.edges.only_replaying()
    known = view.parts.keys.in_service(view.edges)
    edges = [edge for edge in known if (edge.site, edge.edge) not in only_replaying]
    cameras = camera_states(edges, view.now, view.scope)
    since = view.now - DAY_S
    today = view.local(view.now).date()
    first_day, _ = view.span_of(today - timedelta(days=DAYS - 1))
    gaps, late = kept.gaps.with_late(min(first_day, since), since, view.now + 1, view.scope)
    recent = [gap for gap in gaps if gap.ended_at is None or gap.ended_at > since]
    watched_since = kept.gaps.since()
    strip_of = partial(_strip, view, recent, watched_since)
    found = list(_edge_healths(view, edges, cameras, late, strip_of))
    total, _ = view.store.refused()
    hub, standing_alarms = kept.hub(), standing(view)
    open_gaps = [line for line in gap_lines(view, recent) if line.is_open]
    return {
        "all_fine": all(one.is_fine for one in found) and hub.connected and not open_gaps and not standing_alarms,
        "edges": sorted(found, key=_trouble_first),
        "online": sum(one.state == "online" for one in found),
        "fine": sum(camera.is_fine for camera in cameras),
        "cameras": len(cameras),
        "replaying": sorted(
            (f"{site} / {edge}" for site, edge in only_replaying if view.scope.sees(site)), key=natural
        ),
        "open": open_gaps,
        "gaps_24h": len(recent),
        "late_24h": late.total(),
        "day_words": _day_in_words(
            view,
            len(recent),
            late.total(),
            [watched_since.get(place) for place in [("", "", ""), *((edge.site, edge.edge, "") for edge in edges)]],
        ),
        "hub": hub,
        "hub_strip": strip_of("", ""),
        "refused": total if view.scope.places is None else None,
        "days": _days(view, gaps, watched_since),
        "ticks": [view.short_time(since + share * DAY_S) for share in (0, 0.25, 0.5, 0.75)],
        "counter": counter,
        "alarms_open": alarm_lines(view, sorted(standing_alarms, key=lambda alarm: alarm.acknowledged_at is not None)),
        "alarms_past": alarm_lines(view, view.parts.alarms.history(view.scope, limit=LATEST)),
        "may_acknowledge": may_acknowledge,
        "full_disk": FULL_DISK,
        "bad_clock_s": BAD_CLOCK_S,
    }


def _edge_healths(
    view: View,
    edges: Iterable[Edge],
    cameras: Sequence[CameraState],
    late: Counter[EdgeId],
    strip_of: Callable[..., Strip],
) -> Iterator[EdgeHealth]:
    refused, waiting = view.parts.health.gaps.refused_by(), view.parts.clips.waiting()
    for edge in edges:
        place = edge.site, edge.edge
        own = [camera for camera in cameras if (camera.site, camera.edge) == place]
        own.sort(key=lambda camera: (camera.is_fine, natural(camera.name)))
        yield EdgeHealth(
            edge=edge,
            state=edge_state(edge, own),
            told=_told(edge),
            strip=strip_of(*place),
            cameras=[CameraHealth(one, strip_of(*place, one.name), _camera_told(edge, one.name)) for one in own],
            late=late[place],
            refused=refused.get(place, 0),
            overload=overload(own),
            known=_acknowledged(view, edge),
            has_its_share=place in waiting,
            is_seen_whole=view.scope.sees_all_of(edge.site),
        )


def _losses(edge: Edge, told: Mapping[str, Any]) -> dict[str, int]:
    """How much an edge ever lost, by the kind of alarm that tells of it; without those of which it lost nothing."""
    counts = {"lost": edge.lost, **{kind: round(told[name] or 0) for kind, name in LOSSES.items()}}
    return {kind: count for kind, count in counts.items() if count}


def _acknowledged(view: View, edge: Edge) -> dict[str, Alarm]:
    losses = {(kind, edge.site, edge.edge, ""): count for kind, count in _losses(edge, _told(edge)).items()}
    return {kind: alarm for (kind, *_), alarm in view.parts.alarms.acknowledged(losses).items()} if losses else {}


def _trouble_first(one: EdgeHealth) -> tuple[bool, bool, Any]:
    all_seen = all(camera.state.is_fine for camera in one.cameras)
    return one.state == "online", all_seen, natural(one.edge.site, one.edge.edge)


def edge_state(edge: Edge, cameras: list[CameraState]) -> str:
    """`online`, `offline`, or `quiet` where its reports have stopped or never came."""
    if edge.state == "offline":
        return "offline"
    own = [camera for camera in cameras if (camera.site, camera.edge) == (edge.site, edge.edge)]
    return "quiet" if edge.health_at is None or any(camera.state == "edge_quiet" for camera in own) else "online"


def gap_lines(view: View, gaps: Iterable[Gap]) -> list[GapLine]:
    """Gaps in words, for `gaps.html`."""
    return [_line(view, gap) for gap in gaps]


def gaps_of_today(view: View, midnight: float, told: Iterable[Alarm]) -> list[GapLine]:
    """The latest of today's silences, for the head of the feed; a camera's is an incident of its own there.

    Args:
        view: Whose.
        midnight: When today began, Unix seconds.
        told: Alarms of the banner: what lasts and is told there is not told twice.
    """
    silent = {(alarm.kind, alarm.site, alarm.edge) for alarm in told}
    notes = view.parts.health.gaps.notes(midnight, view.now + 1, view.scope)
    found = [gap for gap in notes if gap.what != "camera" and not (gap.ended_at is None and _alarm_of(gap) in silent)]
    return gap_lines(view, found[:MOST_IN_HEAD])


def _alarm_of(gap: Gap) -> tuple[str, str, str]:
    """Kind and place of the alarm that tells of the same."""
    return {"broker": "broker_lost", "edge": "edge_silent"}.get(gap.what, ""), gap.site, gap.edge


def _line(view: View, gap: Gap) -> GapLine:
    say = view.say
    name = view.title(gap.site, gap.edge, gap.camera) if gap.camera else f"{gap.site} / {gap.edge}"
    span = say.span(gap.lasted_s(view.now))
    text = {
        "hub": say("gap_hub", span=span),
        "broker": say("gap_broker", span=span),
        "edge": say("gap_edge", name=name, span=span),
        "camera": say("gap_camera", name=name, span=span),
    }[gap.what]
    if gap.late:
        text += say("gap_late", n=gap.late)
    same_day = gap.ended_at is not None and view.day(gap.began_at) == view.day(gap.ended_at)
    ended = "" if gap.ended_at is None else view.short_time(gap.ended_at)
    if gap.ended_at is not None and not same_day:
        ended = f"{view.short_day(gap.ended_at)} {ended}"
    return GapLine(gap, text, view.short_time(gap.began_at), ended)


def _days(view: View, gaps: list[Gap], since: Mapping[tuple[str, str, str], float]) -> list[tuple[str, list[GapLine]]]:
    """The last days, each with the gaps that began on it; days before the hub's first are left out."""
    first = since.get(("", "", ""), view.now)
    today = view.local(view.now).date()
    lines = gap_lines(view, gaps)
    days = []
    for n in range(DAYS):
        day = today - timedelta(days=n)
        start, end = view.span_of(day)
        if end > first:
            own = [line for line in lines if start <= line.gap.began_at < end]
            days.append((view.date_words(day), own))
    return days


def _strip(
    view: View, gaps: list[Gap], since: Mapping[tuple[str, str, str], float], site: str, edge: str, camera: str = ""
) -> Strip:
    """A place's last 24 hours: what lies over it, the hub's own absence included."""
    begins, now = view.now - DAY_S, view.now

    def left(at: float) -> float:
        return round(1000 * (min(max(at, begins), now) - begins) / DAY_S, 2)

    first = since.get((site, edge, camera))
    spans = [] if first is None else [("seen", left(first), round(1000 - left(first), 2), "")]
    own = [gap for gap in gaps if _lies_over(gap, site, edge, camera)]
    away_s = united_s((max(gap.began_at, begins), now if gap.ended_at is None else gap.ended_at) for gap in own)
    for gap in own:
        x, end = left(gap.began_at), left(now if gap.ended_at is None else gap.ended_at)
        line = _line(view, gap)
        spans.append((gap.what, x, round(max(end - x, 1.5), 2), f"{line.began}–{line.ended or view.say('until_now')}"))
    if first is None:
        return Strip(spans, view.say("strip_unknown"))
    if own:
        return Strip(spans, view.say("strip_gaps", n=len(own), span=view.say.span(away_s)))
    # Nobody can say of the time before a place was known that it was watched.
    return Strip(
        spans, view.say("strip_whole") if first <= begins else view.say("strip_since", when=view.moment(first))
    )


def _day_in_words(view: View, gaps: int, late: int, known_since: list[float | None]) -> str:
    """What the last 24 hours were like, or as much of them as all of these have been known for."""
    if gaps or late:
        return view.say("health_day_gaps", n=gaps, late=late)
    since = max((one for one in known_since if one is not None), default=None)
    if since is None:
        return view.say("strip_unknown")
    if since <= view.now - DAY_S:
        return view.say("health_day_whole")
    return view.say("health_day_since", when=view.moment(since))


def _lies_over(gap: Gap, site: str, edge: str, camera: str) -> bool:
    if not gap.site:
        return True
    return (gap.site, gap.edge) == (site, edge) and (not gap.camera or gap.camera == camera)


def _told(edge: Edge) -> dict[str, Any]:
    """What an edge's report says of the box; `None` where it says nothing that can be read."""
    health = edge.health or {}
    model = health.get("model")
    names = [str(model.get(name) or "")[:60] for name in ("name", "precision")] if isinstance(model, dict) else []
    clock = health.get("clock")
    return {
        "version": _text(health.get("version")),
        "model": " · ".join(filter(None, names)) or _text(model),
        "model_sha256": _text(health.get("model_sha256")),
        "uptime_s": _count(health.get("uptime_s")),
        "disk_free": _count(health.get("disk_free")),
        "disk_total": _count(health.get("disk_total")),
        "oldest_s": _count(health.get("oldest_s")),
        **_supervision(health),
        "clock_synchronised": clock.get("synchronised") if isinstance(clock, dict) else None,
        **{name: _count(health.get(name)) for name in COUNTS},
    }


def _supervision(health: Mapping[str, Any]) -> dict[str, Any]:
    """Whether a box runs with its last good configuration, and how often it restarted itself within a day."""
    config, own = health.get("config"), health.get("supervision")
    config, own = config if isinstance(config, dict) else {}, own if isinstance(own, dict) else {}
    problems = config.get("problems")
    return {
        "safe_since": config["since"] if config.get("state") == "last_good" and is_time(config.get("since")) else None,
        "problems": [text for one in (problems if isinstance(problems, list) else [])[:5] if (text := _text(one, 300))],
        "restarts": _count(own.get("restarts")),
        "restarted_for": _text(own.get("restarted_for"), 120),
    }


def _camera_told(edge: Edge, name: str) -> dict[str, Any]:
    told = next((fields for camera, fields in reported(edge.health) if camera == name), {})
    names = ("fps", "analysed_fps", "passed_over_fps", "wait_s", "dropped", "reconnects", "decode_errors", "crashes")
    counts = {name: _count(told.get(name)) for name in names}
    lack = told.get("lack")
    return {**counts, "lack": lack if lack in LACKS else "", "resting": told.get("resting") is True}


def _count(value: object) -> float | None:
    return told_number(value, 0.0, 1e15)


def _text(value: object, longest: int = 80) -> str | None:
    return value[:longest] if isinstance(value, str) and value else None


# Probes


@router.get("/healthz")
def healthz(request: Request) -> dict[str, bool]:
    """For a supervisor: the server answers and the database can be read."""
    request.app.state.parts.store.last_change()
    return {"ok": True}


@router.get("/readyz")
def readyz(request: Request) -> Response:
    """For a load balancer: whether the database can be written, the disk has room, and the broker is there."""
    ready = request.app.state.parts.health.ready()
    return JSONResponse(ready, 200 if ready["ready"] else 503)


@router.get("/metrics")
def metrics(view: Anybody) -> Response:
    """Figures for Prometheus, to the loopback and to tokens that may look, or as the setting `metrics` says."""
    scope = _metrics_scope(view)
    if scope is None:
        words = "401: a token with the right to look, please\n"
        return Response(words, 401, {"WWW-Authenticate": "Bearer"}, "text/plain")
    return Response(view.parts.metrics.page(scope), media_type=CONTENT_TYPE_LATEST)


def _metrics_scope(view: View) -> Scope | None:
    """The places whose figures a visitor may read; `None` where none.

    Raises:
        HTTPException: 404, where there are no figures for anybody.
    """
    setting = view.parts.config.metrics
    if setting == "off":
        raise HTTPException(404)
    if setting == "open":
        return EVERYWHERE
    scheme, _, token = view.request.headers.get("authorization", "").partition(" ")
    who = view.principal
    if scheme.lower() == "bearer":
        who = view.parts.gate.bearer(token.strip(), view.address, view.now)
    if who is not None:
        return who.scope if who.may(Right.LOOK) else None
    return EVERYWHERE if not scheme and is_local(view.request) else None


def is_local(request: Request) -> bool:
    """Whether a request comes from this very machine, and isn't passed on by a proxy on it for somebody else."""
    try:
        address = ipaddress.ip_address(request.client.host if request.client else "")
    except ValueError:
        return False
    return address.is_loopback and not any(name in request.headers for name in FORWARDED)
