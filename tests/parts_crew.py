"""Files that do to their reader what their text says, and the reader that lets them."""

from __future__ import annotations

import ctypes
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from detector.progress import Step
from detector.recorded.look_files import FileLooks, Read, packed
from detector.recorded.looking import LookTask

DIARY = "diary.txt"  # beside the files: who began and ended what


def obedient(task: LookTask, progress: Callable[[Step], None]) -> bytes:
    """Looks at a file by doing as it says; 10 seconds of footage each, told in two halves."""
    diary = task.path.with_name(DIARY)
    _note(diary, f"begin {task.path.name}")
    progress(Step(task.camera, 5.0, task.size / 2))
    said = task.path.read_text()
    if said == "kill once":
        once = task.path.with_suffix(".once")
        said = "" if once.exists() else "kill"
        once.touch()
    if said == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif said == "crash":
        ctypes.string_at(0)
    elif said == "hang":
        time.sleep(3600)
    elif said == "hoard":
        bytearray(1 << 40)
    elif said == "wait":
        time.sleep(0.3)
    _note(diary, f"end {task.path.name}")
    progress(Step(task.camera, 5.0, task.size / 2))
    return packed(FileLooks(Read(seconds=10.0, decoded=1, size=task.size)))


def _note(diary: Path, line: str) -> None:
    with diary.open("a") as file:
        file.write(line + "\n")
