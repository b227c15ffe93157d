"""Who did what, in a chain: each entry's hash covers the entry and the hash before it.

    hash = SHA-256(hash before, newline, the entry as canonical JSON)

So an entry that is changed, taken out or moved breaks the chain from there on. A chain alone doesn't show that its end
was cut off: the head (number and hash of the last entry) must be kept elsewhere too, and `verify` is told it.
"""

from __future__ import annotations

import hashlib
import json
import math
import threading
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from detector.hub.database import Database, one_at_a_time
from detector.hub.schema import audit

BEGINNING = "0" * 64
ONCE_S = 3600.0  # what is looked at again and again leaves a line once in so long
KEPT_ONCE = 10_000


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
        self._recorded: OrderedDict[tuple[str, str, str], float] = OrderedDict()
        self._lock = threading.Lock()

    def record(self, at: float, user: str, action: str, subject: str = "", **details: Any) -> None:
        """Add an entry; it is committed when this returns. `details` are JSON values, never a secret or a label."""
        with self._database.writing() as connection:
            self.add(connection, at, user, action, subject, **details)

    def record_once(self, at: float, user: str, action: str, subject: str, **details: Any) -> None:
        """Add an entry unless this hub process has added the same (but for the details) within the last hour."""
        act = user, action, subject
        with self._lock:
            if at - self._recorded.get(act, -math.inf) < ONCE_S:
                return
            self._recorded[act] = at
            self._recorded.move_to_end(act)
            if len(self._recorded) > KEPT_ONCE:
                self._recorded.popitem(last=False)
        try:
            self.record(at, user, action, subject, **details)
        except BaseException:
            with self._lock:
                self._recorded.pop(act, None)
            raise

    def add(self, connection: Connection, at: float, user: str, action: str, subject: str = "", **details: Any) -> None:
        """Add an entry within somebody else's transaction, so that the act and its entry are committed together."""
        one_at_a_time(connection)
        # Numbered by hand, since a database's own numbers may skip some: here a gap is a sign of deletion.
        last = connection.execute(select(audit.c.number, audit.c.hash).order_by(audit.c.number.desc()).limit(1)).first()
        number, before = (last.number, last.hash) if last else (0, BEGINNING)
        entry = plain({"at": float(at), "user": user, "action": action, "subject": subject, "details": details})
        connection.execute(audit.insert(), {**entry, "number": number + 1, "hash": chained(before, entry)})

    def entries(self, before: int | None = None, limit: int = 100, *, subject: str | None = None) -> list[Entry]:
        """Entries, latest first, those before a number."""
        query = select(audit).order_by(audit.c.number.desc()).limit(limit)
        if before is not None:
            query = query.where(audit.c.number < before)
        if subject is not None:
            query = query.where(audit.c.subject == subject)
        with self._database.reading() as connection:
            return [Entry(**row._mapping) for row in connection.execute(query)]


def plain(value: Any) -> Any:
    """A value as both databases give it back, down to the last bit: JSON, without what one of them refuses."""
    if isinstance(value, str):
        return str(value).encode("utf-8", "replace").decode().replace("\0", "\ufffd")
    if isinstance(value, float):
        return value + 0.0 if math.isfinite(value) else str(value)  # -0.0 comes back from SQLite as 0.0
    if isinstance(value, dict):
        return {plain(str(name)): plain(one) for name, one in value.items()}
    return [plain(one) for one in value] if isinstance(value, list | tuple) else value


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
