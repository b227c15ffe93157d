"""Statistics of detections: which of them hit, and what follows, with intervals.

Intervals are 95 %. Shares have Wilson's score interval (E. B. Wilson, 1927). What is no plain share has a percentile
bootstrap (B. Efron, 1979) over *groups*: pictures of one scene or one video are drawn together, since they are alike.
A single group says nothing of how others would differ: there is no interval then.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from detector.geometry import areas, intersections, iou

DRAWS = 1000
LEAST_SCORE = 0.05
Z = 1.959964
PX_BINS = (0, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 256)


@dataclass(frozen=True)
class Estimate:
    """A figure and the ends of its interval, `None` where there is none."""

    value: float
    low: float | None
    high: float | None

    def __str__(self) -> str:
        ends = "no interval" if self.low is None else f"{self.low:.3f}–{self.high:.3f}"
        return f"{self.value:.3f} ({ends})"

    def record(self) -> list[float | None]:
        """Value, low and high, three digits each."""
        return [None if end is None else round(end, 3) for end in (self.value, self.low, self.high)]


@dataclass(frozen=True)
class Share:
    """So many of so many; `of` may be 0."""

    hits: int
    of: int

    @property
    def value(self) -> float:
        """The share; NaN of none."""
        return self.hits / self.of if self.of else float("nan")

    def estimate(self) -> Estimate:
        """The share with Wilson's interval; 0 to 1 where nothing was counted."""
        if not self.of:
            return Estimate(float("nan"), 0.0, 1.0)
        p, n = self.value, self.of
        middle = (p + Z**2 / (2 * n)) / (1 + Z**2 / n)
        half = Z * (p * (1 - p) / n + Z**2 / (4 * n**2)) ** 0.5 / (1 + Z**2 / n)
        # At none and at all of them the interval ends there exactly; rounding must not put the value outside.
        return Estimate(p, min(max(middle - half, 0.0), p), max(min(middle + half, 1.0), p))


HIT, FALSE, PASSED_OVER = 1, 0, -1


def match(
    boxes: np.ndarray, scores: np.ndarray, truth: np.ndarray, doubtful: np.ndarray, least_iou: float = 0.5
) -> tuple[np.ndarray, np.ndarray]:
    """Which detections of a class hit what in one picture: greedily, best score first, each object once (COCO).

    Args:
        boxes: `(N, 4)` x1, y1, x2, y2.
        scores: `(N,)`.
        truth: `(M, 4)`.
        doubtful: `(M,)` whether an object is neither to be found nor to be called false: what hits only such a one, or
            lies on it by half, is passed over.
        least_iou: Overlap from which on a box hits.

    Returns:
        `(N,)` HIT, FALSE or PASSED_OVER, and `(N,)` the object that was hit, -1 for none.
    """
    verdicts, objects = np.zeros(len(boxes), int), np.full(len(boxes), -1)
    boxes, truth = boxes.astype(np.float32).reshape(-1, 4), truth.astype(np.float32).reshape(-1, 4)
    overlap, free = iou(boxes, truth), ~doubtful
    covered = intersections(boxes, truth) / np.maximum(areas(boxes), 1e-6)[:, None]
    for k in np.argsort(-scores, kind="stable"):
        best = int(np.argmax(np.where(free, overlap[k], -1))) if free.any() else -1
        if best >= 0 and overlap[k, best] >= least_iou:
            free[best], verdicts[k], objects[k] = False, HIT, best
        elif (doubtful & ((overlap[k] >= least_iou) | (covered[k] >= 0.5))).any():
            verdicts[k] = PASSED_OVER
    return verdicts, objects


@dataclass
class ClassCount:
    """Detections of one class over a set: score, hit or false, and the group of each; objects by group."""

    scores: list[float] = field(default_factory=list)
    hits: list[bool] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    objects: dict[str, int] = field(default_factory=dict)

    def add(self, scores: np.ndarray, verdicts: np.ndarray, objects: int, group: str) -> None:
        """Add one picture."""
        told = verdicts != PASSED_OVER
        self.scores += scores[told].tolist()
        self.hits += (verdicts[told] == HIT).tolist()
        self.groups += [group] * int(told.sum())
        self.objects[group] = self.objects.get(group, 0) + objects

    @property
    def total(self) -> int:
        """Number of objects."""
        return sum(self.objects.values())

    def ap50(self) -> Estimate:
        """Mean of the best precision at recall 0, 0.01 … 1 (COCO), with its interval; NaN without objects."""
        if not self.total:
            return Estimate(float("nan"), 0.0, 1.0)
        return bootstrapped(self._weighted_ap50(), len(self.objects))

    def ap50_gain(self, other: ClassCount) -> Estimate:
        """By how much it is more than that of another model on the same pictures, with the interval of that."""
        mine, theirs = self._weighted_ap50(), other._weighted_ap50()
        return bootstrapped(lambda weights: mine(weights) - theirs(weights), len(self.objects))

    def ap50_value(self) -> float:
        """The same without the interval."""
        return self._weighted_ap50()(np.ones(len(self.objects))) if self.total else float("nan")

    def _weighted_ap50(self) -> Callable[[np.ndarray], float]:
        """AP50 as a function of how often each group counts."""
        order = np.argsort(-np.array(self.scores), kind="stable")
        place = {name: k for k, name in enumerate(self.objects)}
        hits = np.array(self.hits, float)[order]
        of_detection = np.array([place[g] for g in self.groups], int)[order]
        of_group = np.array(list(self.objects.values()), float)
        return lambda weights: _average_precision(hits, weights[of_detection], float((weights * of_group).sum()))

    def curve(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Thresholds, recall and precision, by falling threshold."""
        order = np.argsort(-np.array(self.scores), kind="stable")
        found = np.array(self.hits, bool)[order].cumsum()
        return np.array(self.scores)[order], found / max(self.total, 1), found / np.arange(1, len(found) + 1)

    def best_threshold(self, beta: float) -> float | None:
        """Score with the largest F-measure, recall counting `beta` times as much as precision; `None` without a hit."""
        if not any(self.hits):
            return None
        scores, recall, precision = self.curve()
        measure = (1 + beta**2) * recall * precision / np.maximum(recall + beta**2 * precision, 1e-9)
        return float(scores[int(measure.argmax())])

    def recall(self, threshold: float) -> Share:
        """Objects found at a threshold."""
        return Share(sum(h for h, s in zip(self.hits, self.scores, strict=True) if s >= threshold), self.total)

    def precision(self, threshold: float) -> Share:
        """Detections that are right at a threshold."""
        kept = [h for h, s in zip(self.hits, self.scores, strict=True) if s >= threshold]
        return Share(sum(kept), len(kept))


def _average_precision(hits: np.ndarray, weights: np.ndarray, objects: float) -> float:
    """AP of detections sorted by falling score, each counted `weights` times; NaN without objects."""
    if not objects:
        return float("nan")
    found, shown = (hits * weights).cumsum(), weights.cumsum()
    if not len(found) or not found[-1]:
        return 0.0
    best = np.maximum.accumulate((found / np.maximum(shown, 1e-9))[::-1])[::-1]
    # A recall that floating point puts a hair below 0.01 k is 0.01 k.
    at = np.searchsorted(found / objects + 1e-9, np.linspace(0, 1, 101))
    return float(np.append(best, 0.0)[at].mean())


def bootstrapped(measure: Callable[[np.ndarray], float], groups: int) -> Estimate:
    """A figure with its percentile bootstrap interval over groups; without one where there are fewer than two.

    Args:
        measure: The figure, given how often each group counts `(G,)`.
        groups: Number of groups, G.
    """
    value = measure(np.ones(groups))
    if groups < 2:
        return Estimate(float(value), None, None)
    random = np.random.default_rng(0)  # fixed, so that a run can be repeated
    drawn = [measure(np.bincount(random.integers(0, groups, groups), minlength=groups)) for _ in range(DRAWS)]
    low, high = np.nanpercentile(drawn, [2.5, 97.5])
    return Estimate(float(value), float(low), float(high))


@dataclass(frozen=True)
class Bin:
    """What fell between two sizes, in pixels."""

    low: float
    high: float
    share: Share


def binned(sizes: Sequence[float], hits: Sequence[bool]) -> list[Bin]:
    """Share of hits by size, bins without anything left out."""
    size, hit = np.array(sizes, float), np.array(hits, bool)
    bins = []
    for low, high in spans(PX_BINS):
        here = (low <= size) & (size < high)
        if here.any():
            bins.append(Bin(low, high, Share(int(hit[here].sum()), int(here.sum()))))
    return bins


def spans(edges: Sequence[float]) -> list[tuple[float, float]]:
    """From where to where each bin is, by where it begins; the last one takes all that is larger."""
    return list(pairwise([*edges, float("inf")]))


@dataclass(frozen=True)
class Reliability:
    """Detections by score: mean score and share right of each tenth, and the expected calibration error.

    ECE is the mean of |share right - mean score|, each tenth weighted by its detections (Guo et al., 2017).
    """

    bins: tuple[tuple[float, Share], ...]
    ece: float


def reliability(scores: Sequence[float], hits: Sequence[bool]) -> Reliability | None:
    """How far scores can be taken for chances, of detections from `LEAST_SCORE` on; `None` where there are none."""
    score, hit = np.array(scores, float), np.array(hits, bool)
    hit, score = hit[score >= LEAST_SCORE], score[score >= LEAST_SCORE]
    if not len(score):
        return None
    tenth = np.minimum((score * 10).astype(int), 9)
    bins = tuple(
        (float(score[tenth == k].mean()), Share(int(hit[tenth == k].sum()), int((tenth == k).sum())))
        for k in range(10)
        if (tenth == k).any()
    )
    ece = sum(share.of * abs(share.value - mean) for mean, share in bins) / len(score)
    return Reliability(bins, float(ece))


def false_alarm_curve(
    scores: Sequence[float], hits: Sequence[bool], objects: int, loudest: Sequence[float]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Thresholds, recall, and share of pictures that hold nothing but show a detection, by falling threshold.

    Args:
        scores: Detections in pictures that hold objects.
        hits: Which of them are right.
        objects: Number of objects.
        loudest: Highest score in each picture that holds none (0: no detection).
    """
    thresholds = np.unique([*scores, *loudest])[::-1]
    thresholds = thresholds[thresholds > 0]
    score, hit, loud = np.array(scores, float), np.array(hits, bool), np.array(loudest, float)
    found = np.array([int((hit & (score >= t)).sum()) for t in thresholds])
    false = np.array([int((loud >= t).sum()) for t in thresholds])
    return thresholds, found / max(objects, 1), false / max(len(loud), 1)


def axial_error(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Angle between axes, degrees 0..90: directions half a turn apart are one axis."""
    apart = np.abs(np.asarray(a, float) - np.asarray(b, float)) % 180
    return np.minimum(apart, 180 - apart)


def axis_of(cosine: np.ndarray, sine: np.ndarray) -> np.ndarray:
    """Axial angle in degrees 0..180 from scores (1 + cos 2a) / 2 and (1 + sin 2a) / 2."""
    twice = np.arctan2(2 * np.asarray(sine, float) - 1, 2 * np.asarray(cosine, float) - 1)
    return np.degrees(twice) / 2 % 180
