"""Somebody stays beside parcels without work, or is here when nobody should be: scenes enter, a signal a zone leaves.

A stay is somebody whose feet remain within `ROAM` of one place and within `BESIDE` of a parcel. What it is for can't be
seen; work can, and each sign of it begins the stay anew:

- parcels near them come or go (`ParcelChanges`): whoever sorts, loads or unloads moves parcels, whoever photographs or
  turns them leaves them where they lie;
- they scan: a scanner in the hand for `SCANNED_S`, unless the closer look says that it does something else;
- they walk on: farther than `ROAM` from where they stood it is another stay.

Zones of kind `packing` are places of work throughout; parcels in one of kind `ignore` are nobody's business.

So `stay_s` is the time without any sign of work. What is not told apart: waiting, resting, or talking beside parcels,
which is lingering by this measure, and is why a finding alone informs; and work that moves nothing for minutes
(counting, cleaning), unless it walks about.

Where the zone's policy forbids being there outside the shifts, everybody who is counts, whatever they do: work is no
excuse then, nor are parcels needed, and the finding is a warning. What began while being there was fine becomes one
only once they have been there so long since as would be told by itself: whoever lingers when the shift ends has yet to
go.

A finding is all the people of one zone at one time. It is told when it begins, as it grows (`telling`), when it becomes
graver or more people join, and once more, with its whole length, after the last of them has gone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from detector.config import LingeringRule as Settings
from detector.config import Zone
from detector.geometry import areas, as_array, centre, distance, foot, intersections, iou
from detector.rules.bearing import Bearing, risen, shows_feet, standing
from detector.rules.policy import Permission, Policies
from detector.rules.zones import ZoneMap
from detector.telling import Cadence
from detector.values import Box, FloatArray, IncidentKind, Parcel, Person, Scene, Severity, Signal

# Lengths in heights of the person standing (`bearing`).
BESIDE = 0.6  # from the feet to a parcel's box: one step and an arm
ROAM = 1.5  # from where the stay began: two or three steps
TOGETHER = 2.0  # between two people who are here together
WORK_REACH = 1.2  # from the feet to a parcel that comes or goes: it is told seconds later, a step or two away

AWAY_S = 5.0  # out of reach of every parcel for so long: no longer beside them
LOST_S = 12.0  # unseen for longer, somebody may have been anywhere; trackers hold on for less
SCANNED_S = 1.0  # seconds of a scanner in the hand that make a scan
COMPANY_S = 10.0  # whoever has been here so long beside a lingerer is with them
LOOK_EVERY_S = 0.45  # what lasts minutes needs no more than two looks a second
LONGEST_LOOK_S = 1.5  # one look never counts for more, whatever was missed since the one before
MOSTLY, HARDLY = 0.6, 0.1  # shares of a stay crouched, above and below which that or standing is told of the whole


class Sighting(NamedTuple):
    """What one scene says of one person.

    Attributes:
        person: The person.
        zone: Where the feet are; `None` where nothing is watched.
        beside: Whether a parcel is within reach.
        worked: Whether a parcel near them came or went.
        scanning: Whether they hold a scanner and nothing says that they do something else with it.
        welcome: Whether being in this zone is allowed now.
        shows_feet: Whether the feet are in the picture: who stands half beyond its lower edge doesn't crouch.
    """

    person: Person
    zone: Zone | None
    beside: bool
    worked: bool = False
    scanning: bool = False
    welcome: bool = True
    shows_feet: bool = True


class Stay(NamedTuple):
    """Somebody at one place.

    Attributes:
        zone: Its zone; feet that now and then step over a border don't change it.
        zone_at: When they were last in it.
        bearing: How the person carries themselves.
        upright: Their height when they stood tallest, and the row of their feet then, pixels.
        place: Where the feet were when it began, pixels.
        since: When their time beside parcels without work began; `None`: they are not beside any.
        beside_at: When they were last beside a parcel.
        unwelcome_since: Since when they have been where and when nobody should be.
        unwelcome_at: When that was last so.
        crouched_s: Seconds crouched or bent since `since`.
        scanned_s: Seconds of scanning that no scan has been made of yet.
        box: Where they were seen last.
    """

    zone: Zone | None
    zone_at: float
    bearing: Bearing
    upright: tuple[float, float]
    place: tuple[float, float]
    since: float | None = None
    beside_at: float = float("-inf")
    unwelcome_since: float | None = None
    unwelcome_at: float = float("-inf")
    crouched_s: float = 0.0
    scanned_s: float = 0.0
    box: Box = (0.0, 0.0, 0.0, 0.0)

    @property
    def length_s(self) -> float:
        """Seconds without work, or unwelcome, up to the last look."""
        begun = [at for at in (self.since, self.unwelcome_since) if at is not None]
        return self.bearing.at - min(begun) if begun else 0.0

    def lingers(self, settings: Settings) -> bool:
        """Whether it is long enough to be told."""
        return self.length_s >= settings.after_s or self.crouched_s >= settings.crouched_after_s

    def intrudes(self, settings: Settings) -> bool:
        """Whether nobody should be here, and all of it was so, or so much as is told by itself."""
        if self.unwelcome_since is None or not self.lingers(settings):
            return False
        whole = self.since is not None and self.unwelcome_since <= self.since
        return whole or self.bearing.at - self.unwelcome_since >= settings.after_s


def step(before: Stay | None, seen: Sighting, at: float) -> Stay:
    """A stay after one more look at frame time `at`; `before` is `None` for somebody new."""
    person, feet = seen.person, foot(seen.person.box)
    now = max(person.box[3] - person.box[1], 1.0)
    upright = risen(before.upright, now, feet[1], at - before.bearing.at) if before else (now, feet[1])
    height = standing(upright, feet[1])
    bearing = Bearing(at, height, now if seen.shows_feet else max(now, height), feet)
    if before is None:
        before = Stay(seen.zone, at, bearing, upright, feet)
    elif distance(feet, before.place) > ROAM * bearing.height:
        before = before._replace(zone=seen.zone, zone_at=at, bearing=bearing, place=feet, since=None)
    elif seen.zone is before.zone:
        before = before._replace(zone_at=at)
    elif at - before.zone_at > AWAY_S:
        before = before._replace(zone=seen.zone, zone_at=at, since=None)
    look_s = min(at - before.bearing.at, LONGEST_LOOK_S)
    scanned_s = before.scanned_s + look_s if seen.scanning else max(0.0, before.scanned_s - look_s / 2)
    worked = seen.worked or scanned_s >= SCANNED_S
    beside_at = at if seen.beside else before.beside_at
    watched = before.zone is not None and before.zone.kind != "packing"
    beside = watched and at - beside_at <= AWAY_S
    since = None if not beside else at if before.since is None or worked else before.since
    unwelcome_at = before.unwelcome_at if seen.welcome else at
    begun = at if before.unwelcome_since is None else before.unwelcome_since
    return before._replace(
        bearing=bearing,
        upright=upright,
        since=since,
        beside_at=beside_at,
        unwelcome_since=begun if at - unwelcome_at <= AWAY_S else None,
        unwelcome_at=unwelcome_at,
        crouched_s=before.crouched_s + look_s * bearing.crouched if since is not None and since != at else 0.0,
        scanned_s=0.0 if worked else scanned_s,
        box=person.box,
    )


@dataclass(slots=True)
class _Finding:
    """What lingers in one zone: as told last, the longest and most so far, and the last look that was not told."""

    started_at: float
    seen_at: float
    told_s: float = 0.0
    told_severity: Severity = Severity.INFO
    told_people: int = 0
    stay_s: float = 0.0
    grew_at: float = 0.0
    crouched_s: float = 0.0
    people: int = 0
    tracks: set[int] = field(default_factory=set)
    untold: tuple[dict[int, Stay], Scene] | None = None

    def is_of_others(self, longest_s: float, at: float) -> bool:
        """Whether who stayed longest has left, so that what goes on is of those who came since."""
        return at - self.grew_at > LOST_S and longest_s < self.stay_s - LOST_S


class LingeringRule:
    """Watches every zone but those to ignore."""

    def __init__(self, zones: ZoneMap, settings: Settings, policies: Policies, cadence: Cadence | None = None) -> None:
        """`cadence` is that of incidents as they come, when left out."""
        self._cadence = cadence or Cadence()
        self._zones = zones
        self._settings = settings
        self._policies = policies
        self._stays: dict[int, Stay] = {}
        self._changes = ParcelChanges()
        self._findings: dict[str, _Finding] = {}
        self._asked: dict[tuple[int, int], tuple[float, Permission]] = {}
        self._at = float("-inf")

    def observe(self, scene: Scene) -> Iterable[Signal]:
        """A signal for each zone whose finding begins, grows or ends in this scene."""
        for track in scene.ended:
            self._stays.pop(track, None)
        if scene.at - self._at < LOOK_EVERY_S:
            return []
        self._at = scene.at
        self._follow(scene)
        return [*self._told(scene), *self._ended(scene.at)]

    def withheld(self, scene: Scene) -> Iterable[Signal]:  # noqa: ARG002 - it was another in which they were last seen
        """How long stays have become since they were told."""
        return self._last_words(self._findings.items())

    def _follow(self, scene: Scene) -> None:
        """Bring the stays of the people in this scene up to its time."""
        people = [person for person in scene.people if isfinite(sum(person.box))]
        parcels = as_array([parcel.box for parcel in scene.parcels])
        changed = self._changes.observe(scene, parcels, as_array([person.box for person in people]))
        for track in [track for track, stay in self._stays.items() if scene.at - stay.bearing.at > LOST_S]:
            del self._stays[track]
        if not people:
            return
        feet = np.array([foot(person.box) for person in people], np.float32)
        heights = np.array([self._height(person) for person in people], np.float32)
        middles = np.asarray((parcels[:, :2] + parcels[:, 2:]) / 2, np.float32)
        watched = parcels[~self._zones.ignored(middles, scene.size)]
        beside = np.asarray(within(feet, BESIDE * heights, watched).any(axis=1))
        worked = np.asarray(within(feet, WORK_REACH * heights, changed).any(axis=1))
        zones = self._zones.of(feet, scene.size)
        crowd = {zone.name: 0 for zone in zones if zone}
        for zone in zones:
            if zone:
                crowd[zone.name] += 1
        scanners = {device.holder for device in scene.devices if device.label == "scanner"}
        for n, (person, zone) in enumerate(zip(people, zones, strict=True)):
            welcome = zone is None or self._permission(zone, crowd[zone.name], scene.at).staying
            scanning = person.id in scanners and may_scan(person)
            with_feet = shows_feet(person.box, scene.size)
            seen = Sighting(person, zone, bool(beside[n]), bool(worked[n]), scanning, welcome, with_feet)
            self._stays[person.id] = step(self._stays.get(person.id), seen, scene.at)

    def _height(self, person: Person) -> float:
        stay = self._stays.get(person.id)
        return max(stay.bearing.height if stay else 0.0, person.box[3] - person.box[1], 1.0)

    def _permission(self, zone: Zone, people: int, at: float) -> Permission:
        """As the policies say; asked once a minute, since they speak of hours and minutes."""
        asking = id(zone), people  # several zones may bear one name: the mouths of a blind corner
        asked = self._asked.get(asking)
        if asked is None or asked[0] != at // 60:
            asked = (at // 60, self._policies.at(zone, at, people))
            self._asked[asking] = asked
        return asked[1]

    def _told(self, scene: Scene) -> Iterable[Signal]:
        here = {person.id: stay for person in scene.people if (stay := self._stays.get(person.id))}
        by_zone: dict[str, dict[int, Stay]] = {}
        for track, stay in here.items():
            if stay.zone is not None and stay.bearing.at == scene.at and stay.lingers(self._settings):
                by_zone.setdefault(stay.zone.name, {})[track] = stay
        for zone, lingering in by_zone.items():
            everyone = {**lingering, **company(lingering, here)}
            finding = self._findings.get(zone)
            longest_s = max(stay.length_s for stay in lingering.values())
            if finding is not None and finding.is_of_others(longest_s, scene.at):
                yield from self._last_words([(zone, finding)])
                finding = None
            if finding is None:
                started_at = min(stay.bearing.at - stay.length_s for stay in lingering.values())
                finding = self._findings[zone] = _Finding(started_at, scene.at)
            finding.seen_at = scene.at
            finding.people = max(finding.people, len(everyone))
            finding.tracks |= set(everyone)
            if longest_s >= finding.stay_s:
                finding.stay_s, finding.grew_at = longest_s, scene.at
            finding.crouched_s = max(finding.crouched_s, *(stay.crouched_s for stay in lingering.values()))
            severity = severity_of(everyone, self._settings)
            graver = severity.rank > finding.told_severity.rank or finding.people > finding.told_people
            if graver or self._cadence.is_due(finding.told_s, finding.stay_s):
                finding.told_s, finding.untold = finding.stay_s, None
                finding.told_severity, finding.told_people = severity, finding.people
                yield self._signal(zone, finding, everyone, scene)
            else:
                finding.untold = (everyone, scene)

    def _ended(self, at: float) -> Iterable[Signal]:
        """What was not told yet of findings whose people have gone, as they were last."""
        over = [(zone, finding) for zone, finding in self._findings.items() if at - finding.seen_at > LOST_S]
        for zone, _ in over:
            del self._findings[zone]
        return self._last_words(over)

    def _last_words(self, findings: Iterable[tuple[str, _Finding]]) -> list[Signal]:
        return [
            self._signal(zone, finding, *finding.untold) for zone, finding in findings if finding.untold is not None
        ]

    def _signal(self, zone: str, finding: _Finding, everyone: dict[int, Stay], scene: Scene) -> Signal:
        severity = severity_of(everyone, self._settings)
        watched = [parcel for parcel in scene.parcels if not self._zones.ignores(centre(parcel.box), scene.size)]
        near = near_parcels(everyone, watched)
        asked = next(stay.zone for stay in everyone.values() if stay.zone is not None)
        facts: dict[str, Any] = {
            "stay_s": round(finding.stay_s, 1),
            "crouched_s": round(finding.crouched_s, 1),
            "posture": posture(finding.crouched_s, finding.stay_s),
            "people": finding.people,
            "out_of_hours": severity is Severity.WARNING,
            "shift": self._permission(asked, len(everyone), scene.at).shift,
            "parcels": len(near),
        }
        share = max(finding.stay_s / self._settings.after_s, finding.crouched_s / self._settings.crouched_after_s)
        shown = [("person", stay.box) for stay in everyone.values()] + [("parcel", parcel.box) for parcel in near]
        return Signal(
            IncidentKind.LINGERING,
            scene.camera,
            zone,
            started_at=finding.started_at,
            at=scene.at,
            score=share / (1 + share),
            severity=severity,
            tracks=tuple(sorted(finding.tracks)),
            facts=facts,
            boxes=(*shown, *(("label", box) for box in scene.labels)),
        )


def severity_of(everyone: dict[int, Stay], settings: Settings) -> Severity:
    """Lingering informs; being here out of hours is a warning."""
    unwelcome = any(stay.intrudes(settings) for stay in everyone.values())
    return Severity.WARNING if unwelcome else Severity.INFO


def may_scan(person: Person) -> bool:
    """Whether somebody with a scanner in the hand scans, unless a closer look is surer of something else."""
    acts = person.acts
    return acts is None or max(acts.photo, acts.call, acts.browse) < max(acts.scan, 0.5)


def posture(crouched_s: float, stay_s: float) -> str:
    """How somebody spent a stay: `crouched`, `standing`, or `mixed`."""
    share = crouched_s / stay_s if stay_s > 0 else 0.0
    return "crouched" if share >= MOSTLY else "standing" if share <= HARDLY else "mixed"


def company(lingering: dict[int, Stay], here: dict[int, Stay]) -> dict[int, Stay]:
    """Those in view who are with somebody that lingers: near them, for a while, without work themselves."""
    return {
        track: stay
        for track, stay in here.items()
        if track not in lingering
        and stay.length_s >= COMPANY_S
        and any(
            distance(stay.bearing.feet, other.bearing.feet) <= TOGETHER * other.bearing.height
            for other in lingering.values()
        )
    }


def near_parcels(stays: dict[int, Stay], parcels: Sequence[Parcel]) -> list[Parcel]:
    """Parcels beside any of these people."""
    feet = np.array([stay.bearing.feet for stay in stays.values()], np.float32)
    reach = BESIDE * np.array([stay.bearing.height for stay in stays.values()], np.float32)
    near = within(feet, reach, as_array([parcel.box for parcel in parcels])).any(axis=0)
    return [parcels[int(k)] for k in np.flatnonzero(near)]


def within(points: FloatArray, reach: FloatArray, boxes: FloatArray) -> NDArray[np.bool_]:
    """Which boxes `(M, 4)` are within reach `(N,)` of which points `(N, 2)`, all pixels: `(N, M)`; NaN never is."""
    low, high, at = boxes.T[:2, None], boxes.T[2:, None], points.T[:, :, None]
    across, down = np.maximum(np.maximum(low - at, at - high), 0.0)
    near: NDArray[np.bool_] = across * across + down * down <= (reach * reach)[:, None]
    return near


SETTLED_S = 10.0  # a parcel that lay for so long can go
JUDGED_S = 3.0  # a change is believed when it has stood so long
PLAIN_S = 10.0  # a parcel comes to a place that lay in plain view, empty, within this long before
GONE_S = 60.0  # a parcel found again after so long at most was there all the time
SAME_PLACE = 0.3  # overlap (IoU) from which on two boxes are one place
HIDES = 0.15  # share of a place that a person must cover to hide it


@dataclass(frozen=True, slots=True)
class _Change:
    at: float
    slot: int
    box: FloatArray
    came: bool


class ParcelChanges:
    """Parcels that came to a place or went from it, as against slots that come and go in the detector's eyes.

    A slot that goes from sight and another that comes up in its place are one parcel, seen badly or turned. A slot that
    comes up where somebody stood all the time was hidden, and so was one that goes where somebody stands. What is
    carried about lies nowhere for long.
    """

    def __init__(self) -> None:
        self._slots: dict[int, Parcel] | None = None
        self._open: list[_Change] = []
        self._gone: list[_Change] = []
        self._views: deque[tuple[float, FloatArray]] = deque()

    def observe(self, scene: Scene, parcels: FloatArray, people: FloatArray) -> FloatArray:
        """Boxes `(K, 4)` of parcels that came or went, believed in this scene.

        Args:
            scene: The scene.
            parcels: `(M, 4)` boxes of its parcels.
            people: `(N, 4)` boxes of its people.
        """
        at, before = scene.at, self._slots
        now = self._slots = {parcel.id: parcel for parcel in scene.parcels}
        if before is not None and now.keys() != before.keys():
            self._note(at, before, now, people)
        if not self._views or at - self._views[-1][0] >= 1.0:
            self._views.append((at, people))
            while at - self._views[0][0] > PLAIN_S + JUDGED_S:
                self._views.popleft()
        due = [change for change in self._open if at - change.at >= JUDGED_S]
        if not due:
            return np.zeros((0, 4), np.float32)
        self._open = [change for change in self._open if at - change.at < JUDGED_S]
        ids = np.array([parcel.id for parcel in scene.parcels], np.int64)
        believed = [change.box for change in due if self._is_real(change, now, ids, parcels)]
        self._gone = [change for change in (*self._gone, *due) if not change.came and at - change.at <= GONE_S]
        return np.array(believed, np.float32).reshape(-1, 4)

    def _note(self, at: float, before: dict[int, Parcel], now: dict[int, Parcel], people: FloatArray) -> None:
        came = now.keys() - before.keys()
        there = as_array([parcel.box for parcel in before.values()] if came else [])
        for slot in came:
            box = np.array(now[slot].box, np.float32)
            if not (iou(box[None], there) > SAME_PLACE).any():
                self._open.append(_Change(at, slot, box, came=True))
        for slot in before.keys() - now.keys():
            parcel = before[slot]
            box = np.array(parcel.box, np.float32)
            # What the tracker gives up behind somebody was hidden for very long: nobody saw it go.
            if at - parcel.first_seen_at >= SETTLED_S and not hidden(box, people):
                self._open.append(_Change(at, slot, box, came=False))

    def _is_real(self, change: _Change, now: dict[int, Parcel], ids: NDArray[np.int64], parcels: FloatArray) -> bool:
        others = parcels[ids != change.slot]
        if (iou(change.box[None], others) > SAME_PLACE).any():
            return False
        if not change.came:
            return True
        parcel = now.get(change.slot)
        if parcel is None or parcel.last_seen_at - parcel.first_seen_at < JUDGED_S / 2:
            return False
        if any(iou(change.box[None], gone.box[None])[0, 0] > SAME_PLACE for gone in self._gone):
            return False
        return any(not hidden(change.box, people) for at, people in self._views if 0 < change.at - at <= PLAIN_S)


def hidden(place: FloatArray, people: FloatArray) -> bool:
    """Whether any of people `(N, 4)` hides a place `(4,)`."""
    return bool((intersections(place[None], people)[0] > HIDES * areas(place[None])).any())
