"""The shipped clip comes in, a whole labelwatch runs on this machine: broker, hub and edge; a summary leaves.

Hub and edge are the ordinary `labelwatch hub` and `labelwatch run`, each in a process of its own, so what the demo
shows is what an installation does. Progress goes to stderr, what was asked for to stdout.
"""

from __future__ import annotations

import json
import os
import re
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import quote

import yaml

from detector.errors import ConfigError, LabelwatchError, Problem, StoreError
from detector.machine.resources import resource
from detector.mqtt.broker import EmbeddedBroker, Kept
from detector.values import Phase

HUB_START_S = 60.0
LONGEST_RUN_S = 1800.0  # a machine too slow for this is too slow for a camera
TELL_EVERY_S = 5.0
STOP_S = 4.0
BROKER = "broker"
OURS = {BROKER, "hub", "edge", "hub.yaml", "edge.yaml", "hub.log", "edge.log"}  # what a demo leaves in its folder


class DemoFailedError(LabelwatchError):
    """A part of the demo ended or did not come up; the text ends with what it said last."""


def run_demo(*, once: bool, as_json: bool, data_dir: Path | None) -> int:
    """Run the demo.

    Args:
        once: Stop when the clip is through and everything has reached the hub, and print a summary; else until Ctrl-C.
        as_json: The summary is JSON and nothing else goes to stdout.
        data_dir: Where everything is kept, a new folder or an earlier demo's; a temporary one that is removed at the
            end when left out.

    Returns:
        0; 1 when with `once` something was not analysed or not stored.

    Raises:
        ConfigError: The folder holds other things.
        LabelwatchError: Broker, hub or edge does not come up.
    """
    with ExitStack() as stack:
        stack.enter_context(_terminated_like_interrupted())
        folder = data_dir or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="labelwatch-demo-")))
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _check_ours(folder)
        try:
            return _Demo(folder.resolve(), stack).run(once=once, as_json=as_json)
        except KeyboardInterrupt:
            with suppress(OSError):  # to a terminal that is gone
                _tell("stopping")
            return 130 if once else 0


def _check_ours(folder: Path) -> None:
    """Refuse a folder with anything in it that no demo has made: a hub's own `hub.yaml` would be written over."""
    inside = {path.name for path in folder.iterdir()}
    if inside and not {BROKER} <= inside <= OURS:
        hint = "name a new folder, or that of an earlier demo"
        raise ConfigError([Problem("demo", "--data", f"holds other things: {folder}", hint)])


class _Demo:
    """Three processes and where they keep their things."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder = folder
        self._stack = stack
        self._hub_data = folder / "hub"
        self._edge_data = folder / "edge"

    def run(self, *, once: bool, as_json: bool) -> int:
        began = time.time()
        broker = EmbeddedBroker(self._folder / BROKER)
        self._stack.callback(broker.stop)
        broker_port = broker.start()
        _tell(f"broker: {broker.name} on 127.0.0.1:{broker_port}")
        hub, page = self._start_hub(broker_port)
        login = _read_json(self._hub_data / "first-login.json")
        edge = self._start_edge(broker_port, page, loop=not once)
        self._stack.callback(_stop_all, hub, edge)

        out = sys.stderr if as_json else sys.stdout
        _say(f"page: {page}", out)
        if login:
            _say(f"login: {login['user']}  password: {login['password']}", out)
        if not once:
            _say("Ctrl-C stops it", out)
            self._wait(hub, edge, None)
            raise DemoFailedError(f"the edge ended\n{_last_lines(self._folder / 'edge.log')}")

        _tell("the clip plays once, at its own speed")
        code = self._wait(hub, edge, LONGEST_RUN_S)
        done = _read_json(self._edge_data / "worker-summary.json")
        if not done:
            raise DemoFailedError(f"the edge ended with status {code}\n{_last_lines(self._folder / 'edge.log')}")
        summary = {
            "frames": done["frames"],
            **stored_since(self._hub_data / "hub.sqlite", began),
            "published": done["published"],
            "page": page,
            "broker": broker.name,
            "seconds": round(time.time() - began, 1),
        }
        _say(json.dumps(summary, ensure_ascii=False) if as_json else _readable(summary), sys.stdout)
        whole = code == 0 and done["frames"] > 0 and summary["stored"] >= done["published"]
        return 0 if whole else 1

    def _start_hub(self, broker_port: int) -> tuple[Kept, str]:
        config = self._write_config(
            "hub.yaml",
            {
                "data_dir": str(self._hub_data),
                "broker": {"host": "127.0.0.1", "port": broker_port},
                "retention": {"reserve_gb": 0},  # however full the disk is: one clip is shown, for a while
            },
        )
        log = self._folder / "hub.log"
        # It takes a port that is free by then, and says which: one that we chose could be another's meanwhile.
        hub = Kept([sys.executable, "-m", "detector", "hub", str(config), "--port", "0"], log)
        self._stack.callback(hub.stop, STOP_S)
        deadline = time.monotonic() + HUB_START_S
        while not (page := _address_in(log)):
            if hub.poll() is not None or time.monotonic() > deadline:
                raise DemoFailedError(f"the hub does not come up\n{_last_lines(log)}")
            time.sleep(0.1)
        return hub, page

    def _start_edge(self, broker_port: int, page: str, *, loop: bool) -> Kept:
        shipped = resource("configs", "demo", "demo.yaml")
        settings = yaml.safe_load(shipped.read_text(encoding="utf-8"))
        for camera in settings["cameras"]:
            camera["source"] = str(resource("configs", "demo", camera["source"]))
            camera["loop"] = loop
        settings |= {
            "data_dir": str(self._edge_data),
            "broker": {"host": "127.0.0.1", "port": broker_port},
            "hub": {"url": page.rstrip("/")},
        }
        config = self._write_config("edge.yaml", settings)
        self._enrol(str(settings["site"]), str(settings["edge"]))
        (self._edge_data / "worker-summary.json").unlink(missing_ok=True)  # of an earlier run in the same folder
        return Kept([sys.executable, "-m", "detector", "run", str(config)], self._folder / "edge.log")

    def _enrol(self, site: str, edge: str) -> None:
        """Have hub and edge know each other's keys, as `labelwatch join` does for boxes elsewhere."""
        from detector import wire
        from detector.alerts.identity import load_identity
        from detector.alerts.trust import pin_hub_key
        from detector.config import load_hub
        from detector.credentials.keys import load_key
        from detector.hub.edges.keys import EdgeKeys
        from detector.hub.parts import HUB_KEY
        from detector.hub.upkeep.console import database_of

        key = wire.public_key_text(load_identity(self._edge_data))
        with database_of(load_hub(self._folder / "hub.yaml")) as database:
            EdgeKeys(database).trust(site, edge, key, time.time(), "console:demo")
        hub_key = load_key(self._hub_data / HUB_KEY, "the hub's key")
        pin_hub_key(self._edge_data, wire.public_key_text(hub_key))

    def _write_config(self, name: str, settings: Mapping[str, Any]) -> Path:
        path = self._folder / name
        path.unlink(missing_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            yaml.safe_dump(dict(settings), file, allow_unicode=True)
        return path

    def _wait(self, hub: Kept, edge: Kept, timeout_s: float | None) -> int:
        """Wait for the edge to end; its exit status."""
        began = told_at = time.monotonic()
        told = ""
        while (code := edge.poll()) is None:
            now = time.monotonic()
            if hub.poll() is not None:
                raise DemoFailedError(f"the hub ended\n{_last_lines(self._folder / 'hub.log')}")
            if timeout_s is not None and now - began > timeout_s:
                raise DemoFailedError(f"the edge is not done after {timeout_s:.0f} s")
            if timeout_s is not None and now - told_at > TELL_EVERY_S:
                found = stored_since(self._hub_data / "hub.sqlite", 0.0)
                line = f"{found['stored']} alerts stored, {found['clips']} clips"
                if line != told:
                    _tell(f"{now - began:.0f} s: {line}")
                told, told_at = line, now
            time.sleep(0.1)
        return code


def stored_since(database: Path, since: float) -> dict[str, Any]:
    """What a hub's SQLite database holds of alerts that came since a time (Unix seconds); it is only read.

    Returns:
        `stored`: alerts; `incidents`: their incidents by kind; `clips`: segments of these that are here;
        `frame_to_hub_s`: median seconds from the frame an alert arose from to its coming in, `None` without alerts.

    Raises:
        StoreError: The database can't be read.
    """
    from sqlalchemy import create_engine, func, select
    from sqlalchemy.exc import SQLAlchemyError
    from sqlalchemy.pool import NullPool

    from detector.hub.storage.schema import alerts, clips, incidents

    engine = create_engine(f"sqlite:///file:{quote(str(database))}?mode=ro&uri=true", poolclass=NullPool)
    of_run = select(alerts.c.incident).where(alerts.c.received_at >= since)
    kinds = (
        select(incidents.c.kind, func.count().label("number"))
        .where(incidents.c.id.in_(of_run))
        .group_by(incidents.c.kind)
    )
    # An `end` says that nothing came for a while, so only the others tell how long an alert takes.
    spoken = select(alerts.c.received_at, alerts.c.envelope).where(
        alerts.c.received_at >= since, alerts.c.phase != Phase.END.value
    )
    try:
        with engine.connect() as connection:
            waits = [row.received_at - row.envelope["after"]["ended_at_unix"] for row in connection.execute(spoken)]
            return {
                "frame_to_hub_s": round(statistics.median(waits), 2) if waits else None,
                "incidents": {row.kind: row.number for row in connection.execute(kinds)},
                "stored": connection.execute(
                    select(func.count()).select_from(alerts).where(alerts.c.received_at >= since)
                ).scalar_one(),
                "clips": connection.execute(
                    select(func.count()).select_from(clips).where(clips.c.incident.in_(of_run))
                ).scalar_one(),
            }
    except SQLAlchemyError as error:
        raise StoreError(f"the hub's database {database} can't be read: {error}") from error
    finally:
        engine.dispose()


@contextmanager
def _terminated_like_interrupted() -> Iterator[None]:
    """SIGTERM, or a terminal that is closed, stops the demo as Ctrl-C does.

    So does SIGINT where whoever started it left that ignored; SIGHUP then stays so (`nohup`).
    """

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    numbers = [signal.SIGTERM, signal.SIGINT]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    former = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def _stop_all(*processes: Kept) -> None:
    """Stop together, so that all of it takes no longer than the slowest."""
    for process in processes:
        process.ask_to_stop()
    until = time.monotonic() + STOP_S
    for process in processes:
        process.stop(max(0.0, until - time.monotonic()))


def _address_in(log: Path) -> str | None:
    """Where the hub's page is, once it has said so, and that line to its end: then it listens."""
    said = re.search(r"labelwatch hub: (http://\S+)\n", log.read_text(encoding="utf-8", errors="replace"))
    return said[1] if said else None


def _read_json(path: Path) -> dict[str, Any]:
    """The object in a file; empty when there is none."""
    if not path.exists():
        return {}
    fields: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return fields


def _last_lines(log: Path) -> str:
    text = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
    return "\n".join(text.splitlines()[-15:])


def _readable(summary: Mapping[str, Any]) -> str:
    found = [f"{kind}: {count}" for kind, count in sorted(summary["incidents"].items())] or ["no incidents"]
    counts = (
        f"{summary['frames']} frames, {summary['published']} alerts sent, {summary['stored']} stored,"
        f" {summary['clips']} clips, {summary['seconds']:.0f} s"
    )
    return "\n".join([*found, counts])


def _tell(line: str) -> None:
    _say(f"demo: {line}", sys.stderr)


def _say(line: str, out: TextIO) -> None:
    out.write(line + "\n")
    out.flush()
