"""Sustained alerts a second, end to end, each commit on disk; run by hand: `python -m tests.bench.throughput [ALERTS]`.

A real edge, broker and hub, each a process of its own, straight to one another. `live`: the edge puts alerts as fast as
its outbox commits them (an fsync each), and they are counted until the hub has stored and confirmed the last of them.
`backlog`: all were put before there was a broker. Beside that, what the parts cost: an fsync in this folder, and the
signature that the hub makes for each batch of acknowledgements; the processor times don't depend on how busy the
machine is.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from detector import wire
from detector.mqtt.broker import is_listening
from tests.alerts.conftest import make_fields
from tests.delivery_matrix import BROKERS, Part, broker_command
from tests.parts_delivery import DRAINED, PUT
from tests.parts_link import lasting_port
from tests.parts_mosquitto import soon

GIVE_UP_S = 180.0
PYTHON = [sys.executable, "-m", "tests.parts_delivery"]


@dataclass(frozen=True)
class Measured:
    """Alerts a second from the first until the last is confirmed, and processor time of each alert by process, us."""

    rate: float
    cpu_us: dict[str, float]


def measure(broker: str, folder: Path, alerts: int, *, backlog: bool) -> Measured:
    """Send so many alerts.

    Args:
        broker: One of `BROKERS`.
        folder: An empty one.
        alerts: How many.
        backlog: Have all of them waiting before broker and hub begin.

    Raises:
        AssertionError: One was lost or is there twice, or it took too long.
    """
    edge, hub, port, web = folder / "edge", folder / "hub", lasting_port(), lasting_port()
    for made in (edge, hub):
        made.mkdir(parents=True)
    (edge / PUT).touch()
    parts = {
        "broker": Part(broker_command(broker, folder, port, PYTHON), folder / "broker.log", lambda: is_listening(port)),
        "hub": Part([*PYTHON, "hub", str(hub), str(port), str(web)], folder / "hub.log", lambda: is_listening(web)),
    }
    command = [*PYTHON, "edge", str(edge), str(port), f"http://127.0.0.1:{web}", str(alerts), "0", "0"]
    parts = {"edge": Part(command, folder / "edge.log"), **parts} if backlog else {
        **parts, "edge": Part(command, folder / "edge.log"),
    }  # fmt: skip
    wanted = alerts if backlog else 1

    def put() -> int:
        return (edge / PUT).stat().st_size // 33  # ids have 32 characters

    try:
        for name, part in parts.items():
            assert name == "edge" or not backlog or soon(lambda: put() >= alerts, GIVE_UP_S), "the edge puts no more"
            part.start()
        assert soon(lambda: put() >= wanted, GIVE_UP_S)
        began, cpu_s = time.monotonic(), {name: part.cpu_s() for name, part in parts.items()}
        assert soon((edge / DRAINED).exists, GIVE_UP_S), "not drained"
        took_s = time.monotonic() - began
        cpu_us = {name: (part.cpu_s() - cpu_s[name]) / alerts * 1e6 for name, part in parts.items()}
    finally:
        for part in parts.values():
            part.kill()
    with sqlite3.connect(hub / "hub.sqlite") as db:
        kept = [id_ for (id_,) in db.execute("SELECT id FROM alerts")]
    db.close()
    assert sorted(kept) == sorted((edge / PUT).read_text().split()), "lost or doubled"
    return Measured(alerts / took_s, cpu_us)


def fsync_ms(folder: Path) -> float:
    """Median of 100 writes of 4 KiB, each made to last."""
    file = os.open(folder / "fsync", os.O_WRONLY | os.O_CREAT)
    try:
        return (
            statistics.median(_timed(lambda: (os.write(file, bytes(4096)), os.fsync(file))) for _ in range(100)) * 1e3
        )
    finally:
        os.close(file)


def signing_us(ids: int) -> tuple[float, float]:
    """Median cost at the hub of signing an acknowledgement of so many alerts, and at the edge of checking it."""
    key, topic = Ed25519PrivateKey.generate(), wire.Topics("north", "box-1").ack
    payload, public = wire.ack_payload([f"{n:032x}" for n in range(ids)]), wire.public_key_text(key)
    word = wire.to_edge(topic, payload, key, 1.8e9)
    made = statistics.median(_timed(lambda: wire.to_edge(topic, payload, key, 1.8e9)) for _ in range(500))
    checked = statistics.median(
        _timed(lambda: wire.check_to_edge(topic, wire.decode(word), public)) for _ in range(500)
    )  # fmt: skip
    return made * 1e6, checked * 1e6


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def main(alerts: int) -> None:
    """Print the table."""
    folder = Path(tempfile.mkdtemp(prefix="throughput-"))
    size = len(wire.encode(make_fields("incident")))
    print(f"{alerts} alerts of {size} bytes, fsync {fsync_ms(folder):.2f} ms")
    for ids in (1, 20, 100):
        print("acknowledgement of {}: signed in {:.0f} us, checked in {:.0f} us".format(ids, *signing_us(ids)))
    print("\n| broker | | alerts/s | processor time of an alert, us: edge | broker | hub |")
    print("| --- | --- | --- | --- | --- | --- |")
    for broker in BROKERS:
        for what, backlog in (("live", False), ("backlog", True)):
            got = measure(broker, folder / f"{broker}-{what}", alerts, backlog=backlog)
            cpu = " | ".join(f"{got.cpu_us[name]:.0f}" for name in ("edge", "broker", "hub"))
            print(f"| {broker} | {what} | {got.rate:.0f} | {cpu} |", flush=True)
    shutil.rmtree(folder)


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 5000)
