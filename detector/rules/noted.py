"""An act, and what was seen of it: whether it may count towards a sweep."""

from __future__ import annotations

from dataclasses import dataclass

from detector.config import Zone
from detector.rules.exposure import NO_LABELS, Exposed
from detector.rules.policy import Permission
from detector.values import Act, ActKind, Box

QUICK_S, MOVES_ON_S = 2.0, 12.0


@dataclass(frozen=True, slots=True)
class Noted:
    """An act and what was seen of it.

    Attributes:
        act: As told last.
        zone: Where it is done; it may count in another.
        permission: What is fine there and then however many do it; more may be for so many as they are.
        target: Box of the parcel aimed at, pixels; `None` where there is none.
        crouched: Share of the act spent crouched or bent, 0..1.
        beside: Tracks of others who stayed near.
        exposed: Labels that it took.
        moved_on: Whether it was quick and its parcel then left its place.
        who: Name of who did it, the same for all tracks that may be of one person.
        stayed: Seconds that the track had stayed in one place when the act began, and when it ended.
        around: Slots of all parcels that were in view meanwhile.
    """

    act: Act
    zone: Zone
    permission: Permission
    target: Box | None = None
    crouched: float = 0.0
    beside: frozenset[int] = frozenset()
    exposed: Exposed = NO_LABELS
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


def is_quick(act: Act) -> bool:
    """Whether an act, as far as it has been told, was over at once."""
    return act.ended_at - act.started_at <= QUICK_S


def is_fine(act: Act, permission: Permission) -> bool:
    """Whether an act is; calls, browsing and what is unclear take no labels."""
    if act.kind is ActKind.PHOTO:
        return permission.phones
    return permission.scanners if act.kind is ActKind.SCAN else True
