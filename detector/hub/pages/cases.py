"""Cases: what belongs together, what it comes to, and evidence packs of it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Any
from urllib.parse import quote, unquote

from fastapi import APIRouter, Path
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, RedirectResponse, Response

from detector.hub.access.audit import Entry
from detector.hub.evidence.cases import CLOSED, LONGEST, OPEN, STATES, Case, CaseClosed, CaseFull
from detector.hub.evidence.figures import time_line, totals
from detector.hub.evidence.packs import MAKING, PackRecord
from detector.hub.pages.incidents import known
from detector.hub.pages.view import Form, MayExport, MayKeepCases, Somebody, View, own_path
from detector.hub.storage.database import one_at_a_time
from detector.hub.storage.rights import Right
from detector.hub.storage.stored import Clip, StoredIncident

router = APIRouter()

PAGE_SIZE = 20
FACES = 4  # pictures of a case in the list
TRAIL = 60
CHOICES = 20  # open cases that an alert may be put into, the newest
LONGEST_REASON = 300

Number = Annotated[int, Path(ge=1, lt=2**31)]  # what every database takes


@router.get("/cases")
def cases_page(view: Somebody, state: str = "", before: str = "", incident: str = "") -> Response:
    """Cases, the newest first; with an incident, those that it may be put into."""
    wanted = known(view, incident) if incident and view.may(Right.CASES) else None
    cases = view.parts.cases
    if wanted and view.wants_fragment:
        return _choice(view, wanted)
    if wanted:
        found = cases.cases(view.scope, view.user, state=OPEN, limit=CHOICES)
    else:
        found = cases.cases(
            view.scope, view.user, state=state if state in STATES else None,
            before=int(before) if re.fullmatch("[0-9]{1,9}", before) else None, limit=PAGE_SIZE + 1,
        )  # fmt: skip
    shown = found[:PAGE_SIZE]
    return view.page(
        "cases.html", cases=shown, more=shown[-1].number if len(found) > PAGE_SIZE and not wanted else None,
        sums=cases.sums([case.number for case in shown]), faces=_faces(view, shown), states=STATES,
        state=state if state in STATES else "", wanted=wanted, longest=LONGEST,
        default_title=_default_title(view, [wanted] if wanted else []),
    )  # fmt: skip


@router.post("/cases/add")
def add(view: MayKeepCases, fields: Form) -> Response:
    """Put incidents (`incidents`: ids or addresses, with white space between) into a case, or into a new one.

    The review desk and an incident's own page, which stay open meanwhile, are told in words. Of a list in which one is
    unknown none is put in: it stands on the case's page again, to be put right.
    """
    listed = fields.get("incidents", "")
    ids = list(dict.fromkeys(map(_id, f"{listed} {fields.get('incident', '')}".split())))
    found = {one: view.store.incident(one, view.scope) for one in ids}
    incidents = [incident for incident in found.values() if incident is not None]
    into, cases = fields.get("case", "new"), view.parts.cases
    if unknown := [one for one, incident in found.items() if incident is None]:
        if into == "new" or view.wants_fragment:
            raise HTTPException(404)
        return _shown(view, _case(view, _numbered(into)), listed=listed, unknown=unknown)
    try:
        if into == "new":
            title = _text(fields, "title") or _default_title(view, incidents)
            number = cases.make(title, incidents, user=view.user, at=view.now)
        else:
            case = _case(view, _numbered(into))
            cases.add(case, incidents, user=view.user, at=view.now)
            number = case.number
    except (CaseClosed, CaseFull) as refused:
        trouble = "409_closed" if isinstance(refused, CaseClosed) else "409_full"
        if view.wants_fragment and incidents:
            return _choice(view, incidents[0], trouble)
        return view.page("error.html", 409, kind=trouble)
    if view.wants_fragment:
        return view.page("case_added.html", case=_case(view, number), incidents=incidents)
    wanted = own_path(fields.get("next", ""))
    return RedirectResponse(f"/cases/{number}" if wanted == "/" else wanted, 303)


@router.get("/cases/{number}")
def case_page(view: Somebody, number: Number) -> Response:
    """One case."""
    return _shown(view, _case(view, number))


@router.post("/cases/{number}")
def change(view: MayKeepCases, number: Number, fields: Form) -> Response:
    """Change title, note, people or state; whoever overlooked another's change is asked again."""
    case = _case(view, number)
    changes = {name: _text(fields, name) for name in LONGEST if name in fields}
    if not changes.get("title", case.title):
        changes.pop("title")
    if fields.get("state") in STATES:
        changes["state"] = fields["state"]
    seen = fields.get("version", "")
    if seen != str(case.version) or not view.parts.cases.change(case, changes, user=view.user, at=view.now):
        return _shown(view, _case(view, number), draft=changes)
    return RedirectResponse(f"/cases/{number}", 303)


@router.post("/cases/{number}/remove")
def remove(view: MayKeepCases, number: Number, fields: Form) -> Response:
    """Take an incident out."""
    case = _case(view, number)
    try:
        if not view.parts.cases.remove(case, fields.get("incident", ""), user=view.user, at=view.now):
            raise HTTPException(404)
    except CaseClosed:
        return view.page("error.html", 409, kind="409_closed")
    return RedirectResponse(f"/cases/{number}", 303)


@router.post("/incidents/{incident_id}/hold")
def hold(view: MayKeepCases, incident_id: str, fields: Form) -> Response:
    """Put an incident on legal hold (`hold` = 1), or end that: whoever put it there may, and owners."""
    incident, cases = known(view, incident_id), view.parts.cases
    with view.store.database.writing() as connection:
        one_at_a_time(connection)  # before reading, or of two at the same moment neither is told of the other
        standing = cases.legal_hold(incident.id)
        if standing and not standing.yields_to(view.acting):
            return view.page("error.html", 403, kind="403_held")
        if fields.get("hold") == "1":
            reason = fields.get("reason", "").strip()[:LONGEST_REASON]
            cases.hold(incident.id, reason, user=view.user, at=view.now)
        else:
            cases.release(incident.id, user=view.user, at=view.now)
    return RedirectResponse(f"/incidents/{quote(incident.id, safe='')}", 303)


@router.post("/cases/{number}/pack")
def make_pack(view: MayExport, number: Number) -> Response:
    """Begin to make an evidence pack; while one is being made there is nothing to begin.

    What a camera beside told comes along, so it is for who sees that, too.
    """
    case = _case(view, number)
    if not all(view.scope.sees(*place) for place in view.parts.packs.places(case)):
        return view.page("error.html", 403, kind="403_pack")
    if case.incidents:
        view.parts.packs.ask(case, user=view.user, at=view.now)
    return RedirectResponse(f"/cases/{number}#packs", 303)


@router.get("/cases/{number}/packs")
def packs(view: Somebody, number: Number) -> Response:
    """How far its packs are."""
    case = _case(view, number)
    return view.page("packs.html", case=case, **_packs(view, case))


@router.get("/cases/{number}/packs/{pack_number}")
def download(view: MayExport, number: Number, pack_number: Number) -> Response:
    """A pack's file."""
    case = _case(view, number)
    pack = _pack(view, case, pack_number)
    path = view.parts.packs.path(pack)
    if path is None:
        raise HTTPException(404)
    view.did("pack_downloaded", case.subject, pack=pack.number)
    headers = {"Cache-Control": "private, no-store"}
    return FileResponse(path, media_type="application/zip", filename=pack.name, headers=headers)


@router.post("/cases/{number}/packs/{pack_number}/remove")
def remove_pack(view: MayExport, number: Number, pack_number: Number) -> Response:
    """Delete a pack's file; its line stays."""
    case = _case(view, number)
    view.parts.packs.remove(_pack(view, case, pack_number), case, user=view.user, at=view.now)
    return RedirectResponse(f"/cases/{number}#packs", 303)


def _case(view: View, number: int) -> Case:
    case = view.parts.cases.case(number, view.scope, view.user)
    if case is None:
        raise HTTPException(404)
    return case


def _pack(view: View, case: Case, number: int) -> PackRecord:
    pack = view.parts.packs.pack(case.number, number, view.scope, view.now)
    if pack is None:
        raise HTTPException(404)
    return pack


def _numbered(text: str) -> int:
    """A case's number; 0, which none has, from anything that is none."""
    return int(text) if re.fullmatch("[0-9]{1,9}", text) else 0


def _id(text: str) -> str:
    """An incident's id, from itself or from the address of its page."""
    _, marker, rest = text.partition("/incidents/")
    return unquote(re.split("[/?#]", rest)[0]) if marker else text


def _text(fields: dict[str, str], name: str) -> str:
    """What somebody wrote, without what can't be printed, as long as there is room for."""
    text = fields.get(name, "").replace("\r\n", "\n").strip()
    return "".join(c for c in text if c.isprintable() or (c == "\n" and name != "title"))[: LONGEST[name]]


def _default_title(view: View, incidents: list[StoredIncident]) -> str:
    if not incidents:
        return view.say("case_untitled")
    return view.say("case_title_default", day=view.day(incidents[0].started_at), camera=incidents[0].title)[
        : LONGEST["title"]
    ]


def _faces(view: View, cases: list[Case]) -> dict[int, list[StoredIncident]]:
    """Incidents with a picture, some of each case."""
    by_id = {one.id: one for one in view.store.incidents([one for case in cases for one in case.incidents[:FACES]])}
    return {
        case.number: [by_id[one] for one in case.incidents[:FACES] if one in by_id and by_id[one].snapshot is not None]
        for case in cases
    }


def _packs(view: View, case: Case) -> dict[str, Any]:
    found = view.parts.packs.of(case.number, view.scope, view.now)
    making = any(pack.state == MAKING for pack in found)
    clips = view.store.clips(*case.incidents)
    return {
        "packs": found,
        "making": making,
        "lacking": 0 if making else _lacking(view, case, clips),
        "changed_at": max([view.parts.cases.changed_at(case), *(clip.stored_at for clip in clips)]),
    }


def _lacking(view: View, case: Case, clips: Sequence[Clip]) -> int:
    """How many of its incidents have recordings to come, or lost from the disk: a pack made now is without them."""
    gone = view.store.without_footage(case.incidents)
    here = Counter(clip.incident for clip in clips if view.parts.clips.file_of(clip))
    return sum(
        one.awaits_clips(view.now) or len(one.announced_clips) > here[one.id]
        for one in view.store.incidents(case.incidents)
        if one.id not in gone
    )


def _choice(view: View, wanted: StoredIncident, trouble: str = "") -> Response:
    """Open cases to put an incident into; `trouble` says which error kept it out of one."""
    found = view.parts.cases.cases(view.scope, view.user, state=OPEN, limit=CHOICES)
    return view.page(
        "case_choice.html", 409 if trouble else 200, wanted=wanted, cases=found, trouble=trouble, longest=LONGEST,
        default_title=_default_title(view, [wanted]),
    )  # fmt: skip


def _shown(
    view: View, case: Case, draft: dict[str, str] | None = None, *, listed: str = "", unknown: Sequence[str] = ()
) -> Response:
    """The page; with what somebody meant to save, where another was faster, or to put in, some of it unknown."""
    incidents = sorted(view.store.incidents(case.incidents), key=lambda one: (one.started_at, one.id))
    here = {incident.id for incident in incidents}
    # It is of the audit log: for who works on cases, or may read that.
    may_read = view.may(Right.CASES) or view.may(Right.AUDIT)
    trail = view.parts.audit.entries(subject=case.subject, limit=TRAIL) if may_read else []
    return view.page(
        "case.html",
        404 if unknown else 409 if draft is not None else 200,
        case=case,
        draft=draft,
        listed=listed,
        unknown=unknown,
        changed_by=next((entry.user for entry in trail if entry.action == "case_changed"), ""),
        incidents=incidents,
        gone=[one for one in case.incidents if one not in here],
        totals=totals(incidents, view.zone),
        line=time_line(incidents, view.zone),
        trail=[(entry, _said(view, entry), _former(view, entry)) for entry in trail],
        may_read_trail=may_read,
        more_trail=len(trail) == TRAIL,
        states=STATES,
        is_open=case.state == OPEN,
        is_kept=case.state != CLOSED,
        longest=LONGEST,
        key=view.parts.packs.key,
        public_key=view.parts.packs.public_key,
        **_packs(view, case),
    )


def _said(view: View, entry: Entry) -> str:
    """A line of the trail in words."""
    key, details = "trail_" + entry.action, entry.details
    if entry.action == "case_changed":
        changed = [view.say(f"case_{name}") for name in details.get("changed", ()) if name in LONGEST]
        if details.get("state") in STATES:
            changed.append(f"{view.say('case_state')} → {view.say('case_' + details['state'])}")
        return view.say(key, what=view.say("comma").join(changed))
    if view.say.either(key, "") == "":
        return entry.action
    named = {name: str(details.get(key, ""))[:12] for name, key in (("incident", "incident"), ("shown", "given_to"))}
    return view.say(key, **named, pack=details.get("pack", ""))


def _former(view: View, entry: Entry) -> list[tuple[str, str]]:
    """What a change of the case replaced: names and former words."""
    was = {name: entry.details.get(f"{name}_before") for name in LONGEST}
    return [(view.say(f"detail_{name}_before"), str(text)) for name, text in was.items() if text]
