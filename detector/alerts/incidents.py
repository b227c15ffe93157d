"""Which incident a signal belongs to: signals enter, steps in the lives of incidents leave.

A signal is the state of one finding. Findings of one place, people and time are one incident:

- of one kind in one zone, when they follow each other within `join_s`;
- of different kinds in one zone, when they do so and share a track, or one of them names no tracks, or they overlap in
  time;
- in different zones, when they are of different kinds and share a track, or are of one kind and an act was told of
  both: its people, or some of them, went on there; and so did who lingers in one after the other.

A camera that was tampered with is never joined with anything, and for as long as that lasts it is one incident:
whoever heard of its end would take the camera for one that sees again. The incident is told as the gravest of its kinds
(`severity.GRAVITY`) and keeps the id of its first signal when that changes. Two incidents that are already told stay
two, even when a later finding would fit both: it goes to the one with which it shares people, else to the latest.
A rule tells a finding from its beginning, so what it says replaces what it said. But where it counts only acts that
began more than `join_s` after the last it told, it has forgotten those: while the incident is open, both count.

An incident speaks when it is new, when a signal adds to it, and when it ends; one that outlasts `longest_s` only at
each doubling of its length, and when it turns out to be graver or something else. What it then says of its findings is
`merging`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field, replace
from itertools import chain
from math import ceil, inf, isfinite
from typing import Any

from detector.alerts.merging import added, begun, grown, joined, parcels_of, photos_in
from detector.config import Incidents
from detector.facts import FACTS, PLAIN, count, holds
from detector.telling import due_again
from detector.values import (
    NOTHING,
    Act,
    ActKey,
    ActKind,
    CountRange,
    Incident,
    IncidentKind,
    IncidentUpdate,
    Phase,
    Signal,
)

Key = tuple[IncidentKind, str | None]

SAME_S = 0.001  # findings that begin within this have the same id
TOLD_AGAIN_S = 3600.0  # rules forget acts after this (`rules/sweep.py`), and tell those before from the beginning
LEAST_MORE_S = 60.0  # a finding that outlives its incident is news again once it has gone on for so long


@dataclass(slots=True)
class _Case:
    """An open incident, the latest state of each of its findings, when it was first told, and as what it was last.

    `earlier` are findings as they were before they were told anew.
    """

    incident: Incident
    findings: dict[Key, Signal]
    told_at: float
    last_told: Incident
    earlier: dict[Key, Signal] = field(default_factory=dict)

    def told(self) -> frozenset[ActKey]:
        """The acts that it told of."""
        told = [self.incident.acts, *(finding.acts for finding in self.findings.values())]
        return frozenset(act.key for acts in told for act in acts)

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
        self._ended: list[tuple[Key, Incident]] = []  # of each finding the last, and all whose acts may be told again
        self._too_low: dict[Key, float] = {}

    def admit(self, signals: Iterable[Signal], at: float) -> list[IncidentUpdate]:
        """Updates that these signals cause, and ends that are due at frame time `at`."""
        updates = [self._end(case) for case in list(self._open) if self._is_over(case, at)]
        for signal in map(sane, signals):
            update = self._take(signal, at) if signal else None
            if update:
                updates.append(update)
        return updates

    def finish(self, withheld: Iterable[Signal] = ()) -> list[IncidentUpdate]:
        """End every open incident, each with what was withheld of it.

        None begins with that: there may be no picture any more to show with it.
        """
        told = {case.incident.id: case.incident for case in self._open}
        for signal in map(sane, withheld):
            if signal and self._that_told(signal):
                self._take(signal, signal.at)
        return [replace(self._end(case), before=told[case.incident.id]) for case in list(self._open)]

    def _take(self, signal: Signal, at: float) -> IncidentUpdate | None:
        key = (signal.kind, signal.zone)
        case = self._that_told(signal)
        if case is None and signal.score < self.least_score.get(signal.kind, 0.0):
            self.held_back[signal.kind] += self._too_low.get(key) != signal.started_at
            self._too_low[key] = signal.started_at
            return None
        fresh: Signal | None = signal
        for known, ended in self._ended:
            if fresh and (known == key or (known[0] is signal.kind and share_acts(fresh.acts, ended.acts))):
                fresh = untold(fresh, ended, case.told() if case else frozenset())
        if fresh is None:
            return None
        case = case or self._fitting(fresh)
        if case is None:
            incident = self._placed(begun(self._site, fresh))
            self._open.append(_Case(incident, {key: fresh}, at, incident))
            return IncidentUpdate(Phase.NEW, None, incident)
        case.gather(key, fresh.acts)
        finding = case.findings.get(key)
        if finding and is_anew(finding, fresh, self._window_s):
            case.earlier[key] = finding
        finding = joined(finding, fresh, case.earlier.get(key)) if finding else fresh
        case.findings[key] = finding
        case.incident = self._placed(grown(case.incident, finding, case.findings.values()))
        if not self._is_news(case):
            return None
        before, case.last_told = case.last_told, case.incident
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

    def _is_news(self, case: _Case) -> bool:
        """Whether what a signal added is told: where an incident lasts longer than most may, ever more seldom."""
        told, now = case.last_told, case.incident
        told_s, lasted_s = (each.ended_at - each.started_at for each in (told, now))
        if now.kind is not IncidentKind.TAMPER or lasted_s <= self._settings.longest_s:
            return True
        is_same = told.severity is now.severity and told.facts.get("what") == now.facts.get("what")
        return not is_same or due_again(told_s, lasted_s, self._settings.longest_s)

    def _is_over(self, case: _Case, at: float) -> bool:
        # A rule may tell of what began long ago: that must not end at once.
        longest_s = self._settings.longest_s
        since = max(case.incident.started_at, case.told_at - min(self._settings.join_s, longest_s / 2))
        is_too_long = at - since > longest_s and case.incident.kind is not IncidentKind.TAMPER
        quiet = abs(at - case.incident.ended_at)  # time may have been set back
        return quiet > self._settings.join_s or is_too_long

    def _end(self, case: _Case) -> IncidentUpdate:
        self._open.remove(case)
        incident = case.incident
        since = incident.ended_at - TOLD_AGAIN_S
        # Two may end as sweeps of one zone, and the rule then tell one there with the acts of both.
        self._ended = [
            (key, ended)
            for key, ended in self._ended
            if key not in case.findings or (ended.acts and ended.ended_at >= since)
        ]
        self._ended += [(key, incident) for key in case.findings]
        return IncidentUpdate(Phase.END, incident, incident)


def sane(signal: Signal) -> Signal | None:
    """The signal without facts that aren't known or are no number; `None` when it doesn't say when it was."""
    if not (isfinite(signal.started_at) and isfinite(signal.at)):
        return None
    return replace(
        signal,
        started_at=min(signal.started_at, signal.at),
        score=min(max(signal.score, 0.0), 1.0) if isfinite(signal.score) else 0.0,
        facts={name: v for name, v in signal.facts.items() if _is_known(name, v)},
    )


def _is_known(name: str, value: Any) -> bool:
    if value is None:
        return FACTS.get(name, PLAIN).none_says
    return not isinstance(value, float) or isfinite(value)


def belongs(finding: Signal, signal: Signal, join_s: float) -> bool:
    """Whether a signal of another kind, or of who lingers elsewhere, is of a finding's place, people and time."""
    goes_on = signal.kind is IncidentKind.LINGERING and finding.zone != signal.zone
    if (finding.kind is signal.kind and not goes_on) or IncidentKind.TAMPER in (finding.kind, signal.kind):
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
    return bool({act.key for act in some} & {act.key for act in others})


def untold(signal: Signal, ended: Incident, kept: Set[ActKey] = frozenset()) -> Signal | None:
    """What a signal says beyond the incident that ended before it; `None` when that is nothing.

    `kept` are acts that the incident which goes on told itself: they stay its own, whoever else told of them.

    A rule tells a finding from its beginning every time. Of a finding that outlives its incident, the next one has
    only what came after, and so an id of its own and no photo counted twice. Unless it is in doubt it matters no less:
    who was told of dozens of photos is not told of one more as of less. What may have gone unseen beside the photos of
    the whole, and which of them were scans, is shared out among them.
    """
    if not signal.acts:
        return _gone_on(signal, ended)
    told = {act.key for act in ended.acts}
    since = min((act.started_at for act in ended.acts), default=ended.started_at)
    acts = tuple(act for act in signal.acts if act.key in kept or (act.started_at >= since and act.key not in told))
    if not any(act.kind in (ActKind.PHOTO, ActKind.SCAN) for act in acts):  # what went on beside them is no news
        return None
    if len(acts) == len(signal.acts):
        return signal
    exposed = signal.labels_exposed
    own = min(exposed.best, len(parcels_of(acts)))
    earlier = exposed.best - own
    earlier_acts = count(signal.facts, "acts_told_earlier") + len(signal.acts) - len(acts)
    facts = {**signal.facts, "acts_told_earlier": earlier_acts}
    left = {
        "photos": photos_in(acts),
        "parcels": len(parcels_of(acts)),
        "scans": sum(act.kind is ActKind.SCAN for act in acts),
        "unclear": sum(act.kind is ActKind.UNCLEAR for act in acts),
    }
    facts |= {name: min(count(facts, name), n) for name, n in left.items() if name in facts}
    share = len(acts) / len(signal.acts)
    facts |= {name: ceil(share * count(facts, name)) for name in ("untold", "moved_on") if name in facts}
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
