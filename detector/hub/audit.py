"""Who did what, in a chain: each entry's hash covers the entry and the hash before it.

    hash = SHA-256(hash before, newline, the entry as canonical JSON)

So an entry that is changed, taken out or moved breaks the chain from there on. A chain alone doesn't show that its end
was cut off: the head (number and hash of the last entry) must be kept elsewhere too, and `verify` is told it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from detector.hub.database import Database, one_at_a_time
from detector.hub.schema import audit

BEGINNING = "0" * 64


@dataclass(frozen=True, slots=True)
class Entry:
    """One act of one person: `action` is a word such as `login` or `verdict`, `subject` what it was done to."""

    number: int
    at: float
    user: str
    action: str
    subject: str
    details: dict[str, Any]
    hash: str


class Audit:
    """The chain in a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def record(self, at: float, user: str, action: str, subject: str = "", **details: Any) -> None:
        """Add an entry; it is committed when this returns. `details` are JSON values, never a secret or a label."""
        with self._database.writing() as connection:
            self.add(connection, at, user, action, subject, **details)

    def add(self, connection: Connection, at: float, user: str, action: str, subject: str = "", **details: Any) -> None:
        """Add an entry within somebody else's transaction, so that the act and its entry are committed together."""
        one_at_a_time(connection)
        last = connection.execute(select(audit.c.hash).order_by(audit.c.number.desc()).limit(1)).scalar_one_or_none()
        entry = {"at": at, "user": user, "action": action, "subject": subject, "details": details}
        connection.execute(audit.insert(), {**entry, "hash": chained(last or BEGINNING, entry)})

    def entries(self, before: int | None = None, limit: int = 100, *, subject: str | None = None) -> list[Entry]:
        """Entries, latest first, those before a number."""
        query = select(audit).order_by(audit.c.number.desc()).limit(limit)
        if before is not None:
            query = query.where(audit.c.number < before)
        if subject is not None:
            query = query.where(audit.c.subject == subject)
        with self._database.reading() as connection:
            return [Entry(**row._mapping) for row in connection.execute(query)]


def chained(before: str, entry: dict[str, Any]) -> str:
    """The hash of an entry (without number and hash) that follows one with the hash `before`."""
    canonical = json.dumps(entry, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(f"{before}\n{canonical}".encode()).hexdigest()


def broken_at(entries: Iterable[Entry]) -> int | None:
    """The number of the first entry (from the first to the last) that doesn't follow; `None` when all do."""
    before = BEGINNING
    for entry in entries:
        told = {"at": entry.at, "user": entry.user, "action": entry.action, "subject": entry.subject}
        if chained(before, {**told, "details": entry.details}) != entry.hash:
            return entry.number
        before = entry.hash
    return None
