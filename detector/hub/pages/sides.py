"""What the models saw while a segment was recorded, for players and other programs: no picture and no text is in it."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, Response, StreamingResponse

from detector.hub.pages.clip import may_see
from detector.hub.pages.view import MayLook

router = APIRouter()

CHUNK = 2**16


@router.get("/clips/{incident_id}/{segment}/side")
def side(view: MayLook, incident_id: str, segment: int) -> Response:
    """The side file of a segment, as JSON."""
    found = view.parts.clips.find_side(incident_id, segment)
    if found is None or not may_see(view, found[0]):
        raise HTTPException(404)
    record, path = found
    asked = view.request.headers
    # Weak, since it stands for the JSON packed and not. It is asked for each time: whoever sees it may change.
    etag = f'W/"{record.sha256}"'
    headers = {"ETag": etag, "Cache-Control": "private, no-cache", "Vary": "Accept-Encoding, Cookie"}
    if etag in (one.strip() for one in asked.get("If-None-Match", "").split(",")):
        return Response(status_code=304, headers=headers)
    if takes_gzip(asked.get("Accept-Encoding", "")):
        return FileResponse(path, media_type="application/json", headers={**headers, "Content-Encoding": "gzip"})
    return StreamingResponse(_unpacked(path), media_type="application/json", headers=headers)


def takes_gzip(accept_encoding: str) -> bool:
    """Whether a client that says this of itself unpacks gzip."""
    for coding in accept_encoding.lower().split(","):
        name, _, weight = coding.replace(" ", "").partition(";q=")
        if name in ("gzip", "*"):
            return weight.strip("0.") != "" if weight else True
    return False


def _unpacked(path: Path) -> Iterator[bytes]:
    with gzip.open(path) as file:
        while chunk := file.read(CHUNK):
            yield chunk
