"""The latest changes within one scope, read from the database once for all pages that follow them."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable

from detector.hub.storage.rights import Scope
from detector.hub.storage.store import Store

MOST_KEPT = 200  # a page that missed more is told to ask for everything anew


class Tail:
    """What `Store.changed_since` tells, from memory where that reaches; safe to use from any thread.

    Args:
        store: Where the changes are.
        scope: Incidents outside it are not told of.
        turn: What is another object after every change: as long as it is the same, nothing is read again.
    """

    def __init__(self, store: Store, scope: Scope, turn: Callable[[], object]) -> None:
        self._store = store
        self._scope = scope
        self._turn = turn
        self._read_at: object = None
        self._numbers: OrderedDict[str, int] = OrderedDict()  # by incident, in the order of their latest changes
        self._after = -1  # changes after it, and up to `_until`, are all in `_numbers`
        self._until = -1
        self._lock = threading.Lock()

    def since(self, number: int) -> tuple[list[tuple[int, str]], bool]:
        """Incidents that changed after change `number`, and whether they are all, as `Store.changed_since` has them."""
        with self._lock:
            turn = self._turn()  # before reading: what changes meanwhile is read once more rather than missed
            if turn is not self._read_at:
                self._read()
                self._read_at = turn
            if self._after <= number <= self._until:
                found = []
                for incident, latest in reversed(self._numbers.items()):
                    if latest <= number:
                        break
                    found.append((latest, incident))
                return found[::-1], True
        return self._store.changed_since(number, MOST_KEPT, scope=self._scope)

    def _read(self) -> None:
        until = self._store.last_change()
        found, is_all = self._store.changed_since(self._until, MOST_KEPT, scope=self._scope)
        if not is_all or self._until < 0:  # too many between, or the first time: those before are the database's
            self._numbers.clear()
            self._after = self._until = until
            return
        for number, incident in found:
            self._numbers.pop(incident, None)  # each once, as late as it changed
            self._numbers[incident] = number
            until = max(until, number)
        self._until = until
        while len(self._numbers) > MOST_KEPT:
            self._after = self._numbers.popitem(last=False)[1]
