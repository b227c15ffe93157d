"""When a finding that only grows is told again: often at first, then ever more seldom."""

from __future__ import annotations

from detector.config import Incidents

LIVELY_S = 600.0
WITHIN = 5 / 6  # of the time that joins signals: looks are apart, too


def due_again(told_s: float, now_s: float, lively_s: float = LIVELY_S) -> bool:
    """Whether something told when it was `told_s` seconds long is to be told again now that it is `now_s` long.

    Each quarter more in the first `lively_s`, then each doubling.
    """
    return now_s >= told_s * (1.25 if now_s <= lively_s else 2.0)


class Cadence:
    """How often what lasts is told again, so that it is one incident for as long as one lasts.

    With the settings as they come that is eight times in the first half hour after being told at two minutes, and
    twelve in a shift of eight hours.

    Attributes:
        within_s: Told no later than this after the last time, signals are joined.
        longest_s: An incident lasts no longer, but for a camera's trouble.
    """

    def __init__(self, incidents: Incidents | None = None) -> None:
        """`incidents` says what is one incident; as it comes, when left out."""
        settings = incidents or Incidents()
        self.within_s = WITHIN * settings.join_s
        self.longest_s = settings.longest_s

    def is_due(self, told_s: float, now_s: float) -> bool:
        """Whether what was told when it was `told_s` seconds long is to be told again now that it is `now_s` long."""
        gone_on = now_s <= self.longest_s and now_s - told_s >= self.within_s
        return gone_on or due_again(told_s, now_s, self.longest_s)
