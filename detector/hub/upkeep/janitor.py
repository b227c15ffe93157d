"""What is kept for a while only is let go in the background."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial

from detector.clock import Clock
from detector.hub.background import Background, attempt
from detector.hub.upkeep.retention import Retention

logger = logging.getLogger(__name__)

EVERY_S = 600.0


class Janitor:
    """Lets go of what is kept no longer, now and then, in a thread of its own.

    Args:
        retention: Is run.
        clock: Tells the time.
        on_deleted: Called when footage was deleted.
        prune: Each, given the time, forgets what else is kept for a while.
    """

    def __init__(
        self,
        retention: Retention,
        clock: Clock,
        on_deleted: Callable[[], None],
        *prune: Callable[[float], None],
    ) -> None:
        self._retention = retention
        self._clock = clock
        self._on_deleted = on_deleted
        self._prune = prune
        self._background = Background("retention", self._run)

    def start(self) -> None:
        """Begin; returns at once."""
        self._background.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """End."""
        self._background.stop(timeout_s)

    def _run(self) -> None:
        going_on = self._background.pause(1.0)
        while going_on:
            self.go_round()
            going_on = self._background.pause(EVERY_S)

    def go_round(self) -> None:
        """Do all of it once; what fails, as where a disk is away, keeps nothing else from being done."""
        for step in (self._let_go, *self._prune):
            attempt(partial(step, self._clock.now()), logger, "not all that is kept for a while could be let go")

    def _let_go(self, now: float) -> None:
        if self._retention.run(now):
            self._on_deleted()
