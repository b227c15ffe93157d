"""Whether a thread gets on: it marks its steps here as they are done; who watches over it reads them."""

from __future__ import annotations

import threading


class Pulse:
    """Tells whether a thread is at work and gets on; `with pulse:` round a piece of work, `beat()` within a long one.

    Attributes:
        thread: Who was at work last.
    """

    def __init__(self) -> None:
        self.thread: threading.Thread | None = None
        self._steps = 0
        self._depth = 0

    def __enter__(self) -> None:
        self.thread = threading.current_thread()
        self._depth += 1
        self._steps += 1

    def __exit__(self, *_: object) -> None:
        self._depth -= 1
        self._steps += 1

    def beat(self) -> None:
        """One step is done."""
        self._steps += 1

    @property
    def state(self) -> int | None:
        """Changes with each step; `None` when not at work."""
        return self._steps if self._depth else None
