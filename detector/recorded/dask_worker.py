"""What a worker of a Dask cluster does: it is examined, and given files to look at; what it saw leaves."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path

from detector.config import Analysis
from detector.machine.progress import Step
from detector.recorded.looking import LookTask, load, look_at
from detector.recorded.outfit import outfit
from detector.recorded.processes import LookAt

TELL_EVERY_S = 2.0  # it tells of its progress so often


class Elsewhere(Exception):  # noqa: N818 - it says what the worker found
    """A recording isn't on this machine, or another one is in its place."""


class Unwanted(Exception):  # noqa: N818
    """Nobody waits for this look any more."""


def examine(analysis: Analysis, samples: Sequence[Path]) -> dict[str, str]:
    """What a worker looks with; its model is loaded, and a recording of each folder opened.

    Raises:
        Elsewhere: A recording can't be read.
        LabelwatchError: The model can't be loaded.
    """
    found = outfit(analysis)
    load(analysis)
    for path in samples:
        try:
            with path.open("rb") as file:
                file.read(1)
        except OSError as error:
            raise Elsewhere(f"{path} can't be read there: {error.strerror}") from error
    return found


def look_there(
    task: LookTask,
    key: str,
    topic: str,
    size: int | None,
    look: LookAt = look_at,
) -> tuple[bytes, float]:
    """Carry out a task on a worker; what was seen, and seconds of footage.

    Raises:
        Elsewhere: The file hasn't so many bytes here.
        Unwanted: The task was withdrawn meanwhile.
    """
    from distributed import get_worker

    worker = get_worker()
    if size is not None:
        try:
            found = task.path.stat().st_size
        except OSError as error:
            raise Elsewhere(f"{task.path} can't be read there: {error.strerror}") from error
        if found != size:
            raise Elsewhere(f"{task.path} is another file there: {found} bytes instead of {size}")
    seconds = done = 0.0
    told_at = time.monotonic()
    worker.log_event(topic, [key, 0.0, 0.0])

    def tell(step: Step) -> None:
        nonlocal seconds, done, told_at
        seconds, done = seconds + step.seconds, done + step.bytes
        if time.monotonic() - told_at >= TELL_EVERY_S:
            told_at = time.monotonic()
            state = worker.state.tasks.get(key)
            if state is None or state.state != "executing":
                raise Unwanted(key)
            worker.log_event(topic, [key, seconds, done])

    return look(task, tell), seconds


async def end() -> None:
    """End this worker, whatever its threads do."""
    os.kill(os.getpid(), signal.SIGKILL)
