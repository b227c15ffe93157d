"""Who carries look tasks out: tasks enter, what was seen in each file leaves as bytes, as it comes.

A file may be broken in a way that ends or hangs whoever reads it. So a crew tries such a file again, alone, and sets it
aside after three times: one file of ten thousand must not cost the night.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from detector.machine.progress import Step
from detector.recorded.look_files import FileLooks, Read, packed
from detector.recorded.looking import LookTask, load, look_at

TRIES = 3  # of a file that ends or hangs whoever reads it, before it is set aside

logger = logging.getLogger(__name__)


class Crew(Protocol):
    """Carries out look tasks, somewhere."""

    def results(self, tasks: Sequence[LookTask], progress: Callable[[Step], None]) -> Iterator[tuple[LookTask, bytes]]:
        """Carry out tasks in about their order, and give each one's result once, as it comes.

        Closing the iterator stops what is still at work.

        Args:
            tasks: In the order in which their results are wanted.
            progress: Told of each about once for a second of footage; of less than nothing where work was lost.

        Raises:
            ModelError: The model can't be loaded.
        """
        ...


def set_aside(task: LookTask, why: str) -> bytes:
    """The result of a task that can't be carried out, so that the rest can."""
    told = f"{task.path}: {why}: set aside"
    logger.error("%s", told)
    return packed(FileLooks(Read(unreadable=told, set_aside=True, size=task.size)))


class Alone:
    """This process, one file after the other; what ends it ends the run."""

    def results(self, tasks: Sequence[LookTask], progress: Callable[[Step], None]) -> Iterator[tuple[LookTask, bytes]]:
        """As of `Crew`."""
        for task in tasks:
            load(task.analysis)  # what is wrong with that concerns every file
            try:
                found = look_at(task, progress)
            except Exception as error:  # whatever a stranger's file brings about, the others are done
                logger.exception("%s can't be looked at", task.path)
                found = set_aside(task, f"looking at it failed with {type(error).__name__}")
            yield task, found
