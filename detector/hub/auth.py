"""Who may come in: passwords, sessions, a limit on tries, and where a request comes from.

A session is a random token in a cookie; the database holds only its SHA-256. Times come from the caller's clock.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from starlette import types
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Send

from detector.hub.rights import Role, Scope
from detector.hub.store import Store

SESSION_S = 12 * 3600.0
RENEW_S = 600.0  # a session in use is extended at most this often: each time costs an fsync
HASHES_AT_ONCE = 2  # 64 MiB and 0.4 s each with argon2's own defaults
SHORTEST_PASSWORD = 10
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
class Session:
    """Somebody who is logged in."""

    user: str
    token: str
    role: Role
    scope: Scope


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

    def give_back(self, name: str, at: float) -> None:
        """Undo a `take` whose try was a good one."""
        with self._lock:
            self._put(name, max(0.0, self._spent_now(name, at) - 1), at)

    def _spent_now(self, name: str, at: float) -> float:
        spent, since = self._spent.get(name, (0.0, at))
        return max(0.0, spent - max(0.0, at - since) / self._every_s)

    def _put(self, name: str, spent: float, at: float) -> None:
        self._spent[name] = (spent, at)
        self._spent.move_to_end(name)
        if len(self._spent) > self._names:
            self._spent.popitem(last=False)


class Gate:
    """Checks passwords and sessions against the store.

    Args:
        store: Where users and sessions are.
        hasher: Of passwords; argon2id with the library's defaults when left out (tests use cheap ones).
    """

    def __init__(self, store: Store, hasher: PasswordHasher | None = None) -> None:
        self._store = store
        self._hasher = hasher or PasswordHasher()
        self._hashing = threading.BoundedSemaphore(HASHES_AT_ONCE)
        self._by_address = TokenBucket(size=10, every_s=6.0)
        # Wider than by address, so that a stranger can hardly keep the owner out by failing in the owner's name.
        self._by_user = TokenBucket(size=30, every_s=6.0)
        # What is checked for a user who doesn't exist, so that both take equally long.
        self._nobody = self._hasher.hash(secrets.token_urlsafe())

    def make_first_user(self, data_dir: Path, at: float) -> dict[str, str] | None:
        """Make a user with a random password when there is none, and leave it in `first-login.json` (mode 0600).

        Returns:
            `user` and `password`, or `None` when users exist.
        """
        if self._store.has_users():
            return None
        login = {"user": FIRST_USER, "password": secrets.token_urlsafe(12)}
        file = data_dir / FIRST_LOGIN
        file.unlink(missing_ok=True)
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
            json.dump(login, out)
        self._store.set_user(login["user"], self._hasher.hash(login["password"]), at)
        return login

    def log_in(self, user: str, password: str, address: str, at: float) -> str | None:
        """Open a session.

        Returns:
            Its token, or `None` when user or password is wrong.

        Raises:
            TooManyTries: From this address or for this user, or too many are trying just now.
        """
        user = user[:200]
        if not self._by_address.take(address, at):
            raise TooManyTries
        if not self._by_user.take(user, at):
            raise TooManyTries
        if not self._is_password(user, password):
            return None
        self._by_address.give_back(address, at)
        self._by_user.give_back(user, at)
        token = secrets.token_urlsafe(32)
        self._store.add_session(_digest(token), user, at, at + SESSION_S)
        return token

    def _is_password(self, user: str, password: str) -> bool:
        if len(password) > 1000:
            return False
        known = self._store.user_hash(user)
        if not self._hashing.acquire(timeout=5):
            raise TooManyTries
        try:
            return self._hasher.verify(known or self._nobody, password) and known is not None
        except (VerificationError, InvalidHashError):
            return False
        finally:
            self._hashing.release()

    def change_password(self, user: str, old: str, new: str, at: float) -> bool:
        """Change a password, which ends all sessions of the user; tells whether the old one was right.

        Raises:
            TooManyTries: For this user.
        """
        if not self._by_user.take(user, at):
            raise TooManyTries
        if not self._is_password(user, old):
            return False
        self._store.set_user(user, self._hasher.hash(new), at)
        return True

    def session(self, token: str | None, at: float, *, extend: bool = True) -> Session | None:
        """The session of a token; in use it slides on, twelve hours from the last time."""
        if not token:
            return None
        found = self._store.session(_digest(token), at)
        if found is None:
            return None
        user, role, scope, expires_at = found
        if extend and at + SESSION_S - expires_at > RENEW_S:
            self._store.extend_session(_digest(token), at + SESSION_S)
        return Session(user, token, role, scope)

    def log_out(self, session: Session) -> None:
        """End a session."""
        self._store.end_session(_digest(session.token))


def cookie_name(scheme: str) -> str:
    """Name of the session cookie: over https one that browsers tie to this very host."""
    return "__Host-labelwatch" if scheme == "https" else "labelwatch"


def is_same_origin(headers: Mapping[str, str]) -> bool:
    """Whether a browser says that the request comes from our own page.

    `Sec-Fetch-Site` comes only over https and to the loopback; `Origin` comes with every form.
    """
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = headers.get("origin")
    return origin is not None and urlsplit(origin).netloc == headers.get("host")


class Guard:
    """Middleware: refuses what another site's page sends in a visitor's name, and adds security headers to answers.

    Args:
        app: What is guarded.
        signed_prefix: Paths under it prove who sent them by a signature, not by a cookie, and come from no browser.
    """

    def __init__(self, app: ASGIApp, signed_prefix: str) -> None:
        self._app = app
        self._signed_prefix = signed_prefix

    async def __call__(self, scope: types.Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        signed = scope["path"].startswith(self._signed_prefix)
        if scope["method"] in SAFE_METHODS or signed or is_same_origin(Headers(scope=scope)):
            await self._app(scope, receive, send_guarded)
        else:
            await PlainTextResponse("refused: the request comes from another site\n", 403)(scope, receive, send_guarded)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
