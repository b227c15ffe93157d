"""Zones of cameras: what edges say is in force, what people have set.

A change carries all zones of one camera; a command carries those of all cameras of an edge that people have drawn, as
threshold commands do. What an edge then says is in force is its layout.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from detector.errors import WireError
from detector.hub.edges.commanded import Change, Commanded
from detector.hub.storage.cameras import Place, of_camera
from detector.hub.storage.database import Database, one_at_a_time
from detector.hub.storage.rights import EVERYWHERE, Scope
from detector.hub.storage.schema import layouts, zone_changes

MOST_CAMERAS = 200  # of one edge: whoever speaks for a box can make names up


@dataclass(frozen=True, slots=True, kw_only=True)
class ZoneChange(Change):
    """All zones of a camera as somebody set them; `None` are those of the edge's own configuration."""

    camera: str
    zones: list[dict[str, Any]] | None
    before: list[dict[str, Any]] | None

    @property
    def place(self) -> Place:
        """Of which camera."""
        return self.site, self.edge, self.camera

    def put_into(self, state: dict[str, Any]) -> None:
        """Make the change in a state (`wire.ZoneState`)."""
        state.pop(self.camera, None)
        if self.zones is not None:
            state[self.camera] = self.zones


class Zones(Commanded[ZoneChange]):
    """Changes and layouts in a database."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, zone_changes, ZoneChange, "zoned", lambda topics: topics.zones)

    # What edges say

    def set_layout(self, site: str, edge: str, fields: Mapping[str, Any], at: float) -> None:
        """Keep what an edge says of its cameras.

        What is held from the future, while the edge's clock was wrong, gives way to any.

        Raises:
            WireError: It is older than what is held.
        """
        values = {"site": site, "edge": edge, "fields": dict(fields), "at": at}
        upsert = self._database.upsert(layouts, ("site", "edge"), ("fields", "at"))
        held = select(layouts.c.fields).where(layouts.c.site == site, layouts.c.edge == edge)
        with self._database.writing() as connection:
            said_at = (connection.execute(held).scalar_one_or_none() or {}).get("at_unix")
            if isinstance(said_at, int | float) and fields["at_unix"] < said_at <= at:
                raise WireError("layout: older than the one that is held")
            connection.execute(upsert, values)

    def layouts(self, scope: Scope = EVERYWHERE) -> dict[Place, dict[str, Any]]:
        """What edges last said of each camera that somebody sees: see `wire.layout_payload`."""
        rows = self._database.read(select(layouts.c.site, layouts.c.edge, layouts.c.fields)).all()
        return {
            (site, edge, camera): said
            for site, edge, fields in rows
            for camera, said in fields["cameras"].items()
            if scope.sees(site, camera)
        }

    # Changes

    def changes(self, place: Place) -> list[ZoneChange]:
        """Every change of a camera's zones, latest first."""
        with self._database.reading() as connection:
            return self._changes(connection, *of_camera(zone_changes, place))

    def latest(self) -> dict[Place, ZoneChange]:
        """The latest change of every camera whose zones were ever set."""
        return {change.place: change for change in reversed(self.all_changes())}

    def set_zones(
        self, place: Place, zones: Sequence[Mapping[str, Any]] | None, *, expected: int, user: str, at: float
    ) -> ZoneChange | None:
        """Change the zones of a camera.

        Args:
            place: Which camera.
            zones: All of them, checked; `None` goes back to those of the edge's configuration.
            expected: Version of the camera's latest change, 0 before the first, that `user` had before their eyes.
            user: Who.
            at: When, Unix seconds.

        Returns:
            The change; `None` where somebody else was quicker, and nothing was done.
        """
        site, edge, camera = place
        with self._database.writing() as connection:
            one_at_a_time(connection)
            former = self._changes(connection, *of_camera(zone_changes, place))
            if (former[0].version if former else 0) != expected:
                return None
            before = former[0].zones if former else None
            wanted = None if zones is None else [dict(zone) for zone in zones]
            return self._add(connection, site, edge, camera=camera, zones=wanted, before=before, user=user, at=at)
