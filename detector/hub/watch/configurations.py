"""What is changed at a box itself leaves a line, too: a camera that is taken out of its file is missed by nobody."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select

from detector.hub.access.audit import Audit
from detector.hub.edges.cameras import cameras_in
from detector.hub.storage.database import Database
from detector.hub.storage.schema import edges

# So many lines an hour tell, each by itself, that a box runs by another configuration; what changes beyond that is told
# together. A box that names another one in every report must not fill the audit log.
MOST_CHANGES = 5
CHANGES_IN_S = 3600.0


@dataclass(slots=True)
class _Changes:
    """What changed at a box since its last line: how often, its cameras before, those since, and who wasn't always."""

    before: set[str]
    since: set[str] = field(default_factory=set)
    gone: set[str] = field(default_factory=set)
    count: int = 0


class Configurations:
    """Puts on record in the audit log which box runs by another one than before. Any thread may call it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._audit = Audit(database)
        self._lock = threading.Lock()
        self._changes: dict[str, _Changes] = {}

    def note(self, site: str, edge: str, fields: Mapping[str, Any], at: float) -> None:
        """A health report came; to be called before the store keeps it."""
        query = select(edges.c.health).where(edges.c.site == site, edges.c.edge == edge)
        before = self._database.read(query).scalar_one_or_none() or {}
        if all(before.get(name) in (None, fields.get(name)) for name in ("config_sha256", "model_sha256")):
            return
        former, now = ({camera.name for camera in cameras_in(site, edge, told, at)} for told in (before, fields))
        box = f"{site}/{edge}"
        with self._lock:
            changes = self._changes.setdefault(box, _Changes(former))
            changes.count += 1
            changes.since = now
            changes.gone |= changes.before - now
            self._put(box, at)

    def put_on_record(self, at: float, *, at_once: bool = False) -> None:
        """Put on record what is due by now, or at once all that changed."""
        with self._lock:
            for box in list(self._changes):
                self._put(box, at, at_once=at_once)

    def _put(self, box: str, at: float, *, at_once: bool = False) -> None:
        """Put on record what changed at a box, unless it has its lines of this hour: then once the next is due."""
        lines = self._audit.entries(limit=MOST_CHANGES, action="configuration_changed", subject=box)
        if len(lines) == MOST_CHANGES and abs(at - lines[-1].at) < CHANGES_IN_S and not at_once:
            return
        changes = self._changes[box]
        gone, new = sorted(changes.gone), sorted(changes.since - changes.before)
        more = {"changes": changes.count} if changes.count > 1 else {}
        self._audit.record(at, box, "configuration_changed", box, cameras_gone=gone, cameras_new=new, **more)
        del self._changes[box]
