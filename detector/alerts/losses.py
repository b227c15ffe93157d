"""The record of what never reaches the hub; all of it is written within the caller's transaction."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from detector.alerts.outbox_file import OutboxFile
from detector.values import Severity

DEAD_KEPT = 1000
DEAD_BYTES = 64 * 2**20
RANGES_AT_ONCE = 500  # dropped numbers told to the hub in one row

# Where text is kept, what a row of it is called, and what of it a dead letter holds beside its texts.
TABLES = {
    "meta": ("", ""),
    "untold": ("untold", "''"),
    "dropped": ("dropped", "''"),
    "stories": ("story", "''"),
    "open": ("open", "fields"),
    "clips": ("clip", "''"),
    "sides": ("side", "''"),
    "alerts": ("alert", "payload"),
}

Range = tuple[int, int, str]  # first, last, reason


def count_dropped(file: OutboxFile, what: str, reason: str, severity: int) -> None:
    """One more alert or clip was given up for want of room or for age."""
    file.execute(
        """INSERT INTO dropped VALUES (?, ?, ?, 1)
        ON CONFLICT (what, reason, severity) DO UPDATE SET n = n + excluded.n""",
        (what, reason, severity),
    )


def note_untold(file: OutboxFile, seq: int, reason: str) -> None:
    """The hub is to be told of a number that will never come; neighbours become one range."""
    first, last = seq, seq
    before = file.query("SELECT first FROM untold WHERE last = ? AND reason = ?", (seq - 1, reason))
    if before:
        first = before[0][0]
    after = file.query("SELECT last FROM untold WHERE first = ? AND reason = ?", (seq + 1, reason))
    if after:
        last = after[0][0]
        file.execute("DELETE FROM untold WHERE first = ?", (seq + 1,))
    file.execute("INSERT OR REPLACE INTO untold VALUES (?, ?, ?)", (first, last, reason))


def untold(file: OutboxFile) -> list[Range]:
    """Numbers that the hub doesn't know of yet, as many as it is told at once."""
    return file.query("SELECT first, last, reason FROM untold ORDER BY first LIMIT ?", (RANGES_AT_ONCE,))


def forget_untold(file: OutboxFile, ranges: list[Range]) -> None:
    """These are on their way to the hub."""
    firsts = json.dumps([first for first, _, _ in ranges])
    file.execute("DELETE FROM untold WHERE first IN (SELECT value FROM json_each(?))", (firsts,))


def keep_dead(file: OutboxFile, what: str, name: str, reason: str, at: float, content: bytes | str) -> None:
    """Keep a dead letter; the oldest go when there are too many."""
    file.execute("INSERT INTO dead VALUES (?, ?, ?, ?, ?)", (what, name, reason, at, content))
    file.execute("UPDATE meta SET value = value + 1 WHERE name = 'dead'")
    file.execute(
        """DELETE FROM dead WHERE rowid IN (SELECT rowid FROM (SELECT rowid,
            ROW_NUMBER() OVER (ORDER BY rowid DESC) AS place,
            SUM(length(content)) OVER (ORDER BY rowid DESC) AS size FROM dead) WHERE place > ? OR size > ?)""",
        (DEAD_KEPT, DEAD_BYTES),
    )


@dataclass(frozen=True, slots=True)
class TornRow:
    """A row that holds text that is none; `name` shows its texts as they are, `content` is what is kept of it."""

    table: str
    rowid: int
    what: str
    name: str
    content: bytes


def torn_rows(file: OutboxFile) -> Iterator[TornRow]:
    """Rows with such text, of each table those found before the first of them is given.

    Raises:
        ValueError: What holds for the file as a whole is torn.
    """
    for table, (what, content) in TABLES.items():
        texts = [name for _, name, kind, *_ in file.query(f"PRAGMA table_info({table})") if kind == "TEXT"]
        columns = ", ".join(f"CAST({name} AS BLOB)" for name in texts)
        for rowid, *found in file.query(f"SELECT rowid, {columns} FROM {table}"):  # noqa: S608
            name = "/".join(text.decode(errors="backslashreplace") for text in found)
            if all(_is_text(text) for text in found):
                continue
            if not what:
                raise ValueError(f"{name} is not valid text")
            kept = file.query(f"SELECT {content} FROM {table} WHERE rowid = ?", (rowid,))  # noqa: S608
            yield TornRow(table, rowid, what, name, kept[0][0])


def _is_text(stored: bytes) -> bool:
    try:
        stored.decode()
    except UnicodeDecodeError:
        return False
    return True


def loss_counts(file: OutboxFile) -> dict[str, Any]:
    """`dropped`, `dropped_clips`, `dropped_by` and `dead` of `Outbox.counts`."""
    dropped = file.query("SELECT what, reason, severity, n FROM dropped ORDER BY what, reason, severity")
    by: dict[str, dict[str, dict[str, int]]] = {}
    for what, reason, severity, n in dropped:
        by.setdefault(what, {}).setdefault(reason, {})[_severity_name(severity)] = n
    return {
        "dropped": sum(n for what, _, _, n in dropped if what == "alert"),
        "dropped_clips": sum(n for what, _, _, n in dropped if what == "clip"),
        "dropped_by": by,
        "dead": int(file.meta("dead")),
    }


def _severity_name(rank: int) -> str:
    return next((severity.value for severity in Severity if severity.rank == rank), "info")
