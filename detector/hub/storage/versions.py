"""Versions of what is set at the hub and taken by edges: which one an edge has in force, and which comes next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from sqlalchemy import Connection, select

from detector import wire
from detector.hub.storage.schema import edges

What = Literal["tuned", "zoned"]  # thresholds and zones, as health reports tell of them


def version_in_force(health: Mapping[str, Any] | None, what: What) -> int:
    """The version that an edge says it goes by, in its health report; 0 when it says none."""
    told = (health or {}).get(what)
    version = told.get("version") if isinstance(told, dict) else None
    if not isinstance(version, int) or isinstance(version, bool) or not 0 <= version < wire.LATEST_VERSION:
        return 0
    return version


def next_version(connection: Connection, site: str, edge: str, what: What, last: int) -> int:
    """The version after the last one that was set.

    It is above all that the edge has told of, too: a database brought back from a backup would command in vain.
    """
    health = select(edges.c.health).where(edges.c.site == site, edges.c.edge == edge)
    return max(version_in_force(connection.execute(health).scalar_one_or_none(), what), last) + 1
