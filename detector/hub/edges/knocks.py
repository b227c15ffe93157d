"""Boxes that are refused for their key: which names they gave, why, how often, and when first and last.

A box that isn't let in says everything again every few seconds. Most of that is counted in memory: a line of the table
is written no more than once in ten seconds for the same reason.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, select

from detector.hub.storage.database import Database
from detector.hub.storage.rights import EVERYWHERE, Scope
from detector.hub.storage.schema import knocks
from detector.values import DAY_S

WRITE_EVERY_S = 10.0
MOST = 200  # whoever may speak to the broker can make names up
KEPT_S = 30 * DAY_S
LONGEST_KEY = 64

UNKNOWN, OTHER, RETIRED, REVOKED = "unknown", "other", "retired", "revoked"


@dataclass(frozen=True, slots=True)
class Knock:
    """Somebody with a key (base64) who was refused; times in Unix seconds.

    `reason` is `unknown` (no box of this name may come in), `other` (one may, with another key), `retired` (the key was
    replaced earlier) or `revoked`.
    """

    site: str
    edge: str
    key: str
    reason: str
    count: int
    first_at: float
    last_at: float


class Knocks:
    """Keeps them. Safe to use from any thread."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._waiting: dict[tuple[str, str, str], tuple[str, int, float]] = {}
        self._written_at: dict[tuple[tuple[str, str, str], str], float] = {}

    def note(self, site: str, edge: str, key: str, reason: str, at: float) -> None:
        """Count a refusal."""
        who = site, edge, key[:LONGEST_KEY].replace("\0", "")
        with self._lock:
            _, before, first_at = self._waiting.get(who, ("", 0, at))
            self._waiting[who] = reason, before + 1, first_at
            if len(self._waiting) > MOST:
                self._waiting.pop(next(iter(self._waiting)))
            if 0 <= at - self._written_at.get((who, reason), float("-inf")) < WRITE_EVERY_S:
                return
            if len(self._written_at) >= MOST:
                self._written_at.clear()
            self._written_at[who, reason] = at
            reason, count, first_at = self._waiting.pop(who, (reason, 1, at))
        self._write(Knock(*who, reason, count, first_at, at))

    def all(self, scope: Scope = EVERYWHERE) -> list[Knock]:
        """Those of the sites in a scope, the latest first."""
        rows = self._database.read(select(knocks).order_by(knocks.c.last_at.desc())).all()
        return [found for row in rows if scope.sees((found := Knock(**row._mapping)).site)]

    def _write(self, knock: Knock) -> None:
        c = knocks.c
        values = {name: getattr(knock, name) for name in c.keys()}  # noqa: SIM118  (columns, not names, come of themselves)
        grown = {"count": c.count + knock.count}
        upsert = self._database.upsert(knocks, ("site", "edge", "key"), ["last_at", "reason"], grown)
        with self._database.writing() as connection:
            connection.execute(upsert, values)
            connection.execute(delete(knocks).where(c.last_at < knock.last_at - KEPT_S))
            if connection.execute(select(func.count()).select_from(knocks)).scalar_one() > MOST:
                kept = select(c.last_at).order_by(c.last_at.desc()).offset(MOST).limit(1).scalar_subquery()
                connection.execute(delete(knocks).where(c.last_at <= kept))


def forget(connection: Connection, site: str, edge: str, key: str) -> None:
    """Somebody was let in: that they were refused before no longer tells anything."""
    c = knocks.c
    connection.execute(delete(knocks).where(c.site == site, c.edge == edge, c.key == key))
