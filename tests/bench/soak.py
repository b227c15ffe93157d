"""An evening of trouble for edge, broker and hub; by hand: `python -m tests.bench.soak [MINUTES [OLDER_TREE]]`.

Real programs: mosquitto, RTSP servers as cameras, `labelwatch run`, `labelwatch hub`, a guard who keeps pages open.
All the while cameras die, freeze and come back, one always refuses its password, the broker is killed and started
again, and the hub is killed once and upgraded once, both early: with OLDER_TREE, a checkout of an earlier version, that
one runs until then, else the same version is stopped and started. The hub holds some days of incidents from the first:
so does one in use, and what its pages and caches need for so many is no growth. Every ten seconds memory, threads, file
handles and disk of edge and hub (their child processes too) go into `soak.csv` in the folder that is told; printed at
the end are the slopes of memory after warm-up, by least squares, and whether the hub has every alert.
"""

from __future__ import annotations

import contextlib
import csv
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import av
import httpx
import numpy as np
import yaml

from detector.config import HubConfig
from detector.hub.access.auth import FIRST_LOGIN
from detector.mqtt.broker import free_port, is_listening
from tests.parts_mosquitto import Mosquitto, soon
from tests.sources.conftest import RtspServer

ROOT = Path(__file__).parents[2]
CLIP = ROOT / "configs/demo/sweep_near.mp4"
CAMERAS = 3
EVERY_S = 10.0
WARM_UP_SHARE = 0.2  # of the time: models load, caches and heaps fill
SEED = 6
BETWEEN_S = (60.0, 180.0)  # from one camera's trouble to the next
OUTAGE_S = (10.0, 60.0)
BROKER_EVERY_S = 480.0
# Shares of the time. Python takes memory by the megabyte: of 40 minutes, one step in the middle reads as 2 MB an hour.
HUB_KILLED, HUB_UPGRADED = 0.05, 0.1
NOBODY_S = 220.0  # longer than a sweep goes on without acts
INCIDENTS = 8000  # that the hub holds when it starts
LAST_CALM_S = 90.0  # nothing is hit in the end, so that everything can be delivered
REFUSED = ("refused", "viewer", "not the password")


@dataclass(frozen=True)
class Sample:
    """What a program and its children hold: memory, threads, file handles.

    Memory is what is theirs alone, MB: anonymous and shared between them. Pages of libraries aren't in it, whose share
    grows when another program that uses them ends. `own_mb` is the program's without its children.
    """

    minute: float
    who: str
    life: int
    memory_mb: float
    own_mb: float
    processes: int
    threads: int
    handles: int
    disk_mb: float


class Program:
    """A labelwatch program with all its children; `life` counts its starts."""

    def __init__(self, name: str, arguments: list[str], folder: Path, tree: Path = ROOT) -> None:
        self.name, self.life, self.tree = name, 0, tree
        self._arguments, self._folder = arguments, folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.life += 1
        environment = os.environ | {"PYTHONPATH": str(self.tree), "REFUSED_PASSWORD": REFUSED[2]}
        with (self._folder / f"{self.name}.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "detector", *self._arguments],
                cwd=self.tree, env=environment, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    def stop(self, number: signal.Signals = signal.SIGTERM) -> float:
        """End it; seconds that it took."""
        assert self._process is not None
        began = time.monotonic()
        self._process.send_signal(number)
        self._process.wait(60)
        return time.monotonic() - began

    def sample(self, minute: float) -> Sample | None:
        if self._process is None or self._process.poll() is not None:
            return None
        found = [(pss, threads, handles) for pid in tree_of(self._process.pid) for pss, threads, handles in held(pid)]
        if not found:
            return None
        memory, threads, handles = (sum(column) for column in zip(*found, strict=True))
        own = found[0][0]
        disk = sum(map(size_of, self._folder.joinpath(self.name).rglob("*")))
        return Sample(
            round(minute, 2), self.name, self.life, round(memory / 1024, 1), round(own / 1024, 1), len(found), threads,
            handles, round(disk / 2**20, 1),
        )  # fmt: skip


def size_of(path: Path) -> int:
    """Bytes of a file; nought of a folder, or of what has just gone."""
    try:
        return path.stat().st_size if path.is_file() else 0
    except OSError:
        return 0


def tree_of(pid: int) -> list[int]:
    """A process and all below it."""
    found = [pid]
    for one in found:
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{one}/task").iterdir():
                found += map(int, (task / "children").read_text().split())
    return found


def held(pid: int) -> Iterator[tuple[int, int, int]]:
    """Memory of its own in KB, threads and file handles of a process that is still there."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        pss = sum(int(line.split()[1]) for line in lines if line.startswith(("Pss_Anon:", "Pss_Shmem:")))
        threads, handles = (len(list(Path(f"/proc/{pid}/{what}").iterdir())) for what in ("task", "fd"))
        yield pss, threads, handles
    except (OSError, StopIteration):
        return


class Guard(threading.Thread):
    """Keeps the feed open and looks round; logs in again when the hub was away."""

    def __init__(self, url: str, hub_data: Path, over: threading.Event) -> None:
        super().__init__(daemon=True)
        self.pages, self.errors = 0, 0
        self._url, self._hub_data, self._over = url, hub_data, over

    def run(self) -> None:
        while not self._over.wait(2.0):
            with contextlib.suppress(httpx.HTTPError, OSError, ValueError):
                self._shift()

    def _shift(self) -> None:
        login = json.loads((self._hub_data / FIRST_LOGIN).read_text())
        with httpx.Client(base_url=self._url, headers={"Sec-Fetch-Site": "same-origin"}, timeout=20) as client:
            if client.post("/login", data=login).status_code != 303:
                return
            with client.stream("GET", "/events") as events:
                words = events.iter_raw()
                while not self._over.wait(3.0) and next(words, b""):  # nothing more comes when the hub goes
                    for path in ("/", "/health", "/cameras", "/review"):
                        self.pages += 1
                        self.errors += client.get(path, follow_redirects=True).status_code >= 500


def camera_trouble(servers: list[RtspServer], until: float, over: threading.Event, counted: dict[str, int]) -> None:
    """Kill or freeze one camera after the other for a while."""
    dice = random.Random(SEED)
    while not over.wait(dice.uniform(*BETWEEN_S)) and time.monotonic() < until:
        server, how = dice.choice(servers), dice.choice(("killed", "frozen"))
        counted[how] = counted.get(how, 0) + 1
        if how == "killed":
            server.kill()
        else:
            server.freeze()
        over.wait(dice.uniform(*OUTAGE_S))
        if how == "killed":
            server.start()
        else:
            server.thaw()


def slope_mb_per_h(samples: list[Sample], what: str) -> float:
    """Of the straight line with the least squares through a figure of memory over time."""
    minutes = np.array([one.minute for one in samples])
    return float(np.polyfit(minutes / 60.0, [getattr(one, what) for one in samples], 1)[0])


def raw_stream(folder: Path) -> tuple[Path, int]:
    """What the servers loop, a plain H.264 stream, and its pictures a second: the shipped sweep, then nobody for long.

    Nobody is the median of the sweep's pictures. Were the sweep shown without a pause it would be one for hours, and
    the edge remember its acts for the first of them: a growth of 2.5 MB that says nothing of an ordinary evening.
    """
    path = folder / "camera.h264"
    with av.open(str(CLIP)) as clip, av.open(str(path), "w", format="h264") as out:
        fps = round(float(clip.streams.video[0].average_rate or 10))
        sweep = [frame.to_ndarray(format="yuv420p") for frame in clip.decode(video=0)]
        nobody = np.median(sweep[:: max(1, len(sweep) // 20)], axis=0).astype(np.uint8)
        stream = out.add_stream("libx264", rate=fps, options={"preset": "veryfast", "g": str(2 * fps), "bf": "0"})
        stream.height, stream.width = nobody.shape[0] * 2 // 3, nobody.shape[1]
        stream.pix_fmt = "yuv420p"
        for number, planes in enumerate(sweep + [nobody] * round(NOBODY_S * fps)):
            frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            frame.pts = number
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
        return path, fps


def configured(folder: Path, servers: list[RtspServer], broker: int, port: int) -> None:
    """Write both configurations."""
    cameras: list[dict[str, object]] = [
        {"name": f"cam{n}", "source": server.url} for n, server in enumerate(servers[:CAMERAS])
    ]
    name, user, _ = REFUSED
    cameras.append({"name": name, "source": servers[CAMERAS].url, "username": user, "password_env": "REFUSED_PASSWORD"})
    edge = {
        "site": "soak", "edge": "box", "data_dir": str(folder / "edge"), "broker": {"port": broker},
        "hub": {"url": f"http://127.0.0.1:{port}"},
        "analysis": {"fps": 2.0, "frame_side": 416, "precision": "int8"}, "cameras": cameras,
    }  # fmt: skip
    hub = {"data_dir": str(folder / "hub"), "port": port, "broker": {"port": broker}}
    (folder / "edge.yaml").write_text(yaml.safe_dump(edge))
    (folder / "older.yaml").write_text(yaml.safe_dump(hub))
    newer = {"enrolment": "first_sight"} if "enrolment" in HubConfig.model_fields else {}
    (folder / "hub.yaml").write_text(yaml.safe_dump(hub | newer))


def soak(minutes: float, older: Path | None, folder: Path) -> list[str]:
    """Run it; what is wrong."""
    stream, fps = raw_stream(folder)
    servers = [RtspServer(stream, fps=fps) for _ in range(CAMERAS)]
    servers.append(RtspServer(stream, (REFUSED[1], "the password"), fps=fps))
    for server in servers:
        server.start()
    broker = Mosquitto(folder)
    broker.start()
    port = free_port()
    configured(folder, servers, broker.port, port)
    for name in ("edge", "hub"):
        (folder / name).mkdir()
    filled(folder / "hub", older or ROOT)
    hub = Program("hub", ["hub", str(folder / ("older.yaml" if older else "hub.yaml"))], folder, older or ROOT)
    edge = Program("edge", ["run", str(folder / "edge.yaml")], folder)
    began = time.monotonic()
    until = began + minutes * 60 - LAST_CALM_S
    over, counted = threading.Event(), {"broker": 0}
    samples: list[Sample] = []
    stops: dict[str, float] = {}
    guard = Guard(f"http://127.0.0.1:{port}", folder / "hub", over)
    try:
        hub.start()
        assert soon(lambda: is_listening(port), 120), "the hub does not start"
        edge.start()
        guard.start()
        trouble = threading.Thread(target=camera_trouble, args=(servers[:CAMERAS], until, over, counted), daemon=True)
        trouble.start()
        broker_at, kill_at, upgrade_at = (
            began + s for s in (BROKER_EVERY_S / 2, minutes * 60 * HUB_KILLED, minutes * 60 * HUB_UPGRADED)
        )
        with (folder / "soak.csv").open("w", newline="") as file:
            table = csv.DictWriter(file, list(Sample.__dataclass_fields__))
            table.writeheader()
            while (now := time.monotonic()) < began + minutes * 60:
                for program in (edge, hub):
                    if sample := program.sample((now - began) / 60):
                        samples.append(sample)
                        table.writerow(asdict(sample))
                file.flush()
                if now > broker_at and now < until:
                    broker_at += BROKER_EVERY_S
                    counted["broker"] += 1
                    broker.kill()
                    time.sleep(3.0)
                    broker.start()
                if now > kill_at:
                    kill_at = float("inf")
                    hub.stop(signal.SIGKILL)
                    hub.start()
                if now > upgrade_at:
                    upgrade_at = float("inf")
                    stops["hub"] = hub.stop()
                    hub = newer(hub, folder)
                    hub.start()
                time.sleep(max(0.0, EVERY_S - (time.monotonic() - now)))
        over.set()
        stops["edge"] = edge.stop()
        stops["hub at the end"] = hub.stop()
    finally:
        over.set()
        for program in (edge, hub):
            with contextlib.suppress(Exception):
                program.stop(signal.SIGKILL)
        for server in servers:
            with contextlib.suppress(Exception):
                server.thaw()
            server.kill()
        broker.kill()
    told(samples, minutes)
    print(f"hit: {counted}; stopped within: { {who: round(s, 1) for who, s in stops.items()} } s")
    print(f"pages looked at: {guard.pages}, of them answered with an error of the hub: {guard.errors}")
    return wrong_in(folder)


def filled(data: Path, tree: Path) -> None:
    """Let a hub's folder hold incidents, written by the version in `tree`."""
    script = f"""
from pathlib import Path
from tests.bench.feed import Site, fill
site = Site(Path({str(data)!r}))
fill(site, {INCIDENTS})
site.store.close()
"""
    subprocess.run([sys.executable, "-c", script], cwd=tree, env=os.environ | {"PYTHONPATH": str(tree)}, check=True)


def newer(hub: Program, folder: Path) -> Program:
    """The present version in the older one's place."""
    upgraded = Program("hub", ["hub", str(folder / "hub.yaml")], folder)
    upgraded.life = hub.life
    return upgraded


def told(samples: list[Sample], minutes: float) -> None:
    """Print what each held, by its last life."""
    columns = (
        "who", "from minute", "memory, MB: first, last, most", "MB/h", "alone", "threads", "files", "disk, MB",
    )  # fmt: skip
    print("|", " | ".join(columns), "|")
    print("|", " | ".join(["---"] * len(columns)), "|")
    for who in ("edge", "hub"):
        of_it = [one for one in samples if one.who == who]
        last_life = [one for one in of_it if one.life == max(one.life for one in of_it)]
        warm = [one for one in last_life if one.minute >= last_life[0].minute + WARM_UP_SHARE * minutes]
        if len(warm) < 3:
            print(f"| {who} | too short | | | | | | |")
            continue
        memory, threads, handles = (
            [getattr(one, what) for one in warm] for what in ("memory_mb", "threads", "handles")
        )
        whole, own = slope_mb_per_h(warm, "memory_mb"), slope_mb_per_h(warm, "own_mb")
        print(
            f"| {who} | {warm[0].minute:.0f} | {memory[0]:.0f}, {memory[-1]:.0f}, {max(memory):.0f} | {whole:+.1f} "
            f"| {warm[0].own_mb:.0f}, {warm[-1].own_mb:.0f}: {own:+.1f} MB/h "
            f"| {threads[0]}, {threads[-1]}, {max(threads)} "
            f"| {handles[0]}, {handles[-1]}, {max(handles)} | {warm[0].disk_mb:.0f} to {warm[-1].disk_mb:.0f} |"
        )


def wrong_in(folder: Path) -> list[str]:
    """What edge and hub owe each other after all."""
    wrong = []
    with contextlib.closing(sqlite3.connect(folder / "edge/outbox.db")) as box:
        owed = box.execute("SELECT COUNT(*) FROM alerts").fetchone()[0]
        dead = box.execute("SELECT COUNT(*) FROM dead").fetchone()[0]
    with contextlib.closing(sqlite3.connect(folder / "hub/hub.sqlite")) as hub:
        seqs = [seq for (seq,) in hub.execute("SELECT seq FROM alerts WHERE site = 'soak'")]
        ids = hub.execute("SELECT COUNT(*), COUNT(DISTINCT id) FROM alerts WHERE site = 'soak'").fetchone()
        incidents = dict(hub.execute("SELECT kind, COUNT(*) FROM incidents WHERE site = 'soak' GROUP BY kind"))
    gaps = len(set(range(1, max(seqs, default=0) + 1)) - set(seqs))
    print(f"alerts at the hub: {ids[0]}, incidents: {incidents}, owed by the edge: {owed}, dead letters: {dead}")
    if not seqs:
        wrong.append("no alert came at all")
    if ids[0] != ids[1] or dead or gaps > owed:
        wrong.append(f"{ids[0] - ids[1]} doubled, {dead} dead, {gaps} missing of which {owed} are still owed")
    return wrong


def main() -> int:
    """Run it; 1 when anything was lost or doubled."""
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else 90.0
    older = Path(sys.argv[2]).resolve() if len(sys.argv) > 2 else None
    folder = Path(tempfile.mkdtemp(prefix="soak-"))
    print(f"in {folder}", flush=True)
    wrong = soak(minutes, older, folder)
    print("; ".join(wrong) or "all well")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
