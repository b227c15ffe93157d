"""Pictures of a live camera that wait to be looked at: the newest alone, and after a stall those of the backlog.

Who looks at pictures more slowly than they come sees the newest; older ones are dropped, so that nobody falls behind.
When a stalled network gets on, seconds of pictures come at once, and of these the newest alone would leave a gap as
long as the stall, in which nothing on the floor was seen. So they wait in their order, with those that come meanwhile.
This ends after as long as the longest stall that a connection outlives (`CATCH_UP_S`): whoever looks at twice as many
pictures as come has caught up by then, and for who is slower than that the present is worth more than the past.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from detector.media.containers import MOST_PIXELS
from detector.media.pictures import Picture
from detector.sources.arrival import LATE_S, LONGEST_LATE_S
from detector.sources.messages import Garbled, Laid
from detector.sources.reader import Reader

CATCH_UP_S = LONGEST_LATE_S


@dataclass(slots=True)
class Arrived:
    """A picture that lies in its reader's memory until somebody looks at it.

    Attributes:
        reader: Whose memory.
        laid: Where in it.
        index: Its `Frame.index`.
        at: When it was taken, Unix seconds UTC.
    """

    reader: Reader
    laid: Laid
    index: int
    at: float
    _copy: Picture | None = field(default=None, init=False)

    @property
    def pixels(self) -> int:
        """How large it is."""
        return self.laid.width * self.laid.height

    def picture(self) -> Picture | None:
        """A copy of it; `None` when the reader's word of it was false."""
        if self._copy is not None:
            return self._copy
        try:
            return self.reader.image(self.laid)
        except Garbled:
            self.reader.distrust()
            return None

    def copy(self) -> None:
        """Have it wait outside the reader's memory, in which there is room for few."""
        self._copy = self.picture()

    def drop(self) -> None:
        """Nobody will look at it."""
        if self._copy is None:
            self.reader.seen(self.laid.slot)


class PictureQueue:
    """Where one thread lays pictures, and another takes them one by one, each once and in the order they came in.

    Of a backlog waits no more than `MOST_PIXELS`, 50 MB as cameras send them; of more every second one is dropped.

    Args:
        now: Tells seconds that never step back.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._condition = threading.Condition()
        self._waiting: deque[Arrived] = deque()
        self._until = float("-inf")  # when the last backlog is let go
        self._was_late = False

    def put(self, arrived: Arrived, late_s: float) -> int:
        """Lay one in that comes `late_s` after it was taken; tells how many had to go for it."""
        with self._condition:
            is_late = late_s > LATE_S
            if is_late and not self._was_late and not (self._waiting and self._catches_up):
                self._until = self._now() + CATCH_UP_S
            self._was_late = is_late
            going = self._made_room(arrived) if self._catches_up else list(self._waiting)
            for one in going:
                self._waiting.remove(one)
                one.drop()
            self._waiting.append(arrived)
            self._condition.notify()
        return len(going)

    def take(self, timeout_s: float) -> Arrived | None:
        """The one that is next, waiting for it at most so long; `None` when nothing came."""
        with self._condition:
            self._condition.wait_for(lambda: self._waiting, timeout_s)
            return self._waiting.popleft() if self._waiting else None

    @property
    def is_backlog(self) -> bool:
        """Whether what waits is to be looked at in its order, however old it is."""
        with self._condition:
            return bool(self._waiting) and self._catches_up

    @property
    def _catches_up(self) -> bool:
        return self._now() < self._until

    def _made_room(self, arrived: Arrived) -> list[Arrived]:
        """Copy one of a backlog; what has to go for it."""
        arrived.copy()
        pixels = arrived.pixels + sum(one.pixels for one in self._waiting)
        return list(self._waiting)[::2] if pixels > MOST_PIXELS else []
