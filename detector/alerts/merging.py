"""What an incident says: the states of its findings enter, what they come to together leaves.

Facts of two tellings become one by what the two are to each other; the table in `facts` says how each fares:

    told again     a finding, said anew by its rule       `renewed`: the newer counts
    beside         of other people, times or kinds        `united`: the larger, else what was said last
    in addition    a sweep of other acts                  `summed`: the sum, no parcel twice
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import astuple, replace
from functools import reduce
from typing import Any

from detector.alerts.severity import GRAVITY, severity
from detector.facts import FACTS, PLAIN, count, holds, names, number
from detector.values import Act, ActKind, CountRange, Incident, IncidentKind, Signal

Facts = Mapping[str, Any]

# Of these one incident may hold several of one zone, by turns: who stayed, and who stayed later.
SEVERAL = (IncidentKind.LINGERING, IncidentKind.BLIND_CORNER, IncidentKind.TAMPER)


def renewed(former: Facts, newer: Facts) -> dict[str, Any]:
    """Facts of a finding that is told again: the newer ones; what was sure once stays so."""
    return {name: _agreed(name, former, newer) if _is_doubt(name) else value for name, value in newer.items()}


def united(several: Iterable[Facts]) -> dict[str, Any]:
    """Facts of findings beside each other: of each the last, the largest, or that of the one where most counts."""
    together: dict[str, Any] = {}
    for more in several:
        together |= {name: _beside(name, together, more) for name in more}
    return together


def summed(some: Facts, more: Facts, twice: int) -> dict[str, Any]:
    """Facts of two sweeps of different acts, in which so many parcels are the same.

    Each counts in full; how it was done is told of where more photos were.
    """
    facts = united(sorted((some, more), key=lambda each: count(each, "photos")))
    for name in facts:
        if (fact := FACTS.get(name, PLAIN)).adds:
            facts[name] = _in_all(count(some, name), count(more, name), twice if fact.of_parcels else 0)
    return facts


def _beside(name: str, facts: Facts, more: Facts) -> Any:
    """What is told of a fact that one more finding states."""
    fact = FACTS.get(name, PLAIN)
    if fact.doubt:
        return _agreed(name, facts, more)
    measure = name if fact.largest else fact.goes_with
    stays = measure is not None and name in facts and _size(facts, measure) > _size(more, measure)
    return facts[name] if stays else more[name]


def _is_doubt(name: str) -> bool:
    return FACTS.get(name, PLAIN).doubt


def _agreed(name: str, facts: Facts, more: Facts) -> bool:
    """Whether two findings are in doubt together: as soon as one that says so is sure, both are."""
    return holds(more, name) and (name not in facts or holds(facts, name))


def _size(facts: Facts, name: str) -> float:
    value = facts.get(name)
    return float(value) if isinstance(value, bool) else number(facts, name) or 0.0


def _in_all(some: int, more: int, twice: int) -> int:
    """How many there are of which some are counted here and more there, and so many in both."""
    return max(some, more, some + more - twice)


def joined(finding: Signal, signal: Signal, earlier: Signal | None = None) -> Signal:
    """A finding's state after a signal of the same kind and zone: its newest facts, all its people, its best score.

    Args:
        finding: As it was.
        signal: What is said of it now.
        earlier: What it was before it was told anew, if it was.
    """
    others = bool(finding.tracks) and not {*finding.tracks} & {*signal.tracks}
    told = signal
    if others or signal.kind in SEVERAL:
        told = replace(signal, facts=united([finding.facts, signal.facts]))
    told = added(earlier, told) if earlier else told
    return replace(
        told,
        started_at=min(finding.started_at, signal.started_at),
        at=max(finding.at, signal.at),
        score=max(finding.score, signal.score),
        tracks=_all_of(finding.tracks, signal.tracks),
        facts=renewed(finding.facts, told.facts),
    )


def added(earlier: Signal, signal: Signal) -> Signal:
    """A sweep with what was counted earlier, no parcel twice."""
    twice = len(parcels_of(earlier.acts) & parcels_of(signal.acts))
    exposed = zip(astuple(earlier.labels_exposed), astuple(signal.labels_exposed), strict=True)
    return replace(
        signal,
        acts=(*earlier.acts, *signal.acts),
        labels_exposed=CountRange(*(_in_all(old, new, twice) for old, new in exposed)),
        facts=summed(earlier.facts, signal.facts, twice),
    )


def incident_id(site: str, signal: Signal) -> str:
    """Id of the incident that a signal begins: equal for equal timestamps, however often they are replayed."""
    first = f"{site}|{signal.camera}|{signal.kind.value}|{signal.zone or ''}|{signal.started_at:.3f}"
    return hashlib.sha256(first.encode()).hexdigest()[:24]


def begun(site: str, signal: Signal) -> Incident:
    """A new incident from its first signal."""
    incident = Incident(
        incident_id(site, signal), signal.camera, signal.kind, signal.severity, signal.score, signal.zone,
        signal.started_at, signal.at, signal.tracks, signal.acts, signal.labels_exposed, signal.facts, signal.boxes,
        signal.private, (signal.kind,),
    )  # fmt: skip
    return _weighed(incident)


def grown(incident: Incident, signal: Signal, findings: Iterable[Signal]) -> Incident:
    """The incident with one more signal; severity and counts never fall.

    Kind and zone are those of the gravest finding, of several sweeps that with the most photos, of others the latest;
    the score is the best of that kind. Boxes, and the picture drawn from them, show something
    happening: those of a signal that only says an act is over would show somebody walking away.

    Args:
        incident: As it was.
        signal: What is new.
        findings: All findings of the incident as they are now.
    """
    by_gravity = sorted(findings, key=lambda f: (GRAVITY.index(f.kind), -count(f.facts, "photos"), -f.at))
    gravest = by_gravity[0]
    told = [finding for finding in reversed(by_gravity) if finding.kind is not IncidentKind.LABEL_PHOTOGRAPHY]
    sweeps = [finding for finding in reversed(by_gravity) if finding.kind is IncidentKind.LABEL_PHOTOGRAPHY]
    if sweeps:
        told.append(reduce(added, sweeps))  # each zone counts its own
    acts = {act.key: act for act in (*incident.acts, *signal.acts)}
    happening = not acts or len(acts) > len(incident.acts)
    exposed = [astuple(counted) for counted in (incident.labels_exposed, *(each.labels_exposed for each in told))]
    return _weighed(
        replace(
            incident,
            kind=gravest.kind,
            zone=gravest.zone,
            score=max(finding.score for finding in by_gravity if finding.kind is gravest.kind),
            severity=max(incident.severity, signal.severity, key=lambda severity: severity.rank),
            started_at=min(incident.started_at, signal.started_at),
            ended_at=max(incident.ended_at, signal.at),
            tracks=_all_of(incident.tracks, signal.tracks),
            acts=tuple(sorted(acts.values(), key=_start)),
            labels_exposed=CountRange(*map(max, zip(*exposed, strict=True))),
            facts=united(finding.facts for finding in told) | _ever(incident, signal, gravest.zone),
            boxes=signal.boxes if happening else incident.boxes,
            private=signal.private if happening else incident.private,
            findings=tuple(dict.fromkeys(finding.kind for finding in by_gravity)),
        )
    )


def _ever(incident: Incident, signal: Signal, zone: str | None) -> dict[str, Any]:
    """Facts that hold once they were told: how many people it took at least, and where it was but for `zone`."""
    facts: dict[str, Any] = {}
    if most := max(count(each.facts, "people") for each in (incident, signal)):
        facts["people"] = most
    zones = {z for each in (incident, signal) for z in (each.zone, *names(each.facts, "other_zones"))}
    if others := sorted(z for z in zones if z and z != zone):
        facts["other_zones"] = others
    return facts


def _weighed(incident: Incident) -> Incident:
    """With its severity raised to what its harm comes to."""
    # Among the acts may be photos that are fine there, which the facts don't count.
    known = number(incident.facts, "photos") is not None
    photos = count(incident.facts, "photos") if known else photos_in(incident.acts)
    harm = severity(incident.findings, photos, incident.labels_exposed, incident.facts)
    return replace(incident, severity=harm) if harm.rank > incident.severity.rank else incident


def photos_in(acts: Iterable[Act]) -> int:
    """How many of them are photos."""
    return sum(act.kind is ActKind.PHOTO for act in acts)


def parcels_of(acts: Iterable[Act]) -> set[int]:
    """At which parcels they were."""
    return {parcel for act in acts for parcel in act.parcels}


def _all_of(some: Iterable[int], more: Iterable[int]) -> tuple[int, ...]:
    return tuple(sorted({*some, *more}))


def _start(act: Act) -> tuple[float, int]:
    return act.started_at, act.track
