"""Parcels as slots that stay: boxes, facing scores and labels of one frame enter, slots with accumulated facing leave.

Looks weigh by the seconds since the look before, so that a verdict takes the same time at any frame rate. What was
seen fades only as more is seen: a parcel that nobody could look at for an hour is what it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import starmap
from math import atan2, pi

import numpy as np
from numpy.typing import NDArray

from detector.geometry import areas, as_array, intersections, iou
from detector.tracking.matching import best_pairs
from detector.values import ANGLE_COS, ANGLE_SIN, NOT_UP, UP, Box, Detections, Facing, FloatArray, Parcel

SAME = 0.4  # overlap (IoU) from which a box is the slot's
KEEP_S, HIDDEN_S = 4.0, 900.0  # how long a slot may go undetected, in plain view and behind people
JUDGED = 0.5  # least facing score at which one look counts as having judged
HIDDEN = 0.15  # share of a slot that a person must cover to hide it
# While nothing moves there is a look every few seconds: one in which a parcel is missed says no more than one of those
# that follow each other, in a dim hall least of all.
LONGEST_MISS_S = 1.0
LONGEST_LOOK_S = 0.5  # one look never counts for more than this, whatever was missed since the one before
FIRST_LOOK_S = 0.2  # what the look that makes a slot counts for
# Time constants of fading. A verdict turns about 1.1 of the facing's after the parcel was.
BOX_S, FACING_S, JUDGED_S, ANGLE_S = 0.9, 2.0, 10.0, 4.0
STRAYED = 0.6  # of its shorter side: a parcel this far from where it was first seen was moved, and is another slot
LEAST_S = 0.45  # of looks that could judge, before there is a verdict
LEAST_JUDGED = 0.3  # share of looks that could judge
CLEAR = 0.65  # how surely up or not up the looks must say
STANDING_S = 1.0  # how long a verdict must have stood, before and after, to speak of a turn
LEAST_ANGLE = 0.3  # length of the mean of label angles, 0 (they disagree) to 1, to speak of one

_UNKNOWN, _UP, _NOT_UP = 0, 1, 2
_FACINGS = (Facing.UNKNOWN, Facing.UP, Facing.NOT_UP)

# One row a slot. `judged_s` and `seen_s` are seconds of looks, the first of those that could judge; `judged` is the
# fading share of them. `missed_s` and `hidden_s` are seconds unseen since it was last seen, in plain view and behind
# people; NaN while it is seen. `standing` is the last verdict other than unknown, for `standing_s` seconds of looks
# now; `settled` is the last that stood long enough for a change from it to be a turn.
_SLOT = np.dtype(
    [
        ("id", np.int64), ("box", np.float32, 4), ("home", np.float32, 2), ("first_seen_at", float),
        ("last_seen_at", float), ("missed_s", float), ("hidden_s", float), ("looks", np.int64),
        ("seen_s", float), ("judged_s", float), ("judged", float), ("up", float), ("facing", np.int64),
        ("standing", np.int64), ("standing_s", float), ("stood_at", float), ("settled", np.int64),
        ("turned_at", float), ("angle_s", float), ("axis", float, 2),
        ("score", np.float32),
    ]
)  # fmt: skip


class ParcelSlots:
    """Remembers parcels through occlusion; forgets one that is plainly gone from where it lay."""

    def __init__(self) -> None:
        self._slots = self._aside = np.zeros(0, _SLOT)
        self._next_id = 1
        self._at = 0.0

    def update(
        self, parcels: Detections, people: Sequence[Box], at: float, labels: Detections | None = None
    ) -> tuple[Parcel, ...]:
        """Match parcels seen at frame time `at`; `people` hide what is behind them; `labels` say how parcels lie.

        A parcel that is turned while somebody hides it keeps its slot, and so does another one put in its place: what
        is seen afterwards counts as a turn of it.

        Returns:
            Every slot, seen now or hidden, in order of id.
        """
        rows, columns = best_pairs(iou(self._slots["box"], parcels.boxes), SAME)
        hidden = self._hidden(people)
        self._slots["score"] = 0
        self._see(rows, parcels.boxes[columns], hidden[rows], at)
        strayed = self._strayed(rows)
        self._look(rows, columns, parcels, labels, at)
        self._miss(rows, hidden, at)
        new = np.ones(len(parcels), bool)
        new[columns] = False
        kept = self._kept() & ~strayed
        if not kept.all():
            self._slots = self._slots[kept]
        moved = columns[strayed[rows]]
        self._begin(np.sort(np.concatenate([np.flatnonzero(new), moved])), parcels, labels, at)
        self._at = at
        return self._told()

    def set_aside(self) -> None:
        """Begin anew, since the camera seems to look elsewhere; ids go on."""
        self._aside, self._slots = self._slots, np.zeros(0, _SLOT)

    def take_back(self) -> None:
        """Go on with what was set aside last, since the camera doesn't look elsewhere after all."""
        self._slots = self._aside

    def _hidden(self, people: Sequence[Box]) -> NDArray[np.bool_]:
        boxes = self._slots["box"]
        if not len(boxes) or not people:
            return np.zeros(len(boxes), bool)
        covered = intersections(boxes, as_array(people)) > HIDDEN * np.maximum(areas(boxes), 1e-6)[:, None]
        return np.asarray(covered.any(axis=1), np.bool_)

    def _see(self, rows: NDArray[np.intp], boxes: FloatArray, hidden: NDArray[np.bool_], at: float) -> None:
        """Follow the boxes of slots seen now, but not those of half-hidden ones: what shows of them is no measure."""
        slots = self._slots
        weight = 1 - np.exp(-(at - slots["last_seen_at"][rows]) / BOX_S)
        weight[hidden] = 0
        slots["box"][rows] += weight[:, None].astype(np.float32) * (boxes - slots["box"][rows])

    def _strayed(self, rows: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Which slots were seen to leave their place, bit by bit."""
        box = self._slots["box"]
        away = np.abs((box[:, :2] + box[:, 2:]) / 2 - self._slots["home"]).max(axis=1)
        strayed = np.zeros(len(box), bool)
        strayed[rows] = (away > STRAYED * (box[:, 2:] - box[:, :2]).min(axis=1))[rows]
        return strayed

    def _look(
        self,
        rows: NDArray[np.intp],
        columns: NDArray[np.intp],
        parcels: Detections,
        labels: Detections | None,
        at: float,
    ) -> None:
        if not len(rows):
            return
        slots = self._slots
        first = slots["seen_s"][rows] == 0
        look_s = np.where(first, FIRST_LOOK_S, np.minimum(at - slots["last_seen_at"][rows], LONGEST_LOOK_S))
        slots["last_seen_at"][rows] = at
        slots["score"][rows] = parcels.scores[columns]
        self._judge(rows, columns, parcels, look_s, at)
        if labels is not None and len(labels):
            self._measure_angle(rows, parcels.boxes[columns], labels, look_s)

    def _judge(
        self,
        rows: NDArray[np.intp],
        columns: NDArray[np.intp],
        parcels: Detections,
        look_s: NDArray[np.float64],
        at: float,
    ) -> None:
        slots = self._slots
        up, not_up = np.nan_to_num(parcels.traits[columns][:, [UP, NOT_UP]].astype(float), posinf=1, neginf=0).T
        could = np.maximum(up, not_up) >= JUDGED
        slots["seen_s"][rows] += look_s
        judged = slots["judged"][rows]
        slots["judged"][rows] = judged + faded(look_s, slots["seen_s"][rows], JUDGED_S) * (could - judged)
        share = up / np.maximum(up + not_up, 1e-9)
        slots["looks"][rows] += could
        slots["judged_s"][rows] += could * look_s
        weight = could * faded(look_s, slots["judged_s"][rows], FACING_S)
        slots["up"][rows] += weight * (share - slots["up"][rows])
        self._rule(rows, could * look_s, at)

    def _rule(self, rows: NDArray[np.intp], judged_s: NDArray[np.float64], at: float) -> None:
        """Verdicts: unknown until enough of the looks could judge and agree by a margin; and turns from one to another.

        A turn is a verdict that has stood, contradicted by one that has stood since: labels read now so, now so, are
        no turns.
        """
        slots = self._slots
        up, known = slots["up"][rows], slots["judged_s"][rows] >= LEAST_S
        known &= slots["judged"][rows] >= LEAST_JUDGED
        facing = np.where(up >= CLEAR, _UP, np.where(up <= 1 - CLEAR, _NOT_UP, _UNKNOWN)) * known
        slots["facing"][rows] = facing
        changed = (facing != _UNKNOWN) & (facing != slots["standing"][rows])
        goes_on = (facing != _UNKNOWN) & ~changed
        slots["standing_s"][rows] = np.where(changed, 0.0, slots["standing_s"][rows] + goes_on * judged_s)
        slots["stood_at"][rows] = np.where(changed, at, slots["stood_at"][rows])
        slots["standing"][rows] = np.where(changed, facing, slots["standing"][rows])
        settled = slots["standing_s"][rows] >= STANDING_S
        turned = settled & (slots["settled"][rows] != _UNKNOWN) & (slots["settled"][rows] != slots["standing"][rows])
        slots["turned_at"][rows] = np.where(turned, slots["stood_at"][rows], slots["turned_at"][rows])
        slots["settled"][rows] = np.where(settled, slots["standing"][rows], slots["settled"][rows])

    def _measure_angle(
        self, rows: NDArray[np.intp], boxes: FloatArray, labels: Detections, look_s: NDArray[np.float64]
    ) -> None:
        """Fading mean of the doubled angles: of lines without a direction, angles a and a + pi are the same."""
        axes, known = label_axes(boxes, labels)
        slots, rows, look_s = self._slots, rows[known], look_s[known]
        slots["angle_s"][rows] += look_s
        weight = faded(look_s, slots["angle_s"][rows], ANGLE_S)[:, None]
        slots["axis"][rows] += weight * (axes[known] - slots["axis"][rows])

    def _miss(self, rows: NDArray[np.intp], hidden: NDArray[np.bool_], at: float) -> None:
        slots = self._slots
        unseen = np.ones(len(slots), bool)
        unseen[rows] = False
        passed_s = max(at - self._at, 0.0)
        # Who passes before an empty place doesn't bring back what lay there; and somebody before a parcel who is not
        # found now and then doesn't take it away, so time behind people makes up for as much in plain view.
        in_view_s = np.where(hidden, -passed_s, min(passed_s, LONGEST_MISS_S))
        behind_s = np.where(hidden, passed_s, 0.0)
        for name, more_s in (("missed_s", in_view_s), ("hidden_s", behind_s)):
            so_far_s = np.where(np.isnan(slots[name]), 0.0, np.maximum(slots[name] + more_s, 0.0))
            slots[name] = np.where(unseen, so_far_s, np.nan)

    def _kept(self) -> NDArray[np.bool_]:
        missed_s, hidden_s = self._slots["missed_s"], self._slots["hidden_s"]
        return np.asarray(~((missed_s > KEEP_S) | (hidden_s > HIDDEN_S)), np.bool_)

    def _begin(self, columns: NDArray[np.intp], parcels: Detections, labels: Detections | None, at: float) -> None:
        if not len(columns):
            return
        new = np.zeros(len(columns), _SLOT)
        new["id"] = np.arange(self._next_id, self._next_id + len(columns))
        new["box"] = parcels.boxes[columns]
        new["home"] = (new["box"][:, :2] + new["box"][:, 2:]) / 2
        new["first_seen_at"] = new["last_seen_at"] = at
        for name in ("missed_s", "hidden_s", "turned_at"):
            new[name] = np.nan
        new["up"] = 0.5
        self._next_id += len(columns)
        rows = np.arange(len(self._slots), len(self._slots) + len(columns))
        self._slots = np.concatenate([self._slots, new])
        self._look(rows, columns, parcels, labels, at)

    def _told(self) -> tuple[Parcel, ...]:
        slots = self._slots
        turned = (None if at != at else at for at in slots["turned_at"].tolist())
        return tuple(
            map(
                Parcel,
                slots["id"].tolist(),
                map(tuple, slots["box"].tolist()),
                map(_FACINGS.__getitem__, slots["facing"].tolist()),
                slots["up"].tolist(),
                slots["looks"].tolist(),
                slots["first_seen_at"].tolist(),
                slots["last_seen_at"].tolist(),
                turned,
                starmap(axial_angle, slots["axis"].tolist()),
                slots["score"].tolist(),
            )
        )


def faded(look_s: NDArray[np.float64], so_far_s: NDArray[np.float64], memory_s: float) -> NDArray[np.float64]:
    """Weight of one look in a mean that fades: a plain mean while looks are few, then an exponential one.

    Args:
        look_s: `(N,)` seconds this look counts for.
        so_far_s: `(N,)` seconds of all looks, this one included.
        memory_s: Time constant.
    """
    plain = np.divide(look_s, so_far_s, out=np.ones_like(look_s), where=so_far_s > 0)
    return np.asarray(np.maximum(1 - np.exp(-look_s / memory_s), plain), np.float64)


def label_axes(parcels: FloatArray, labels: Detections) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Which way the label text of each parcel runs, as the mean of unit vectors of the doubled angle.

    A label belongs to the smallest box that holds its centre.

    Args:
        parcels: `(N, 4)` boxes.
        labels: Labels of the same frame; those without known angle say nothing.

    Returns:
        `(N, 2)` cosine and sine of the doubled angle, of length 0..1 by how sure and how alike the labels are, and
        `(N,)` which parcels have any.
    """
    axes, count = np.zeros((len(parcels), 2)), np.zeros(len(parcels))
    doubled = 2 * labels.traits[:, [ANGLE_COS, ANGLE_SIN]].astype(float) - 1
    known = np.isfinite(doubled).all(axis=1)
    if not known.any() or not len(parcels):
        return axes, count > 0
    doubled, centres = doubled[known], (labels.boxes[known, :2] + labels.boxes[known, 2:]) / 2
    length = np.linalg.norm(doubled, axis=1, keepdims=True)
    doubled = doubled / np.maximum(length, 1)
    (x, y), (x1, y1, x2, y2) = centres.T[:, :, None], parcels.T
    inside = (x >= x1) & (x <= x2) & (y >= y1) & (y <= y2)
    owner = np.where(inside, areas(parcels)[None], np.inf).argmin(axis=1)
    owned = inside.any(axis=1)
    np.add.at(axes, owner[owned], doubled[owned])
    np.add.at(count, owner[owned], 1)
    return axes / np.maximum(count, 1)[:, None], count > 0


def axial_angle(cosine: float, sine: float) -> float | None:
    """The angle, 0 to pi, whose double has this mean vector; `None` where the vector is too short to have one.

    Source: Mardia and Jupp, Directional Statistics, 2000, section 1.1 (axial data).
    """
    if not cosine * cosine + sine * sine >= LEAST_ANGLE**2:  # also of NaN
        return None
    return (atan2(sine, cosine) / 2) % pi
