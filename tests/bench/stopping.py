"""How long a worker takes to stop while everything round it is stuck, and what is left of what it held.

    python -m tests.bench.stopping [--times 20]

Four cameras: two in the midst of an incident with a clip being written, one whose analysis is stuck, one that is
frozen (it takes connections and says nothing). The broker is stopped by SIGSTOP, the hub takes uploads and never
answers. Then SIGTERM. Counted: seconds until the process is gone, incidents that have no end in the outbox, clips that
are not whole, after the next start has salvaged what the stuck camera left.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import av
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from detector.alerts.identity import load_identity
from detector.alerts.outbox import Outbox
from detector.alerts.sink import AlertSink
from detector.alerts.trust import pin_hub_key
from detector.clock import SystemClock
from detector.config import Camera, EdgeConfig, HubLink
from detector.media.packets import PacketRing
from detector.wire import public_key_text
from tests.conftest import REPOSITORY
from tests.parts_mosquitto import Mosquitto, soon
from tests.sources.footage import make_video

MOVING, STUCK, FROZEN = ("left", "right"), "stuck", "frozen"
CONFIG = """
site: north
edge: box-1
data_dir: data
broker: {{port: {broker}}}
hub: {{url: "http://127.0.0.1:{hub}"}}
cameras:
  - {{name: left, source: a.mp4, loop: true}}
  - {{name: right, source: a.mp4, loop: true}}
  - {{name: stuck, source: a.mp4, loop: true}}
  - {{name: frozen, source: "rtsp://127.0.0.1:{frozen}/x"}}
"""
WORKER = """
    import sys, time
    from pathlib import Path
    from detector import assembly, inference
    from detector.edge.launch import launch
    from tests.test_worker import ScriptedPipeline
    config = Path(sys.argv[1])

    class StuckPipeline(ScriptedPipeline):
        def process(self, frame):
            if self.calls == 12:
                config.with_name("stuck").touch()
                time.sleep(1e6)
            return super().process(frame)

    inference.load_detector = lambda settings: None
    assembly.build_pipeline = lambda config, camera, detector, least_score: (
        StuckPipeline() if camera.name == "stuck" else ScriptedPipeline()
    )
    sys.exit(launch(config))
"""


@dataclass(frozen=True, slots=True)
class Stopped:
    """What a stop was like.

    Attributes:
        took_s: From the signal to the end of the process.
        code: Exit status.
        unended: Incidents without an end in the outbox, at once and after the next start.
        broken: Clips that can't be played through or aren't listed, after the next start.
        log: What it wrote.
    """

    took_s: float
    code: int
    unended: tuple[list[str], list[str]]
    broken: list[str]
    log: str


@contextmanager
def mute_server() -> Iterator[int]:
    """Takes connections and what they send, and says nothing."""
    held: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def take() -> None:
            while True:
                try:
                    held.append(server.accept()[0])
                except OSError:
                    return

        threading.Thread(target=take, daemon=True).start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)
            for one in held:
                one.close()


def stop_once(folder: Path, signals: int = 1) -> Stopped:
    """Let all of it get stuck in a new folder, send SIGTERM so often (0.5 s apart), and look at what is left."""
    make_video(folder / "a.mp4", seconds=4)
    broker = Mosquitto(folder)
    broker.start()
    log = folder / "log"
    with mute_server() as hub, mute_server() as frozen, log.open("w") as errors:
        config, data = folder / "site.yaml", folder / "data"
        config.write_text(CONFIG.format(broker=broker.port, hub=hub, frozen=frozen), encoding="utf-8")
        data.mkdir()
        pin_hub_key(data, public_key_text(Ed25519PrivateKey.generate()))  # else it waits for a hub to join
        command = [sys.executable, "-c", textwrap.dedent(WORKER), str(config)]
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
        worker = subprocess.Popen(command, stderr=errors, env=environment)
        try:
            parts = [data / "clips" / name for name in (*MOVING, STUCK)]
            assert soon(lambda: (folder / "stuck").exists() and all(list(p.glob("*.part")) for p in parts), 90)
            assert broker._process is not None
            broker._process.send_signal(signal.SIGSTOP)
            time.sleep(1.0)
            asked = time.monotonic()
            for _ in range(signals - 1):
                worker.send_signal(signal.SIGTERM)
                time.sleep(0.5)
            worker.send_signal(signal.SIGTERM)
            code = worker.wait(60)
            took_s = time.monotonic() - asked
        finally:
            worker.kill()
            worker.wait()
            broker.kill()
    return Stopped(took_s, code, *left_in(folder), log.read_text())


def left_in(folder: Path) -> tuple[tuple[list[str], list[str]], list[str]]:
    """Incidents not ended before and after what the next start does, and clips that are not whole then."""
    data = folder / "data"
    with sqlite3.connect(data / "outbox.db") as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    outbox = Outbox(data / "outbox.db", load_identity(data), clock=SystemClock())
    try:
        before = _cameras_without_end(outbox)
        hub = HubLink(url="http://127.0.0.1:1")
        cameras = [Camera(name=name, source="a.mp4") for name in (*MOVING, STUCK)]
        config = EdgeConfig(site="north", edge="box-1", data_dir=data, cameras=cameras, hub=hub)
        for camera in cameras:
            AlertSink(config, camera, outbox, PacketRing(10)).salvage()
        return (before, _cameras_without_end(outbox)), _broken(data / "clips", outbox)
    finally:
        outbox.close()


def _cameras_without_end(outbox: Outbox) -> list[str]:
    return sorted(fields["camera"] for fields in outbox.left_open())


def _broken(clips: Path, outbox: Outbox) -> list[str]:
    ends = [json.loads(row.payload) for row in outbox.take_due(100)]
    announced = {f"{end['after']['id']}.{clip['segment']}" for end in ends for clip in end["clips"] or ()}
    found = [str(path) for path in clips.rglob("*.part")]
    for path in clips.rglob("*.mp4"):
        with av.open(str(path)) as container:
            whole = sum(1 for _ in container.decode(video=0)) > 0
        if not whole or path.stem not in announced:
            found.append(str(path))
    return found


def main() -> int:
    """Stop so often, and print how it went."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--times", type=int, default=20)
    options = parser.parse_args()
    for signals in (1, 2):
        stops = []
        for _ in range(options.times):
            with tempfile.TemporaryDirectory() as folder:
                stops.append(stop_once(Path(folder), signals))
        took = sorted(stop.took_s for stop in stops)
        unended = [sum(len(stop.unended[when]) for stop in stops) for when in (0, 1)]
        print(
            f"{signals} x SIGTERM, {len(stops)} stops: median {statistics.median(took):.2f} s, "
            f"longest {took[-1]:.2f} s; exit {sorted({stop.code for stop in stops})}; "
            f"not ended at once {unended[0]}, after the next start {unended[1]}; "
            f"broken clips {sum(len(stop.broken) for stop in stops)}"
        )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
