"""Which parcel an act is about: the parcel that each look aims at enters, the one aimed at longest leaves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from detector.rules.evidence import NOTHING, Sums, plus

TAKEN_OVER_S = 0.8  # looks at another parcel outweigh those at the target by so long: that one is photographed now


class Rival(NamedTuple):
    """A parcel aimed at instead of the target: since when, net seconds, and what all looks since then say and weigh."""

    since: float
    seconds: float = 0.0
    sums: Sums = NOTHING
    weight: float = 0.0


class Aims(NamedTuple):
    """What the looks of a run were aimed at.

    Attributes:
        target: The parcel aimed at longest, as long as the act isn't confirmed; one that was never aimed at stands in
            for it until one is.
        seconds: That each parcel was aimed at.
        at: When the target was last.
        rivals: Parcels that may be about to take the target's place.
    """

    target: int | None = None
    seconds: Mapping[int, float] = {}
    at: float = 0.0
    rivals: Mapping[int, Rival] = {}

    def after(self, parcel: int, at: float, length_s: float, *, confirmed: bool) -> Aims:
        """With one more look at a parcel, at a frame time, that counts for so long."""
        seconds, target = {**self.seconds, parcel: self.seconds.get(parcel, 0.0) + length_s}, self.target
        # What was never aimed at is none, or stands in.
        if target is None or target not in self.seconds or (not confirmed and seconds[parcel] > seconds[target]):
            target = parcel
        rivals = {}
        for rival in {*self.rivals, parcel} - {target}:
            known = self.rivals.get(rival) or Rival(at)
            net_s = known.seconds + (length_s if rival == parcel else -length_s if parcel == target else 0.0)
            if net_s > 0:
                rivals[rival] = known._replace(seconds=net_s)
        return Aims(target, seconds, at if parcel == target else self.at, rivals)

    def weighing(self, added: Sequence[float], weight: float) -> Aims:
        """With what a look says, and weighs, counted for the rivals: looks against the act count for them too."""
        if not self.rivals:
            return self
        rivals = {
            parcel: Rival(rival.since, rival.seconds, plus(rival.sums, added), rival.weight + weight)
            for parcel, rival in self.rivals.items()
        }
        return self._replace(rivals=rivals)

    @property
    def taken_over(self) -> int | None:
        """The parcel that has taken the place of the target for good, if one has."""
        return next((parcel for parcel, rival in self.rivals.items() if rival.seconds >= TAKEN_OVER_S), None)
