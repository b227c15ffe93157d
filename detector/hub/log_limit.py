"""A rate limit on the hub's log, into which strangers may have something written as often as they like."""

from __future__ import annotations

import logging
from collections import Counter

from detector.hub.access.rate_limit import TokenBucket

AT_ONCE, EVERY_S = 200, 60.0


class LogLimit(logging.Filter):
    """Lets each line of code write `AT_ONCE` records, and then one every `EVERY_S`, which tells how many were left out.

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


def limit_log() -> None:
    """Limit all that this process logs from now on."""
    limit = LogLimit()
    for handler in logging.getLogger().handlers:
        handler.addFilter(limit)
