"""Doubles: incidents that another tells already, which is shown in their stead.

A double keeps its envelopes, pictures and clips; lists and counts are without it. Which incident is one, `replays` says
of what replays found, and `spots` of what several cameras tell of one spot.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, exists, select, update

from detector.hub.storage.audit_chain import SYSTEM, add_entry
from detector.hub.storage.budget import DOUBLE
from detector.hub.storage.schema import case_incidents, holds, incidents, notes, responses, verdicts
from detector.hub.storage.verdicts import settle
from detector.values import DAY_S

LONGEST_S = DAY_S  # an incident that lasts longer is not looked for


def went_on_between(start: float, end: float, slack_s: float) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """Conditions on `incidents`: those that went on between two times, or so many seconds before or after."""
    c = incidents.c
    return c.started_at.between(start - LONGEST_S, end + slack_s), c.ended_at >= start - slack_s


def hand_over(connection: Connection, double: str, shown: str, at: float) -> list[str]:
    """One incident is shown in another's stead from now on, with what people made of that.

    What moves thereby leaves its lines in the audit log: those of both incidents, and of every case.

    Args:
        connection: To the database.
        double: Id of the one that is no longer shown.
        shown: Id of the other, which is stored.
        at: When, Unix seconds.

    Returns:
        Ids of its own doubles, which are the other's now.
    """
    c = incidents.c
    moved = update(incidents).where(c.same_as == double).values(same_as=shown).returning(c.id)
    doubles = list(connection.execute(moved).scalars())
    told: dict[str, Any] = {
        table.name: n
        for table in (verdicts, notes, responses)
        if (n := connection.execute(update(table).where(table.c.incident == double).values(incident=shown)).rowcount)
    }
    other = holds.alias()
    free = ~exists().where(other.c.incident == shown)
    is_held = connection.execute(select(holds.c.incident).where(holds.c.incident == double)).first() is not None
    connection.execute(update(holds).where(holds.c.incident == double, free).values(incident=shown))
    other = case_incidents.alias()
    free = ~exists().where(other.c.case == case_incidents.c.case, other.c.incident == shown)
    inside = case_incidents.c.incident == double
    of_cases = select(case_incidents.c.case).where(inside).order_by(case_incidents.c.case)
    cases = list(connection.execute(of_cases).scalars())
    # With the place of the other, which may be another camera's: who doesn't see that sees the case no more.
    place = {name: select(c[name]).where(c.id == shown).scalar_subquery() for name in ("site", "camera")}
    connection.execute(update(case_incidents).where(inside, free).values(incident=shown, **place))
    # Where both were in the same case, or both held, one is enough: of the other no page would tell any more.
    connection.execute(delete(case_incidents).where(inside))
    connection.execute(delete(holds).where(holds.c.incident == double))
    told |= ({"hold": True} if is_held else {}) | ({"cases": cases} if cases else {})
    for case in cases:
        add_entry(connection, at, SYSTEM, "case_moved", f"case/{case}", incident=double, given_to=shown)
    if told:
        add_entry(connection, at, SYSTEM, "handed_over", double, given_to=shown, **told)
        add_entry(connection, at, SYSTEM, "handed_over", shown, taken_from=double, **told)
    connection.execute(update(incidents).where(c.id == double).values(told=DOUBLE, same_as=shown, verdict=None))
    settle(connection, shown)
    return doubles
