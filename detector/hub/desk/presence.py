"""Who looks at which incident at this moment, so that two guards don't judge the same one unawares.

Kept in memory: a look is a lease that its open page renews, and that ends by itself when the page is gone.
"""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from dataclasses import dataclass

from detector.hub.storage.rights import Scope

LEASE_S = 45.0  # three heartbeats of an event stream
MOST_DESKS = 1000


@dataclass(slots=True)
class _Visit:
    user: str
    incident: str
    site: str
    camera: str
    until: float


class Presence:
    """All looks; safe to use from any thread. A desk is one open page of one user, named by the page."""

    def __init__(self) -> None:
        self._looks: OrderedDict[tuple[str, str], _Visit] = OrderedDict()
        self._streams: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()

    def look(self, user: str, desk: str, incident: str, place: tuple[str, str], at: float) -> None:
        """A desk opens an incident, whose site and camera are `place`, and leaves the one before."""
        with self._lock:
            self._looks[user, desk] = _Visit(user, incident, *place, at + LEASE_S)
            self._looks.move_to_end((user, desk))
            while len(self._looks) > MOST_DESKS:
                self._looks.popitem(last=False)

    def renew(self, user: str, desk: str, at: float) -> None:
        """A desk is still open."""
        with self._lock:
            look = self._looks.get((user, desk))
            if look is not None:
                look.until = at + LEASE_S

    def come(self, user: str, desk: str) -> None:
        """A stream of a desk begins; each is to be left again."""
        with self._lock:
            self._streams[user, desk] += 1

    def leave(self, user: str, desk: str) -> None:
        """A stream of a desk has ended, and the desk was closed but where it has come back by another one.

        That a page was cut off is often known only after it has come back.
        """
        with self._lock:
            self._streams[user, desk] -= 1
            if self._streams[user, desk] <= 0:
                del self._streams[user, desk]
                self._looks.pop((user, desk), None)

    def watching(self, at: float, scope: Scope) -> dict[str, list[str]]:
        """For each incident within a scope that is looked at: by whom."""
        found: dict[str, set[str]] = {}
        with self._lock:
            for look in self._looks.values():
                if look.until > at and scope.sees(look.site, look.camera):
                    found.setdefault(look.incident, set()).add(look.user)
        return {incident: sorted(users) for incident, users in sorted(found.items())}
