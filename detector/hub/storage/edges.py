"""Edges as the hub last heard of them: whether each is there, how it is, and how many of its alerts are missing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, Connection, Float, cast, func, select, update

from detector.hub.storage.database import Database
from detector.hub.storage.rights import EVERYWHERE, Scope
from detector.hub.storage.schema import edge_keys, edges, incidents, streams
from detector.hub.storage.stored import LARGEST, Edge, EdgeId
from detector.names import natural

REPLAYING = "replaying"  # the state of one that brings replays, and never said that it watches anything


class Edges:
    """Those in a database. Safe to use from any thread; what writes has committed on return."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def set_status(self, site: str, edge: str, state: str, at: float) -> None:
        """Note that an edge said, or its last will said, `online` or `offline`."""
        self._upsert({"site": site, "edge": edge, "state": state[:40], "state_at": at})

    def set_health(self, site: str, edge: str, fields: Mapping[str, Any], at: float) -> None:
        """Keep an edge's newest health report; NaN and infinity, which JSON can't hold, become null.

        Whoever reports is there, whatever its last will said before.
        """
        clean = json.loads(json.dumps(fields), parse_constant=lambda _: None)
        older = edges.c.health_at.is_(None) | (edges.c.health_at <= at)
        self._upsert({"site": site, "edge": edge, "state": "online", "health": clean, "health_at": at}, where=older)

    def note_replaying(self, site: str, edge: str) -> None:
        """Note that an edge brings replays, or is about to; one that has said anything else of itself watches, too."""
        e = edges.c
        new = e.site == site, e.edge == edge, e.state.is_(None), e.health_at.is_(None)
        if self._database.read(select(e.edge).where(*new)).first() is not None:
            with self._database.writing() as connection:
                connection.execute(update(edges).where(*new).values(state=REPLAYING))

    def _upsert(self, values: dict[str, Any], where: ColumnElement[bool] | None = None) -> None:
        key = ("site", "edge")
        upsert = self._database.upsert(edges, key, values.keys() - {*key}, where=where)
        with self._database.writing() as connection:
            connection.execute(upsert, values)

    def all(self, scope: Scope = EVERYWHERE) -> list[Edge]:
        """Every edge heard of, of the sites in a scope; its report still tells of all its cameras."""
        c = streams.c
        # As floats: sums of what a mad box may say go beyond all whole numbers that databases have.
        told = (c.highest - c.lowest + 1 - c.received - c.dropped).label("missing"), c.dropped
        sums = (func.sum(cast(number, Float)).label(number.name) for number in told)
        missing = select(c.site, c.edge, *sums).group_by(c.site, c.edge).subquery()
        k = edge_keys.c
        # Of all its keys, one that was replaced included: a box whose key is changed has not joined anew.
        let_in = select(k.site, k.edge, func.min(k.since).label("joined_at")).where(k.state != "revoked")
        joined = let_in.group_by(k.site, k.edge).subquery()
        both = edges.outerjoin(missing, (edges.c.site == missing.c.site) & (edges.c.edge == missing.c.edge))
        both = both.outerjoin(joined, (edges.c.site == joined.c.site) & (edges.c.edge == joined.c.edge))
        query = select(
            edges,
            func.coalesce(missing.c.missing, 0).label("missing"),
            func.coalesce(missing.c.dropped, 0).label("dropped"),
            joined.c.joined_at,
        ).select_from(both)
        found = [
            Edge(**{**row._mapping, "missing": _count(row.missing), "dropped": _count(row.dropped)})
            for row in self._database.read(query)
        ]
        found = [edge for edge in found if scope.sees(edge.site)]
        return sorted(found, key=lambda edge: natural(edge.site, edge.edge))

    def only_replaying(self) -> set[EdgeId]:
        """Site and name of edges that publish replays and never said that they watch anything: none misses them."""
        c, e = incidents.c, edges.c
        # Through a function, as in `Wanted.clauses`: the few of replays have an index of their own.
        place = func.coalesce(c.site, "") == e.site, func.coalesce(c.edge, "") == e.edge
        published = select(c.started_at).where(*place, c.replayed_at.is_not(None)).exists()
        said_so = (e.state == REPLAYING) | (e.state.is_(None) & published)  # replays older than that word say it so
        query = select(e.site, e.edge).where(said_so, e.health_at.is_(None))
        return {(row.site, row.edge) for row in self._database.read(query)}


def _count(total: float) -> int:
    return int(max(0.0, min(total, LARGEST)))


def boxes_in_service(connection: Connection) -> int:
    """How many boxes are in service, one at least."""
    c = edge_keys.c
    in_service = select(c.site, c.edge).where(c.state.not_in(("retired", "revoked"))).distinct().subquery()
    return max(1, connection.execute(select(func.count()).select_from(in_service)).scalar_one())
