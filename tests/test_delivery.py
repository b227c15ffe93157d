"""Every alert whose `put` returned is stored once, whoever of edge, broker and hub is killed meanwhile."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from detector import wire
from detector.alerts.clip_queue import Clip
from detector.alerts.identity import load_identity
from detector.alerts.looks import PackedLook, write_side
from detector.alerts.mqtt import MqttLink
from detector.alerts.outbox import Outbox
from detector.alerts.uploads import ClipUploads
from detector.clock import SystemClock
from detector.config import Broker, HubConfig
from detector.hub.footage.sides import Sides
from detector.hub.server import Hub
from detector.media.sides import read_side
from detector.mqtt.broker import EmbeddedBroker, find_mosquitto
from tests.alerts.conftest import make_fields
from tests.conftest import part_missing
from tests.parts_mosquitto import Mosquitto, soon

CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)

EDGE = """
    import json, sys, time
    from pathlib import Path
    from detector import wire
    from detector.alerts.identity import load_identity
    from detector.alerts.mqtt import MqttLink
    from detector.alerts.outbox import Outbox
    from detector.clock import SystemClock
    from detector.config import Broker
    folder, port, count, fields = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), json.loads(sys.argv[4])
    clock, key = SystemClock(), load_identity(folder)
    outbox = Outbox(folder / "outbox.db", key, clock=clock)
    topics = wire.Topics(fields["site"], fields["edge"])
    link = MqttLink(outbox, topics, Broker(port=port), clock, key)
    link.start()
    with (folder / "put.txt").open("a") as put:
        for n in range(count):
            fields["after"]["id"] = f"{time.time_ns():x}"
            print(outbox.put(fields), file=put, flush=True)
            time.sleep(0.002)
    outbox.wait_drained(120)
    (folder / "drained").touch()
    time.sleep(120)
"""

HUB = """
    import sys, time
    from pathlib import Path
    from detector.clock import SystemClock
    from detector.config import Broker
    from detector.hub.edges.keys import EdgeKeys
    from detector.hub.edges.ingest import Ingest
    from detector.hub.storage.store import Store
    from detector.credentials.keys import load_key
    store = Store(f"sqlite:///{sys.argv[1]}/hub.db")
    told = open(f"{sys.argv[1]}/told.txt", "a")
    key = load_key(Path(sys.argv[1]) / "hub.key", "the hub's key")
    ingest = Ingest(store, Broker(port=int(sys.argv[2])), SystemClock(), lambda ids: print(*ids, sep="\\n", file=told, flush=True), keys=EdgeKeys(store.database, first_sight=True), key=key)
    ingest.start()
    time.sleep(300)
"""  # noqa: E501


@pytest.fixture
def run() -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts a script in a process of its own; what still runs at the end is killed."""
    started: list[subprocess.Popen[bytes]] = []

    def start(script: str, *arguments: object) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)]
        started.append(subprocess.Popen(command))
        return started[-1]

    yield start
    for process in started:
        kill(process)


def kill(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def stored(path: Path) -> list[tuple[str, int]]:
    """Id and seq of every alert that the hub holds, read beside the running hub."""
    if not path.exists():
        return []
    db = sqlite3.connect(path, timeout=10)
    try:
        return db.execute("SELECT id, seq FROM alerts ORDER BY seq").fetchall()
    except sqlite3.OperationalError:  # the hub hasn't made its tables yet
        return []
    finally:
        db.close()


def test_nothing_is_lost_or_doubled_when_each_is_killed(
    tmp_path: Path, run: Callable[..., subprocess.Popen[bytes]]
) -> None:
    edge_dir, hub_dir, total = tmp_path / "edge", tmp_path / "hub", 1000
    edge_dir.mkdir()
    hub_dir.mkdir()
    broker = Mosquitto(tmp_path)
    hub_db, put = hub_dir / "hub.db", edge_dir / "put.txt"

    def start_edge() -> subprocess.Popen[bytes]:
        return run(EDGE, edge_dir, broker.port, total - len(lines(put)), json.dumps(make_fields()))

    def have(n: int) -> bool:
        return len(stored(hub_db)) >= n

    try:
        hub, edge = run(HUB, hub_dir, broker.port), start_edge()  # both before there is a broker
        assert soon(lambda: len(lines(put)) > 50)
        broker.start()
        assert soon(lambda: have(150))
        broker.kill()
        assert soon(lambda: len(lines(put)) > 300)
        broker.start()
        assert soon(lambda: have(350))
        kill(hub)
        assert soon(lambda: len(lines(put)) > 500)
        hub = run(HUB, hub_dir, broker.port)
        assert soon(lambda: have(550))
        kill(edge)
        broker.kill()
        edge = start_edge()
        broker.start()
        assert soon(lambda: (edge_dir / "drained").exists(), 120.0)
    finally:
        broker.kill()

    kept = stored(hub_db)
    assert set(lines(put)) <= {id_ for id_, _ in kept}
    assert [seq for _, seq in kept] == list(range(1, len(kept) + 1))
    assert total <= len(kept) <= total + 1  # the edge may have died between the commit and writing the id down
    told = lines(hub_dir / "told.txt")
    assert len(told) == len(set(told))


@pytest.mark.parametrize("kind", ["mosquitto", "iotcore"])
def test_an_alert_and_its_clip_reach_a_real_hub(tmp_path: Path, kind: str) -> None:
    program = find_mosquitto() if kind == "mosquitto" else None
    if kind == "mosquitto" and program is None:
        part_missing("mosquitto", "mosquitto")
    clock, key, topics = SystemClock(), load_identity(tmp_path / "edge"), wire.Topics("north", "box-1")
    embedded = EmbeddedBroker(tmp_path / "broker", program)
    broker = Broker(port=embedded.start())
    hub = Hub(HubConfig(data_dir=tmp_path / "hub", broker=broker, enrolment="first_sight"), port=0, hasher=CHEAP)
    outbox = Outbox(tmp_path / "edge" / "outbox.db", key, clock=clock)
    link = MqttLink(outbox, topics, broker, clock, key)
    clips = ClipUploads(outbox.clips, hub.url, topics, key, clock)
    content = b"\0\0\0 ftypisom" + bytes(1_000_000)
    path, sha256 = tmp_path / "clip.mp4", hashlib.sha256(content).hexdigest()
    path.write_bytes(content)
    try:
        hub.start()
        clips.start()
        link.start()
        outbox.put(make_fields("i1"))
        seen = PackedLook(now := clock.now(), (64, 48), 0, '"boxes":[]')
        side = write_side(
            tmp_path / "side", [seen], incident="i1", segment=0, started_at=now, duration_s=3.0, tracks=[1]
        )
        assert side is not None
        outbox.clips.put(Clip("i1", 0, "cam-1", side.path, side.sha256, side.bytes, now, 3.0, wire.SIDE))
        outbox.clips.put(Clip("i1", 0, "cam-1", path, sha256, len(content), now, 3.0))
        outbox.put(make_fields("i1", phase="end"))
        assert outbox.wait_drained(60.0)
        link.publish_health({"cameras": {}})  # not kept for a hub that listens later, which this one does by now
        assert soon(lambda: hub.store.edges.all()[0].health_at)
        incident, clip, (edge,) = hub.store.incident("i1"), hub.store.clip("i1", 0), hub.store.edges.all()
        kept = Sides(hub.store.database).find("i1", 0)
    finally:
        assert link.stop(10.0)
        assert clips.stop(10.0)
        hub.stop()
        outbox.close()
        embedded.stop()
    assert incident is not None
    assert incident.phase == "end"
    assert clip is not None
    assert (tmp_path / "hub" / "clips" / clip.file).read_bytes() == content
    assert (edge.state, edge.missing) == ("online", 0)
    assert kept is not None and kept.sha256 == side.sha256
    with (tmp_path / "hub" / "clips" / kept.file).open("rb") as file:
        assert read_side(file)["looks"] == [{"t": 0.0, "boxes": [], "offender": [1]}]
    assert not path.exists() and not side.path.exists()
