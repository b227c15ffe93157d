"""Who is told: targets, each with its address, a secret, and the rules that say of what."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, delete, func, select, update

from detector.hub.access.seal import Seal, SealBroken
from detector.hub.notices.rules import KINDS, Rule, place_parts
from detector.hub.notices.services import NoticeError, check
from detector.hub.storage.budget import RANKS
from detector.hub.storage.database import Database, one_at_a_time
from detector.hub.storage.rights import EVERYWHERE, Scope
from detector.hub.storage.schema import notice_rules, notice_targets, notices
from detector.names import natural

MOST_TARGETS, MOST_RULES, MOST_PER_HOUR = 50, 20, 1000
KEY_FILE = "notices.key"
SECRETS = ("secrets", Path("/run/secrets"))  # where a file with an address may lie: in the data folder, or there
ENV = re.compile(r"LABELWATCH_[A-Z0-9_]{1,80}")
HOURS = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")
LONGEST_NAME = 60


@dataclass(frozen=True, slots=True)
class Target:
    """Somebody who is told, by one service. The address itself is had from `Targets.address` alone."""

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


class Targets:
    """Targets and rules in a database. Safe to use from any thread.

    Args:
        database: Where they are.
        data_dir: Holds the key that seals addresses, made when missing, mode 0600.

    Raises:
        OSError: The key can't be read or made.
    """

    def __init__(self, database: Database, data_dir: Path) -> None:
        self._database = database
        self._folder = data_dir
        self._seal = Seal(data_dir / KEY_FILE)

    def all(self, scope: Scope = EVERYWHERE) -> list[Target]:
        """Those that somebody may know of: made by one who sees no more than they do."""
        with self._database.reading() as connection:
            found = targets_of(connection)
        return sorted((one for one in found if scope.covers(one.scope)), key=lambda one: natural(one.name))

    def find(self, number: int, scope: Scope = EVERYWHERE) -> Target | None:
        """One of them."""
        return next((target for target in self.all(scope) if target.number == number), None)

    def add(
        self,
        connection: Connection,
        name: str,
        service: str,
        language: str,
        *,
        address: str = "",
        url_env: str = "",
        url_file: str = "",
        picture: bool = True,
        scope: Scope = EVERYWHERE,
        user: str,
        at: float,
    ) -> int:
        """Add a target, whose address is given or found in an environment variable or a file; its number.

        Raises:
            NoticeError: Name, place of the address, or their number can't be.
        """
        name = name.strip()
        if not name or len(name) > LONGEST_NAME or not name.isprintable():
            raise NoticeError("notice_wrong_name")
        if sum(map(bool, (address, url_env, url_file))) != 1:
            raise NoticeError("notice_wrong_missing")
        if url_env and not ENV.fullmatch(url_env):
            raise NoticeError("notice_wrong_env")
        if url_file and not self._may_read(url_file):
            raise NoticeError("notice_wrong_file")
        one_at_a_time(connection)
        if connection.execute(select(func.count()).select_from(notice_targets)).scalar_one() >= MOST_TARGETS:
            raise NoticeError("notice_wrong_many")
        row = {
            "name": name,
            "service": service,
            "language": language,
            "sealed": self._seal.seal(address) if address else None,
            "url_env": url_env or None,
            "url_file": url_file or None,
            "picture": picture,
            "scope": scope.names,
            "user": user,
            "at": at,
        }
        insert = self._database.insert(notice_targets).on_conflict_do_nothing(index_elements=["name"])
        number = connection.execute(insert.returning(notice_targets.c.number), row).scalar_one_or_none()
        if number is None:
            raise NoticeError("notice_wrong_taken")
        return int(number)

    def remove(self, connection: Connection, number: int) -> None:
        """Take a target away with its rules; what was not sent is dropped, the log stays."""
        one_at_a_time(connection)
        undone = (notices.c.target == number, notices.c.state.in_(("waiting", "held")))
        connection.execute(update(notices).where(*undone).values(state="dropped", reason="target_removed"))
        connection.execute(delete(notice_rules).where(notice_rules.c.target == number))
        connection.execute(delete(notice_targets).where(notice_targets.c.number == number))

    def address(self, target: Target) -> str:
        """The address of a target, which is a secret.

        Raises:
            NoticeError: It isn't where it should be, can't be unsealed, or what is found is none.
        """
        if target.sealed is not None:
            try:
                return self._seal.open(target.sealed)
            except SealBroken as error:
                raise NoticeError("notice_wrong_seal") from error
        if target.url_env:
            found = os.environ.get(target.url_env, "")
        else:
            found = ""
            with suppress(OSError, UnicodeDecodeError):
                if self._may_read(target.url_file or ""):
                    found = self._path(target.url_file or "").read_text(encoding="utf-8")[:4096]
        if not found.strip():
            raise NoticeError("notice_wrong_gone")
        check(found.strip())
        return found.strip()

    def _path(self, name: str) -> Path:
        return self._folder / SECRETS[0] / name

    def _may_read(self, name: str) -> bool:
        """Whether a file may hold an address: a web page must not have the hub read any other."""
        if not name or "\0" in name:
            return False
        path = self._path(name).resolve()
        return any(path.is_relative_to((self._folder / folder).resolve()) for folder in SECRETS)

    def rules(self) -> list[Rule]:
        """All of them, in the order they were made."""
        with self._database.reading() as connection:
            return rules_of(connection)

    def add_rule(self, connection: Connection, rule: Rule) -> int:
        """Add a rule; its number. It holds for what comes from now on.

        Raises:
            NoticeError: It is none, or names places that its target's maker doesn't see.
        """
        if rule.severity not in RANKS or not 1 <= rule.per_hour <= MOST_PER_HOUR:
            raise NoticeError("notice_wrong_rule")
        for span in (rule.hours, rule.quiet):
            if span is not None and (not HOURS.fullmatch(span) or span[:5] == span[6:]):
                raise NoticeError("notice_wrong_hours")
        if any(kind not in KINDS for kind in rule.kinds or ()) or any(not 0 <= day <= 6 for day in rule.days or ()):
            raise NoticeError("notice_wrong_rule")
        scope = connection.execute(
            select(notice_targets.c.scope).where(notice_targets.c.number == rule.target)
        ).scalar_one_or_none()
        for place in rule.places or ():
            parts = place_parts(place)
            is_place = all(parts) and place.isprintable() and len(place) <= 200
            if not is_place or not Scope.of(scope).sees(*parts[:2]):
                raise NoticeError("notice_wrong_place")
        own = select(func.count()).where(notice_rules.c.target == rule.target)
        if connection.execute(own).scalar_one() >= MOST_RULES:
            raise NoticeError("notice_wrong_many")
        row = {name: getattr(rule, name) for name in Rule.__slots__ if name != "number"}
        lists = {name: list(row[name]) if row[name] else None for name in ("kinds", "places", "days")}
        return int(
            connection.execute(notice_rules.insert().returning(notice_rules.c.number), {**row, **lists}).scalar_one()
        )

    def remove_rule(self, connection: Connection, number: int) -> None:
        """Take a rule away; what it has raised stays."""
        connection.execute(delete(notice_rules).where(notice_rules.c.number == number))


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
