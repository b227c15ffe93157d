"""A box's key is replaced by a new one that the box makes itself: asked for by somebody, proved by the box.

    page ─ ask ─► cmd/rotate {id}           the box makes a key beside its own, and goes on with its own
    box ─ word ─► key {id, both keys}       signed by both; the hub notes the new one as the next
    hub ─────────► cmd/rotate {id, new_key} the box puts the new key in the place of the old one, which is gone then
    box ─────────► anything by the new key  the hub makes it the active one (`keys`)

Each step says the whole state and may come twice, late, or after either end was killed: see `alerts.rotation` for the
other half. The command is kept by the broker, so that a box that was away goes on where it was.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import delete, select, update

from detector import wire
from detector.errors import WireError
from detector.hub.access.audit import Audit
from detector.hub.edges.keys import ACTIVE, NEXT
from detector.hub.storage.database import Database, one_at_a_time
from detector.hub.storage.schema import edge_keys, rotations
from detector.hub.storage.stored import EdgeId

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Rotation:
    """The last change of a box's key that somebody asked for; times in Unix seconds."""

    site: str
    edge: str
    id: str
    asked_by: str
    asked_at: float
    new_key: str | None
    done_at: float | None


class Rotations:
    """Keeps them. Safe to use from any thread."""

    def __init__(self, database: Database, audit: Audit) -> None:
        self._database = database
        self._audit = audit

    def ask(self, site: str, edge: str, by: str, at: float) -> bool:
        """Ask a box for a new key; tells whether there is such a box. One that is asked already goes on as it is."""
        with self._database.writing() as connection:
            one_at_a_time(connection)
            c, r = edge_keys.c, rotations.c
            in_use = select(c.number).where(c.site == site, c.edge == edge, c.state == ACTIVE)
            if connection.execute(in_use).first() is None:
                return False
            open_ = select(r.id).where(r.site == site, r.edge == edge, r.done_at.is_(None))
            if connection.execute(open_).first() is not None:
                return True
            values = {
                "site": site, "edge": edge, "id": secrets.token_hex(8), "asked_by": by, "asked_at": at,
                "new_key": None, "done_at": None,
            }  # fmt: skip
            connection.execute(self._database.upsert(rotations, ("site", "edge"), values), values)
            self._audit.add(connection, at, by, "box_key_asked", f"{site}/{edge}")
        return True

    def all(self) -> dict[EdgeId, Rotation]:
        """The last of every box."""
        found = [Rotation(**row._mapping) for row in self._database.read(select(rotations))]
        return {(one.site, one.edge): one for one in found}

    def commands(self) -> Iterator[tuple[str, bytes]]:
        """What the broker is to keep for boxes."""
        for one in self.all().values():
            yield wire.Topics(one.site, one.edge).rotate, wire.rotate_payload(one.id, one.new_key)

    def word(self, topic: str, payload: bytes, at: float) -> bool:
        """Take in a box's word that it has a new key; tells whether that is news, which it is to be told of.

        Raises:
            WireError: It is none, or not believed, or nobody has asked for it.
        """
        word = wire.decode_new_key(topic, payload)
        site, edge, new = word["site"], word["edge"], word["new_key"]
        c, r = edge_keys.c, rotations.c
        with self._database.writing() as connection:
            one_at_a_time(connection)
            asked = connection.execute(select(rotations).where(r.site == site, r.edge == edge)).one_or_none()
            if asked is None or asked.id != word["id"]:
                raise WireError("nobody has asked this edge for a new key")
            known = {row.key: row.state for row in connection.execute(
                select(c.key, c.state).where(c.site == site, c.edge == edge)
            )}  # fmt: skip
            if asked.done_at is not None and known.get(new) == ACTIVE:
                return False
            if asked.done_at is not None or known.get(word["old_key"]) != ACTIVE:
                raise WireError("the key that vouches for the new one is not in use")
            if known.get(new) == NEXT:
                return bool(asked.new_key != new)
            taken = connection.execute(select(c.number).where(c.key == new)).first()
            if taken is not None:
                raise WireError("the new key has been somebody's already")
            # One that was told before and never used: the box has lost it.
            connection.execute(delete(edge_keys).where(c.site == site, c.edge == edge, c.state == NEXT))
            row = {"site": site, "edge": edge, "key": new, "state": NEXT, "since": at, "by": asked.asked_by}
            connection.execute(edge_keys.insert().values(row))
            connection.execute(update(rotations).where(r.site == site, r.edge == edge).values(new_key=new))
            self._audit.add(connection, at, asked.asked_by, "box_key_new", f"{site}/{edge}")
        logger.info("edge %s/%s has made a new key", site, edge)
        return True
