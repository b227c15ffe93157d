"""The same things as the pages, as JSON for programs: incidents, clips, verdicts, cases, cameras, figures.

A program sends `Authorization: Bearer lw_…`; tokens are made on the page of people. What may be seen, and where, is
the same as in the pages. `/api/openapi.json` describes it all. Lists come in pages: `next` is the `cursor` of the next
one; whoever keeps a copy of the incidents follows them by `changed_since`. Each of these answers carries an ETag; with
`If-None-Match` it is 304 while nothing has changed. Of clips and pictures HEAD tells what GET would, without it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import AsyncIterator
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal
from urllib.parse import quote

from fastapi import APIRouter, Depends, Query
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel, BeforeValidator, Field
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from detector import __version__
from detector.clock import iso
from detector.hub.access.guard import bearer_token
from detector.hub.desk.reviews import is_reason
from detector.hub.evidence.cases import Case
from detector.hub.evidence.figures import CaseTotals, totals
from detector.hub.pages import audit, derived, incidents
from detector.hub.pages.alarms import AlarmsTold, alarms_told
from detector.hub.pages.api_shapes import (
    Act,
    Cameras,
    CameraTold,
    CaseInFull,
    Cases,
    CaseTold,
    Count,
    DayTold,
    Error,
    Gone,
    Incident,
    IncidentInFull,
    Incidents,
    Judgement,
    Judging,
    ResponseStep,
    Segment,
    SeverityName,
    Side,
    Stats,
    VerdictName,
)
from detector.hub.pages.incidents import filmed, known
from detector.hub.pages.view import MayAudit, MayJudge, MayLook, View, event_stream
from detector.hub.storage.arrivals import other_zones
from detector.hub.storage.database import one_at_a_time
from detector.hub.storage.rights import Right
from detector.hub.storage.stored import Clip, Contested, StoredIncident, is_time
from detector.hub.storage.wanted import Wanted
from detector.values import DAY_S, IncidentKind


def asks_for_what_there_is(request: Request) -> None:
    """Refuse a misspelt filter, or one of two that are alike: all that it was to leave out would be in the answer."""
    known = {one.alias for one in request.scope["route"].dependant.query_params}
    asked = [name for name, _ in request.query_params.multi_items()]
    wrong = [
        {"loc": ("query", name[:200]), "msg": "it is given twice" if name in known else "there is no such"}
        for name in dict.fromkeys(asked)
        if name not in known or asked.count(name) > 1
    ]
    if wrong:
        raise RequestValidationError(wrong)


def _with_plus(text: Any) -> Any:
    """A time in whose offset the `+` has become a space, as it does in an address where it isn't written `%2B`."""
    return re.sub(r"(T.*) (\d\d:?\d\d)$", r"\1+\2", text) if isinstance(text, str) else text


router = APIRouter(prefix="/api", dependencies=[Depends(asks_for_what_there_is)])

MOST = 200
START, NOW = "start", "now"  # instead of a cursor: since all began, and since now
MOST_DAYS = 400

Limit = Annotated[int, Query(ge=1, le=MOST)]
Name = Annotated[str | None, Query(max_length=200)]
Moment = Annotated[datetime | None, BeforeValidator(_with_plus), Query(description="ISO 8601 with its offset from UTC")]
Since = Annotated[
    str,
    Query(max_length=40, description=f"`{START}`, `{NOW}`, or `changed_until` of the last answer: what changed since"),
]
ERRORS: dict[int | str, dict[str, Any]] = {
    code: {"model": Error, "description": words}
    for code, words in (
        (400, "the address holds what is no text"),
        (401, "no token, or one that no longer opens"),
        (403, "the role lacks the right"),
        (422, "something in the request makes no sense: `reason` says where and what"),
    )
}
NOT_FOUND: dict[int | str, dict[str, Any]] = {**ERRORS, 404: {"model": Error, "description": "none such is in scope"}}
UNCHANGED: dict[int | str, dict[str, Any]] = {304: {"description": "as it was when its ETag was given"}}


@router.get("/openapi.json", include_in_schema=False)
def openapi() -> Response:
    """What there is, in OpenAPI's words."""
    schema = get_openapi(
        title="labelwatch", version=__version__, summary="Incidents of a labelwatch hub", routes=router.routes
    )
    schema.setdefault("components", {})["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    schema["security"] = [{"token": []}]
    return JSONResponse(schema)


@router.get(
    "/incidents",
    response_model=Incidents,
    responses={
        **ERRORS,
        **UNCHANGED,
        410: {"model": Error, "description": f"`changed_since` is of another memory: begin anew with `{START}`"},
    },
)
def list_incidents(
    view: MayLook,
    site: Name = None,
    camera: Name = None,
    zone: Name = None,
    kind: IncidentKind | None = None,
    severity: SeverityName | None = None,
    verdict: Annotated[VerdictName | Literal["none"] | None, Query(description="`none`: not judged yet")] = None,
    told: Literal["alert", "digest"] | None = None,
    origin: Annotated[Literal["live", "replay"] | None, Query(description="found live, or by a replay")] = None,
    since: Moment = None,
    until: Moment = None,
    cursor: Annotated[str, Query(max_length=300)] = "",
    changed_since: Since | None = None,
    limit: Limit = 50,
) -> Response:
    """Incidents, newest first, that match all that is given; `since` and before `until` they began.

    With `changed_since` those that changed since, each once as it stands now, in the order of their last changes: a
    verdict given or taken back, a severity that rose, a late alert, a clip that arrived. Nothing is left out, however
    long one was away and however many changed at once. What changed and doesn't match (any more) is named in `gone`.
    A program that keeps a copy runs:

        cursor = saved or "start"            # all there is, then what changes; "now": only what changes from now on
        loop:
            page = GET /api/incidents?changed_since={cursor}&limit=200
            on 410: cursor = "start", forget all, begin anew    # the hub was brought back from a backup
            for each of page.incidents: keep it under its id
            for each of page.gone: forget its id
            cursor = saved = page.changed_until
            where both are empty: wait some seconds, or for an event of /api/events?changed_since={cursor}
    """
    wanted = Wanted(
        told, _unix(since), _unix(until), kind, camera, zone, view.scope, site, severity,
        "" if verdict == "none" else verdict, None if origin is None else origin == "replay",
    )  # fmt: skip
    if changed_since is not None:
        if cursor:
            raise HTTPException(422, "either `cursor` or `changed_since`")
        return _answer(view, _changed(view, changed_since, limit, wanted))
    found = view.store.feed(_place(cursor), limit + 1, wanted=wanted)
    last = found[limit - 1] if len(found) > limit else None
    following = f"{last.started_at!r},{last.id}" if last else None
    return _answer(view, Incidents(incidents=[_told(view, one) for one in found[:limit]], next=following))


@router.get(
    "/events",
    response_class=Response,
    responses={
        **ERRORS,
        200: {
            "content": {"text/event-stream": {}},
            "description": "events as they come, a comment every 15 s",
        },
        410: {"model": Error, "description": f"`changed_since` is of another memory: begin anew with `{START}`"},
        503: {"description": "too many are listening: ask again later"},
    },
)
def events(view: MayLook, changed_since: Since = NOW) -> Response:
    """Server-sent events that say at once that an incident changed: ask `/api/incidents` for what changed.

    `incident` events hold its `id`, and are numbered by cursors; `reload` says that more changed than is told one by
    one. `Last-Event-ID` overrides the address.
    """
    parts = view.parts
    since = view.request.headers.get("last-event-id", "") or changed_since
    after = parts.store.last_change() if since == NOW else 0 if since == START else _number(view, since)
    token = bearer_token(view.request.url.path, view.request.headers)

    def is_welcome() -> bool:
        now = parts.clock.now()
        return parts.gate.is_open(view.session, now) if token is None else parts.gate.is_good(token, view.acting, now)

    async def numbered() -> AsyncIterator[str]:
        async for event in parts.live.stream(after, is_welcome, view.scope, user=view.user):
            yield re.sub(r"^id: (\d+)", lambda found: f"id: {parts.cursors.written(int(found[1]))}", event)

    return event_stream(view, numbered())


@router.get("/incidents/{incident_id}", response_model=IncidentInFull, responses={**NOT_FOUND, **UNCHANGED})
def one_incident(view: MayLook, incident_id: str) -> Response:
    """One incident with its acts, facts, clips and verdicts."""
    incident = known(view, incident_id)
    record = incident.record
    findings = record.get("findings")
    return _answer(
        view,
        IncidentInFull(
            **_told(view, incident).model_dump(),
            findings=[str(kind) for kind in findings] if isinstance(findings, list) else [incident.kind],
            facts=record["facts"] if isinstance(record["facts"], dict) else {},
            acts=[Act.model_validate({**act, "kind": str(act.get("kind"))}) for act in incident.acts],
            acts_left_out=incident.acts_left_out,
            clips=[_segment(clip) for clip in view.store.clips_shown(incident.id)],
            verdicts=[
                Judgement(
                    number=one.number, user=one.user, at=iso(one.at), verdict=one.verdict, reason=one.reason,
                    note=one.note, withdrawn_by=one.withdrawn_by,
                )
                for one in view.store.verdicts.on(incident.id)
            ],
            responses=[
                ResponseStep.model_validate({**asdict(one), "at": iso(one.at)})
                for one in view.parts.responses.steps([incident.id])
            ],
            confirmed_by=[one.id for one in view.store.confirmed_by(incident.id)],
            seen_by=[_side(view, one) for one in view.store.seen_by(incident.id, view.scope)],
        ),
    )  # fmt: skip


@router.head("/incidents/{incident_id}/clip", include_in_schema=False)
@router.get(
    "/incidents/{incident_id}/clip",
    response_class=Response,
    responses={
        **NOT_FOUND,
        200: {"content": {"video/mp4": {}}, "description": "the segment, or the part that `Range` asks for"},
        202: {"description": "the copy is being made: ask again"},
        206: {"content": {"video/mp4": {}}, "description": "the part that `Range` asks for"},
        410: {"description": "no copy can be made of it: `text` says why"},
    },
)
def incident_clip(view: MayLook, incident_id: str, segment: Annotated[int, Query(ge=0, le=2**31 - 1)] = 0) -> Response:
    """A segment of the recording: as the camera made it for who may see that, otherwise its redacted copy.

    HEAD tells its size and that it may be asked for in parts (`Range`).
    """
    incident = filmed(view, incident_id)
    shown = next((clip.incident for clip in view.store.clips_shown(incident.id)), incident.id)
    if view.may(Right.FULL_PIXELS):
        return incidents.clip(view, shown, segment)
    return derived.shared(view, shown, segment)


@router.head("/incidents/{incident_id}/snapshot", include_in_schema=False)
@router.get(
    "/incidents/{incident_id}/snapshot",
    response_class=Response,
    responses={**NOT_FOUND, 200: {"content": {"image/jpeg": {}}, "description": "labels in it are blurred"}},
)
def incident_snapshot(view: MayLook, incident_id: str) -> Response:
    """The newest picture of an incident."""
    return incidents.snapshot(view, incident_id)


@router.post(
    "/incidents/{incident_id}/verdict",
    response_model=Judgement,
    status_code=201,
    responses={
        **NOT_FOUND,
        409: {"model": Error, "description": "somebody else's verdict stands, or it is graver: see `over` and `seen`"},
        413: {"model": Error, "description": "more than a verdict can be"},
    },
)
def give_verdict(view: MayJudge, incident_id: str, judging: Judging) -> Response:
    """Say what an incident really was."""
    note = judging.note.strip()
    if "\0" in note or (judging.reason and not is_reason(judging.verdict, judging.reason)):
        raise HTTPException(422, "no such reason for this verdict, or a note that can't be kept")
    try:
        with view.store.database.writing() as connection:
            one_at_a_time(connection)  # before reading: it may grow at this moment
            incident = known(view, incident_id)
            if incidents.is_beyond(incident, judging.seen, judging.verdict):
                return JSONResponse({"reason": {"severity": incident.severity}}, 409)
            number = view.store.verdicts.add(
                incident.id, view.user, judging.verdict, note, view.now, judging.reason, over=judging.over
            )
            view.did("verdict", incident.id, verdict=judging.verdict, reason=judging.reason)
    except Contested as contested:
        standing = contested.standing
        told = {"number": standing.number, "user": standing.user, "verdict": standing.verdict}
        return JSONResponse({"reason": {"standing": told}}, 409)
    view.parts.live.poke()
    made = Judgement(
        number=number, user=view.user, at=iso(view.now), verdict=judging.verdict, reason=judging.reason, note=note,
        withdrawn_by=None,
    )  # fmt: skip
    return JSONResponse(made.model_dump(), 201)


@router.get("/cases", response_model=Cases, responses={**ERRORS, **UNCHANGED})
def list_cases(
    view: MayLook,
    state: Literal["open", "handed_over", "closed"] | None = None,
    cursor: Annotated[int | None, Query(ge=1, le=2**62)] = None,
    limit: Limit = 50,
) -> Response:
    """Cases whose incidents are all in scope, newest first."""
    found = view.parts.cases.cases(view.scope, view.user, state=state, before=cursor, limit=limit + 1)
    following = str(found[limit - 1].number) if len(found) > limit else None
    return _answer(view, Cases(cases=[CaseTold(**_case(case)) for case in found[:limit]], next=following))


@router.get("/cases/{number}", response_model=CaseInFull, responses={**NOT_FOUND, **UNCHANGED})
def one_case(view: MayLook, number: Annotated[int, Field(ge=1, le=2**62)]) -> Response:
    """One case with its totals."""
    case = view.parts.cases.case(number, view.scope, view.user)
    if case is None:
        raise HTTPException(404)
    sums = totals(view.store.incidents(case.incidents, wanted=Wanted(scope=view.scope, doubles=True)), view.zone)
    told = {"labels_exposed": _labels(sums), "photos": sums.photos, "seconds": round(sums.seconds, 3)}
    return _answer(view, CaseInFull(**_case(case), **told))


@router.get("/cameras", response_model=Cameras, responses={**ERRORS, **UNCHANGED})
def list_cameras(view: MayLook) -> Response:
    """Whether anybody is watching."""
    told = [CameraTold.model_validate(state, from_attributes=True) for state in view.cameras]
    return _answer(view, Cameras(cameras=told))


@router.get("/alarms", response_model=AlarmsTold, responses={**ERRORS, **UNCHANGED})
def list_alarms(
    view: MayLook,
    over: Annotated[bool, Query(description="those that are over instead")] = False,
    cursor: Annotated[int | None, Query(ge=1, lt=2**53)] = None,
) -> Response:
    """What is wrong with the system itself."""
    return _answer(view, alarms_told(view, cursor, over=over))


@router.get(
    "/audit",
    response_class=Response,
    responses={
        **ERRORS,
        200: {"content": {"application/x-ndjson": {}}, "description": "a line of JSON for each entry"},
    },
)
def export_audit(
    view: MayAudit,
    after: Annotated[int, Query(ge=0, le=2**53, description="the number of the last entry that is known")] = 0,
) -> Response:
    """The audit log as JSON lines, oldest first, up to the entry that this request leaves.

    Each line can be checked: `hash` is the SHA-256 of `before`, a newline and `entry`, in UTF-8 and byte for byte as it
    stands in the line; and `before` is the `hash` of the entry before, 64 zeros for the first. With a scope, entries
    of who sees more are left out, and `before` is null after them.
    """
    return audit.exported(view, after)


@router.get("/stats", response_model=Stats, responses={**ERRORS, **UNCHANGED})
def stats(view: MayLook, since: Moment = None, until: Moment = None) -> Response:
    """Alerts and labels exposed day by day; the last four weeks where nothing is said."""
    end = min(_unix(until) or view.now, view.now)
    start = _unix(since)
    start = view.span_of(view.local(end).date() - timedelta(days=27))[0] if start is None else start
    if start > end or end - start > MOST_DAYS * DAY_S:
        raise HTTPException(422, f"since must lie before until, by {MOST_DAYS} days at most")
    days: list[DayTold] = []
    day = view.local(start).date()
    while (span := view.span_of(day))[0] < end or not days:
        sums = view.store.totals(*span, view.scope)
        days.append(DayTold(day=str(day), **asdict(sums)))
        day = day.fromordinal(day.toordinal() + 1)
    return _answer(view, Stats(timezone=view.parts.config.timezone, days=days))


def _changed(view: View, since: str, limit: int, wanted: Wanted) -> Incidents:
    """What changed since a cursor, and the next one, which tells of no change outside the scope."""
    within = Wanted(scope=view.scope, site=wanted.site, camera=wanted.camera, doubles=True)
    cursors = view.parts.cursors
    if since == NOW:
        number = view.store.last_change_within(within)
        return Incidents(incidents=[], next=None, changed_until=cursors.written(number))
    last = None if since == START else _number(view, since)
    found = view.store.followed(last, limit, within=within, wanted=wanted)
    gone = [one for _, is_wanted, one in found if not is_wanted]
    shown = [one.same_as for one in gone if one.same_as]
    known_here = {one.id for one in view.store.incidents(shown, wanted=Wanted(scope=view.scope, doubles=True))}
    return Incidents(
        incidents=[_told(view, one) for _, is_wanted, one in found if is_wanted],
        next=None,
        gone=[Gone(id=one.id, same_as=one.same_as if one.same_as in known_here else None) for one in gone],
        changed_until=since if not found and last is not None else cursors.written(found[-1][0] if found else 0),
    )


def _number(view: View, cursor: str) -> int:
    """The change that a cursor is of."""
    try:
        number = view.parts.cursors.number(cursor)
    except ValueError as error:
        wrong = f"no such cursor: take it from `changed_until`, or begin with `{START}` or `{NOW}`"
        raise HTTPException(422, wrong) from error
    if number is None or number > view.store.last_change():
        raise HTTPException(410, f"the hub was brought back from a backup since: begin anew with `{START}`")
    return number


def _labels(of: StoredIncident | CaseTotals) -> Count:
    return Count(low=of.labels_low, best=of.labels_best, high=of.labels_high)


def _words(incident: StoredIncident) -> dict[str, str]:
    sentence = incident.record.get("sentence")
    return {str(k): str(v) for k, v in sentence.items()} if isinstance(sentence, dict) else {}


def _side(view: View, incident: StoredIncident) -> Side:
    return Side(
        id=incident.id, edge=incident.edge, camera=incident.camera, camera_title=incident.title, zone=incident.zone,
        severity=incident.severity, started_at=iso(incident.started_at), ended_at=iso(incident.ended_at),
        labels_exposed=_labels(incident),
        sentence=_words(incident), clips=[_segment(clip) for clip in view.store.clips_shown(incident.id)],
    )  # fmt: skip


def _told(view: View, incident: StoredIncident) -> Incident:
    address = quote(incident.id, safe="")
    return Incident(
        id=incident.id, site=incident.site, edge=incident.edge, camera=incident.camera, camera_title=incident.title,
        zone=incident.zone, spot=incident.spot, other_zones=other_zones(incident.record), kind=incident.kind,
        severity=incident.severity, score=incident.score,
        told="digest" if incident.told == "digest" else "alert",
        origin="live" if incident.replayed_at is None else "replay", ongoing=incident.goes_on(view.now),
        started_at=iso(incident.started_at), ended_at=iso(incident.ended_at), started_at_unix=incident.started_at,
        ended_at_unix=incident.ended_at, clock_ahead_s=incident.ahead_s,
        labels_exposed=_labels(incident),
        sentence=_words(incident), verdict=incident.verdict, page=f"/incidents/{address}",
        snapshot=f"/api/incidents/{address}/snapshot" if incident.snapshot else None,
    )  # fmt: skip


def _segment(clip: Clip) -> Segment:
    return Segment(
        segment=clip.segment, started_at=iso(clip.started_at), duration_s=clip.duration_s, sha256=clip.sha256,
        size=clip.size, url=f"/api/incidents/{quote(clip.incident, safe='')}/clip?segment={clip.segment}",
    )  # fmt: skip


def _case(case: Case) -> dict[str, Any]:
    same = ("number", "title", "state", "note", "people", "made_by")
    made = {"made_at": iso(case.made_at), "incidents": list(case.incidents)}
    return {**{name: getattr(case, name) for name in same}, **made}


def _answer(view: View, content: BaseModel) -> Response:
    """As JSON with its ETag; 304 where the asker has it already."""
    body = json.dumps(content.model_dump(mode="json")).encode()  # in ASCII: edges may tell what is no whole character
    tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    known_tags = [one.strip().removeprefix("W/") for one in view.request.headers.get("if-none-match", "").split(",")]
    if tag in known_tags or "*" in known_tags:
        return Response(status_code=304, headers=headers)
    return Response(body, media_type="application/json", headers=headers)


def _unix(moment: datetime | None) -> float | None:
    if moment is None:
        return None
    try:
        at = moment.timestamp()
    except (OverflowError, ValueError):
        at = -1.0
    if moment.tzinfo is None or not is_time(at):
        raise HTTPException(
            422, "a time needs its offset from UTC, e.g. 2026-11-01T09:00:00+08:00, and a sensible year"
        )
    return at


def _place(cursor: str) -> tuple[float, str] | None:
    """A place in the list from `time,id`."""
    if not cursor:
        return None
    at, comma, incident = cursor.partition(",")
    try:
        place = float(at), incident
    except ValueError:
        place = -1.0, ""
    if not comma or not is_time(place[0]) or "\0" in incident:
        raise HTTPException(422, "no such cursor: take it from `next`")
    return place
