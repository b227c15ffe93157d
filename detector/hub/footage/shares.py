"""Which box takes how much of the disk with footage that nobody judged, and who waits for that when it runs short.

Judged footage makes room (`upkeep.retention`), what nobody judged never does: a box that is mad, or in a thief's hands,
could fill the disk with it, and have what others found go for it. So on a disk that is short

    a box whose unjudged footage is more than its share brings no more: its clips wait with it
    what was judged true goes early only of the box with the most unjudged footage

A share is what all boxes have of it by their number.
"""

from __future__ import annotations

from sqlalchemy import Connection, func, select

from detector.clock import Clock
from detector.hub.edges.keys import ACTIVE, NEXT
from detector.hub.storage.database import Database
from detector.hub.storage.schema import clips, edge_keys, incidents, sides
from detector.hub.storage.stored import EdgeId

KNOWN_FOR_S = 5.0  # who waits asks often, and to count takes long where there are many clips


class Shares:
    """Tells who has more than its share.

    Args:
        database: Of the hub.
        clock: Tells how old a count is.
        room: Bytes that all boxes may bring together even if they have more than their share, each its part.
    """

    def __init__(self, database: Database, clock: Clock, room: int = 0) -> None:
        self._database = database
        self._clock = clock
        self._room = room
        self._counted: tuple[float, dict[EdgeId, int]] | None = None

    def exceeds(self, box: EdgeId, begun: int, size: int) -> bool:
        """Whether a box would have more than its share, and than its part of the room, with so many bytes more.

        Args:
            box: Whose.
            begun: Bytes of what it began to bring.
            size: Of what it wants to bring now; that alone is never too much.
        """
        now, counted = self._clock.now(), self._counted
        if counted is None or not 0.0 <= now - counted[0] < KNOWN_FOR_S:
            with self._database.reading() as connection:
                self._counted = counted = now, unjudged(connection)
        found = counted[1]
        has, boxes, total = found.get(box, 0) + begun, len({*found, box}), sum(found.values()) + begun
        return has > 0 and (has + size) * boxes > max(total + size, self._room)

    def changed(self) -> None:
        """Something came: count anew."""
        self._counted = None


def unjudged(connection: Connection) -> dict[EdgeId, int]:
    """Bytes of each box that is in service or has any."""
    shown = incidents.alias()
    own = select(edge_keys.c.site, edge_keys.c.edge).where(edge_keys.c.state.in_((ACTIVE, NEXT))).distinct()
    found: dict[EdgeId, int] = {(row.site, row.edge): 0 for row in connection.execute(own)}
    for table in (clips, sides):
        c = table.c
        query = select(c.site, c.edge, func.sum(c.size)).group_by(c.site, c.edge)
        query = query.outerjoin(incidents, incidents.c.id == c.incident)
        query = query.outerjoin(shown, shown.c.id == incidents.c.same_as)
        query = query.where(incidents.c.verdict.is_(None), shown.c.verdict.is_(None))
        for site, edge, size in connection.execute(query):
            found[site, edge] = found.get((site, edge), 0) + int(size)
    return found


def pressing(connection: Connection) -> set[EdgeId] | None:
    """The box with the most unjudged footage, or those; `None` where nobody has any."""
    found = unjudged(connection)
    most = max(found.values(), default=0)
    return {box for box, size in found.items() if size == most} if most else None
