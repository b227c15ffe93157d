"""Copies of clips: what browsers play of each, by what its viewer may see, and what leaves the house."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, JSONResponse, RedirectResponse, Response

from detector.hub.footage.derived import FAILED, READY, Copy, Kind
from detector.hub.pages.clip import may_see
from detector.hub.pages.incidents import filmed
from detector.hub.pages.view import Form, MayExport, MayLook, MaySeeFullPixels, NotAllowed, View
from detector.hub.storage.rights import Right
from detector.hub.storage.stored import Clip

router = APIRouter()

FACES = {"others": Kind.SHARED, "all": Kind.SHARED_ALL}
ASK_AGAIN_S = 2
PRIVATE = {"Cache-Control": "private, no-cache"}


@dataclass(frozen=True, slots=True)
class Shared:
    """One segment's copy, as the page that hands it out lists it."""

    clip: Clip
    copy: Copy
    share_done: float
    plays: str
    takes: str


@router.get("/clips/{incident_id}/{segment}/play")
@router.head("/clips/{incident_id}/{segment}/play")
def play(view: MayLook, incident_id: str, segment: int) -> Response:
    """Leads to what this visitor may see of a segment and browsers play: itself, its preview, or its redacted copy."""
    clip = _clip(view, incident_id, segment)
    kind = ""
    if not view.may(Right.FULL_PIXELS):
        kind = "/shared"
    elif view.parts.clips.find(clip.incident, clip.segment) is None:
        return _told(view, FAILED, "gone")
    else:
        video = view.parts.copies.format_of(clip)
        if video.reason:
            return _told(view, FAILED, video.reason)
        if not video.plays:
            kind = "/preview"
    return RedirectResponse(f"{_address(clip)}{kind}", 307, headers={"Cache-Control": "no-store"})


@router.get("/clips/{incident_id}/{segment}/preview")
@router.head("/clips/{incident_id}/{segment}/preview")
def preview(view: MaySeeFullPixels, incident_id: str, segment: int) -> Response:
    """A segment as H.264, with the pixels that the camera made."""
    clip = _clip(view, incident_id, segment)
    return _copy(view, clip, Kind.PREVIEW, seen="clip")


@router.get("/clips/{incident_id}/{segment}/shared")
@router.head("/clips/{incident_id}/{segment}/shared")
def shared(view: MayLook, incident_id: str, segment: int, faces: str = "others", download: bool = False) -> Response:
    """The redacted copy of a segment, to be looked at, or for who may export to be taken away as a file."""
    clip, kind = _clip(view, incident_id, segment), _kind(faces)
    if download and not view.may(Right.EXPORT):
        raise NotAllowed
    return _copy(view, clip, kind, download=download)


@router.post("/incidents/{incident_id}/share")
def share(view: MayExport, incident_id: str, fields: Form) -> Response:
    """Have redacted copies of all segments of an incident made, to be taken away."""
    incident, faces = filmed(view, incident_id), fields.get("faces", "others")
    kind, clips = _kind(faces), view.store.clips_shown(incident.id)
    if not clips:
        raise HTTPException(404)
    for clip in clips:
        view.parts.copies.ask(clip, kind)
    view.did("share", incident.id, faces=faces, segments=[clip.segment for clip in clips])
    return RedirectResponse(f"/incidents/{quote(incident.id, safe='')}/share?faces={faces}", 303)


@router.get("/incidents/{incident_id}/share")
def shares(view: MayExport, incident_id: str, faces: str = "others") -> Response:
    """The redacted copies of an incident: which are ready to be taken away, and how far the others are."""
    incident, kind = filmed(view, incident_id), _kind(faces)
    clips = view.store.clips_shown(incident.id)
    if not clips:
        raise HTTPException(404)
    listed = _shared(view, clips, kind, faces)
    waiting = any(one.copy.state not in (READY, FAILED) for one in listed)
    template = "shares_list.html" if view.wants_fragment else "shares.html"
    return view.page(template, incident=incident, faces=faces, shares=listed, waiting=waiting)


def _shared(view: View, clips: Sequence[Clip], kind: Kind, faces: str) -> list[Shared]:
    copies = view.parts.copies
    found = [(clip, copies.ask(clip, kind)) for clip in clips]
    return [
        Shared(clip, copy, copies.share_done(copy), address, f"{address}&download=1")
        for clip, copy in found
        for address in [f"{_address(clip)}/shared?faces={faces}"]
    ]


def _copy(view: View, clip: Clip, kind: Kind, *, download: bool = False, seen: str = "") -> Response:
    """A copy, or what keeps it from being here."""
    copy = view.parts.copies.ask(clip, kind)
    path = view.parts.copies.path(copy)
    if path is None:
        return _told(view, copy.state, copy.reason, view.parts.copies.share_done(copy))
    if seen:
        view.saw(seen, clip.incident, segment=clip.segment, copy=str(kind))
    if download and view.request.method == "GET":  # who only asks what there is takes nothing away
        view.did("share_taken", clip.incident, segment=clip.segment, copy=str(kind), sha256=copy.sha256)
    name = f"{re.sub(r'[^A-Za-z0-9_-]', '_', clip.incident)[:80]}-{clip.segment}-{kind}.mp4"
    remarks = {"X-Labelwatch-Remarks": ", ".join(copy.remarks)} if copy.remarks else {}
    return FileResponse(
        path, media_type="video/mp4", filename=name, headers={**PRIVATE, **remarks},
        content_disposition_type="attachment" if download else "inline",
    )  # fmt: skip


def _told(view: View, state: str, reason: str | None, share_done: float = 0.0) -> Response:
    """That a copy is being made (202), or why it can't be (410): to a person as a page, to a program as JSON."""
    failed = state == FAILED
    headers = {"Cache-Control": "no-store", **({} if failed else {"Retry-After": str(ASK_AGAIN_S)})}
    status = 410 if failed else 202
    share_words = view.percent(share_done)
    text = view.say("copy_" + str(reason)) if failed else view.say("copy_waiting", share=share_words)
    if "text/html" in view.request.headers.get("accept", ""):
        answer: Response = view.page("copy.html", status, failed=failed, text=text)
        answer.headers.update(headers | ({} if failed else {"Refresh": str(ASK_AGAIN_S)}))
        return answer
    fields: dict[str, Any] = {"state": state, "text": text}
    fields |= {"reason": reason} if failed else {"share_done": round(share_done, 3)}
    return JSONResponse(fields, status, headers)


def _clip(view: View, incident_id: str, segment: int) -> Clip:
    """A segment that the visitor may see something of.

    Raises:
        HTTPException: There is none such (404).
    """
    found = view.store.clip(incident_id, segment)
    if found is None or not may_see(view, found):
        raise HTTPException(404)
    return found


def _kind(faces: str) -> Kind:
    if faces not in FACES:
        raise HTTPException(400)
    return FACES[faces]


def _address(clip: Clip) -> str:
    return f"/clips/{quote(clip.incident, safe='')}/{clip.segment}"
