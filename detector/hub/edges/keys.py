"""Whose signature is believed: the keys of each edge box, and the state of each.

    next ──(first word signed by it)──► active ──(its successor's first word)──► retired
                                          └──(somebody says so)──► revoked

An edge has at most one active key. A `next` one has proved, signed by the active one, that the edge holds it
(`rotation`); until the edge begins to use it both are believed, so that nothing signed meanwhile is lost. From then on
the retired one vouches only for what was signed before, by the edge's own clock: what waited in its outbox. A revoked
key vouches for nothing any more, whatever time it names.

With `enrolment: code` an edge has no key until it joined (`enrolment`); with `first_sight` the first key that is seen
with its name is its own, unless it ever had another.

A box that was renamed is known by the key that it has kept: once its name before is shut out, it brings what it told
under that, and the clips of it (`kept`).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection, select, update

from detector import wire
from detector.errors import WireError
from detector.hub.edges import knocks as knocking
from detector.hub.edges.knocks import Knocks
from detector.hub.storage.database import Database, one_at_a_time
from detector.hub.storage.rights import EVERYWHERE, Scope
from detector.hub.storage.schema import edge_keys, edges, rotations
from detector.hub.storage.stored import EdgeId

logger = logging.getLogger(__name__)

ACTIVE, NEXT, RETIRED, REVOKED = "active", "next", "retired", "revoked"
CLAIM_LIFE_S = 15 * 60.0  # of a signed request by HTTP: what was overheard is of no use for longer
ROUNDED_S = 0.001  # times on the wire have three decimals


class _OfEdge(Protocol):
    @property
    def site(self) -> str: ...

    @property
    def edge(self) -> str: ...


OfEdge = TypeVar("OfEdge", bound=_OfEdge)


@dataclass(frozen=True, slots=True)
class EdgeKey:
    """A key of an edge.

    Attributes:
        number: Grows with every key.
        key: Base64 of the raw public key.
        state: `active`, `next`, `retired` or `revoked`.
        since: When it was let in, Unix seconds.
        by: Whose code let it in; empty where it was pinned at first sight.
        until: Of a retired one: the latest time, by the edge's clock, that it vouches for. Of a revoked one: since when
            it is revoked, by the hub's.
        ended_by: Who revoked it.
    """

    number: int
    site: str
    edge: str
    key: str
    state: str
    since: float
    by: str
    until: float | None = None
    ended_by: str | None = None


class EdgeKeys:
    """The keys in a database, which other processes may change meanwhile: nothing is remembered between two calls.

    But for the messages of a batch (`together`): reading them for each would cost more than checking the signature.

    Args:
        database: The hub's.
        first_sight: Whether an edge that never had a key is known by the first that is seen.
    """

    def __init__(self, database: Database, *, first_sight: bool = False) -> None:
        self.knocks = Knocks(database)
        self._database = database
        self._first_sight = first_sight
        self._read = threading.local()

    @contextmanager
    def together(self) -> Iterator[None]:
        """What this thread checks within it came in together: the keys of an edge are read once for all of that."""
        self._read.keys = {}
        try:
            yield
        finally:
            del self._read.keys

    # What edges say

    def believe(self, fields: Mapping[str, Any], *, signed_at: float, at: float, bringer: EdgeId | None = None) -> None:
        """Check the signature of what an edge sent.

        Args:
            fields: With `site`, `edge` and `signature`, and `key` where it names the key.
            signed_at: The edge's time in it, Unix seconds.
            at: Now.
            bringer: Site and edge of who brings it, where that may be another than it names: the same box, which had
                that name before.

        Raises:
            WireError: It must not be believed.
        """
        claimed = None if fields.get("key") is None else str(fields["key"])
        told_by = fields["site"], fields["edge"]
        site, edge = bringer or told_by
        if (site, edge) != told_by and claimed not in self.kept(told_by, (site, edge)):
            raise WireError("site and edge are not those of the topic")
        self.check(site, edge, lambda key: wire.verify(fields, key), signed_at=signed_at, at=at, claimed=claimed)

    def kept(self, before: EdgeId, now: EdgeId) -> set[str]:
        """Keys that a box, which has one name now, had with another before; none unless that one is shut out.

        Args:
            before: Site and edge.
            now: Likewise.
        """
        earlier = self._of(*before)
        if any(key.state in (ACTIVE, NEXT) for key in earlier):  # two boxes, of which one has a copy of the other's
            return set()
        return {key.key for key in earlier} & {key.key for key in self._of(*now) if key.state != REVOKED}

    def check(
        self,
        site: str,
        edge: str,
        verify: Callable[[str], object],
        *,
        signed_at: float,
        at: float,
        claimed: str | None = None,
    ) -> None:
        """Check a signature against the keys of an edge.

        Args:
            site: Site that it is said to come from.
            edge: Edge that it is said to come from.
            verify: Checks the signature against a key; raises `WireError`.
            signed_at: The edge's time in what was signed, Unix seconds.
            at: Now.
            claimed: The key that it says it is signed by; where it names none, each that may have is tried.

        Raises:
            WireError: It must not be believed.
        """
        keys = self._of(site, edge)
        tried = [key for key in keys if claimed in (None, key.key)]
        if not tried:
            self._meet(site, edge, claimed, keys, verify, at)
            return
        refused: WireError | None = None
        for key in tried:
            try:
                verify(key.key)
            except WireError as error:
                refused = error
                continue
            self._in_time(key, signed_at, at)
            return
        raise refused or WireError("the signature does not fit")

    def states(self, site: str, edge: str) -> dict[str, str]:
        """The state of every key that an edge ever had, by the key."""
        return {key.key: key.state for key in self._of(site, edge)}

    def _of(self, site: str, edge: str) -> list[EdgeKey]:
        read: dict[EdgeId, list[EdgeKey]] | None = getattr(self._read, "keys", None)
        if read is None:
            return self.of(site, edge)
        if (site, edge) not in read:
            read[site, edge] = self.of(site, edge)
        return read[site, edge]

    def _changed(self, site: str, edge: str) -> None:
        if hasattr(self._read, "keys"):
            self._read.keys.pop((site, edge), None)

    # What people ask

    def of(self, site: str, edge: str) -> list[EdgeKey]:
        """All keys an edge ever had, those in use first, then the latest."""
        query = select(edge_keys).where(edge_keys.c.site == site, edge_keys.c.edge == edge)
        return _sorted(self._database.read(query))

    def all(self, scope: Scope = EVERYWHERE) -> dict[EdgeId, list[EdgeKey]]:
        """The keys of every edge of the sites in a scope."""
        found: dict[EdgeId, list[EdgeKey]] = {}
        with self._database.reading() as connection:
            for key in _sorted(connection.execute(select(edge_keys))):
                if scope.sees(key.site):
                    found.setdefault((key.site, key.edge), []).append(key)
        return found

    def in_service(self, ones: Iterable[OfEdge]) -> list[OfEdge]:
        """Those edges, or things of edges, that weren't shut out: nobody misses one that was, or its cameras."""
        keys = self.all()
        return [
            one
            for one in ones
            if (own := keys.get((one.site, one.edge))) is None or any(key.state in (ACTIVE, NEXT) for key in own)
        ]

    def active(self, site: str, edge: str) -> str | None:
        """The key in use by an edge, base64; `None` where it may not come in."""
        return next((key.key for key in self.of(site, edge) if key.state == ACTIVE), None)

    def trust(self, site: str, edge: str, key: str, at: float, by: str = "") -> bool:
        """Let a key in without a code; nothing changes where the edge has one in use. Tells whether it is in use now.

        For whoever is the hub's own machine: the demo, the console.
        """
        with self._database.writing() as connection:
            one_at_a_time(connection)
            is_in_use = add(self._database, connection, site, edge, key, at, by)
        self._changed(site, edge)
        return is_in_use

    def _meet(
        self,
        site: str,
        edge: str,
        claimed: str | None,
        keys: list[EdgeKey],
        verify: Callable[[str], object],
        at: float,
    ) -> None:
        """None of the edge's keys fits: pin this one, where it is the first ever, or refuse."""
        if self._first_sight and not keys and claimed is not None:
            verify(claimed)
            if self.trust(site, edge, claimed, at):
                logger.info("edge %s/%s is known by its key from now on", site, edge)
                return
            keys = self._of(site, edge)  # another was seen first, at the same time
        self._refuse(site, edge, claimed or "", keys, at)

    def _refuse(self, site: str, edge: str, claimed: str, keys: list[EdgeKey], at: float) -> None:
        if any(key.key == claimed and key.state == REVOKED for key in keys):
            reason, words = knocking.REVOKED, "the edge's key was revoked"
        elif any(key.state == ACTIVE for key in keys):
            reason, words = knocking.OTHER, "the edge's key is not the one this hub knows it by"
        else:
            reason, words = knocking.UNKNOWN, "an edge that has not joined this hub"
        if claimed:  # its status message names one
            self.knocks.note(site, edge, claimed, reason, at)
        raise WireError(words)

    def _in_time(self, key: EdgeKey, signed_at: float, at: float) -> None:
        """The signature fits: see whether this key may still have made it, and whether it is the new one's first."""
        if key.state == REVOKED:
            self._refuse(key.site, key.edge, key.key, [key], at)
        if key.state == RETIRED and not (key.until is not None and signed_at <= key.until + ROUNDED_S):
            self.knocks.note(key.site, key.edge, key.key, knocking.RETIRED, at)
            raise WireError("the edge's key was replaced before this was signed")
        if key.state == NEXT:
            self._succeed(key, signed_at, at)

    def _succeed(self, key: EdgeKey, signed_at: float, at: float) -> None:
        """The edge has begun to sign with its new key; what it signs later with the old one is not believed.

        The first word by the new key isn't always the first that comes in. But whatever the old one signed is older
        than it, and what comes in late of the new one only makes `until` a little later than it had to be.
        """
        c = edge_keys.c
        with self._database.writing() as connection:
            one_at_a_time(connection)
            if connection.execute(select(c.number).where(c.number == key.number, c.state == NEXT)).first() is None:
                return
            old = c.site == key.site, c.edge == key.edge, c.state == ACTIVE
            connection.execute(update(edge_keys).where(*old).values(state=RETIRED, until=signed_at))
            connection.execute(update(edge_keys).where(c.number == key.number).values(state=ACTIVE, since=at))
            connection.execute(
                update(rotations)
                .where(rotations.c.site == key.site, rotations.c.edge == key.edge, rotations.c.new_key == key.key)
                .values(done_at=at)
            )
        self._changed(key.site, key.edge)
        logger.info("edge %s/%s signs with its new key", key.site, key.edge)


def add(database: Database, connection: Connection, site: str, edge: str, key: str, at: float, by: str) -> bool:
    """Make a key the active one of an edge that has none; tells whether it is so now. One writer at a time, please.

    From then on the edge is one of those that are missed when they say nothing.
    """
    c = edge_keys.c
    in_use = select(c.key).where(c.site == site, c.edge == edge, c.state == ACTIVE)
    held = connection.execute(in_use).scalar_one_or_none()
    if held is not None:
        return bool(held == key)
    known = connection.execute(select(c.number).where(c.site == site, c.edge == edge, c.key == key)).first()
    if known is not None:  # revoked or retired: it doesn't come back
        return False
    connection.execute(edge_keys.insert().values(site=site, edge=edge, key=key, state=ACTIVE, since=at, by=by))
    connection.execute(database.insert(edges).values(site=site, edge=edge).on_conflict_do_nothing())
    knocking.forget(connection, site, edge, key)
    return True


def _sorted(rows: Any) -> list[EdgeKey]:
    order = {ACTIVE: 0, NEXT: 1, RETIRED: 2, REVOKED: 3}
    keys = [EdgeKey(**row._mapping) for row in rows]
    return sorted(keys, key=lambda key: (order.get(key.state, 4), -key.number))
