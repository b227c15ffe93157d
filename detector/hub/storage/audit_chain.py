"""The end of the audit log's chain: who did what enters, and stands in it with a hash over it and the hash before.

    hash = SHA-256(hash before, newline, the entry as canonical JSON)

What is read from the chain, and whether it holds, `access.audit` tells.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, select

from detector.hub.storage.database import one_at_a_time
from detector.hub.storage.schema import audit

BEGINNING = "0" * 64
SYSTEM = "labelwatch"  # whose acts are those that nobody asked for


def add_entry(connection: Connection, at: float, user: str, action: str, subject: str = "", **details: Any) -> None:
    """Add an entry within somebody's transaction, so that the act and its entry are committed together.

    `details` are JSON values, never a secret or a label.
    """
    one_at_a_time(connection)
    # Numbered by hand, since a database's own numbers may skip some: here a gap is a sign of deletion.
    last = connection.execute(select(audit.c.number, audit.c.hash).order_by(audit.c.number.desc()).limit(1)).first()
    number, before = (last.number, last.hash) if last else (0, BEGINNING)
    entry = plain({"at": float(at), "user": user, "action": action, "subject": subject, "details": details})
    connection.execute(audit.insert(), {**entry, "number": number + 1, "hash": chained(before, entry)})


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
    return hashlib.sha256(f"{before}\n{canonical(entry)}".encode()).hexdigest()


def canonical(entry: dict[str, Any], default: Callable[[Any], str] | None = None) -> str:
    """An entry as the text that its hash is taken of; `default` writes what is no JSON."""
    return json.dumps(entry, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=default)
