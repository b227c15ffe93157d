"""Who is hit how on which broker while alerts and clips are under way, and what must be true afterwards.

A cell of the matrix runs a real edge, broker and hub as processes, with two links between them that are ours, and hits
one of them several times; when, and for how long, comes from the cell's seed. Used by a short test and by a long
command (`tests.bench.kill_matrix`).
"""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from detector.clock import SystemClock
from detector.config import HubConfig
from detector.hub.access.auth import FIRST_LOGIN
from detector.hub.footage.clips import ClipFolder
from detector.hub.footage.sides import Sides
from detector.hub.storage.store import Store
from detector.mqtt.broker import find_mosquitto, is_listening
from tests.conftest import part_missing
from tests.hub.conftest import sqlite_url
from tests.parts_delivery import CLIPS, DRAINED, PHASES, PUT, clip_bytes, incident, side_bytes
from tests.parts_link import Link, lasting_port
from tests.parts_mosquitto import soon

BROKERS = ("mosquitto", "iotcore")
PARTS = ("edge", "broker", "hub")
LINKS = ("edge's link", "hub's link")
HOWS = {**dict.fromkeys(PARTS, ("killed", "frozen")), **dict.fromkeys(LINKS, ("cut", "stalled", "delayed"))}
DELAY_S = 0.15
GIVE_UP_S = 180.0
ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Cell:
    """One cell: `who` is hit `how` (both `everybody`: all of them in turn; `nobody`: the undisturbed way)."""

    who: str
    how: str
    broker: str

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.who} {self.how}, {self.broker}".replace("  ", " ")

    def schedule(self, hits: int, seed: int) -> list[Hit]:
        """When to hit whom how: the same for the same seed."""
        dice = random.Random(f"{self.name} {seed}")
        if self.who == "nobody":
            return []
        marks = sorted(dice.uniform(0.05, 0.95) for _ in range(hits))
        return [Hit(mark, *self._target(dice), outage_s=dice.uniform(0.2, 2.5)) for mark in marks]

    def _target(self, dice: random.Random) -> tuple[str, str]:
        who = dice.choice(sorted(HOWS)) if self.who == "everybody" else self.who
        return who, dice.choice(HOWS[who]) if self.who == "everybody" else self.how


@dataclass(frozen=True)
class Hit:
    """`who` is hit `how` when this share of the alerts has been put, and is well again after so many seconds."""

    mark: float
    who: str
    how: str
    outage_s: float


@dataclass
class Outcome:
    """What a cell came to; `wrong` says what must not be, and is empty when all is well.

    `recovery_s` is the longest time from a return until the hub had every alert put before it; `seconds` from the
    first alert until nothing was owed.
    """

    cell: Cell
    alerts: int
    clips: int
    lost: int = 0
    doubled: int = 0
    gaps: int = 0
    recovery_s: float = 0.0
    seconds: float = 0.0
    wrong: list[str] = field(default_factory=list)

    @property
    def row(self) -> str:
        """Of the Markdown table."""
        rate = self.alerts / self.seconds if self.seconds else 0.0
        verdict = "; ".join(self.wrong) or "all well"
        return (
            f"| {self.cell.name} | {self.alerts} | {self.clips} | {self.lost} | {self.doubled} | {self.gaps} "
            f"| {self.recovery_s:.1f} | {rate:.0f} | {verdict} |"
        )


HEAD = """| who is hit how, broker | alerts | clips | lost | doubled | gaps in `seq` | recovery, s | alerts/s | |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |"""


def all_cells() -> list[Cell]:
    """The whole matrix."""
    hit = [(who, how) for who in HOWS for how in HOWS[who]]
    return [Cell(*c, broker) for broker in BROKERS for c in [("nobody", "hit"), *hit, ("everybody", "hit")]]


class Part:
    """A program in a session of its own, which is hit with all its children."""

    def __init__(self, command: list[str], log: Path, ready: Callable[[], object] = lambda: True) -> None:
        self._command = command
        self._log = log
        self._ready = ready
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log, cwd=ROOT, start_new_session=True)
        assert soon(self._ready), f"does not start; {self._log} says why"

    def signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, number)

    def cpu_s(self) -> float:
        """Processor time that it has taken so far."""
        assert self._process is not None
        told = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(told[11]) + int(told[12])) / os.sysconf("SC_CLK_TCK")

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait()
            self._process = None


class Run:
    """A cell at work."""

    def __init__(self, cell: Cell, folder: Path, alerts: int, clips: int, rate: float) -> None:
        self.outcome = Outcome(cell, alerts, clips)
        self._edge, self._hub = folder / "edge", folder / "hub"
        for made in (self._edge, self._hub):
            made.mkdir(parents=True)
        (self._edge / PUT).touch()
        broker_port, self._hub_port = lasting_port(), lasting_port()
        self._links = {"edge's link": [Link(broker_port), Link(self._hub_port)], "hub's link": [Link(broker_port)]}
        (to_broker, to_hub), (hub_to_broker,) = self._links.values()
        python = [sys.executable, "-m", "tests.parts_delivery"]
        self._parts = {
            "broker": Part(
                broker_command(cell.broker, folder, broker_port, python), folder / "broker.log",
                lambda: is_listening(broker_port),
            ),
            "hub": Part(
                [*python, "hub", str(self._hub), str(hub_to_broker.port), str(self._hub_port)], folder / "hub.log"
            ),
            "edge": Part(
                [
                    *python, "edge", str(self._edge), str(to_broker.port), f"http://127.0.0.1:{to_hub.port}",
                    str(alerts), str(clips), str(rate),
                ],
                folder / "edge.log",
            ),
        }  # fmt: skip
        self._db = self._hub / "hub.sqlite"
        sqlite_url(self._db)  # of the newest shape already
        self._kills_of_edge = 0

    def go(self, schedule: list[Hit]) -> Outcome:
        """Run it to its end, and look what has become of everything."""
        try:
            for part in self._parts.values():
                part.start()
            assert soon(lambda: is_listening(self._hub_port), GIVE_UP_S)
            assert soon(lambda: self._put() > 0)
            began = time.monotonic()
            for hit in schedule:
                self._strike(hit)
            if soon(lambda: (self._edge / DRAINED).exists(), GIVE_UP_S):
                self.outcome.seconds = time.monotonic() - began
            else:
                self.outcome.wrong.append(f"not drained {GIVE_UP_S:.0f} s after the last return")
            self._look_at_pages()
        finally:
            for part in self._parts.values():
                part.kill()
            for links in self._links.values():
                for link in links:
                    link.close()
        self._look_at_stores()
        return self.outcome

    def _strike(self, hit: Hit) -> None:
        marked = int(hit.mark * self.outcome.alerts)
        assert soon(lambda: self._put() >= marked, GIVE_UP_S), "the edge puts no more"
        part, links = self._parts.get(hit.who), self._links.get(hit.who, [])
        if hit.how == "frozen" and part:
            part.signal(signal.SIGSTOP)
        elif part:
            part.kill()
            self._kills_of_edge += hit.who == "edge"
        for link in links:
            {"cut": link.cut, "stalled": link.stall, "delayed": lambda: link.delay(DELAY_S)}[hit.how]()  # noqa: B023
        time.sleep(hit.outage_s)
        if hit.how == "frozen" and part:
            part.signal(signal.SIGCONT)
        elif part:
            part.start()
        for link in links:
            link.mend()
        back, owed = time.monotonic(), self._put()
        if soon(lambda: self._stored_up_to(owed) >= owed, GIVE_UP_S):
            self.outcome.recovery_s = max(self.outcome.recovery_s, time.monotonic() - back)
        else:
            self.outcome.wrong.append(f"no recovery within {GIVE_UP_S:.0f} s")

    def _put(self) -> int:
        return (self._edge / PUT).stat().st_size // 33  # ids have 32 characters

    def _stored_up_to(self, seq: int) -> int:
        try:
            return int(self._ask("SELECT COUNT(*) FROM alerts WHERE seq <= ?", seq)[0][0])
        except sqlite3.OperationalError:  # the hub is just making its tables
            return 0

    def _ask(self, sql: str, *values: object) -> list[Any]:
        db = sqlite3.connect(f"file:{self._db}?mode=ro", uri=True, timeout=10)
        try:
            return db.execute(sql, values).fetchall()
        finally:
            db.close()

    def _look_at_pages(self) -> None:
        """Clips and side files as the hub serves them to somebody who is logged in."""
        wrong, url = self.outcome.wrong, f"http://127.0.0.1:{self._hub_port}"
        login = json.loads((self._hub / FIRST_LOGIN).read_text())
        with httpx.Client(base_url=url, headers={"Sec-Fetch-Site": "same-origin"}, timeout=30) as client:
            answer = client.post("/login", data=login)
            if answer.status_code != 303:
                wrong.append(f"login answered {answer.status_code}")
            for number in map(int, (self._edge / CLIPS).read_text().split()):
                served = client.get(f"/clips/{incident(number)}/0")
                if served.content != clip_bytes(number):
                    wrong.append(f"clip {number} is served as {served.status_code}, {len(served.content)} bytes")
                side = client.get(f"/clips/{incident(number)}/0/side")
                if side.status_code != 200 or side.json()["looks"][0]["offender"] != [number]:
                    wrong.append(f"side file {number} is served as {side.status_code}")

    def _look_at_stores(self) -> None:
        out = self.outcome
        put = (self._edge / PUT).read_text().split()
        kept = self._ask("SELECT id, seq FROM alerts ORDER BY seq")
        ids, seqs = [id_ for id_, _ in kept], [seq for _, seq in kept]
        out.lost = len(set(put) - set(ids))
        # The edge may have died between the commit and writing the id down: such a one is told again under a new id.
        beyond = len(set(ids) - set(put)) - self._kills_of_edge
        out.doubled = len(ids) - len(set(ids)) + max(0, beyond)
        out.gaps = len(set(range(1, max(seqs, default=0) + 1)) - set(seqs))
        for what, number in (("lost", out.lost), ("doubled", out.doubled), ("missing from seq", out.gaps)):
            if number:
                out.wrong.append(f"{number} {what}")
        if len(put) != out.alerts:
            out.wrong.append(f"{len(put)} were put")
        told = json.loads((self._edge / DRAINED).read_text()) if (self._edge / DRAINED).exists() else {}
        if told and any(told[name] for name in ("backlog", "clips", "dropped", "dead")):
            out.wrong.append(f"the edge says {told}")
        self._look_at_incidents()

    def _look_at_incidents(self) -> None:
        """Each is there once, in its last phase, with its clip and side file, and the hub misses nothing."""
        out = self.outcome
        store = Store(f"sqlite:///{self._db}")
        try:
            config = HubConfig(data_dir=self._hub)
            phases = dict(self._ask("SELECT id, phase FROM incidents"))
            last = {incident(n // len(PHASES)): PHASES[n % len(PHASES)] for n in range(out.alerts)}
            if phases != last:
                out.wrong.append(f"{sum(phases.get(i) != p for i, p in last.items())} incidents in a wrong phase")
            (edge,) = store.edges.all()
            if edge.missing:
                out.wrong.append(f"the hub says that it misses {edge.missing}")
            clips = ClipFolder(config.data_dir / "clips", store, SystemClock(), 0, lambda _: None)
            sides = Sides(store.database)
            for number in range(out.clips):
                path, side = clips.find(incident(number), 0), clips.find_side(incident(number), 0)
                if path is None or path.read_bytes() != clip_bytes(number):
                    out.wrong.append(f"clip {number} is not what it was")
                if side is None or side[1].read_bytes() != side_bytes(number) or not sides.of(incident(number)):
                    out.wrong.append(f"side file {number} is not what it was")
            left = [path.name for path in self._edge.glob("clip-*")]
            if left:
                out.wrong.append(f"{len(left)} files are still at the edge")
        finally:
            store.close()


def broker_command(kind: str, folder: Path, port: int, python: list[str]) -> list[str]:
    """What starts a broker of this kind that lets everybody in."""
    if kind == "iotcore":
        return [*python, "iotcore", str(folder), str(port)]
    program = find_mosquitto()
    if program is None:
        part_missing("mosquitto", "mosquitto")
    config = folder / "mosquitto.conf"
    lines = [f"listener {port} 127.0.0.1", "allow_anonymous true", *(["user root"] if os.geteuid() == 0 else [])]
    config.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return [str(program), "-c", str(config)]


def run_cell(cell: Cell, folder: Path, *, alerts: int, clips: int, hits: int, rate: float, seed: int) -> Outcome:
    """Run one cell.

    Args:
        cell: Which.
        folder: An empty one; logs and data stay in it.
        alerts: How many the edge puts.
        clips: How many clips with side files; three alerts to each at least.
        hits: How often the cell's target is hit.
        rate: Alerts a second at most; 0 for as many as can be.
        seed: Of the schedule.
    """
    return Run(cell, folder, alerts, clips, rate).go(cell.schedule(hits, seed))
