"""The hub's log, which strangers may have say something as often as they like: records enter, few of a kind leave."""

from __future__ import annotations

import logging
from collections import Counter

from detector.hub.access.tries import TokenBucket

AT_ONCE, EVERY_S = 200, 60.0


class Seldom(logging.Filter):
    """Lets each line of code log `AT_ONCE` records, and then one every `EVERY_S`, which tells how many were left out.

    What one wants is told all the same: refusals stand on the health page, logins and looks in the audit log.
    """

    def __init__(self) -> None:
        super().__init__()
        self._bucket = TokenBucket(AT_ONCE, EVERY_S)
        self._left_out: Counter[str] = Counter()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record is written."""
        place = f"{record.pathname}:{record.lineno}"
        if record.levelno > logging.DEBUG and not self._bucket.take(place, record.created):
            self._left_out[place] += 1
            return False
        if left_out := self._left_out.pop(place, 0):
            record.msg = f"{record.msg} (and {left_out} more like it)"
        return True


def have_log_be_brief() -> None:
    """Have all that this process logs from now on be so."""
    seldom = Seldom()
    for handler in logging.getLogger().handlers:
        handler.addFilter(seldom)
