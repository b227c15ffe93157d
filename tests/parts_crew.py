"""Files that do to their reader what their text says, and the readers that let them."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

from detector.machine.progress import Step
from detector.recorded.look_files import FileLooks, Read, packed
from detector.recorded.looking import LookTask

PLENTY = 400 << 20  # bytes: more than all else that a reader has in memory


def obedient(task: LookTask, progress: Callable[[Step], None]) -> bytes:
    """Looks at a file by doing as it says; 10 seconds of footage each, told in two halves."""
    progress(Step(task.camera, 5.0, task.size / 2))
    said = task.path.read_text()
    if said == "kill once":
        said = "" if killed_before(task.path).exists() else "kill"
    if said == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif said == "crash":
        ctypes.string_at(0)
    elif said == "hang":
        time.sleep(3600)
    elif said == "hoard":
        bytearray(1 << 40)
    elif said == "plenty":
        return bytes(PLENTY)
    elif said == "wait":
        time.sleep(0.3)
    progress(Step(task.camera, 5.0, task.size / 2))
    return packed(FileLooks(Read(seconds=10.0, decoded=1, size=task.size)))


def killed_before(path: Path) -> Path:
    """What says that a file has killed its reader already."""
    return path.with_suffix(".killed")


def overtaken(task: LookTask, progress: Callable[[Step], None]) -> bytes:
    """Looks at a file as if that had taken over its reader, and tells what came of what it tried."""
    port = int(task.path.read_text())
    attempts: dict[str, Callable[[], object]] = {
        "read": task.path.read_bytes,
        "write": lambda: task.path.with_name("new").write_text("x"),
        "secret": (task.path.parent.parent / "hub.key").read_bytes,
        "connect": lambda: socket.create_connection(("127.0.0.1", port), 2.0).close(),
        "run": lambda: os.execv(sys.executable, [sys.executable, "-c", ""]),
    }
    told = " ".join(f"{name}:{_tried(attempt)}" for name, attempt in attempts.items())
    return packed(FileLooks(Read(unreadable=told, size=task.size)))


def _tried(attempt: Callable[[], object]) -> str:
    try:
        attempt()
    except OSError as error:
        return type(error).__name__
    return "done"
