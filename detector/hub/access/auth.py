"""Who may come in: passwords, codes, sessions, API tokens, a limit on tries, and where a request comes from.

A session is a random token in a cookie, an API token one in a header; the database holds only their SHA-256. Times come
from the caller's clock.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
import logging
import os
import secrets
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from starlette import types
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Send

from detector.credentials.codes import make_password
from detector.hub.access import second_step
from detector.hub.access.people import HANDLE, People, as_name
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
SHORTEST_PASSWORD = 10
CODE_S = 300.0  # so long is left for a code after the password, and for the first one after the QR code
CODE_TRIES = 5
MOST_WAITING = 1000  # logins that wait for a code
FIRST_USER = "owner"
FIRST_LOGIN = "first-login.json"

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    # Not `no-referrer`: with that, browsers send `Origin: null` with a form, and the check below would refuse it.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


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


class TooManyTries(Exception):  # noqa: N818  (an answer to a visitor, not an error of ours)
    """The visitor has to wait before trying again."""


class TokenBucket:
    """So many tries at once per name, and one more every so many seconds; forgets names that are full again."""

    def __init__(self, size: int, every_s: float, names: int = 10_000) -> None:
        self._size = size
        self._every_s = every_s
        self._names = names
        self._spent: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, name: str, at: float) -> bool:
        """Spend one try; tells whether there was one left."""
        with self._lock:
            spent = self._spent_now(name, at)
            if spent + 1 > self._size:
                return False
            self._put(name, spent + 1, at)
            return True

    def has_left(self, name: str, at: float) -> bool:
        """Whether a `take` would succeed."""
        with self._lock:
            return self._spent_now(name, at) + 1 <= self._size

    def give_back(self, name: str, at: float) -> None:
        """Undo a `take` whose try was a good one."""
        with self._lock:
            self._put(name, max(0.0, self._spent_now(name, at) - 1), at)

    def _spent_now(self, name: str, at: float) -> float:
        spent, since = self._spent.get(name, (0.0, at))
        # A clock that was put back locks nobody out until it is where it was.
        return max(0.0, spent - abs(at - since) / self._every_s)

    def _put(self, name: str, spent: float, at: float) -> None:
        self._spent[name] = (spent, at)
        self._spent.move_to_end(name)
        if len(self._spent) > self._names:
            self._spent.popitem(last=False)


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
        self._by_address = TokenBucket(size=10, every_s=6.0)
        # Wider than by address, so that a stranger can hardly keep the owner out by failing in the owner's name.
        self._by_user = TokenBucket(size=30, every_s=6.0)
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
        # What is checked for a user who doesn't exist, so that both take equally long.
        self._nobody = self._hasher.hash(secrets.token_urlsafe())

    def make_first_user(self, data_dir: Path, at: float) -> dict[str, str] | None:
        """Make a user with a random password when there is none, and leave it in `first-login.json` (mode 0600).

        Returns:
            `user` and `password`, or `None` when users exist.
        """
        if self.people.has_users():
            return None
        login = {"user": FIRST_USER, "password": make_password()}
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
        if not self._by_address.take(network, at) or not self._by_user.take(user, at):
            self._note("login_refused", user, address, at)
            raise TooManyTries
        hashed = self._hash_of(user, password, at)
        if hashed is None:
            self._note("login_failed", user, address, at)
            return None
        self._by_address.give_back(network, at)
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
        return Session(
            user.name, user.role, user.scope, token, user.one_time_until is not None, user.second_step
        )  # fmt: skip

    def is_open(self, session: Session | None, at: float) -> bool:
        """Whether a session is still what it was: open, with the same role and scope. It is no sign of use."""
        return session is not None and self.session(session.token, at, extend=False) == session

    def bearer(self, token: str, address: str, at: float) -> Principal | None:
        """Who an API token acts as; `None` when it doesn't work.

        Raises:
            TooManyTries: With tokens that don't, from this address.
        """
        network = network_of(address)
        if not self._unknown_tokens.has_left(network, at):
            raise TooManyTries
        found = self.people.token(_digest(token), at) if token.startswith(TOKEN_PREFIX) else None
        if found is None:
            self._unknown_tokens.take(network, at)
            self._note("token_refused", "", address, at)
            return None
        if found.last_used is None or at - found.last_used > RENEW_S:
            self.people.token_used(found.name, at)
        return Principal(f"token:{found.name}", found.role, found.scope)

    def log_out(self, session: Session, at: float) -> None:
        """End a session."""
        self.people.log_out(session.sha256, session.user, at)

    def _open(self, user: str, password_hash: str, address: str, at: float, browser: str) -> str | None:
        token = secrets.token_urlsafe(32)
        opened = self.people.open_session(
            _digest(token), user, password_hash, at, at + SESSION_S, address=address, browser=browser
        )
        return token if opened else None

    def _is_password(self, session: Session, password: str, at: float) -> bool:
        if not self._by_user.take(session.user, at):
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

    def _hash_of(self, user: str, password: str, at: float) -> str | None:
        """The hash that a user's password fits; `None` where it fits none."""
        if len(password) > 1000:
            return None
        known = self.people.password_hash(user, at)
        with self._one_of_few():
            try:
                return known if self._hasher.verify(known or self._nobody, password) else None
            except (VerificationError, InvalidHashError):
                return None

    def _hash(self, password: str) -> str:
        with self._one_of_few():
            return self._hasher.hash(password)

    @contextmanager
    def _one_of_few(self) -> Iterator[None]:
        if not self._hashing.acquire(timeout=5):
            raise TooManyTries
        try:
            yield
        finally:
            self._hashing.release()

    def _take_making(self, by: Principal, at: float) -> None:
        if not self._made_by.take(by.user, at):
            raise TooManyTries


def bearer_token(path: str, headers: Mapping[str, str]) -> str | None:
    """The API token that a request brings; `None` where it brings none. Pages are for people: there none counts."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if path.startswith("/api/") and scheme.lower() == "bearer" else None


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


def cookie_name(scheme: str, name: str = "labelwatch") -> str:
    """Name of a cookie, the session's when left out: over https one that browsers tie to this very host."""
    return f"__Host-{name}" if scheme == "https" else name


def is_same_origin(headers: Mapping[str, str]) -> bool:
    """Whether a browser says that the request comes from our own page.

    `Sec-Fetch-Site` comes only over https and to the loopback; `Origin` comes with every form.
    """
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = headers.get("origin")
    try:
        return origin is not None and urlsplit(origin).netloc == headers.get("host")
    except ValueError:  # it only looks like an address
        return False


class Guard:
    """Middleware: refuses what another site's page sends in a visitor's name, and what is no text; adds headers.

    Args:
        app: What is guarded.
        signed: Paths that begin so prove who sent them by a signature, not by a cookie, and come from no browser. They
            bound by themselves how much they read.
        longest: Bytes that the body of any other request may have: it is read before anybody asks who sent it.
    """

    def __init__(self, app: ASGIApp, signed: tuple[str, ...], longest: int) -> None:
        self.app = app
        self._signed = signed
        self._longest = longest

    async def __call__(self, scope: types.Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        headers, path = Headers(scope=scope), scope["path"]
        # What another site makes a browser send carries a cookie, and where a token is sent, no cookie counts.
        signed = path.startswith(self._signed) or bearer_token(path, headers) is not None
        query = scope["query_string"]
        # No name of ours holds a nought, and no database takes it; what isn't ASCII should have come encoded.
        if "\0" in path or b"%00" in query or not query.isascii():
            await JSONResponse({"reason": "the address is no text"}, 400)(scope, receive, send_guarded)
        elif "transfer-encoding" in headers and "content-length" in headers:  # a proxy might end it elsewhere
            answer = JSONResponse({"reason": "a length and an encoding"}, 400, {"Connection": "close"})
            await answer(scope, receive, send_guarded)
        elif scope["method"] in SAFE_METHODS or signed or is_same_origin(headers):
            is_read = scope["method"] not in SAFE_METHODS and not path.startswith(self._signed)
            await self.app(scope, self._bounded(headers, receive) if is_read else receive, send_guarded)
        else:
            logger.warning("refused: another site's page sent %s %s", scope["method"], path[:200])
            await PlainTextResponse("refused: the request comes from another site\n", 403)(scope, receive, send_guarded)

    def _bounded(self, headers: Headers, receive: Receive) -> Receive:
        """What is received, until it is too much: then whoever reads it raises what any page answers in its own way."""
        announced, read = headers.get("content-length", ""), 0

        async def bounded() -> Message:
            nonlocal read
            if announced.isdigit() and int(announced) > self._longest:
                raise HTTPException(413, "the body is too large")
            message = await receive()
            read += len(message.get("body", b""))
            if read > self._longest:
                raise HTTPException(413, "the body is too large")
            return message

        return bounded


def network_of(address: str) -> str:
    """What tries are counted by: an IPv6 host has a whole /64 of addresses to come from."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if found.version == 4:
        return address
    return str(found.ipv4_mapped or ipaddress.ip_network((int(found) >> 64 << 64, 64)))


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
