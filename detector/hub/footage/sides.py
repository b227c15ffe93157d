"""The record of side files that are here: what the models saw while a segment was recorded (`detector.media.sides`)."""

from __future__ import annotations

from detector.hub.storage.database import Database
from detector.hub.storage.schema import sides
from detector.hub.storage.segments import Segments


class Sides(Segments):
    """Side files in a database. A row says the same as the row of its clip; `sha256`, `size` and `file` are its own."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, sides)
