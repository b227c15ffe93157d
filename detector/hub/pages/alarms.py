"""What is wrong with the system itself: lines for banners, the record of what is over, and one button: acknowledge."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from detector.clock import iso
from detector.hub.pages.view import Form, MayJudgeOrConfigure, MayLook, View, own_path
from detector.hub.storage.rights import Right
from detector.hub.texts import LANGUAGES, Phrases
from detector.hub.watch.alarm_words import advice, moment, title
from detector.hub.watch.alarms import Alarm

router = APIRouter()

Number = Annotated[int, Path(ge=1, lt=2**53)]
MOST_IN_BANNER = 10
LATEST = 10
PAGE = 50


@dataclass(frozen=True, slots=True)
class AlarmLine:
    """An alarm in words; `when` says since when, or from when and for how long."""

    alarm: Alarm
    title: str
    advice: str
    when: str
    known: str

    @property
    def may_wait(self) -> bool:
        """Whether somebody knows of it already."""
        return self.alarm.acknowledged_at is not None


def alarm_lines(view: View, found: list[Alarm]) -> list[AlarmLine]:
    """Alarms in words."""
    return [_line(view, alarm) for alarm in found]


def banner(view: View) -> dict[str, Any]:
    """What `alarms.html` needs: what lasts and nobody has said to know of, the worst first."""
    lines = alarm_lines(view, [alarm for alarm in standing(view) if alarm.acknowledged_at is None])
    return {
        "alarm_lines": lines[:MOST_IN_BANNER],
        "more_alarms": max(0, len(lines) - MOST_IN_BANNER),
        "may_acknowledge": may_acknowledge,
    }


def standing(view: View) -> list[Alarm]:
    """Alarms that last, in the visitor's scope."""
    found = view.parts.alarms.open(view.scope)
    damage = view.store.database.damage
    if damage and not any(alarm.kind == "hub_store_damaged" for alarm in found):
        # What is damaged may be just what alarms are kept in.
        kind = "hub_store_damaged"
        found.insert(0, Alarm(0, kind, "", "", "", "critical", view.now, view.now, view.now, None, None, None, 0, {}))
    return found


def may_acknowledge(view: View, alarm: Alarm) -> bool:
    """Who judges or configures may, at their own sites; of the hub, who sees it whole."""
    may = view.may(Right.JUDGE) or view.may(Right.CONFIGURE)
    return may and alarm.number > 0 and (bool(alarm.site) or view.scope.places is None)


def _line(view: View, alarm: Alarm) -> AlarmLine:
    say = view.say
    ended = alarm.ended_at if alarm.ended_at is not None else view.now
    began = moment(alarm.began_at, view.zone)
    words = say("alarm_since" if alarm.is_open else "alarm_lasted", time=began, span=say.span(ended - alarm.began_at))
    if alarm.is_loss:  # it has happened: it doesn't go on
        words = moment(alarm.raised_at, view.zone)
    known = ""
    if alarm.acknowledged_at is not None:
        known = say("alarm_known_by", user=alarm.acknowledged_by, time=moment(alarm.acknowledged_at, view.zone))
    return AlarmLine(alarm, title(alarm, say, view.zone), advice(alarm, say, view.zone), words, known)


@router.get("/alarms")
def alarms_page(view: MayLook, before: Annotated[int | None, Query(ge=1, lt=2**53)] = None) -> Response:
    """All alarms that are over, latest first."""
    found = view.parts.alarms.history(view.scope, before, PAGE + 1)
    shown = found[:PAGE]
    older = shown[-1].number if len(found) > PAGE else None
    lasting = alarm_lines(view, standing(view))
    return view.page(
        "alarms_page.html", past=alarm_lines(view, shown), older=older, alarms_open=lasting,
        may_acknowledge=may_acknowledge,
    )  # fmt: skip


@router.post("/alarms/{number}/acknowledge")
def acknowledge(view: MayJudgeOrConfigure, number: Number, fields: Form) -> Response:
    """Somebody knows of an alarm: a state is shown more quietly from now on, a loss is over."""
    kept = view.parts.alarms
    alarm = kept.alarm(number)
    if alarm is None or not may_acknowledge(view, alarm):
        raise HTTPException(404)
    with view.store.database.writing() as connection:
        known = kept.acknowledge(connection, number, view.user, view.now, view.scope)
        if known is None:
            raise HTTPException(404)
        about = {"kind": known.kind, "site": known.site, "edge": known.edge, "n": known.facts.get("n", 0)}
        view.parts.audit.add(connection, view.now, view.user, "alarm_acknowledged", str(number), **about)
    return RedirectResponse(own_path(fields.get("next", "/health")), 303)


class AlarmTold(BaseModel):
    """Something that is or was wrong with the system itself. The hub's own alarms have neither site nor edge."""

    number: int
    kind: str
    severity: str
    site: str | None
    edge: str | None
    camera: str | None
    began_at: str
    raised_at: str
    ended_at: str | None
    acknowledged_by: str | None
    acknowledged_at: str | None
    facts: dict[str, Any]
    text: dict[str, str]
    advice: dict[str, str]


class AlarmsTold(BaseModel):
    """Worst first where they last, latest first where they are over; `next` is the cursor of the next page."""

    alarms: list[AlarmTold]
    next: str | None


def alarms_told(view: View, cursor: int | None, *, over: bool) -> AlarmsTold:
    """For programs: alarms that last, or that are over."""
    found = view.parts.alarms.history(view.scope, cursor, PAGE + 1) if over else standing(view)
    shown = found[:PAGE] if over else found
    following = str(shown[-1].number) if len(found) > len(shown) else None
    return AlarmsTold(alarms=[_told(view, alarm) for alarm in shown], next=following)


def _told(view: View, alarm: Alarm) -> AlarmTold:
    phrases = {language: Phrases(language) for language in LANGUAGES}
    return AlarmTold(
        number=alarm.number, kind=alarm.kind, severity=alarm.severity, site=alarm.site or None,
        edge=alarm.edge or None, camera=alarm.camera or None, began_at=iso(alarm.began_at),
        raised_at=iso(alarm.raised_at), ended_at=iso(alarm.ended_at) if alarm.ended_at is not None else None,
        acknowledged_by=alarm.acknowledged_by,
        acknowledged_at=iso(alarm.acknowledged_at) if alarm.acknowledged_at is not None else None,
        facts=alarm.facts, text={name: title(alarm, say, view.zone) for name, say in phrases.items()},
        advice={name: advice(alarm, say, view.zone) for name, say in phrases.items()},
    )  # fmt: skip
