"""Which incident a signal belongs to: signals enter, steps in the lives of incidents leave.

A signal is the state of one finding. Findings of one place, people and time are one incident:

- of one kind in one zone, when they follow each other within `join_s`;
- of different kinds in one zone, when they do so and share a track, or one of them names no tracks, or they overlap in
  time;
- in different zones, when they are of different kinds and share a track, or are of one kind and an act was told of
  both: its people, or some of them, went on there.

A camera that was tampered with is never joined with anything. The incident is told as the gravest of its kinds
(`severity.GRAVITY`) and keeps the id of its first signal when that changes. Two incidents that are already told stay
two, even when a later finding would fit both: it goes to the one with which it shares people, else to the latest.
A rule tells a finding from its beginning, so what it says replaces what it said. But where it counts only acts that
began more than `join_s` after the last it told, it has forgotten those: while the incident is open, both count.

An incident speaks when it is new, when a signal adds to it, and when it ends.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass, field, replace
from functools import reduce
from itertools import chain
from math import ceil, inf, isfinite
from typing import Any

from detector.alerts.severity import GRAVITY, severity
from detector.config import Incidents
from detector.facts import FACTS, PLAIN, count, holds, names, number
from detector.values import NOTHING, Act, ActKind, CountRange, Incident, IncidentKind, IncidentUpdate, Phase, Signal

Key = tuple[IncidentKind, str | None]

SAME_S = 0.001  # findings that begin within this have the same id
LEAST_MORE_S = 60.0  # a finding that outlives its incident is news again once it has gone on for so long

# Of these one incident may hold several of one zone, by turns: who stayed, and who stayed later.
SEVERAL = (IncidentKind.LINGERING, IncidentKind.BLIND_CORNER, IncidentKind.TAMPER)


@dataclass(slots=True)
class _Case:
    """An open incident, the latest state of each of its findings, and when it was first told.

    `earlier` are findings as they were before they were told anew.
    """

    incident: Incident
    findings: dict[Key, Signal]
    told_at: float
    earlier: dict[Key, Signal] = field(default_factory=dict)

    def gather(self, here: Key, acts: Iterable[Act]) -> None:
        """Make findings of other zones in which some of these acts were told findings of this one, where they count."""
        moved = [k for k, f in self.findings.items() if k != here and k[0] is here[0] and share_acts(f.acts, acts)]
        for key in moved:
            for findings, together in ((self.findings, joined), (self.earlier, added)):
                if key in findings:
                    finding = findings.pop(key)
                    findings[here] = together(finding, findings[here]) if here in findings else finding


class IncidentBook:
    """Open incidents of one camera.

    Args:
        site: Name of the site; it goes into ids.
        settings: When findings belong together.
        least_score: See the attribute; held, not copied, so that books which follow each other may share one.
        window_s: How long a sweep's rule remembers acts: those of a signal that began later are counted without them.
            `settings.join_s` when left out, and at most that.
        spots: Of zones that show a spot which other cameras see too, its name.

    Attributes:
        least_score: Findings of a kind scored lower begin no incident and join none. The rule goes on to tell them, so
            one whose score rises comes in whole, back to its beginning. It may be changed or replaced at any time.
        held_back: How many findings were scored too low, by kind.
    """

    def __init__(
        self,
        site: str,
        settings: Incidents,
        least_score: dict[IncidentKind, float] | None = None,
        window_s: float = inf,
        spots: Mapping[str, str] = NOTHING,
    ) -> None:
        self.least_score: dict[IncidentKind, float] = {} if least_score is None else least_score
        self.held_back: Counter[IncidentKind] = Counter()
        self._site = site
        self._settings = settings
        self._window_s = min(window_s, settings.join_s)
        self._spots = spots
        self._open: list[_Case] = []
        self._ended: dict[Key, Incident] = {}
        self._too_low: dict[Key, float] = {}

    def admit(self, signals: Iterable[Signal], at: float) -> list[IncidentUpdate]:
        """Updates that these signals cause, and ends that are due at frame time `at`."""
        updates = [self._end(case) for case in list(self._open) if self._is_over(case, at)]
        for signal in map(sane, signals):
            update = self._take(signal, at) if signal else None
            if update:
                updates.append(update)
        return updates

    def finish(self) -> list[IncidentUpdate]:
        """End every open incident."""
        return [self._end(case) for case in list(self._open)]

    def _take(self, signal: Signal, at: float) -> IncidentUpdate | None:
        key = (signal.kind, signal.zone)
        case = self._that_told(signal)
        if case is None and signal.score < self.least_score.get(signal.kind, 0.0):
            self.held_back[signal.kind] += self._too_low.get(key) != signal.started_at
            self._too_low[key] = signal.started_at
            return None
        fresh: Signal | None = signal
        for known, ended in self._ended.items():
            if fresh and (known == key or (known[0] is signal.kind and share_acts(fresh.acts, ended.acts))):
                fresh = untold(fresh, ended)
        if fresh is None:
            return None
        case = case or self._fitting(fresh)
        if case is None:
            incident = self._placed(begun(self._site, fresh))
            self._open.append(_Case(incident, {key: fresh}, at))
            return IncidentUpdate(Phase.NEW, None, incident)
        case.gather(key, fresh.acts)
        before, finding = case.incident, case.findings.get(key)
        if finding and is_anew(finding, fresh, self._window_s):
            case.earlier[key] = finding
        finding = joined(finding, fresh, case.earlier.get(key)) if finding else fresh
        case.findings[key] = finding
        case.incident = self._placed(grown(before, finding, case.findings.values()))
        return IncidentUpdate(Phase.UPDATE, before, case.incident)

    def _placed(self, incident: Incident) -> Incident:
        """The incident with the spot that its zone shows."""
        return replace(incident, spot=self._spots.get(incident.zone or ""))

    def _that_told(self, signal: Signal) -> _Case | None:
        """The open incident that told a finding before, or told some of its acts of another zone."""
        same = (case for case in self._open if (signal.kind, signal.zone) in case.findings)
        moved = (case for case in self._open if share_acts(case.incident.acts, signal.acts))
        return next(chain(same, moved), None)

    def _fitting(self, signal: Signal) -> _Case | None:
        """The open incident that a finding new to all of them belongs to."""
        join_s = self._settings.join_s
        cases = [c for c in self._open if any(belongs(f, signal, join_s) for f in c.findings.values())]
        people = set(signal.tracks)
        return max(cases, key=lambda c: (bool(people & {*c.incident.tracks}), c.incident.ended_at), default=None)

    def _is_over(self, case: _Case, at: float) -> bool:
        # A rule may tell of what began long ago: that must not end at once.
        since = max(case.incident.started_at, case.told_at - self._settings.join_s)
        quiet = abs(at - case.incident.ended_at)  # time may have been set back
        return quiet > self._settings.join_s or at - since > self._settings.longest_s

    def _end(self, case: _Case) -> IncidentUpdate:
        self._open.remove(case)
        self._ended.update(dict.fromkeys(case.findings, case.incident))
        return IncidentUpdate(Phase.END, case.incident, case.incident)


def sane(signal: Signal) -> Signal | None:
    """The signal without facts that aren't known or are no number; `None` when it doesn't say when it was."""
    if not (isfinite(signal.started_at) and isfinite(signal.at)):
        return None
    return replace(
        signal,
        started_at=min(signal.started_at, signal.at),
        score=min(max(signal.score, 0.0), 1.0) if isfinite(signal.score) else 0.0,
        facts={name: v for name, v in signal.facts.items() if _is_known(v)},
    )


def _is_known(value: Any) -> bool:
    return value is not None and (not isinstance(value, float) or isfinite(value))


def belongs(finding: Signal, signal: Signal, join_s: float) -> bool:
    """Whether a signal of another kind is of the same place, people and time as a finding."""
    if finding.kind is signal.kind or IncidentKind.TAMPER in (finding.kind, signal.kind):
        return False
    apart = max(signal.started_at - finding.at, finding.started_at - signal.at)
    if apart > join_s:
        return False
    shared = bool({*finding.tracks} & {*signal.tracks})
    if finding.zone != signal.zone:
        return shared
    return shared or not finding.tracks or not signal.tracks or apart <= 0


def share_acts(some: Iterable[Act], others: Iterable[Act]) -> bool:
    """Whether an act is among both."""
    return bool({_key(act) for act in some} & {_key(act) for act in others})


def untold(signal: Signal, ended: Incident) -> Signal | None:
    """What a signal says beyond the incident that ended before it; `None` when that is nothing.

    A rule tells a finding from its beginning every time. Of a finding that outlives its incident, the next one has
    only what came after, and so an id of its own and no photo counted twice. Unless it is in doubt it matters no less:
    who was told of dozens of photos is not told of one more as of less. What may have gone unseen beside the photos of
    the whole is shared out among them.
    """
    if not signal.acts:
        return _gone_on(signal, ended)
    told = {_key(act) for act in ended.acts}
    since = min((act.started_at for act in ended.acts), default=ended.started_at)
    acts = tuple(act for act in signal.acts if act.started_at >= since and _key(act) not in told)
    if not any(act.kind in (ActKind.PHOTO, ActKind.SCAN) for act in acts):  # what went on beside them is no news
        return None
    if len(acts) == len(signal.acts):
        return signal
    exposed = signal.labels_exposed
    own = min(exposed.best, len(_parcels(acts)))
    earlier = exposed.best - own
    facts = {**signal.facts, "acts_told_earlier": len(signal.acts) - len(acts)}
    if "photos" in facts:
        facts["photos"] = min(count(facts, "photos"), _photos(acts))
    share = len(acts) / len(signal.acts)
    if "untold" in facts:
        facts["untold"] = ceil(share * count(facts, "untold"))
    severest = max(signal.severity, ended.severity, key=lambda severity: severity.rank)
    return replace(
        signal,
        severity=signal.severity if holds(facts, "unsure") else severest,
        started_at=min(act.started_at for act in acts),
        tracks=tuple(sorted({act.track for act in acts})),
        acts=acts,
        labels_exposed=CountRange(
            max(0, exposed.low - earlier), own, own + ceil(share * (exposed.high - exposed.best))
        ),
        facts=facts,
    )


def _gone_on(signal: Signal, ended: Incident) -> Signal | None:
    """What a signal without acts says beyond the incident that ended before it: how long it has gone on since."""
    since = max(signal.started_at, ended.ended_at)
    if since - ended.started_at < SAME_S:  # that one was told at one instant: what follows has begun since
        since = signal.at
    if since - ended.started_at < SAME_S:
        return None
    goes_on = signal.started_at < ended.ended_at <= signal.at
    if goes_on and signal.at - ended.ended_at < LEAST_MORE_S:
        return None  # the last seconds of what was told
    facts = {**signal.facts, "told_before": True} if goes_on else signal.facts
    return replace(signal, started_at=min(signal.at, since), facts=facts)


def is_anew(finding: Signal, signal: Signal, window_s: float) -> bool:
    """Whether all acts that a signal counts began more than `window_s` after those of the finding that it goes on."""
    over = max((act.ended_at for act in finding.acts), default=signal.started_at)
    return bool(signal.acts) and signal.started_at - over > window_s


def joined(finding: Signal, signal: Signal, earlier: Signal | None = None) -> Signal:
    """A finding's state after a signal of the same kind and zone: its newest facts, all its people, its best score.

    Once it was sure it stays so.

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
    doubtful = all(holds(each.facts, "unsure") for each in (finding, signal))
    return replace(
        told,
        started_at=min(finding.started_at, signal.started_at),
        at=max(finding.at, signal.at),
        score=max(finding.score, signal.score),
        tracks=_sorted({*finding.tracks, *signal.tracks}),
        facts={**told.facts, "unsure": doubtful} if "unsure" in told.facts else told.facts,
    )


def added(earlier: Signal, signal: Signal) -> Signal:
    """A signal with what was counted earlier, no parcel twice; how it was done is told of where more photos were."""
    again = len(_parcels(earlier.acts) & _parcels(signal.acts))

    def together(a: int, b: int) -> int:
        return max(a, b, a + b - again)

    old, new = earlier.labels_exposed, signal.labels_exposed
    facts = united(sorted((earlier.facts, signal.facts), key=lambda told: count(told, "photos")))
    sums = {
        name: count(earlier.facts, name) + count(signal.facts, name)
        for name, fact in FACTS.items()
        if fact.adds and name in facts
    }
    if "parcels" in facts:
        sums["parcels"] = together(count(earlier.facts, "parcels"), count(signal.facts, "parcels"))
    if "unsure" in facts:
        sums["unsure"] = holds(earlier.facts, "unsure") and holds(signal.facts, "unsure")
    return replace(
        signal,
        acts=(*earlier.acts, *signal.acts),
        labels_exposed=CountRange(
            together(old.low, new.low), together(old.best, new.best), together(old.high, new.high)
        ),
        facts=facts | sums,
    )


def united(facts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Facts of several findings: of one that several state, the last one's, or that of the one where more counts."""
    together: dict[str, Any] = {}
    for more in facts:
        together |= {name: value for name, value in more.items() if not _stays(name, together, more)}
    return together


def _stays(name: str, facts: Mapping[str, Any], more: Mapping[str, Any]) -> bool:
    """Whether a fact is told as it was, whatever another finding states, since that one is of less."""
    fact = FACTS.get(name, PLAIN)
    measure = name if fact.largest else fact.goes_with
    return measure is not None and name in facts and _size(facts, measure) > _size(more, measure)


def _size(facts: Mapping[str, Any], name: str) -> float:
    value = facts.get(name)
    return float(value) if isinstance(value, bool) else number(facts, name) or 0.0


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
    photographed = [finding for finding in reversed(by_gravity) if finding.kind is IncidentKind.LABEL_PHOTOGRAPHY]
    sweep = reduce(added, photographed) if photographed else None  # each zone counts its own
    acts = {_key(act): act for act in (*incident.acts, *signal.acts)}
    happening = not acts or len(acts) > len(incident.acts)
    exposed = [each.labels_exposed for each in (incident, signal, sweep) if each]
    told = [finding.facts for finding in reversed(by_gravity)]
    return _weighed(
        replace(
            incident,
            kind=gravest.kind,
            zone=gravest.zone,
            score=max(finding.score for finding in by_gravity if finding.kind is gravest.kind),
            severity=max(incident.severity, signal.severity, key=lambda severity: severity.rank),
            started_at=min(incident.started_at, signal.started_at),
            ended_at=max(incident.ended_at, signal.at),
            tracks=_sorted({*incident.tracks, *signal.tracks}),
            acts=tuple(sorted(acts.values(), key=_start)),
            labels_exposed=CountRange(*(max(counts) for counts in zip(*map(astuple, exposed), strict=True))),
            facts=united([*told, sweep.facts] if sweep else told) | _ever(incident, signal, gravest.zone),
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
    photos = count(incident.facts, "photos") if known else _photos(incident.acts)
    harm = severity(incident.findings, photos, incident.labels_exposed, incident.facts)
    return replace(incident, severity=harm) if harm.rank > incident.severity.rank else incident


def _photos(acts: Iterable[Act]) -> int:
    return sum(act.kind is ActKind.PHOTO for act in acts)


def _parcels(acts: Iterable[Act]) -> set[int]:
    return {parcel for act in acts for parcel in act.parcels}


def _sorted(tracks: set[int]) -> tuple[int, ...]:
    return tuple(sorted(tracks))


def _key(act: Act) -> tuple[int, float, ActKind]:
    return act.track, act.started_at, act.kind


def _start(act: Act) -> tuple[float, int]:
    return act.started_at, act.track
