"""A clip that no alert told of: one whose alert is on its way still or was lost, to be looked at by itself."""

from __future__ import annotations

from urllib.parse import quote

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from detector.hub.desk.charts import timeline
from detector.hub.pages.cameras import path_of
from detector.hub.pages.player import plan_of
from detector.hub.pages.view import Somebody, View
from detector.hub.storage.rights import Right
from detector.hub.storage.stored import Clip
from detector.values import DAY_S

router = APIRouter()


def may_see(view: View, clip: Clip) -> bool:
    """Whether the visitor may see something of a segment: of walk tests those alone who may begin one."""
    if not view.scope.sees(clip.site, clip.camera):
        return False
    return view.may(Right.CONFIGURE) or view.parts.walk_tests.filmed(clip.incident) is None


@router.get("/clips/{incident_id}")
def clip_page(view: Somebody, incident_id: str) -> Response:
    """Leads to what it is a clip of, an incident or a walk test, once that is known, and else shows it.

    Of walk tests only those know who may begin one.
    """
    if view.store.incident(incident_id, view.scope):
        return RedirectResponse(f"/incidents/{quote(incident_id, safe='')}", 303)
    clips = [one for one in view.store.clips(incident_id) if may_see(view, one)]
    if not clips:
        raise HTTPException(404)
    test = view.parts.walk_tests.filmed(incident_id)
    place = clips[0].site, clips[0].edge, clips[0].camera
    if test:
        return RedirectResponse(f"{path_of(place)}/tests/{test.number}", 303)
    title = view.title(*place)
    days = view.parts.config.retention.no_alert
    line = timeline(clips, (clips[0].started_at, clips[0].started_at))
    return view.page(
        "clip.html",
        title=title,
        clips=clips,
        kept_until=None if days is None else max(clip.stored_at for clip in clips) + days * DAY_S,
        filmed={"id": incident_id, "title": title, "snapshot": None},
        timeline=line,
        plan=plan_of(view, clips, line),
        keys=False,
    )
