"""What other systems are told, whether they can be reached, and whose notices they hold back; pictures for them."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from detector.hub.edges.cameras import MOST_OF_AN_EDGE
from detector.hub.pages.view import Anybody, Form, MayConfigure, View

router = APIRouter()


@router.get("/integrations")
def integrations_page(view: MayConfigure) -> Response:
    """What is published, when last, what failed."""
    return view.page("integrations.html", **_page(view))


@router.get("/integrations/part")
def integrations_part(view: MayConfigure) -> Response:
    """The same, for a page that keeps itself fresh."""
    return view.page("integrations_part.html", **_page(view))


@router.post("/integrations/resume")
def resume(view: MayConfigure, fields: Form) -> Response:
    """Let a camera's notices go again."""
    site, camera = fields.get("site", ""), fields.get("camera", "")
    known = {(pause.site, pause.camera) for pause in view.parts.pauses.all(view.now, view.scope)}
    if (site, camera) not in known:
        raise HTTPException(404)
    view.parts.pauses.end(site, camera, view.user, view.now)
    view.parts.sender.poke()
    view.parts.integrations.poke()
    return RedirectResponse("/integrations", 303)


@router.get("/shown/{incident_id}/{number}")
@router.head("/shown/{incident_id}/{number}")
def shown(view: Anybody, incident_id: str, number: int, until: int = 0, signature: str = "") -> Response:
    """A picture of an incident, labels blurred, for a program that was told its address and can't log in."""
    told = view.parts.config.integrations.home_assistant
    in_range = 0 <= number < 2**62 and 0 <= until < 2**40
    is_good = in_range and view.parts.links.is_good(incident_id, number, until, signature, view.now)
    jpeg = view.parts.reviews.still(incident_id, number) if is_good and told.enabled and told.pictures else None
    if jpeg is None:
        raise HTTPException(404)
    return Response(jpeg, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=3600"})


def _page(view: View) -> dict[str, Any]:
    config = view.parts.config
    told = config.integrations
    return {
        "told": told,
        "state": view.parts.integrations.state,
        "broker": told.broker or config.broker,
        "pauses": view.parts.pauses.all(view.now, view.scope),
        "metrics": config.metrics,
        "most_of_an_edge": MOST_OF_AN_EDGE,
        "public_url": config.public_url,
    }
