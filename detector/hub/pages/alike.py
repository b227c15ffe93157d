"""Incidents of one camera and kind that nobody has judged: those that somebody marks are given one verdict.

Each verdict is one of its own, as if it were given on the incident's page: with its line in the audit log, undone there
or all at once here, never in the stead of one that somebody else gave meanwhile, nor on more than was looked at.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import quote

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from detector.hub.desk.reviews import REASONS, is_reason
from detector.hub.pages.incidents import is_beyond, known
from detector.hub.pages.view import Form, MayJudge, View
from detector.hub.storage.database import one_at_a_time
from detector.hub.storage.stored import VERDICTS, StoredIncident, is_time
from detector.hub.storage.wanted import Wanted

router = APIRouter()

MOST = 40  # pictures that somebody looks at, at a time
MARK = "mark-"  # a field of the form: this and an incident's id; its value is the severity that was looked at


@router.get("/incidents/{incident_id}/alike")
def alike(view: MayJudge, incident_id: str, all: str = "", at: str = "", of: str = "") -> Response:  # noqa: A002  (as in the address)
    """What is like an incident and waits; `all` marks each of it.

    With `at`, when somebody judged some of it, and `of` how many were marked then.
    """
    wanted = int(of) if re.fullmatch("[0-9]{1,4}", of) else 0
    return _shown(view, known(view, incident_id), every=bool(all), judged_at=_time(at), wanted=wanted)


@router.post("/incidents/{incident_id}/alike")
def judge(view: MayJudge, incident_id: str, fields: Form) -> Response:
    """Judge what is marked: asked first with what, then, with `sure`, done, or with `again` marked anew."""
    incident = known(view, incident_id)
    verdict, reason = fields.get("verdict", ""), fields.get("reason", "")
    if verdict not in VERDICTS or not is_reason(verdict, reason):
        raise HTTPException(400)
    marked = _marked(view, incident, fields)
    if "sure" not in fields or not marked:
        waiting = [one for one in _as_seen(marked, fields, verdict) if one.verdict is None]
        return _shown(view, incident, marked=waiting, asked="" if "again" in fields else verdict)
    with view.store.database.writing() as connection:
        one_at_a_time(connection)
        as_seen = [one.id for one in _as_seen(_marked(view, incident, fields), fields, verdict)]
        judged = view.store.verdicts.add_to_open(as_seen, view.user, verdict, view.now, reason)
        for one in judged:
            view.did("verdict", one, verdict=verdict, reason=reason, together=len(judged))
    view.parts.live.poke()
    return RedirectResponse(f"{_address(incident)}?at={view.now!r}&of={len(marked)}", 303)


@router.post("/incidents/{incident_id}/alike/undo")
def undo(view: MayJudge, incident_id: str, fields: Form) -> Response:
    """Take back what one judged at a time (`at`), as far as it still counts."""
    incident, at = known(view, incident_id), _time(fields.get("at", ""))
    with view.store.database.writing() as connection:
        one_at_a_time(connection)  # before reading, or it takes back what a colleague gives at that moment
        for judged, verdict in view.store.verdicts.given(view.user, at).items() if at else ():
            view.store.verdicts.withdraw(judged, view.user, view.now)
            view.did("undo", judged, verdict=verdict)
    view.parts.live.poke()
    return RedirectResponse(_address(incident), 303)


def _shown(
    view: View,
    incident: StoredIncident,
    *,
    every: bool = False,
    marked: Sequence[StoredIncident] = (),
    asked: str = "",
    judged_at: float | None = None,
    wanted: int = 0,
) -> Response:
    """All that waits, some of it marked; with `asked`, a verdict, what is marked alone, for a last look."""
    is_asked = bool(asked and marked)
    shown = marked if is_asked else view.parts.reviews.alike(incident, MOST)
    judged = view.store.verdicts.given(view.user, judged_at) if judged_at else {}
    return view.page(
        "alike.html",
        incident=incident,
        path=_address(incident),
        shown=shown,
        asked=asked if is_asked else "",
        none_marked=bool(asked) and not marked,
        every=every,
        marked={one.id for one in marked},
        left=view.parts.reviews.alike_left(incident),
        with_clips=view.store.with_clips([one.id for one in shown]),
        reasons=REASONS,
        judged=judged,
        judged_at=judged_at,
        passed_over=max(wanted - len(judged), 0),
    )


def _marked(view: View, incident: StoredIncident, fields: dict[str, str]) -> list[StoredIncident]:
    """Those like an incident that a form marks and that the visitor may see, newest first."""
    ids = [name.removeprefix(MARK) for name in fields if name.startswith(MARK)][:MOST]
    found = view.store.incidents(ids, wanted=Wanted(scope=view.scope))
    return [one for one in found if _place(one) == _place(incident)]


def _as_seen(marked: Sequence[StoredIncident], fields: dict[str, str], verdict: str) -> list[StoredIncident]:
    """Those of which a verdict clears no more than was looked at."""
    return [one for one in marked if not is_beyond(one, fields[MARK + one.id], verdict)]


def _place(incident: StoredIncident) -> tuple[str, str, str, str]:
    return incident.site, incident.edge, incident.camera, incident.kind


def _time(text: str) -> float | None:
    try:
        at = float(text)
    except ValueError:
        return None
    return at if is_time(at) else None


def _address(incident: StoredIncident) -> str:
    return f"/incidents/{quote(incident.id, safe='')}/alike"
