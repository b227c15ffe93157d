"""One request: who asks, what they may do and see, and how words and times are written there.

Every page takes a `View`, by one of the dependencies below: `Anybody`, `Somebody`, or `needs(Right.JUDGE)`. Templates
see it as `view`.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import date, datetime, timedelta
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import parse_qsl, urlsplit
from zoneinfo import ZoneInfo

from fastapi import Depends, Request
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, Response, StreamingResponse

from detector import wire
from detector.clock import QUARTER_S, comes_twice, on_the_wall
from detector.facts import FACTS, PLAIN, number
from detector.hub.access.auth import Session
from detector.hub.access.guard import bearer_token, cookie_name
from detector.hub.edges.cameras import CameraState, by_place, camera_states
from detector.hub.pages.menu import DAILY, SELDOM, Doors, Entry
from detector.hub.parts import Parts
from detector.hub.storage.rights import CONSOLE, Principal, Right, Role, Scope
from detector.hub.storage.stored import VERDICTS, Edge, StoredIncident
from detector.hub.texts import LANGUAGES, Phrases, advice, explanation
from detector.sentences import count_range
from detector.version import VERSION

LONGEST_FORM = 32 * 1024  # held by `access.guard`; all zones of a camera, as large as they may be, come to 24
FORM_S = 30.0  # from its first byte to its last
STATIC = Path(__file__).parent.parent / "static"
THEMES = ("light", "dark")

TEMPLATES = Environment(
    loader=PackageLoader("detector.hub"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
    lstrip_blocks=True,
)  # fmt: skip
TEMPLATES.globals.update(
    count_range=count_range, explanation=explanation, advice_on=advice, VERDICTS=VERDICTS, Right=Right,
    one_day=timedelta(days=1), program_version=VERSION,
)  # fmt: skip
UNBROKEN = re.compile(r"\d+–\d+|\d{4}-\d\d-\d\d")


def unbroken(text: str) -> Markup:
    """A sentence whose ranges of numbers, `3–6`, and days, `2026-11-01`, each stay in one line."""
    return Markup(UNBROKEN.sub(r'<span class="whole">\g<0></span>', str(escape(text))))  # noqa: S704  (escaped)


TEMPLATES.filters["unbroken"] = unbroken
NAMED = {"posture": "posture_", "what": "what_", "ended_by": "ended_by_"}  # facts whose values are words of ours
UP = ("up", "zone_up", "zone_judged", "turned_here", "turned_by_person", "arrived_up", "lay_up")
TIMES = ("photos", "untold", "scans", "unclear", "moved_on", "acts_told_earlier")
# What a fact counts.
UNITS = {
    **dict.fromkeys(UP, "unit_parcels"),
    **dict.fromkeys(("parcels", "judged"), "unit_of_parcels"),
    **dict.fromkeys(TIMES, "unit_times"),
    **dict.fromkeys(("people", "people_inside", "beside"), "unit_people"),
}


class LoginNeeded(Exception):  # noqa: N818  (an answer to a visitor, not an error of ours)
    """The page is for people who are logged in."""


class PasswordNeeded(Exception):  # noqa: N818  (an answer to a visitor, not an error of ours)
    """The visitor has to choose a password of their own first, or to set up the second step that this hub wants."""


class NotAllowed(Exception):  # noqa: N818  (an answer to a visitor, not an error of ours)
    """The visitor's role lacks the right."""


class View:
    """One request: who asks, in which language, and how times are written there.

    Attributes:
        session: Of a person who is logged in; an API token has none.
        principal: Who acts, person or token; `None` where nobody is logged in.
    """

    def __init__(self, request: Request) -> None:
        parts: Parts = request.app.state.parts
        self.request = request
        self.parts = parts
        self.store = parts.store
        self.now = parts.clock.now()
        self.zone = ZoneInfo(parts.config.timezone)
        language = self.cookie("language")
        self.say = Phrases(language if language in LANGUAGES else parts.config.language)
        theme = self.cookie("theme")
        self.theme = theme if theme in THEMES else ""
        # Somebody opens pages, and sends forms. What a page that is left open asks for, its pictures, films and changes
        # as they come, is no sign of a person, nor what it tells by itself.
        opened = not self.wants_fragment and "text/html" in request.headers.get("accept", "")
        sent = request.method == "POST" and request.url.path != "/review/look"
        in_use = opened or sent
        token = bearer_token(request.url.path, request.headers)
        cookie = None if token is not None else self.cookie()
        self.session: Session | None = parts.gate.session(cookie, self.now, extend=in_use, address=self.address)
        self.principal: Principal | None = self.session
        if token is not None:
            self.principal = parts.gate.bearer(token, self.address, self.now)

    def cookie(self, name: str = "labelwatch") -> str:
        """A cookie of ours, the session's when left out; empty where there is none."""
        return self.request.cookies.get(cookie_name(self.request.url.scheme, name), "")

    @property
    def address(self) -> str:
        """Where the request comes from; empty where that isn't known."""
        return self.request.client.host if self.request.client else ""

    @property
    def acting(self) -> Principal:
        """Who acts.

        Raises:
            LoginNeeded: Nobody is logged in.
        """
        if self.principal is None:
            raise LoginNeeded
        return self.principal

    @property
    def must_step(self) -> bool:
        """Whether this hub wants a second step that the visitor hasn't set up yet."""
        wanted = self.parts.config.second_step == "required"
        return wanted and self.session is not None and not self.session.second_step

    @property
    def user(self) -> str:
        """The name of who acts: somebody's, or `token:NAME`.

        Raises:
            LoginNeeded: Nobody is logged in.
        """
        return self.acting.user

    @property
    def scope(self) -> Scope:
        """The places this visitor sees; goes into every query."""
        return self.principal.scope if self.principal else Scope(())

    @cached_property
    def edges(self) -> list[Edge]:
        """The edges that this visitor sees, as heard last when this was first asked."""
        return self.store.edges.all(self.scope)

    @cached_property
    def cameras(self) -> list[CameraState]:
        """The cameras that this visitor sees, those not seen first."""
        return camera_states(self.edges, self.now, self.scope)

    @cached_property
    def titles(self) -> dict[tuple[str, str], str]:
        """What cameras are called, by site and name: as their boxes report, else as incidents told of them last."""
        told = {(place.site, place.camera): place.title for place in self.parts.overview.places(self.scope)}
        return told | by_place(self.cameras)

    @cached_property
    def _reported(self) -> dict[tuple[str, str, str], str]:
        return {(camera.site, camera.edge, camera.name): camera.title for camera in self.cameras}

    def title(self, site: str, edge: str, camera: str) -> str:
        """What one camera of a box is called; its name where nobody said."""
        return self._reported.get((site, edge, camera)) or self.titles.get((site, camera), camera)

    @cached_property
    def switched_off(self) -> list[str]:
        """Which kinds of incident are off, each with its camera, of those that the visitor sees."""
        return [
            f"{self.title(*one[:3])} · {self.say.either('kind_' + one[3], one[3])}"
            for one in sorted(
                (change.site, change.edge, change.camera, change.kind)
                for change in self.parts.thresholds.switched_off()
                if self.scope.sees(change.site, change.camera)
            )
        ]

    @property
    def role(self) -> Role | None:
        """What the visitor is to the warehouse."""
        return self.principal.role if self.principal else None

    def may(self, right: Right) -> bool:
        """Whether the visitor's role has a right."""
        return self.principal is not None and self.principal.may(right)

    @property
    def menu(self) -> tuple[list[Entry], list[Entry]]:
        """Pages that the visitor may open: those of every day, and those of now and then."""
        doors: Doors = self.request.app.state.doors
        return doors.open_to(self.may, DAILY), doors.open_to(self.may, SELDOM)

    def did(self, action: str, subject: str = "", **details: Any) -> None:
        """Leave a line in the audit log; with what it tells, where that is written, in one transaction."""
        self.parts.audit.record(self.now, self.user, action, subject, **details)

    def saw(self, action: str, subject: str, **details: Any) -> None:
        """Leave a line in the audit log, once an hour for the same person and subject: players ask in pieces."""
        self.parts.audit.record_once(self.now, self.user, action, subject, **details)

    @property
    def wants_fragment(self) -> bool:
        """Whether a script of the page asks, which swaps a part of it."""
        return "hx-request" in self.request.headers or "x-fragment" in self.request.headers

    def page(self, template: str, status: int = 200, **values: Any) -> HTMLResponse:
        """A page, or a part of one."""
        html = TEMPLATES.get_template(template).render(view=self, say=self.say, **values)
        return HTMLResponse(html, status)

    def local(self, at: float) -> datetime:
        """A time in the site's zone."""
        return datetime.fromtimestamp(at, self.zone)

    def clock_time(self, at: float) -> str:
        """`09:26:13` in the site's zone; of an hour that comes twice with the zone's name: `02:26:13 CEST`."""
        return on_the_wall(self.local(at), "%H:%M:%S")

    def short_time(self, at: float) -> str:
        """The same without seconds: `09:26`, `02:26 CEST`."""
        return on_the_wall(self.local(at), "%H:%M")

    def zone_names(self, start: float, end: float) -> list[tuple[float, str]]:
        """From when on within a day at most the zone's name goes with a time, and from when on none (empty)."""
        found: list[tuple[float, str]] = []
        at = start
        while at < end:
            local = self.local(at)
            name = f"{local:%Z}" if comes_twice(local) else ""
            if not found or found[-1][1] != name:
                found.append((at, name))
            at = QUARTER_S * (at // QUARTER_S + 1)
        return found

    def hour_of(self, at: float) -> str:
        """Which hour of its day a time is in, by the clock on the wall: `2`; of one that comes twice `2A` and `2B`."""
        local = self.local(at)
        return f"{local.hour}{'AB'[local.fold]}" if comes_twice(local) else str(local.hour)

    def hours_of(self, day: date) -> dict[str, tuple[float, float]]:
        """The hours of a day in their order (`hour_of`), each with its beginning and end, Unix seconds."""
        found: dict[str, tuple[float, float]] = {}
        at, end = self.span_of(day)
        while at < end:
            hour = self.hour_of(at)
            found[hour] = (found.get(hour, (at, at))[0], at + QUARTER_S)
            at += QUARTER_S
        return found

    @staticmethod
    def hour_words(hour: str) -> str:
        """`02:00–03:00`, and which of two."""
        number = int(hour.rstrip("AB"))
        return f"{number:02}:00–{number + 1:02}:00" + (f" {hour[-1]}" if hour[-1] in "AB" else "")

    def who(self, user: str) -> str:
        """Who did it, for people: a name, or that it was done at the hub's own machine."""
        if not user.startswith(CONSOLE.user):
            return user
        name = user.removeprefix(CONSOLE.user)
        return self.say("audit_console_by", name=name) if name else self.say("audit_console")

    def day(self, at: float) -> str:
        """`2026-11-01` in the site's zone."""
        return f"{self.local(at):%Y-%m-%d}"

    def short_day(self, at: float) -> str:
        """The same without its year where that is this one: `11-01`."""
        day = self.day(at)
        return day[5:] if day[:4] == self.day(self.now)[:4] else day

    def day_words(self, at: float) -> str:
        """The day in words, `today` and `yesterday` where it is."""
        return self.date_words(self.local(at).date())

    def date_words(self, day: date) -> str:
        """A day in words, `today` and `yesterday` where it is, with its year where that isn't this one."""
        today = self.local(self.now).date()
        words = self.say(
            "day_format" if day.year == today.year else "day_format_year",
            year=day.year,
            month=self.say("months").split()[day.month - 1],
            day=day.day,
            weekday=self.say("weekdays").split()[day.weekday()],
        )
        days = (today - day).days
        return f"{self.say(('today', 'yesterday')[days])} · {words}" if days in (0, 1) else words

    def moment(self, at: float) -> str:
        """Day and time within a sentence: `today 09:26:13`."""
        days = (self.local(self.now).date() - self.local(at).date()).days
        day = self.say(("today_within", "yesterday_within")[days]) if days in (0, 1) else self.day_words(at)
        return f"{day} {self.clock_time(at)}"

    def ago(self, age_s: float | None) -> str:
        """When something was and how long ago, `09:26:13 (7 s ago)`, with its day where that isn't today."""
        if age_s is None:
            return self.say("never")
        at = self.now - age_s
        time = self.clock_time(at) if self.day(at) == self.day(self.now) else self.moment(at)
        return time + self.say("aside", words=self.say.ago(age_s))

    def span_of(self, day: date) -> tuple[float, float]:
        """Unix seconds at which a day of the site begins and ends."""
        begins, ends = (datetime(d.year, d.month, d.day, tzinfo=self.zone) for d in (day, day + timedelta(days=1)))
        return begins.timestamp(), ends.timestamp()

    def iso(self, at: float) -> str:
        """For the `datetime` of a `<time>`."""
        return self.local(at).isoformat(timespec="seconds")

    @staticmethod
    def written(least_score: float | None) -> str:
        """A least score as forms carry it: `0.62`; empty where none is set."""
        return "" if least_score is None else f"{least_score:.2f}"

    def least(self, score: float) -> str:
        """A least score for people: `0.62`, or that the kind is off."""
        return self.say("is_off") if score == wire.OFF else self.written(score)

    @staticmethod
    def gigabytes(size: int) -> str:
        """A size for people, number and unit in one line: `4.2 GB`, `30 MB`, `< 1 MB`."""
        if size < 1e6:
            return "0\u00a0MB" if size == 0 else "<\u00a01\u00a0MB"
        return f"{size / 1e6:.0f}\u00a0MB" if size < 5e8 else f"{size / 1e9:.1f}\u00a0GB"

    def days(self, days: int | None) -> str:
        """How long something is kept."""
        return self.say("retention_never") if days is None else self.say("days_long", n=days)

    def percent(self, share: Any) -> str:
        """A share in percent; what is none, as it is. Only what is certain is 100 %."""
        if not isinstance(share, int | float):
            return str(share)
        words = "> 99 %" if 0.995 <= share < 1 else f"{100 * share:.0f} %"
        return words.replace(" ", "") if self.say.language == "zh" else words

    def facts(self, incident: StoredIncident) -> list[tuple[str, str]]:
        """Names and values of an incident's facts, for people; without those that say nothing."""
        facts = {"findings": incident.record.get("findings"), **incident.record["facts"]}
        facts["evidence"] = self.by_chance(facts)
        rows = [(self.say.either(f"fact_{name}", name), self.fact(name, value)) for name, value in facts.items()]
        return [(name, value) for name, value in rows if value]

    def by_chance(self, facts: dict[str, Any]) -> str | None:
        """How seldom as much evidence of a pattern comes by chance, in words; `None` where that isn't known.

        `evidence` is the decimal logarithm of how many times longer than the mean time between the false alarms that
        were set (`rules/zone_watch.py`).
        """
        evidence, alarms = number(facts, "evidence"), number(facts, "false_alarms_per_month")
        if evidence is None or not alarms or alarms <= 0:
            return None
        months = 10 ** min(evidence, 6.0) / alarms
        if months < 24:
            return self.say("by_chance", n=max(1, int(months)))
        return self.say("by_chance_rarely", n=min(int(months / 12), 1000))

    def fact(self, name: str, value: Any) -> str:
        """A fact as an edge told it, for people; empty where it says nothing to them."""
        if value is None or name == "p_value":  # older edges told the chance of one look, which misleads
            return ""
        if not value and FACTS.get(name, PLAIN).rare:
            return ""
        if name == "findings":
            kinds = value if isinstance(value, list) and len(value) > 1 else []
            return self.say("list_and").join(self.say.either(f"kind_{kind}", str(kind)) for kind in kinds)[:200]
        if isinstance(value, bool):
            return self.say("yes" if value else "no")
        if isinstance(value, list):
            return self.say("list_and").join(map(str, value))[:200]
        if isinstance(value, str) and name in NAMED:
            return self.say.either(NAMED[name] + value, value)[:200]
        if not isinstance(value, int | float) or not abs(value) < 1e9:
            return str(value)[:200]
        if name.endswith("_rate") or name == "crouched":
            return self.percent(value)
        if name.endswith("_s"):
            return self.say.span(abs(value))
        if name.endswith("_h"):
            return self.say.span(3600 * abs(value))
        if name == "pace_per_min":
            return self.say("per_minute", n=f"{value:.3g}")
        if name in UNITS and value == int(value):
            return self.say(UNITS[name], n=int(value))
        return f"{value:.4g}" if isinstance(value, float) else str(value)

    @staticmethod
    def asset(name: str) -> str:
        """Address of a static file, which changes with its content."""
        return f"/static/{name}?v={_fingerprint(name)}"


def anybody(request: Request) -> View:
    """The view of a request from whoever it may be."""
    return View(request)


def newcomer(request: Request) -> View:
    """The view of a request from a person who is logged in, be it with a one-time password.

    Raises:
        LoginNeeded: It is none.
    """
    view = View(request)
    if view.session is None:
        raise LoginNeeded
    return view


def somebody(request: Request) -> View:
    """The view of a request from a person who is logged in, or in the API from a token.

    Raises:
        LoginNeeded: It is neither.
        PasswordNeeded: The person came with a one-time password, or lacks the second step that this hub wants.
    """
    view = View(request)
    if view.principal is None:
        raise LoginNeeded
    if view.session and (view.session.must_change or view.must_step):
        raise PasswordNeeded
    return view


class _Needs:
    """A dependency: the view of somebody whose role has one of some rights; which, the navigation reads here."""

    def __init__(self, *rights: Right) -> None:
        self.rights = rights

    def __call__(self, request: Request) -> View:
        """The view of a request.

        Raises:
            LoginNeeded: Nobody is logged in.
            NotAllowed: The role has none of the rights.
        """
        view = somebody(request)
        if not any(map(view.may, self.rights)):
            raise NotAllowed
        return view


async def form(request: Request) -> dict[str, str]:
    """Fields of a posted form."""
    body = b""
    try:
        async with asyncio.timeout(FORM_S):
            async for chunk in request.stream():
                body += chunk
    except TimeoutError as error:
        raise HTTPException(408) from error
    try:
        fields = dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=500))
    except ValueError as error:
        raise HTTPException(400) from error
    if any("\0" in field for pair in fields.items() for field in pair):  # no form has it, and no database takes it
        raise HTTPException(400)
    return fields


Anybody = Annotated[View, Depends(anybody)]
Newcomer = Annotated[View, Depends(newcomer)]
Somebody = Annotated[View, Depends(somebody)]
MayLook = Annotated[View, Depends(_Needs(Right.LOOK))]
MaySeeFullPixels = Annotated[View, Depends(_Needs(Right.FULL_PIXELS))]
MayJudge = Annotated[View, Depends(_Needs(Right.JUDGE))]
MayKeepCases = Annotated[View, Depends(_Needs(Right.CASES))]
MayExport = Annotated[View, Depends(_Needs(Right.EXPORT))]
MayConfigure = Annotated[View, Depends(_Needs(Right.CONFIGURE))]
MayManagePeople = Annotated[View, Depends(_Needs(Right.PEOPLE))]
MayAudit = Annotated[View, Depends(_Needs(Right.AUDIT))]
MayJudgeOrConfigure = Annotated[View, Depends(_Needs(Right.JUDGE, Right.CONFIGURE))]
Form = Annotated[dict[str, str], Depends(form)]


def event_stream(view: View, events: AsyncIterator[str]) -> Response:
    """Server-sent events as they come; 503 while too many are listening already."""
    if view.parts.live.is_full(view.user):
        return Response(status_code=503, headers={"Retry-After": "5"})
    headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    return StreamingResponse(events, media_type="text/event-stream", headers=headers)


def own_path(wanted: str) -> str:
    """A path on this server, whatever was asked for."""
    is_own = wanted.startswith("/") and not wanted.startswith("//") and "\\" not in wanted and wanted.isprintable()
    if not is_own:  # asked first: what looks like a host may be none, and then splitting fails
        return "/"
    parsed = urlsplit(wanted)
    return "/" if parsed.scheme or parsed.netloc else wanted


def page_of(address: str) -> str:
    """Path and query of a page of ours whose whole address a browser told; the start page where it is none."""
    try:
        shown = urlsplit(address)
    except ValueError:
        return "/"
    return own_path(f"{shown.path}?{shown.query}" if shown.query else shown.path)


_fingerprints: dict[str, str] = {}


def _fingerprint(name: str) -> str:
    if name not in _fingerprints:
        _fingerprints[name] = sha256((STATIC / name).read_bytes()).hexdigest()[:12]
    return _fingerprints[name]
