"""What whoever sits at the hub's machine may do without a login: look after people, and check the audit log.

The hub may be running meanwhile: its database takes both.
"""

from __future__ import annotations

import getpass
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from argon2 import PasswordHasher

from detector.clock import Clock, SystemClock, iso
from detector.config import HubConfig
from detector.errors import LabelwatchError, StoreError
from detector.hub.access.anchors import FILE, Anchors
from detector.hub.access.audit import Audit, Checked, Head, verify
from detector.hub.access.auth import Gate
from detector.hub.access.people import People, PeopleError, User, as_name
from detector.hub.edges.known import Known
from detector.hub.storage.database import Database
from detector.hub.storage.rights import CONSOLE, EVERYWHERE, Principal, Role, Scope
from detector.hub.texts import Phrases


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
        self._by = Principal(f"{CONSOLE.user}{getpass.getuser()}", Role.OWNER, EVERYWHERE)

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
    if url is None and not file.exists():
        if not make:
            raise StoreError(f"{file}: no database; has this hub ever run?")
        config.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    database = Database(url or f"sqlite:///{file}", upgrade=False)
    try:
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


def check_audit(config: HubConfig, heads: Sequence[Head] = ()) -> tuple[Checked, list[str], int]:
    """Follow the audit log, and compare it with the heads in the hub's file and with others.

    Returns:
        What was found, what doesn't hold in words (English), and how many heads it was compared with.
    """
    with database_of(config) as database:
        audit = Audit(database)
        kept = Anchors(audit, config.data_dir, SystemClock()).read()
        checked = verify(audit.all_entries(), [*kept.heads, *heads])
    say = Phrases("en")
    words = [say("flaw_" + flaw.kind, number=flaw.number, until=flaw.until) for flaw in checked.flaws]
    words += [f"{config.data_dir / FILE}: {say('head_unreadable', line=line)}" for line in kept.unreadable]
    return checked, words, len(kept.heads) + len(heads)


@contextmanager
def _in_words() -> Iterator[None]:
    try:
        yield
    except PeopleError as error:
        raise LabelwatchError(Phrases("en")(error.reason)) from error
