"""People go where no camera looks and stay there: scenes enter, a signal for each such place leaves.

A zone of kind `blind_edge` is the mouth of a place out of sight. Zones of one name are mouths of one place.

Going in: a track ends, last seen in the zone or walking so that a second more would have brought it there. It must have
walked: what only ever blinked in one place (a poster, a coat) has not gone anywhere. Coming out: a track begins in the
zone. Nobody is recognised, so whoever comes out is taken for the one who has been inside longest: counts are right
whoever it was, and `away_s` is the least that somebody must have been away. It follows that

- somebody who was inside before we looked, and comes out, is nobody we missed;
- somebody lost from sight in the zone and found there again was inside as far as counts go, for a moment;
- a track lost anywhere else never went in, and if a track begins within a walk of where one disappeared on its way in,
  that one was hidden for a moment and did not go in either;
- somebody who shows for a moment in the mouth and is gone into the same place again has not come out.

`carried` is whether a parcel was seen before the body of somebody who walked in: a slot, too young to be one that lay
there, of which none older lies in its place. `None`: they were not seen walking for long enough to say. A trolley, or a
parcel on the far side of the body, is not seen, and so `False` means no parcel in view of the camera.

A finding begins when somebody has been out of sight for `away_s`, is about everybody inside, and lasts until the place
is empty; after `FORGET_S` the count begins anew, since somebody must have gone another way. It is told when it begins,
as it grows (`telling`), when it becomes graver or more go in, and when it ends. Being there often is told apart from
that: at `visits` of `visit_s` in one shift, and at each doubling. It is about the visit that makes it so, since those
before it may have been of others. Visits without a parcel don't count, those of which that is not known do.

Where frames are missing for long, as in footage of what moves alone, nobody saw who came out meanwhile: who was inside
is forgotten. How many visits a shift has seen is not, nor is it by a restart.

Being there when the zone's policy doesn't allow it makes a finding a warning: from its beginning, or, where that was
allowed, once nobody should have been there for `away_s`. Of several mouths each must allow it.

A door that people leave by for the day is no blind edge: everybody who goes home would be told.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import exp, isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, NonNegativeInt, TypeAdapter, ValidationError

from detector.config import BlindEdgeRule as Settings
from detector.config import Zone
from detector.geometry import centre, contains, distance, foot, points_in_polygon
from detector.rules.policy import Policies
from detector.rules.zones import ZoneMap
from detector.shifts import Shifts
from detector.telling import Cadence
from detector.values import Box, IncidentKind, Parcel, Scene, Severity, Signal

logger = logging.getLogger(__name__)

Point = tuple[float, float]

# Lengths in heights of the person.
MARGIN = 0.25  # feet so near to a zone are in it: whoever walks is last seen a little before they are gone
WALKING = 0.2  # heights a second
WALKED = 0.5  # a step: how far from where they began somebody must have been to have gone anywhere
AT_MOST = 0.8  # heights a second that somebody may have walked while hidden

AHEAD_S = 1.0  # walking on for so long would have brought them in
HIDDEN_S = 15.0  # unseen for so long at most, somebody on their way was hidden rather than gone
SHOWN_S = 15.0  # seen for no longer, somebody in the mouth has not come out
ENDED_S = 20.0  # unseen for longer, a track has ended even if the tracker didn't say so
FORGET_S = 4 * 3600.0  # not empty for so long, a count is no longer believed: somebody went another way
YOUNG_S = 1.0  # a slot that has not lain anywhere for longer may be carried
SETTLED_S = 3.0  # and one that has for longer lies there
CARRIED_S = 0.6  # seconds of walking with a parcel that show it
EMPTY_S = 2.0  # seconds of walking without one that show that
FADE_S = 5.0  # walking counts less the longer ago it was
LONGEST_LOOK_S = 0.5  # one look never counts for more, whatever was missed since the one before


@dataclass(slots=True)
class _Walker:
    """Somebody in view, or where they were seen last."""

    track: int
    box: Box
    first: Point
    first_at: float
    seen_at: float
    velocity: Point = (0.0, 0.0)
    walked: bool = False
    walking_s: float = 0.0
    carrying_s: float = 0.0
    came_out: _Absence | None = None

    @property
    def feet(self) -> Point:
        return foot(self.box)

    @property
    def height(self) -> float:
        return max(self.box[3] - self.box[1], 1.0)

    @property
    def carried(self) -> bool | None:
        """Whether they carry a parcel, as far as was seen."""
        if self.carrying_s >= CARRIED_S and self.carrying_s >= 0.3 * self.walking_s:
            return True
        return False if self.walking_s >= EMPTY_S and self.carrying_s <= 0.1 * self.walking_s else None

    def look(self, box: Box, at: float, parcels: Sequence[Parcel]) -> None:
        """Take in one more sight; `parcels` are those that may be carried."""
        before, feet, elapsed = self.feet, foot(box), max(at - self.seen_at, 1e-3)
        share = min(1.0, elapsed / 0.5)
        measured = (feet[0] - before[0]) / elapsed, (feet[1] - before[1]) / elapsed
        vx, vy = self.velocity
        self.velocity = vx + share * (measured[0] - vx), vy + share * (measured[1] - vy)
        self.box, self.seen_at = box, at
        self.walked = self.walked or distance(feet, self.first) >= WALKED * self.height
        if distance(self.velocity, (0.0, 0.0)) >= WALKING * self.height:
            look_s = min(elapsed, LONGEST_LOOK_S)
            fading = exp(-look_s / FADE_S)
            self.walking_s = self.walking_s * fading + look_s
            self.carrying_s = self.carrying_s * fading + look_s * bears(box, parcels)

    def follows(self, before: _Walker) -> None:
        """Go on as somebody who was hidden."""
        self.first, self.first_at, self.walked = before.first, before.first_at, before.walked
        self.walking_s, self.carrying_s, self.came_out = before.walking_s, before.carrying_s, before.came_out


@dataclass(slots=True)
class _Absence:
    """Somebody out of sight in a place since `since`; `counted` as a visit or not yet."""

    place: str
    since: float
    walker: _Walker
    counted: bool = False


@dataclass(slots=True)
class _Finding:
    """People out of sight: the longest and most so far, and as told last."""

    started_at: float
    away_s: float = 0.0
    people: int = 0
    carried: set[bool | None] = field(default_factory=set)
    tracks: set[int] = field(default_factory=set)
    told_s: float = 0.0
    told_people: int = 0
    told_severity: Severity = Severity.INFO

    def grow(self, absences: Sequence[_Absence], at: float, people: int) -> None:
        """Take in people who are away at frame time `at`, of so many inside."""
        self.away_s = max(self.away_s, at - min(absence.since for absence in absences))
        self.people = max(self.people, people)
        self.carried |= {absence.walker.carried for absence in absences}
        self.tracks |= {absence.walker.track for absence in absences}


class _Visits(BaseModel):
    """How often people were in a place during one shift, and at how many times that was told."""

    shift: tuple[str | None, str]
    number: NonNegativeInt = 0
    told: NonNegativeInt = 0


_LEARNED = TypeAdapter(dict[str, _Visits])


@dataclass(slots=True)
class _Place:
    """A place out of sight: its mouths, who is inside, what is told of it, and how often people have been there."""

    name: str
    zones: list[Zone] = field(default_factory=list)
    mouths: list[NDArray[np.float64]] = field(default_factory=list)
    inside: list[_Absence] = field(default_factory=list)
    occupied_since: float | None = None
    finding: _Finding | None = None
    visits: _Visits | None = None


class BlindEdgeRule:
    """Watches the zones of kind `blind_edge`."""

    def __init__(self, zones: ZoneMap, settings: Settings, shifts: Shifts, cadence: Cadence | None = None) -> None:
        """`cadence` is that of incidents as they come, when left out."""
        self._cadence = cadence or Cadence()
        self._settings = settings
        self._shifts = shifts
        self._policies = Policies(shifts)
        self._map = zones
        self._zones = [zone for zone in zones.zones if zone.kind == "blind_edge"]
        self._walkers: dict[int, _Walker] = {}
        self._places: dict[str, _Place] = {}
        for zone in self._zones:
            place = self._places.setdefault(zone.name, _Place(zone.name))
            place.zones.append(zone)
            place.mouths.append(np.array(zone.polygon, np.float64))

    def observe(self, scene: Scene) -> Iterable[Signal]:
        """A signal for each place whose finding begins, grows or ends in this scene, whether or not anybody is seen."""
        if not self._zones:
            return []
        self._follow(scene)
        over = [t for t, w in self._walkers.items() if t in scene.ended or scene.at - w.seen_at > ENDED_S]
        for walker in [self._walkers.pop(track) for track in over]:
            self._vanish(walker, scene.size)
        return [signal for place in self._places.values() for signal in self._told(place, scene)]

    def withheld(self, scene: Scene) -> Iterable[Signal]:
        """How long people have been out of sight since that was told."""
        for place in self._places.values():
            finding = place.finding
            if finding is not None and finding.away_s > finding.told_s:
                yield self._signal(place, scene, finding, len(place.inside))

    def learned(self) -> dict[str, Any]:
        """How often people were in each place during the last shift with any; plain values, as JSON has them."""
        return {place.name: place.visits.model_dump(mode="json") for place in self._places.values() if place.visits}

    def recall(self, learned: Mapping[str, Any]) -> None:
        """Take up what `learned` gave; anything else is left out as a whole, and the log says why."""
        try:
            visits = _LEARNED.validate_python(learned)
        except ValidationError as error:
            logger.warning("visits are counted anew, what was kept can't be read: %s", error.errors()[0]["msg"])
            return
        for name, place in self._places.items():
            place.visits = visits.get(name)

    def _follow(self, scene: Scene) -> None:
        """Take in everybody in view."""
        parcels = unsettled(scene.parcels, scene.at) if scene.people else []
        new = []
        for person in scene.people:
            if not isfinite(sum(person.box)):
                continue
            walker = self._walkers.get(person.id)
            if walker is not None:
                walker.look(person.box, scene.at, parcels)
                continue
            walker = _Walker(person.id, person.box, foot(person.box), scene.at, scene.at)
            self._walkers[person.id] = walker
            new.append(walker)
        for walker in new:
            self._appear(walker, scene)

    def _appear(self, walker: _Walker, scene: Scene) -> None:
        """A track begins: somebody was hidden, came out, or came from elsewhere."""
        place = self._place_at(walker.feet, walker.height, scene.size)
        pending = [w for w in self._walkers.values() if w.seen_at < scene.at]
        gone = [a.walker for p in self._places.values() for a in p.inside if scene.at - a.since <= HIDDEN_S]
        hidden = [
            w
            for w in (*pending, *gone)
            if within_a_walk(w.feet, w.height, walker.feet, scene.at - w.seen_at)
            and (place is None or self._place_at(w.feet, w.height, scene.size) is not place)
        ]
        if hidden:
            before = max(hidden, key=lambda w: w.seen_at)
            self._drop(before)
            walker.follows(before)
        elif place is not None:
            going = [_Absence(place.name, w.seen_at, w) for w in pending if self._goes_into(w, scene.size) is place]
            first = min((*place.inside, *going), key=lambda absence: absence.since, default=None)
            if first is not None:
                self._drop(first.walker)
                walker.came_out, walker.walked = first, True

    def _drop(self, walker: _Walker) -> None:
        """Somebody lost from sight is so no longer."""
        if self._walkers.get(walker.track) is walker:
            del self._walkers[walker.track]
        for place in self._places.values():
            place.inside = [absence for absence in place.inside if absence.walker is not walker]

    def _vanish(self, walker: _Walker, size: tuple[int, int]) -> None:
        """A track ended: if it walked, and into a place out of sight, somebody is inside."""
        place = self._goes_into(walker, size) if walker.walked else None
        if place is None:
            return
        shown = walker.came_out
        if shown is not None and shown.place == place.name and walker.seen_at - walker.first_at <= SHOWN_S:
            place.inside.append(_Absence(place.name, shown.since, walker, shown.counted))
        else:
            place.inside.append(_Absence(place.name, walker.seen_at, walker))

    def _goes_into(self, walker: _Walker, size: tuple[int, int]) -> _Place | None:
        """The place whose mouth somebody is in, or would be in by walking on for `AHEAD_S`."""
        vx, vy = walker.velocity
        ahead = min(AHEAD_S, walker.height / max(distance(walker.velocity, (0.0, 0.0)), 1e-6))
        x, y = walker.feet
        for share in (0.0, 0.5, 1.0):
            there = x + share * ahead * vx, y + share * ahead * vy
            if place := self._place_at(there, walker.height, size):
                return place
        return None

    def _place_at(self, point: Point, height: float, size: tuple[int, int]) -> _Place | None:
        """The place whose mouth is nearest to a point, and near enough for somebody so tall; none where ignored."""
        nearest, found = MARGIN * height, None
        if self._map.ignores(point, size):
            return None
        for place in self._places.values():
            for polygon in place.mouths:
                apart = distance_to(polygon * size, point)
                if apart <= nearest:
                    nearest, found = apart, place
        return found

    def _told(self, place: _Place, scene: Scene) -> Iterable[Signal]:
        if not place.inside and place.finding is None:
            place.occupied_since = None  # also where nobody stayed for long enough to be told
            return
        at, finding = scene.at, place.finding
        yield from self._often(place, scene)
        if not place.inside:
            place.finding = place.occupied_since = None
            if finding is not None:
                yield self._signal(place, scene, finding, 0)
            return
        earliest = min(absence.since for absence in place.inside)
        place.occupied_since = earliest if place.occupied_since is None else place.occupied_since
        if at - place.occupied_since > FORGET_S:
            place.inside, place.finding, place.occupied_since = [], None, None
            return
        if at - earliest < self._settings.away_s:
            return
        if finding is None:
            finding = place.finding = _Finding(earliest)
        finding.grow(place.inside, at, len(place.inside))
        severity = self._severity(place, finding, at)
        graver = severity.rank > finding.told_severity.rank or finding.people > finding.told_people
        if graver or self._cadence.is_due(finding.told_s, finding.away_s):
            finding.told_s, finding.told_people, finding.told_severity = finding.away_s, finding.people, severity
            yield self._signal(place, scene, finding, len(place.inside))

    def _often(self, place: _Place, scene: Scene) -> Iterable[Signal]:
        """Count those who have been inside for long enough; a signal where that has become often."""
        new = [
            absence
            for absence in place.inside
            if not absence.counted
            and scene.at - absence.since >= self._settings.visit_s
            and absence.walker.carried is not False
        ]
        if not new:
            return
        for absence in new:
            absence.counted = True
        visits = place.visits = self._visits(place, scene.at) or _Visits(shift=self._shift(scene.at))
        visits.number += len(new)
        if visits.number >= max(self._settings.visits, 2 * visits.told):
            visits.told = visits.number
            finding = _Finding(min(absence.since for absence in new))
            finding.grow(new, scene.at, len(place.inside))
            yield self._signal(place, scene, finding, len(place.inside))

    def _shift(self, at: float) -> tuple[str | None, str]:
        """Name and day of the shift that is on; outside all, the calendar's day."""
        duty = self._shifts.at(at)
        day = duty.day if duty else self._shifts.local(at).date()
        return duty.name if duty else None, day.isoformat()

    def _visits(self, place: _Place, at: float) -> _Visits | None:
        """Those of the shift that is on."""
        return place.visits if place.visits and place.visits.shift == self._shift(at) else None

    def _severity(self, place: _Place, finding: _Finding, at: float) -> Severity:
        """Being out of sight informs; with parcels, again and again, or out of hours it is a warning."""
        visits = self._visits(place, at)
        often = visits is not None and visits.number >= self._settings.visits
        grave = True in finding.carried or often or self._is_out_of_hours(place, finding, at)
        return Severity.WARNING if grave else Severity.INFO

    def _is_out_of_hours(self, place: _Place, finding: _Finding, at: float) -> bool:
        """Whether nobody should be there, and shouldn't have been when it began, or else for `away_s`."""
        people = max(len(place.inside), 1)
        asked = at, max(finding.started_at, at - self._settings.away_s)
        return not any(all(self._policies.at(zone, t, people).staying for zone in place.zones) for t in asked)

    def _signal(self, place: _Place, scene: Scene, finding: _Finding, still_inside: int) -> Signal:
        visits = self._visits(place, scene.at)
        number = visits.number if visits else 0
        share = max(finding.away_s / self._settings.away_s, number / self._settings.visits)
        corners = np.concatenate(place.mouths) * scene.size
        mouth = (*corners.min(axis=0).tolist(), *corners.max(axis=0).tolist())
        return Signal(
            IncidentKind.BLIND_CORNER,
            scene.camera,
            place.name,
            started_at=finding.started_at,
            at=scene.at,
            score=share / (1 + share),
            severity=self._severity(place, finding, scene.at),
            tracks=tuple(sorted(finding.tracks)),
            facts={
                "away_s": round(finding.away_s, 1),
                "still_inside": still_inside,
                "carried": True if True in finding.carried else None if None in finding.carried else False,
                "visits": number,
                "people_inside": finding.people,
                "out_of_hours": self._is_out_of_hours(place, finding, scene.at),
                "shift": self._shift(scene.at)[0],
            },
            boxes=(("blind_edge", mouth), *(("label", box) for box in scene.labels)),
        )


def within_a_walk(lost: Point, height: float, found: Point, hidden_s: float) -> bool:
    """Whether somebody can have walked, hidden, from where they were lost to where somebody was found.

    Args:
        lost: Their feet when they were seen last, pixels.
        height: How tall they stand there, pixels.
        found: Feet of who is seen now, pixels.
        hidden_s: Seconds between the two.
    """
    return hidden_s <= HIDDEN_S and distance(lost, found) <= (1 + AT_MOST * hidden_s) * height


def unsettled(parcels: Sequence[Parcel], at: float) -> list[Parcel]:
    """Parcels seen now that may be carried: their slots are young, and none that is older lies in the same place."""
    young = [p for p in parcels if at - p.first_seen_at <= YOUNG_S and p.last_seen_at >= at]
    if not young:
        return []
    settled = [p.box for p in parcels if at - p.first_seen_at > SETTLED_S]
    return [p for p in young if not any(contains(box, centre(p.box)) for box in settled)]


def bears(person: Box, parcels: Sequence[Parcel]) -> bool:
    """Whether one of the parcels is before a person's trunk, between shoulders and knees."""
    width, height = person[2] - person[0], person[3] - person[1]
    trunk = person[0] - 0.2 * width, person[1] + 0.15 * height, person[2] + 0.2 * width, person[1] + 0.75 * height
    return any(contains(trunk, centre(parcel.box)) for parcel in parcels)


def distance_to(polygon: NDArray[np.float64], point: Point) -> float:
    """Distance of a point from a polygon `(M, 2)`, corners in order, not closed; 0 inside it."""
    if points_in_polygon(np.array([point], np.float32), polygon.astype(np.float32))[0]:
        return 0.0
    along = np.roll(polygon, -1, axis=0) - polygon
    from_corner = np.array(point) - polygon
    length = np.maximum((along * along).sum(axis=1), 1e-12)
    share = np.clip((from_corner * along).sum(axis=1) / length, 0.0, 1.0)
    return float(np.hypot(*(from_corner - share[:, None] * along).T).min())
