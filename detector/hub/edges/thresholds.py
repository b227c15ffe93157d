"""Thresholds: the least score, of each camera and kind of incident, that people have set for edges.

A kind that is switched off at a camera has one that nothing reaches (`wire.OFF`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from detector import wire
from detector.hub.edges.commanded import Change, Commanded
from detector.hub.storage.database import Database, one_at_a_time
from detector.hub.storage.schema import thresholds
from detector.hub.storage.stored import told_number


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold(Change):
    """A change of the least score of one camera and kind; `None` leaves it to the edge's configuration.

    `evidence` is what the verdicts said when it was made.
    """

    camera: str
    kind: str
    least_score: float | None
    before: float | None
    evidence: dict[str, Any]

    def put_into(self, state: dict[str, Any]) -> None:
        """Make the change in a state (`wire.ThresholdState`)."""
        scores = state.setdefault(self.camera, {})
        scores.pop(self.kind, None)
        if self.least_score is not None:
            scores[self.kind] = self.least_score
        if not scores:
            del state[self.camera]


class Thresholds(Commanded[Threshold]):
    """Changes of them in a database."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, thresholds, Threshold, "tuned", lambda topics: topics.thresholds)

    def switched_off(self) -> list[Threshold]:
        """The changes by which kinds are off at cameras now, latest first."""
        newest: dict[tuple[str, str, str, str], Threshold] = {}
        for change in self.all_changes():
            newest.setdefault((change.site, change.edge, change.camera, change.kind), change)
        return [change for change in newest.values() if change.least_score == wire.OFF]

    def set(
        self,
        site: str,
        edge: str,
        camera: str,
        kind: str,
        least_score: float | None,
        *,
        expected: int,
        user: str,
        at: float,
        evidence: Mapping[str, Any],
    ) -> bool:
        """Change a least score; tells whether it was done, which it is not when it was changed meanwhile.

        `expected` is the version of its last change that is known, 0 where there is none.
        """
        with self._database.writing() as connection:
            one_at_a_time(connection)
            former = [one for one in self._of_edge(connection, site, edge) if (one.camera, one.kind) == (camera, kind)]
            before = former[0].least_score if former else None
            if expected != (former[0].version if former else 0) or least_score == before:
                return False
            self._add(
                connection, site, edge, camera=camera, kind=kind, least_score=least_score, before=before, user=user,
                at=at, evidence=dict(evidence),
            )  # fmt: skip
            return True


def configured_score(health: Mapping[str, Any] | None, camera: str, kind: str) -> float:
    """The least score that an edge's configuration asks for, 0..1; 0 when it tells of none."""
    told: Any = (health or {}).get("tuned")
    for name in ("configured", camera, kind):
        told = told.get(name) if isinstance(told, dict) else None
    return told_number(told, 0.0, 1.0) or 0.0
