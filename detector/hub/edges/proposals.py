"""Zones that somebody would like a camera to have, until whoever may set them decides."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import func, select, update

from detector.hub.edges.drafts import KINDS, BadZones, checked_polygon
from detector.hub.storage.cameras import Place, of_camera
from detector.hub.storage.database import Database
from detector.hub.storage.rights import EVERYWHERE, Scope
from detector.hub.storage.schema import zone_proposals

LONGEST_NOTE = 500
MOST_OPEN = 50  # proposals for one camera that nobody has looked at


@dataclass(frozen=True, slots=True)
class Proposal:
    """A zone that somebody would like; `state` is `open`, `accepted` or `declined`, the latter for a `reason`."""

    number: int
    site: str
    edge: str
    camera: str
    kind: str
    polygon: list[list[float]]
    note: str
    incident: str | None
    user: str
    at: float
    state: str
    decided_by: str | None
    decided_at: float | None
    reason: str

    @property
    def place(self) -> Place:
        """For which camera."""
        return self.site, self.edge, self.camera


class Proposals:
    """Those in a database. Any thread may call it; what writes has committed on return."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(
        self, place: Place, kind: str, polygon: object, note: str, *, user: str, at: float, incident: str | None = None
    ) -> int:
        """Propose a zone, such as a part of the picture that is never to be looked at; the number of the proposal.

        Args:
            place: For which camera.
            kind: Of zone: `ignore`, `storage`, …
            polygon: Corners `[[x, y], …]` in shares of the picture's width and height, as they came.
            note: Why; at most 500 characters of it are kept.
            user: Who.
            at: When, Unix seconds.
            incident: What gave rise to it.

        Raises:
            BadZones: It is no such zone, or too many wait already.
        """
        if kind not in KINDS:
            raise BadZones("zones_bad_kind")
        values = {
            "site": place[0], "edge": place[1], "camera": place[2], "kind": kind,
            "polygon": [list(point) for point in checked_polygon(polygon)],
            "note": note.replace("\0", "").strip()[:LONGEST_NOTE], "incident": incident,
            "user": user, "at": at, "state": "open", "reason": "",
        }  # fmt: skip
        waiting = select(func.count()).where(*of_camera(zone_proposals, place), zone_proposals.c.state == "open")
        with self._database.writing() as connection:
            if connection.execute(waiting).scalar_one() >= MOST_OPEN:
                raise BadZones("zones_many_proposals", n=MOST_OPEN)
            insert = zone_proposals.insert().returning(zone_proposals.c.number)
            number: int = connection.execute(insert, values).scalar_one()
            return number

    def all(self, scope: Scope = EVERYWHERE, *, state: str = "open", place: Place | None = None) -> list[Proposal]:
        """Proposals for cameras that somebody sees, the latest five hundred, latest first."""
        at = of_camera(zone_proposals, place) if place else []
        query = (
            select(zone_proposals)
            .where(zone_proposals.c.state == state, *at)
            .where(*scope.clauses(zone_proposals.c.site, zone_proposals.c.camera))
            .order_by(zone_proposals.c.number.desc())
            .limit(500)
        )
        return [Proposal(**row._mapping) for row in self._database.read(query)]

    def decided(self, place: Place, limit: int) -> list[Proposal]:
        """Proposals for a camera that were accepted or declined, the latest decision first."""
        p = zone_proposals.c
        query = select(zone_proposals).where(*of_camera(zone_proposals, place), p.decided_at.is_not(None))
        found = self._database.read(query.order_by(p.decided_at.desc(), p.number.desc()).limit(limit))
        return [Proposal(**row._mapping) for row in found]

    def decide(self, place: Place, number: int, state: str, reason: str, *, user: str, at: float) -> Proposal | None:
        """Accept or decline an open proposal; `None` where there is none of this number for this camera."""
        decided = {"state": state, "reason": reason.replace("\0", "").strip()[:LONGEST_NOTE]}
        query = (
            update(zone_proposals)
            .where(zone_proposals.c.number == number, zone_proposals.c.state == "open")
            .where(*of_camera(zone_proposals, place))
            .values(decided_by=user, decided_at=at, **decided)
            .returning(zone_proposals)
        )
        with self._database.writing() as connection:
            row = connection.execute(query).first()
        return Proposal(**row._mapping) if row else None
