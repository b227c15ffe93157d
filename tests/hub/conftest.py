"""Databases, envelopes and running hubs for the hub's tests."""

from __future__ import annotations

import base64
import fcntl
import gzip
import hashlib
import io
import json
import os
import shutil
import subprocess
import threading
import uuid
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from copy import copy
from functools import cache
from http.cookiejar import Cookie
from pathlib import Path
from queue import Queue
from tempfile import TemporaryDirectory, mkdtemp
from typing import IO, Any, NamedTuple

import anyio
import pytest
from alembic import command
from anyio.from_thread import BlockingPortal
from argon2 import PasswordHasher
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import MetaData, event, select

from detector import wire
from detector.clock import iso
from detector.config import HubConfig
from detector.hub.access.auth import FIRST_LOGIN, Gate
from detector.hub.access.people import People
from detector.hub.access.seal import Seal
from detector.hub.access.second_step import KEY_FILE
from detector.hub.events import Live
from detector.hub.parts import assemble
from detector.hub.server import Hub, create_app
from detector.hub.storage.budget import budget_of
from detector.hub.storage.database import Database, migration
from detector.hub.storage.rights import CONSOLE, Role, Scope
from detector.hub.storage.schema import metadata
from detector.hub.storage.store import Store
from tests.builders import SteppedClock
from tests.conftest import memory, part_missing

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Starlette would like another client than httpx
    from starlette.testclient import TestClient

NOON = 1_793_505_600.0  # 2026-11-01 12:00 in Shanghai
BEHIND = 1_420_070_400.0  # 2015-01-01: what a clock without its battery may show until it is set
EPOCH = "0001"
CHEAP = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)


def make_jpeg(width: int = 64, height: int = 36) -> bytes:
    """A small picture that browsers can show."""
    import av
    import numpy as np

    frame = av.VideoFrame.from_ndarray(np.full((height, width, 3), 128, np.uint8), format="rgb24")
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mjpeg") as container:
        stream = container.add_stream("mjpeg", rate=1)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuvj420p"
        for packet in [*stream.encode(frame), *stream.encode()]:
            container.mux(packet)
    return buffer.getvalue()


def make_act(started_at: float, *, kind: str = "photo", track: int = 7, length_s: float = 1.5) -> dict[str, Any]:
    """An act as an envelope holds it."""
    return {
        "kind": kind,
        "track": track,
        "started_at": iso(started_at),
        "ended_at": iso(started_at + length_s),
        "started_at_unix": started_at,
        "ended_at_unix": started_at + length_s,
        "score": 0.9,
        "parcels": [3],
    }


def make_envelope(seq: int = 1, **changes: Any) -> dict[str, Any]:
    """An unsigned alert envelope; `changes` go to the incident when it has such a field, else to the envelope."""
    site, edge = changes.pop("site", "shanghai"), changes.pop("edge", "box1")
    started_at = changes.pop("started_at_unix", NOON)
    after = {
        "id": "inc-1",
        "site": site,
        "edge": edge,
        "camera": "cam3",
        "camera_title": "东区 3 号机",
        "kind": "label_photography",
        "severity": "critical",
        "score": 0.93,
        "zone": "bulk",
        "spot": None,
        "started_at": iso(started_at),
        "ended_at": iso(started_at + 40),
        "started_at_unix": started_at,
        "ended_at_unix": started_at + 40,
        "tracks": [7],
        "acts": [make_act(started_at + 4), make_act(started_at + 9), make_act(started_at + 15)],
        "labels_exposed": {"low": 3, "best": 4, "high": 6},
        "facts": {},
        "boxes": [{"what": "person", "box": [0.4, 0.3, 0.6, 0.9]}],
    }
    fields = {
        "schema": 1,
        "id": f"{edge}-{changes.get('epoch', EPOCH)}-{seq}",
        "seq": seq,
        "epoch": EPOCH,
        "site": site,
        "edge": edge,
        "camera": "cam3",
        "phase": "new",
        "before": None,
        "snapshot": None,
        "clips": [],
        "sent_at": iso(started_at + 1),
        "sent_at_unix": started_at + 1,
        "signature": "",
    }
    if "incident" in changes:
        after["id"] = changes.pop("incident")
    for name, value in changes.items():
        (after if name in after and name not in ("id", "camera") else fields)[name] = value
    if isinstance(fields["snapshot"], bytes):
        fields["snapshot"] = base64.b64encode(fields["snapshot"]).decode()
    return {**fields, "after": after}


@pytest.fixture
def envelope() -> Callable[..., dict[str, Any]]:
    """Builds envelopes: see `make_envelope`."""
    return make_envelope


@pytest.fixture
def sqlite_store(tmp_path: Path) -> Iterator[Store]:
    """A store in a file of its own."""
    store = Store(sqlite_url(tmp_path / "hub.sqlite"))
    yield store
    store.close()


def _as_postgres(folder: Path, *command: str | Path) -> list[str]:
    """The command as a user PostgreSQL accepts: it refuses to run as root."""
    words = [str(word) for word in command]
    if os.getuid() != 0:
        return words
    subprocess.run(["chown", "-R", "postgres", folder], check=True)
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", *words]


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Callable[[str], Any]]:
    """Connects to a database of a PostgreSQL server of our own, which is reached by a socket in its folder."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not programs:
        part_missing("PostgreSQL", "postgresql")
    psycopg = pytest.importorskip("psycopg")
    pg_ctl = programs[-1] / "pg_ctl"
    for place in ("/dev/shm", "/tmp"):
        sweep_postgres(Path(place), pg_ctl)
    # pytest's own folders are closed to other users, and a socket's path must be short.
    # An empty database of PostgreSQL is three hundred files.
    folder = Path(mkdtemp(prefix="lwpg.", dir=memory(2) or "/tmp"))
    folder.chmod(0o755)
    data = folder / "data"
    run: dict[str, Any] = {"check": True, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": "/"}
    options = f"-c listen_addresses='' -c unix_socket_directories={folder} -c fsync=off -c max_wal_size=64MB"
    owner = hold_folder(folder)
    try:
        initdb = [programs[-1] / "initdb", "-D", data, "-A", "trust", "-U", "hub", "-E", "UTF8", "--locale=C.UTF-8"]
        subprocess.run(_as_postgres(folder, *initdb), **run)
        subprocess.run(
            _as_postgres(folder, pg_ctl, "-D", data, "-o", options, "-l", folder / "log", "-w", "start"), **run
        )

        def connect(database: str) -> Any:
            return psycopg.connect(f"host={folder} user=hub dbname={database}", autocommit=True)

        with connect("postgres") as connection:
            connection.execute("CREATE DATABASE hub_template")
        Store(f"postgresql+psycopg://hub@/hub_template?host={folder}").close()
        yield connect
    finally:
        subprocess.run(_as_postgres(folder, pg_ctl, "-D", data, "-m", "immediate", "stop"), **{**run, "check": False})
        shutil.rmtree(folder, ignore_errors=True)
        owner.close()


def hold_folder(folder: Path) -> IO[str]:
    """Mark a folder as that of a run that goes on, for as long as this is open: until it ends, however it does."""
    lock = (folder / "owner.new").open("w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    (folder / "owner.new").rename(folder / "owner")  # whoever finds it finds it locked
    return lock


def sweep_postgres(place: Path, pg_ctl: Path) -> None:
    """Stop and clear away servers of runs that were killed; each takes memory, as its folder does."""
    for owner in place.glob("lwpg.*/owner"):
        try:
            with owner.open() as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                stop = _as_postgres(owner.parent, pg_ctl, "-D", owner.parent / "data", "-m", "immediate", "stop")
                subprocess.run(stop, check=False, capture_output=True, cwd="/")
                shutil.rmtree(owner.parent, ignore_errors=True)
        except (OSError, subprocess.CalledProcessError):  # of a run that goes on, or of somebody else
            continue


@pytest.fixture
def postgres(postgres_server: Callable[[str], Any]) -> Iterator[Callable[[], str]]:
    """Makes empty databases of the newest shape, for one test."""
    made: list[str] = []

    def create() -> str:
        made.append(f"hub_{uuid.uuid4().hex}")
        with postgres_server("postgres") as connection:
            # File by file costs half of what the server's log costs, by which those from 15 on copy unless told.
            how = "STRATEGY file_copy" if connection.info.server_version >= 150_000 else ""
            connection.execute(f"CREATE DATABASE {made[-1]} TEMPLATE hub_template {how}")
            return f"postgresql+psycopg://hub@/{made[-1]}?host={connection.info.host}"

    yield create
    if made:
        with postgres_server("postgres") as connection:
            for name in made:
                connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@cache
def _newest_shape() -> bytes:
    """An empty SQLite database of the newest shape: to copy it is ten times as fast as to migrate."""
    with TemporaryDirectory() as folder:
        Store(f"sqlite:///{folder}/hub.sqlite").close()
        return Path(folder, "hub.sqlite").read_bytes()


def sqlite_url(file: Path) -> str:
    """Of a database in a file, which is made when missing."""
    if not file.exists():
        file.write_bytes(_newest_shape())
    return f"sqlite:///{file}"


def make_older(database: Database, revision: str) -> None:
    """Give a database an older shape, with all of its rows that have room there."""
    with database.writing() as connection:
        rows = {table.name: connection.execute(select(table)).mappings().all() for table in metadata.sorted_tables}
        metadata.drop_all(connection)
        connection.exec_driver_sql("DROP TABLE alembic_version")
        command.upgrade(migration(connection), revision)
        older = MetaData()
        older.reflect(connection)
        for table in older.sorted_tables:
            for row in rows.get(table.name, ()):
                connection.execute(table.insert(), {name: row[name] for name in table.c.keys() & row.keys()})


def make_hub(config: HubConfig, *, lan: bool = False) -> Hub:
    """A hub that isn't started yet, at a free port, its database in `data_dir`."""
    config.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    sqlite_url(config.data_dir / "hub.sqlite")
    return Hub(config, port=0, lan=lan, hasher=CHEAP)


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """The same store on either database."""
    in_file = request.param == "sqlite"
    store = Store(sqlite_url(tmp_path / "hub.sqlite") if in_file else request.getfixturevalue("postgres")())
    yield store
    store.close()


def begun_first(
    store: Store, act: Callable[[], object], other: Callable[[], object], before: str = "pg_advisory_xact_lock"
) -> None:
    """On PostgreSQL, begin an act, and do another before a statement of the first: its turn (`one_at_a_time`)."""
    waits, goes_on = threading.Event(), threading.Event()

    def hold(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if before in statement and threading.current_thread().name.startswith("first"):
            waits.set()
            goes_on.wait(10)

    event.listen(store.database.engine, "before_cursor_execute", hold)
    with ThreadPoolExecutor(1, "first") as first, ThreadPoolExecutor(1, "other") as second:
        begun = first.submit(act)
        assert waits.wait(10)
        done = second.submit(other)
        with suppress(TimeoutError):
            done.result(0.5)
        goes_on.set()
        begun.result()
        done.result()


@cache
def one_loop() -> BlockingPortal:
    """The event loop that serves all requests of this process, as a running hub has one: not one for each request."""
    begun: Queue[BlockingPortal] = Queue()

    async def serve() -> None:
        async with BlockingPortal() as portal:
            begun.put(portal)
            await portal.sleep_until_stopped()

    threading.Thread(target=anyio.run, args=(serve,), daemon=True).start()
    return begun.get()


class Begun(NamedTuple):
    """What a new hub's folder holds once its first user has logged in and a box is trusted; and who they are."""

    files: dict[str, bytes]
    login: dict[str, str]
    session: tuple[Cookie, ...]
    key: Ed25519PrivateKey


@cache
def _begun() -> Begun:
    """To copy it is three times as fast as to begin. What tells one hub from another each makes for itself."""
    with TemporaryDirectory() as folder:
        site = Site(Path(folder), anew=True)
        site.client.close()
        site.store.close()
        files = {name: Path(folder, name).read_bytes() for name in ("hub.sqlite", FIRST_LOGIN)}
    return Begun(files, site.login, tuple(site.client.cookies.jar), site.key)


class Site:
    """A hub's application without a network: its parts, and a browser-like client that is logged in.

    Args:
        folder: Where its database is, or one that is ready for all this.
        anew: Whether its first user is made and logs in here, instead of having done so elsewhere.
        settings: Of its configuration.
    """

    def __init__(self, folder: Path, *, anew: bool = False, **settings: Any) -> None:
        begun = None if anew or (folder / "hub.sqlite").exists() else _begun()
        for name, content in begun.files.items() if begun else ():
            (folder / name).touch(0o600)
            (folder / name).write_bytes(content)
        self.folder = folder
        self.clock = SteppedClock(NOON)
        # However full the disk of the machine is that tests run on.
        usual: dict[str, Any] = {"retention": {"reserve_gb": 0}}
        config = HubConfig(data_dir=folder, **{**usual, **settings})
        self.store = Store(config.database or sqlite_url(folder / "hub.sqlite"), budget_of(config))
        self.people = People(self.store.database)
        self.gate = Gate(self.people, CHEAP, Seal(folder / KEY_FILE))
        self.live = Live(self.store, heartbeat_s=0.2)
        self.login = dict(begun.login) if begun else self.gate.make_first_user(folder, NOON) or {}
        self.asked: list[tuple[str, bytes]] = []  # topic and payload of what edges are asked once
        ask = lambda topic, payload: self.asked.append((topic, payload))  # noqa: E731
        self.parts = assemble(config, self.store, self.clock, self.gate, self.live, ask=ask)
        self.app = create_app(self.parts)
        self.client = self.visitor()
        self.key = begun.key if begun else Ed25519PrivateKey.generate()
        if begun:
            for cookie in begun.session:
                self.client.cookies.jar.set_cookie(copy(cookie))
        else:
            assert self.client.post("/login", data=self.login).status_code == 303
            self.parts.keys.trust("shanghai", "box1", wire.public_key_text(self.key), NOON)

    def somebody(self, role: Role, scope: list[str] | None = None, name: str = "") -> TestClient:
        """A browser-like client of a user made for it, logged in."""
        login = {"user": name or f"a-{role}", "password": "correct horse battery"}
        hashed = CHEAP.hash(login["password"])
        if self.people.user(login["user"]) is None:
            self.people.add(CONSOLE, login["user"], hashed, NOON, role=role, scope=Scope.of(scope))
        client = self.visitor()
        assert client.post("/login", data=login).status_code == 303
        return client

    def visitor(self, **headers: str) -> TestClient:
        """Somebody who is not logged in; sends `Sec-Fetch-Site` as a browser on our own page would."""
        headers = {"Sec-Fetch-Site": "same-origin", **headers}
        visitor = TestClient(self.app, base_url="http://hub.test", headers=headers, follow_redirects=False)
        visitor.portal = one_loop()
        return visitor

    def claim(self, content: bytes, incident: str = "inc-1", segment: int = 0, **changes: Any) -> dict[str, str]:
        """Headers of an upload."""
        fields: dict[str, Any] = {
            "site": "shanghai", "edge": "box1", "camera": "cam3", "incident": incident, "segment": segment,
            "sha256": hashlib.sha256(content).hexdigest(), "size": len(content), "started_at": NOON, "duration_s": 4.0,
            "at": self.clock.now(), "key": self.key,
        }  # fmt: skip
        return wire.clip_headers(**{**fields, **changes})


def refuse_audit(store: Store) -> None:
    """From now on the database takes no line of the audit log, as a hub that dies just before it writes none."""
    with store.database.writing() as connection:
        refuse = "CREATE TRIGGER no_audit BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'refused'); END"
        connection.exec_driver_sql(refuse)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A hub's application with its parts."""
    site = Site(tmp_path, largest_clip_mb=1)
    yield site
    site.client.close()
    site.store.close()


@pytest.fixture(scope="session")
def mp4(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A clip that browsers play: four seconds of H.264."""
    return make_mp4(tmp_path_factory.mktemp("clip") / "clip.mp4")


def make_mp4(path: Path, seconds: int = 4, rate: int = 10, *, size: tuple[int, int] = (320, 180)) -> bytes:
    """H.264 with a moving bar, index in front."""
    import av
    import numpy as np

    with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("libx264", rate=rate, options={"preset": "ultrafast", "g": str(rate)})
        (stream.width, stream.height), stream.pix_fmt = size, "yuv420p"
        for n in range(seconds * rate):
            image = np.full((*size[::-1], 3), 60, np.uint8)
            left = 8 * n % (size[0] - 20)
            image[:, left : left + 20] = 220
            for packet in stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return path.read_bytes()


def make_side(incident: str = "inc-1", segment: int = 0, *, seconds: float = 4.0, **changes: Any) -> bytes:
    """The side file of such a clip: track 7 is the bar, which photographs more and more surely; `changes` go on top."""
    looks = []
    for n in range(round(seconds * 5)):
        left = 16 * n % 300 / 320
        boxes = [["person", 7, left, 0.0, left + 20 / 320, 1.0, 0.9], ["phone", 7, left, 0.4, left + 0.02, 0.5, 0.7],
                 ["parcel", 12, 0.1, 0.6, 0.3, 0.9, 0.8], ["label", None, 0.15, 0.65, 0.2, 0.7, 0.6]]  # fmt: skip
        looks.append({"t": n / 5, "boxes": boxes, "offender": [7], "score": {"7": round(n / (seconds * 5), 3)}})
    fields = {
        "schema": 1, "incident": incident, "segment": segment, "started_at_unix": NOON, "duration_s": seconds,
        "size": [320, 180], "looks": looks, **changes,
    }  # fmt: skip
    return gzip.compress(json.dumps(fields).encode(), mtime=0)


@pytest.fixture(scope="session")
def picture() -> bytes:
    """A small JPEG that browsers can show."""
    return make_jpeg()
