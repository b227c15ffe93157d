"""Repeated photographing of labels: scenes enter, one growing signal for each zone's sweep leaves.

A single photo raises nothing. Photo acts of people in one zone that follow each other within the window, enough of them
and of enough distinct parcels, are a sweep, whether one track or several did them: somebody whose track
breaks, or who is relieved, goes on with it. `rules/seriality.py` says how sure that is; until then it informs only.

No border hides a sweep: whatever somebody does in several zones counts in that where they took most labels of late, the
last of several. The others are named (`other_zones`). Whether an act is fine is for the zone in which it is done.

What doesn't count, but is told beside (`rules/sweep_facts.py`):

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
from dataclasses import replace
from math import inf, isfinite
from typing import Protocol

from detector.config import Rules, Zone
from detector.geometry import centre, contains, distance, foot
from detector.rules.acts import ActRecogniser
from detector.rules.bearing import shows_feet, whole
from detector.rules.blindness import sees_nothing
from detector.rules.brief import BriefSlots
from detector.rules.exposure import NO_LABELS, Exposed, exposed
from detector.rules.noted import Noted, is_quick
from detector.rules.policy import Policies
from detector.rules.posture import LOITERING, NEW, Posture
from detector.rules.returning import Returning
from detector.rules.seriality import SweepWeights, chance, load_weights
from detector.rules.sweep_facts import facts, labels, pictured, set_aside, untold_photos
from detector.rules.zones import ZoneMap
from detector.values import Act, ActKey, ActKind, Box, IncidentKind, Parcel, Scene, Severity, Signal

FRESH_S = 0.5  # a scene shows the act if it was still going on so shortly before
LONGEST_S = 3600.0  # acts are forgotten after this, however fast more follow
FOUND_AGAIN_S = 5.0  # after the light went on again parcels are found where they lay
BESIDE = 1.5  # standing heights between two people who are together


class Recogniser(Protocol):
    """Tells acts when they are sure and when they are over."""

    def observe(self, scene: Scene) -> list[Act]:
        """Acts that this scene confirms or ends."""
        ...

    def going_on(self) -> Iterable[Act]:
        """Acts confirmed and not ended, as far as they have gone on."""
        ...

    def photographing(self, tracks: Iterable[int]) -> Mapping[int, float]:
        """How far it is believed of each of these tracks that it photographs now, 0..1."""
        ...


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
        self._looked_at = -inf
        self._returning = Returning()
        self._noted: dict[str, dict[ActKey, Noted]] = {}  # by the name of the zone in which they count
        self._quick: set[ActKey] = set()
        self._brief = BriefSlots()
        self._blind, self._sees_again_at = False, -inf
        self._together: dict[str, tuple[float, int]] = {}

    def observe(self, scene: Scene) -> Iterable[Signal]:
        """A signal for each zone whose sweep this scene begins or adds to."""
        for person in scene.people:
            self._postures[person.id] = self._postures.get(person.id, NEW).after(
                person, scene.at, looked_at=self._looked_at, shows_feet=shows_feet(person.box, scene.size)
            )
        self._looked_at = scene.at
        heights = {person.id: self._postures[person.id].height for person in scene.people}
        self._returning.observe(scene.at, scene.size, scene.people, heights)
        self._watch_parcels(scene)
        self._brief.observe(scene.parcels, scene.at)
        changed = {zone for act in self._recogniser.observe(scene) for zone in self._note(act, scene)}
        for track in scene.ended:
            self._postures.pop(track, None)
        yield from self._signals(changed, scene)

    def withheld(self, scene: Scene) -> Iterable[Signal]:
        """What acts that go on have come to since they were confirmed."""
        return self._signals({zone for act in self._recogniser.going_on() for zone in self._note(act, scene)}, scene)

    def photographing(self, tracks: Iterable[int]) -> Mapping[int, float]:
        """How far it is believed of each of these tracks that it photographs now, 0..1."""
        return self._recogniser.photographing(tracks)

    def noted(self, key: ActKey) -> Noted | None:
        """What is known of an act, with what so many people as did it may do there; `None` where it can't count."""
        zone = self._counts_in(key)
        if zone is None:
            return None
        _, people = self._together.get(zone, (0.0, 1))
        (asked,) = self._permitted([self._noted[zone][key]], people)
        return asked

    def _note(self, act: Act, scene: Scene) -> Iterator[str]:
        """Remember an act; yields the name of the zone in which it counts, if it may."""
        key = act.key
        counts_in = self._counts_in(key)
        known = self._noted[counts_in][key] if counts_in else None
        if counts_in and known and is_of_another(act, known.act, scene):
            del self._noted[counts_in][key]
            yield counts_in
            counts_in, known = None, self._corrected(known, act, scene)
            if known is None:
                return
        zone = known.zone if known else zone_of(act, scene, self._zones)
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

    def _corrected(self, known: Noted, act: Act, scene: Scene) -> Noted | None:
        """What is known of an act that turns out to be of other parcels; `None` where those are none of our business.

        Who is hidden or looks aside is told of the parcel that is nearest, until the phone is seen.
        """
        zone = zone_of(act, scene, self._zones)
        if zone is None:
            return None
        permission = self._policies.least(zone, act.started_at)
        still = {*known.act.parcels} <= {*act.parcels}
        return replace(known, zone=zone, permission=permission, exposed=known.exposed if still else NO_LABELS)

    def _counts_in(self, key: ActKey) -> str | None:
        """Name of the zone in which an act counts; `None` where it isn't known."""
        return next((zone for zone, acts in self._noted.items() if key in acts), None)

    def _gather(self, newest: ActKey, who: int, at: float) -> tuple[str | None, list[str]]:
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

    def _seen(self, act: Act, zone: Zone, scene: Scene, known: Noted | None) -> Noted:
        """What is known of an act after this scene; `known` is what was before, `None` where it is told first."""
        noted = self._gone_on(known or self._begun(act, zone), act, scene)
        if not noted.may_count:
            return noted
        around = {parcel.id for parcel in scene.parcels}
        return replace(noted, exposed=noted.exposed | self._taken(act, scene), around=noted.around | around)

    def _begun(self, act: Act, zone: Zone) -> Noted:
        """An act as it begins: what of it stays as it is while it goes on."""
        stayed_s = self._postures.get(act.track, NEW).stayed_until(act.started_at)
        return Noted(
            act,
            zone,
            permission=self._policies.least(zone, act.started_at),
            who=self._returning.who(act.track),
            stayed=(stayed_s, stayed_s),
        )

    def _gone_on(self, noted: Noted, act: Act, scene: Scene) -> Noted:
        """The act as it is told now."""
        posture = self._postures.get(act.track, NEW)
        began, ended = noted.stayed
        return replace(
            noted,
            act=act,
            target=next((p.box for p in scene.parcels if p.id in act.parcels), noted.target),
            crouched=posture.crouched(act.started_at, act.ended_at),
            beside=noted.beside | self._beside(act.track),
            moved_on=noted.moved_on and is_quick(act),  # what is sure already may turn out to last
            # Of a track that is gone what was known stays.
            stayed=(began, posture.stayed_until(act.ended_at) if posture.bearing else ended),
        )

    def _taken(self, act: Act, scene: Scene) -> Exposed:
        """Labels that an act takes, as far as this scene shows it; else that of the parcel aimed at, probably."""
        person = next((p for p in scene.people if p.id == act.track), None)
        target = next((p for p in scene.parcels if p.id in act.parcels), None)
        height = self._postures.get(act.track, NEW).height
        if person is None or target is None or not height or scene.at - act.ended_at > FRESH_S:
            aimed = frozenset(act.parcels[:1])
            return Exposed(frozenset(), aimed, aimed)
        device = max((d for d in scene.devices if d.holder == act.track), key=lambda d: d.score, default=None)
        phone = device.box if device else None
        box = whole(person.box, height, scene.size)
        return exposed(box, height, phone, target, scene.parcels, scene.labels)

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
            and abs(own.at - other.at) <= FRESH_S  # of a track that ended others' looks are the later
            and other.speed < LOITERING
            and distance(own.feet, other.feet) <= BESIDE * own.height
        )

    def _watch_parcels(self, scene: Scene) -> None:
        """Note which parcels of quick acts left their places, as far as that can be seen."""
        if scene.moved:
            self._quick.clear()  # what is in their places now are others
        if scene.view is not None:
            self._blind = sees_nothing(scene, scene.view)
        if self._blind:
            self._sees_again_at = scene.at + FOUND_AGAIN_S
        if not self._quick or scene.moved is None or scene.at < self._sees_again_at:
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

    def _signals(self, zones: Iterable[str], scene: Scene) -> Iterator[Signal]:
        """The sweeps of these zones, where there are any."""
        for zone in sorted(zones):
            if signal := self._signal(zone, scene):
                yield signal

    def _signal(self, zone: str, scene: Scene) -> Signal | None:
        """The sweep of a zone; `None` where its acts are too few, of too few parcels, or fine."""
        linked = self._prune(zone, scene.at)
        if not linked:
            return None
        people = self._people(zone, linked, scene)
        counted = self._forbidden(linked, people)
        acts = [n.act for n in counted]
        if not is_sweep(acts, self._settings.least_acts, self._settings.least_parcels):
            return None
        noted = self._noted[zone].values()
        aside, untold = set_aside(counted, noted), untold_photos(counted, noted)
        score = self._chance(acts, noted)
        is_sure = score >= self._settings.sure
        told = (*acts, *(n.act for n in aside))
        # Of somebody who was lost from sight it is told seconds later that an act was over.
        seen_at = max(act.ended_at for act in told)
        is_seen = scene.at - seen_at <= FRESH_S
        return Signal(
            IncidentKind.LABEL_PHOTOGRAPHY,
            scene.camera,
            zone,
            started_at=acts[0].started_at,
            at=scene.at if is_seen else seen_at,
            score=score,
            # Who is told of many doubtful sweeps stops looking at those that are real.
            severity=Severity.WARNING if is_sure else Severity.INFO,
            tracks=tuple(sorted({act.track for act in acts})),
            acts=tuple(sorted(told, key=lambda act: (act.started_at, act.track))),
            labels_exposed=labels(counted, untold, self._brief.ids),
            facts={
                **facts(counted, aside, people),
                "untold": untold[1],
                "unsure": not is_sure,
                "other_zones": sorted({n.zone.name for n in counted} - {zone}) or None,
            },
            boxes=pictured(acts, scene) if is_seen else (),
        )

    def _forbidden(self, noted: list[Noted], people: int) -> list[Noted]:
        """Those acts that so many people may not do: an exemption may hold for few."""
        return [n for n in self._permitted(noted, people) if n.may_count]

    def _permitted(self, noted: list[Noted], people: int) -> list[Noted]:
        """The same acts with what so many people may do there."""
        if not any(exemption.people for n in noted for exemption in n.zone.policy.exemptions):
            return noted
        return [replace(n, permission=self._policies.at(n.zone, n.act.started_at, people)) for n in noted]

    def _chance(self, acts: Sequence[Act], noted: Iterable[Noted]) -> float:
        """How sure it is, 0..1, that acts are a sweep, given all that was noted in their zone."""
        work = [n.act for n in noted if n.act.kind is ActKind.BROWSE or (n.is_scan and n.act not in acts)]
        return chance(acts, work, {n.act.track: n.who for n in noted}, self._weights)

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


def zone_of(act: Act, scene: Scene, zones: ZoneMap) -> Zone | None:
    """Zone of an act, by its parcel or else the person's feet; `None` where the parcel is none of our business."""
    targets = [centre(p.box) for p in scene.parcels if p.id in act.parcels]
    if any(zones.ignores(place, scene.size) for place in targets):
        return None
    places = [*targets, *(foot(p.box) for p in scene.people if p.id == act.track)]
    return next((zone for place in places if (zone := zones.at(place, scene.size))), None)


def is_of_another(act: Act, before: Act, scene: Scene) -> bool:
    """Whether an act turns out to be of other parcels than it was told of, one of which is in the scene."""
    return act.parcels != before.parcels and any(parcel.id in act.parcels for parcel in scene.parcels)


def is_sweep(acts: Sequence[Act], least_acts: int, least_parcels: int) -> bool:
    """Whether photo acts are many enough and of enough distinct parcels."""
    return len(acts) >= least_acts and len({parcel for act in acts for parcel in act.parcels}) >= least_parcels


def is_taken(place: Box | None, parcels: Sequence[Parcel]) -> bool:
    """Whether any parcel lies at a place."""
    return place is not None and any(contains(place, centre(p.box)) for p in parcels)
