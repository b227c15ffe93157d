"""Who may come in: passwords, codes, sessions, API tokens.

A session is a random token in a cookie, an API token one in a header; the database holds only their SHA-256. Times come
from the caller's clock.
"""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import os
import secrets
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import ARGON2_VERSION

from detector.credentials.codes import make_password
from detector.hub.access import second_step
from detector.hub.access.people import HANDLE, People, as_name
from detector.hub.access.rate_limit import TokenBucket, TooManyTries, network_of
from detector.hub.access.seal import Seal, SealBroken
from detector.hub.storage.rights import CONSOLE, EVERYWHERE, Principal, Role, Scope
from detector.values import DAY_S

logger = logging.getLogger(__name__)

SESSION_S = 12 * 3600.0
RENEW_S = 600.0  # use of a session or token is noted at most this often: each time costs an fsync
ONE_TIME_S = 7 * DAY_S  # a password that somebody else made opens for so long
TOKEN_DAYS = 90
LONGEST_TOKEN_DAYS = 3660
TOKEN_PREFIX = "lw_"  # noqa: S105  (so that a leaked one is known for what it is)
HASHES_AT_ONCE = 2  # 64 MiB and 0.4 s each with argon2's own defaults
MOST_HASHING = 4  # with those that wait for their turn: each holds one of the few threads that make pages
TURN_S = 5.0
SHORTEST_PASSWORD = 10
CODE_S = 300.0  # so long is left for a code after the password, and for the first one after the QR code
CODE_TRIES = 5
MOST_WAITING = 1000  # logins that wait for a code
MOST_PLACES = 1000  # that people came in from
FIRST_USER = "owner"
FIRST_LOGIN = "first-login.json"


@dataclass(frozen=True, slots=True)
class Session(Principal):
    """Somebody who is logged in; one with a one-time password has to choose another before anything else.

    `second_step`: they came, or next time will come, by a code as well.
    """

    token: str = field(repr=False)
    must_change: bool = False
    second_step: bool = False

    @property
    def sha256(self) -> str:
        """What the database knows it by."""
        return _digest(self.token)

    @property
    def handle(self) -> str:
        """What names it without opening it."""
        return self.sha256[:HANDLE]


@dataclass(frozen=True, slots=True)
class CodeWanted:
    """The password was right; `token` lets the code follow it, once."""

    token: str = field(repr=False)


@dataclass(slots=True)
class _Waiting:
    """A login that waits for its code."""

    user: str
    password_hash: str
    until: float
    tries: int = 0


class LoginOver(Exception):  # noqa: N818  (an answer to a visitor, not an error of ours)
    """The code came too late, or wrong too often: the password is wanted anew."""


def hash_of_nobody(hasher: PasswordHasher) -> str:
    """What is checked for a user who doesn't exist, so that both take equally long: random, in a hash's form.

    To make it of a password would take a fifth of a second at each start.
    """
    salt, made = (base64.b64encode(os.urandom(n)).rstrip(b"=").decode() for n in (hasher.salt_len, hasher.hash_len))
    how = f"m={hasher.memory_cost},t={hasher.time_cost},p={hasher.parallelism}"
    return f"$argon2{hasher.type.name.lower()}$v={ARGON2_VERSION}${how}${salt}${made}"


class Gate:
    """Checks passwords, sessions and API tokens, and makes them.

    Args:
        people: Who there is.
        hasher: Of passwords; argon2id with the library's defaults when left out (tests use cheap ones).
        seal: Of what phones make codes of; without one nobody can set up a second step, or come in by it.
    """

    def __init__(self, people: People, hasher: PasswordHasher | None = None, seal: Seal | None = None) -> None:
        self.people = people
        self._seal = seal
        self._hasher = hasher or PasswordHasher()
        self._hashing = threading.BoundedSemaphore(HASHES_AT_ONCE)
        self._in_line = threading.BoundedSemaphore(MOST_HASHING)
        self._by_address = TokenBucket(size=10, every_s=6.0)
        # Wider than by address, and not asked where they came in from before, so that a stranger can hardly keep the
        # owner out by failing in the owner's name, be it from many addresses.
        self._by_user = TokenBucket(size=30, every_s=6.0)
        self._by_session = TokenBucket(size=30, every_s=6.0)
        self._came_in: OrderedDict[tuple[str, str], None] = OrderedDict()  # users and networks, since the start
        self._unknown_tokens = TokenBucket(size=10, every_s=6.0)
        self._made_by = TokenBucket(size=20, every_s=30.0)
        # Of wrong codes: of a million, three are right at a time, so that 300 a day are found out in years.
        self._by_code = TokenBucket(size=10, every_s=288.0)
        self._waiting: OrderedDict[str, _Waiting] = OrderedDict()
        self._offered: OrderedDict[str, tuple[str, float]] = OrderedDict()  # secrets shown, not in force yet
        self._lock = threading.Lock()
        # Of failures on record: whoever fails on purpose must not fill the disk.
        self._lines = TokenBucket(size=60, every_s=10.0)
        self._unrecorded = 0
        self._nobody = hash_of_nobody(self._hasher)

    def make_first_user(self, data_dir: Path, at: float) -> dict[str, str] | None:
        """Make an owner with a random password when there is none, and leave it in `first-login.json` (mode 0600).

        There may be others, whom the console has added before the hub ran.

        Returns:
            `user` and `password`, or `None` when an owner exists.
        """
        if self.people.has_owner():
            return None
        taken = {user.name.casefold() for user in self.people.users(EVERYWHERE)}
        names = (FIRST_USER, *(f"{FIRST_USER}{n}" for n in range(2, len(taken) + 2)))
        login = {"user": next(name for name in names if name not in taken), "password": make_password()}
        file = data_dir / FIRST_LOGIN
        file.unlink(missing_ok=True)
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
            json.dump(login, out)
        hashed = self._hasher.hash(login["password"])
        self.people.add(CONSOLE, login["user"], hashed, at, role=Role.OWNER, scope=EVERYWHERE)
        return login

    def log_in(self, user: str, password: str, address: str, at: float, browser: str = "") -> str | CodeWanted | None:
        """Open a session, or where the user has a second step, ask for the code (`enter_code`).

        Returns:
            The session's token; `None` when user or password is wrong.

        Raises:
            TooManyTries: From this address or for this user, or too many are trying just now.
        """
        user = as_name(user[:200])
        network = network_of(address)
        with self._lock:
            is_known = (user, network) in self._came_in
        if not self._by_address.take(network, at) or not (is_known or self._by_user.take(user, at)):
            self._note("login_refused", user, address, at)
            raise TooManyTries
        hashed = self._hash_of(user, password, at, in_line_s=TURN_S if is_known else 0.0)
        if hashed is None:
            self._note("login_failed", user, address, at)
            return None
        self._by_address.give_back(network, at)
        if not is_known:
            self._by_user.give_back(user, at)
        if self.people.step_secret(user) is not None:
            token = secrets.token_urlsafe(32)
            with self._lock:
                self._waiting[_digest(token)] = _Waiting(user, hashed, at + CODE_S)
                if len(self._waiting) > MOST_WAITING:
                    self._waiting.popitem(last=False)
            return CodeWanted(token)
        return self._open(user, hashed, address, at, browser)

    def enter_code(self, token: str, typed: str, address: str, at: float, browser: str = "") -> str | None:
        """Open the session of somebody whose password was right, by a code of their phone or a recovery code.

        Returns:
            The session's token, or `None` when the code is wrong, or was used before.

        Raises:
            LoginOver: The password is wanted anew.
            TooManyTries: For this user.
        """
        key = _digest(token)
        with self._lock:
            waiting = self._waiting.get(key)
            if waiting is None or at > waiting.until or waiting.tries >= CODE_TRIES:
                self._waiting.pop(key, None)
                raise LoginOver
            waiting.tries += 1
        if not self._by_code.take(waiting.user, at):
            self._note("login_refused", waiting.user, address, at)
            raise TooManyTries
        if not self._is_code(waiting.user, typed, at):
            self._note("code_failed", waiting.user, address, at)
            return None
        self._by_code.give_back(waiting.user, at)
        with self._lock:
            self._waiting.pop(key, None)
        return self._open(waiting.user, waiting.password_hash, address, at, browser)

    def offer_second_step(self, session: Session, password: str, at: float) -> str | None:
        """A secret for one's phone, in force once `set_second_step` gets a code of it; `None`: wrong password.

        Raises:
            TooManyTries: For this user.
        """
        if not self._is_password(session, password, at):
            return None
        secret = second_step.new_secret()
        with self._lock:
            self._offered[session.sha256] = (secret, at + CODE_S)
            if len(self._offered) > MOST_WAITING:
                self._offered.popitem(last=False)
        return secret

    def offered(self, session: Session, at: float) -> str | None:
        """The secret that was offered in this session and isn't in force yet."""
        with self._lock:
            secret, until = self._offered.get(session.sha256, ("", 0.0))
        return secret if at <= until else None

    def set_second_step(self, session: Session, typed: str, at: float) -> list[str] | None:
        """Ask for codes from now on; the recovery codes, kept nowhere, or `None` when the code is wrong.

        Raises:
            TooManyTries: For this user.
            LoginOver: Nothing was offered, or that is too long ago.
        """
        secret = self.offered(session, at)
        if secret is None:
            raise LoginOver
        if not self._by_code.take(session.user, at):
            raise TooManyTries
        step = second_step.step_of(secret, typed, at)
        if step is None:
            return None
        self._by_code.give_back(session.user, at)
        with self._lock:
            self._offered.pop(session.sha256, None)
        made = second_step.new_recovery_codes()
        hashes = [second_step.recovery_sha256(one) for one in made]
        assert self._seal is not None, "a gate without a seal offers no second step"
        self.people.set_second_step(session, self._seal.seal(secret), hashes, step, at)
        return made

    def drop_second_step(self, session: Session, password: str, at: float) -> bool:
        """Be asked for codes no more; tells whether the password was right.

        Raises:
            TooManyTries: For this user.
        """
        if not self._is_password(session, password, at):
            return False
        self.people.drop_second_step(session, session.user, at)
        return True

    def make_recovery_codes(self, session: Session, password: str, at: float) -> list[str] | None:
        """Other recovery codes instead of those of before, kept nowhere; `None` when the password is wrong.

        Raises:
            TooManyTries: For this user.
        """
        if not self._is_password(session, password, at) or not session.second_step:
            return None
        made = second_step.new_recovery_codes()
        self.people.set_recovery_codes(session, [second_step.recovery_sha256(one) for one in made], at)
        return made

    def change_password(self, session: Session, old: str, new: str, at: float) -> bool:
        """Change one's password, which ends all of one's sessions; tells whether the old one was right.

        Raises:
            TooManyTries: For this user.
        """
        if not self._is_password(session, old, at):
            return False
        self.people.set_password(session, session.user, self._hash(new), at)
        return True

    def add_user(self, by: Principal, name: str, at: float, *, role: Role, scope: Scope) -> str:
        """Make a user with a one-time password, which is returned and kept nowhere.

        Raises:
            PeopleError: As `People.add`.
            TooManyTries: Of this by the same person.
        """
        self._take_making(by, at)
        password = make_password()
        until = at + ONE_TIME_S
        self.people.add(by, name, self._hash(password), at, role=role, scope=scope, one_time_until=until)
        return password

    def reset_password(self, by: Principal, name: str, at: float) -> str:
        """Give a user a one-time password, which is returned and kept nowhere; their sessions end.

        Raises:
            PeopleError: As `People.set_password`.
            TooManyTries: Of this by the same person.
        """
        self._take_making(by, at)
        password = make_password()
        self.people.set_password(by, name, self._hash(password), at, one_time_until=at + ONE_TIME_S)
        return password

    def make_token(self, by: Principal, name: str, at: float, *, role: Role, scope: Scope, days: int) -> str:
        """Make an API token, which is returned and kept nowhere.

        Raises:
            PeopleError: As `People.add_token`.
            TooManyTries: Of this by the same person.
        """
        self._take_making(by, at)
        token = TOKEN_PREFIX + secrets.token_urlsafe(32)
        self.people.add_token(by, name, _digest(token), at, role=role, scope=scope, expires_at=at + days * DAY_S)
        return token

    def session(self, token: str | None, at: float, *, extend: bool = True, address: str = "") -> Session | None:
        """The session of a token; in use it slides on, twelve hours from the last time."""
        if not token:
            return None
        found = self.people.session(_digest(token), at)
        if found is None:
            return None
        user, expires_at = found
        if extend and at + SESSION_S - expires_at > RENEW_S:
            self.people.extend_session(_digest(token), user.name, at, at + SESSION_S, address=address)
        return Session(user.name, user.role, user.scope, token, user.one_time_until is not None, user.second_step)

    def is_open(self, session: Session | None, at: float) -> bool:
        """Whether a session is still what it was: open, with the same role and scope. It is no sign of use."""
        return session is not None and self.session(session.token, at, extend=False) == session

    def bearer(self, token: str, address: str, at: float) -> Principal | None:
        """Who an API token acts as; `None` when it doesn't work.

        Raises:
            TooManyTries: With tokens that don't, from this address.
        """
        # First of all: a program whose token has ended asks on, and keeps no other of its address out.
        found = self.people.token(_digest(token), at) if token.startswith(TOKEN_PREFIX) else None
        if found is None:
            if not self._unknown_tokens.take(network_of(address), at):
                raise TooManyTries
            self._note("token_refused", "", address, at)
            return None
        if found.last_used is None or at - found.last_used > RENEW_S:
            self.people.token_used(found.name, at)
        return Principal(f"token:{found.name}", found.role, found.scope)

    def is_good(self, token: str, principal: Principal, at: float) -> bool:
        """Whether an API token still opens what it did. It is no sign of use."""
        found = self.people.token(_digest(token), at)
        return found is not None and Principal(principal.user, found.role, found.scope) == principal

    def log_out(self, session: Session, at: float) -> None:
        """End a session."""
        self.people.log_out(session.sha256, session.user, at)

    def _open(self, user: str, password_hash: str, address: str, at: float, browser: str) -> str | None:
        token = secrets.token_urlsafe(32)
        opened = self.people.open_session(
            _digest(token), user, password_hash, at, at + SESSION_S, address=address, browser=browser
        )
        if not opened:
            return None
        place = user, network_of(address)
        with self._lock:
            self._came_in[place] = None
            self._came_in.move_to_end(place)
            if len(self._came_in) > MOST_PLACES:
                self._came_in.popitem(last=False)
        return token

    def _is_password(self, session: Session, password: str, at: float) -> bool:
        if not self._by_session.take(session.sha256, at):
            raise TooManyTries
        return self._hash_of(session.user, password, at) is not None

    def _is_code(self, user: str, typed: str, at: float) -> bool:
        sealed = self.people.step_secret(user)
        if sealed is None:
            return False  # it was dropped meanwhile: the password alone opens, asked for anew
        secret = self._unsealed(sealed, user)
        step = None if secret is None else second_step.step_of(secret, typed, at)
        if step is not None:
            return self.people.use_step(user, sealed, step)
        return self.people.use_recovery_code(user, second_step.recovery_sha256(typed[:100]), at)

    def _unsealed(self, sealed: str, user: str) -> str | None:
        """What a user's phone makes codes of; `None` where the key to it is gone."""
        try:
            return None if self._seal is None else self._seal.open(sealed)
        except SealBroken as error:
            logger.error("codes of %s can't be checked (%s): only their recovery codes open", user, error)
            return None

    def _note(self, action: str, user: str, address: str, at: float) -> None:
        """Put a failure on record, or count it for the next line where there were too many."""
        if self._lines.take("", at):
            unrecorded, self._unrecorded = self._unrecorded, 0
            self.people.note_failure(action, user, address, at, unrecorded)
        else:
            self._unrecorded += 1

    def _hash_of(self, user: str, password: str, at: float, *, in_line_s: float = TURN_S) -> str | None:
        """The hash that a user's password fits; `None` where it fits none."""
        if len(password) > 1000:
            return None
        known = self.people.password_hash(user, at)
        with self._one_of_few(in_line_s):
            try:
                return known if self._hasher.verify(known or self._nobody, password) else None
            except (VerificationError, InvalidHashError):
                return None

    def _hash(self, password: str) -> str:
        with self._one_of_few():
            return self._hasher.hash(password)

    @contextmanager
    def _one_of_few(self, in_line_s: float = TURN_S) -> Iterator[None]:
        """Hash when it is one's turn; where the line is full, wait so long for a place in it."""
        if not self._in_line.acquire(timeout=in_line_s):
            raise TooManyTries
        try:
            if not self._hashing.acquire(timeout=TURN_S):
                raise TooManyTries
            try:
                yield
            finally:
                self._hashing.release()
        finally:
            self._in_line.release()

    def _take_making(self, by: Principal, at: float) -> None:
        if not self._made_by.take(by.user, at):
            raise TooManyTries


def drop_first_login(data_dir: Path, user: str) -> None:
    """Delete `first-login.json` once its user has a password of their own: it opens nothing any more.

    Whoever else changes theirs leaves it: it may be the only record of a password that still opens everything.
    """
    file = data_dir / FIRST_LOGIN
    try:
        told = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return
    if isinstance(told, dict) and told.get("user") == user:
        file.unlink(missing_ok=True)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
