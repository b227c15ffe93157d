"""Where edges bring clips, and replays what they found; a signature says who they are."""

from __future__ import annotations

from anyio.to_thread import run_sync
from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from detector import wire
from detector.errors import WireError
from detector.hub.footage.clips import Answer, ClipFolder
from detector.hub.parts import Parts
from detector.wire.replays import LARGEST, PATH

router = APIRouter()


@router.head("/api/clips/{incident_id}/{segment}")
async def clip_held(request: Request, incident_id: str, segment: int) -> Response:
    """How much of a segment is here."""
    return await _held(request, incident_id, segment)


@router.put("/api/clips/{incident_id}/{segment}")
async def take_clip(request: Request, incident_id: str, segment: int) -> Response:
    """Take a piece of a segment."""
    return await _taken(request, incident_id, segment)


@router.head("/api/clips/{incident_id}/{segment}/side")
async def side_held(request: Request, incident_id: str, segment: int) -> Response:
    """How much of a segment's side file is here."""
    return await _held(request, incident_id, segment, wire.SIDE)


@router.put("/api/clips/{incident_id}/{segment}/side")
async def take_side(request: Request, incident_id: str, segment: int) -> Response:
    """Take a piece of a segment's side file."""
    return await _taken(request, incident_id, segment, wire.SIDE)


@router.post(PATH)
async def take_replay(request: Request, site: str, edge: str) -> Response:
    """Take what a replay found, or is about to find; who comes while others are being taken is asked to come again."""
    parts: Parts = request.app.state.parts
    if parts.clips.is_nearly_full():
        return JSONResponse({"reason": "the hub's disk is nearly full"}, 503, {"Retry-After": "60"})
    who = await run_sync(parts.replays.who, site, edge, request.headers)
    with parts.replays.place(who) as has_place:
        if not has_place:
            return JSONResponse({"reason": "others are publishing just now"}, 503, {"Retry-After": "5"})
        return await _replay_taken(request, parts, site, edge, is_known=who is not None)


async def _replay_taken(request: Request, parts: Parts, site: str, edge: str, *, is_known: bool) -> Response:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST:
            return JSONResponse({"reason": f"more than {LARGEST} bytes"}, 413)
    if is_known and not body:
        return Response(status_code=204)
    try:
        answer = await run_sync(parts.replays.take, site, edge, bytes(body))
    except WireError as error:
        return JSONResponse({"reason": str(error)}, 401)
    return Response(answer, media_type="application/json")


async def _held(request: Request, incident_id: str, segment: int, what: str | None = None) -> Response:
    return _answered(await _clips(request).held(incident_id, segment, request.headers, what=what))


async def _taken(request: Request, incident_id: str, segment: int, what: str | None = None) -> Response:
    clips = _clips(request)
    return _answered(await clips.take(incident_id, segment, request.headers, request.stream(), what=what))


def _clips(request: Request) -> ClipFolder:
    parts: Parts = request.app.state.parts
    return parts.clips


def _answered(answer: Answer) -> Response:
    headers = {} if answer.offset is None else {"Upload-Offset": str(answer.offset)}
    return JSONResponse({"reason": answer.reason} if answer.reason else {}, answer.status, headers)
