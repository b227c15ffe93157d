"""What whoever sits at the hub's machine may do without a login: look after people, and check the audit log.

The hub may be running meanwhile: its database takes both.
"""

from __future__ import annotations

import getpass
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from argon2 import PasswordHasher

from detector.clock import Clock, SystemClock, iso
from detector.config import HubConfig
from detector.errors import ConfigError, LabelwatchError, NotThere, Problem, StoreError
from detector.hub.access.anchors import FILE, Anchors
from detector.hub.access.audit import Audit, Checked, Head, Line, verify
from detector.hub.access.auth import Gate
from detector.hub.access.people import People, PeopleError, User, as_name
from detector.hub.edges.known import Known
from detector.hub.storage.audit_chain import BEGINNING
from detector.hub.storage.database import Database, in_a_line
from detector.hub.storage.rights import CONSOLE, EVERYWHERE, Principal, Role, Scope
from detector.hub.texts import Phrases
from detector.machine.whole_files import give, make_folder


def at_console() -> str:
    """Who sits at the hub's machine, as the audit log names them: `console:NAME`, or their number without a name."""
    try:
        return f"{CONSOLE.user}{getpass.getuser()}"
    except (KeyError, OSError):  # in a container, say
        return f"{CONSOLE.user}{os.getuid()}"


class Console:
    """Acts on a hub's database in the name of the operating system's user, `console:NAME`.

    Args:
        database: Of the hub.
        clock: Tells the time.
        hasher: Of passwords; argon2id with the library's defaults when left out.
    """

    def __init__(self, database: Database, clock: Clock | None = None, hasher: PasswordHasher | None = None) -> None:
        self._database = database
        self._clock = clock or SystemClock()
        self._people = People(database)
        self._hasher = hasher
        self._by = Principal(at_console(), Role.OWNER, EVERYWHERE)

    def known(self) -> Known:
        """Which sites and cameras the hub was ever told of."""
        return Known.of(self._database)

    def add_user(self, name: str, role: Role, scope: Scope) -> str:
        """Make a user; returns the one-time password.

        Raises:
            LabelwatchError: The name is taken or is none.
        """
        with _in_words():
            return self._gate().add_user(self._by, as_name(name), self._clock.now(), role=role, scope=scope)

    def reset(self, name: str) -> str:
        """Give a user a one-time password, which is returned.

        Raises:
            LabelwatchError: There is no such user.
        """
        with _in_words():
            return self._gate().reset_password(self._by, as_name(name), self._clock.now())

    def drop_second_step(self, name: str) -> None:
        """Ask a user for no codes any more after the password.

        Raises:
            LabelwatchError: There is no such user.
        """
        with _in_words():
            self._people.drop_second_step(self._by, as_name(name), self._clock.now())

    def users(self) -> list[User]:
        """Everybody."""
        return self._people.users(EVERYWHERE)

    def _gate(self) -> Gate:
        return Gate(self._people, self._hasher)


@contextmanager
def database_of(config: HubConfig, *, make: bool = False) -> Iterator[Database]:
    """The database of a hub, made where there is none yet if `make` says so.

    Raises:
        StoreError: There is none, or it can't be used, or an older hub's.
    """
    file = config.data_dir / "hub.sqlite"
    url = config.database_url()
    is_new = url is None and not file.exists()
    if is_new:
        if not make:
            raise StoreError(f"{file}: no database; has this hub ever run?")
        make_folder(config.data_dir)
    database = Database(url or f"sqlite:///{file}", upgrade=False)
    try:
        for part in config.data_dir.glob(f"{file.name}*") if is_new else ():
            give(part, config.data_dir.stat())
        with in_a_line():
            yield database
    finally:
        database.close()


def user_record(user: User) -> dict[str, object]:
    """A user as JSON tells it."""
    times = {name: getattr(user, name) for name in ("created_at", "last_seen", "disabled_at", "one_time_until")}
    told = {name: None if at is None else iso(at) for name, at in times.items()}
    known = {"name": user.name, "role": str(user.role), "scope": user.scope.names, "second_step": user.second_step}
    return {**known, **told}


def user_lines(users: Sequence[User]) -> list[str]:
    """Users as a person reads them, one a line."""
    rows = [
        (
            user.name,
            str(user.role),
            ",".join(user.scope.names) if user.scope.names is not None else "everywhere",
            "disabled" if user.disabled_at else "one-time password" if user.one_time_until else "",
            "second step" if user.second_step else "",
            f"last seen {iso(user.last_seen)}" if user.last_seen else "never logged in",
        )
        for user in users
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def check_audit(config: HubConfig, heads: Sequence[Head] = ()) -> tuple[Checked, list[str], list[Head]]:
    """Follow the audit log, and compare it with the heads in the hub's file and with others.

    Returns:
        What was found, what doesn't hold in words (English), and the heads it was compared with.
    """
    with database_of(config) as database:
        audit = Audit(database)
        kept = Anchors(audit, config.data_dir, SystemClock()).read()
        compared = [*kept.heads, *heads]
        checked = verify(audit.all_entries(), compared)
    words = _flaws(checked)
    words += [f"{config.data_dir / FILE}: {Phrases('en')('head_unreadable', line=line)}" for line in kept.unreadable]
    return checked, words, compared


def is_export(file: Path) -> bool:
    """Whether a file is an audit log that was downloaded, rather than a configuration."""
    if file.suffix == ".jsonl" or not file.is_file():
        return file.suffix == ".jsonl"
    with file.open("rb") as content:
        return content.read(12) == b'{"schema": 1'


def check_export(file: Path, heads: Sequence[Head] = ()) -> tuple[Checked, list[str], list[str]]:
    """Follow an audit log that was downloaded (`Audit.exported`), and compare it with heads that were kept.

    Returns:
        What was found, what doesn't hold in words (English), and likewise what the file is and can't tell.

    Raises:
        ConfigError: It isn't such a log.
        NotThere: There is no such file.
    """
    export = _Export(heads)
    try:
        with file.open(encoding="utf-8", errors="replace") as lines:
            first = Line.of(lines.readline())
            lines.seek(0)
            start = Head(first.number - 1, first.before or BEGINNING)
            checked = verify(export.entries(lines), [head for head in heads if head.number > start.number], start)
    except FileNotFoundError as error:
        raise NotThere(file, "audit log") from error
    except (OSError, ValueError) as error:
        why = f"can't be read: {error.strerror}" if isinstance(error, OSError) else str(error)
        hint = "as the hub's page, or /api/audit, gives it"
        raise ConfigError([Problem(str(file), "", why, hint)]) from error
    within = f"{export.count} of the entries {first.number} to {checked.head.number}"
    told = [f"{within}, compared with {len(heads) - len(export.without_entry)} heads"]
    if export.loose:
        told.append(f"{export.loose} of them couldn't be compared: the entry before is none that its reader may see")
    told += [f"entry {number} isn't in the file: its head tells nothing" for number in sorted(export.without_entry)]
    return checked, [*_flaws(checked), *export.unread], told


class _Export:
    """A downloaded audit log as its lines are read.

    Attributes:
        unread: Lines that are no entry, or one that can't stand there, in words.
        count: Entries so far.
        loose: Those that follow on one that its reader may not see.
        without_entry: Numbers of heads whose entries haven't come.
    """

    def __init__(self, heads: Iterable[Head]) -> None:
        self.unread: list[str] = []
        self.count = self.loose = 0
        self.without_entry = {head.number for head in heads}

    def entries(self, lines: Iterable[str]) -> Iterator[Line]:
        """All that can be read, in their order."""
        last = 0
        for n, text in enumerate(lines, 1):
            try:
                line = Line.of(text)
                if line.number <= last:
                    raise ValueError(f"entry {line.number} after entry {last}")
            except ValueError as error:
                self.unread.append(f"Line {n}: {error}")
                continue
            if line.before is None and line.number == last + 1:
                line = replace(line, before="")  # only what follows on one that isn't in the file is left open
            last = line.number
            self.count += 1
            self.loose += line.before is None
            self.without_entry.discard(last)
            yield line


def _flaws(checked: Checked) -> list[str]:
    say = Phrases("en")
    return [say("flaw_" + flaw.kind, number=flaw.number, until=flaw.until) for flaw in checked.flaws]


@contextmanager
def _in_words() -> Iterator[None]:
    try:
        yield
    except PeopleError as error:
        raise LabelwatchError(Phrases("en")(error.reason)) from error
