"""Switches that other systems may turn: few, slowly, and each turn on record.

Whatever comes by MQTT comes from somebody the hub doesn't know. So all that it can do is to hold back a camera's
notices for some hours, which keeps nothing from the feed, nor what is critical from anybody.
"""

from __future__ import annotations

from collections import deque

from detector.hub.integrations.home_assistant import Switched
from detector.hub.notices.pauses import Pauses

USER = "home assistant"
MOST_A_MINUTE = 20


class Switches:
    """Does what switches ask for.

    Args:
        pauses: Where it is kept.
        hours: How long notices are held back at most.
    """

    def __init__(self, pauses: Pauses, hours: int) -> None:
        self._pauses, self._seconds = pauses, hours * 3600.0
        self._lately: deque[float] = deque(maxlen=MOST_A_MINUTE)

    def turn(self, asked: Switched, now: float) -> bool:
        """Do it; tells whether it was done, which it isn't when too much is asked for. Turned twice is turned once."""
        if len(self._lately) == MOST_A_MINUTE and abs(now - self._lately[0]) < 60.0:
            return False
        self._lately.append(now)
        if asked.to_on:
            self._pauses.end(asked.site, asked.camera, USER, now)
        else:
            self._pauses.begin(asked.site, asked.camera, USER, now, self._seconds)
        return True
