"""The watchdog: what is stuck is told and helped, what rests is left alone, and nobody is restarted without end."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise

import pytest

from detector.edge.memory import available_mb, used_mb
from detector.edge.watchdog import LONGEST_PAUSE_S, LONGEST_SPARED_S, LONGEST_STEP_S, Part, Watchdog
from detector.machine.pulse import Pulse
from tests.conftest import REPOSITORY
from tests.parts_systemd import settings

LIMIT_S = 10.0


class Rounds:
    """A watchdog that is stepped through time."""

    def __init__(self, *parts: Part, used: float = 0.0, restarts: int = 0) -> None:
        self.used = used
        self.watchdog = Watchdog(parts, 100.0, restarts, lambda: self.used)
        self.now = 1_800_000_000.0
        self.watchdog.step(self.now)

    def go_on(self, seconds: float) -> str | None:
        for _ in range(round(seconds / 0.5)):
            self.now += 0.5
            self.watchdog.step(self.now)
        return self.watchdog.restart


@contextmanager
def thread_at_work(pulse: Pulse) -> Iterator[None]:
    """A thread that is stuck in a piece of work until the end."""
    begun, free = threading.Event(), threading.Event()

    def work_that_never_ends() -> None:
        with pulse:
            begun.set()
            free.wait()

    thread = threading.Thread(target=work_that_never_ends)
    thread.start()
    begun.wait()
    try:
        yield
    finally:
        free.set()
        thread.join()


def part(pulse: Pulse, **more: object) -> Part:
    return Part("camera dock", (pulse,), **{"alive": lambda: True, "limit_s": LIMIT_S, **more})  # type: ignore[arg-type]


def test_what_is_stuck_is_told_with_its_place_and_a_trace_and_after_twice_as_long_the_process_begins_anew(
    caplog: pytest.LogCaptureFixture,
) -> None:
    pulse = Pulse()
    rounds = Rounds(part(pulse))
    with thread_at_work(pulse):
        assert rounds.go_on(LIMIT_S) is None and rounds.watchdog.stuck("camera dock") is None
        assert rounds.go_on(1.0) is None
        told = rounds.watchdog.stuck("camera dock")
        assert told and told.startswith("stuck for 1") and "(" in told
        assert rounds.watchdog.health()["stuck"] == ["camera dock"]
        assert caplog.text.count("work_that_never_ends") == 1
        assert str(rounds.go_on(LIMIT_S)).startswith("camera dock: stuck for 2")
        assert caplog.text.count("work_that_never_ends") == 1
    assert rounds.go_on(1.0) is None and rounds.watchdog.health()["stuck"] == []


def test_what_waits_or_takes_steps_is_not_stuck() -> None:
    waiting, busy = Pulse(), Pulse()
    rounds = Rounds(part(waiting), part(busy))
    with busy:
        for _ in range(10):
            busy.beat()
            with waiting:
                pass
            assert rounds.go_on(LIMIT_S - 1) is None
            assert rounds.watchdog.health()["stuck"] == []


def test_a_process_that_was_stopped_wakes_up_with_nothing_stuck() -> None:
    pulse = Pulse()
    rounds = Rounds(part(pulse))
    with pulse:
        rounds.now += 86_400.0
        assert rounds.go_on(LIMIT_S - 2 * LONGEST_STEP_S) is None
        assert rounds.watchdog.health()["stuck"] == []


def test_a_part_that_can_be_renewed_is_given_a_new_thread_ever_more_seldom() -> None:
    now: list[float] = [0.0]
    renewed: list[float] = []
    watchdog = Watchdog([part(Pulse(), alive=lambda: False, renew=lambda: renewed.append(now[0]))], 1.0, 0, lambda: 0.0)
    for _ in range(1200):
        now[0] += 0.5
        watchdog.step(now[0])
    gaps = [after - before for before, after in pairwise(renewed)]
    assert gaps[:6] == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0] and set(gaps[6:]) == {60.0}
    assert watchdog.restart is None and watchdog.health()["renewed"] == {"camera dock": len(renewed)}


def test_a_part_that_never_comes_back_is_tried_again_for_days() -> None:
    dead = part(Pulse(), alive=lambda: False, renew=lambda: None)
    for _ in range(2 * 24 * 60):
        dead.spend(LONGEST_PAUSE_S)
        assert dead.see_to() is None
    assert dead.renewed == 2 * 24 * 60


def test_a_thread_that_can_not_be_started_now_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    tries: list[int] = []

    def fail() -> None:
        tries.append(1)
        raise RuntimeError("can't start new thread")

    rounds = Rounds(part(Pulse(), alive=lambda: False, renew=fail))
    assert rounds.go_on(10.0) is None and len(tries) > 2
    assert "can't start new thread" in caplog.text


def test_a_dead_part_that_can_not_be_renewed_asks_for_a_new_process(caplog: pytest.LogCaptureFixture) -> None:
    assert Rounds(part(Pulse(), alive=lambda: False)).go_on(0.5) == "camera dock: its thread has ended"
    assert caplog.messages[0] == "camera dock: its thread has ended"  # with no stack below


def test_memory_above_the_limit_asks_for_a_new_process_when_it_lasts() -> None:
    rounds = Rounds(used=99.0)
    assert rounds.go_on(30.0) is None
    rounds.used = 101.0
    assert rounds.go_on(10.0) is None, "once may be a moment's need"
    assert rounds.go_on(10.0) == "memory: 101 MB in use, more than 100 MB"
    assert rounds.watchdog.health()["memory_mb"] == 101.0


@pytest.mark.parametrize(("restarts", "spared_s"), [(0, 0.0), (1, 120.0), (2, 240.0), (12, LONGEST_SPARED_S)])
def test_the_more_often_it_began_anew_the_longer_it_is_left_alone(restarts: int, spared_s: float) -> None:
    rounds = Rounds(part(Pulse(), alive=lambda: False), restarts=restarts)
    if spared_s:
        assert rounds.go_on(spared_s - 1.0) is None
    assert rounds.go_on(1.5)


def test_memory_is_counted_with_children() -> None:
    before = used_mb()
    hungry = "block = bytearray(60_000_000); print(len(block), flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", hungry], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout and child.stdout.readline()
        assert used_mb() - before > 50
        child.kill()
    assert 0 < before < available_mb() <= os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e6


def test_memory_of_a_reader_that_lets_nobody_look_is_counted_without_what_all_share() -> None:
    """As in a service, which has none of root's rights, and sees as much of other processes as its unit lets it."""
    script = """
        import ctypes, os, sys
        from pathlib import Path
        from detector.edge.memory import used_mb
        from detector.sources.reader import Reader
        from tests.parts_mosquitto import soon
        if len(sys.argv) < 2:
            if os.getuid() == 0:
                os.setgroups([])
                os.setgid(65534)  # root's group sees what is hidden from others
            for right in (19, 21, 38):  # to trace, to administrate, to measure
                ctypes.CDLL(None).prctl(24, right, 0, 0, 0)  # PR_CAPBSET_DROP; whoever isn't root has none of them
            os.execv(sys.executable, [sys.executable, "-c", sys.orig_argv[2], "dropped"])
        def shut(reader):
            try:
                return not Path(f"/proc/{reader.pid}/smaps_rollup").read_text()
            except PermissionError:
                return True
        before = used_mb()
        readers = [Reader() for _ in range(3)]
        assert all(soon(lambda: shut(reader)) for reader in readers)
        used = used_mb() - before
        fields = [dict(line.split(":", 1) for line in Path(f"/proc/{reader.pid}/status").read_text().splitlines())
                  for reader in readers]
        print(used, *(sum(int(one[name].split()[0]) for one in fields) * 1024 / 1e6 for name in ("RssAnon", "VmRSS")))
        for reader in readers:
            reader.kill()
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    (hidden,) = settings(REPOSITORY / "configs" / "systemd" / "labelwatch-edge.service")["ProtectProc"]
    if hidden != "default":
        mounted = f'mount -t proc -o hidepid={hidden} proc /proc && exec "$@"'
        command = ["unshare", "--mount", "sh", "-c", mounted, "sh", *command]
    told = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True, timeout=60).stdout
    counted, own, with_shared = map(float, told.split())
    assert own - 10 < counted < (own + with_shared) / 2
