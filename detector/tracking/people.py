"""People over time: boxes of one frame enter, tracked people leave; a track is forgotten by elapsed seconds.

Somebody who was out of sight for longer than a box can be followed is taken up again under the old id (*stitched*) if
the new track begins where and when the old one could have got to, with a like height, and nobody else could be meant.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detector.geometry import SAME_PERSON, as_array, as_box, closeness
from detector.tracking.matching import best_pairs
from detector.values import ACT_TRAITS, ActScores, Box, Detections, FloatArray, Person

# How much of a new measurement a track believes, for box and for velocity (alpha-beta filter, Kalata 1984), where looks
# are a fifth of a second apart; further apart they are believed as several such together.
ALPHA, BETA, LOOK_S = 0.7, 0.3, 0.2
# An unseen person's box is followed so long, and the person remembered so long, to be taken up again.
KEEP_S, STITCH_S = 3.0, 9.0
CONFIRM_S = 0.3  # how long somebody is watched before they count
LEAST_SCORE = 0.4  # of a detection that may begin a track
DOUBTED_S = 0.7  # how long somebody not yet confirmed may be missed by looks
AHEAD_S = 1.0  # how far ahead a box is extrapolated: who is unseen for longer may have stopped
# Where looks are further apart than usual, as on a busy box, nobody knows yet how fast somebody new walks: at most so
# many standing heights a second, 2 m/s, and no box beyond this likeness of heights is theirs.
USUAL_S, STRIDE, ALIKE = 0.22, 1.2, 0.7

# Stitching. Lengths are in standing heights, so that they mean the same near and far. Somebody reappears around the
# expected place, with a deviation of `NEAR` that grows by `DRIFT` a second, and by a share `STRAY` of their speed.
NEAR, DRIFT, STRAY = 0.15, 0.06, 0.3
FARTHEST = 2.0
# Deviation of the log of the height, upwards and downwards: who crouches is shorter, but nobody grows.
TALLER, SHORTER = 0.12, 0.45
# Largest cost, and how much a second candidate must cost more (odds of 7 to 1). Chosen on simulated people who stand,
# crouch, walk and are hidden: half of those hidden for three to six seconds are known again, and hardly more ids pass
# from one person to another than without stitching.
COST, MARGIN = 3.5, 2.0
FORGET_S = 60.0  # the standing height of somebody who only crouches is believed about so long
LEAVING = 0.15  # heights a second towards the picture's border, at which somebody beside it has gone out


@dataclass(slots=True)
class _Track:
    """One person.

    `began` is the box at `began_at`, where this track began; `first_seen_at` is of the person, and earlier where the
    track was stitched. `height` is the standing height, pixels. `out`: last seen going out of the picture.
    """

    id: int
    box: FloatArray
    velocity: FloatArray
    score: float
    first_seen_at: float
    last_seen_at: float
    began_at: float
    began: FloatArray
    height: float
    acts: ActScores | None = None
    confirmed: bool = False
    out: bool = False
    passed_over: bool = False

    def at(self, time: float) -> FloatArray:
        """Box expected at a time."""
        return np.asarray(self.box + self.velocity * min(time - self.last_seen_at, AHEAD_S), np.float32)

    def see(
        self, people: Detections, k: int, expected: FloatArray, at: float, size: tuple[int, int] | None, looks: float
    ) -> None:
        """Take in who was seen at frame time `at`, in a frame of `size`, where this one was expected about there.

        `looks` is how many usual ones would have been made since the look before, 1 at least.
        """
        box, elapsed = people.boxes[k], max(at - self.last_seen_at, 1e-3)
        error = box - expected
        self.box = (expected + (1 - (1 - ALPHA) ** looks) * error).astype(np.float32)
        self.velocity = (self.velocity + (1 - (1 - BETA) ** looks) * error / elapsed).astype(np.float32)
        self.height = max(float(box[3] - box[1]), self.height * float(np.exp(-elapsed / FORGET_S)), 1.0)
        self.score = float(people.scores[k])
        self.acts = act_scores(people.traits[k])
        self.passed_over = is_passed_over(people, k)
        self.last_seen_at = at
        self.out = size is not None and leaves(self.box, self.velocity / self.height, size)


class PeopleTracker:
    """Keeps ids of people through misses and occlusions."""

    def __init__(self) -> None:
        self._tracks: list[_Track] = []
        self._lost: list[_Track] = []
        self._next_id = 1
        self._at = float("-inf")
        self._looks = 1.0

    @property
    def newcomers(self) -> tuple[Person, ...]:
        """Who was seen in the last frame, but not for long enough yet to count."""
        return tuple(_told(t) for t in self._tracks if t.last_seen_at == self._at and not t.confirmed)

    @property
    def boxes(self) -> tuple[Box, ...]:
        """Last boxes of the people followed now."""
        return tuple(as_box(track.box) for track in self._tracks)

    def update(
        self, people: Detections, at: float, size: tuple[int, int] | None = None
    ) -> tuple[tuple[Person, ...], frozenset[int]]:
        """Match people seen at frame time `at` in a frame of `size` (width, height).

        Sure detections are matched first, then unsure ones to what is left, so that a half-hidden person keeps its
        track but starts none (the idea of ByteTrack, Zhang et al. 2022). What overlaps nothing may still be the same
        person who moved far between two frames: near centres of like size count as well.

        Someone unseen for longer than `STITCH_S` is forgotten, also when nothing was looked at meanwhile: whoever
        stands there after a camera was away is somebody new.

        Returns:
            People seen in this frame, confirmed ones only, and ids of confirmed tracks that ended now.
        """
        before, self._at = self._at, at
        self._looks = (at - before) / LOOK_S if at - before > USUAL_S else 1.0
        self._lost += [t for t in self._tracks if t.confirmed and at - t.last_seen_at > KEEP_S]
        # Nobody was missed since the look before: looks may be a second apart.
        kept_s = (KEEP_S if t.confirmed or t.last_seen_at == before else DOUBTED_S for t in self._tracks)
        self._tracks = [t for t, s in zip(self._tracks, kept_s, strict=True) if at - t.last_seen_at <= s]
        ended = frozenset(t.id for t in self._lost if at - t.last_seen_at > STITCH_S)
        self._lost = [t for t in self._lost if t.id not in ended]
        sure = people.scores >= LEAST_SCORE
        left = self._matched(people[sure], self._tracks, at, size)
        free = [track for track in self._tracks if track.last_seen_at < at]
        self._matched(people[~sure], free, at, size)
        left = self._gone_on(people[sure], left, before, at, size)
        for k in left:
            self._begin(people[sure], k, at)
        self._confirm()
        return tuple(_told(t) for t in self._tracks if t.last_seen_at == at and t.confirmed), ended

    def _begin(self, people: Detections, k: int, at: float) -> None:
        box = people.boxes[k].copy()
        height, score = float(max(box[3] - box[1], 1.0)), float(people.scores[k])
        still, acts = np.zeros(4, np.float32), act_scores(people.traits[k])
        track = _Track(self._next_id, box, still, score, at, at, at, box.copy(), height, acts)
        track.passed_over = is_passed_over(people, k)
        self._tracks.append(track)
        self._next_id += 1

    def _matched(self, people: Detections, tracks: list[_Track], at: float, size: tuple[int, int] | None) -> list[int]:
        """Update the tracks that match; return indices of people that match none."""
        if not len(people):
            return []
        expected = as_array([as_box(track.at(at)) for track in tracks])
        rows, columns = best_pairs(closeness(expected, people.boxes), SAME_PERSON)
        for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
            tracks[row].see(people, column, expected[row], at, size, self._looks)
        taken = set(columns.tolist())
        return [k for k in range(len(people)) if k not in taken]

    def _gone_on(
        self, people: Detections, left: list[int], before: float, at: float, size: tuple[int, int] | None
    ) -> list[int]:
        """Take up who was new at the look `before` and has walked too far since for the boxes to be near.

        Only where nobody else could be meant; from then on it is known how fast they walk. Returns who is left.
        """
        new = [t for t in self._tracks if t.last_seen_at == t.began_at == before]
        if not (new and left and USUAL_S < at - before <= AHEAD_S):
            return left
        boxes, began = people.boxes[left], np.stack([t.began for t in new])
        (x, y), (x_then, y_then) = ((b[:, :2] + b[:, 2:]).T / 2 for b in (boxes, began))
        tall, tall_then = (b[:, 3] - b[:, 1] for b in (boxes, began))
        apart = np.hypot(x_then[:, None] - x, y_then[:, None] - y)
        low, high = (limit(tall_then[:, None], tall) for limit in (np.minimum, np.maximum))
        may_be = (apart <= STRIDE * (at - before) * high) & (low >= ALIKE * high)
        alone = may_be & (may_be.sum(0) == 1) & (may_be.sum(1) == 1)[:, None]
        for row, column in zip(*np.nonzero(alone), strict=True):
            track, k = new[row], left[column]
            track.velocity = ((people.boxes[k] - track.box) / (at - before)).astype(np.float32)
            track.see(people, k, track.at(at), at, size, self._looks)
        taken = set(np.flatnonzero(alone.any(0)).tolist())
        return [k for n, k in enumerate(left) if n not in taken]

    def _confirm(self) -> None:
        """Tracks watched for long enough count from now on: as somebody who was lost, or as somebody new."""
        fresh = [t for t in self._tracks if not t.confirmed]
        sure = [t for t in fresh if t.last_seen_at - t.began_at >= CONFIRM_S]
        if not sure:
            return
        lost = [t for t in (*self._tracks, *self._lost) if t.confirmed and not t.out]
        for old, new in stitches(lost, fresh, STITCH_S):
            if new not in sure:
                continue
            new.id, new.first_seen_at, new.height = old.id, old.first_seen_at, max(new.height, old.height)
            self._tracks = [t for t in self._tracks if t is not old]
            self._lost = [t for t in self._lost if t is not old]
        for track in sure:
            track.confirmed = True


def _told(track: _Track) -> Person:
    return Person(
        track.id, as_box(track.box), track.score, track.first_seen_at, track.last_seen_at, track.acts, track.passed_over
    )


def is_passed_over(people: Detections, k: int) -> bool:
    """Whether a detected person was not looked at closely since it was the turn of others."""
    return people.passed_over is not None and bool(people.passed_over[k])


def stitches(lost: Sequence[_Track], fresh: Sequence[_Track], within_s: float) -> list[tuple[_Track, _Track]]:
    """Pairs of a track that was lost and the one that goes on with it, each of them beyond doubt.

    Both must be the other's best candidate by `MARGIN`: of two people who disappeared in one place nobody is taken
    for the other.
    """
    if not lost or not fresh:
        return []
    costs = np.array([[stitch_cost(old, new, within_s) for new in fresh] for old in lost])
    pairs = []
    for row, column in zip(*np.nonzero(costs <= COST), strict=True):
        rivals = np.concatenate([np.delete(costs[row], column), np.delete(costs[:, column], row)])
        if not (rivals < costs[row, column] + MARGIN).any():
            pairs.append((lost[row], fresh[column]))
    return pairs


def stitch_cost(old: _Track, new: _Track, within_s: float) -> float:
    """How ill a new track fits a lost one; infinity if it can't.

    Minus log of the density of its place and height were both Gaussian, but for constants. The deviation of the place
    grows with the time in between, and so does the cost where the place is just as expected: somebody who may by now
    be anywhere is no better a candidate than a newcomer.
    """
    gap = new.began_at - old.last_seen_at
    if not 0 < gap <= within_s:
        return float("inf")
    ahead, tall = old.at(new.began_at), max(old.height, 1.0)
    away = float(np.hypot(*(_feet(ahead) - _feet(new.began)))) / tall
    speed = float(np.hypot(*_feet(old.velocity))) / tall
    if away > FARTHEST:
        return float("inf")
    spread = NEAR + (DRIFT + STRAY * speed) * gap
    change = float(np.log(max(new.began[3] - new.began[1], 1.0) / tall))
    place = 0.5 * (away / spread) ** 2 + 2 * float(np.log(spread / NEAR))
    return place + 0.5 * (change / (TALLER if change > 0 else SHORTER)) ** 2


def _feet(box: FloatArray) -> NDArray[np.float32]:
    """Bottom centre: where the feet are, which stay when somebody crouches."""
    return np.array([(box[0] + box[2]) / 2, box[3]], np.float32)


def leaves(box: FloatArray, velocity: FloatArray, size: tuple[int, int]) -> bool:
    """Whether somebody goes out of the picture: at its left or right border or its foot, and on the way out.

    Args:
        box: `(4,)` pixels.
        velocity: `(4,)` of the box's sides, standing heights a second.
        size: Width and height of the picture.
    """
    near_x, near_y = 0.01 * size[0], 0.01 * size[1]
    return bool(
        (box[0] <= near_x and velocity[2] < -LEAVING)
        or (box[2] >= size[0] - near_x and velocity[0] > LEAVING)
        or (box[3] >= size[1] - near_y and velocity[1] > LEAVING)
    )


def act_scores(traits: FloatArray) -> ActScores | None:
    """What a person's traits `(10,)` say of the act; `None` where nothing is known."""
    scores = traits[ACT_TRAITS]
    return None if np.isnan(scores).any() else ActScores(*map(float, scores))
