"""The hub as a program: configuration in; a web server and the intake from the broker run until told to stop."""

from __future__ import annotations

import asyncio
import errno
import io
import signal
import socket
import sys
import threading
import time
from typing import Any

import segno
import uvicorn
from anyio.to_thread import current_default_thread_limiter
from argon2 import PasswordHasher
from fastapi import FastAPI
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from detector.clock import Clock, SystemClock
from detector.config import HubConfig
from detector.credentials.tls import from_1_2
from detector.errors import LabelwatchError, StoreError
from detector.hub.access.auth import FIRST_LOGIN, Gate
from detector.hub.access.guard import Guard
from detector.hub.access.people import People
from detector.hub.access.seal import Seal
from detector.hub.access.second_step import KEY_FILE as STEP_KEY_FILE
from detector.hub.background import Tended
from detector.hub.edges.heard import Heard
from detector.hub.edges.ingest import Ingest
from detector.hub.edges.views import Views
from detector.hub.events import Live
from detector.hub.lan import certificate, local_addresses, renew
from detector.hub.log_limit import limit_log
from detector.hub.metrics import Timed
from detector.hub.pages import add_pages
from detector.hub.pages.view import LONGEST_FORM, STATIC
from detector.hub.parts import Parts, assemble
from detector.hub.slow_clients import IDLE_S, LimitedSocket, TimeoutProtocol
from detector.hub.storage.database import in_a_line
from detector.hub.storage.lock import DatabaseLock, DataLock
from detector.hub.upkeep.clock_ahead import bring_back
from detector.hub.upkeep.janitor import Janitor
from detector.hub.upkeep.restore import note_restored, refuse_halfway
from detector.hub.upkeep.salvage import open_store
from detector.machine.heap import RETURN_EVERY_S, forget_garbage_early, return_free_pages, return_freed_memory
from detector.machine.notify import Notifier

GRACE_S = 3
START_S = 30.0
# So many pages are in the making at once; more would make none of them sooner, but each would have its turn with the
# interpreter and with the database before the thread that takes in alerts.
PAGES_AT_ONCE = 8
BACKLOG = 200  # connections that wait to be let in; so many come at once, before any is looked at
# What the system says of a port that can't be had tells nobody what to do.
WHY_NO_PORT = {
    errno.EADDRINUSE: "another program has this port: stop that one, or take another port (`port`, or --port)",
    errno.EACCES: "only root may have this port: take one from 1024 on, behind a proxy if it must be a lower one",
    errno.EADDRNOTAVAIL: "this machine has no such address: `host` is one of its own, or 0.0.0.0 for all of them",
}


class _Static(StaticFiles):
    """Static files, asked for anew with their fingerprint when they change."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        """A file, kept by the browser: its address is another one when it changes."""
        answer = super().file_response(*args, **kwargs)
        answer.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return answer


def create_app(parts: Parts) -> ASGIApp:
    """The hub's pages as an ASGI application."""
    app = FastAPI(title="labelwatch hub", openapi_url=None)
    # No page that another site can have a browser open holds a secret, which its length could give away (BREACH).
    app.add_middleware(GZipMiddleware, compresslevel=6)
    app.add_middleware(Timed, metrics=parts.metrics)
    add_pages(app, parts)
    app.mount("/static", _Static(directory=STATIC))
    # Outermost, so that even the answer to a crash has its headers.
    return Guard(app, signed=("/api/clips/", "/api/replays/", "/enrol"), longest=LONGEST_FORM)


class Hub:
    """A running hub: `start`, `url`, `stop`. The web server runs in a thread of its own.

    Args:
        config: Its configuration; `data_dir` is made when missing.
        port: Instead of the configured one; 0 takes a free one.
        lan: Listen on all addresses, with TLS and a certificate of our own (`hub.lan`).
        clock: Tells the time.
        hasher: Of passwords; argon2id with the library's defaults when left out.

    Raises:
        StoreError: The database or the data folder can't be used.
        LabelwatchError: The port can't be had.
    """

    def __init__(
        self,
        config: HubConfig,
        *,
        port: int | None = None,
        lan: bool = False,
        clock: Clock | None = None,
        hasher: PasswordHasher | None = None,
    ) -> None:
        self._clock = clock or SystemClock()
        try:
            config.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise StoreError(f"{config.data_dir} can't be made: {error.strerror}") from error
        self._lock = DataLock(config.data_dir)
        self._database_lock: DatabaseLock | None = None
        try:
            refuse_halfway(config.data_dir)
            if url := config.database_url():  # before it is brought to a newer shape
                self._database_lock = DatabaseLock(url)
            self._open(config, port, lan, hasher)
        except BaseException:
            self._let_go()
            raise

    def _open(self, config: HubConfig, port: int | None, lan: bool, hasher: PasswordHasher | None) -> None:
        self.store, loss = open_store(config, self._clock.now())
        try:
            with in_a_line():
                bring_back(self.store.database, self._clock.now())
                note_restored(config.data_dir, self.store.database)
            addresses = local_addresses() if lan else []
            self.certificate = certificate(config.data_dir / "lan", addresses, self._clock.now()) if lan else None
            host = "0.0.0.0" if lan else config.host  # noqa: S104  (--lan asks for it)
            self._socket = _listening(host, config.port if port is None else port)
        except LabelwatchError:
            self.store.close()
            raise
        reachable = _reachable(str(addresses[0]) if addresses else host)
        self.url = f"{'https' if lan else 'http'}://{reachable}:{self._socket.getsockname()[1]}/"
        self.live = Live(self.store)
        try:
            gate = Gate(People(self.store.database), hasher, Seal(config.data_dir / STEP_KEY_FILE))
            self.first_login = gate.make_first_user(config.data_dir, self._clock.now())
            parts = self._parts = assemble(
                config, self.store, self._clock, gate, self.live,
                connected=lambda: self._ingest.connected, tell=lambda: self._ingest.tell_commands(),
                ask=lambda topic, payload: self._ingest.ask(topic, payload), certificate=self.certificate,
            )  # fmt: skip
        except OSError as error:
            self._socket.close()
            self.store.close()
            raise StoreError(f"{config.data_dir} can't be written: {error.strerror}") from error
        if loss is not None:
            parts.alarms.note(loss, self._clock.now())
        janitor = Janitor(
            parts.retention, self._clock, self.live.poke,
            parts.censuses.prune, parts.pictures.prune, parts.clips.tidy, self._renew,
        )  # fmt: skip
        self._ingest = self._intake(config, parts)
        # Begun in this order and ended in the other.
        self._tended: tuple[Tended, ...] = (
            parts.copies, janitor, parts.sender, parts.health, parts.watchman, parts.integrations, self._ingest,
        )  # fmt: skip
        self._notifier = Notifier()
        self._server = self._web_server(parts)
        self._thread = threading.Thread(target=self._serve, name="hub-web", daemon=True)

    def _intake(self, config: HubConfig, parts: Parts) -> Ingest:
        views = Views(parts.zones, parts.pictures, parts.censuses, parts.keys)
        return Ingest(
            self.store, config.broker, self._clock, lambda _ids: self._arrived(),
            edges=lambda: [(edge.site, edge.edge) for edge in self.store.edges.all()],
            commands=lambda: [
                *parts.thresholds.commands(), *parts.zones.commands(), *parts.rotations.commands(),
            ],
            others={"key": self._take_new_key},
            views={"picture": views.picture, "layout": views.layout, "census": views.census},
            together=self.store.database.writing,
            watch=parts.health, keys=parts.keys, key=parts.key,
            heard=Heard(lambda: [edge.health for edge in self.store.edges.all() if edge.health]),
            is_short=parts.clips.is_nearly_full,
        )  # fmt: skip

    def _web_server(self, parts: Parts) -> uvicorn.Server:
        tls: dict[str, Any] = {}
        if self.certificate:
            tls = {
                "ssl_certfile": self.certificate.chain, "ssl_keyfile": self.certificate.key,
                "ssl_context_factory": lambda _config, made: from_1_2(made()),
            }  # fmt: skip
        return uvicorn.Server(
            uvicorn.Config(
                create_app(parts), http=TimeoutProtocol, log_config=None, access_log=False, lifespan="off", ws="none",
                server_header=False, timeout_graceful_shutdown=GRACE_S, callback_notify=self._alive, timeout_notify=5,
                backlog=BACKLOG, timeout_keep_alive=IDLE_S, **tls,
            )
        )  # fmt: skip

    def start(self) -> None:
        """Begin to serve; returns when pages can be had. The broker may be out of reach: it is tried again and again.

        Raises:
            LabelwatchError: The web server didn't start.
        """
        self._thread.start()
        for part in self._tended:
            part.start()
        self._parts.anchors.start()
        waiting_s = 0.0
        while not self._server.started:
            if not self._thread.is_alive() or waiting_s > START_S:
                raise LabelwatchError("the web server did not start")
            self._thread.join(0.02)
            waiting_s += 0.02
        self._notifier.tell("READY=1")

    @property
    def is_running(self) -> bool:
        """Whether the web server is alive."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """Take no more, let running requests end (at most 3 s), and close the database; safe to call twice."""
        # Open event streams never end by themselves, and uvicorn would wait for them.
        self._notifier.tell("STOPPING=1")
        self.live.close()
        self._server.should_exit = True
        for part in reversed(self._tended):
            part.stop()
        self._parts.packs.stop()
        if self._thread.is_alive():
            self._thread.join(GRACE_S + 2)
        self._parts.anchors.stop()
        self._socket.close()
        self.store.close()
        self._let_go()

    def _let_go(self) -> None:
        """Let another hub have the folder and the database."""
        if self._database_lock is not None:
            self._database_lock.release()
        self._lock.release()

    def _take_new_key(self, topic: str, payload: bytes, at: float) -> None:
        if self._parts.rotations.word(topic, payload, at):
            self._ingest.tell_commands()

    def _renew(self, now: float) -> None:
        """Show a newer certificate to who connects from now on, as ours ends while the hub runs."""
        if self.certificate and self._server.started and renew(self.certificate, local_addresses(), now):
            shown = self._server.config.ssl
            if shown is not None:
                shown.load_cert_chain(self.certificate.chain, self.certificate.key)

    def _arrived(self) -> None:
        self.live.poke()
        self._parts.sender.poke()
        self._parts.integrations.poke()

    async def _alive(self) -> None:
        """Called by the web server's own loop: when it hangs, systemd no longer hears of us."""
        self._notifier.alive()

    def _serve(self) -> None:
        asyncio.run(self._answer())

    async def _answer(self) -> None:
        current_default_thread_limiter().total_tokens = PAGES_AT_ONCE
        await self._server.serve(sockets=[self._socket])


def serve(config: HubConfig, *, port: int | None = None, lan: bool = False) -> int:
    """Run the hub until SIGINT or SIGTERM; an exit status.

    Raises:
        LabelwatchError: It can't start.
    """
    return_freed_memory()
    limit_log()
    stopping = threading.Event()
    former = {sig: signal.signal(sig, lambda *_: stopping.set()) for sig in (signal.SIGINT, signal.SIGTERM)}
    try:
        hub = Hub(config, port=port, lan=lan)
        try:
            hub.start()
            forget_garbage_early()
            sys.stdout.write(_greeting(hub, config, private=sys.stdout.isatty()))
            sys.stdout.flush()
            return_at = time.monotonic()
            while hub.is_running and not stopping.wait(0.5):
                if time.monotonic() >= return_at:
                    hub.store.database.rest()
                    return_free_pages()
                    return_at = time.monotonic() + RETURN_EVERY_S
            return 0 if stopping.is_set() else 1
        finally:
            hub.stop()
    finally:
        for sig, handler in former.items():
            signal.signal(sig, handler)


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        server = socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        why = WHY_NO_PORT.get(error.errno or 0, error.strerror)
        raise LabelwatchError(f"can't listen on {host}:{port}: {why}") from error
    # For connections, which inherit it: asyncio sets it only where a socket was made with its protocol named. Without,
    # the second piece of an answer waits for the first to be acknowledged, 40 ms.
    server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return LimitedSocket(server)


def _reachable(host: str) -> str:
    """A host that a browser on this machine can go to."""
    if host in ("0.0.0.0", "::"):  # noqa: S104  (compared with, not bound to)
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host


def _greeting(hub: Hub, config: HubConfig, *, private: bool) -> str:
    """The address, and once in a hub's life the first login; its password where no log but a person reads it."""
    address = f"labelwatch hub: {hub.url}\n"
    if hub.certificate:
        code = io.StringIO()
        segno.make(hub.url, error="m").terminal(out=code, compact=True)
        address += (
            f"{code.getvalue()}\n"
            f"certificate: SHA-256 {hub.certificate.fingerprint}\n"
            f"  (install {hub.certificate.authority} on the phone, or get it there at {hub.url}certificate)\n"
        )
    if not hub.first_login:
        return address
    file = config.data_dir / FIRST_LOGIN
    if not private:
        return f"{address}first login: user and password are in {file}, which only you can read\n"
    return (
        f"{address}first login: user {hub.first_login['user']}, password {hub.first_login['password']}\n"
        f"  (made just now, shown this once; also in {file}, which only you can read)\n"
    )
