"""Slots that were gone before a parcel can have lain there: parcels scene by scene enter, ids of those slots leave.

Where somebody passes before parcels, pieces of them are taken for parcels for a second or two, each time anew; and what
is carried past makes a slot in one place after another. Counted as parcels they would add up without end.
"""

from __future__ import annotations

from collections.abc import Sequence

from detector.values import Parcel

LAIN_S = 3.0  # from first to last sight of a parcel that lies somewhere
KEPT_S = 3600.0  # for so long brief ones are remembered: longer than a sweep goes on without an end


class BriefSlots:
    """Remembers which slots were brief."""

    def __init__(self) -> None:
        self._here: dict[int, Parcel] = {}
        self._gone_at: dict[int, float] = {}

    def observe(self, parcels: Sequence[Parcel], at: float) -> None:
        """Note which slots of the scene before are gone, frame time `at`."""
        here = {parcel.id: parcel for parcel in parcels}
        for number in self._here.keys() - here.keys():
            parcel = self._here[number]
            if parcel.last_seen_at - parcel.first_seen_at < LAIN_S:
                self._gone_at[number] = at
        self._here = here
        while self._gone_at and at - next(iter(self._gone_at.values())) > KEPT_S:
            del self._gone_at[next(iter(self._gone_at))]

    @property
    def ids(self) -> frozenset[int]:
        """Of those that are gone."""
        return frozenset(self._gone_at)
