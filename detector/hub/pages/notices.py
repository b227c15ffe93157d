"""Who is told of what: targets with their rules, a test button with the service's own answer, and the delivery log.

An address goes in and never comes out: it is in no page, log, error or audit entry.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from detector.hub.edges.known import Known
from detector.hub.notices.queue import Notice
from detector.hub.notices.raising import alarm_number
from detector.hub.notices.rules import KINDS, Rule
from detector.hub.notices.services import SERVICES, NoticeError, address, takes_pictures
from detector.hub.notices.targets import MOST_PER_HOUR, Target
from detector.hub.pages.view import Form, MayConfigure, View
from detector.hub.storage.budget import RANKS
from detector.hub.texts import LANGUAGES
from detector.hub.watch.alarm_words import title
from detector.names import natural

router = APIRouter()

Number = Annotated[int, Path(ge=1, lt=2**53)]
LOG_SIZE = 40
USUAL = Rule()
SHOWN_AGAIN = ("name", "language", "where", "picture")  # of a refused target; no field that may hold an address


class Unheard(Exception):  # noqa: N818  (may be right all the same)
    """A rule names places that nothing was ever told of; `places` holds each with what may have been meant."""

    def __init__(self, places: list[tuple[str, str]]) -> None:
        super().__init__()
        self.places = places


@router.get("/notices")
def notices_page(view: MayConfigure) -> Response:
    """Targets, rules and what was sent."""
    return _page(view)


@router.get("/notices/log")
def notices_log(view: MayConfigure, before: Annotated[int | None, Query(ge=1, lt=2**53)] = None) -> Response:
    """What was sent: the newest, or what came before a notice."""
    return view.page("notice_log.html", **_log(view, before))


@router.post("/notices/targets")
def add_target(view: MayConfigure, fields: Form) -> Response:
    """Add a target, with a rule for warnings and worse that may be changed."""
    targets, service = view.parts.notices.targets, fields.get("service", "")
    name = fields.get("name", "").strip()
    language = fields.get("language", "")
    if service not in SERVICES or language not in LANGUAGES:
        raise HTTPException(400)
    where = fields.get("where", "given")
    try:
        found = address(service, fields) if where == "given" else ""
        with view.store.database.writing() as connection:
            number = targets.add(
                connection, name, service, language, address=found,
                url_env=fields.get("url_env", "").strip() if where == "env" else "",
                url_file=fields.get("url_file", "").strip() if where == "file" else "",
                picture="picture" in fields, scope=view.scope, user=view.user, at=view.now,
            )  # fmt: skip
            targets.add_rule(connection, replace(USUAL, target=number, user=view.user, at=view.now))
            view.parts.audit.add(connection, view.now, view.user, "notice_target_added", name, service=service)
    except NoticeError as error:
        shown = {key: value for key, value in fields.items() if key in SHOWN_AGAIN}
        return _page(view, 400, wrong=str(error), at=service, filled=shown)
    return RedirectResponse("/notices", 303)


@router.post("/notices/targets/{number}/test")
def test_target(view: MayConfigure, number: Number) -> Response:
    """Send a test message, and show what the service answered."""
    target = _target(view, number)
    view.did("notice_target_tested", target.name)
    answer = view.parts.sender.test(target)
    return _page(view, tested=(target.number, answer))


@router.post("/notices/targets/{number}/remove")
def remove_target(view: MayConfigure, number: Number) -> Response:
    """Take a target away."""
    target = _target(view, number)
    with view.store.database.writing() as connection:
        view.parts.notices.targets.remove(connection, target.number)
        view.parts.audit.add(connection, view.now, view.user, "notice_target_removed", target.name)
    return RedirectResponse("/notices", 303)


@router.post("/notices/targets/{number}/rules")
def add_rule(view: MayConfigure, number: Number, fields: Form) -> Response:
    """Add a rule to a target."""
    target = _target(view, number)
    try:
        rule = replace(_rule(fields), target=target.number, user=view.user, at=view.now)
        known = Known.of(view.store.database, target.scope)
        with view.store.database.writing() as connection:
            view.parts.notices.targets.add_rule(connection, rule)
            if "unheard" not in fields and (unheard := known.unheard(rule.places or ())):
                raise Unheard([(place, known.meant(place)) for place in unheard])
            view.parts.audit.add(
                connection, view.now, view.user, "notice_rule_added", target.name, severity=rule.severity,
                kinds=rule.kinds, places=rule.places, days=rule.days, hours=rule.hours, quiet=rule.quiet,
                breaks_through=rule.breaks_through, per_hour=rule.per_hour,
            )  # fmt: skip
    except NoticeError as error:
        return _page(view, 400, wrong=str(error), at=f"rule-{number}", filled=fields)
    except Unheard as error:
        return _page(view, 400, unheard=error.places, at=f"rule-{number}", filled=fields)
    return RedirectResponse("/notices", 303)


@router.post("/notices/rules/{number}/remove")
def remove_rule(view: MayConfigure, number: Number) -> Response:
    """Take a rule away."""
    rule = next((rule for rule in view.parts.notices.targets.rules() if rule.number == number), None)
    if rule is None:
        raise HTTPException(404)
    target = _target(view, rule.target)
    with view.store.database.writing() as connection:
        view.parts.notices.targets.remove_rule(connection, number)
        view.parts.audit.add(connection, view.now, view.user, "notice_rule_removed", target.name, rule=number)
    return RedirectResponse("/notices", 303)


def _target(view: View, number: int) -> Target:
    target = view.parts.notices.targets.find(number, view.scope)
    if target is None:
        raise HTTPException(404)
    return target


def _rule(fields: Mapping[str, str]) -> Rule:
    kinds = tuple(kind for kind in KINDS if f"kind_{kind}" in fields)
    days = tuple(day for day in range(7) if f"day_{day}" in fields)
    places = tuple(place for one in re.split("[,，、]", fields.get("places", "")) if (place := one.strip()))
    per_hour = fields.get("per_hour", "").strip() or str(USUAL.per_hour)
    if not per_hour.isascii() or not per_hour.isdigit() or len(per_hour) > len(str(MOST_PER_HOUR)):
        raise NoticeError("notice_wrong_rule")
    return Rule(
        severity=fields.get("severity", USUAL.severity),
        kinds=kinds if kinds and len(kinds) < len(KINDS) else None,
        places=places or None,
        days=days if days and len(days) < 7 else None,
        hours=_span(fields, "hours"),
        quiet=_span(fields, "quiet"),
        breaks_through="breaks_through" in fields,
        per_hour=int(per_hour),
    )


def _span(fields: Mapping[str, str], name: str) -> str | None:
    ends = [fields.get(f"{name}_{end}", "").strip() for end in ("from", "to")]
    return "-".join(ends) if any(ends) else None


def _page(view: View, status: int = 200, **more: Any) -> Response:
    kept = view.parts.notices
    targets = kept.targets.all(view.scope)
    rules = kept.targets.rules()
    cameras = view.cameras
    pictures = {}
    for target in targets:
        with suppress(NoticeError):
            pictures[target.number] = takes_pictures(kept.targets.address(target))
    values = {
        "targets": targets,
        "rules": {target.number: [rule for rule in rules if rule.target == target.number] for target in targets},
        "last": {target.number: next(iter(kept.log([target.number], limit=1)), None) for target in targets},
        "next_tries": kept.next_tries(),
        "pictures": pictures,
        "services": SERVICES,
        "places": sorted({place for one in cameras for place in (one.site, f"{one.site}/{one.name}")}, key=natural),
        "severities": sorted(RANKS, key=lambda severity: -RANKS[severity]),
        "kinds": KINDS,
        "usual": {"severity": USUAL.severity, "per_hour": USUAL.per_hour, "breaks_through": "on"},
        "most_per_hour": MOST_PER_HOUR,
        "public_url": view.parts.config.public_url,
        "paused": len(view.parts.pauses.all(view.now, view.scope)),
        "wrong": "",
        "unheard": [],
        "at": "",
        "filled": {},
        "tested": (0, None),
    }
    return view.page("notices.html", status, **{**values, **_log(view), **more})


def _log(view: View, before: int | None = None) -> dict[str, Any]:
    kept = view.parts.notices
    found: list[Notice] = kept.log([target.number for target in kept.targets.all(view.scope)], before, LOG_SIZE + 1)
    shown = found[:LOG_SIZE]
    ids = [notice.incident for notice in shown if notice.what == "incident"]
    titles = {one.id: one.title for one in view.store.incidents(ids)}
    sums = kept.how_many([notice.number for notice in shown if notice.what == "summary"])
    alarms = {one.number: view.parts.alarms.alarm(alarm_number(one.incident)) for one in shown if one.what == "alarm"}
    alarm_titles = {number: title(alarm, view.say, view.zone) for number, alarm in alarms.items() if alarm}
    more = shown[-1].number if len(found) > LOG_SIZE else None
    return {"log": shown, "titles": titles, "alarm_titles": alarm_titles, "sums": sums, "older": more}
