"""The parent of a worker where there is no systemd: it starts again what dies or hangs, and leaves nobody behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from detector.edge.restarts import REMEMBERED_S, Restarts
from detector.edge.supervisor import pause_after
from detector.machine.notify import Notifier
from tests.conftest import REPOSITORY
from tests.parts_mosquitto import soon

PARENT = """
    import sys
    from detector.edge.supervisor import supervise
    sys.exit(supervise([sys.executable, "-c", sys.argv[1], sys.argv[2]], silent_s=1.5, start_s=20, back_off_s=0.1))
"""
CHILD = """
    import faulthandler, os, signal, sys, time
    from pathlib import Path
    from detector.machine.notify import Notifier
    from detector.edge.supervisor import live_with_parent
    faulthandler.enable()
    live_with_parent()
    lives = Path(sys.argv[1])
    with lives.open("a") as file:
        file.write(f"{os.getpid()}\\n")
    life = len(lives.read_text().split())
    notifier = Notifier()
    notifier.tell("READY=1")
    def go_on():
        while True:
            notifier.alive()
            time.sleep(0.05)
"""


class Family:
    """A supervisor and the lives of its worker, which does what `deeds` say."""

    def __init__(self, folder: Path, deeds: str) -> None:
        self._lives = folder / "lives"
        script = textwrap.dedent(CHILD) + textwrap.dedent(deeds)
        command = [sys.executable, "-c", textwrap.dedent(PARENT), script, str(self._lives)]
        self.errors = folder / "errors"
        with self.errors.open("w") as errors:
            self.parent = subprocess.Popen(command, cwd=REPOSITORY, stderr=errors)

    def pids(self) -> list[int]:
        return [int(line) for line in self._lives.read_text().split()] if self._lives.exists() else []

    def code(self) -> int:
        return self.parent.wait(60)


@pytest.fixture
def family(tmp_path: Path) -> Callable[[str], Family]:
    families: list[Family] = []

    def begin(deeds: str) -> Family:
        families.append(Family(tmp_path, deeds))
        return families[0]

    yield begin  # type: ignore[misc]
    for one in families:
        one.parent.kill()
        one.parent.wait()
        for pid in one.pids():
            assert soon(lambda pid=pid: not lives(pid)), "a worker outlived its supervisor"  # type: ignore[misc]


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_a_worker_that_dies_wants_to_or_hangs_is_started_again_and_one_that_is_done_is_not(
    family: Callable[[str], Family],
) -> None:
    one = family("""
        if life == 1: os.kill(os.getpid(), signal.SIGKILL)
        if life == 2: sys.exit(75)
        if life == 3: raise SystemExit("broken")
        if life == 4: time.sleep(600)     # says no more that it is alive
        sys.exit(0)
    """)
    assert one.code() == 0
    assert len(one.pids()) == 5
    assert "Fatal Python error: Aborted" in one.errors.read_text(), "where it hung is not written down"


def test_a_worker_killed_by_a_signal_without_a_name_is_started_again(family: Callable[[str], Family]) -> None:
    one = family("""
        if life == 1: os.kill(os.getpid(), signal.SIGRTMIN + 5)
        sys.exit(0)
    """)
    assert one.code() == 0
    assert len(one.pids()) == 2
    assert f"signal {signal.SIGRTMIN + 5}" in one.errors.read_text()


def test_a_worker_that_can_not_be_started_just_now_is_tried_again(tmp_path: Path) -> None:
    worker, away, errors = tmp_path / "worker", tmp_path / "away", tmp_path / "errors"
    worker.write_text(f"#!/bin/sh\nmv {worker} {away} && exit 1\n")
    worker.chmod(0o755)
    parent = "import sys; from detector.edge.supervisor import supervise; supervise(sys.argv[1:], back_off_s=0.1)"
    with errors.open("w") as file:
        supervisor = subprocess.Popen([sys.executable, "-c", parent, str(worker)], cwd=REPOSITORY, stderr=file)
    try:
        assert soon(lambda: "can't be started" in errors.read_text())
        away.write_text("#!/bin/sh\nexit 0\n")
        away.rename(worker)
        assert supervisor.wait(30) == 0
    finally:
        supervisor.kill()
        supervisor.wait()


def test_a_worker_that_fails_for_days_is_started_again_all_the_same() -> None:
    assert [pause_after(failures, 1.0) for failures in (1, 2, 3, 7, 10_000)] == [1.0, 2.0, 4.0, 60.0, 60.0]


def test_a_misused_worker_is_not_tried_again(family: Callable[[str], Family]) -> None:
    one = family("sys.exit(2)")
    assert one.code() == 2
    assert len(one.pids()) == 1


def test_told_to_stop_it_has_the_worker_stop_and_tells_how_that_went(family: Callable[[str], Family]) -> None:
    one = family("""
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        go_on()
    """)
    assert soon(one.pids)
    time.sleep(0.3)
    one.parent.send_signal(signal.SIGTERM)
    assert one.code() == 0
    assert len(one.pids()) == 1


def test_a_supervisor_that_is_killed_takes_its_worker_along(family: Callable[[str], Family]) -> None:
    one = family("go_on()")
    assert soon(one.pids)
    (pid,) = one.pids()
    time.sleep(0.3)
    one.parent.kill()
    one.parent.wait()
    assert soon(lambda: not lives(pid))


def test_what_is_told_is_systemd_s_protocol_and_nobody_listening_is_no_error(tmp_path: Path) -> None:
    import socket

    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind(address)
        ear.settimeout(10)
        notifier = Notifier({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "4000000"})
        notifier.tell("READY=1", "STATUS=3 ok")
        for _ in range(5):
            notifier.alive()
        notifier.tell("STOPPING=1")
        assert [ear.recv(100) for _ in range(3)] == [b"READY=1\nSTATUS=3 ok", b"WATCHDOG=1", b"STOPPING=1"]
    for environment in ({}, {"NOTIFY_SOCKET": address}, {"NOTIFY_SOCKET": "@nobody", "WATCHDOG_USEC": "1"}):
        deaf = Notifier(environment)
        deaf.tell("READY=1")
        deaf.alive()


@pytest.mark.parametrize("text", ["", "{", "{}", "[1]", "[[]]", '[["x", "y"]]', "[[NaN, 1]]", "[[1e999, 1]]", "null"])
def test_earlier_restarts_that_can_not_be_read_count_as_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / "restarts.json"
    path.write_text(text)
    restarts = Restarts(path, 1_800_000_000.0)
    assert len(restarts) == 0
    restarts.note(1_800_000_000.0, "memory")
    assert len(Restarts(path, 1_800_000_010.0)) == 1


def test_restarts_are_remembered_for_a_day(tmp_path: Path) -> None:
    path, now = tmp_path / "restarts.json", 1_800_000_000.0
    Restarts(path, now).note(now, "camera dock: stuck")
    again = Restarts(path, now + 60)
    assert again.health(now + 60) == {"restarts": 1, "restarted_at": now, "restarted_for": "camera dock: stuck"}
    assert again.health(now + REMEMBERED_S)["restarts"] == 0, "a worker that goes on for a day forgets as well"
    again.note(now + 60, "memory")
    assert len(Restarts(path, now + REMEMBERED_S + 30)) == 1
    assert Restarts(path, now + REMEMBERED_S + 90).health(now + REMEMBERED_S + 90)["restarts"] == 0
    Restarts(Path(os.devnull) / "no" / "file", now).note(now, "a disk that takes nothing")
