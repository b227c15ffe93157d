"""The audit log: who did what, and whether the chain of its entries holds."""

from __future__ import annotations

from datetime import date
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter
from starlette.responses import RedirectResponse, Response, StreamingResponse

from detector import wire
from detector.hub.access.audit import Entry
from detector.hub.pages.view import MayAudit, View
from detector.hub.storage.rights import Scope

router = APIRouter()


PAGE_SIZE = 100
NAMED = {  # details whose values have words of their own
    "role": "role_", "role_before": "role_", "verdict": "verdict_", "reason": "reason_", "severity": "severity_",
    "kind": "kind_", "kinds": "kind_", "state": "case_", "changed": "case_", "why": "retention_by_", "rule": "kept_",
    "decision": "decision_", "faces": "share_faces_", "service": "service_", "step": "did_response_",
    "found": "there_",
}  # fmt: skip
MOST_CHANGES = 10_000  # of people's scopes that are looked through
FILTERS = ("user", "action", "subject", "day")


@router.get("/audit")
def audit_page(view: MayAudit, before: str = "") -> Response:
    """Entries, latest first, by user, action, subject and day; without those of who sees more than the visitor."""
    asked = {name: view.request.query_params.get(name, "").strip().replace("\0", "") for name in FILTERS}
    day = _day(asked["day"])
    since, until = view.span_of(day) if day else (None, None)
    number = int(before) if before.isascii() and before.isdigit() and len(before) < 19 else None
    entries = view.parts.audit.entries(
        number, PAGE_SIZE + 1, user=asked["user"] or None, action=asked["action"] or None,
        subject=asked["subject"] or None, since=since, until=until, users=_seen(view),
    )  # fmt: skip
    head = view.parts.audit.head()
    wanted = {name: value for name, value in asked.items() if value}
    older = {**wanted, "before": entries[PAGE_SIZE - 1].number} if len(entries) > PAGE_SIZE else None
    return view.page(
        "audit.html", entries=entries[:PAGE_SIZE], asked=asked, actions=view.parts.audit.actions(),
        older=f"/audit?{urlencode(older)}" if older else "", details=_details, filtered=bool(wanted or before),
        last=view.parts.anchors.last, total=head.number if head else 0,
        by=lambda **more: f"/audit?{urlencode({**wanted, **more})}",
    )  # fmt: skip


@router.get("/audit/export")
def export(view: MayAudit) -> Response:
    """The whole log as a file, as far as the visitor may read it."""
    return exported(view)


def exported(view: View, after: int = 0) -> Response:
    """Entries after a number, up to that which says that they were had, as lines of JSON (`Audit.exported`)."""
    view.did("audit_exported", number=after + 1 if after else None)
    head = view.parts.audit.head()
    until = head.number if head else 0
    lines = view.parts.audit.exported(after, until, _seen(view))
    headers = {"Content-Disposition": f'attachment; filename="labelwatch-audit-{until}.jsonl"'}
    return StreamingResponse(lines, media_type="application/x-ndjson", headers=headers)


@router.post("/audit/check")
def check(view: MayAudit) -> Response:
    """Follow the whole chain."""
    view.parts.anchors.check()
    return RedirectResponse("/audit", 303)


def _seen(view: View) -> dict[str, int] | None:
    """Whose entries the visitor may read, and after which number; `None` is everybody's.

    They are of those who see nothing beyond what the visitor sees, since they do: before, what they did may be of
    cameras which the visitor doesn't see.
    """
    if view.scope.places is None:
        return None
    people = view.parts.people
    seen = dict.fromkeys([user.name for user in people.users(view.scope)], 0)
    for change in view.parts.audit.entries(limit=MOST_CHANGES, action="user_changed"):
        before = change.details.get("scope_before")
        scope = Scope.of(map(str, before) if isinstance(before, list) else None)
        if change.subject in seen and not view.scope.covers(scope):
            seen[change.subject] = max(seen[change.subject], change.number)
    return {**seen, **{f"token:{token.name}": 0 for token in people.tokens(view.scope)}}


def _details(view: View, entry: Entry) -> list[tuple[str, str]]:
    """Names and values of an entry's details, for people; without those that say nothing."""
    found = [(name, _words(view, name, value)) for name, value in entry.details.items()]
    return [(view.say.either("detail_" + name, name), words) for name, words in found if words]


def _words(view: View, name: str, value: Any) -> str:
    if name.startswith("scope") and not value:
        return view.say("everywhere" if value is None else "nowhere")
    if name == "least_score" and value is None:
        return view.say("go_back_configured")
    if name == "least_score" and value == wire.OFF:
        return view.say("is_off")
    if value is None or value == "":
        return ""
    if isinstance(value, bool):
        return view.say("yes" if value else "no")
    if isinstance(value, list):
        return view.say("list_and").join(_words(view, name, one) for one in value if not isinstance(one, list))
    if name in ("segment", "segments") and isinstance(value, int):
        return str(value + 1)  # as the incident's page numbers them
    if name == "days" and isinstance(value, int) and 0 <= value < 7:
        return view.say("weekdays").split()[value]
    if name == "bytes" and isinstance(value, int):
        return view.gigabytes(value)
    if name.endswith("_at") and isinstance(value, float) and 0 <= value < 2**37:
        return f"{view.day(value)} {view.clock_time(value)}"
    named = view.say.either(f"{NAMED[name]}{value}", str(value)) if name in NAMED else str(value)
    return view.say.either(f"zone_{value}", named) if name == "kind" else named


def _day(asked: str) -> date | None:
    try:
        day = date.fromisoformat(asked)
    except ValueError:
        return None
    return day if 1971 <= day.year <= 9998 else None
