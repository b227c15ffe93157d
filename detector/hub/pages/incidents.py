"""One incident: its clip, what happened when, and what people made of it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, RedirectResponse, Response

from detector.census import ZoneCensus
from detector.hub.desk.census_chart import QUARTER_S, WIDTH, DayChart, day_chart, shown_span
from detector.hub.desk.charts import evidence, marks, timeline
from detector.hub.desk.look_back import DAYS as BACK_DAYS
from detector.hub.desk.look_back import look_back
from detector.hub.desk.recurrence import Recurrence, days_round, recurrence
from detector.hub.desk.responses import FOUND, FRESH_S, STEPS, THERE, Trip, trips
from detector.hub.desk.reviews import LONGEST_NOTE, REASONS, Note, is_reason
from detector.hub.desk.shots import FEW_SHOTS, shots
from detector.hub.edges.pictures import Glimpse
from detector.hub.pages.cameras import drawable, path_of, too_far
from detector.hub.pages.clip import may_see
from detector.hub.pages.feed import cards_of
from detector.hub.pages.orientation import ticks
from detector.hub.pages.player import plan_of
from detector.hub.pages.view import Form, MayJudge, MaySeeFullPixels, Somebody, View, own_path
from detector.hub.storage.audit_chain import SYSTEM
from detector.hub.storage.budget import RANKS, rank
from detector.hub.storage.database import one_at_a_time
from detector.hub.storage.rights import Right
from detector.hub.storage.stored import CLEARED, VERDICTS, Clip, Contested, StoredIncident, Verdict, is_time
from detector.hub.storage.wanted import Wanted
from detector.values import IncidentKind

router = APIRouter()

LONGEST_VERDICT_NOTE = 500
UNDO = "undo"
BEFORE_S, AFTER_S = 3600.0, 600.0  # what is shown of how the parcels of a pattern came to lie so
AGAIN_S = 120.0  # sent once more, since a phone's network lost the answer
# What the tables of verdicts, notes and responses tell better than the audit log.
TOLD_ELSEWHERE = {"verdict", "undo", "outgrown", "reason", "note", "response"}


@dataclass(frozen=True, slots=True)
class Deed:
    """Something that somebody did with an incident: `what` is the key of its words.

    `verdict` is the one that was given or taken back, `found` what was found there (`responses`), `camera` which other
    one's of the spot it was done with, by whoever sees that alone (`spots`).
    """

    at: float
    user: str
    what: str
    verdict: str = ""
    reason: str = ""
    text: str = ""
    withdrawn: bool = False
    found: str = ""
    camera: str = ""


@dataclass(frozen=True, slots=True)
class ZoneMap:
    """Where a zone lies in its camera's picture, as it is drawn now; `path` is where the camera's pages begin."""

    picture: Glimpse
    zones: list[dict[str, Any]]
    too_far: float | None
    path: str


@dataclass(frozen=True, slots=True)
class Came:
    """How the labels of a pattern came to lie up: its zone from `BEFORE_S` before it on.

    Attributes:
        last: How the parcels lay at the end of what is shown.
        ticks: Times under the chart: percent of its width, and text.
        during: Where the pattern begins and ends in it, of `WIDTH`.
        day: Address of the zone's whole day.
    """

    chart: DayChart
    last: ZoneCensus
    ticks: list[tuple[float, str]]
    during: tuple[float, float]
    day: str


@router.get("/incidents/{incident_id}")
def incident_page(view: Somebody, incident_id: str, asked: str = "", side: str = "") -> Response:
    """One incident: its clip, or that of another camera (`side`), what happened when, and what people made of it."""
    with view.store.database.at_one_moment():
        return _page(view, incident_id, asked, side=side)


@router.get("/incidents/{incident_id}/item")
def incident_item(view: Somebody, incident_id: str, side: str = "") -> Response:
    """Clip, verdict and facts alone, for a page that shows one incident after another."""
    with view.store.database.at_one_moment():
        return view.page("item.html", **item_of(view, known(view, incident_id), side=side))


@router.get("/incidents/{incident_id}/snapshot")
@router.head("/incidents/{incident_id}/snapshot")
def snapshot(view: Somebody, incident_id: str, v: str = "") -> Response:
    """The newest picture of an incident; pages ask for it by its number, too, and another has another number."""
    jpeg = view.store.snapshot(filmed(view, incident_id).id)
    if jpeg is None:
        raise HTTPException(404)
    kept = "max-age=86400, immutable" if v else "max-age=3600"
    return Response(jpeg, media_type="image/jpeg", headers={"Cache-Control": f"private, {kept}"})


@router.get("/incidents/{incident_id}/stills/{number}")
@router.head("/incidents/{incident_id}/stills/{number}")
def still(view: Somebody, incident_id: str, number: int) -> Response:
    """One of the pictures of an incident, each of which stays as it is."""
    in_range = 0 <= number < 2**62
    jpeg = view.parts.reviews.still(filmed(view, incident_id).id, number) if in_range else None
    if jpeg is None:
        raise HTTPException(404)
    return Response(jpeg, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=86400, immutable"})


@router.post("/incidents/{incident_id}/verdict")
def judge(view: MayJudge, incident_id: str, fields: Form) -> Response:
    """Say what an incident really was."""
    verdict, reason = fields.get("verdict", ""), fields.get("reason", "")
    if verdict not in VERDICTS or not is_reason(verdict, reason):
        raise HTTPException(400)
    note = _written(fields.get("note", ""), LONGEST_VERDICT_NOTE)
    try:
        with view.store.database.writing() as connection:
            one_at_a_time(connection)  # before reading: it may grow at this moment, or be judged by a second tap
            incident = known(view, incident_id)
            if is_beyond(incident, fields.get("seen"), verdict):
                return _ask_again(view, incident, verdict)
            standing = _standing(view.store.verdicts.on(incident.id))
            told = standing and (standing.user, standing.verdict, standing.reason, standing.note)
            if not standing or told != (view.user, verdict, reason, note) or view.now - standing.at > AGAIN_S:
                view.store.verdicts.add(incident.id, view.user, verdict, note, view.now, reason, over=_number(fields))
                view.did("verdict", incident.id, verdict=verdict, reason=reason)
    except Contested as contested:
        return _ask(view, incident, contested.standing, verdict)
    return _judged(view, incident_id, fields)


@router.post("/incidents/{incident_id}/undo")
def undo(view: MayJudge, incident_id: str, fields: Form) -> Response:
    """Take back the verdict that counts."""
    incident = known(view, incident_id)
    try:
        with view.store.database.writing():
            taken = view.store.verdicts.withdraw(incident.id, view.user, view.now, over=_number(fields))
            if taken is not None:
                view.did("undo", incident.id, verdict=taken)
    except Contested as contested:
        return _ask(view, incident, contested.standing, UNDO)
    return _judged(view, incident_id, fields)


@router.post("/incidents/{incident_id}/reason")
def give_reason(view: MayJudge, incident_id: str, fields: Form) -> Response:
    """Say why one's own verdict, which still counts, was given."""
    incident, number, reason = known(view, incident_id), _number(fields), fields.get("reason", "")
    standing = _standing(view.store.verdicts.on(incident.id))
    if standing is None or not is_reason(standing.verdict, reason):
        raise HTTPException(400)
    with view.store.database.writing():
        if not view.store.verdicts.set_reason(incident.id, number, view.user, reason):
            raise HTTPException(404)
        view.did("reason", incident.id, reason=reason)
    return _judged(view, incident_id, fields)


@router.post("/incidents/{incident_id}/notes")
def add_note(view: MayJudge, incident_id: str, fields: Form) -> Response:
    """Write something to an incident."""
    incident, text = known(view, incident_id), _written(fields.get("text", ""), LONGEST_NOTE)
    if not text:
        raise HTTPException(400)
    with view.store.database.writing() as connection:
        one_at_a_time(connection)
        latest = next(iter(view.parts.reviews.notes(incident.id)), None)
        if not latest or (latest.user, latest.text) != (view.user, text) or view.now - latest.at > AGAIN_S:
            view.parts.reviews.add_note(incident.id, view.user, text, view.now)
            view.did("note", incident.id)
    view.parts.live.poke()
    if view.wants_fragment:
        return view.page("notes.html", incident=incident, notes=_notes(view, incident))
    return RedirectResponse(_address(incident), 303)


@router.post("/incidents/{incident_id}/response")
def respond(view: MayJudge, incident_id: str, fields: Form) -> Response:
    """Say that one goes to where it is, is there, or doesn't go after all, and what was found."""
    incident, step, found = known(view, incident_id), fields.get("step", ""), fields.get("found", "")
    if step not in STEPS or (found and (step != THERE or found not in FOUND)):
        raise HTTPException(400)
    if not _response(view, incident)["may_respond"]:
        raise HTTPException(400)
    with view.store.database.writing():
        if view.parts.responses.add(incident.id, view.user, step, found, view.now):
            view.did("response", incident.id, step=step, found=found)
    view.parts.live.poke()
    if view.wants_fragment:
        return view.page("response.html", incident=incident, **_response(view, incident))
    return RedirectResponse(_address(incident), 303)


@router.get("/clips/{incident_id}/{segment}")
@router.head("/clips/{incident_id}/{segment}")
def clip(view: MaySeeFullPixels, incident_id: str, segment: int) -> Response:
    """A segment of an incident's recording as the camera made it, whole or in ranges."""
    found = view.store.clip(incident_id, segment)  # its incident may not have been told of yet
    path = view.parts.clips.find(incident_id, segment)
    if found is None or path is None or not may_see(view, found):
        raise HTTPException(404)
    view.saw("clip", found.incident, segment=segment)
    name = re.sub(r"[^A-Za-z0-9_-]", "_", incident_id)[:80]
    return FileResponse(
        path, media_type="video/mp4", filename=f"{name}-{segment}.mp4", content_disposition_type="inline",
        headers={"Cache-Control": "private, max-age=3600"},
    )  # fmt: skip


def is_beyond(incident: StoredIncident, seen: str | None, verdict: str) -> bool:
    """Whether a verdict would clear more than was looked at, which was of the severity `seen`.

    It may have grown since, or stand in the stead of what was looked at.
    """
    return verdict != "true" and seen in RANKS and rank(incident.severity) > rank(seen)


def known(view: View, incident_id: str) -> StoredIncident:
    """An incident that the visitor may see.

    Raises:
        HTTPException: There is none such (404).
    """
    found = view.store.incident(incident_id, view.scope)
    if found is None:
        raise HTTPException(404)
    return found


def filmed(view: View, incident_id: str) -> StoredIncident:
    """The incident whose pictures an address is about: for what another camera told of one (`spots`) that itself.

    Raises:
        HTTPException: There is none such that the visitor may see (404).
    """
    shown = known(view, incident_id)
    return next((one for one in view.store.seen_by(shown.id, view.scope) if one.id == incident_id), shown)


def item_of(view: View, incident: StoredIncident, *, asked: str = "", side: str = "") -> dict[str, Any]:
    """What `item.html` needs.

    Args:
        view: Who asks.
        incident: Which one.
        asked: The verdict that somebody else's stands in the way of, or `UNDO`.
        side: What another camera told of it (`spots`), whose footage is wanted instead: its id.
    """
    beside = view.store.seen_by(incident.id, view.scope)
    on_film = next((one for one in beside if one.id == side), incident)
    clips, verdicts = view.store.clips_shown(on_film.id), view.store.verdicts.on(incident.id)
    standing = _standing(verdicts)
    line = timeline(clips, on_film.own_span, on_film.acts)
    contested = standing if asked in (*VERDICTS, UNDO) and standing and standing.user != view.user else None
    confirming = view.store.confirmed_by(incident.id)
    shown = _shown(on_film, clips, confirming if on_film is incident else view.store.confirmed_by(on_film.id))
    lost = {clip.segment for clip in clips if view.parts.clips.file_of(clip) is None}
    rows = evidence(shown, clips, lost=lost, is_gone=bool(view.store.without_footage([on_film.id])))
    return {
        "incident": incident,
        "filmed": on_film,
        "beside": beside,
        "clips": clips,
        "confirming": confirming,
        "evidence": rows,
        # While it goes on, or a segment is missing or differs, what is here is not what the police should be given.
        "whole": on_film.phase == shown.phase == "end" and all(row["state"] == "matches" for row in rows),
        "standing": standing,
        "reasons": REASONS,
        "asked": asked,
        "contested": contested,
        "notes": _notes(view, incident),
        "record": view.parts.reviews.record(incident, view.now),
        "recurrence": _recurrence(view, incident),
        "elsewhere": view.store.incidents(view.parts.overview.elsewhere(incident, view.scope))[::-1],
        "walks": view.parts.walk_tests.during(incident.site, incident.camera, incident.started_at, incident.ended_at),
        "timeline": line,
        "plan": plan_of(view, clips, line, on_film.acts),
        "came": _came(view, on_film),
        "may_judge": view.may(Right.JUDGE),
        **_response(view, incident),
    }


def _seen_by(view: View, incident: StoredIncident) -> dict[str, str]:
    """What else cameras of its spot told of it, each with its camera's title: what people did with that is of it."""
    return {one.id: one.title for one in view.store.seen_by(incident.id, view.scope)}


def _notes(view: View, incident: StoredIncident) -> list[Note]:
    """What was written to an incident, or to what another camera told of it, latest first."""
    found = [note for one in (incident.id, *_seen_by(view, incident)) for note in view.parts.reviews.notes(one)]
    return sorted(found, key=lambda note: -note.number)


def _response(view: View, incident: StoredIncident) -> dict[str, Any]:
    """What `response.html` needs."""
    standing = trips(view.parts.responses.steps([incident.id, *_seen_by(view, incident)]))
    return {"trips": standing, "may_respond": _may_respond(view, incident, standing), "FOUND": FOUND}


def _may_respond(view: View, incident: StoredIncident, standing: list[Trip]) -> bool:
    """Whether one may go there: while it is fresh; who went may say what they found later, too."""
    went = any(trip.user == view.user for trip in standing)
    fresh = incident.replayed_at is None and view.now - incident.ended_at <= FRESH_S
    return view.may(Right.JUDGE) and (went or (fresh and incident.verdict not in CLEARED))


def _came(view: View, incident: StoredIncident) -> Came | None:
    """`None` of what is no pattern, and where nothing was told of how parcels lay."""
    if incident.kind != IncidentKind.ORIENTATION_PATTERN:
        return None
    place = (incident.site, incident.edge, incident.camera)
    span = incident.own_span
    start, end = (span[0] - BEFORE_S) // QUARTER_S * QUARTER_S, span[1] + AFTER_S
    minutes = view.parts.censuses.minutes(place, start, end, view.scope).get(incident.zone or "", [])
    if not minutes:
        return None
    first, last = shown_span([minutes], start, end)
    begins, ends = (WIDTH * (at - first) / (last - first) for at in span)
    return Came(
        day_chart(minutes, first, last),
        minutes[-1].zone,
        ticks(view, first, last),
        (max(begins, 0.0), min(ends, WIDTH)),
        f"{path_of(place)}/orientation?day={view.day(span[0])}",
    )


def _recurrence(view: View, incident: StoredIncident) -> Recurrence:
    """Incidents of the same kind at the same place, about then."""
    days = days_round(view.local(incident.started_at).date(), view.local(view.now).date())
    begun = view.parts.overview.like(incident, view.span_of(days[0])[0], view.span_of(days[-1])[1], view.scope)
    return recurrence(days, begun, incident.id, view.local)


def _page(view: View, incident_id: str, asked: str = "", status: int = 200, side: str = "") -> Response:
    last_change = view.store.last_change()  # before reading: what comes meanwhile is told again rather than missed
    incident = known(view, incident_id)
    item = item_of(view, incident, asked=asked, side=side)
    on_film = item["filmed"]
    (shown,) = view.store.incidents([incident.same_as]) or [incident] if incident.same_as else [incident]
    lane = Wanted(told=shown.told, scope=view.scope)
    older = view.store.feed(incident.cursor, 1, wanted=lane)
    seen_in = [clip for clip in item["clips"] if view.parts.clips.find_side(clip.incident, clip.segment)]
    return view.page(
        "incident.html",
        status,
        **item,
        shots=shots(on_film.acts, seen_in),
        few_shots=FEW_SHOTS,
        marks=marks(on_film),
        zone_map=_zone_map(view, on_film),
        stills=[(number, _taken_at(on_film, sent_at)) for number, sent_at in view.parts.reviews.stills(on_film.id)],
        trail=_trail(view, incident),
        back=_look_back(view, incident),
        back_days=BACK_DAYS,
        newer=view.store.newer(incident.cursor, wanted=lane),
        older=older[0] if older else None,
        last_change=last_change,
    )


def _look_back(view: View, incident: StoredIncident) -> str | None:
    """How to find out since when it has gone on; `None` where nobody does anything to a label."""
    if incident.kind not in (IncidentKind.LABEL_PHOTOGRAPHY, IncidentKind.ORIENTATION_PATTERN):
        return None
    recordings, config = view.say("look_back_recordings"), view.say("look_back_config")
    return look_back(
        recordings, config, incident.camera, view.local(incident.started_at), view.local(incident.ended_at)
    )


def _zone_map(view: View, incident: StoredIncident) -> ZoneMap | None:
    """Where its zone lies; `None` without a picture of its camera, or where no zone bears that name any more."""
    place = (incident.site, incident.edge, incident.camera)
    said = view.parts.zones.layouts(view.scope).get(place, {})
    zones = [zone for zone in drawable(said.get("zones")) if zone["name"] == incident.zone]
    picture = view.parts.pictures.glimpses(view.scope).get(place) if zones else None
    return ZoneMap(picture, zones, too_far(said), path_of(place)) if picture else None


def _taken_at(incident: StoredIncident, sent_at: float) -> float:
    """When a picture was taken: a replay sends it long after, and says so."""
    replay = incident.record.get("replay")
    taken_at = replay.get("picture_at_unix") if isinstance(replay, dict) else None
    if incident.replayed_at is None:
        return sent_at
    return float(taken_at) if is_time(taken_at) else incident.ended_at  # type: ignore[arg-type]


def _shown(incident: StoredIncident, clips: list[Clip], confirming: list[StoredIncident]) -> StoredIncident:
    """The incident whose clips are shown: itself, or what a replay found of it."""
    shown = {clip.incident for clip in clips}
    return next((one for one in confirming if one.id in shown), incident)


def _trail(view: View, incident: StoredIncident) -> list[Deed]:
    """Who did what, latest first; who looked is told to those who may read the audit log."""
    deeds = _done(view, incident.id)
    for other, camera in _seen_by(view, incident).items():
        deeds += [replace(deed, camera=camera) for deed in _done(view, other)]
    return sorted(deeds, key=lambda deed: -deed.at)


def _done(view: View, incident: str) -> list[Deed]:
    """Who did what with one incident alone, in no order."""
    deeds = [Deed(note.at, note.user, "note", text=note.text) for note in view.parts.reviews.notes(incident)]
    steps = view.parts.responses.steps([incident])
    deeds += [Deed(step.at, step.user, f"response_{step.step}", found=step.found) for step in steps]
    for verdict in view.store.verdicts.on(incident):
        gone = verdict.withdrawn_at is not None
        deeds.append(
            Deed(verdict.at, verdict.user, "verdict", verdict.verdict, verdict.reason, verdict.note, withdrawn=gone)
        )
        if verdict.withdrawn_at is not None:
            what = "outgrown" if verdict.withdrawn_by == SYSTEM else "undo"
            deeds.append(Deed(verdict.withdrawn_at, str(verdict.withdrawn_by), what, verdict.verdict))
    if view.may(Right.AUDIT):
        entries = view.parts.audit.entries(subject=incident)
        deeds += [Deed(e.at, e.user, e.action) for e in entries if e.action not in TOLD_ELSEWHERE]
    return deeds


def _judged(view: View, incident_id: str, fields: dict[str, str]) -> Response:
    view.parts.live.poke()
    incident = known(view, incident_id)
    asks = view.request.headers.get("x-fragment", "")
    if asks in ("item", "desk"):
        part = "verdict.html" if asks == "item" else "judged.html"
        standing = _standing(view.store.verdicts.on(incident.id))
        return view.page(part, incident=incident, standing=standing, reasons=REASONS)
    if view.wants_fragment:
        return view.page("cards.html", **cards_of(view, [incident]))
    return RedirectResponse(own_path(fields.get("next") or _address(incident)), 303)


def _ask_again(view: View, incident: StoredIncident, asked: str) -> Response:
    """It is graver than what was looked at: have it looked at again first."""
    if view.request.headers.get("x-fragment") in ("item", "desk"):
        standing = _standing(view.store.verdicts.on(incident.id))
        return view.page("graver.html", 409, incident=incident, standing=standing, asked=asked)
    answer = _page(view, incident.id, status=409)
    answer.headers["HX-Redirect"] = _address(incident)
    return answer


def _ask(view: View, incident: StoredIncident, standing: Verdict, asked: str) -> Response:
    """Somebody else's verdict stands: ask whether it shall be replaced."""
    if view.request.headers.get("x-fragment") in ("item", "desk"):
        return view.page("contested.html", 409, incident=incident, contested=standing, asked=asked)
    answer = _page(view, incident.id, asked, 409)
    # A card in the feed has no room for the question; the incident's own page has.
    answer.headers["HX-Redirect"] = f"{_address(incident)}?asked={asked}"
    return answer


def _standing(verdicts: list[Verdict]) -> Verdict | None:
    return next((verdict for verdict in verdicts if verdict.withdrawn_at is None), None)


def _address(incident: StoredIncident) -> str:
    return f"/incidents/{quote(incident.id, safe='')}"


def _number(fields: dict[str, str]) -> int:
    """The number of the verdict that a form is about; 0 where it names none."""
    told = fields.get("over", "")
    return int(told) if re.fullmatch(r"[0-9]{1,15}", told) else 0


def _written(text: str, longest: int) -> str:
    """What somebody wrote, as every database takes it."""
    return text.replace("\0", "").strip()[:longest]
