"""The audit log: who did what, and whether the chain of its entries holds."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter
from starlette.responses import RedirectResponse, Response

from detector.hub.audit import Entry
from detector.hub.pages.view import View, needs
from detector.hub.rights import Right

router = APIRouter()

Auditor = Annotated[View, needs(Right.AUDIT)]

PAGE_SIZE = 100
FILTERS = ("user", "action", "subject", "day")


@router.get("/audit")
def audit_page(view: Auditor, before: str = "") -> Response:
    """Entries, latest first, by user, action, subject and day; without those of who sees more than the visitor."""
    asked = {name: view.request.query_params.get(name, "").strip().replace("\0", "") for name in FILTERS}
    day = _day(asked["day"])
    since, until = view.span_of(day) if day else (None, None)
    number = int(before) if before.isascii() and before.isdigit() and len(before) < 19 else None
    entries = view.parts.audit.entries(
        number, PAGE_SIZE + 1, user=asked["user"] or None, action=asked["action"] or None,
        subject=asked["subject"] or None, since=since, until=until, users=_seen(view),
    )  # fmt: skip
    wanted = {name: value for name, value in asked.items() if value}
    older = {**wanted, "before": entries[PAGE_SIZE - 1].number} if len(entries) > PAGE_SIZE else None
    return view.page(
        "audit.html", entries=entries[:PAGE_SIZE], asked=asked, actions=view.parts.audit.actions(),
        older=f"/audit?{urlencode(older)}" if older else "", details=_details, filtered=bool(wanted or before),
        last=view.parts.anchors.last, by=lambda **more: f"/audit?{urlencode({**wanted, **more})}",
    )  # fmt: skip


@router.post("/audit/check")
def check(view: Auditor) -> Response:
    """Follow the whole chain."""
    view.parts.anchors.check()
    return RedirectResponse("/audit", 303)


def _seen(view: View) -> list[str] | None:
    """Whose entries the visitor may read: of those who see nothing beyond what they see; `None` is everybody's."""
    if view.scope.places is None:
        return None
    people = view.parts.people
    names = [user.name for user in people.users(view.scope)]
    return [*names, *(f"token:{token.name}" for token in people.tokens(view.scope))]


def _details(view: View, entry: Entry) -> list[tuple[str, str]]:
    """Names and values of an entry's details, for people."""
    found = entry.details.items()
    return [(view.say.either("detail_" + name, name), _words(view, name, value)) for name, value in found]


def _words(view: View, name: str, value: Any) -> str:
    if name.startswith("scope") and value is None:
        return view.say("everywhere")
    if name.startswith("role"):
        return view.say.either(f"role_{value}", str(value))
    if name == "verdict":
        return view.say.either(f"verdict_{value}", str(value))
    if name.endswith("_at") and isinstance(value, float) and 0 <= value < 2**37:
        return f"{view.day(value)} {view.clock_time(value)}"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "–" if value is None else str(value)


def _day(asked: str) -> date | None:
    try:
        day = date.fromisoformat(asked)
    except ValueError:
        return None
    return day if 1971 <= day.year <= 9998 else None
