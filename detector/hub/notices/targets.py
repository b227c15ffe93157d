"""Who is told, and by which rules: rows of the database enter, targets and rules leave."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, select

from detector.hub.notices.rules import Rule
from detector.hub.storage.rights import Scope
from detector.hub.storage.schema import notice_rules, notice_targets


@dataclass(frozen=True, slots=True)
class Target:
    """Somebody who is told, by one service. The address itself is had from `Notices.address` alone."""

    number: int
    name: str
    service: str
    language: str
    sealed: str | None
    url_env: str | None
    url_file: str | None
    picture: bool
    scope: Scope
    user: str
    at: float
    rests_until: float
    failures: int


def targets_of(connection: Connection) -> list[Target]:
    """All of them."""
    rows = connection.execute(select(notice_targets))
    return [Target(**{**row._mapping, "scope": Scope.of(row.scope)}) for row in rows]


def rules_of(connection: Connection) -> list[Rule]:
    """All of them, in the order they were made."""
    found = []
    for row in connection.execute(select(notice_rules).order_by(notice_rules.c.number)):
        lists = {
            name: tuple(getattr(row, name)) if getattr(row, name) else None for name in ("kinds", "places", "days")
        }
        found.append(Rule(**{**row._mapping, **lists}))
    return found
