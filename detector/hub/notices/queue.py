"""The queue of notices, which is their log too, and the targets that it is for.

    change ─ rules ─► waiting ─► sending ─► sent            told at once
                  └─► held ─► (quiet hours or the hour end) ─► one summary, waiting
                                     sending ─► waiting     failed: tried again, ever more seldom, for a day;
                                                            so too where the database failed meanwhile

Everything stands in the database; what comes in, `raising` decides. Sending is *at least once*: who dies between
sending and putting on record that it was sent can't know, sends again, and says that it may be a double.
"""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, delete, func, select, update

from detector.hub.access.seal import Seal, SealBroken
from detector.hub.notices.raising import ALARM, OVER, Raising
from detector.hub.notices.rules import KINDS, Rule, place_parts
from detector.hub.notices.services import CAUSES, Answer, NoticeError, check
from detector.hub.notices.targets import Target, rules_of, targets_of
from detector.hub.storage.budget import RANKS
from detector.hub.storage.database import Database, one_at_a_time
from detector.hub.storage.rights import EVERYWHERE, Scope
from detector.hub.storage.schema import (
    notice_rules,
    notice_targets,
    notices,
)
from detector.names import natural
from detector.values import DAY_S

FIRST_REST_S, LONGEST_REST_S = 30.0, 1800.0
GIVE_UP_S = DAY_S
MOST_TARGETS, MOST_RULES, MOST_PER_HOUR = 50, 20, 1000
KEPT = 20_000
KEY_FILE = "notices.key"
SECRETS = ("secrets", Path("/run/secrets"))  # where a file with an address may lie: in the data folder, or there
ENV = re.compile(r"LABELWATCH_[A-Z0-9_]{1,80}")
HOURS = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")
LONGEST_NAME = 60


@dataclass(frozen=True, slots=True)
class Notice:
    """A row of queue and log.

    `what` is `incident`, `alarm`, `summary` or `test`; `state` is `waiting`, `sending`, `held`, `sent`, `failed`,
    `summed` (told by the notice `summary`), `risen` (a more severe one was told instead) or `dropped`; `reason` says
    why.
    """

    number: int
    target: int
    target_name: str
    what: str
    incident: str
    severity: str
    state: str
    reason: str
    summary: int | None
    created_at: float
    due_at: float
    tries: int
    tried_at: float | None
    answer: str

    @property
    def cause(self) -> str:
        """Key of the text that says why no service answered; empty where one did, or none was asked."""
        return self.answer if self.answer.startswith(CAUSES) else ""


class Notices:
    """Targets, rules and the queue in a database. Safe to use from any thread.

    Args:
        database: Where they are.
        data_dir: Holds the key that seals addresses, made when missing, mode 0600.
        zone: In which hours are meant.

    Attributes:
        raising: What puts notices into it.

    Raises:
        OSError: The key can't be read or made.
    """

    def __init__(self, database: Database, data_dir: Path, zone: str) -> None:
        self._database = database
        self._folder = data_dir
        self.raising = Raising(database, zone)
        self._seal = Seal(data_dir / KEY_FILE)

    # Targets and rules

    def targets(self, scope: Scope = EVERYWHERE) -> list[Target]:
        """Those that somebody may know of: made by one who sees no more than they do."""
        with self._database.reading() as connection:
            found = targets_of(connection)
        return sorted((one for one in found if scope.covers(one.scope)), key=lambda one: natural(one.name))

    def target(self, number: int, scope: Scope = EVERYWHERE) -> Target | None:
        """One of them."""
        return next((target for target in self.targets(scope) if target.number == number), None)

    def add_target(
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

    def remove_target(self, connection: Connection, number: int) -> None:
        """Take a target away with its rules; what was not sent is dropped, the log stays."""
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
            is_place = 1 <= len(parts) <= 3 and all(parts) and place.isprintable() and len(place) <= 200
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

    # The queue

    def take_up(self) -> int:
        """After a start: what was being sent when the hub died goes again, marked as perhaps a double; how many."""
        died = update(notices).where(notices.c.state == "sending", notices.c.what != "test").returning(notices.c.number)
        with self._database.writing() as connection:
            tests = (notices.c.state == "sending", notices.c.what == "test")
            connection.execute(update(notices).where(*tests).values(state="failed", answer=""))
            return len(connection.execute(died.values(state="waiting", reason="again")).all())

    def due(self, now: float, busy: Sequence[int] = ()) -> dict[int, int]:
        """The next notice of each target that may be sent to now; those of targets that are busy left out."""
        c, t = notices.c, notice_targets.c
        query = (
            select(c.target, func.min(c.number).label("number"))
            .join(notice_targets, t.number == c.target)
            .where(c.state == "waiting", c.due_at <= now, t.rests_until <= now, c.target.not_in(busy))
            .group_by(c.target)
        )
        return {row.target: row.number for row in self._database.read(query)}

    def begin(self, number: int, now: float) -> Notice | None:
        """Mark a notice as being sent; `None` where it no longer waits."""
        waits = update(notices).where(notices.c.number == number, notices.c.state == "waiting")
        marked = waits.values(state="sending", tries=notices.c.tries + 1, tried_at=now).returning(notices)
        with self._database.writing() as connection:
            row = connection.execute(marked).one_or_none()
        return Notice(**row._mapping) if row else None

    def settle(self, notice: Notice, answer: Answer, now: float) -> None:
        """Put on record what came of sending; what failed is tried again later, for a day."""
        ok = answer.ok
        is_over = notice.what == "test" or now - notice.created_at > GIVE_UP_S
        state = "sent" if ok else "failed" if is_over else "waiting"
        with self._database.writing() as connection:
            connection.execute(
                update(notices)
                .where(notices.c.number == notice.number, notices.c.state == "sending")
                .values(
                    state=state,
                    answer=answer.cause or answer.text.replace("\0", "?"),
                    reason="again" if answer.unsure and not ok else notice.reason,
                )
            )
            if notice.what == "test":
                return
            t = notice_targets.c
            row = connection.execute(select(t.failures).where(t.number == notice.target)).one_or_none()
            failures = 0 if ok or row is None else row.failures + 1
            rest_s = _rest_s(failures) if failures else 0.0
            if answer.again_s is not None and failures:
                rest_s = min(max(answer.again_s, 1.0), LONGEST_REST_S)
            connection.execute(
                update(notice_targets)
                .where(t.number == notice.target)
                .values(failures=failures, rests_until=now + rest_s if failures else 0.0)
            )

    def put_back(self, notice: Notice, now: float, *, unsure: bool) -> None:
        """Have a notice that was begun, and came to no end, go again later, for a day.

        Args:
            notice: As it was begun.
            now: Unix seconds.
            unsure: Whether it may have been sent.
        """
        rest_s = _rest_s(notice.tries)
        # One that was held for longer than a day is not given up for a moment's failure.
        is_over = rest_s == LONGEST_REST_S and now - notice.created_at > GIVE_UP_S
        with self._database.writing() as connection:
            connection.execute(
                update(notices)
                .where(notices.c.number == notice.number, notices.c.state == "sending")
                .values(
                    state="failed" if is_over else "waiting",
                    reason="again" if unsure else notice.reason,
                    due_at=now + rest_s,
                )
            )

    def put_back_left(self, now: float, busy: Sequence[int]) -> int:
        """Put back what is being sent to targets that nobody is busy with: what became of it is not known; how many."""
        c = notices.c
        left = select(notices).where(c.state == "sending", c.what != "test", c.target.not_in(busy))
        found = [Notice(**row._mapping) for row in self._database.read(left)]
        for notice in found:
            self.put_back(notice, now, unsure=True)
        return len(found)

    def make_end(self, notice: Notice) -> None:
        """Have the notice of an alarm that was over before it could be told be that of its end, which is told once."""
        own = update(notices).where(notices.c.number == notice.number)
        with self._database.writing() as connection:
            connection.execute(own.values(incident=notice.incident.removesuffix(OVER) + OVER))

    def make_ends(self, summary: Notice, numbers: Sequence[int]) -> None:
        """Likewise, of alarms that a summary tells of."""
        names = [f"{ALARM}{number}" for number in numbers]
        theirs = (notices.c.summary == summary.number, notices.c.incident.in_(names))
        with self._database.writing() as connection:
            connection.execute(update(notices).where(*theirs).values(incident=notices.c.incident + OVER))

    def drop(self, notice: Notice, reason: str) -> None:
        """Put on record that a notice is not told after all."""
        with self._database.writing() as connection:
            connection.execute(
                update(notices).where(notices.c.number == notice.number).values(state="dropped", reason=reason)
            )

    def leave_out(self, summary: int, told: Sequence[str], reason: str) -> None:
        """Put on record that a summary tells of no other incidents than these after all."""
        others = (notices.c.summary == summary, notices.c.incident.not_in(told))
        with self._database.writing() as connection:
            connection.execute(update(notices).where(*others).values(state="dropped", reason=reason, summary=None))

    def add_test(self, target: Target, now: float) -> Notice:
        """A test message, to be sent at once by who asked for it."""
        row = {
            "target": target.number, "target_name": target.name, "what": "test", "severity": "info",
            "incident": f"test:{uuid.uuid4().hex}", "state": "sending", "created_at": now, "due_at": now, "tries": 1,
            "tried_at": now,
        }  # fmt: skip
        with self._database.writing() as connection:
            return Notice(**connection.execute(notices.insert().returning(notices), row).one()._mapping)

    def summed(self, number: int) -> list[str]:
        """Incidents that a summary tells of."""
        query = select(notices.c.incident).where(notices.c.summary == number).order_by(notices.c.number)
        return list(self._database.read(query).scalars())

    def log(self, targets: Sequence[int], before: int | None = None, limit: int = 50) -> list[Notice]:
        """Notices of these targets, latest first."""
        query = select(notices).where(notices.c.target.in_(targets)).order_by(notices.c.number.desc()).limit(limit)
        if before is not None:
            query = query.where(notices.c.number < before)
        return [Notice(**row._mapping) for row in self._database.read(query)]

    def tidy(self) -> None:
        """Keep the latest twenty thousand of what is done."""
        newest = select(func.max(notices.c.number)).scalar_subquery()
        done = notices.c.state.not_in(("waiting", "sending", "held"))
        with self._database.writing() as connection:
            connection.execute(delete(notices).where(notices.c.number <= newest - KEPT, done))


def _rest_s(failures: int) -> float:
    """How long to wait after so many failures."""
    return min(FIRST_REST_S * 2.0 ** min(failures - 1, 10), LONGEST_REST_S)
