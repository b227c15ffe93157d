"""Whether anybody is watching, and whether any alert was lost."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from detector.hub.cameras import camera_states, counter
from detector.hub.pages.view import Somebody

router = APIRouter()


@router.get("/cameras")
def cameras(view: Somebody) -> Response:
    """Whether anybody is watching, and whether any alert was lost."""
    edges = view.store.edges(view.scope)
    refused, refusals = view.store.refused()
    states = camera_states(edges, view.now, view.scope)
    return view.page(
        "cameras.html", edges=edges, cameras=states, refused=refused, refusals=refusals, counter=counter
    )  # fmt: skip
