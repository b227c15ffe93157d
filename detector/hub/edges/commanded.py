"""What people set for edges: each change is the next version of an edge's whole state, which a command carries to it.

    page ─ change ─► database ─ command (retained) ─► edge ─ health report ─► whether it was taken

There are two such states, `thresholds` and `zones`; `detector.commanded` is the edge's side of both.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, Connection, Table, func, select

from detector import wire
from detector.hub.storage.database import Database
from detector.hub.storage.schema import edges
from detector.hub.storage.stored import Edge, EdgeId


@dataclass(frozen=True, slots=True, kw_only=True)
class Change(ABC):
    """A change that somebody made, and which version of the whole state of an edge it came to; `at` is Unix seconds."""

    site: str
    edge: str
    version: int
    user: str
    at: float

    @abstractmethod
    def put_into(self, state: dict[str, Any]) -> None:
        """Make it in a state."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Whether an edge took what was set: `state` is `taken`, `refused` or `waiting`.

    `reason` is the edge's own word on a refusal, `causes` the same as codes, whatever it may be that it gives as such.
    """

    state: str
    reason: str = ""
    causes: Any = ()


AnyChange = TypeVar("AnyChange", bound=Change)


class Commanded(Generic[AnyChange]):
    """Changes of one kind in a database. Any thread may call it; what writes has committed on return.

    Args:
        database: Where they are.
        table: In which table, whose columns are a change's fields.
        change: Makes one of them.
        what: The kind, as health reports name it.
        topic: Where its commands go.
    """

    def __init__(
        self,
        database: Database,
        table: Table,
        change: Callable[..., AnyChange],
        what: str,
        topic: Callable[[wire.Topics], str],
    ) -> None:
        self._database = database
        self._table = table
        self._change = change
        self._what = what
        self._topic = topic

    def all_changes(self) -> list[AnyChange]:
        """Every change, latest first."""
        with self._database.reading() as connection:
            return self._changes(connection)

    def commands(self) -> list[tuple[str, bytes]]:
        """For every edge that anything was ever set for: topic and payload of the command that says how all stands."""
        last: dict[EdgeId, AnyChange] = {}
        states: dict[EdgeId, dict[str, Any]] = {}
        for change in reversed(self.all_changes()):
            edge = change.site, change.edge
            last[edge] = change
            change.put_into(states.setdefault(edge, {}))
        return [
            (
                self._topic(wire.Topics(*edge)),
                wire.command_payload(change.version, states[edge], user=change.user, at=change.at),
            )
            for edge, change in last.items()
        ]

    def answer(self, edge: Edge | None, change: AnyChange, newest: AnyChange) -> Answer:
        """What an edge says to a change, by its health report.

        Args:
            edge: As it was last heard; `None` where it never was.
            change: Which change.
            newest: The edge's newest, which carries that along.
        """
        told = self._told(edge.health if edge else None)
        if change.version <= _version_in_force(told) <= newest.version:
            return Answer("taken")
        refused = told.get("refused_version")
        is_meant = refused in (change.version, newest.version)
        if refused is None:  # it can't say which, having made nothing of it
            is_meant = edge is not None and (edge.health_at or 0.0) >= newest.at
        if told.get("refused") and is_meant:
            return Answer("refused", str(told["refused"])[:500], told.get("refused_causes"))
        return Answer("waiting")

    def _told(self, health: Mapping[str, Any] | None) -> Mapping[str, Any]:
        told = (health or {}).get(self._what)
        return told if isinstance(told, dict) else {}

    def _changes(self, connection: Connection, *where: ColumnElement[bool]) -> list[AnyChange]:
        columns = [column for column in self._table.c if column.name != "number"]
        query = select(*columns).where(*where).order_by(self._table.c.number.desc())
        return [self._change(**row._mapping) for row in connection.execute(query)]

    def _of_edge(self, connection: Connection, site: str, edge: str) -> list[AnyChange]:
        return self._changes(connection, self._table.c.site == site, self._table.c.edge == edge)

    def _add(self, connection: Connection, site: str, edge: str, **fields: Any) -> AnyChange:
        """Put a change on record as the edge's next version.

        It is above all that the edge has told of, too: a database brought back from a backup would command in vain.
        """
        c = self._table.c
        health = select(edges.c.health).where(edges.c.site == site, edges.c.edge == edge)
        told = _version_in_force(self._told(connection.execute(health).scalar_one_or_none()))
        last = select(func.max(c.version)).where(c.site == site, c.edge == edge)
        version = max(connection.execute(last).scalar_one() or 0, told) + 1
        row = {"site": site, "edge": edge, "version": version, **fields}
        connection.execute(self._table.insert(), row)
        return self._change(**row)


def _version_in_force(told: Mapping[str, Any]) -> int:
    """The version that an edge says it goes by; 0 when it says none."""
    version = told.get("version")
    if not isinstance(version, int) or isinstance(version, bool) or not 0 <= version < wire.LATEST_VERSION:
        return 0
    return version
