"""The hub as a program: configuration in; a web server and the intake from the broker run until told to stop."""

from __future__ import annotations

import io
import logging
import signal
import socket
import sys
import threading
from collections.abc import Callable
from typing import Any

import segno
import uvicorn
from argon2 import PasswordHasher
from fastapi import FastAPI
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from detector.clock import Clock, SystemClock
from detector.config import HubConfig
from detector.errors import LabelwatchError, StoreError
from detector.hub.anchors import Anchors
from detector.hub.audit import Audit
from detector.hub.auth import FIRST_LOGIN, Gate, Guard
from detector.hub.budget import budget_of
from detector.hub.census import Censuses
from detector.hub.clips import ClipFolder
from detector.hub.derived import Copies
from detector.hub.events import Live
from detector.hub.health import Health
from detector.hub.ingest import Ingest
from detector.hub.lan import Certificate, certificate, local_addresses
from detector.hub.lock import DataLock
from detector.hub.metrics import Metrics, Timed
from detector.hub.notice_sender import NoticeSender
from detector.hub.notices import Notices
from detector.hub.pack import Archive
from detector.hub.packs import Packs
from detector.hub.pages import add_pages
from detector.hub.pages.view import STATIC, Parts
from detector.hub.people import People
from detector.hub.pictures import Pictures
from detector.hub.presence import Presence
from detector.hub.retention import Janitor, Retention
from detector.hub.reviews import Reviews
from detector.hub.store import Store
from detector.hub.views import Views
from detector.hub.zones import Zones
from detector.keys import load_key

logger = logging.getLogger(__name__)

GRACE_S = 3
START_S = 30.0
MIB = 2**20


class _Static(StaticFiles):
    """Static files, asked for anew with their fingerprint when they change."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        """A file, kept by the browser."""
        answer = super().file_response(*args, **kwargs)
        answer.headers["Cache-Control"] = "public, max-age=86400"
        return answer


def create_app(
    config: HubConfig,
    *,
    store: Store,
    clock: Clock,
    gate: Gate,
    live: Live,
    tell: Callable[[], None] = lambda: None,
    ask: Callable[[str, bytes], None] = lambda _topic, _payload: None,
    certificate: Certificate | None = None,
    health: Health | None = None,
    sender: NoticeSender | None = None,
    copies: Copies | None = None,
    packs: Packs | None = None,
    anchors: Anchors | None = None,
) -> ASGIApp:
    """The hub's pages as an ASGI application.

    Args:
        config: `data_dir` must exist; clips are kept in it.
        store: Everything else is kept here.
        clock: Tells the time for sessions, claims and ages.
        gate: Checks logins.
        live: Tells open pages of changes; whoever writes to the store pokes it.
        tell: Called when commands to edges have changed.
        ask: Given topic and payload of what is to be sent to an edge once, if it can be reached now.
        certificate: Of the server, when it is one of our own.
        health: Who watches; one that hears of nobody when left out.
        sender: Sends notices; one that isn't running when left out.
        anchors: Keeps heads of the audit log; one that isn't running when left out.
        copies: Makes copies of clips; one that isn't running when left out.
        packs: Makes evidence packs.
    """
    app = FastAPI(title="labelwatch hub", openapi_url=None)
    copies = copies or _copies(config, store, clock)

    def arrived(_incident: str) -> None:
        live.poke()
        copies.arrived()

    clips = ClipFolder(
        config.data_dir / "clips", store, clock, config.largest_clip_mb * MIB, arrived, reserve_bytes(config) // 4
    )  # fmt: skip
    audit = Audit(store.database)
    health = health or Health(store, clock, config.data_dir, reserve_bytes=reserve_bytes(config))
    metrics = Metrics(store, health, clock)
    sender = sender or sender_of(config, store, clock)
    app.add_middleware(Timed, metrics=metrics)
    add_pages(app, Parts(
        config, store, gate, audit, anchors or Anchors(audit, config.data_dir, clock), clips, live, clock,
        retention=retention_of(config, store), reviews=Reviews(store.database), presence=Presence(), health=health,
        metrics=metrics, copies=copies, packs=packs or packs_of(config, store, clock), tell=tell,
        notices=sender.notices, sender=sender,
        zones=Zones(store.database), pictures=Pictures(store.database), censuses=Censuses(store.database), ask=ask,
        certificate=certificate,
    ))  # fmt: skip
    app.mount("/static", _Static(directory=STATIC))
    # Outermost, so that even the answer to a crash has its headers.
    return Guard(app, signed_prefix="/api/clips/")


def sender_of(config: HubConfig, store: Store, clock: Clock) -> NoticeSender:
    """What sends notices."""
    return NoticeSender(Notices(store.database, config.data_dir, config.timezone), store, config, clock)


def retention_of(config: HubConfig, store: Store) -> Retention:
    """What decides how long footage is kept."""
    return Retention(store.database, config.data_dir / "clips", config.retention, Audit(store.database))


def _copies(config: HubConfig, store: Store, clock: Clock) -> Copies:
    return Copies(config.data_dir / "clips", store, clock, config.timezone, reserve_bytes(config))


def packs_of(config: HubConfig, store: Store, clock: Clock) -> Packs:
    """What makes evidence packs, with the key that signs them; both have their places in the data folder."""
    clips = ClipFolder(config.data_dir / "clips", store, clock, 0, lambda _incident: None)  # only finds
    key = load_key(config.data_dir / "evidence.key", "the key of evidence packs")
    archive = Archive(store, clips, key, config.timezone)
    return Packs(config.data_dir / "packs", archive, Audit(store.database), clock, reserve_bytes(config))


def reserve_bytes(config: HubConfig) -> int:
    """How much of the disk must stay free."""
    return round(config.retention.reserve_gb * 1e9)


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
        try:
            self._open(config, port, lan, hasher)
        except BaseException:
            self._lock.release()
            raise

    def _open(self, config: HubConfig, port: int | None, lan: bool, hasher: PasswordHasher | None) -> None:
        self.store = Store(config.database or f"sqlite:///{config.data_dir / 'hub.sqlite'}", budget_of(config))
        try:
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
        gate = Gate(People(self.store.database), hasher)
        self.copies = _copies(config, self.store, self._clock)
        self.health = Health(
            self.store, self._clock, config.data_dir, lambda: self._ingest.connected, reserve_bytes(config)
        )  # fmt: skip
        self.anchors = Anchors(Audit(self.store.database), config.data_dir, self._clock)
        zones, censuses = Zones(self.store.database), Censuses(self.store.database)
        self._janitor = Janitor(retention_of(config, self.store), self._clock, self.live.poke, censuses.prune)
        views = Views(zones, Pictures(self.store.database), censuses, self.store.edge_key)
        self._ingest = Ingest(
            self.store, config.broker, self._clock, lambda _ids: self._arrived(),
            edges=lambda: [(edge.site, edge.edge) for edge in self.store.edges()],
            commands=lambda: [*self.store.threshold_commands(), *zones.commands()],
            others={"picture": views.picture, "layout": views.layout, "census": views.census}, watch=self.health,
        )  # fmt: skip
        try:
            self.first_login = gate.make_first_user(config.data_dir, self._clock.now())
            self.packs = packs_of(config, self.store, self._clock)
            self.sender = sender_of(config, self.store, self._clock)
            app = create_app(
                config,
                store=self.store,
                clock=self._clock,
                gate=gate,
                live=self.live,
                tell=self._ingest.tell_commands,
                ask=self._ingest.ask,
                certificate=self.certificate,
                health=self.health,
                sender=self.sender,
                copies=self.copies,
                packs=self.packs,
                anchors=self.anchors,
            )
        except OSError as error:
            self._socket.close()
            self.store.close()
            raise StoreError(f"{config.data_dir} can't be written: {error.strerror}") from error
        self._server = uvicorn.Server(
            uvicorn.Config(
                app, log_config=None, access_log=False, lifespan="off", ws="none", server_header=False,
                timeout_graceful_shutdown=GRACE_S, ssl_certfile=self.certificate.chain if self.certificate else None,
                ssl_keyfile=self.certificate.key if self.certificate else None,
            )
        )  # fmt: skip
        self._thread = threading.Thread(target=self._serve, name="hub-web", daemon=True)

    def start(self) -> None:
        """Begin to serve; returns when pages can be had. The broker may be out of reach: it is tried again and again.

        Raises:
            LabelwatchError: The web server didn't start.
        """
        self._thread.start()
        self.health.start()
        self.sender.start()
        self._janitor.start()
        self.copies.start()
        self.anchors.start()
        self._ingest.start()
        waiting_s = 0.0
        while not self._server.started:
            if not self._thread.is_alive() or waiting_s > START_S:
                raise LabelwatchError("the web server did not start")
            self._thread.join(0.02)
            waiting_s += 0.02

    @property
    def is_running(self) -> bool:
        """Whether the web server is alive."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """Take no more, let running requests end (at most 3 s), and close the database; safe to call twice."""
        # Open event streams never end by themselves, and uvicorn would wait for them.
        self.live.close()
        self._server.should_exit = True
        self._ingest.stop()
        self.health.stop()
        self.sender.stop()
        self._janitor.stop()
        self.copies.stop()
        self.packs.stop()
        if self._thread.is_alive():
            self._thread.join(GRACE_S + 2)
        self.anchors.stop()
        self._socket.close()
        self.store.close()
        self._lock.release()

    def _arrived(self) -> None:
        self.live.poke()
        self.sender.poke()

    def _serve(self) -> None:
        self._server.run(sockets=[self._socket])


def serve(config: HubConfig, *, port: int | None = None, lan: bool = False) -> int:
    """Run the hub until SIGINT or SIGTERM; an exit status.

    Raises:
        LabelwatchError: It can't start.
    """
    stopping = threading.Event()
    former = {sig: signal.signal(sig, lambda *_: stopping.set()) for sig in (signal.SIGINT, signal.SIGTERM)}
    try:
        hub = Hub(config, port=port, lan=lan)
        try:
            hub.start()
            sys.stdout.write(_greeting(hub, config))
            sys.stdout.flush()
            while hub.is_running and not stopping.wait(0.5):
                pass
            return 0 if stopping.is_set() else 1
        finally:
            hub.stop()
    finally:
        for sig, handler in former.items():
            signal.signal(sig, handler)


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=200)
    except OSError as error:
        raise LabelwatchError(f"can't listen on {host}:{port}: {error.strerror}") from error


def _reachable(host: str) -> str:
    """A host that a browser on this machine can go to."""
    if host in ("0.0.0.0", "::"):  # noqa: S104  (compared with, not bound to)
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host


def _greeting(hub: Hub, config: HubConfig) -> str:
    """The address, and once in a hub's life the first login."""
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
    return (
        f"{address}first login: user {hub.first_login['user']}, password {hub.first_login['password']}\n"
        f"  (made just now, shown this once; also in {config.data_dir / FIRST_LOGIN}, which only you can read)\n"
    )
