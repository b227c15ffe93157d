"""A thread of the hub's own, which every part of it starts, wakes and stops alike."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Protocol

from sqlalchemy.exc import DBAPIError


class Tended(Protocol):
    """A part of the hub with such a thread."""

    def start(self) -> object:
        """Begin; returns at once."""

    def stop(self) -> object:
        """End; returns soon."""


class Background:
    """Runs `work` in a daemon thread; `work` goes round by `while background.pause(SECONDS): ...`.

    Args:
        name: Of the thread.
        work: Returns soon after `stopping` has become true; may be started again afterwards.
    """

    def __init__(self, name: str, work: Callable[[], object]) -> None:
        self._name, self._work = name, work
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        self._woken = threading.Event()

    @property
    def stopping(self) -> bool:
        """Whether it was told to stop since it was started last."""
        return self._stopping.is_set()

    @property
    def is_running(self) -> bool:
        """Whether it is at work."""
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> None:
        """Begin; returns at once."""
        self._stopping.clear()
        self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
        self._thread.start()

    def pause(self, seconds: float) -> bool:
        """Wait so long, or until poked or stopped; whether to go on. For `work` alone."""
        if not self.stopping:
            self._woken.wait(seconds)
            self._woken.clear()
        return not self.stopping

    def poke(self) -> None:
        """End a pause, or the next one if there is none now; from any thread."""
        self._woken.set()

    def stop(self, timeout_s: float | None = None) -> bool:
        """Have it end; whether it has within so many seconds. Safe without a start."""
        self._stopping.set()
        self._woken.set()
        if self._thread is not None:
            self._thread.join(timeout_s)
        return not self.is_running


def attempt(step: Callable[[], object], logger: logging.Logger, trouble: str) -> None:
    """Do one round of such work; where it fails the log says so, and the next round may do better.

    Args:
        step: The work.
        logger: Of whoever does it.
        trouble: What the log says.
    """
    try:
        step()
    except DBAPIError as error:  # the database may be away for a while, full or damaged
        logger.error("%s: %s", trouble, error.orig)
    except Exception:
        logger.exception(trouble)
