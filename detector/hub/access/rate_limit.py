"""Rate limits, by name or by where something comes from."""

from __future__ import annotations

import ipaddress
import threading
from collections import OrderedDict


class TooManyTries(Exception):  # noqa: N818  (an answer to a visitor, not an error of ours)
    """The visitor has to wait before trying again."""


class TokenBucket:
    """So many tries at once per name, and one more every so many seconds; forgets names that are full again."""

    def __init__(self, size: float, every_s: float, names: int = 10_000) -> None:
        self._size = size
        self._every_s = every_s
        self._names = names
        self._spent: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, name: str, at: float, cost: float = 1.0) -> bool:
        """Spend one try, or so many; tells whether there were as many left."""
        with self._lock:
            spent = self._spent_now(name, at)
            if spent + cost > self._size:
                return False
            self._put(name, spent + cost, at)
            return True

    def give_back(self, name: str, at: float) -> None:
        """Undo a `take` whose try was a good one."""
        with self._lock:
            self._put(name, max(0.0, self._spent_now(name, at) - 1), at)

    def _spent_now(self, name: str, at: float) -> float:
        spent, since = self._spent.get(name, (0.0, at))
        # A clock that was put back locks nobody out until it is where it was.
        return max(0.0, spent - abs(at - since) / self._every_s)

    def _put(self, name: str, spent: float, at: float) -> None:
        self._spent[name] = (spent, at)
        self._spent.move_to_end(name)
        if len(self._spent) > self._names:
            self._spent.popitem(last=False)


def network_of(address: str) -> str:
    """What tries are counted by: an IPv6 host has a whole /64 of addresses to come from."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if found.version == 4:
        return address
    return str(found.ipv4_mapped or ipaddress.ip_network((int(found) >> 64 << 64, 64)))
