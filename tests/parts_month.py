"""A box that was cut off for a month comes back: its outbox, a real mosquitto and a hub's store, in one process."""

from __future__ import annotations

import statistics
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from detector import wire
from detector.alerts.mqtt import MqttLink
from detector.alerts.outbox import Outbox
from detector.clock import iso
from detector.config import Broker, Buffers
from detector.hub.edges.ingest import Ingest
from detector.hub.edges.keys import EdgeKeys
from detector.hub.storage.store import Store
from detector.values import Severity
from tests.alerts.conftest import make_fields
from tests.parts_mosquitto import Mosquitto, soon

MONTH_S = 30 * 86400.0
SEVERITIES = ("info", "info", "info", "info", "info", "info", "warning", "warning", "warning", "critical")
RANKS = {severity.value: severity.rank for severity in Severity}


class ShiftedClock:
    """The machine's clock, set back by so many seconds."""

    def __init__(self) -> None:
        self.back_s = MONTH_S

    def now(self) -> float:
        return time.time() - self.back_s

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


@dataclass
class Month:
    """What was seen; times in seconds.

    `order` holds the incident of every alert as the hub stored it; `overtook` how many others came between putting a
    live alert and its coming.
    """

    rows: int
    order: list[tuple[str, str]] = field(default_factory=list)
    live_s: list[float] = field(default_factory=list)
    overtook: list[int] = field(default_factory=list)
    drained_s: float = 0.0
    feed: list[tuple[float, str]] = field(default_factory=list)
    lost: int = 0
    dropped: int = 0

    @property
    def rate(self) -> float:
        """Of the backlog, alerts a second."""
        return len(self.backlog) / self.drained_s if self.drained_s else 0.0

    @property
    def backlog(self) -> list[str]:
        """Severities of the backlog in the order it came."""
        return [severity for incident, severity in self.order if not incident.startswith("live")]

    @property
    def out_of_order(self) -> int:
        """How many of the backlog came among those of another severity, the edges of each class left out."""
        wanted = sorted(self.backlog, key=lambda severity: -RANKS[severity])
        return sum(one != other for one, other in zip(self.backlog, wanted, strict=True))

    def row(self) -> str:
        """For a table."""
        live = f"{statistics.median(self.live_s):.2f} s / {max(self.live_s):.2f} s" if self.live_s else "–"
        return (
            f"| {self.rows:,} | {len(self.live_s)} | {live} | {self.drained_s:.1f} s | {self.rate:.0f}/s | "
            f"{self.out_of_order} | {self.lost} |"
        )


HEAD = (
    "| alerts of a month | live alerts | live: median / longest | drained after | rate | out of order | lost |\n"
    "| --- | --- | --- | --- | --- | --- | --- |"
)


def month_offline(
    folder: Path, rows: int, live: int, *, every_s: float, picture: int = 2000, buffers: Buffers | None = None
) -> Month:
    """Fill an outbox over a month, connect it, and put live alerts while it drains.

    Args:
        folder: For all files.
        rows: Alerts of the month, two for each incident.
        live: Alerts put after the link is there.
        every_s: One after so many seconds.
        picture: Size of the picture in every first alert, characters.
        buffers: Limits of the outbox.
    """
    key, clock = Ed25519PrivateKey.generate(), ShiftedClock()
    outbox = Outbox(folder / "outbox.db", key, clock=clock, buffers=buffers or Buffers())
    outbox._file.execute("PRAGMA synchronous=OFF")  # only while it is filled, which is not measured
    severity_of: dict[str, str] = {}
    for n in range(rows // 2):
        clock.back_s = MONTH_S * (1 - 2 * n / rows)
        severity = SEVERITIES[n % len(SEVERITIES)]
        _story(outbox, clock, f"old{n:06}", severity, picture, severity_of)
    outbox._file.execute("PRAGMA synchronous=FULL")
    clock.back_s = 0.0
    time.sleep(0.01)
    seen = Month(rows)
    stored_at: dict[str, float] = {}
    store = Store(f"sqlite:///{folder / 'hub.sqlite'}")
    lock = threading.Lock()

    def on_stored(ids: list[str]) -> None:
        with lock:
            stored_at.update(dict.fromkeys(ids, time.monotonic()))

    broker = Mosquitto(folder)
    broker.start()
    address = Broker(port=broker.port)
    keys = EdgeKeys(store.database, first_sight=True)
    ingest = Ingest(store, address, clock, on_stored, keys=keys, key=Ed25519PrivateKey.generate())
    link = MqttLink(outbox, wire.Topics("north", "box-1"), address, clock, key)
    put_at: dict[str, float] = {}
    known: list[int] = []
    try:
        ingest.start()
        assert soon(lambda: ingest.connected)
        began = time.monotonic()
        link.start()
        assert soon(lambda: link.connected)
        for n in range(live):
            fields = _fields(f"live{n:04}", "critical", clock.now(), "new", picture)
            id_ = outbox.put(fields)
            put_at[id_] = time.monotonic()
            known.append(len(stored_at))
            time.sleep(every_s)
        assert outbox.wait_drained(600)
        seen.drained_s = max(at for id_, at in stored_at.items() if id_ not in put_at) - began
    finally:
        link.stop()
        ingest.stop()
        broker.kill()
    with store.database.reading() as connection:
        for (incident,) in connection.exec_driver_sql("SELECT incident FROM alerts ORDER BY number"):
            seen.order.append((incident, severity_of.get(incident, "info")))
    places = {incident: place for place, (incident, _) in enumerate(seen.order)}
    seen.overtook = [places[f"live{n:04}"] - before for n, before in enumerate(known)]
    seen.live_s = [stored_at[id_] - at for id_, at in put_at.items()]
    seen.feed = [(one.started_at, one.id) for one in store.feed(limit=50)]
    store.edges.set_health("north", "box-1", {}, clock.now())
    (edge,) = store.edges.all()
    seen.lost, seen.dropped = edge.missing, edge.dropped
    store.close()
    outbox.close()
    return seen


def _story(outbox: Outbox, clock: ShiftedClock, incident: str, severity: str, picture: int, of: dict[str, str]) -> None:
    of[incident] = severity
    outbox.put(_fields(incident, severity, clock.now(), "new", picture))
    outbox.put(_fields(incident, severity, clock.now(), "end", 0))


def _fields(incident: str, severity: str, at: float, phase: str, picture: int) -> dict[str, Any]:
    fields = make_fields(incident, severity, phase=phase)
    fields["snapshot"] = "/9j/" + "A" * picture if picture else None
    fields["after"] |= {
        "started_at": iso(at), "ended_at": iso(at + 2), "started_at_unix": round(at, 3),
        "ended_at_unix": round(at + 2, 3),
    }  # fmt: skip
    return fields
