"""A process of this program's own that may die of what it reads: messages go both ways, and its end is told.

It is begun anew rather than copied from this one, computes in one thread, may be held to so much memory, and never
outlives the process that began it.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import resource
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from typing import Any

from detector.machine.secrecy import guard

LINGERS_S = 10.0  # a process that let go of its pipe has ended, or is about to
_PDEATHSIG = 1  # prctl(2)
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # read when libraries are loaded


class Child:
    """Begins a process.

    Args:
        run: What it does; a function of a module. It is given its end of the pipe, and ends when that breaks.
        more: What else it is given.
        memory_bytes: Of its own, at most; as much as there is when left out.
    """

    def __init__(self, run: Callable[..., None], *more: object, memory_bytes: int | None = None) -> None:
        ours, theirs = multiprocessing.Pipe()
        self.pipe: Connection[Any, Any] = ours
        self._process = multiprocessing.get_context("spawn").Process(
            target=_begin, args=(os.getpid(), memory_bytes, run, theirs, *more), daemon=True
        )
        with _environment(_ONE_THREAD):
            self._process.start()
        theirs.close()  # so that its end is the end of the pipe

    def how_it_ended(self) -> str:
        """`SIGKILL`, `exit 1`; for a process whose pipe has broken."""
        self._process.join(LINGERS_S)
        code = self._process.exitcode
        self.kill()
        if code is None:
            return "hanging"
        return signal.Signals(-code).name if code < 0 else f"exit {code}"

    def kill(self) -> None:
        """End it, whatever it does."""
        self._process.kill()
        self._process.join()
        self.pipe.close()


def _begin(parent: int, memory_bytes: int | None, run: Callable[..., None], pipe: Connection, *more: object) -> None:
    ctypes.CDLL(None, use_errno=True).prctl(_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        return  # it died before it was known here
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the parent, and that this
    guard()
    if memory_bytes is not None:
        hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
        most = memory_bytes if hard == resource.RLIM_INFINITY else min(memory_bytes, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (most, hard))
    import cv2

    cv2.setNumThreads(1)
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):  # nobody wants anything any more
        run(pipe, *more)


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """This process's environment, as a child will have it."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
