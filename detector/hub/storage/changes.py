"""Which change of an incident was its last: each incident has one number, a higher one with every change.

So whoever remembers the highest number that they have seen, and asks for all above it, misses nothing however long they
were away, and is told of each incident once. Numbers are given to one transaction at a time: none comes to light after
a higher one.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import Connection, delete

from detector.hub.storage.database import one_at_a_time
from detector.hub.storage.schema import changes
from detector.machine.whole_files import write_whole

MEMORY_FILE = "changes.id"


def note_changes(connection: Connection, ids: Sequence[str]) -> None:
    """Say that these incidents have just changed, in this order."""
    one_at_a_time(connection)
    ids = list(dict.fromkeys(ids))
    if ids:
        connection.execute(delete(changes).where(changes.c.incident.in_(ids)))
        connection.execute(changes.insert(), [{"incident": incident} for incident in ids])


class Cursors:
    """Numbers of changes as programs keep them: with the name of the memory that gave them.

    A hub that was brought back from a backup gives the same numbers to other changes. So the name is in a file that no
    backup holds, and another one is made where it is missing.

    Args:
        data_dir: Of the hub.

    Raises:
        OSError: The name can't be kept there.
    """

    def __init__(self, data_dir: Path) -> None:
        file = data_dir / MEMORY_FILE
        if not file.exists():
            write_whole(file, os.urandom(4).hex(), mode=0o600)
        self._memory = file.read_text(encoding="ascii", errors="replace").strip()

    def written(self, number: int) -> str:
        """The cursor of a change."""
        return f"{self._memory}.{number}"

    def number(self, cursor: str) -> int | None:
        """The change that a cursor is of; `None` where it is of another memory.

        Raises:
            ValueError: It is no cursor.
        """
        found = re.fullmatch(r"([0-9a-f]{8})\.(-?[0-9]{1,15})", cursor)
        if found is None:
            raise ValueError("no cursor")
        return int(found[2]) if found[1] == self._memory else None
