"""What is on record of segments that are here whole: their recordings (`clips`), or their side files (`sides`)."""

from __future__ import annotations

from sqlalchemy import Table, select

from detector.hub.storage.database import Database
from detector.hub.storage.stored import Clip

LAST_SEGMENT = 2**31 - 1


class Segments:
    """One such table of a database. Safe to use from any thread."""

    def __init__(self, database: Database, table: Table) -> None:
        self._database = database
        self._table = table

    def add(self, clip: Clip) -> bool:
        """Put on record one that has arrived; one that is on record already stays.

        Returns:
            Whether it is new.
        """
        insert = self._database.insert(self._table).on_conflict_do_nothing(index_elements=["incident", "segment"])
        values = {name: getattr(clip, name) for name in Clip.__slots__}
        with self._database.writing() as connection:
            return connection.execute(insert.returning(self._table.c.segment), values).first() is not None

    def find(self, incident: str, segment: int) -> Clip | None:
        """One of them; none for what can't be an incident's id or a segment's number either."""
        if "\0" in incident or not 0 <= segment <= LAST_SEGMENT:
            return None
        c = self._table.c
        row = self._database.read(select(self._table).where(c.incident == incident, c.segment == segment)).one_or_none()
        return Clip(**row._mapping) if row else None

    def of(self, *incidents: str) -> list[Clip]:
        """Those of incidents, of each in order."""
        c = self._table.c
        query = select(self._table).where(c.incident.in_(incidents)).order_by(c.incident, c.segment)
        return [Clip(**row._mapping) for row in self._database.read(query)]
