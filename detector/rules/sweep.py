"""Repeated photographing of labels: scenes enter, one growing signal for each zone's sweep leaves.

A single photo is a note and raises nothing. Photo acts of people in one zone that follow each other within the
window, at least two of them and of distinct parcels, are a sweep (design 4.2).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from detector.config import Rules
from detector.geometry import centre, distance, foot
from detector.rules.acts import ActRecogniser
from detector.rules.zones import ZoneMap
from detector.values import Act, ActKind, Box, CountRange, IncidentKind, Parcel, Scene, Severity, Signal

# A photo of one parcel may take in those beside it: within this many widths of the parcel's own box.
NEIGHBOUR = 0.9
# From here on it is no longer a chance pair of photos.
CRITICAL_ACTS = 4


class SweepRule:
    """Photo acts by zone, and the sweep they add up to."""

    def __init__(self, zones: ZoneMap, settings: Rules) -> None:
        self._zones = zones
        self._settings = settings.sweep
        self._acts = ActRecogniser(settings.photo)
        self._by_zone: dict[str, dict[tuple[int, float], Act]] = {}
        self._around: dict[int, frozenset[int]] = {}
        self._together: dict[str, int] = {}

    def observe(self, scene: Scene) -> Iterable[Signal]:
        """A signal for each zone whose sweep this scene begins or adds to."""
        changed: set[str] = set()
        for act in self._acts.observe(scene):
            zone = self._watched_zone(act, scene)
            if act.kind is not ActKind.PHOTO or not act.parcels or zone is None:
                continue
            self._by_zone.setdefault(zone, {})[act.track, act.started_at] = act
            self._around[act.parcels[0]] = neighbours(act.parcels[0], scene.parcels)
            changed.add(zone)
        for zone in sorted(changed):
            acts = self._recent(zone, scene.at)
            if is_sweep(acts, self._settings.least_acts, self._settings.least_parcels):
                yield self._signal(zone, acts, scene)

    def _watched_zone(self, act: Act, scene: Scene) -> str | None:
        """Zone of the act, by its parcel or else the person's feet; `None` where phones are fine or none watches."""
        places = [centre(p.box) for p in scene.parcels if p.id in act.parcels]
        places += [foot(p.box) for p in scene.people if p.id == act.track]
        for place in places:
            zone = self._zones.at(place, scene.size)
            if zone is not None:
                return zone.name if zone.policy.phones == "forbidden" else None
        return None

    def _recent(self, zone: str, at: float) -> tuple[Act, ...]:
        """Acts of a zone, each within the window of the next; older ones are forgotten."""
        acts = sorted(self._by_zone[zone].values(), key=lambda act: act.started_at)
        kept: list[Act] = []
        horizon = at
        for act in reversed(acts):
            if horizon - act.ended_at > self._settings.window_s:
                break
            kept.insert(0, act)
            horizon = min(horizon, act.started_at)
        self._by_zone[zone] = {(act.track, act.started_at): act for act in kept}
        remembered = {parcel for acts in self._by_zone.values() for act in acts.values() for parcel in act.parcels}
        self._around = {parcel: beside for parcel, beside in self._around.items() if parcel in remembered}
        return tuple(kept)

    def _signal(self, zone: str, acts: tuple[Act, ...], scene: Scene) -> Signal:
        exposed = {parcel for act in acts for parcel in act.parcels}
        beside = frozenset().union(*(self._around.get(parcel, frozenset()) for parcel in exposed))
        return Signal(
            IncidentKind.LABEL_PHOTOGRAPHY,
            scene.camera,
            zone,
            started_at=acts[0].started_at,
            at=scene.at,
            score=sweep_score(acts),
            severity=Severity.CRITICAL if len(acts) >= CRITICAL_ACTS else Severity.WARNING,
            tracks=tuple(sorted({act.track for act in acts})),
            acts=acts,
            labels_exposed=CountRange(len(exposed), len(exposed), len(exposed | beside)),
            facts={"photos": len(acts), "parcels": len(exposed), "people": self._people(zone, acts, scene)},
            boxes=pictured(acts, scene),
            private=tuple(parcel.box for parcel in scene.parcels),
        )

    def _people(self, zone: str, acts: tuple[Act, ...], scene: Scene) -> int:
        """How many people it took at least: those of the sweep in view together, at most so far.

        Who leaves and comes back is a new track, so the number of tracks would count one person several times.
        """
        tracks = {act.track for act in acts}
        now = sum(person.id in tracks for person in scene.people)
        self._together[zone] = max(1, now, self._together.get(zone, 0) if len(acts) > 2 else 0)
        return self._together[zone]


def is_sweep(acts: Sequence[Act], least_acts: int, least_parcels: int) -> bool:
    """Whether photo acts are many enough and of enough distinct parcels."""
    return len(acts) >= least_acts and len({parcel for act in acts for parcel in act.parcels}) >= least_parcels


def sweep_score(acts: Sequence[Act]) -> float:
    """How sure a sweep is, 0..1: the chance that at least two of its acts are real, taking scores as chances.

    Acts are taken as independent, which flatters a model that is wrong in the same way each time.
    """
    none, one = 1.0, 0.0
    for act in acts:
        none, one = none * (1 - act.score), one * (1 - act.score) + none * act.score
    return 1 - none - one


def neighbours(target: int, parcels: Sequence[Parcel]) -> frozenset[int]:
    """Ids of the parcels so near to one that a photo of it may show their labels too."""
    own = next((parcel for parcel in parcels if parcel.id == target), None)
    if own is None:
        return frozenset()
    reach = NEIGHBOUR * (own.box[2] - own.box[0])
    middle = centre(own.box)
    return frozenset(p.id for p in parcels if p.id != target and distance(middle, centre(p.box)) <= reach)


def pictured(acts: Sequence[Act], scene: Scene) -> tuple[tuple[str, Box], ...]:
    """Boxes to show with the signal: who, the device, which parcels; and every label, to be blurred."""
    tracks, parcels = {act.track for act in acts}, {parcel for act in acts for parcel in act.parcels}
    shown = [("person", p.box) for p in scene.people if p.id in tracks]
    shown += [(d.label, d.box) for d in scene.devices if d.holder in tracks]
    shown += [("parcel", p.box) for p in scene.parcels if p.id in parcels]
    return (*shown, *(("label", box) for box in scene.labels))
