"""What is fine where and when: a zone, a time and a number of people enter, permissions with their reason leave."""

from __future__ import annotations

from dataclasses import dataclass

from detector.config import Exemption, Zone
from detector.shifts import Shifts


@dataclass(frozen=True, slots=True)
class Permission:
    """What is fine in a zone at one moment.

    Attributes:
        phones: Photographing labels with a phone.
        scanners: Handheld scanners.
        staying: Being here.
        working: Whether it is working time.
        shift: Name of the shift that is on, if any.
        because: The exemption's reason where one holds, else empty.
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
        working = self._shifts.working(at)
        policy = zone.policy
        shift = duty.name if duty else None
        holding = (e for e in policy.exemptions if self._holds(e, shift, at, people))
        exemption = next(holding, Exemption(reason="-"))
        return Permission(
            phones=(exemption.phones or policy.phones) == "allowed",
            scanners=(exemption.scanners or policy.scanners) == "allowed",
            staying=working or (exemption.staying or policy.staying) == "allowed",
            working=working,
            shift=shift,
            because=exemption.reason if exemption.reason != "-" else "",
        )

    def _holds(self, exemption: Exemption, shift: str | None, at: float, people: int) -> bool:
        if exemption.shifts and shift not in exemption.shifts:
            return False
        if exemption.until is not None and self._shifts.local(at).date() > exemption.until:
            return False
        return exemption.people is None or people <= exemption.people
