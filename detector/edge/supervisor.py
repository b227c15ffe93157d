"""A parent for a worker where there is no systemd: starts it, listens for its signs of life, starts it again.

It speaks systemd's own protocol (`notify.py`), so a worker needn't know who watches over it. Nothing is lost when a
worker is killed: what it owes stands in its outbox, on disk.
"""

from __future__ import annotations

import ctypes
import logging
import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType

logger = logging.getLogger(__name__)

PARENT = "LABELWATCH_SUPERVISOR"
START_S = 180.0  # a model on a slow disk, caches to be built
SILENT_S = 60.0
STOP_S = 8.0
DUMP_S = 3.0  # to write down where its threads are
LONGEST_BACK_OFF_S = 60.0
STEADY_S = 600.0  # one that ran for so long is not failing at once
NOT_STARTED = 71  # EX_OSERR
BEGIN_ANEW = 75  # EX_TEMPFAIL: the worker itself wants a new process
FINAL = (0, 2)  # done; or misused, which no new start mends


def supervise(
    command: Sequence[str], *, silent_s: float = SILENT_S, start_s: float = START_S, back_off_s: float = 1.0
) -> int:
    """Keep a worker running until it is done, is misused, or we are told to stop.

    Args:
        command: Starts it.
        silent_s: Not heard of for so long, it is killed.
        start_s: So long it may take to be ready.
        back_off_s: The first pause; doubled with each failure in a row.

    Returns:
        Its last exit status; 0 when it was told to stop and did.
    """
    told = _Told()
    failures = 0
    while True:
        began = time.monotonic()
        try:
            code = _lived(command, told, silent_s, start_s)
        except OSError as error:  # no memory or no number for a process: that may pass
            logger.error("the worker can't be started: %s", error.strerror)
            code = NOT_STARTED
        if told.signals or code in FINAL:
            return code if code > 0 else 0
        failures = 1 if code == BEGIN_ANEW or time.monotonic() - began > STEADY_S else failures + 1
        pause_s = pause_after(failures, back_off_s)
        logger.error("the worker ended with %s; it is started again in %.0f s", _named(code), pause_s)
        if told.wait(pause_s):
            return 0


def _lived(command: Sequence[str], told: _Told, silent_s: float, start_s: float) -> int:
    """A worker, from its start to its end; tells its exit status.

    Raises:
        OSError: It can't be started.
    """
    with _ear() as (ear, address):
        environment = os.environ | {
            PARENT: str(os.getpid()),
            "NOTIFY_SOCKET": address,
            "WATCHDOG_USEC": str(int(silent_s * 1e6)),
        }
        child = subprocess.Popen(command, env=environment, start_new_session=True)
        try:
            _attend(child, ear, told, silent_s, start_s)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)  # and what it may have left behind
            child.wait()
    return child.returncode


def pause_after(failures: int, first_s: float) -> float:
    """Seconds to wait before the next start, after so many failures in a row."""
    return min(first_s * 2.0 ** min(failures - 1, 10), LONGEST_BACK_OFF_S)


def live_with_parent() -> None:
    """Called by a worker: told to stop when the supervisor that started it dies, or else two would run at last."""
    parent = os.environ.get(PARENT)
    if parent is None:
        return
    try:
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG
    except (OSError, AttributeError):
        return  # not Linux
    if str(os.getppid()) != parent:
        os.kill(os.getpid(), signal.SIGTERM)


def _attend(child: subprocess.Popen[bytes], ear: socket.socket, told: _Told, silent_s: float, start_s: float) -> None:
    """Return when the child has ended, of its own accord or ours."""
    patience_s, heard_at = start_s, time.monotonic()
    passed_on, stop_by = 0, float("inf")
    while child.poll() is None:
        if passed_on < len(told.signals):
            child.send_signal(told.signals[passed_on])
            passed_on += 1
            stop_by = min(stop_by, time.monotonic() + STOP_S)
        if b"READY=1" in (words := _heard(ear)) or b"WATCHDOG=1" in words:
            patience_s, heard_at = silent_s, time.monotonic()
        if time.monotonic() > stop_by:
            logger.error("the worker does not stop: it is killed")
            return
        if time.monotonic() - heard_at > patience_s and not passed_on:
            logger.error("the worker has not been heard of for %.0f s: it is killed", patience_s)
            child.send_signal(signal.SIGABRT)  # its faulthandler writes down where its threads are
            with suppress(subprocess.TimeoutExpired):
                child.wait(DUMP_S)
            return


class _Told:
    """Signals that ask us to stop, in order."""

    def __init__(self) -> None:
        self.signals: list[int] = []
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._hear)

    def _hear(self, number: int, _frame: FrameType | None) -> None:
        self.signals.append(number)

    def wait(self, seconds: float) -> bool:
        """Sleep; tells whether we were asked to stop meanwhile."""
        until = time.monotonic() + seconds
        while not self.signals and time.monotonic() < until:
            time.sleep(0.1)
        return bool(self.signals)


@contextmanager
def _ear() -> Iterator[tuple[socket.socket, str]]:
    """A socket of no file, and its name as `NOTIFY_SOCKET` has it."""
    name = f"labelwatch-{os.getpid()}-{secrets.token_hex(8)}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as ear:
        ear.bind(f"\0{name}")
        ear.settimeout(0.2)
        yield ear, f"@{name}"


def _heard(ear: socket.socket) -> list[bytes]:
    try:
        return ear.recv(4096).split(b"\n")
    except TimeoutError:
        return []


def _named(code: int) -> str:
    if code >= 0:
        return f"status {code}"
    return f"signal {signal.Signals(-code).name if -code in set(signal.Signals) else -code}"
