"""A thread that is given up and begun anew where it is stuck: whoever watches over it does so (`Pulse`)."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod

from detector.machine.pulse import Pulse


class Tended(ABC):
    """Has its `_run` done by a daemon thread.

    Attributes:
        pulse: Tells whether the thread gets on.
    """

    def __init__(self, name: str) -> None:
        self.pulse = Pulse()
        self._name = name
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()

    @property
    def running(self) -> bool:
        """Whether its thread is there."""
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> None:
        """Begin; returns at once. Called again, a new thread takes over from one that is stuck."""
        self._stopping.set()  # for the one before: whenever it gets on, it ends
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(self._stopping,), name=self._name, daemon=True)
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> bool:
        """End; tells whether that took no longer than so many seconds."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(timeout_s)
        return not self.running

    @abstractmethod
    def _run(self, stopping: threading.Event) -> None:
        """The work, until its thread is to end."""
