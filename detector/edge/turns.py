"""Whose turn it is to be looked at: cameras that want a look ask, so many at once as there are cores have one.

Whoever has waited longest, measured by how long a camera of its kind can well wait, comes next. So cameras that are
alike get equal shares, one where somebody photographs goes before one where somebody walks, that one before one where
something moves, and none waits for ever: even the last is ahead of all others at some time.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from enum import Enum

from detector.values import Sight

LIKELY = 0.5  # belief from which on somebody counts as photographing
NAP_S = 0.2  # in which a stop is noticed
LONGEST_S = 5.0  # a look takes a tenth of a second


class Urgency(Enum):
    """How long a camera can well wait for its next look, seconds.

    Their ratios decide who goes first: with too much to do, a camera where nobody is followed waits ten times as long
    as one where somebody is. So the latter keep their rate as long as there are few of them.
    """

    ACT = 0.05
    PEOPLE = 0.2
    NOBODY = 2.0


def urgency_of(sight: Sight | None) -> Urgency:
    """How urgent the next look is, after what was seen at the last."""
    if sight is None or not (sight.scene.people or sight.scene.newcomers):
        return Urgency.NOBODY
    return Urgency.ACT if max(sight.photographing.values(), default=0.0) >= LIKELY else Urgency.PEOPLE


class Asked:
    """A wish for a turn.

    Attributes:
        granted: Set when it is there.
        waited_s: How long that took.
    """

    def __init__(self, urgency: Urgency, at: float) -> None:
        self.urgency = urgency
        self.at = at
        self.granted = threading.Event()
        self.waited_s = 0.0

    def stretch(self, now: float) -> float:
        """How many times as long as it well can it has waited."""
        return (now - self.at) / self.urgency.value


class Turns:
    """Hands out turns; every method may be called from any thread.

    Whoever keeps a turn for long is stuck; that is for the watchdog, and the others don't wait for it.

    Args:
        at_once: How many may be had at the same time; as many as there are cores for this process when left out.
        now: Seconds, never stepping back.
        longest_s: A turn that was had for so long counts no more.
    """

    def __init__(
        self, at_once: int | None = None, now: Callable[[], float] = time.monotonic, longest_s: float = LONGEST_S
    ) -> None:
        self._at_once = max(1, at_once if at_once is not None else len(os.sched_getaffinity(0)))
        self._now = now
        self._longest_s = longest_s
        self._lock = threading.Lock()
        self._waiting: list[Asked] = []
        self._had: list[Asked] = []

    def ask(self, urgency: Urgency) -> Asked:
        """Wish for a turn; to be given back at last, granted or not."""
        with self._lock:
            asked = Asked(urgency, self._now())
            self._waiting.append(asked)
            self._grant()
            return asked

    def give_back(self, asked: Asked) -> None:
        """A turn is over, or isn't wanted any more."""
        with self._lock:
            (self._had if asked in self._had else self._waiting).remove(asked)
            self._grant()

    def take(self, urgency: Urgency, stop: threading.Event) -> Asked | None:
        """Wait for a turn, which is to be given back; `None` where `stop` was set first."""
        asked = self.ask(urgency)
        while not asked.granted.wait(NAP_S):
            if stop.is_set():
                self.give_back(asked)
                return None
            with self._lock:
                self._grant()  # nobody else does where all the others are stuck
        return asked

    def _grant(self) -> None:
        now = self._now()
        busy = sum(now - had.at - had.waited_s < self._longest_s for had in self._had)
        while busy < self._at_once and self._waiting:
            chosen = max(self._waiting, key=lambda asked: asked.stretch(now))  # of equal ones who asked first
            self._waiting.remove(chosen)
            self._had.append(chosen)
            chosen.waited_s = now - chosen.at
            chosen.granted.set()
            busy += 1
