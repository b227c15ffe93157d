"""Cameras whose notices are held back for a while: who asked for it, and until when.

Nothing is lost by it: what comes meanwhile stands in the feed, waits for one summary at the pause's end, and what is
critical is told at once all the same (`notices`). A pause ends by itself.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, delete, select

from detector.hub.access.audit import Audit
from detector.hub.storage.database import Database, one_at_a_time
from detector.hub.storage.rights import EVERYWHERE, Scope
from detector.hub.storage.schema import notice_pauses

PAUSED = "paused"  # why a notice is held


@dataclass(frozen=True, slots=True)
class Pause:
    """Notices of one camera are held back until Unix seconds `until`; `user` asked for it `at`."""

    site: str
    camera: str
    until: float
    user: str
    at: float


class Pauses:
    """Pauses in a database. Safe to use from any thread."""

    def __init__(self, database: Database, audit: Audit) -> None:
        self._database = database
        self._audit = audit

    def all(self, now: float, scope: Scope = EVERYWHERE) -> list[Pause]:
        """Those that hold now."""
        c = notice_pauses.c
        query = select(notice_pauses).where(c.until > now, *scope.clauses(c.site, c.camera))
        return [Pause(**row._mapping) for row in self._database.read(query.order_by(c.site, c.camera))]

    def begin(self, site: str, camera: str, user: str, now: float, seconds: float) -> bool:
        """Hold back notices of a camera for so many seconds; tells whether they weren't held back already."""
        with self._database.writing() as connection:
            one_at_a_time(connection)
            if until(connection, site, camera, now) is not None:
                return False
            row = {"site": site, "camera": camera, "until": now + seconds, "user": user, "at": now}
            upsert = self._database.upsert(notice_pauses, ("site", "camera"), ("until", "user", "at"))
            connection.execute(upsert, row)
            place = f"{site}/{camera}"
            self._audit.add(connection, now, user, "notices_paused", place, until_at=now + seconds)
            return True

    def end(self, site: str, camera: str, user: str, now: float) -> bool:
        """Let notices of a camera go again, and with the next look what was held back; whether they were held back."""
        here = (notice_pauses.c.site == site, notice_pauses.c.camera == camera)
        with self._database.writing() as connection:
            one_at_a_time(connection)
            if until(connection, site, camera, now) is None:
                return False
            connection.execute(delete(notice_pauses).where(*here))
            self._audit.add(connection, now, user, "notices_resumed", f"{site}/{camera}")
            return True


def until(connection: Connection, site: str, camera: str, now: float) -> float | None:
    """Until when notices of a camera are held back; `None` where they are not."""
    c = notice_pauses.c
    query = select(c.until).where(c.site == site, c.camera == camera, c.until > now)
    return connection.execute(query).scalar_one_or_none()
