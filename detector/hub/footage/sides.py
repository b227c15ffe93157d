"""The record of side files that are here: what the models saw while a segment was recorded (`detector.media.sides`)."""

from __future__ import annotations

from sqlalchemy import select

from detector.hub.storage.database import Database
from detector.hub.storage.schema import sides
from detector.hub.storage.stored import Clip

LAST_SEGMENT = 2**31 - 1


class Sides:
    """Side files in a database. A row says the same as the row of its clip; `sha256`, `size` and `file` are its own."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, side: Clip) -> bool:
        """Put on record a side file that has arrived; one that is on record already stays.

        Returns:
            Whether it is new.
        """
        insert = self._database.insert(sides).on_conflict_do_nothing(index_elements=["incident", "segment"])
        values = {name: getattr(side, name) for name in Clip.__slots__}
        with self._database.writing() as connection:
            return connection.execute(insert.returning(sides.c.segment), values).first() is not None

    def find(self, incident: str, segment: int) -> Clip | None:
        """The side file of one segment; none for what can't be an incident's id or a segment's number either."""
        if "\0" in incident or not 0 <= segment <= LAST_SEGMENT:
            return None
        query = select(sides).where(sides.c.incident == incident, sides.c.segment == segment)
        row = self._database.read(query).one_or_none()
        return Clip(**row._mapping) if row else None

    def of(self, incident: str) -> list[Clip]:
        """Side files of an incident in order."""
        query = select(sides).where(sides.c.incident == incident).order_by(sides.c.segment)
        return [Clip(**row._mapping) for row in self._database.read(query)]
