"""How edge boxes come in and go: one-time codes are made, a box that knows one is let in, and a box is shut out.

A code (`codes`) holds for a quarter of an hour and for one box. The table keeps what it takes to check one, not the
code. Who tries a code that there isn't has so many tries an address; who names one that there is, without knowing it,
closes it after five: it can be seen on the wire which code is meant, but 60 bits are not guessed in five tries. Every
code made, every box that joined, was refused or shut out leaves its line in the audit log.
"""

from __future__ import annotations

import base64
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, or_, select, update

from detector.credentials.codes import derived, fingerprint, knows_code, make_code, parse_code
from detector.errors import LabelwatchError
from detector.hub.access.audit import Audit
from detector.hub.access.rate_limit import TokenBucket
from detector.hub.edges import keys as keys_of_edges
from detector.hub.edges.keys import ACTIVE, NEXT, REVOKED
from detector.hub.storage.database import Database, one_at_a_time
from detector.hub.storage.rights import EVERYWHERE, Scope
from detector.hub.storage.schema import edge_keys, edges, join_codes, rotations
from detector.wire import public_key_text

logger = logging.getLogger(__name__)

LIFE_S = 15 * 60.0
MOST_GUESSES = 5
MOST_OPEN = 20
CLOCK_S = 120.0  # signed words that name another time than this are worth little, and some are refused
NOBODY = "?"  # in the audit log: somebody who isn't known


class JoinRefused(LabelwatchError):  # noqa: N818  (an answer to a box, not an error of ours)
    """A box is not let in.

    Attributes:
        reason: A word for it, which the box has a text for: `code_wrong`, `code_locked`, `code_used`, `code_expired`,
            `code_other_name`, `clock`, `key_elsewhere`, `key_ended` or `name_taken`.
        told: What else the box may know.
    """

    def __init__(self, reason: str, **told: Any) -> None:
        super().__init__(reason)
        self.reason = reason
        self.told = told


class CodeNotMade(LabelwatchError):  # noqa: N818  (an answer to a person, not an error of ours)
    """A code can't be had; `reason` is the key of the text (`hub.texts`) that says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class JoinCode:
    """A code that was made, without the code: for which box (`None` is any), until when, and what became of it."""

    number: int
    site: str | None
    edge: str | None
    made_by: str
    made_at: float
    expires_at: float
    guesses: int
    used_at: float | None
    used_site: str | None
    used_edge: str | None
    used_key: str | None

    def state(self, now: float) -> str:
        """`open`, `used`, `locked` or `expired`."""
        if self.used_at is not None:
            return "used"
        if self.guesses >= MOST_GUESSES:
            return "locked"
        return "open" if now < self.expires_at else "expired"


class Enrolment:
    """Makes codes, lets boxes in, shuts them out. Safe to use from any thread."""

    def __init__(self, database: Database, audit: Audit) -> None:
        self._database = database
        self._audit = audit
        self._by_address = TokenBucket(size=10, every_s=60.0)
        # Of failures on record: whoever fails on purpose must not fill the disk.
        self._lines = TokenBucket(size=30, every_s=20.0)

    def make(self, by: str, at: float, *, site: str | None, edge: str | None) -> tuple[JoinCode, str]:
        """A new code, which is returned and kept nowhere.

        Args:
            by: Who makes it.
            at: Unix seconds now.
            site: Site that it is good for; `None` is any.
            edge: Name of the box that it is good for; `None` is any.

        Raises:
            CodeNotMade: There are too many open ones.
        """
        code = make_code()
        told = derived(parse_code(code))
        with self._database.writing() as connection:
            one_at_a_time(connection)
            _erase(connection, at)
            is_open = join_codes.c.used_at.is_(None), join_codes.c.expires_at > at
            if len(connection.execute(select(join_codes.c.number).where(*is_open)).all()) >= MOST_OPEN:
                raise CodeNotMade("box_too_many_codes")
            row = connection.execute(
                join_codes.insert()
                .values(
                    handle=told.handle, verifier=public_key_text(told.box_key), guesses=0, site=site, edge=edge,
                    answer_key=base64.b64encode(told.answer_key).decode(), made_by=by, made_at=at,
                    expires_at=at + LIFE_S,
                )
                .returning(*_CODE)
            ).one()  # fmt: skip
            made = _code(row)
            self._audit.add(connection, at, by, "join_code", _name(site, edge), code=made.number)
        return made, code

    def code(self, number: int, scope: Scope = EVERYWHERE) -> JoinCode | None:
        """A code by its number, if it is good for a site in a scope."""
        row = self._database.read(select(*_CODE).where(join_codes.c.number == number)).one_or_none()
        return _code(row) if row is not None and _is_seen(row.site, scope) else None

    def cancel(self, number: int, by: str, at: float) -> None:
        """Let a code work no more, if it still does."""
        c = join_codes.c
        with self._database.writing() as connection:
            one_at_a_time(connection)
            closed = connection.execute(
                update(join_codes)
                .where(c.number == number, c.used_at.is_(None), c.expires_at > at)
                .values(expires_at=at, answer_key=None)
                .returning(c.site, c.edge)
            ).one_or_none()
            if closed is not None:
                self._audit.add(connection, at, by, "join_code_cancelled", _name(*closed), code=number)

    def may_try(self, address: str, at: float) -> bool:
        """Whether another try from an address is heard; each counts until `join` finds that it was a good one."""
        return self._by_address.take(address, at)

    def join(self, request: Mapping[str, Any], address: str, at: float) -> tuple[JoinCode, bytes]:
        """Let a box in that knows a code.

        A request that was granted is granted again while its code lasts, since the answer may have been lost.

        Args:
            request: From `codes.read_join_request`.
            address: Where it comes from.
            at: Unix seconds now.

        Returns:
            The code that it used, and the key to authenticate the answer with.

        Raises:
            JoinRefused: With the reason. Nothing has changed, but that the try is counted.
        """
        site, edge = request["site"], request["edge"]
        try:
            with self._database.writing() as connection:
                one_at_a_time(connection)
                found = self._join(connection, request, at, address)
        except JoinRefused as refused:
            self._count(request, refused.reason, address, at)
            raise
        self._by_address.give_back(address, at)
        logger.info("edge %s/%s has joined", site, edge)
        return found

    def revoke(self, site: str, edge: str, by: str, at: float) -> bool:
        """Shut a box out: none of its keys is believed any more; tells whether there was one.

        What was stored stays. The name is free for another key from now on.
        """
        c = edge_keys.c
        with self._database.writing() as connection:
            one_at_a_time(connection)
            gone = connection.execute(
                update(edge_keys)
                .where(c.site == site, c.edge == edge, c.state != REVOKED)
                .values(state=REVOKED, until=at, ended_by=by)
                .returning(c.key)
            ).scalars()
            prints = sorted(map(fingerprint, gone))
            if not prints:
                return False
            r = rotations.c
            asked = r.site == site, r.edge == edge, r.done_at.is_(None)
            connection.execute(update(rotations).where(*asked).values(done_at=at))
            here = edges.c.site == site, edges.c.edge == edge
            # Nothing that it says is heard any more, its going least of all.
            connection.execute(
                update(edges).where(*here, edges.c.state == "online").values(state="offline", state_at=at)
            )
            self._audit.add(connection, at, by, "box_revoked", f"{site}/{edge}", keys=prints)
        logger.warning("edge %s/%s was shut out by %s", site, edge, by)
        return True

    def _join(
        self, connection: Connection, request: Mapping[str, Any], at: float, address: str
    ) -> tuple[JoinCode, bytes]:
        site, edge, key = request["site"], request["edge"], request["public_key"]
        c = join_codes.c
        _erase(connection, at)
        row = connection.execute(select(join_codes).where(c.handle == request["handle"])).one_or_none()
        if row is None or not knows_code(request, row.verifier):
            raise JoinRefused("code_wrong")
        if row.guesses >= MOST_GUESSES:
            raise JoinRefused("code_locked")
        if row.expires_at <= at or row.answer_key is None:
            raise JoinRefused("code_used" if row.used_at is not None else "code_expired")
        if row.used_at is not None and (row.used_site, row.used_edge, row.used_key) != (site, edge, key):
            raise JoinRefused("code_used")
        if (row.site or site, row.edge or edge) != (site, edge):
            raise JoinRefused("code_other_name", site=row.site, edge=row.edge)
        if abs(request["at_unix"] - at) > CLOCK_S:
            raise JoinRefused("clock", hub_at_unix=round(at, 3))
        answer_key = base64.b64decode(row.answer_key)
        _check_key(connection, site, edge, key)  # once more, too: the box may have been shut out since it joined
        if row.used_at is not None:
            return _code(row), answer_key
        self._let_in(connection, site, edge, key, at, row.made_by)
        used = {"used_at": at, "used_site": site, "used_edge": edge, "used_key": key}
        changed = connection.execute(update(join_codes).where(c.number == row.number).values(used).returning(*_CODE))
        told = {"key": fingerprint(key), "code": row.number, "address": address, "version": request["version"][:40]}
        self._audit.add(connection, at, row.made_by, "box_joined", f"{site}/{edge}", **told)
        return _code(changed.one()), answer_key

    def _let_in(self, connection: Connection, site: str, edge: str, key: str, at: float, by: str) -> None:
        if not keys_of_edges.add(self._database, connection, site, edge, key, at, by):
            raise JoinRefused("name_taken")
        r = rotations.c
        # What the broker keeps for a box of this name, which may be another one now: that its key is as it should be.
        asked = r.site == site, r.edge == edge
        connection.execute(update(rotations).where(*asked).values(new_key=key, done_at=at))

    def _count(self, request: Mapping[str, Any], reason: str, address: str, at: float) -> None:
        """Put a refusal on record; a wrong proof for a code that there is brings it nearer to its end."""
        c = join_codes.c
        with self._database.writing() as connection:
            one_at_a_time(connection)
            if reason == "code_wrong":
                connection.execute(
                    update(join_codes).where(c.handle == request["handle"]).values(guesses=c.guesses + 1)
                )  # fmt: skip
            if self._lines.take("", at):
                subject = f"{request['site'][:64]}/{request['edge'][:64]}"
                self._audit.add(connection, at, NOBODY, "join_refused", subject, reason=reason, address=address)


_CODE = [column for column in join_codes.c if column.name not in ("handle", "verifier", "answer_key")]


def _code(row: Row[Any]) -> JoinCode:
    return JoinCode(**{column.name: getattr(row, column.name) for column in _CODE})


def _check_key(connection: Connection, site: str, edge: str, key: str) -> None:
    c = edge_keys.c
    known = connection.execute(select(c.site, c.edge, c.state).where(c.key == key)).all()
    if any((row.site, row.edge) != (site, edge) and row.state in (ACTIVE, NEXT) for row in known):
        raise JoinRefused("key_elsewhere")
    if any((row.site, row.edge) == (site, edge) and row.state not in (ACTIVE, NEXT) for row in known):
        raise JoinRefused("key_ended")


def _erase(connection: Connection, at: float) -> None:
    """What authenticates answers is of no more use when its code is over."""
    ended = or_(join_codes.c.expires_at <= at, join_codes.c.guesses >= MOST_GUESSES)
    connection.execute(update(join_codes).where(ended, join_codes.c.answer_key.is_not(None)).values(answer_key=None))


def _is_seen(site: str | None, scope: Scope) -> bool:
    return scope.places is None if site is None else scope.sees(site)


def _name(site: str | None, edge: str | None) -> str:
    return f"{site or '*'}/{edge or '*'}"
