"""Who there is: users, where they are logged in, and the API tokens made in their name.

The database holds only hashes of passwords (argon2id), of session and API tokens and of recovery codes (SHA-256); the
secret that a phone makes codes of is no hash, since the hub makes them as well. Every change is made
`by` a `Principal`, checked against what that one may give away, and leaves its line in the audit log within the same
transaction. Times are Unix seconds from the caller's clock.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, delete, func, select, update

from detector.errors import LabelwatchError
from detector.hub.access.audit import Audit
from detector.hub.storage.database import Database, one_at_a_time
from detector.hub.storage.rights import RIGHTS, Principal, Right, Role, Scope
from detector.hub.storage.schema import recovery_codes, sessions, tokens, users
from detector.names import natural
from detector.values import DAY_S

# Letters of any script, and little else: a name is part of addresses and of `token:NAME`.
NAME = re.compile(r"\w(?:[\w .@+-]{0,62}\w)?")
NOBODY = "?"  # in the audit log: somebody who isn't known
LONGEST_SESSION_S = 30 * DAY_S  # however much it is in use, one logs in anew after so long
HANDLE = 16  # hexadecimal digits of a session's hash that name it


class PeopleError(LabelwatchError):
    """A change that isn't made; `reason` is the key of the text (`hub.texts`) that says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class User:
    """Somebody with a password; one who is disabled can't come in, but what they did stays theirs.

    `one_time_until` is set while the password is one that somebody else made: it opens until then, and the first thing
    it opens is the page that asks for another. `second_step`: whether a code is asked for after the password.
    """

    name: str
    role: Role
    scope: Scope
    created_at: float
    disabled_at: float | None
    last_seen: float | None
    one_time_until: float | None
    second_step: bool = False

    @property
    def standing(self) -> str:
        """Role and places as one text, by which a form tells whether they are what they were."""
        return f"{self.role} {'*' if self.scope.names is None else ','.join(self.scope.names)}"


@dataclass(frozen=True, slots=True)
class OpenSession:
    """A browser where a user is logged in; `handle` names it without opening it."""

    handle: str
    user: str
    created_at: float
    last_seen: float
    address: str
    browser: str


@dataclass(frozen=True, slots=True)
class Token:
    """An API token, which acts with a role and scope of its own until it expires or is revoked."""

    name: str
    user: str
    role: Role
    scope: Scope
    created_at: float
    expires_at: float
    last_used: float | None
    revoked_at: float | None

    def is_open(self, at: float) -> bool:
        """Whether it still works."""
        return self.revoked_at is None and at < self.expires_at


class People:
    """Users, sessions and API tokens of a database. Safe to use from any thread."""

    def __init__(self, database: Database) -> None:
        self._database, self._reading, self._writing = database, database.reading, database.writing
        self._audit = Audit(database)

    # Users

    def has_owner(self) -> bool:
        """Whether somebody owns the whole hub, and isn't disabled."""
        return self._database.read(_OWNERS).first() is not None

    def users(self, scope: Scope) -> list[User]:
        """Those who see nothing beyond a scope, by name; the disabled ones last."""
        found = [_user(row) for row in self._database.read(select(users))]
        found = [user for user in found if scope.covers(user.scope)]
        return sorted(found, key=lambda user: (user.disabled_at is not None, natural(user.name)))

    def user(self, name: str) -> User | None:
        """One user."""
        with self._reading() as connection:
            return _find(connection, name)

    def password_hash(self, name: str, at: float) -> str | None:
        """What the password of a user is checked against; `None` for one who can't come in."""
        if not NAME.fullmatch(name):
            return None
        c = users.c
        opens = c.disabled_at.is_(None) & (c.one_time_until.is_(None) | (c.one_time_until > at))
        return self._database.read(select(c.password_hash).where(c.name == name, opens)).scalar_one_or_none()

    def add(
        self, by: Principal, name: str, password_hash: str, at: float, *,
        role: Role, scope: Scope, one_time_until: float | None = None,
    ) -> None:  # fmt: skip
        """Make a user.

        Raises:
            PeopleError: The name is taken or is none, or `by` may not give such a role or scope.
        """
        if not NAME.fullmatch(name):
            raise PeopleError("people_name_wrong")
        _check_gift(by, role, scope)
        row = {
            "name": name, "password_hash": password_hash, "created_at": at, "role": role, "scope": scope.names,
            "one_time_until": one_time_until,
        }  # fmt: skip
        with self._writing() as connection:
            one_at_a_time(connection)
            taken = connection.execute(select(users.c.name)).scalars()
            if name.casefold() in {one.casefold() for one in taken}:
                raise PeopleError("people_name_taken")
            connection.execute(users.insert(), row)
            self._audit.add(connection, at, by.user, "user_added", name, role=role, scope=scope.names)

    def set_password(
        self, by: Principal, name: str, password_hash: str, at: float, *, one_time_until: float | None = None
    ) -> None:
        """Give a user another password, which ends all their sessions; a one-time one where somebody else makes it.

        Raises:
            PeopleError: `by` may not change this user.
        """
        with self._writing() as connection:
            one_at_a_time(connection)
            _check_may_change(by, _find(connection, name))
            values = {"password_hash": password_hash, "one_time_until": one_time_until}
            connection.execute(update(users).where(users.c.name == name).values(values))
            connection.execute(delete(sessions).where(sessions.c.user == name))
            action = "password_changed" if one_time_until is None else "password_reset"
            self._audit.add(connection, at, by.user, action, name)

    def change(self, by: Principal, name: str, at: float, *, role: Role, scope: Scope, seen: str | None = None) -> None:
        """Give a user another role and scope; their tokens that reach further are revoked.

        With `seen`, only where these are what `by` had before their eyes (`User.standing`).

        Raises:
            PeopleError: `by` may not change this user or give these, nobody would be left to own the hub, or somebody
                else was quicker.
        """
        if name == by.user:
            raise PeopleError("people_not_oneself")
        _check_gift(by, role, scope)
        with self._writing() as connection:
            one_at_a_time(connection)
            before = _check_may_change(by, _find(connection, name))
            if (before.role, before.scope) == (role, scope):
                return
            if seen not in (None, before.standing):
                raise PeopleError("people_changed")
            connection.execute(update(users).where(users.c.name == name).values(role=role, scope=scope.names))
            _check_owner_left(connection)
            self._audit.add(
                connection, at, by.user, "user_changed", name, role=role, scope=scope.names,
                role_before=before.role, scope_before=before.scope.names,
            )  # fmt: skip
            for token in _tokens(connection, name):
                if not (RIGHTS[token.role] <= RIGHTS[role] and scope.covers(token.scope)):
                    self._revoke(connection, by, token, at)

    def disable(self, by: Principal, name: str, at: float) -> None:
        """Let a user in no more: sessions end, tokens are revoked; the name stays, for what it stands under.

        Raises:
            PeopleError: `by` may not change this user, or nobody would be left to own the hub.
        """
        if name == by.user:
            raise PeopleError("people_not_oneself")
        with self._writing() as connection:
            one_at_a_time(connection)
            if _check_may_change(by, _find(connection, name)).disabled_at is not None:
                return
            connection.execute(update(users).where(users.c.name == name).values(disabled_at=at))
            _check_owner_left(connection)
            connection.execute(delete(sessions).where(sessions.c.user == name))
            self._audit.add(connection, at, by.user, "user_disabled", name)
            for token in _tokens(connection, name):
                self._revoke(connection, by, token, at)

    def enable(self, by: Principal, name: str, at: float) -> None:
        """Let a disabled user in again, by the password of before.

        Raises:
            PeopleError: `by` may not change this user.
        """
        with self._writing() as connection:
            one_at_a_time(connection)
            if _check_may_change(by, _find(connection, name)).disabled_at is None:
                return
            connection.execute(update(users).where(users.c.name == name).values(disabled_at=None))
            self._audit.add(connection, at, by.user, "user_enabled", name)

    # The second step of a login

    def step_secret(self, name: str) -> str | None:
        """What the codes of a user's phone are made of, sealed; `None` where none are asked for."""
        return self._database.read(select(users.c.step_secret).where(users.c.name == name)).scalar_one_or_none()

    def set_second_step(self, by: Principal, secret: str, recovery: Sequence[str], step: int, at: float) -> None:
        """Ask oneself for codes from now on.

        `secret` is sealed; `recovery` are hashes of codes that open once, `step` is used up.
        """
        with self._writing() as connection:
            one_at_a_time(connection)
            values = {"step_secret": secret, "step_used": step}
            connection.execute(update(users).where(users.c.name == by.user).values(values))
            _put_recovery_codes(connection, by.user, recovery)
            self._audit.add(connection, at, by.user, "second_step_set", by.user)

    def set_recovery_codes(self, by: Principal, recovery: Sequence[str], at: float) -> None:
        """Have other recovery codes than before, given as hashes."""
        with self._writing() as connection:
            one_at_a_time(connection)
            _put_recovery_codes(connection, by.user, recovery)
            self._audit.add(connection, at, by.user, "recovery_codes_made", by.user)

    def recovery_codes_left(self, name: str) -> int:
        """How many recovery codes of a user still open."""
        query = select(func.count()).select_from(recovery_codes).where(recovery_codes.c.user == name)
        return int(self._database.read(query).scalar_one())

    def drop_second_step(self, by: Principal, name: str, at: float) -> None:
        """Ask a user for no codes any more.

        Raises:
            PeopleError: `by` may not change this user.
        """
        with self._writing() as connection:
            one_at_a_time(connection)
            if not _check_may_change(by, _find(connection, name)).second_step:
                return
            nothing = {"step_secret": None, "step_used": None}
            connection.execute(update(users).where(users.c.name == name).values(nothing))
            _put_recovery_codes(connection, name, ())
            self._audit.add(connection, at, by.user, "second_step_dropped", name)

    def use_step(self, name: str, secret: str, step: int) -> bool:
        """Use up a time step of a user's codes, and all before it; tells whether it wasn't yet."""
        c = users.c
        fresh = (c.name == name, c.step_secret == secret, c.step_used < step)
        with self._writing() as connection:
            return connection.execute(update(users).where(*fresh).values(step_used=step)).rowcount == 1

    def use_recovery_code(self, name: str, sha256: str, at: float) -> bool:
        """Use up a recovery code; tells whether there was such a one."""
        c = recovery_codes.c
        with self._writing() as connection:
            one_at_a_time(connection)
            done = connection.execute(delete(recovery_codes).where(c.user == name, c.sha256 == sha256))
            if done.rowcount == 1:
                self._audit.add(connection, at, name, "recovery_code_used", name)
            return done.rowcount == 1

    # Sessions

    def open_session(
        self, sha256: str, name: str, password_hash: str, at: float, expires_at: float, *, address: str, browser: str
    ) -> bool:
        """Open a session; expired ones are removed on the way.

        Returns:
            Whether it is open: it isn't where the password has changed, or the user was disabled, since it was checked.
        """
        row = {
            "token_sha256": sha256, "user": name, "created_at": at, "expires_at": expires_at, "last_seen": at,
            "address": address, "browser": browser,
        }  # fmt: skip
        same = (users.c.name == name, users.c.password_hash == password_hash, users.c.disabled_at.is_(None))
        with self._writing() as connection:
            one_at_a_time(connection)
            if connection.execute(select(users.c.name).where(*same)).first() is None:
                return False
            connection.execute(delete(sessions).where(sessions.c.expires_at <= at))
            connection.execute(sessions.insert(), row)
            connection.execute(update(users).where(users.c.name == name).values(last_seen=at))
            self._audit.add(connection, at, name, "login", address=address, session=sha256[:HANDLE])
            return True

    def note_failure(self, action: str, typed: str, address: str, at: float, unrecorded: int) -> None:
        """Put on record that somebody didn't come in; a name that is no user's is left out: it may be a password."""
        known = self.user(typed)
        more: dict[str, Any] = {"unrecorded": unrecorded} if unrecorded else {}
        self._audit.record(at, known.name if known else NOBODY, action, address=address, **more)

    def session(self, sha256: str, at: float) -> tuple[User, float] | None:
        """User and expiry of a session that is open at this time."""
        query = (
            select(users, sessions.c.expires_at)
            .join(sessions, users.c.name == sessions.c.user)
            .where(sessions.c.token_sha256 == sha256, *_open(at), users.c.disabled_at.is_(None))
        )
        row = self._database.read(query).one_or_none()
        return (_user(row), row.expires_at) if row else None

    def extend_session(self, sha256: str, name: str, at: float, expires_at: float, *, address: str) -> None:
        """Let a session live longer, and note when and where it was in use."""
        with self._writing() as connection:
            # In the order of those who change a user, or each of the two might wait for the other.
            connection.execute(update(users).where(users.c.name == name).values(last_seen=at))
            values = {"expires_at": expires_at, "last_seen": at, "address": address}
            connection.execute(update(sessions).where(sessions.c.token_sha256 == sha256).values(values))

    def sessions(self, name: str, at: float) -> list[OpenSession]:
        """Sessions of a user that are open at this time, the one used last first."""
        c = sessions.c
        last_seen = func.coalesce(c.last_seen, c.created_at).label("last_seen")
        query = select(c.token_sha256, c.user, c.created_at, last_seen, c.address, c.browser)
        query = query.where(c.user == name, *_open(at)).order_by(last_seen.desc(), c.token_sha256)
        return [OpenSession(row[0][:HANDLE], *row[1:]) for row in self._database.read(query)]

    def log_out(self, sha256: str, name: str, at: float) -> None:
        """End the session that somebody leaves."""
        with self._writing() as connection:
            one_at_a_time(connection)
            connection.execute(delete(sessions).where(sessions.c.token_sha256 == sha256))
            self._audit.add(connection, at, name, "logout", session=sha256[:HANDLE])

    def end_sessions(self, by: Principal, name: str, at: float, handle: str | None = None) -> None:
        """End one session of a user, or all.

        Raises:
            PeopleError: `by` may not change this user.
        """
        c = sessions.c
        own = c.user == name
        which = own if handle is None else own & (func.substr(c.token_sha256, 1, HANDLE) == handle)
        with self._writing() as connection:
            one_at_a_time(connection)
            _check_may_change(by, _find(connection, name))
            gone = connection.execute(delete(sessions).where(which).returning(c.token_sha256)).scalars().all()
            if gone:
                ended = sorted(sha256[:HANDLE] for sha256 in gone)
                self._audit.add(connection, at, by.user, "sessions_ended", name, sessions=ended)

    # API tokens

    def add_token(
        self, by: Principal, name: str, sha256: str, at: float, *, role: Role, scope: Scope, expires_at: float
    ) -> None:
        """Make a token in the name of `by`.

        Raises:
            PeopleError: The name was taken once or is none, or the token would reach further than `by` does.
        """
        if not NAME.fullmatch(name):
            raise PeopleError("people_name_wrong")
        if not _may_act_as(by, role):
            raise PeopleError("people_token_role")
        if not by.scope.covers(scope):
            raise PeopleError("people_wider_scope")
        row = {
            "name": name, "token_sha256": sha256, "user": by.user, "role": role, "scope": scope.names,
            "created_at": at, "expires_at": expires_at,
        }  # fmt: skip
        with self._writing() as connection:
            one_at_a_time(connection)
            taken = connection.execute(select(tokens.c.name)).scalars()
            if name.casefold() in {one.casefold() for one in taken}:
                raise PeopleError("people_token_taken")
            connection.execute(tokens.insert(), row)
            self._audit.add(
                connection, at, by.user, "token_made", name, role=role, scope=scope.names, expires_at=expires_at
            )

    def token(self, sha256: str, at: float) -> Token | None:
        """The token with a hash, if it works at this time."""
        query = select(tokens).join(users, users.c.name == tokens.c.user)
        query = query.where(tokens.c.token_sha256 == sha256, users.c.disabled_at.is_(None))
        row = self._database.read(query).one_or_none()
        token = _token(row) if row else None
        return token if token and token.is_open(at) else None

    def tokens(self, scope: Scope, user: str | None = None) -> list[Token]:
        """Tokens that reach nowhere beyond a scope, of one user or all, latest first."""
        with self._reading() as connection:
            return [token for token in _tokens(connection, user) if scope.covers(token.scope)]

    def token_used(self, name: str, at: float) -> None:
        """Note when a token was in use."""
        with self._writing() as connection:
            connection.execute(update(tokens).where(tokens.c.name == name).values(last_used=at))

    def revoke_token(self, by: Principal, name: str, at: float) -> None:
        """Let a token work no more.

        Raises:
            PeopleError: There is none such that `by` may change.
        """
        with self._writing() as connection:
            one_at_a_time(connection)
            token = next((one for one in _tokens(connection) if one.name == name), None)
            if token is None:
                raise PeopleError("people_unknown")
            _check_may_change(by, _find(connection, token.user))
            self._revoke(connection, by, token, at)

    def _revoke(self, connection: Connection, by: Principal, token: Token, at: float) -> None:
        if token.revoked_at is None:
            connection.execute(update(tokens).where(tokens.c.name == token.name).values(revoked_at=at))
            self._audit.add(connection, at, by.user, "token_revoked", token.name, of=token.user)


def _put_recovery_codes(connection: Connection, name: str, hashes: Sequence[str]) -> None:
    connection.execute(delete(recovery_codes).where(recovery_codes.c.user == name))
    if hashes:
        connection.execute(recovery_codes.insert(), [{"user": name, "sha256": one} for one in hashes])


def _open(at: float) -> tuple[ColumnElement[bool], ...]:
    return sessions.c.expires_at > at, sessions.c.created_at > at - LONGEST_SESSION_S


def may_change(by: Principal, user: User) -> bool:
    """Whether somebody may change a user: themself, or one who may do no more than they, and nowhere else."""
    manages = by.may(Right.PEOPLE) and _may_act_as(by, user.role) and by.scope.covers(user.scope)
    return by.user == user.name or manages


def roles_given_by(by: Principal) -> Sequence[Role]:
    """The roles that somebody may give, to users and to tokens: those without a right that they lack themselves."""
    return [role for role in Role if _may_act_as(by, role)]


def as_name(typed: str) -> str:
    """A name as it is kept: input methods write the same letters in several widths."""
    return unicodedata.normalize("NFKC", typed).strip()


def _may_act_as(by: Principal, role: Role) -> bool:
    """Whether a role has no right that somebody lacks: otherwise they could log in as whoever they made or reset."""
    return RIGHTS[role] <= RIGHTS[by.role]


def _check_gift(by: Principal, role: Role, scope: Scope) -> None:
    if not _may_act_as(by, role):
        raise PeopleError("people_owner_only")
    if not by.scope.covers(scope):
        raise PeopleError("people_wider_scope")


def _check_may_change(by: Principal, user: User | None) -> User:
    if user is None or not (by.user == user.name or by.scope.covers(user.scope)):
        raise PeopleError("people_unknown")
    if not may_change(by, user):
        raise PeopleError("people_owner_only")
    return user


_OWNERS = select(users.c.name).where(users.c.role == Role.OWNER, users.c.scope.is_(None), users.c.disabled_at.is_(None))


def _check_owner_left(connection: Connection) -> None:
    if connection.execute(_OWNERS).first() is None:
        raise PeopleError("people_last_owner")


def _find(connection: Connection, name: str) -> User | None:
    if not NAME.fullmatch(name):
        return None
    row = connection.execute(select(users).where(users.c.name == name)).one_or_none()
    return _user(row) if row else None


def _user(row: Row[Any]) -> User:
    return User(
        row.name, Role(row.role), Scope.of(row.scope), row.created_at, row.disabled_at, row.last_seen,
        row.one_time_until, row.step_secret is not None,
    )  # fmt: skip


def _tokens(connection: Connection, user: str | None = None) -> list[Token]:
    query = select(tokens).order_by(tokens.c.number.desc())
    return [_token(row) for row in connection.execute(query if user is None else query.where(tokens.c.user == user))]


def _token(row: Row[Any]) -> Token:
    return Token(
        row.name, row.user, Role(row.role), Scope.of(row.scope), row.created_at, row.expires_at, row.last_used,
        row.revoked_at,
    )  # fmt: skip
