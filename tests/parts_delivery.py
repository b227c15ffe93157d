"""Edge, hub and embedded broker as programs that can be killed: `python -m tests.parts_delivery PART …`."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
import logging
import os
import random
import sys
import time
from pathlib import Path

from detector import wire
from detector.alerts.clip_queue import Clip
from detector.alerts.identity import load_identity
from detector.alerts.mqtt import MqttLink
from detector.alerts.outbox import Outbox
from detector.alerts.uploads import ClipUploads
from detector.clock import SystemClock
from detector.config import Broker, Buffers, HubConfig
from detector.mqtt.broker import IOTCORE, LARGEST_PACKET
from tests.alerts.conftest import make_fields

PHASES = ("new", "update", "end")
PUT, CLIPS, DRAINED = "put.txt", "clips.txt", "drained.json"
STARTED_AT, DURATION_S = 1_793_525_173.25, 3.0


def incident(number: int) -> str:
    """Id of an incident: every one has three envelopes."""
    return f"inc-{number:06d}"


def clip_bytes(number: int) -> bytes:
    """What begins as an MP4 does, 20 to 300 KB, and is the same each time it is made."""
    noise = random.Random(number)
    return b"\0\0\0 ftypisom" + noise.randbytes(noise.randint(20_000, 300_000))


def side_bytes(number: int) -> bytes:
    """Its side file."""
    fields = {
        "schema": 1, "incident": incident(number), "segment": 0, "started_at_unix": STARTED_AT,
        "duration_s": DURATION_S, "size": [64, 48], "looks": [{"t": 0.0, "boxes": [], "offender": [number]}],
    }  # fmt: skip
    return gzip.compress(json.dumps(fields).encode(), mtime=0)


def edge(folder: Path, broker_port: int, hub_url: str, alerts: int, clips: int, rate: float) -> None:
    """Puts alerts and clips, goes on where an earlier run stopped, and writes down what the outbox took.

    Args:
        folder: Its data folder; what it wrote down is in `PUT`, `CLIPS` and `DRAINED`.
        broker_port: Of the broker, on 127.0.0.1.
        hub_url: Of the hub.
        alerts: How many there are to be in all.
        clips: How many clips, each with a side file, evenly among them.
        rate: Alerts a second at most; 0 for as many as can be.
    """
    clock, key, topics = SystemClock(), load_identity(folder), wire.Topics("north", "box-1")
    outbox = Outbox(folder / "outbox.db", key, clock=clock, buffers=Buffers(alert_rows=1_000_000))
    link = MqttLink(outbox, topics, Broker(port=broker_port), clock, key)
    uploads = ClipUploads(outbox.clips, hub_url, topics, key, clock)
    link.start()
    uploads.start()
    every = max(1, alerts // clips) if clips else alerts + 1
    with (folder / PUT).open("a") as put, (folder / CLIPS).open("a") as clipped:
        done, kept = (len((folder / name).read_text().splitlines()) for name in (PUT, CLIPS))
        began = time.monotonic()
        for n in range(done, alerts):
            id_ = outbox.put(make_fields(incident(n // len(PHASES)), phase=PHASES[n % len(PHASES)]))
            print(id_, file=put, flush=True)
            if (n + 1) // every > kept and kept < clips:
                _put_clip(outbox, folder, kept)
                print(kept, file=clipped, flush=True)
                kept += 1
            if rate and (ahead_s := (n + 1 - done) / rate - (time.monotonic() - began)) > 0:
                time.sleep(ahead_s)
    while not outbox.wait_drained(60.0):
        pass
    draft = folder / f".{DRAINED}"
    draft.write_text(json.dumps(outbox.counts()))
    draft.rename(folder / DRAINED)
    time.sleep(600)


def _put_clip(outbox: Outbox, folder: Path, number: int) -> None:
    for what, content in ((wire.SIDE, side_bytes(number)), (None, clip_bytes(number))):
        path = folder / f"clip-{number}{'.side' if what else '.mp4'}"
        path.write_bytes(content)
        sha256 = hashlib.sha256(content).hexdigest()
        outbox.clips.put(Clip(incident(number), 0, "cam-1", path, sha256, len(content), STARTED_AT, DURATION_S, what))


def hub(folder: Path, broker_port: int, port: int) -> None:
    """The real one."""
    from argon2 import PasswordHasher

    from detector.hub.server import Hub  # two seconds of libraries, of which edge and broker need none

    broker = Broker(port=broker_port)
    config = HubConfig(data_dir=folder, broker=broker, retention={"reserve_gb": 0}, enrolment="first_sight")
    running = Hub(config, port=port, hasher=PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    running.start()
    time.sleep(3600)


def iotcore(folder: Path, port: int) -> None:
    """The broker that pip brings."""
    from iotcore import Broker as Iotcore

    config = folder / "iotcore.toml"
    config.write_text(IOTCORE.format(port=port, largest=LARGEST_PACKET), encoding="utf-8")
    Iotcore(config_path=str(config)).start()
    time.sleep(3600)


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s %(message)s")
    with contextlib.suppress(KeyboardInterrupt):
        match sys.argv[1:]:
            case ["edge", folder_, broker_, url, alerts_, clips_, rate_]:
                edge(Path(folder_), int(broker_), url, int(alerts_), int(clips_), float(rate_))
            case ["hub", folder_, broker_, port_]:
                hub(Path(folder_), int(broker_), int(port_))
            case ["iotcore", folder_, port_]:
                iotcore(Path(folder_), int(port_))
            case _:
                os._exit(2)
