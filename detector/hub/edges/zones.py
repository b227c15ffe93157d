"""Zones of cameras, as people draw and propose them: what was changed by whom, the commands that say so, proposals.

A change carries all zones of one camera; a command carries those of all cameras of an edge that people have drawn, as
threshold commands do. What an edge then says is in force is its layout.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from sqlalchemy import ColumnElement, func, select, update

from detector import wire
from detector.config import Zone, ZoneKind
from detector.config.covered import Covered, newly_covered
from detector.errors import LabelwatchError, WireError
from detector.geometry import crosses_itself
from detector.hub.edges.commanded import Change, Commanded
from detector.hub.storage.database import Database, one_at_a_time
from detector.hub.storage.rights import EVERYWHERE, Scope
from detector.hub.storage.schema import layouts, zone_changes, zone_proposals
from detector.names import is_name

KINDS: tuple[str, ...] = get_args(ZoneKind)
LEAST_AREA = 1e-4  # of the picture, as the configuration has it
# Settings of a zone that contradict some kinds (`contradictions`).
NOT_FOR = {"policy": {"ignore"}, "label_up_rate": {*KINDS} - {"storage"}, "spot": {"ignore"}}
LONGEST_NOTE = 500
MOST_OPEN = 50  # proposals for one camera that nobody has looked at

Place = tuple[str, str, str]  # site, edge, camera
Polygon = list[tuple[float, float]]


class BadZones(LabelwatchError):  # noqa: N818  (a word to whoever drew, not a failure)
    """Zones that can't be: `key` names the text that says why, `values` go into it."""

    def __init__(self, key: str, **values: Any) -> None:
        super().__init__(key)
        self.key = key
        self.values = values


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


@dataclass(frozen=True, slots=True)
class Drawn:
    """A zone of a draft: as configurations have it, its name in force before, and what of its settings falls away."""

    zone: dict[str, Any]
    was: str | None
    lost: tuple[str, ...]


class Zones(Commanded[ZoneChange]):
    """Changes, proposals and layouts in a database."""

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
            return self._changes(connection, *_is_place(zone_changes, place))

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
            former = self._changes(connection, *_is_place(zone_changes, place))
            if (former[0].version if former else 0) != expected:
                return None
            before = former[0].zones if former else None
            wanted = None if zones is None else [dict(zone) for zone in zones]
            return self._add(connection, site, edge, camera=camera, zones=wanted, before=before, user=user, at=at)

    # Proposals

    def propose(
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
        waiting = select(func.count()).where(*_is_place(zone_proposals, place), zone_proposals.c.state == "open")
        with self._database.writing() as connection:
            if connection.execute(waiting).scalar_one() >= MOST_OPEN:
                raise BadZones("zones_many_proposals", n=MOST_OPEN)
            insert = zone_proposals.insert().returning(zone_proposals.c.number)
            number: int = connection.execute(insert, values).scalar_one()
            return number

    def proposals(
        self, scope: Scope = EVERYWHERE, *, state: str = "open", place: Place | None = None
    ) -> list[Proposal]:  # fmt: skip
        """Proposals for cameras that somebody sees, the latest five hundred, latest first."""
        at = _is_place(zone_proposals, place) if place else []
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
        query = select(zone_proposals).where(*_is_place(zone_proposals, place), p.decided_at.is_not(None))
        found = self._database.read(query.order_by(p.decided_at.desc(), p.number.desc()).limit(limit))
        return [Proposal(**row._mapping) for row in found]

    def decide(self, place: Place, number: int, state: str, reason: str, *, user: str, at: float) -> Proposal | None:
        """Accept or decline an open proposal; `None` where there is none of this number for this camera."""
        decided = {"state": state, "reason": reason.replace("\0", "").strip()[:LONGEST_NOTE]}
        query = (
            update(zone_proposals)
            .where(zone_proposals.c.number == number, zone_proposals.c.state == "open")
            .where(*_is_place(zone_proposals, place))
            .values(decided_by=user, decided_at=at, **decided)
            .returning(zone_proposals)
        )
        with self._database.writing() as connection:
            row = connection.execute(query).first()
        return Proposal(**row._mapping) if row else None


def checked_polygon(value: object) -> Polygon:
    """Corners of a zone, each rounded to a ten-thousandth of the picture.

    Raises:
        BadZones: They are none, or too few or many, outside the picture, enclose nothing, or their edges cross.
    """
    if not isinstance(value, list | tuple) or not all(isinstance(p, list | tuple) and len(p) == 2 for p in value):
        raise BadZones("zones_bad_polygon")
    if not all(isinstance(v, int | float) and not isinstance(v, bool) for point in value for v in point):
        raise BadZones("zones_bad_polygon")
    if len(value) < 3:
        raise BadZones("zones_few_points")
    if len(value) > wire.MOST_POINTS:
        raise BadZones("zones_many_points", n=wire.MOST_POINTS)
    if not all(0.0 <= v <= 1.0 for point in value for v in point):  # false for NaN too
        raise BadZones("zones_outside")
    polygon = [(round(float(x), 4), round(float(y), 4)) for x, y in value]
    if len(polygon) > 3 and crosses_itself(polygon):  # asked first: the two halves of a bow tie cancel each other out
        raise BadZones("zones_crossing")
    around = zip(polygon, polygon[1:] + polygon[:1], strict=True)
    if abs(sum(a[0] * b[1] - b[0] * a[1] for a, b in around)) / 2 < LEAST_AREA:
        raise BadZones("zones_no_area")
    return polygon


def checked_zones(draft: object, known: Sequence[Mapping[str, Any]]) -> list[Drawn]:
    """All zones of a camera as somebody drew them, with what can't be drawn taken from those that were drawn on.

    A zone that was there keeps its policy, usual rate and spot, by its name of then, where its kind can have them.

    Args:
        draft: A list of mappings with `name`, `kind`, `polygon`, `was`: the name before, where it had one, and `spot`,
            empty for none; left out, it stays.
        known: The zones before; of mouths with one name, that with the same corners, else the last.

    Raises:
        BadZones: Something is wrong with one of them; the first is told.
    """
    if not isinstance(draft, list) or not all(isinstance(one, dict) for one in draft):
        raise BadZones("zones_bad_draft")
    if len(draft) > wire.MOST_ZONES:
        raise BadZones("zones_many", n=wire.MOST_ZONES)
    drawn: list[Drawn] = []
    for one in draft:
        name, kind, was = one.get("name"), one.get("kind"), one.get("was")
        if not isinstance(name, str) or not is_name(name):
            raise BadZones("zones_bad_name", name=str(name)[:64])
        if kind not in KINDS:
            raise BadZones("zones_bad_kind")
        # Zones of kind blind_edge that share a name are mouths of one place.
        if any(other.zone["name"] == name and {other.zone["kind"], kind} != {"blind_edge"} for other in drawn):
            raise BadZones("zones_twice", name=name)
        namesakes = [zone for zone in known if zone["name"] == was]
        namesakes.sort(key=lambda zone: zone["polygon"] == one.get("polygon"))
        former = namesakes[-1] if namesakes else None
        try:
            same = former is not None and one.get("polygon") == former["polygon"]
            corners = former["polygon"] if former and same else list(map(list, checked_polygon(one.get("polygon"))))
        except BadZones as error:
            raise BadZones("zones_one_bad", name=name, why=error) from error
        whole = {**(former or {}), "name": name, "kind": kind, "polygon": corners}
        if spot := one.get("spot"):
            if not isinstance(spot, str) or not is_name(spot):
                raise BadZones("zones_one_bad", name=name, why=BadZones("zones_bad_name", name=str(spot)[:64]))
            whole["spot"] = spot
        elif "spot" in one:
            whole.pop("spot", None)
        lost = tuple(part for part, kinds in NOT_FOR.items() if part in whole and kind in kinds)
        for part in lost:
            del whole[part]
        drawn.append(Drawn(whole, former["name"] if former else None, lost))
    return drawn


def uncounted(zones: Iterable[object], known: Iterable[Iterable[object]]) -> list[Covered]:
    """Zones that could never count, for which an edge refuses all: those that others cover.

    Args:
        zones: All of a camera.
        known: Those of its edge's file and those in force: what is wrong in these already is no reason to refuse.
    """
    return newly_covered(understood(zones), map(understood, known))


def told(one: Covered) -> BadZones:
    """What covers a zone, as a word to whoever drew it."""
    kind = "ignored" if one.ignored else one.field
    return BadZones(f"zones_covered_{kind}", name=one.zone.name, by=one.names)


def understood(zones: Iterable[object]) -> list[Zone]:
    """Zones as this hub knows them; those of a newer edge that it doesn't understand are left out."""
    found = []
    for zone in zones:
        try:
            found.append(Zone.model_validate(zone))
        except ValueError:
            continue
    return found


def _is_place(table: Any, place: Place) -> tuple[ColumnElement[bool], ...]:
    return table.c.site == place[0], table.c.edge == place[1], table.c.camera == place[2]
