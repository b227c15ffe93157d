"""Repeated photographing of labels: scenes enter, one growing signal for each zone's sweep leaves.

A single photo raises nothing. Photo acts of people in one zone that follow each other within the window, enough of them
and of enough distinct parcels, are a sweep, whether one track or several did them: somebody whose track
breaks, or who is relieved, goes on with it. `rules/seriality.py` says how sure that is; until then it informs only.

No border hides a sweep: whatever somebody does in several zones counts in that where they took most labels of late, the
last of several. The others are named (`other_zones`). Whether an act is fine is for the zone in which it is done.

What doesn't count, but is told beside (`facts`):

- acts of other kinds. Only where the zone's policy forbids scanners, scans count as photos do, since a scanner reads
  labels as well; without any photo they warn at most;
- photos that the policy allows there, then, and for so many people together;
- photos that are over at once and whose parcel then moves on: that is how parcels are scanned, with a scanner that
  looked like a phone. Who photographs in secret leaves parcels where they lie; who photographs each for less than
  `QUICK_S` and then moves it within `MOVES_ON_S` goes unnoticed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from statistics import median
from typing import Any, Protocol

import numpy as np

from detector.config import Rules, Zone
from detector.geometry import centre, contains, distance, foot
from detector.rules.acts import ActRecogniser
from detector.rules.exposure import Exposed, exposed, united
from detector.rules.overlooked import Shot, overlooked
from detector.rules.policy import Permission, Policies
from detector.rules.posture import LOITERING, NEW, Posture
from detector.rules.returning import Returning
from detector.rules.seriality import SweepWeights, chance, load_weights
from detector.rules.zones import ZoneMap
from detector.values import Act, ActKind, Box, CountRange, IncidentKind, Parcel, Scene, Severity, Signal

QUICK_S, MOVES_ON_S = 2.0, 12.0
FRESH_S = 0.5  # a scene shows the act if it was still going on so shortly before
LONGEST_S = 3600.0  # acts are forgotten after this, however fast more follow
BESIDE = 1.5  # standing heights between two people who are together
ROW_WIDTH, ROW_ORDER = 0.75, 0.6  # `along_row`

# Who does this isn't photographing; what is unclear may be just that.
ELSE = (ActKind.SCAN, ActKind.CALL, ActKind.BROWSE)

Key = tuple[int, ActKind, float]


class Recogniser(Protocol):
    """Tells acts when they are sure and when they are over."""

    def observe(self, scene: Scene) -> list[Act]:
        """Acts that this scene confirms or ends."""
        ...

    def photographing(self, tracks: Iterable[int]) -> Mapping[int, float]:
        """How far it is believed of each of these tracks that it photographs now, 0..1."""
        ...


@dataclass(frozen=True, slots=True)
class Noted:
    """An act and what was seen of it.

    Attributes:
        act: As told last.
        zone: Where it is done; it may count in another.
        target: Box of the parcel aimed at, pixels; `None` where there is none.
        crouched: Share of the act spent crouched or bent, 0..1.
        beside: Tracks of others who stayed near.
        exposed: Labels that it took.
        permission: What is fine there and then however many do it; more may be for so many as they are.
        moved_on: Whether it was quick and its parcel then left its place.
        who: Name of who did it, the same for all tracks that may be of one person.
        stayed: Seconds that the track had stayed in one place when the act began, and when it ended.
        around: Slots of all parcels that were in view meanwhile.
    """

    act: Act
    zone: Zone
    target: Box | None
    crouched: float
    beside: frozenset[int]
    exposed: Exposed
    permission: Permission
    moved_on: bool = False
    who: int = 0
    stayed: tuple[float, float] = (0.0, 0.0)
    around: frozenset[int] = frozenset()

    @property
    def may_count(self) -> bool:
        """Whether it takes a label that some number of people may not take."""
        return bool(self.act.parcels) and not is_fine(self.act, self.permission)

    @property
    def is_scan(self) -> bool:
        """Whether a parcel was scanned, be it with a scanner that looked like a phone."""
        return self.act.kind is ActKind.SCAN or self.moved_on

    def may_move_on(self, at: float) -> bool:
        """Whether its parcel going now would say that it was work."""
        watched = self.may_count and not self.moved_on and self.target is not None
        return watched and is_quick(self.act) and at - self.act.ended_at <= MOVES_ON_S


class SweepRule:
    """Photo acts by zone, and the sweep they add up to."""

    def __init__(
        self,
        zones: ZoneMap,
        settings: Rules,
        policies: Policies,
        recogniser: Recogniser | None = None,
        weights: SweepWeights | None = None,
    ) -> None:
        """`recogniser` tells acts, that of `rules/acts.py` when left out; weights are those that ship unless given."""
        self._zones = zones
        self._settings = settings.sweep
        self._policies = policies
        self._recogniser = recogniser or ActRecogniser(settings.photo)
        self._weights = weights or load_weights()
        self._postures: dict[int, Posture] = {}
        self._returning = Returning()
        self._noted: dict[str, dict[Key, Noted]] = {}  # by the name of the zone in which they count
        self._quick: set[Key] = set()
        self._together: dict[str, tuple[float, int]] = {}

    def observe(self, scene: Scene) -> Iterable[Signal]:
        """A signal for each zone whose sweep this scene begins or adds to."""
        for person in scene.people:
            self._postures[person.id] = self._postures.get(person.id, NEW).after(person, scene.at)
        heights = {person.id: self._postures[person.id].height for person in scene.people}
        self._returning.observe(scene.at, scene.size, scene.people, heights)
        self._watch_parcels(scene)
        changed = {zone for act in self._recogniser.observe(scene) for zone in self._note(act, scene)}
        for track in scene.ended:
            self._postures.pop(track, None)
        for zone in sorted(changed):
            signal = self._signal(zone, scene)
            if signal:
                yield signal

    def photographing(self, tracks: Iterable[int]) -> Mapping[int, float]:
        """How far it is believed of each of these tracks that it photographs now, 0..1."""
        return self._recogniser.photographing(tracks)

    def _note(self, act: Act, scene: Scene) -> Iterator[str]:
        """Remember an act; yields the name of the zone in which it counts, if it may."""
        key = act.track, act.kind, act.started_at
        counts_in = self._counts_in(key)
        known = self._noted[counts_in][key] if counts_in else None
        zone = known.zone if known else self._zone_of(act, scene)
        if zone is None or not isfinite(act.started_at + act.ended_at):
            return
        noted = self._seen(act, zone, scene, known)
        counts_in = counts_in or zone.name
        self._noted.setdefault(counts_in, {})[key] = noted
        home, left = self._gather(key, noted.who, scene.at)
        counts_in = home or counts_in
        if noted.may_move_on(scene.at):
            self._quick.add(key)
        if noted.may_count or left:
            yield from (counts_in, *left)
        else:
            self._prune(counts_in, scene.at)

    def _counts_in(self, key: Key) -> str | None:
        """Name of the zone in which an act counts; `None` where it isn't known."""
        return next((zone for zone, acts in self._noted.items() if key in acts), None)

    def _gather(self, newest: Key, who: int, at: float) -> tuple[str | None, list[str]]:
        """Have what somebody did of late, a `newest` act the last, count in one zone.

        Returns:
            Name of that zone, `None` where they took no label; and of those where it counted with others' until now.
        """
        theirs = [n for acts in self._noted.values() for n in acts.values() if n.who == who]
        lately = self._linked(theirs, at)
        if not lately:
            return None, []
        ((home, _),) = Counter(n.zone.name for n in reversed(lately)).most_common(1)
        since = lately[0].act.started_at - self._settings.window_s
        left = []
        for zone, acts in [(zone, acts) for zone, acts in self._noted.items() if zone != home]:
            moved = [key for key, n in acts.items() if n.who == who and n.act.ended_at >= since]
            self._noted.setdefault(home, {}).update({key: acts.pop(key) for key in moved})
            if {*moved} - {newest} and any(n.may_count and n.who != who for n in acts.values()):
                left.append(zone)
        return home, left

    def _zone_of(self, act: Act, scene: Scene) -> Zone | None:
        """Zone of the act, by its parcel or else the person's feet; `None` where the parcel is none of our business."""
        targets = [centre(p.box) for p in scene.parcels if p.id in act.parcels]
        if any(self._zones.ignores(place, scene.size) for place in targets):
            return None
        places = [*targets, *(foot(p.box) for p in scene.people if p.id == act.track)]
        return next((zone for place in places if (zone := self._zones.at(place, scene.size))), None)

    def _seen(self, act: Act, zone: Zone, scene: Scene, known: Noted | None) -> Noted:
        person = next((p for p in scene.people if p.id == act.track), None)
        target = next((p for p in scene.parcels if p.id in act.parcels), None)
        posture = self._postures.get(act.track, NEW)
        noted = Noted(
            act,
            zone,
            target.box if target else known.target if known else None,
            posture.crouched(act.started_at, act.ended_at),
            self._beside(act.track) | (known.beside if known else frozenset()),
            known.exposed if known else Exposed(),
            known.permission if known else self._policies.least(zone, act.started_at),
            bool(known and known.moved_on and is_quick(act)),  # what is sure already may turn out to last
            known.who if known else self._returning.who(act.track),
            (  # of a track that is gone what was known stays
                known.stayed[0] if known else posture.stayed_until(act.started_at),
                posture.stayed_until(act.ended_at) if posture.bearing or not known else known.stayed[1],
            ),
        )
        if not noted.may_count:
            return noted
        aimed = frozenset(act.parcels[:1])
        photo = Exposed(frozenset(), aimed, aimed)
        if person and target and posture.height and scene.at - act.ended_at <= FRESH_S:
            device = max((d for d in scene.devices if d.holder == act.track), key=lambda d: d.score, default=None)
            phone = device.box if device else None
            photo = exposed(person.box, posture.height, phone, target, scene.parcels, scene.labels)
        around = (known.around if known else frozenset[int]()) | {parcel.id for parcel in scene.parcels}
        return replace(noted, exposed=noted.exposed | photo, around=around)

    def _beside(self, track: int) -> frozenset[int]:
        """Others who stay near somebody now."""
        own = self._postures.get(track, NEW).bearing
        if own is None:
            return frozenset()
        others = ((t, p.bearing) for t, p in self._postures.items() if t != track)
        return frozenset(
            t
            for t, other in others
            if other is not None
            and own.at - other.at <= FRESH_S
            and other.speed < LOITERING
            and distance(own.feet, other.feet) <= BESIDE * own.height
        )

    def _watch_parcels(self, scene: Scene) -> None:
        """Note which parcels of quick acts left their places."""
        if not self._quick:
            return
        slots = {parcel.id for parcel in scene.parcels}
        for key in list(self._quick):
            zone = self._counts_in(key)
            noted = self._noted[zone][key] if zone else None
            if zone is None or noted is None or not noted.may_move_on(scene.at):
                self._quick.remove(key)
            elif not slots & {*noted.act.parcels} and not is_taken(noted.target, scene.parcels):
                self._noted[zone][key] = replace(noted, moved_on=True)

    def _prune(self, zone: str, at: float) -> list[Noted]:
        """Acts that may count in a zone, each within the window of the next; what is older is forgotten."""
        acts = self._noted.get(zone, {})
        kept = self._linked(acts.values(), at)
        since = min([at, *(n.act.started_at for n in kept)]) - self._settings.window_s
        self._noted[zone] = {key: n for key, n in acts.items() if n.act.ended_at >= since}
        return kept

    def _linked(self, noted: Iterable[Noted], at: float) -> list[Noted]:
        """Those that may count, in order of time, each within the window of the next, the last of frame time `at`."""
        linked: list[Noted] = []
        horizon = at
        for n in sorted(noted, key=lambda n: n.act.started_at)[::-1]:
            if not n.may_count or n.moved_on:
                continue
            if horizon - n.act.ended_at > self._settings.window_s or at - n.act.started_at > LONGEST_S:
                break
            linked.append(n)
            horizon = min(horizon, n.act.started_at)
        return linked[::-1]

    def _signal(self, zone: str, scene: Scene) -> Signal | None:
        """The sweep of a zone; `None` where its acts are too few, of too few parcels, or fine."""
        noted = self._prune(zone, scene.at)
        if not noted:
            return None
        people = self._people(zone, noted, scene)
        if any(exemption.people for n in noted for exemption in n.zone.policy.exemptions):
            asked = (replace(n, permission=self._policies.at(n.zone, n.act.started_at, people)) for n in noted)
            noted = [n for n in asked if n.may_count]
        acts = [n.act for n in noted]
        if not is_sweep(acts, self._settings.least_acts, self._settings.least_parcels):
            return None
        tracks, counted = {act.track for act in acts}, {(act.track, act.started_at) for act in acts}
        aside = [
            n
            for n in self._noted[zone].values()
            if n.act.track in tracks
            and n.act.ended_at >= acts[0].started_at
            # What began with a photo and is called unclear or browsing besides is that photo.
            and (n.act.track, n.act.started_at) not in counted
        ]
        who = {n.act.track: n.who for n in self._noted[zone].values()}
        work = (
            n.act
            for n in self._noted[zone].values()
            if n.act.kind is ActKind.BROWSE or (n.is_scan and n.act not in acts)
        )
        untold = self._untold(noted, zone)
        score = chance(acts, work, who, self._weights)
        is_sure = score >= self._settings.sure
        return Signal(
            IncidentKind.LABEL_PHOTOGRAPHY,
            scene.camera,
            zone,
            started_at=acts[0].started_at,
            at=scene.at,
            score=score,
            # Who is told of many doubtful sweeps stops looking at those that are real.
            severity=Severity.WARNING if is_sure else Severity.INFO,
            tracks=tuple(sorted(tracks)),
            acts=tuple(sorted((*acts, *(n.act for n in aside)), key=lambda act: (act.started_at, act.track))),
            labels_exposed=labels(noted, untold),
            facts={
                **facts(noted, aside, people),
                "untold": untold[1],
                "unsure": not is_sure,
                "other_zones": sorted({n.zone.name for n in noted} - {zone}) or None,
            },
            boxes=pictured(acts, scene),
        )

    def _untold(self, counted: Sequence[Noted], zone: str) -> tuple[int, int]:
        """How many photos more there may be of those whose acts count: probably, and at most."""
        likely = most = 0
        keys = {(n.act.track, n.act.kind, n.act.started_at) for n in counted}
        others = [n for key, n in self._noted[zone].items() if n.act.kind in ELSE and key not in keys]
        for who in {n.who for n in counted}:
            more = overlooked(
                [Shot(n.act.track, n.act.started_at, n.act.ended_at, n.stayed) for n in counted if n.who == who],
                tuple((n.act.started_at, n.act.ended_at) for n in others if n.who == who),
            )
            likely, most = likely + more[0], most + more[1]
        return likely, most

    def _people(self, zone: str, noted: Sequence[Noted], scene: Scene) -> int:
        """How many people it took at least: those of the sweep in view together, at most so far.

        Who leaves and comes back may be a new track, so the number of tracks would count one person several times.
        """
        began = noted[0].act.started_at
        since, before = self._together.get(zone, (began, 0))
        tracks = {n.act.track for n in noted}
        now = sum(person.id in tracks for person in scene.people)
        self._together[zone] = began, max(1, now, before if since == began else 0)
        return self._together[zone][1]


def facts(noted: Sequence[Noted], aside: Sequence[Noted], people: int) -> dict[str, Any]:
    """What is told of a sweep beside its acts.

    Args:
        noted: Its acts, in order of time, at least one.
        aside: What the same people did meanwhile that doesn't count.
        people: How many they are, at least.
    """
    acts = [n.act for n in noted]
    span_s = acts[-1].started_at - acts[0].started_at
    tracks = {act.track for act in acts}
    near = [track for n in noted for track in n.beside - tracks]
    kinds = [n.act.kind for n in (*noted, *aside)]
    return {
        "photos": sum(act.kind is ActKind.PHOTO for act in acts),
        "parcels": len({parcel for act in acts for parcel in act.parcels}),
        "people": people,
        # Somebody who stays beside most of the acts without one of their own: a lookout, or a chance neighbour.
        "beside": sum(2 * near.count(track) >= len(acts) for track in set(near)),
        "pace_per_min": round(60 * (len(acts) - 1) / span_s, 1) if span_s > 0 else None,
        "along_row": along_row(noted),
        "crouched": round(crouched_share(noted), 2),
        "shift": noted[0].permission.shift,
        "out_of_hours": not all(n.permission.working for n in noted),
        "scans": kinds.count(ActKind.SCAN),
        "unclear": kinds.count(ActKind.UNCLEAR),
        "moved_on": sum(n.moved_on for n in aside),
    }


def labels(noted: Sequence[Noted], untold: tuple[int, int]) -> CountRange:
    """Labels that acts took, with so many untold ones, probably and at most; no more than there are parcels."""
    seen = united(n.exposed for n in noted).count
    there = len(frozenset[int]().union(*(n.around for n in noted)))
    high = max(seen.high, min(seen.high + untold[1], there))
    return CountRange(seen.low, min(seen.best + untold[0], high), high)


def is_quick(act: Act) -> bool:
    """Whether an act, as far as it has been told, was over at once."""
    return act.ended_at - act.started_at <= QUICK_S


def is_fine(act: Act, permission: Permission) -> bool:
    """Whether an act is; calls, browsing and what is unclear take no labels."""
    if act.kind is ActKind.PHOTO:
        return permission.phones
    return permission.scanners if act.kind is ActKind.SCAN else True


def is_sweep(acts: Sequence[Act], least_acts: int, least_parcels: int) -> bool:
    """Whether photo acts are many enough and of enough distinct parcels."""
    return len(acts) >= least_acts and len({parcel for act in acts for parcel in act.parcels}) >= least_parcels


def is_taken(place: Box | None, parcels: Sequence[Parcel]) -> bool:
    """Whether any parcel lies at a place."""
    return place is not None and any(contains(place, centre(p.box)) for p in parcels)


def along_row(noted: Sequence[Noted]) -> bool:
    """Whether the parcels lie along a line and were taken in its order, one way or the other.

    Of the middles of the distinct parcels, at least three, in the order of their first photos: they lie on the line
    that fits them best (the first principal axis) with a root mean square distance of at most `ROW_WIDTH` of a usual
    parcel's side, and Kendall's tau between their order along it and in time is `ROW_ORDER` at least, by size. Three
    parcels in a line taken in any order would pass by chance one time in three, five one in four, seven one in eight.
    """
    boxes: dict[int, Box] = {}
    for n in noted:
        if n.target is not None:
            boxes.setdefault(n.act.parcels[0], n.target)
    if len(boxes) < 3:
        return False
    corners = np.array(list(boxes.values()), float)
    places = (corners[:, :2] + corners[:, 2:]) / 2
    side = median(np.sqrt(np.maximum((corners[:, 2:] - corners[:, :2]).prod(axis=1), 0)).tolist())
    from_middle = places - places.mean(axis=0)
    _, _, axes = np.linalg.svd(from_middle, full_matrices=False)
    along, off = from_middle @ axes[0], from_middle @ axes[-1]
    first, second = np.triu_indices(len(along), 1)
    tau = float(np.sign(along[second] - along[first]).mean())
    return bool(np.sqrt((off**2).mean()) <= ROW_WIDTH * side and abs(tau) >= ROW_ORDER)


def crouched_share(noted: Sequence[Noted]) -> float:
    """Share of the acts' time spent crouched or bent; of acts without length, of their number."""
    lengths = [n.act.ended_at - n.act.started_at for n in noted]
    if sum(lengths) <= 0:
        return sum(n.crouched for n in noted) / len(noted)
    return sum(n.crouched * length for n, length in zip(noted, lengths, strict=True)) / sum(lengths)


def pictured(acts: Sequence[Act], scene: Scene) -> tuple[tuple[str, Box], ...]:
    """Boxes to show with the signal: who, the device, which parcels; and every label, to be blurred."""
    tracks, parcels = {act.track for act in acts}, {parcel for act in acts for parcel in act.parcels}
    shown = [("person", p.box) for p in scene.people if p.id in tracks]
    shown += [(d.label, d.box) for d in scene.devices if d.holder in tracks]
    shown += [("parcel", p.box) for p in scene.parcels if p.id in parcels]
    return (*shown, *(("label", box) for box in scene.labels))
