"""The program that meets clips in the hub's stead (`transcode`): arguments enter, what it said when it ended leaves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

PASSING = frozenset({"broke_off", "too_long", "no_room"})
REASONS = frozenset({"unreadable", "too_large", "gone"}) | PASSING
# What it needs of our environment: not what that may hold of secrets.
ENVIRONMENT = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "LANG", "TZDIR", "HOME")

Process = subprocess.Popen[bytes]


class Program:
    """Starts it as often as it is needed, from any thread.

    Args:
        stopping: Whether whatever begins now is to end at once.

    Attributes:
        running: Those that have not ended.
    """

    def __init__(self, stopping: Callable[[], bool]) -> None:
        self._stopping = stopping
        self.running: set[Process] = set()

    def stop(self) -> None:
        """End all that run now."""
        for process in list(self.running):
            process.kill()

    def run(
        self,
        *arguments: str,
        limit_s: float,
        on_begun: Callable[[Process], None] = lambda _process: None,
        on_share: Callable[[float], None] = lambda _share: None,
    ) -> dict[str, Any]:
        """Run it to its end: what it said last, or a `reason`. It may be hijacked: its words are only words.

        Args:
            arguments: See `transcode`.
            limit_s: It is killed after so long.
            on_begun: Is given the process.
            on_share: Is told how far it is, 0..1.
        """
        process = _begun(arguments)
        self.running.add(process)
        on_begun(process)
        if self._stopping():
            process.kill()
        timer = threading.Timer(limit_s, process.kill)
        timer.start()
        said: dict[str, Any] = {}
        try:
            for said in _lines(process):
                if isinstance(said.get("share"), float):
                    on_share(min(1.0, max(0.0, said["share"])))
            status = process.wait()
        finally:
            over_time = not timer.is_alive() or process.returncode == -signal.SIGXCPU
            timer.cancel()
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe:
                    pipe.close()
            self.running.discard(process)
        if status == 0 and "reason" not in said:
            return said
        if over_time:
            return {"reason": "too_long"}
        told = said.get("reason")
        return {"reason": told if status == 1 and isinstance(told, str) and told in REASONS else "broke_off"}


def _begun(arguments: tuple[str, ...]) -> Process:
    return subprocess.Popen(
        [sys.executable, "-m", "detector.hub.footage.transcode", *arguments],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True,
        env={name: os.environ[name] for name in ENVIRONMENT if name in os.environ} | {"OPENBLAS_NUM_THREADS": "1"},
    )  # fmt: skip


def _lines(process: Process) -> Iterator[dict[str, Any]]:
    """JSON objects that it prints, one to a line; anything else it says is passed over."""
    assert process.stdout
    while line := process.stdout.readline(4096):
        with suppress(ValueError, RecursionError):
            fields = json.loads(line)
            if isinstance(fields, dict):
                yield fields
