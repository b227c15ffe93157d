"""What several cameras tell of one spot: which incident is shown. The state of one comes in, the one beside it leaves.

Zones of several cameras may show one piece of floor, and name it (`spot` in the configuration). What two cameras tell
there is one event when both tell it live, or both by a replay, it went on within `MEANWHILE_S`, and the graver tells of
what the other is (`findings.tells_of`): a pattern beside which somebody lingers is no sweep by somebody who lingers.
People are told of it once and judge it once, from both sides:

    a camera tells what another has told     the first stays the one shown, the newcomer becomes its `double`
    and the newcomer is graver, or as grave  it is shown, the other becomes its double
    and a sweep that the other only doubts
    but somebody judged the other already,   both are shown
    holds it, or put it into a case

Whatever grows is a newcomer again: a double that gets graver than what is shown, and what wasn't told as an alert yet.
Two that were told as alerts already stay two.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, exists, select

from detector.findings import is_sweep, tells_of
from detector.hub.storage.budget import ALERT, DOUBLE, rank
from detector.hub.storage.doubles import went_on_between
from detector.hub.storage.schema import case_incidents, holds, incidents
from detector.values import MEANWHILE_S


@dataclass(frozen=True, slots=True)
class Beside:
    """An incident that another camera told of the same event; `gives_way` where the newcomer is shown in its stead."""

    id: str
    severity: str
    told: str
    gives_way: bool


def beside(connection: Connection, state: Mapping[str, Any], before: Mapping[str, Any] | None) -> Beside | None:
    """What another camera told of the event; `None` where nothing is, or both are to be shown.

    Of several, the gravest comes first, of equal ones a sure sweep, then what began first.

    Args:
        connection: To the database.
        state: Row of `incidents` to be, with `replayed_at`.
        before: Its row as it stands; `None` when it is new.
    """
    known = before["same_as"] if before is not None else None
    if not (state["spot"] or known):
        return None
    if before is not None and (before["told"] == ALERT or _is_in_use(connection, before)):
        return None
    c = incidents.c
    elsewhere = c.camera != state["camera"]
    if known:
        # That may be of its own camera: one that was graver than the other camera's, which both were doubles of.
        which: tuple[ColumnElement[bool], ...] = (c.id == known, *([] if state["replayed_at"] is None else [elsewhere]))
    else:
        which = (
            elsewhere,
            c.spot == state["spot"],
            c.site == state["site"],
            *went_on_between(state["started_at"], state["ended_at"], MEANWHILE_S),
            c.sent_at >= state["started_at"] - MEANWHILE_S,  # whatever end it claims: it was still told of by then
            c.told != DOUBLE,
            c.verdict.is_(None) | (c.verdict == "true"),
        )
    is_live = c.replayed_at.is_(None) if state["replayed_at"] is None else c.replayed_at.is_not(None)
    told = [row._asdict() for row in connection.execute(select(incidents).where(*which, is_live))]
    found = max(
        (row for row in told if _is_same_event(row, state)),
        key=lambda row: (*_weight(row), -row["started_at"], row["id"]),
        default=None,
    )
    if found is None:
        return None
    gives_way = _weight(state) > _weight(found)
    if gives_way and _is_in_use(connection, found):
        return None
    return Beside(found["id"], found["severity"], found["told"], gives_way)


def _is_same_event(row: Mapping[str, Any], state: Mapping[str, Any]) -> bool:
    graver, lesser = (state, row) if _weight(state) > _weight(row) else (row, state)
    return tells_of(graver["record"], lesser["record"])


def _weight(row: Mapping[str, Any]) -> tuple[int, bool]:
    return rank(row["severity"]), is_sweep(row["record"])


def _is_in_use(connection: Connection, row: Mapping[str, Any]) -> bool:
    """Whether somebody judged an incident, holds it, or put it into a case."""
    if row["verdict"] is not None:
        return True
    inside = exists().where(case_incidents.c.incident == row["id"])
    held = exists().where(holds.c.incident == row["id"])
    return bool(connection.execute(select(inside | held)).scalar_one())
