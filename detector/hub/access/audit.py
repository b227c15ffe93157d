"""Who did what, in a chain: each entry's hash covers the entry and the hash before it (`storage.audit_chain`).

So an entry that is changed, taken out or moved doesn't fit any more. A chain alone shows neither that its end was cut
off nor that all of it was written anew: the head must be kept elsewhere too (`anchors`), and `verify` is told it.
"""

from __future__ import annotations

import json
import math
import re
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Text, and_, cast, or_, select
from sqlalchemy.exc import SQLAlchemyError

from detector.clock import iso
from detector.hub.storage.audit_chain import BEGINNING, add_entry, canonical, chained, plain
from detector.hub.storage.database import Database
from detector.hub.storage.schema import audit
from detector.hub.storage.stored import is_time

ONCE_S = 3600.0  # what is looked at again and again leaves a line once in so long
KEPT_ONCE = 10_000
PAGE = 1000
MOST_FLAWS = 100
HEAD = re.compile(r"([0-9]{1,18}):([0-9a-f]{64})")


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

    @property
    def told(self) -> dict[str, Any]:
        """All of it that its hash covers, but for the hash before it."""
        return {name: getattr(self, name) for name in ("at", "user", "action", "subject", "details")}

    def follows(self, before: str) -> bool:
        """Whether it is as it was written, after an entry with the hash `before`."""
        try:
            return chained(before, self.told) == self.hash
        except (TypeError, ValueError):  # SQLite lets anything be written into a column
            return False


@dataclass(frozen=True, slots=True)
class Line:
    """An entry as `Audit.exported` tells it; `before` is none where the entry before was left out."""

    number: int
    time: str | None
    before: str | None
    hash: str
    entry: dict[str, Any]

    @classmethod
    def of(cls, text: str) -> Line:
        """From a line of JSON.

        Raises:
            ValueError: It is none.
        """
        try:
            told = json.loads(text)
            line = cls(*(told[name] for name in ("number", "time", "before", "hash", "entry")))
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise ValueError("no entry of an audit log") from error
        if told.get("schema") != 1 or type(line.number) is not int or not isinstance(line.entry, dict):
            raise ValueError("no entry of an audit log")
        return line

    def follows(self, before: str) -> bool:
        """Whether it is as it was written, after an entry with the hash `before`; as far as that can be known."""
        if self.before is None:
            return True
        as_written = self.before == before and chained(before, self.entry) == self.hash
        return as_written and self.time == _iso(self.entry.get("at"))


@dataclass(frozen=True, slots=True)
class Head:
    """Number and hash of an entry: with it kept elsewhere, nothing up to there can be changed unnoticed."""

    number: int
    hash: str

    def __str__(self) -> str:
        return f"{self.number}:{self.hash}"

    @classmethod
    def of(cls, text: str) -> Head:
        """From `NUMBER:HASH`.

        Raises:
            ValueError: It is none.
        """
        found = HEAD.fullmatch(text)
        if found is None:
            raise ValueError(f"not a head, which is NUMBER:HASH: {text[:100]!r}")
        return cls(int(found[1]), found[2])


@dataclass(frozen=True, slots=True)
class Flaw:
    """What doesn't hold of entries `number` to `until`.

    `edited`: the entry doesn't follow the one before, so one of the two was changed, or one between them taken out.
    `deleted`: their numbers are missing. `reordered`: they stand in another order than they were written. `rewritten`:
    they follow each other, but a head kept elsewhere says that others stood there. `truncated`: such a head says that
    they were there, at the end.
    """

    kind: str
    number: int
    until: int


@dataclass(frozen=True, slots=True)
class Checked:
    """A chain that was followed to its end: the last entry, and all that doesn't hold."""

    head: Head
    flaws: tuple[Flaw, ...]


class Audit:
    """The chain in a database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._recorded: OrderedDict[tuple[str, str, str, str], float] = OrderedDict()
        self._lock = threading.Lock()

    def record(self, at: float, user: str, action: str, subject: str = "", **details: Any) -> None:
        """Add an entry; it is committed when this returns. `details` are JSON values, never a secret or a label."""
        with self._database.writing() as connection:
            self.add(connection, at, user, action, subject, **details)

    def record_once(self, at: float, user: str, action: str, subject: str, **details: Any) -> None:
        """Add an entry unless this hub process has added the same within the last hour."""
        act = user, action, subject, json.dumps(plain(details), sort_keys=True)
        with self._lock:
            if abs(at - self._recorded.get(act, -math.inf)) < ONCE_S:  # a clock that was put back hides nothing
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
        add_entry(connection, at, user, action, subject, **details)

    def entries(
        self,
        before: int | None = None,
        limit: int = 100,
        *,
        user: str | None = None,
        action: str | None = None,
        subject: str | None = None,
        since: float | None = None,
        until: float | None = None,
        users: Mapping[str, int] | None = None,
    ) -> list[Entry]:
        """Entries, latest first: those before a number, and by what else is given.

        `users` are all whose entries may be seen, each with the number after which they may.
        """
        c = audit.c
        same = ((c.user, user), (c.action, action), (c.subject, subject))
        clauses = [column == value for column, value in same if value is not None]
        clauses += [c.number < before] if before is not None else []
        clauses += [c.at >= since] if since is not None else []
        clauses += [c.at < until] if until is not None else []
        if users is not None:
            later = [and_(c.user == one, c.number > after) for one, after in users.items() if after]
            clauses.append(or_(c.user.in_([one for one, after in users.items() if not after]), *later))
        query = _ENTRIES.where(*clauses).order_by(c.number.desc()).limit(limit)
        return [_entry(row) for row in self._database.read(query)]

    def actions(self) -> list[str]:
        """Every kind of act there is a line of, by name."""
        return sorted(self._database.read(select(audit.c.action).distinct()).scalars())

    def head(self) -> Head | None:
        """Number and hash of the last entry; `None` when there is none."""
        query = select(audit.c.number, audit.c.hash).order_by(audit.c.number.desc()).limit(1)
        row = self._database.read(query).first()
        return Head(row.number, row.hash) if row else None

    def all_entries(self, after: int | None = None) -> Iterator[Entry]:
        """Every entry after a number, up to the last, a thousand at a time; one that can't be read comes empty."""
        last = after
        while True:
            beyond = [] if last is None else [audit.c.number > last]
            numbers = select(audit.c.number).where(*beyond).order_by(audit.c.number).limit(PAGE)
            with self._database.reading() as connection:
                page = connection.execute(numbers).scalars().all()
                if not page:
                    return
                try:
                    found = _between(connection, page[0], page[-1])
                except SQLAlchemyError:  # bytes that are no text, say
                    found = [entry for number in page for entry in self._one_by_one(number)]
            yield from found
            last = page[-1]

    def exported(self, after: int, until: int, users: Mapping[str, int] | None = None) -> Iterator[str]:
        """Entries after a number, up to another, as lines of JSON that whoever has them can check by themselves.

        `hash` is the SHA-256 of `before`, a newline and `entry`, in UTF-8, as it stands in the line; `before` is the
        `hash` of the entry before, 64 zeros for the first, and null where that may not be seen: with it somebody could
        try out what it says.

        Args:
            after: 0 for all.
            until: The last number that is wanted.
            users: All whose entries may be seen, each with the number after which they may; `None` for everybody's.
        """
        query = select(audit.c.hash).where(audit.c.number <= after).order_by(audit.c.number.desc()).limit(1)
        before = (self._database.read(query).scalar_one_or_none() or BEGINNING) if users is None or not after else None
        for entry in self.all_entries(after):
            if entry.number > until:
                return
            is_seen = users is None or entry.number > users.get(entry.user, entry.number)
            if is_seen:
                head = {"schema": 1, "number": entry.number, "time": _iso(entry.at), "before": before}
                told = json.dumps({**head, "hash": entry.hash}, default=str)[:-1]
                yield f'{told}, "entry": {canonical(entry.told, str)}}}\n'
            before = entry.hash if is_seen else None

    def _one_by_one(self, number: int) -> list[Entry]:
        try:
            with self._database.reading() as connection:
                return _between(connection, number, number)
        except SQLAlchemyError:
            return [Entry(number, 0.0, "", "", "", {}, "")]


def verify(entries: Iterable[Entry | Line], heads: Iterable[Head] = (), start: Head = Head(0, BEGINNING)) -> Checked:
    """Follow a chain from its first entry to its last, and compare it with heads that were kept elsewhere.

    Args:
        entries: By number.
        heads: From `start` on.
        start: What the first entry follows.
    """
    known: dict[int, set[str]] = {}
    for head in heads:
        known.setdefault(head.number, set()).add(head.hash)
    flaws: list[Flaw] = []
    before, number, held = start.hash, start.number, start.number
    torn: tuple[str, int] | None = None  # the hash that the first misfit should have followed, and its number
    for entry in entries:
        if entry.number != number + 1 and (isinstance(entry, Entry) or entry.before is not None):
            flaws.append(Flaw("deleted", number + 1, entry.number - 1))
        if not entry.follows(before):
            if entry.number == number + 1:
                flaws.append(Flaw("edited", entry.number, entry.number))
            if torn is None:
                torn = before, entry.number
            elif entry.follows(torn[0]):
                flaws.append(Flaw("reordered", torn[1], entry.number))
        del flaws[MOST_FLAWS:]
        number, before = entry.number, entry.hash
        if number in known:
            if known.pop(number) == {before}:
                held = number
            else:
                flaws.append(Flaw("rewritten", held + 1, number))
    lost = max(known, default=0)
    if lost > number:
        flaws.append(Flaw("truncated", number + 1, lost))
    moved = [(flaw.number, flaw.until) for flaw in flaws if flaw.kind == "reordered"]
    # Each misfit within what was moved is told by the move.
    flaws = [
        flaw
        for flaw in flaws
        if flaw.kind != "edited" or not any(start <= flaw.number <= end + 1 for start, end in moved)
    ]
    return Checked(Head(number, before), tuple(sorted(flaws, key=lambda flaw: (flaw.number, flaw.kind))))


def _iso(at: Any) -> str | None:
    """A time for people; none where somebody wrote what is no time into the database."""
    return iso(at) if is_time(at) else None


# Details as text: JSON that somebody has broken must not keep the rest from being read.
_ENTRIES = select(*(one for one in audit.c if one.name != "details"), cast(audit.c.details, Text).label("text"))


def _entry(row: Any) -> Entry:
    try:
        details = json.loads(row.text)
    except (TypeError, ValueError):
        details = {"": str(row.text)}
    return Entry(row.number, row.at, row.user, row.action, row.subject, details, row.hash)


def _between(connection: Connection, first: int, last: int) -> list[Entry]:
    query = _ENTRIES.where(audit.c.number.between(first, last)).order_by(audit.c.number)
    return [_entry(row) for row in connection.execute(query)]
