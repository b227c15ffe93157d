"""People over time: boxes of one frame enter, tracked people leave; a track is forgotten by elapsed seconds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detector.geometry import areas, as_array, as_box, iou
from detector.tracking.matching import best_pairs
from detector.values import ACT_TRAITS, ActScores, Box, Detections, FloatArray, Person

# How much of a new measurement a track believes, for box and for velocity (alpha-beta filter, Kalata 1984).
ALPHA, BETA = 0.7, 0.3


@dataclass(slots=True)
class _Track:
    id: int
    box: FloatArray
    velocity: FloatArray
    score: float
    first_seen_at: float
    last_seen_at: float
    sightings: int = 1
    acts: ActScores | None = None

    def at(self, time: float) -> FloatArray:
        """Box expected at a time; a person unseen for long is not extrapolated further than a second."""
        return np.asarray(self.box + self.velocity * min(time - self.last_seen_at, 1.0), np.float32)


class PeopleTracker:
    """Keeps ids of people through misses and short occlusions."""

    def __init__(self, *, keep_s: float = 3.0, confirm_s: float = 0.3, least_score: float = 0.4) -> None:
        """`keep_s`: how long an unseen person is kept; `confirm_s`: how long one is watched before it counts."""
        self._keep_s = keep_s
        self._confirm_s = confirm_s
        self._least_score = least_score
        self._tracks: list[_Track] = []
        self._next_id = 1

    @property
    def boxes(self) -> tuple[Box, ...]:
        """Last boxes of the people tracked now."""
        return tuple(as_box(track.box) for track in self._tracks)

    def update(self, people: Detections, at: float) -> tuple[tuple[Person, ...], frozenset[int]]:
        """Match people seen at frame time `at`.

        Sure detections are matched first, then unsure ones to what is left, so that a half-hidden person keeps its
        track but starts none (the idea of ByteTrack, Zhang et al. 2022). What overlaps nothing may still be the same
        person who moved far between two frames: near centres of like size count as well.

        Someone unseen for longer than `keep_s` is forgotten, also when nothing was looked at meanwhile: whoever stands
        there after a camera was away is somebody new.

        Returns:
            People seen in this frame, confirmed ones only, and ids of confirmed tracks that ended now.
        """
        gone = [t for t in self._tracks if at - t.last_seen_at > self._keep_s]
        self._tracks = [t for t in self._tracks if t not in gone]
        sure = people.scores >= self._least_score
        left = self._matched(people[sure], self._tracks, at)
        free = [track for track in self._tracks if track.last_seen_at < at]
        self._matched(people[~sure], free, at)
        for k in left:
            self._tracks.append(
                _Track(self._next_id, people[sure].boxes[k].copy(), np.zeros(4, np.float32),
                       float(people[sure].scores[k]), at, at, acts=act_scores(people[sure].traits[k]))
            )  # fmt: skip
            self._next_id += 1
        self._tracks = [t for t in self._tracks if self._confirmed(t) or at - t.last_seen_at <= 0.7]
        seen = tuple(
            Person(t.id, as_box(t.box), t.score, t.first_seen_at, t.last_seen_at, t.acts)
            for t in self._tracks
            if t.last_seen_at == at and self._confirmed(t)
        )
        return seen, frozenset(t.id for t in gone if self._confirmed(t))

    def _confirmed(self, track: _Track) -> bool:
        return track.sightings >= 2 and track.last_seen_at - track.first_seen_at >= self._confirm_s

    def _matched(self, people: Detections, tracks: list[_Track], at: float) -> list[int]:
        """Update the tracks that match; return indices of people that match none."""
        expected = as_array([as_box(track.at(at)) for track in tracks])
        pairs = best_pairs(closeness(expected, people.boxes), 0.15)
        for row, column in pairs:
            track, box = tracks[row], people.boxes[column]
            elapsed = max(at - track.last_seen_at, 1e-3)
            error = box - expected[row]
            track.box = (expected[row] + ALPHA * error).astype(np.float32)
            track.velocity = (track.velocity + BETA * error / elapsed).astype(np.float32)
            track.score = float(people.scores[column])
            track.acts = act_scores(people.traits[column])
            track.last_seen_at = at
            track.sightings += 1
        taken = {column for _, column in pairs}
        return [k for k in range(len(people)) if k not in taken]


def act_scores(traits: FloatArray) -> ActScores | None:
    """What a person's traits `(10,)` say of the act; `None` where nothing is known."""
    scores = traits[ACT_TRAITS]
    return None if np.isnan(scores).any() else ActScores(*map(float, scores))


def closeness(expected: FloatArray, seen: FloatArray) -> FloatArray:
    """How well boxes `(N, 4)` and `(M, 4)` fit, `(N, M)` in 0..1.

    IoU; where they hardly overlap, up to 0.3 for centres within half a height of each other and like areas.
    """
    overlap = iou(expected, seen)
    if not overlap.size:
        return overlap
    a, b = (expected[:, :2] + expected[:, 2:]) / 2, (seen[:, :2] + seen[:, 2:]) / 2
    apart = np.linalg.norm(a[:, None] - b[None], axis=2)
    height = np.maximum(expected[:, 3] - expected[:, 1], 1)[:, None]
    first, second = np.maximum(areas(expected), 1)[:, None], np.maximum(areas(seen), 1)[None]
    like = np.minimum(first / second, second / first)
    near = 0.3 * np.clip(1 - apart / (0.5 * height), 0, 1) * (like > 0.5)
    return np.asarray(np.maximum(overlap, near), np.float32)
