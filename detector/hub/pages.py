"""Requests come in, pages leave: the feed, an incident, the cameras, logging in; and the paths that clips take.

Pages are rendered here and work without a script; the scripts ask for fragments of the same pages.
"""

from __future__ import annotations

import json
import logging
import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, RedirectResponse, Response, StreamingResponse

from detector.clock import Clock
from detector.config import HubConfig
from detector.hub.auth import FIRST_LOGIN, SESSION_S, SHORTEST_PASSWORD, Gate, TooManyTries, cookie_name
from detector.hub.budget import ALERT, DIGEST, Budget, budget_of
from detector.hub.cameras import camera_states, counter, look
from detector.hub.charts import dots, evidence, hour_bars, marks, timeline
from detector.hub.clips import Answer, ClipFolder
from detector.hub.events import Live
from detector.hub.source import archive, archive_name, program_version
from detector.hub.store import VERDICTS, Digested, Edge, Store, StoredIncident, Threshold, Wanted, tuned_version
from detector.hub.texts import LANGUAGES, Phrases, advice, explanation
from detector.hub.tuning import MOST_JUDGED, MOST_LOST, SURE, Advice, Judged, advise
from detector.sentences import count_range, number
from detector.values import IncidentKind

logger = logging.getLogger(__name__)

PAGE_SIZE = 20
LONGEST_FORM = 16 * 1024
LONGEST_NOTE = 500
YEAR_S = 365 * 86400
JUDGED_S = 90 * 86400.0  # older verdicts speak of a camera, and a model, that may be others by now
STATIC = Path(__file__).parent / "static"
THEMES = ("light", "dark")
MOST_CHANGES = 100
KINDS = frozenset(kind.value for kind in IncidentKind)

TEMPLATES = Environment(
    loader=PackageLoader("detector.hub"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
    lstrip_blocks=True,
)  # fmt: skip
TEMPLATES.globals.update(
    count_range=count_range, explanation=explanation, advice_on=advice, VERDICTS=VERDICTS, one_day=timedelta(days=1),
    program_version=program_version,
)  # fmt: skip
router = APIRouter()
# Facts that say nothing where they are nought: almost always they are.
SILENT_AT_NOUGHT = {
    "scans", "unclear", "unsure", "moved_on", "beside", "along_row", "acts_told_earlier", "visits", "watched_h",
}  # fmt: skip
NAMED = {"posture": "posture_", "what": "what_"}  # facts whose values are words of ours


class LoginNeeded(Exception):  # noqa: N818  (an answer to a visitor, not an error of ours)
    """The page is for people who are logged in."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What the pages need."""

    config: HubConfig
    store: Store
    gate: Gate
    clips: ClipFolder
    live: Live
    clock: Clock
    tell: Callable[[], None] = lambda: None

    @property
    def budget(self) -> Budget:
        """How many alerts a shift takes."""
        return budget_of(self.config)


class View:
    """One request: who asks, in which language, and how times are written there."""

    def __init__(self, request: Request) -> None:
        parts: Parts = request.app.state.parts
        self.request = request
        self.parts = parts
        self.store = parts.store
        self.now = parts.clock.now()
        self.zone = ZoneInfo(parts.config.timezone)
        language = request.cookies.get("language", "")
        self.say = Phrases(language if language in LANGUAGES else parts.config.language)
        theme = request.cookies.get("theme", "")
        self.theme = theme if theme in THEMES else ""
        # A page that only keeps itself fresh is no sign of a person.
        in_use = not self.wants_fragment or request.method == "POST"
        token = request.cookies.get(cookie_name(request.url.scheme))
        self.session = parts.gate.session(token, self.now, extend=in_use)

    @property
    def user(self) -> str:
        """Who is logged in.

        Raises:
            LoginNeeded: Nobody is.
        """
        if self.session is None:
            raise LoginNeeded
        return self.session.user

    @property
    def wants_fragment(self) -> bool:
        """Whether a script of ours asks, which swaps a part of its page."""
        return "x-fragment" in self.request.headers

    def page(self, template: str, status: int = 200, **values: Any) -> HTMLResponse:
        """A page, or a part of one."""
        html = TEMPLATES.get_template(template).render(view=self, say=self.say, **values)
        return HTMLResponse(html, status)

    def local(self, at: float) -> datetime:
        """A time in the site's zone."""
        return datetime.fromtimestamp(at, self.zone)

    def clock_time(self, at: float) -> str:
        """`09:26:13` in the site's zone."""
        return f"{self.local(at):%H:%M:%S}"

    def day(self, at: float) -> str:
        """`2026-11-01` in the site's zone."""
        return f"{self.local(at):%Y-%m-%d}"

    def day_words(self, at: float) -> str:
        """The day in words, `today` and `yesterday` where it is."""
        return self.date_words(self.local(at).date())

    def date_words(self, day: date) -> str:
        """A day in words, `today` and `yesterday` where it is."""
        words = self.say(
            "day_format",
            month=self.say("months").split()[day.month - 1],
            day=day.day,
            weekday=self.say("weekdays").split()[day.weekday()],
        )
        days = (self.local(self.now).date() - day).days
        return f"{self.say(('today', 'yesterday')[days])} · {words}" if days in (0, 1) else words

    def span_of(self, day: date) -> tuple[float, float]:
        """Unix seconds at which a day of the site begins and ends."""
        begins, ends = (datetime(d.year, d.month, d.day, tzinfo=self.zone) for d in (day, day + timedelta(days=1)))
        return begins.timestamp(), ends.timestamp()

    def iso(self, at: float) -> str:
        """For the `datetime` of a `<time>`."""
        return self.local(at).isoformat(timespec="seconds")

    @staticmethod
    def written(least_score: float | None) -> str:
        """A least score: `0.62`; empty where none is set."""
        return "" if least_score is None else f"{least_score:.2f}"

    @staticmethod
    def percent(share: Any) -> str:
        """A share in percent; what is none, as it is. Only what is certain is 100 %."""
        if not isinstance(share, int | float):
            return str(share)
        return "> 99 %" if 0.995 <= share < 1 else f"{100 * share:.0f} %"

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
        if not value and name in SILENT_AT_NOUGHT:
            return ""
        if name == "findings":
            kinds = value if isinstance(value, list) and len(value) > 1 else []
            return ", ".join(self.say.either(f"kind_{kind}", str(kind)) for kind in kinds)[:200]
        if isinstance(value, bool):
            return self.say("yes" if value else "no")
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
        return f"{value:.4g}" if isinstance(value, float) else str(value)

    @staticmethod
    def asset(name: str) -> str:
        """Address of a static file, which changes with its content."""
        return f"/static/{name}?v={_fingerprint(name)}"


def anybody(request: Request) -> View:
    """The view of a request from whoever it may be."""
    return View(request)


def somebody(request: Request) -> View:
    """The view of a request from a person who is logged in.

    Raises:
        LoginNeeded: It is none.
    """
    view = View(request)
    if view.session is None:
        raise LoginNeeded
    return view


async def form(request: Request) -> dict[str, str]:
    """Fields of a posted form."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > LONGEST_FORM:
            raise HTTPException(413)
    try:
        return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=50))
    except ValueError as error:
        raise HTTPException(400) from error


Anybody = Annotated[View, Depends(anybody)]
Somebody = Annotated[View, Depends(somebody)]
Form = Annotated[dict[str, str], Depends(form)]


# Pages for everybody


@router.get("/healthz")
def healthz(request: Request) -> dict[str, bool]:
    """For a supervisor: the server answers and the database can be read."""
    request.app.state.parts.store.last_change()
    return {"ok": True}


@router.get("/login")
def login_page(view: Anybody, next: str = "/") -> Response:  # noqa: A002  (the address says `next`)
    """Where one logs in."""
    if view.session:
        return RedirectResponse(_own_path(next), 303)
    return view.page("login.html", wrong="", next=_own_path(next), user="")


@router.post("/login")
def log_in(view: Anybody, fields: Form) -> Response:
    """Open a session, or say generically that it didn't work."""
    user, wanted = fields.get("user", "").strip(), _own_path(fields.get("next", "/"))
    address = view.request.client.host if view.request.client else ""
    try:
        token = view.parts.gate.log_in(user, fields.get("password", ""), address, view.now)
    except TooManyTries:
        logger.warning("login refused: too many tries, from %s", address)
        return view.page("login.html", 429, wrong="login_wait", next=wanted, user=user)
    if token is None:
        logger.warning("login failed from %s", address)
        return view.page("login.html", 401, wrong="login_wrong", next=wanted, user=user)
    logger.info("login of %s from %s", ascii(user), address)
    answer = RedirectResponse(wanted, 303)
    scheme = view.request.url.scheme
    answer.set_cookie(
        cookie_name(scheme), token, max_age=int(SESSION_S), path="/", secure=scheme == "https", httponly=True,
        samesite="lax",
    )  # fmt: skip
    return answer


@router.post("/preferences")
def prefer(fields: Form) -> Response:
    """Remember language and theme in this browser."""
    answer = RedirectResponse(_own_path(fields.get("next", "/")), 303)
    for name, known in (("language", LANGUAGES), ("theme", THEMES)):
        if fields.get(name) in known:
            answer.set_cookie(name, fields[name], max_age=YEAR_S, samesite="lax", httponly=True)
    return answer


@router.get("/source")
def source(view: Anybody) -> Response:
    """Where the source code of this very program is."""
    return view.page("source.html", file=archive_name(), size_kb=-(-len(archive()) // 1024))


@router.get("/source/{name}")
def source_archive(name: str) -> Response:
    """The source code."""
    if name != archive_name():
        raise HTTPException(404)
    return Response(archive(), media_type="application/gzip")


# Pages for people who are logged in


@dataclass(frozen=True, slots=True)
class Listing:
    """Which incidents a page lists, by its own address: all alerts, or the digest of one day, or a part of that."""

    wanted: Wanted
    day: date | None = None

    @classmethod
    def of(cls, view: View) -> Listing:
        """What a request asks for."""
        if not view.request.url.path.startswith("/digest"):
            return cls(Wanted(ALERT))
        asked = view.request.query_params
        day = _day(view, asked.get("day", ""))
        return cls(Wanted(DIGEST, *view.span_of(day), asked.get("kind"), asked.get("camera"), asked.get("zone")), day)

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
    values = {**_cards(view, incidents[:PAGE_SIZE]), "more": more, "listing": listing}
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
    return view.page("cards.html", **_cards(view, view.store.incidents(ids, wanted=Listing.of(view).wanted)))


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
    )
    headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    return StreamingResponse(stream, media_type="text/event-stream", headers=headers)


@router.get("/incidents/{incident_id}")
def incident_page(view: Somebody, incident_id: str) -> Response:
    """One incident: its clip, what happened when, and what people made of it."""
    last_change = view.store.last_change()
    incident = _known(view, incident_id)
    clips = view.store.clips(incident.id)
    lane = Wanted(told=incident.told)
    older = view.store.feed(incident.cursor, 1, wanted=lane)
    playlist = [
        {
            "url": f"/clips/{quote(incident.id, safe='')}/{clip.segment}",
            "start": clip.started_at,
            "length": clip.duration_s,
        }
        for clip in clips
    ]
    return view.page(
        "incident.html",
        incident=incident,
        verdicts=view.store.verdicts(incident.id),
        evidence=evidence(incident, clips),
        timeline=timeline(incident, clips),
        playlist=json.dumps(playlist),
        marks=marks(incident),
        newer=view.store.newer(incident.cursor, wanted=lane),
        older=older[0] if older else None,
        last_change=last_change,
    )


@router.get("/incidents/{incident_id}/snapshot")
def snapshot(view: Somebody, incident_id: str) -> Response:
    """The newest picture of an incident."""
    jpeg = view.store.snapshot(incident_id)
    if jpeg is None:
        raise HTTPException(404)
    return Response(jpeg, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=3600"})


@router.post("/incidents/{incident_id}/verdict")
def judge(view: Somebody, incident_id: str, fields: Form) -> Response:
    """Say what an incident really was."""
    verdict, note = fields.get("verdict", ""), fields.get("note", "").strip()[:LONGEST_NOTE].replace("\0", "")
    if verdict not in VERDICTS:
        raise HTTPException(400)
    view.store.add_verdict(_known(view, incident_id).id, view.user, verdict, note, view.now)
    return _judged(view, incident_id)


@router.post("/incidents/{incident_id}/undo")
def undo(view: Somebody, incident_id: str) -> Response:
    """Take back the verdict that counts."""
    view.store.withdraw_verdict(_known(view, incident_id).id, view.user, view.now)
    return _judged(view, incident_id)


@router.get("/clips/{incident_id}/{segment}")
def clip(view: Somebody, incident_id: str, segment: int) -> Response:
    """A segment of an incident's recording, whole or in ranges."""
    path = view.parts.clips.find(incident_id, segment)
    if path is None:
        raise HTTPException(404)
    name = re.sub(r"[^A-Za-z0-9_-]", "_", incident_id)[:80]
    return FileResponse(
        path, media_type="video/mp4", filename=f"{name}-{segment}.mp4", content_disposition_type="inline",
        headers={"Cache-Control": "private, max-age=3600"},
    )  # fmt: skip


@router.get("/cameras")
def cameras(view: Somebody) -> Response:
    """Whether anybody is watching, and whether any alert was lost."""
    edges = view.store.edges()
    refused, refusals = view.store.refused()
    states = camera_states(edges, view.now)
    return view.page(
        "cameras.html", edges=edges, cameras=states, refused=refused, refusals=refusals, counter=counter
    )  # fmt: skip


@router.get("/account")
def account(view: Somebody) -> Response:
    """Where one changes the password."""
    return view.page("account.html", wrong="", shortest=SHORTEST_PASSWORD)


@router.post("/account/password")
def change_password(view: Somebody, fields: Form) -> Response:
    """Change the password; one has to log in again everywhere."""
    new = fields.get("new", "")
    wrong = "password_short" if len(new) < SHORTEST_PASSWORD else ""
    if not wrong and not view.parts.gate.change_password(view.user, fields.get("old", ""), new, view.now):
        wrong = "password_wrong"
    if wrong:
        return view.page("account.html", 400, wrong=wrong, shortest=SHORTEST_PASSWORD)
    (view.parts.config.data_dir / FIRST_LOGIN).unlink(missing_ok=True)  # it opens nothing any more
    return RedirectResponse("/login", 303)


@router.post("/logout")
def log_out(view: Somebody) -> Response:
    """End the session."""
    if view.session:
        view.parts.gate.log_out(view.session)
    answer = RedirectResponse("/login", 303)
    answer.delete_cookie(cookie_name(view.request.url.scheme), path="/")
    return answer


# Thresholds


Place = tuple[str, str, str, str]  # site, edge, camera, kind


@dataclass(frozen=True, slots=True)
class Tuning:
    """One camera and kind of incident: what its verdicts say, and what people set so far, latest first."""

    place: Place
    title: str
    advice: Advice
    judged: list[Judged]
    changes: list[Threshold]

    @property
    def now(self) -> float | None:
        """The least score that was set; `None` where the edge's configuration counts."""
        return self.changes[0].least_score if self.changes else None


@router.get("/tuning")
def tuning_page(view: Somebody) -> Response:
    """Least scores by camera and kind: what verdicts propose, what was set by whom, and whether edges took it."""
    changes = view.store.thresholds()
    found = sorted(_tunings(view, changes), key=lambda one: (one.advice.proposal is None, -one.advice.counts["false"]))
    return view.page(
        "tuning.html", tunings=found, changes=changes[:MOST_CHANGES], dots=dots, most_lost=MOST_LOST, sure=SURE,
        days=round(JUDGED_S / 86400), titles=_titles(view), edges=_answers(view, changes),
    )  # fmt: skip


@router.get("/tuning/edges")
def tuning_edges(view: Somebody) -> Response:
    """Whether edges took what was set."""
    return view.page("edges.html", edges=_answers(view, view.store.thresholds()))


@router.post("/tuning")
def tune(view: Somebody, fields: Form) -> Response:
    """Take a proposal into force, or go back to the value before; nothing else can be set.

    Where somebody else was quicker, or new verdicts have changed the proposal, nothing happens: the page shows how
    things stand now.
    """
    place = (fields.get("site", ""), fields.get("edge", ""), fields.get("camera", ""), fields.get("kind", ""))
    found = next((one for one in _tunings(view, view.store.thresholds()) if one.place == place), None)
    if found is None:
        raise HTTPException(404)
    proposal, back = found.advice.proposal, fields.get("do") == "back"
    evidence: dict[str, Any] = {"back": True}
    if back:
        wanted = found.changes[0].before if found.changes else None
    elif fields.get("do") == "apply" and proposal and fields.get("least_score") == f"{proposal.least_score:.2f}":
        wanted = proposal.least_score
        evidence = {name: getattr(proposal, name) for name in ("kept", "lost", "spared", "left", "lost_bound")}
    else:
        return RedirectResponse("/tuning", 303)
    if fields.get("now") == view.written(found.now) and view.store.set_threshold(
        *place, wanted, expected=found.now, user=view.user, at=view.now, evidence=evidence
    ):
        logger.info("thresholds of %s/%s changed by %s", ascii(place[0]), ascii(place[1]), ascii(view.user))
        view.parts.tell()
    return RedirectResponse("/tuning", 303)


def _tunings(view: View, changes: list[Threshold]) -> list[Tuning]:
    """Every camera and kind that was judged or has a least score of its own; kinds that edges do not know left out."""
    set_there: dict[Place, list[Threshold]] = defaultdict(list)
    for change in changes:
        set_there[change.site, change.edge, change.camera, change.kind].append(change)
    judged: dict[Place, list[Judged]] = defaultdict(list)
    for one in view.store.judged(view.now - JUDGED_S):
        if one.kind in KINDS:
            judged[one.site, one.edge, one.camera, one.kind].append(one)
    titles = _titles(view)
    return [
        Tuning(
            place,
            titles.get(place[:3], place[2]),
            advise(judged[place][:MOST_JUDGED], (set_there[place][0].least_score or 0.0) if set_there[place] else 0.0),
            judged[place][:MOST_JUDGED],
            set_there[place],
        )
        for place in sorted({*set_there, *judged})
    ]


def _titles(view: View) -> dict[tuple[str, ...], str]:
    cameras = camera_states(view.store.edges(), view.now)
    return {(camera.site, camera.edge, camera.name): camera.title for camera in cameras}


def _answers(view: View, changes: list[Threshold]) -> list[dict[str, Any]]:
    """For every edge whose thresholds were set: the newest version, and whether it is `taken`, `refused` or awaited."""
    wanted: dict[tuple[str, str], int] = {}
    for change in changes:
        wanted.setdefault((change.site, change.edge), change.version)
    known: dict[tuple[str, str], Edge] = {(edge.site, edge.edge): edge for edge in view.store.edges()}
    answers = []
    for (site, edge), version in sorted(wanted.items()):
        heard = known.get((site, edge))
        health = heard.health if heard else None
        tuned = (health or {}).get("tuned")
        reason = tuned.get("refused") if isinstance(tuned, dict) else None
        since = heard.health_at if heard and heard.health_at else 0.0
        last = next(change for change in changes if (change.site, change.edge) == (site, edge))
        state = "waiting"
        if tuned_version(health) == version:
            state = "taken"
        elif reason and since >= last.at:
            state = "refused"
        answers.append(
            {"site": site, "edge": edge, "version": version, "state": state, "reason": str(reason or "")[:300]}
        )
    return answers


# Where edges bring clips; a signature in the headers says who they are


@router.head("/api/clips/{incident_id}/{segment}")
async def clip_held(request: Request, incident_id: str, segment: int) -> Response:
    """How much of a segment is here."""
    return _answered(await _clips(request).held(incident_id, segment, request.headers))


@router.put("/api/clips/{incident_id}/{segment}")
async def take_clip(request: Request, incident_id: str, segment: int) -> Response:
    """Take a piece of a segment."""
    try:
        return _answered(await _clips(request).take(incident_id, segment, request.headers, request.stream()))
    except ClientDisconnect:
        return Response(status_code=400)  # nobody is there to read it; what came is kept


def _clips(request: Request) -> ClipFolder:
    parts: Parts = request.app.state.parts
    return parts.clips


def _answered(answer: Answer) -> Response:
    headers = {} if answer.offset is None else {"Upload-Offset": str(answer.offset)}
    return JSONResponse({"reason": answer.reason} if answer.reason else {}, answer.status, headers)


def _cards(view: View, incidents: list[StoredIncident]) -> dict[str, Any]:
    return {"incidents": incidents, "with_clips": view.store.with_clips([incident.id for incident in incidents])}


def _head(view: View, listing: Listing) -> dict[str, Any]:
    start, end = view.span_of(view.local(view.now).date())
    budget = view.parts.budget
    cameras = camera_states(view.store.edges(), view.now)
    return {
        "totals": view.store.totals(start, end),
        "hours": hour_bars(view.store.by_slot(start, end, 3600), start, view.local(view.now).hour),
        "look": look(cameras),
        "spent": view.store.alerts_in(budget.shift(view.now)),
        "limit": budget.limit,
        "digested": _digested(view, listing, {camera.name: camera.title for camera in cameras}) if listing.day else [],
    }


def _digested(view: View, listing: Listing, titles: dict[str, str]) -> list[dict[str, Any]]:
    """A day's digest by kind, the most first: how many, and how many in each zone, each with its address."""
    start, end = view.span_of(listing.day) if listing.day else (0.0, 0.0)
    by_kind: dict[str, list[Digested]] = {}
    for found in view.store.digest(start, end):
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


def _known(view: View, incident_id: str) -> StoredIncident:
    found = view.store.incident(incident_id)
    if found is None:
        raise HTTPException(404)
    return found


def _judged(view: View, incident_id: str) -> Response:
    view.parts.live.poke()
    if not view.wants_fragment:
        return RedirectResponse(f"/incidents/{quote(incident_id, safe='')}", 303)
    incident = _known(view, incident_id)
    if view.request.headers["x-fragment"] == "card":
        return view.page("cards.html", **_cards(view, [incident]))
    return view.page("verdict.html", incident=incident, verdicts=view.store.verdicts(incident_id))


def _own_path(wanted: str) -> str:
    """A path on this server, whatever was asked for."""
    parsed = urlsplit(wanted)
    is_own = wanted.startswith("/") and not wanted.startswith("//") and "\\" not in wanted and wanted.isprintable()
    return wanted if is_own and not parsed.scheme and not parsed.netloc else "/"


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


_fingerprints: dict[str, str] = {}


def _fingerprint(name: str) -> str:
    if name not in _fingerprints:
        _fingerprints[name] = sha256((STATIC / name).read_bytes()).hexdigest()[:12]
    return _fingerprints[name]


# Answers when there is no page


def to_login(request: Request, _error: Exception) -> Response:
    """Send a person to log in, and come back; tell a script that it must."""
    if "x-fragment" in request.headers or request.url.path == "/events":
        return Response(status_code=401)
    wanted = request.url.path if request.method == "GET" else "/"
    return RedirectResponse("/login" if wanted == "/" else f"/login?next={quote(wanted)}", 303)


def no_page(request: Request, error: Exception) -> Response:
    """Say that there is no such page, or no such thing to do."""
    status = error.status_code if isinstance(error, HTTPException) else 404
    return View(request).page("error.html", status, kind="500" if status >= 500 else "404")


def wait(request: Request, _error: Exception) -> Response:
    """Say that there were too many tries."""
    return View(request).page("error.html", 429, kind="429")


def failed(_request: Request, _error: Exception) -> Response:
    """Say that the server failed, with nothing that may fail again; the server logs the error itself."""
    return Response("500\n", 500, media_type="text/plain")


def add_pages(app: FastAPI, parts: Parts) -> None:
    """Put all pages, and the answers when there is none, into an app."""
    app.state.parts = parts
    app.include_router(router)
    app.add_exception_handler(LoginNeeded, to_login)
    app.add_exception_handler(TooManyTries, wait)
    app.add_exception_handler(HTTPException, no_page)
    app.add_exception_handler(RequestValidationError, no_page)
    app.add_exception_handler(Exception, failed)
