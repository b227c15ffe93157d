"""When a finding that only grows is told again: often at first, then ever more seldom."""

from __future__ import annotations

# As long as an incident lasts at most by default, a quarter more keeps its signals within the time that joins them.
LIVELY_S = 600.0


def due_again(told_s: float, now_s: float) -> bool:
    """Whether something told when it was `told_s` seconds long is to be told again now that it is `now_s` long.

    Each quarter more in the first ten minutes, then each doubling: five times in the first half hour after being told
    at two minutes, and ten in a whole shift.
    """
    return now_s >= told_s * (1.25 if now_s <= LIVELY_S else 2.0)
