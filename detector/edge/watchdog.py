"""Whether all that should get on gets on: parts of a process enter; what is stuck, and why to begin anew, leave.

A part's pulse changes with each of its steps, and rests while the part waits and owes nothing. Pulses read no clock,
and a part's time runs only while the watchdog itself runs: a process that was stopped, or a machine that slept, wakes
up with nothing stuck.
"""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from detector.edge.memory import used_mb
from detector.machine.pulse import Pulse

logger = logging.getLogger(__name__)

PACKAGE = Path(__file__).resolve().parents[1]
LONGEST_STEP_S = 1.0  # between two rounds no more time than this counts against a part
MEMORY_EVERY_S = 10.0
LONGEST_PAUSE_S = 60.0  # between two tries to give a part a new thread
SPARED_S = 60.0  # a process that began anew is left alone for so long, and twice as long with each time
LONGEST_SPARED_S = 3600.0


class Part:
    """Something that must get on.

    Args:
        name: For people, e.g. `camera dock`.
        pulses: Of all its threads.
        alive: Whether the thread that it can't do without is there.
        limit_s: Without a step for so long while it is at work, it is stuck.
        renew: Gives it a new thread; without this, only a new process helps, after twice `limit_s`.

    Attributes:
        renewed: How often it was given a new thread.
    """

    def __init__(
        self,
        name: str,
        pulses: tuple[Pulse, ...],
        alive: Callable[[], bool],
        limit_s: float,
        renew: Callable[[], None] | None = None,
    ) -> None:
        self.name = name
        self.limit_s = limit_s
        self.renewed = 0
        self._pulses = pulses
        self._alive = alive
        self._renew = renew
        self._states: list[object] = [None] * len(pulses)
        self._idle_s = [0.0] * len(pulses)
        self._said = False
        self._pause_s = 0.0

    @property
    def stuck(self) -> str | None:
        """For how long it has been without a step, and where; `None` while that is nothing to speak of."""
        idle_s = max(self._idle_s)
        return f"stuck for {idle_s:.0f} s in {_where(self._stack())}" if idle_s > self.limit_s else None

    def spend(self, span_s: float) -> None:
        """So much time went by."""
        for n, pulse in enumerate(self._pulses):
            state = pulse.state
            self._idle_s[n] = 0.0 if state is None or state != self._states[n] else self._idle_s[n] + span_s
            self._states[n] = state
        self._pause_s = max(0.0, self._pause_s - span_s)

    def see_to(self) -> str | None:
        """Say so when it is stuck or dead, and help where that can be done; tells why only a new process helps."""
        dead = not self._alive()
        what = "its thread has ended" if dead else self.stuck
        if what is None:
            self._said = False
            return None
        if not self._said:
            self._said = True
            stack = "".join(traceback.format_list(self._stack()))  # none where the thread is gone
            logger.error("%s: %s%s", self.name, what, f"\n{stack}" if stack else "")
        if self._renew is None:
            return f"{self.name}: {what}" if dead or max(self._idle_s) > 2 * self.limit_s else None
        if not self._pause_s:
            self._begin_anew(self._renew)
        return None

    def _begin_anew(self, renew: Callable[[], None]) -> None:
        self.renewed += 1
        self._pause_s = min(2.0 ** min(self.renewed - 1, 10), LONGEST_PAUSE_S)
        self._idle_s = [0.0] * len(self._pulses)
        self._said = False
        try:
            renew()
            logger.warning("%s: has a new thread (%d so far)", self.name, self.renewed)
        except Exception:  # no memory for a thread: the next try may do better
            logger.exception("%s: can't be given a new thread", self.name)

    def _stack(self) -> list[traceback.FrameSummary]:
        """Where the thread of the pulse that has stood longest is at."""
        thread = self._pulses[self._idle_s.index(max(self._idle_s))].thread
        frame = sys._current_frames().get(thread.ident or 0) if thread is not None else None
        return list(traceback.extract_stack(frame)) if frame is not None else []


def _where(stack: list[traceback.FrameSummary]) -> str:
    """The innermost of our own lines: `process (pipeline.py:88)`."""
    stack = [frame for frame in stack if PACKAGE in Path(frame.filename).parents] or stack
    return f"{stack[-1].name} ({Path(stack[-1].filename).name}:{stack[-1].lineno})" if stack else "an ended thread"


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
            if part.name == name:
                return part.stuck
        return None

    def health(self) -> dict[str, Any]:
        """Fields for the health message."""
        return {
            "memory_mb": round(self.memory, 1),
            "memory_limit_mb": round(self.memory_mb),
            "stuck": [part.name for part in self.parts if part.stuck],
            "renewed": {part.name: part.renewed for part in self.parts if part.renewed},
            "restart": self.restart,
        }
