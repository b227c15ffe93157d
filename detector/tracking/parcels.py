"""Parcels as slots that stay: boxes and facing scores of one frame enter, slots with accumulated facing leave."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from detector.geometry import as_array, as_box, covered_share, iou
from detector.tracking.matching import best_pairs
from detector.values import NOT_UP, UP, Box, Detections, Facing, FloatArray, Parcel


@dataclass(slots=True)
class _Slot:
    id: int
    box: FloatArray
    first_seen_at: float
    last_seen_at: float
    missed_since: float | None = None
    sightings: int = 0
    judged: float = 0.0
    looks: int = 0
    up: float = 0.5

    @property
    def facing(self) -> Facing:
        """Verdict: unknown until three looks, and enough of the recent ones, could judge it and agree by a margin."""
        if self.looks < 3 or self.judged < 0.3 or 0.35 < self.up < 0.65:
            return Facing.UNKNOWN
        return Facing.UP if self.up >= 0.65 else Facing.NOT_UP


class ParcelSlots:
    """Remembers parcels through occlusion; forgets one that is plainly gone from where it lay."""

    def __init__(self, *, keep_s: float = 4.0, memory: float = 0.9, judged_at: float = 0.5) -> None:
        """`keep_s`: how long a slot in plain view may go undetected; `memory`: weight of the past in each look.

        `judged_at`: least facing score at which one look counts as having judged.
        """
        self._keep_s = keep_s
        self._memory = memory
        self._judged_at = judged_at
        self._slots: list[_Slot] = []
        self._next_id = 1

    def update(self, parcels: Detections, people: Sequence[Box], at: float) -> tuple[Parcel, ...]:
        """Match parcels seen at frame time `at`; `people` hide what is behind them.

        Returns:
            Every slot, seen now or hidden, in order of id.
        """
        known = as_array([as_box(slot.box) for slot in self._slots])
        pairs = best_pairs(iou(known, parcels.boxes), 0.4)
        for row, column in pairs:
            self._see(self._slots[row], parcels, column, at)
        taken = {column for _, column in pairs}
        matched = {row for row, _ in pairs}
        for row, slot in enumerate(self._slots):
            if row in matched:
                slot.missed_since = None
            elif any(covered_share(as_box(slot.box), person) > 0.15 for person in people):
                slot.missed_since = None  # hidden, not gone
            elif slot.missed_since is None:
                slot.missed_since = at
        self._slots = [s for s in self._slots if s.missed_since is None or at - s.missed_since <= self._keep_s]
        for k in range(len(parcels)):
            if k not in taken:
                self._slots.append(_Slot(self._next_id, parcels.boxes[k].copy(), at, at))
                self._next_id += 1
                self._look(self._slots[-1], parcels, k)
        return tuple(
            Parcel(s.id, as_box(s.box), s.facing, s.up, s.looks, s.first_seen_at, s.last_seen_at) for s in self._slots
        )

    def _see(self, slot: _Slot, parcels: Detections, k: int, at: float) -> None:
        slot.box = (0.8 * slot.box + 0.2 * parcels.boxes[k]).astype(np.float32)
        slot.last_seen_at = at
        self._look(slot, parcels, k)

    def _look(self, slot: _Slot, parcels: Detections, k: int) -> None:
        up, not_up = float(parcels.traits[k, UP]), float(parcels.traits[k, NOT_UP])
        could = max(up, not_up) >= self._judged_at
        slot.sightings += 1
        # An hour in which it couldn't be judged mustn't outweigh the seconds after it was turned.
        slot.judged += max(1 / slot.sightings, 0.02) * (could - slot.judged)
        if not could:
            return
        share = up / (up + not_up)
        slot.looks += 1
        # A plain mean while looks are few, then the past fades: a parcel may be turned.
        weight = max(1 - self._memory, 1 / slot.looks)
        slot.up += weight * (share - slot.up)
