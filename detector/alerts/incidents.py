"""Which incident a signal belongs to: signals enter, steps in the lives of incidents leave.

Signals of one camera, kind and zone that follow each other within `join_s` are one incident. It speaks when it is
new, when a signal adds to it, and when it ends.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import replace

from detector.config import Incidents
from detector.values import Act, CountRange, Incident, IncidentUpdate, Phase, Signal


class IncidentBook:
    """Open incidents of one camera."""

    def __init__(self, site: str, settings: Incidents) -> None:
        self._site = site
        self._settings = settings
        self._open: dict[tuple[str, str | None], Incident] = {}
        self._ended: dict[tuple[str, str | None], Incident] = {}

    def admit(self, signals: Iterable[Signal], at: float) -> list[IncidentUpdate]:
        """Updates that these signals cause, and ends that are due at frame time `at`."""
        updates = [self._end(key) for key, incident in list(self._open.items()) if self._is_over(incident, at)]
        for signal in signals:
            key = (signal.kind.value, signal.zone)
            before = self._open.get(key)
            fresh = untold(signal, self._ended[key]) if key in self._ended else signal
            if fresh is None:
                continue
            after = grown(before, fresh) if before else begun(self._site, fresh)
            self._open[key] = after
            updates.append(IncidentUpdate(Phase.UPDATE if before else Phase.NEW, before, after))
        return updates

    def finish(self) -> list[IncidentUpdate]:
        """End every open incident."""
        return [self._end(key) for key in list(self._open)]

    def _is_over(self, incident: Incident, at: float) -> bool:
        quiet, long = at - incident.ended_at, at - incident.started_at
        return quiet > self._settings.join_s or long > self._settings.longest_s

    def _end(self, key: tuple[str, str | None]) -> IncidentUpdate:
        incident = self._ended[key] = self._open.pop(key)
        return IncidentUpdate(Phase.END, incident, incident)


def untold(signal: Signal, ended: Incident) -> Signal | None:
    """What a signal says beyond the incident that ended before it; `None` when that is nothing.

    A rule tells a finding from its beginning every time. Of a finding that outlives its incident, the next one has
    only what came after, and so an id of its own and no photo counted twice.
    """
    told = {(act.track, act.started_at) for act in ended.acts}
    acts = tuple(a for a in signal.acts if a.started_at >= ended.started_at and (a.track, a.started_at) not in told)
    if not signal.acts:
        return replace(signal, started_at=max(signal.started_at, ended.ended_at))
    if not acts:
        return None
    if len(acts) == len(signal.acts):
        return signal
    count = signal.labels_exposed
    own = len({parcel for act in acts for parcel in act.parcels})
    earlier = max(0, count.best - own)
    return replace(
        signal,
        started_at=min(act.started_at for act in acts),
        tracks=tuple(sorted({act.track for act in acts})),
        acts=acts,
        labels_exposed=CountRange(max(0, count.low - earlier), own, max(own, count.high - earlier)),
        facts={**signal.facts, "acts_told_earlier": len(signal.acts) - len(acts)},
    )


def incident_id(site: str, signal: Signal) -> str:
    """Id of the incident that a signal begins: equal for equal timestamps, however often they are replayed."""
    first = f"{site}|{signal.camera}|{signal.kind.value}|{signal.zone or ''}|{signal.started_at:.3f}"
    return hashlib.sha256(first.encode()).hexdigest()[:24]


def begun(site: str, signal: Signal) -> Incident:
    """A new incident from its first signal."""
    return Incident(
        incident_id(site, signal), signal.camera, signal.kind, signal.severity, signal.score, signal.zone,
        signal.started_at, signal.at, signal.tracks, signal.acts, signal.labels_exposed, signal.facts, signal.boxes,
        signal.private,
    )  # fmt: skip


def grown(incident: Incident, signal: Signal) -> Incident:
    """The incident with one more signal; severity and counts never fall, the newest facts stay.

    Boxes, and the picture drawn from them, show something happening: those of a signal that only says an act is over
    would show somebody walking away.
    """
    acts = {(act.track, act.started_at): act for act in (*incident.acts, *signal.acts)}
    happening = not acts or len(acts) > len(incident.acts)
    old, new = incident.labels_exposed, signal.labels_exposed
    return replace(
        incident,
        severity=max(incident.severity, signal.severity, key=lambda severity: severity.rank),
        score=max(incident.score, signal.score),
        ended_at=max(incident.ended_at, signal.at),
        tracks=tuple(sorted({*incident.tracks, *signal.tracks})),
        acts=tuple(sorted(acts.values(), key=_start)),
        labels_exposed=CountRange(max(old.low, new.low), max(old.best, new.best), max(old.high, new.high)),
        facts=signal.facts,
        boxes=signal.boxes if happening else incident.boxes,
        private=signal.private if happening else incident.private,
    )


def _start(act: Act) -> tuple[float, int]:
    return act.started_at, act.track
