"""Which sites, cameras and zones a hub was ever told of, so that a mistyped one is noticed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from sqlalchemy import select

from detector.hub.edges.cameras import reported
from detector.hub.storage.database import Database
from detector.hub.storage.rights import EVERYWHERE, Scope
from detector.hub.storage.schema import edge_keys, edges, layouts, places

MOST_NAMED = 10


@dataclass(frozen=True, slots=True)
class Known:
    """Their names: `suzhou`, `suzhou/cam3`, `suzhou/cam3/bulk`."""

    names: frozenset[str]

    @classmethod
    def of(cls, database: Database, scope: Scope = EVERYWHERE) -> Known:
        """Those in a scope: of boxes that joined or spoke, and of everything that was ever told of."""
        with database.reading() as connection:
            joined = connection.execute(select(edge_keys.c.site)).all()
            spoke = connection.execute(select(edges.c.site, edges.c.health)).all()
            drawn = connection.execute(select(layouts.c.site, layouts.c.fields)).all()
            told = connection.execute(select(places.c.site, places.c.camera, places.c.zone)).all()
        found: set[tuple[str, ...]] = {(row.site,) for row in (*joined, *spoke)}
        found |= {(row.site, camera) for row in spoke for camera, _ in reported(row.health)}
        found |= {(row.site, *place) for row in drawn for place in _drawn(row.fields)}
        found |= {tuple(filter(None, row)) for row in told}
        inside = {place[:n] for place in found for n in range(1, len(place) + 1) if scope.sees(*place[: min(n, 2)])}
        return cls(frozenset("/".join(place) for place in inside))

    def unheard(self, names: Iterable[str]) -> list[str]:
        """Those of some places that nothing was ever told of; none while there is nothing to compare them with."""
        return [name for name in names if name not in self.names] if self.names else []

    def meant(self, name: str) -> str:
        """The known place that is written most like an unheard one; empty where none is alike."""
        alike = {one.casefold(): one for one in sorted(self.names) if one.count("/") == name.count("/")}
        return next((alike[one] for one in get_close_matches(name.casefold(), alike, 1)), "")

    def hint(self, name: str) -> str:
        """What to say of an unheard place to whoever typed it, in English."""
        if meant := self.meant(name):
            return f"did you mean {meant}?"
        sites = sorted(one for one in self.names if "/" not in one)
        return f"known sites: {', '.join(sites[:MOST_NAMED])}{', …' if len(sites) > MOST_NAMED else ''}."


def _drawn(fields: Mapping[str, Any]) -> Iterable[tuple[str, ...]]:
    """Cameras and zones that an edge's layout tells of, as far as it is understood."""
    for camera, said in fields["cameras"].items():
        yield (camera,)
        for zone in said.get("zones") or ():
            if isinstance(zone, dict) and isinstance(name := zone.get("name"), str):
                yield camera, name
