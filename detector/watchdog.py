"""Whether all that should get on gets on: parts of a process enter; what is stuck, and why to begin anew, leave.

A part tells a `state` that changes with each of its steps, and `None` while it waits and owes nothing. Parts read no
clock, and a part's time runs only while the watchdog itself runs: a process that was stopped, or a machine that slept,
wakes up with nothing stuck.
"""

from __future__ import annotations

import logging
import sys
import threading
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from detector.memory import used_mb

logger = logging.getLogger(__name__)

LONGEST_STEP_S = 1.0  # between two rounds no more time than this counts against a part
MEMORY_EVERY_S = 10.0
LONGEST_PAUSE_S = 60.0  # between two tries to give a part a new thread
SPARED_S = 60.0  # a process that began anew is left alone for so long, and twice as long with each time
LONGEST_SPARED_S = 3600.0


class Pulse:
    """Tells whether a thread is at work and gets on; `with pulse:` round a piece of work, `beat()` within a long one."""

    def __init__(self) -> None:
        self._steps = 0
        self._depth = 0

    def __enter__(self) -> None:
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
        """How many steps were done; `None` when not at work."""
        return self._steps if self._depth else None


@dataclass
class Part:
    """Something that must get on.

    Attributes:
        name: For people, e.g. `camera dock`.
        thread: Who does its work; `None` when nobody has to.
        states: What changes with its steps, one for each of its threads; `None` for one that waits.
        limit_s: Without a step for so long while it is at work, it is stuck.
        renew: Gives it a new thread; without this, only a new process helps, after twice `limit_s`.
        renewed: How often that was done.
    """

    name: str
    thread: Callable[[], threading.Thread | None]
    states: Callable[[], tuple[object, ...]]
    limit_s: float
    renew: Callable[[], None] | None = None
    renewed: int = 0
    _last: tuple[object, ...] = ()
    _idle_s: tuple[float, ...] = ()
    _said: bool = False
    _pause_s: float = 0.0

    @property
    def stuck_s(self) -> float | None:
        """For how long it has been without a step, seconds; `None` while that is nothing to speak of."""
        idle_s = max(self._idle_s, default=0.0)
        return idle_s if idle_s > self.limit_s else None

    @property
    def dead(self) -> bool:
        """Whether its thread has ended though it must not."""
        thread = self.thread()
        return thread is not None and not thread.is_alive()

    def where(self) -> str:
        """The innermost of our own lines that its thread is at: `process (pipeline.py:88)`."""
        ours = [frame for frame in self._stack() if f"{__package__}/" in frame.filename] or self._stack()
        return f"{ours[-1].name} ({Path(ours[-1].filename).name}:{ours[-1].lineno})" if ours else "unknown"

    def trace(self) -> str:
        """Every line that its thread is at, as in a traceback."""
        return "".join(traceback.format_list(self._stack()))

    def _stack(self) -> list[traceback.FrameSummary]:
        thread = self.thread()
        frame = sys._current_frames().get(thread.ident or 0) if thread else None
        return list(traceback.extract_stack(frame)) if frame else []

    def spend(self, span_s: float) -> None:
        """So much time went by."""
        states = self.states()
        before = self._last if len(self._last) == len(states) else (None,) * len(states)
        idle_s = self._idle_s if len(self._idle_s) == len(states) else (0.0,) * len(states)
        self._idle_s = tuple(
            0.0 if new is None or new != old else idle + span_s
            for new, old, idle in zip(states, before, idle_s, strict=True)
        )
        self._last = states
        self._pause_s = max(0.0, self._pause_s - span_s)

    def see_to(self) -> str | None:
        """Say so when it is stuck or dead, and help where that can be done; tells why only a new process helps."""
        stuck_s, dead = self.stuck_s, self.dead
        if stuck_s is None and not dead:
            self._said = False
            return None
        what = "its thread has ended" if dead else f"stuck for {stuck_s:.0f} s in {self.where()}"
        if not self._said:
            logger.error("%s: %s\n%s", self.name, what, "" if dead else self.trace())
            self._said = True
        if self.renew is None:
            return f"{self.name}: {what}" if dead or (stuck_s or 0.0) > 2 * self.limit_s else None
        if not self._pause_s:
            self.renewed += 1
            self._pause_s = min(2.0 ** (self.renewed - 1), LONGEST_PAUSE_S)
            self._idle_s, self._last, self._said = (), (), False
            self.renew()
            logger.warning("%s: has a new thread, the %d. time", self.name, self.renewed)
        return None


class Watchdog:
    """Goes round the parts of a process; `step` it often, from the thread that keeps the process going.

    Args:
        parts: All that must get on.
        memory_mb: The process and its children may use so much, in MB.
        restarts: How often it began anew within the last day; the more often, the longer it is left alone.
        used: Tells how much is used, MB.

    Attributes:
        restart: Why the process should begin anew; `None` as long as it needn't.
        memory: MB in use when last looked.
    """

    def __init__(
        self, parts: Iterable[Part], memory_mb: float, restarts: int = 0, used: Callable[[], float] = used_mb
    ) -> None:
        self.parts = list(parts)
        self.restart: str | None = None
        self.memory = 0.0
        self.memory_mb = memory_mb
        self._used = used
        self._over = 0
        self._spared_s = min(SPARED_S * 2.0**restarts, LONGEST_SPARED_S) if restarts else 0.0
        self._ran_s = 0.0
        self._look_at_s = 0.0
        self._last: float | None = None

    def step(self, now: float) -> None:
        """Time went on to `now`, seconds of a clock that never steps back."""
        span_s = 0.0 if self._last is None else min(now - self._last, LONGEST_STEP_S)
        self._last = now
        self._ran_s += span_s
        reasons = []
        for part in self.parts:
            part.spend(span_s)
            reasons.append(part.see_to())
        if self._ran_s >= self._look_at_s:
            self._look_at_s = self._ran_s + MEMORY_EVERY_S
            self.memory = self._used()
            self._over = self._over + 1 if self.memory > self.memory_mb else 0
        if self._over > 1:  # once may be a moment's need
            reasons.append(f"memory: {self.memory:.0f} MB in use, more than {self.memory_mb:.0f} MB")
        if self._ran_s >= self._spared_s:
            self.restart = next((reason for reason in reasons if reason), None)

    def stuck(self, name: str) -> str | None:
        """Where a part is stuck, for people; `None` when it isn't, or there is no such part."""
        for part in self.parts:
            if part.name == name and part.stuck_s is not None:
                return f"stuck for {part.stuck_s:.0f} s in {part.where()}"
        return None

    def health(self) -> dict[str, Any]:
        """Fields for the health message."""
        return {
            "memory_mb": round(self.memory, 1),
            "memory_limit_mb": round(self.memory_mb),
            "stuck": [part.name for part in self.parts if part.stuck_s is not None],
            "renewed": {part.name: part.renewed for part in self.parts if part.renewed},
            "restart": self.restart,
        }
