"""The owner's feed: alerts newest first, narrowed by what the address says, the digest of a day, changes as they come.

An open page keeps itself true by asking again for the list as it stands (`/feed/live`), whenever it hears that anything
changed: what it shows depends on nothing but the answer, so that it misses nothing and doubles nothing, whatever was
lost on the way.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter
from starlette.responses import Response

from detector.hub.desk.charts import hour_bars
from detector.hub.desk.crowding import Cursor, Fold, gathered
from detector.hub.desk.responses import trips_to
from detector.hub.edges.cameras import CameraState, by_name, by_place, overview
from detector.hub.events import HERE
from detector.hub.pages.alarms import banner
from detector.hub.pages.health import gaps_of_today
from detector.hub.pages.view import Somebody, View, event_stream
from detector.hub.storage.budget import ALERT, DIGEST, LANES
from detector.hub.storage.rights import EVERYWHERE
from detector.hub.storage.stored import VERDICTS, Digested, StoredIncident, is_time
from detector.hub.storage.wanted import Wanted
from detector.names import natural
from detector.values import IncidentKind, Severity

router = APIRouter()

PAGE_SIZE = 20
MOST_CARDS = 200  # on a page that stays open; what falls off its end is behind the link for older ones
MOST_ASKED_FOR = 1000  # by a page that was told to show ever older ones
LATEST_CHANGE = 2**53
DAYS_OFFERED = 14
MOST_ZONES = 12  # of a kind that a digest names at once, those with the most; a hundred cameras fill many screens
LONGEST_VALUE = 200
ALL = "all"
UNJUDGED = "open"
NO_ZONE = "-"
NARROWED_BY = ("site", "edge", "camera", "zone", "kind", "severity", "verdict")
REPLAY, LIVE = "replay", "live"


@dataclass(frozen=True, slots=True)
class Listing:
    """Which incidents a page lists, by its own address.

    Attributes:
        is_digest: Whether it is the page of one day's digest.
        told: `alert`, `digest` or `all`.
        day: Of the site's calendar; `None` for any.
        hour: Of that day, by the clock on the wall (`View.hour_of`); `2` means both `2A` and `2B`.
        filters: Those of `NARROWED_BY` and `origin` that are given, as the address has them.
        wanted: All of that, for the store.
    """

    is_digest: bool
    told: str
    day: date | None
    hour: str | None
    filters: dict[str, str]
    wanted: Wanted

    @classmethod
    def of(cls, view: View) -> Listing:
        """What a request asks for; what makes no sense is left out."""
        asked = {
            name: value.replace("\0", "")[:LONGEST_VALUE] for name, value in view.request.query_params.items() if value
        }
        is_digest = view.request.url.path.startswith("/digest")
        day = day_of(view, asked.get("day", ""), view.local(view.now).date() if is_digest else None)
        hour = _hour(asked.get("hour", ""))
        hours = _hours(view, day, hour) if day else []
        told = DIGEST if is_digest else asked["told"] if asked.get("told") in (*LANES, ALL) else ALERT
        filters = {name: asked[name] for name in NARROWED_BY if name in asked}
        origin = {"origin": asked["origin"]} if asked.get("origin") in (REPLAY, LIVE) else {}
        since, until = (hours[0][0], hours[-1][1]) if hours else view.span_of(day) if day else (None, None)
        empty = {("zone", NO_ZONE): "", ("verdict", UNJUDGED): ""}
        narrow = {name: empty.get((name, value), value) for name, value in filters.items()}
        wanted = replace(
            Wanted(None if told == ALL else told, since, until, scope=view.scope, **narrow),  # type: ignore[arg-type]
            replayed=origin["origin"] == REPLAY if origin else None,
        )
        return cls(is_digest, told, day, hour if hours else None, filters | origin, wanted)

    @property
    def is_narrow(self) -> bool:
        """Whether less is asked for than the page shows by itself."""
        by_more = self.hour is not None or bool(self.filters)
        return by_more or (not self.is_digest and (self.day is not None or self.told != ALERT))

    def found(
        self, view: View, limit: int, before: Cursor | None, down_to: Cursor | None = None
    ) -> tuple[list[StoredIncident], dict[str, Fold]]:
        """What it lists, and what is folded away: of alerts, where no box or camera is asked for (`crowding`)."""
        if self.told == ALERT and not {"edge", "camera"} & self.filters.keys():
            return gathered(view.store.database, self.wanted, limit, before, down_to)
        return view.store.feed(before, limit, wanted=self.wanted, down_to=down_to), {}

    def address_of(self, view: View, fold: Fold) -> str:
        """Address of what is folded away, in a list of its box, on its day unless midnight comes within it."""
        day, after = view.day(fold.until), f"{fold.after[0]},{fold.after[1]}"
        same_day = day if view.day(fold.since) == day else None
        return self.address(site=fold.site, edge=fold.edge, day=same_day, hour=None, before=after)

    def address(self, page: str = "", **changes: Any) -> str:
        """Address of this list or, by `page`, of its `/older` or `/live`, with parameters set or (`None`) left out."""
        path = "/digest" if self.is_digest else "/feed" if page else "/"
        told = None if self.is_digest or self.told == ALERT else self.told
        query = {"told": told, "day": self.day, "hour": self.hour, **self.filters, **changes}
        given = urlencode({name: value for name, value in query.items() if value is not None})
        return f"{path}{page}?{given}" if given else f"{path}{page}"


@dataclass(frozen=True, slots=True)
class Pick:
    """One way to narrow the list: `options` are pairs of value and text, the first of which says what it narrows by."""

    name: str
    value: str
    options: list[tuple[str, str]]


@router.get("/")
def feed(view: Somebody, before: str = "") -> Response:
    """Alerts, newest first."""
    return _page(view, before)


@router.get("/digest")
def digest(view: Somebody, before: str = "") -> Response:
    """What exceeded the alert budget on one day, and notes: counted by kind and zone, then one by one."""
    return _page(view, before)


def _page(view: View, before: str) -> Response:
    listing = Listing.of(view)
    last_change = view.store.last_change()  # before reading: what comes meanwhile is told again rather than missed
    found = listing.found(view, PAGE_SIZE + 1, _place(before))
    head = _head(view, listing)
    page = view.page(
        "feed.html", **head, **_listed(view, listing, found, PAGE_SIZE), before=before, seen=last_change,
        picks=_picks(view, listing, head["cameras"]),
    )  # fmt: skip
    # The address without what wasn't chosen, for whoever shares it.
    page.headers["HX-Push-Url"] = listing.address()
    return page


@router.get("/feed/older")
@router.get("/digest/older")
def older(view: Somebody, before: str = "", shown: str = "") -> Response:
    """Cards of the incidents after a place, to be put below the `shown` ones."""
    listing, place = Listing.of(view), _place(before)
    found = listing.found(view, PAGE_SIZE + 1, place)
    above = _number(shown, MOST_ASKED_FOR)
    # The day of the card above has its heading already.
    day = view.day(place[0]) if place else ""
    return view.page("more.html", **{**_listed(view, listing, found, PAGE_SIZE, above), "day_above": day})


@router.get("/feed/live")
@router.get("/digest/live")
def live(view: Somebody, before: str = "", to: str = "", shown: str = "", seen: str = "", until: str = "") -> Response:
    """The list as it stands now, from the place `before` down to the place `to`; and the lines above it.

    `shown` is how many cards the page has, `seen` the last change that is in them, `until` the time up to which they
    are right without another (Unix seconds). When nothing has changed since, the lines above come alone.
    """
    listing = Listing.of(view)
    last_change = view.store.last_change()
    known = _number(seen, LATEST_CHANGE)
    head = _head(view, listing)
    if known == last_change and view.now < _number(until, LATEST_CHANGE):
        unchanged = view.page("head.html", **head, listing=listing)
        unchanged.headers["HX-Reswap"] = "none"
        return unchanged
    last = _place(to)
    most = min(max(_number(shown, MOST_ASKED_FOR), MOST_CARDS), MOST_ASKED_FOR)
    found = listing.found(view, most + 1, _place(before), last)
    changed, _ = view.store.changed_since(known, scope=view.scope)
    return view.page(
        "live.html", **head, **_listed(view, listing, found, most, has_older=last is not None), before=before,
        seen=last_change, fresh={incident for _, incident in changed},
    )  # fmt: skip


@router.get("/events")
def events(view: Somebody, after: str = "") -> Response:
    """Changes as they come; the address tells the last one a page knows, `Last-Event-ID` overrides it."""
    parts = view.parts
    last_seen = view.request.headers.get("last-event-id", "") or after
    stream = parts.live.stream(
        _number(last_seen, LATEST_CHANGE),
        lambda: parts.gate.is_open(view.session, parts.clock.now()),
        view.scope,
        heartbeat=HERE,
        user=view.user,
    )
    return event_stream(view, stream)


def cards_of(view: View, incidents: list[StoredIncident]) -> dict[str, Any]:
    """What `cards.html` needs to draw incidents."""
    ids = [incident.id for incident in incidents]
    late = view.parts.health.gaps.came_late(ids)
    twice = view.store.seen_twice(ids)
    doubles = {double.id: one for one in twice for double in view.store.seen_by(one, view.scope)}
    shown = dict(zip(ids, ids, strict=True)) | doubles
    steps = view.parts.responses.steps([*shown])
    return {
        "incidents": incidents,
        "with_clips": view.store.with_clips(ids),
        "without_footage": view.store.without_footage(ids),
        "came_late": late,
        "confirmed": view.store.confirmed(ids),
        "seen_twice": twice,
        "trips_to": trips_to(replace(step, incident=shown[step.incident]) for step in steps),
    }


def day_of(view: View, asked: str, otherwise: date | None) -> date | None:
    """A day from `2026-11-01`; `otherwise` from anything that is none or yet to come."""
    try:
        day = date.fromisoformat(asked)
    except ValueError:
        return otherwise
    return day if date(1971, 1, 1) <= day <= view.local(view.now).date() else otherwise


def _listed(
    view: View, listing: Listing, found: tuple[list[StoredIncident], dict[str, Fold]], most: int, above: int = 0, *,
    has_older: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """What `more.html` needs to show at most so many of those found, below so many that are shown already."""
    incidents, folds = found[0][:most], found[1]
    last = incidents[-1].cursor if incidents and (has_older or len(found[0]) > most) else None
    return {
        **cards_of(view, incidents),
        "folds": folds,
        "until": _until(view, incidents),
        "listing": listing,
        "last": f"{last[0]},{last[1]}" if last else "",
        "shown": above + len(incidents),
        "day_above": "",
    }


def _until(view: View, incidents: list[StoredIncident]) -> int:
    """Until when cards are right while nothing changes: they say `today`, and of what nobody ended that it goes on."""
    midnight = view.span_of(view.local(view.now).date())[1]
    return math.ceil(min([midnight, *(one.unheard_at for one in incidents if one.goes_on(view.now))]))


def _head(view: View, listing: Listing) -> dict[str, Any]:
    """What stands above the list: today, how much was found, and a day's digest."""
    start, end = view.span_of(view.local(view.now).date())
    by_hour = view.store.by_hour(start, end, view.hour_of, view.scope)
    budget = view.parts.budget
    cameras = view.cameras
    told = banner(view)
    return {
        "totals": view.store.totals(start, end, view.scope),
        "hours": hour_bars(by_hour, view.hours_of(view.local(view.now).date()), view.hour_of(view.now)),
        "cameras": cameras,
        "look": overview(view.parts.keys.in_service(cameras)),
        "spent": view.store.alerts_in(budget.shift(view.now)),
        "limit": budget.limit if view.scope == EVERYWHERE else None,  # it is of all places together
        "gaps": gaps_of_today(view, start, [line.alarm for line in told["alarm_lines"]]),
        **told,
        "found": view.parts.overview.found(listing.wanted) if listing.is_narrow else None,
        "digested": _digested(view, listing) if listing.is_digest else [],
        "over": _over(view, listing) if listing.is_digest else 0,
    }


def _over(view: View, listing: Listing) -> int:
    """How many of a day's digest would have been alerts, had there been room; the others are notes."""
    if listing.day is None:
        return 0
    since, until = view.span_of(listing.day)
    wanted = Wanted(DIGEST, since, until, severity=Severity.WARNING.value, scope=view.scope)
    return view.parts.overview.found(wanted).count


def _digested(view: View, listing: Listing) -> list[dict[str, Any]]:
    """A day's digest by kind, the most first: how many, and how many in each zone, each with its address.

    What was in several zones counts in each, as it does on the page behind it, and once in its kind.
    """
    if listing.day is None:
        return []
    digested = view.store.digest(*view.span_of(listing.day), view.scope)
    is_one_site = len({found.site for found in digested}) == 1
    by_kind: dict[str, list[Digested]] = {}
    for found in digested:
        by_kind.setdefault(found.kind, []).append(found)

    def place(found: Digested) -> str:
        title = view.titles.get((found.site, found.camera), found.camera)
        return " · ".join(filter(None, ("" if is_one_site else found.site, title, found.zone)))

    def part(count: int, title: str, **filters: str) -> dict[str, Any]:
        here = filters == listing.filters
        query = {"day": str(listing.day), **({} if here else filters)}
        return {"count": count, "title": title, "here": here, "address": f"/digest?{urlencode(query)}"}

    def of_zones(zones: list[Digested]) -> list[dict[str, Any]]:
        return [
            part(
                zone.count, place(zone), kind=zone.kind, site=zone.site, camera=zone.camera, zone=zone.zone or NO_ZONE,
            )
            for zone in zones
        ]  # fmt: skip

    kinds = [
        {
            **part(sum(zone.own for zone in zones), view.say.either(f"kind_{kind}", kind), kind=kind),
            "overlap": any(zone.count > zone.own for zone in zones),
            "zones": of_zones(zones[:MOST_ZONES]),
            "rest": of_zones(zones[MOST_ZONES:]),
        }
        for kind, zones in by_kind.items()
    ]
    return sorted(kinds, key=lambda kind: -kind["count"])


def _picks(view: View, listing: Listing, cameras: Iterable[CameraState]) -> list[Pick]:
    """The ways to narrow the list that leave a choice."""
    say, chosen = view.say, listing.filters
    places = view.parts.overview.places(view.scope)
    sites = sorted({place.site for place in places}, key=natural)
    here = [place for place in places if chosen.get("site") in (None, place.site)]
    known = {(place.site, place.camera): place.title for place in here}
    known |= by_place(one for one in cameras if chosen.get("site") in (None, one.site))
    zones = {place.zone or NO_ZONE for place in here if chosen.get("camera") in (None, place.camera)}
    today = view.local(view.now).date()
    days = [today - timedelta(days=n) for n in range(DAYS_OFFERED)]
    days += [listing.day] if listing.day and listing.day not in days else []
    options: dict[str, list[tuple[str, str]]] = {
        "day": [(str(day), view.date_words(day)) for day in days],
        "severity": [(severity.value, say(f"severity_{severity.value}")) for severity in reversed(Severity)],
        "kind": [(kind.value, say(f"kind_{kind.value}")) for kind in IncidentKind],
        "site": [(site, site) for site in sites],
        "edge": [],  # chosen by the line that folds away what one told
        "camera": sorted(by_name(known).items(), key=lambda camera: natural(camera[1])),
        "zone": [(zone, say("no_zone") if zone == NO_ZONE else zone) for zone in sorted(zones, key=natural)],
        "verdict": [(UNJUDGED, say("unjudged")), *((verdict, say(f"verdict_{verdict}")) for verdict in VERDICTS)],
    }
    picks = []
    for name, found in options.items():
        value = str(listing.day or "") if name == "day" else chosen.get(name, "")
        if value and value not in dict(found):
            found.append((value, value))
        if value or len(found) > 1:
            every = [] if listing.is_digest and name == "day" else [("", say("every_" + name))]
            picks.append(Pick(name, value, [*every, *found]))
    if "origin" in chosen or view.parts.overview.has_replayed(view.scope):
        origins = [(REPLAY, say("origin_replay")), (LIVE, say("origin_live"))]
        picks.append(Pick("origin", chosen.get("origin", ""), [("", say("every_origin")), *origins]))
    if not listing.is_digest:
        picks.append(
            Pick(
                "told", listing.told, [(ALERT, say("told_alert")), (DIGEST, say("told_digest")), (ALL, say("told_all"))]
            )
        )
    return picks


def _hour(asked: str) -> str:
    """An hour of a day from `2`, `02` or `2B`; empty from anything that is none."""
    found = re.fullmatch("0?((?:[0-9]|1[0-9]|2[0-3])[AB]?)", asked)
    return found[1] if found else ""


def _hours(view: View, day: date, hour: str) -> list[tuple[float, float]]:
    """Beginnings and ends, Unix seconds, of an hour of a day; two where it comes twice and the halves aren't told."""
    return [span for name, span in view.hours_of(day).items() if hour in (name, name.rstrip("AB"))]


def _place(text: str) -> tuple[float, str] | None:
    """A place in the feed from `time,id`; `None` for its top."""
    at, _, incident = text.partition(",")
    try:
        place = float(at), incident.replace("\0", "")
    except ValueError:
        return None
    return place if is_time(place[0]) else None


def _number(text: str, largest: int) -> int:
    """A whole number; 0 from anything that is none."""
    return min(int(text), largest) if re.fullmatch(r"[0-9]{1,15}", text) else 0
