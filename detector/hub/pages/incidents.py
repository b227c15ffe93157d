"""One incident: its clip, what happened when, and what people made of it."""

from __future__ import annotations

import json
import re
from urllib.parse import quote

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, RedirectResponse, Response

from detector.hub.charts import evidence, marks, timeline
from detector.hub.pages.feed import cards_of
from detector.hub.pages.view import Form, Somebody, View
from detector.hub.store import VERDICTS, StoredIncident, Wanted

router = APIRouter()

LONGEST_NOTE = 500


@router.get("/incidents/{incident_id}")
def incident_page(view: Somebody, incident_id: str) -> Response:
    """One incident: its clip, what happened when, and what people made of it."""
    last_change = view.store.last_change()
    incident = _known(view, incident_id)
    clips = view.store.clips(incident.id)
    lane = Wanted(told=incident.told, scope=view.scope)
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
    jpeg = view.store.snapshot(_known(view, incident_id).id)
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
    known = view.store.clip(incident_id, segment)  # its incident may not have been told of yet
    path = view.parts.clips.find(incident_id, segment)
    if known is None or path is None or not view.scope.sees(known.site, known.camera):
        raise HTTPException(404)
    name = re.sub(r"[^A-Za-z0-9_-]", "_", incident_id)[:80]
    return FileResponse(
        path, media_type="video/mp4", filename=f"{name}-{segment}.mp4", content_disposition_type="inline",
        headers={"Cache-Control": "private, max-age=3600"},
    )  # fmt: skip


def _known(view: View, incident_id: str) -> StoredIncident:
    found = view.store.incident(incident_id, view.scope)
    if found is None:
        raise HTTPException(404)
    return found


def _judged(view: View, incident_id: str) -> Response:
    view.parts.live.poke()
    if not view.wants_fragment:
        return RedirectResponse(f"/incidents/{quote(incident_id, safe='')}", 303)
    incident = _known(view, incident_id)
    if view.request.headers["x-fragment"] == "card":
        return view.page("cards.html", **cards_of(view, [incident]))
    return view.page("verdict.html", incident=incident, verdicts=view.store.verdicts(incident_id))
