"""How parcels lie in a camera's zones, now and over a day, and whether they came so or were turned."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from fastapi import APIRouter
from starlette.responses import Response

from detector import wire
from detector.census import ZoneCensus
from detector.clock import on_the_wall
from detector.hub.desk.census_chart import DayChart, Event, day_chart, share, shown_span
from detector.hub.edges.census import Minute
from detector.hub.pages.cameras import drawable, known, path_of
from detector.hub.pages.feed import day_of
from detector.hub.pages.view import MayLook, View
from detector.hub.storage.stored import StoredIncident
from detector.hub.storage.wanted import Wanted
from detector.hub.texts import Phrases
from detector.names import natural
from detector.values import DAY_S, IncidentKind

router = APIRouter()

MOST_INCIDENTS = 300
MOST_EVENTS = 60  # told one by one of those that are folded into one row
FEW_ROWS = 6  # at first sight; the rest unfolds
BEFORE_S, AFTER_S = 300.0, 120.0  # a pattern is told when it is plain, which its first parcels aren't
FRESH_S = 180.0
PICTURE_S = 60.0  # one that is older is asked for anew: parcels are drawn on it as they lie now
MOST_TICKS = 8
GRAVEST = ("turned", "arrived", "lay", "usual", "none")  # how zones lie, worst first


@dataclass(frozen=True, slots=True)
class Told:
    """What one incident is about, or else what happened within one hour on the wall: events, latest first."""

    incident: StoredIncident | None
    events: list[Event]

    @property
    def since(self) -> float:
        """When the first of it began, Unix seconds."""
        return min(event.since for event in self.events)

    @property
    def until(self) -> float:
        """When the last of it ended."""
        return max(event.until for event in self.events)

    @property
    def sums(self) -> list[Event]:
        """All that was turned in it and all that came, as one event each."""
        return [_sum(same) for turned in (True, False) if (same := [e for e in self.events if e.turned is turned])]


@dataclass(frozen=True, slots=True)
class ZoneDay:
    """One zone: how it stood `at` last, in a word (`state`) and a sentence, and its day."""

    name: str
    at: float
    last: ZoneCensus
    state: str
    sentence: str
    chart: DayChart
    told: list[Told]

    @property
    def pieces(self) -> list[tuple[str, int, float, float]]:
        """What lies there by how it came to lie so: name, count, and where its piece of a bar is, in percent."""
        zone = self.last
        counts = [
            ("turned", zone.turned_up), ("arrived", _arrived_up(zone)), ("lay", zone.lay_up), ("not_up", zone.not_up),
            ("unknown", zone.unknown),
        ]  # fmt: skip
        total, left, found = max(sum(count for _, count in counts), 1), 0.0, []
        for name, count in counts:
            width = 100 * count / total
            if count:
                found.append((name, count, left, width))
            left += width
        return found


@router.get("/cameras/{site}/{edge}/{camera}/orientation")
def orientation(view: MayLook, site: str, edge: str, camera: str, day: str = "") -> Response:
    """A day of a camera's storage zones."""
    place = (site, edge, camera)
    state = known(view, place)
    today = view.local(view.now).date()
    shown = day_of(view, day, today) or today
    start, end = view.span_of(shown)
    minutes = view.parts.censuses.minutes(place, start, end, view.scope)
    first, last = shown_span(list(minutes.values()), start, end)
    now = view.parts.censuses.now(place, view.scope) if shown == today else None
    incidents = view.store.feed(
        limit=MOST_INCIDENTS,
        wanted=Wanted(site=site, camera=camera, since=start - DAY_S, until=end, scope=view.scope),  # over midnight, too
    )
    said = view.parts.zones.layouts(view.scope).get(place, {})
    picture = view.parts.pictures.glimpses(view.scope).get(place)
    if shown == today and (picture is None or view.now - picture.taken_at > PICTURE_S):
        view.parts.ask(wire.Topics(site, edge).ask_picture, wire.ask_picture_payload(camera, large=False))
    zones = [_zone_day(view, name, minutes[name], (first, last), incidents) for name in sorted(minutes, key=natural)]
    return view.page(
        "orientation.html",
        camera=state, path=path_of(place), day=shown, today=today, now=now, fresh_s=FRESH_S,
        picture=picture,
        outlines=[zone for zone in drawable(said.get("zones")) if zone["kind"] == "storage"],
        ticks=ticks(view, first, last),
        few_rows=FEW_ROWS,
        most_events=MOST_EVENTS,
        zones=sorted(zones, key=lambda zone: GRAVEST.index(zone.state)),
    )  # fmt: skip


def sentence(say: Phrases, zone: ZoneCensus) -> str:
    """How a zone's parcels lie, and how that came about."""
    judged, parts = zone.up + zone.not_up, []
    if judged:
        said = "parcels_supposed" if zone.supposed else "parcels_usual"
        usual = say(said, n=round(zone.usual_rate * judged)) if zone.usual_rate is not None else ""
        parts.append(say("parcels_up", judged=judged, up=zone.up) + usual)
    if zone.turned_up:
        near = say("parcels_near", n=len(zone.near)) if zone.near else say("parcels_nobody")
        parts.append(say("parcels_turned", n=zone.turned_up) + near)
    if arrived := _arrived_up(zone):
        parts.append(say("parcels_arrived", n=arrived))
    if zone.lay_up:
        parts.append(say("parcels_lay", n=zone.lay_up))
    if zone.unknown:
        parts.append(say("parcels_unknown", n=zone.unknown))
    return say("parcels_and").join(parts) + say("stop") if parts else ""


def state_of(zone: ZoneCensus) -> str:
    """`none` can be judged, as `usual`, or more lie up than usual: most of those `turned`, `arrived` or `lay` so."""
    up = share(zone)
    if up is None or zone.band is None:
        return "none"
    if up <= zone.band[1]:
        return "usual"
    ways = {"turned": zone.turned_up, "arrived": _arrived_up(zone), "lay": zone.lay_up}
    return max(ways, key=lambda way: ways[way])


def _arrived_up(zone: ZoneCensus) -> int:
    return max(zone.up - zone.turned_up - zone.lay_up, 0)


def _zone_day(
    view: View, name: str, minutes: list[Minute], shown: tuple[float, float], incidents: Sequence[StoredIncident]
) -> ZoneDay:
    last, chart = minutes[-1], day_chart(minutes, *shown)
    told = _together(chart.events, lambda event: _of_that_time(event, name, incidents), view.local)
    return ZoneDay(name, last.at, last.zone, state_of(last.zone), sentence(view.say, last.zone), chart, told)


def _together(
    events: Sequence[Event],
    incident_of: Callable[[Event], StoredIncident | None],
    local: Callable[[float], datetime],
) -> list[Told]:
    """Events, latest first, by what they belong to; an hour that comes twice when clocks are put back is two."""
    found: dict[tuple[object, ...], Told] = {}
    for event in events:
        incident, at = incident_of(event), local(event.since)
        key = (incident.id,) if incident else (at.hour, at.fold)
        found.setdefault(key, Told(incident, [])).events.append(event)
    return sorted(found.values(), key=lambda told: told.since, reverse=True)


def _sum(events: Sequence[Event]) -> Event:
    return Event(
        events[0].turned,
        min(event.since for event in events),
        max(event.until for event in events),
        sum(event.up for event in events),
        sum(event.not_up for event in events),
        set().union(*(event.tracks for event in events)),
    )


def _of_that_time(event: Event, zone: str, incidents: Sequence[StoredIncident]) -> StoredIncident | None:
    """The incident that covers an event: one about how parcels lie in this zone rather than another."""
    covering = [
        one
        for one in incidents
        if one.own_span[0] - BEFORE_S <= event.until and event.since <= one.own_span[1] + AFTER_S
    ]
    about = [one for one in covering if one.kind == IncidentKind.ORIENTATION_PATTERN and one.zone == zone]
    others = [one for one in covering if event.turned and one.kind == IncidentKind.LABEL_PHOTOGRAPHY]
    return min(about or others, key=lambda one: abs(one.own_span[0] - event.since), default=None)


def ticks(view: View, first: float, last: float) -> list[tuple[float, str]]:
    """Times under a chart: percent of its width, and text."""
    hours = (last - first) / 3600
    step = next((step for step in (1 / 12, 1 / 4, 1 / 2, 1, 2, 3, 6) if hours / step <= MOST_TICKS), 6)
    return [
        (round(100 * n * step / hours, 2), on_the_wall(view.local(first + 3600 * n * step), "%H:%M"))
        for n in range(math.floor(hours / step + 1e-6) + 1)
    ]
