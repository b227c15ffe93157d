"""When somebody is told: an incident or an alarm comes in, whether a rule wants it leaves."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any

from detector.clock import by_schedule, shown_from
from detector.facts import names
from detector.hub.storage.budget import DIGEST, rank
from detector.hub.watch.alarms import Alarm
from detector.values import IncidentKind, Severity

SYSTEM = "system"  # alarms about the system itself, where rules name kinds
KINDS = (*(kind.value for kind in IncidentKind), SYSTEM)


@dataclass(frozen=True, slots=True)
class Rule:
    """When a target is told.

    Attributes:
        severity: The least.
        kinds: Of incidents; `None` is all.
        places: `site`, `site/camera` or `site/camera/zone`; `None` is all that the target's maker sees. An incident is
            at every place where it ever was: who watches over a zone hears of what began there and grew elsewhere.
        days: 0 is Monday; `None` is every day.
        hours: `08:00-20:00`, in which the rule holds; `None` is always.
        quiet: `22:00-07:00`, in which notices wait for one summary at its end.
        breaks_through: Whether critical ones don't wait.
        per_hour: So many notices an hour at most, and as many critical ones, of which each box has its share whatever
            others tell; what exceeds them waits for a summary.
    """

    severity: str = "warning"
    kinds: tuple[str, ...] | None = None
    places: tuple[str, ...] | None = None
    days: tuple[int, ...] | None = None
    hours: str | None = None
    quiet: str | None = None
    breaks_through: bool = True
    per_hour: int = 6
    number: int = 0
    target: int = 0
    user: str = ""
    at: float = 0.0

    def wants(self, incident: Any, local: datetime) -> bool:
        """Whether an incident is told by it at a local time."""
        if not self._holds(incident.severity, incident.kind, local):
            return False
        # What exceeds the alert budget goes to the digest; who asks for notes too wants it all.
        if incident.told == DIGEST and self.severity != Severity.INFO:
            return False
        camera = f"{incident.site}/{incident.camera}"
        zones = filter(None, (incident.zone, *names(incident.record["facts"], "other_zones")))
        there = {incident.site, camera, *(f"{camera}/{zone}" for zone in zones)}
        return self.places is None or not there.isdisjoint(self.places)

    def wants_alarm(self, alarm: Alarm, local: datetime) -> bool:
        """Whether a system alarm is told by it at a local time; what ails the hub ails every place."""
        if not self._holds(alarm.severity, SYSTEM, local):
            return False
        place = [part for part in (alarm.site, alarm.camera) if part]
        return self.places is None or any(
            place[: len(parts)] == parts[: len(place)] for parts in map(place_parts, self.places)
        )

    def quiet_until(self, local: datetime, severity: str = "") -> float | None:
        """When its quiet hours end, Unix seconds, which a local time is in; `None` where nothing so severe waits."""
        is_exempt = self.breaks_through and severity == Severity.CRITICAL
        if self.quiet is None or is_exempt or not within(self.quiet, local):
            return None
        return shown_from(end_of(self.quiet, local))

    def _holds(self, severity: str, kind: str, local: datetime) -> bool:
        if rank(severity) < rank(self.severity) or (self.kinds is not None and kind not in self.kinds):
            return False
        if self.days is not None and _duty_day(local, self.hours) not in self.days:
            return False
        return self.hours is None or within(self.hours, local)


def within(span: str, local: datetime) -> bool:
    """Whether a local time is in a span such as `22:00-07:00`, its end excluded."""
    begins, ends = _bounds(span)
    at = by_schedule(local)
    return begins <= at < ends if begins < ends else at >= begins or at < ends


def _bounds(span: str) -> tuple[time, time]:
    return time.fromisoformat(span[:5]), time.fromisoformat(span[6:])


def end_of(span: str, local: datetime) -> datetime:
    """When a span that a local time is in ends."""
    _, ends = _bounds(span)
    end = local.replace(hour=ends.hour, minute=ends.minute, second=0, microsecond=0)
    return end if end > local else end + timedelta(days=1)


def _duty_day(local: datetime, hours: str | None) -> int:
    """The weekday that a time counts to: after midnight, hours that began before it are the day before's."""
    if hours is not None:
        begins, ends = _bounds(hours)
        if begins > ends > by_schedule(local):
            return (local - timedelta(days=1)).weekday()
    return local.weekday()


def place_parts(place: str) -> list[str]:
    """Site, camera and zone of a place that a rule names, as far as it names them."""
    return place.split("/", 2)
