"""What is fine where and when: a zone, a time and a number of people enter, permissions with their reason leave."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from detector.config import Exemption, Policy, Zone
from detector.shifts import Date, Shifts

SUBJECTS = ("phones", "scanners", "staying")  # what policies speak of


@dataclass(frozen=True, slots=True)
class Permission:
    """What is fine in a zone at one moment.

    Attributes:
        phones: Photographing labels with a phone.
        scanners: Handheld scanners.
        staying: Being here.
        working: Whether it is working time.
        shift: Name of the shift that is on, if any.
        because: Reasons of the exemptions that decide any of it, else empty.
    """

    phones: bool
    scanners: bool
    staying: bool
    working: bool
    shift: str | None
    because: str = ""


class Policies:
    """What the configuration allows; asked by rules, explained by `labelwatch check --explain`."""

    def __init__(self, shifts: Shifts) -> None:
        self._shifts = shifts

    def at(self, zone: Zone, at: float, people: int = 1) -> Permission:
        """What is fine in a zone at frame time `at` for so many people doing it together."""
        duty = self._shifts.at(at)
        # A shift past midnight is still the day's on which it began, and so is an exemption of that day.
        day = duty.day if duty else self._shifts.local(at).date()
        return permission(zone.policy, duty.name if duty else None, self._shifts.working(at), day, people)

    def least(self, zone: Zone, at: float) -> Permission:
        """What is fine in a zone at frame time `at` however many do it together."""
        limits = {exemption.people for exemption in zone.policy.exemptions if exemption.people}
        told = [self.at(zone, at, people) for people in (*limits, max(limits, default=0) + 1)]
        return replace(
            told[-1],
            phones=all(each.phones for each in told),
            scanners=all(each.scanners for each in told),
            staying=all(each.staying for each in told),
        )


def permission(policy: Policy, shift: str | None, working: bool, day: Date, people: int = 1) -> Permission:
    """What a policy allows.

    Of each of phones, scanners and staying, the first exemption decides that holds and speaks of it.

    Args:
        policy: Of the zone.
        shift: Name of the shift that is on, `None` outside all.
        working: Whether it is working time; then staying is always fine.
        day: On which the shift began, or today.
        people: How many do it together.
    """
    holding = [exemption for exemption in policy.exemptions if holds(exemption, shift, day, people)]

    def deciding(name: str) -> Iterator[Exemption]:
        return (exemption for exemption in holding if getattr(exemption, name) is not None)

    deciders = {name: next(deciding(name), None) for name in SUBJECTS}
    allowed = {name: getattr(decider or policy, name) == "allowed" for name, decider in deciders.items()}
    reasons = dict.fromkeys(decider.reason for decider in deciders.values() if decider)
    return Permission(
        phones=allowed["phones"],
        scanners=allowed["scanners"],
        staying=working or allowed["staying"],
        working=working,
        shift=shift,
        because="; ".join(reasons),
    )


def holds(exemption: Exemption, shift: str | None, day: Date, people: int) -> bool:
    """Whether an exemption holds in a shift (`None`: outside all) of a day, for so many people."""
    if exemption.shifts and shift not in exemption.shifts:
        return False
    if exemption.until is not None and day > exemption.until:
        return False
    return exemption.people is None or people <= exemption.people
