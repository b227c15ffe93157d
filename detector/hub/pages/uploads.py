"""Where edges bring clips; a signature in the headers says who they are."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response

from detector.hub.clips import Answer, ClipFolder
from detector.hub.pages.view import Parts

router = APIRouter()


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
