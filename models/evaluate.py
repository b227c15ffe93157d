"""Measure the shipped model as the worker runs it: both looks, from picture to merged detections.

    python models/evaluate.py --data DATA [--rendered FOLDER ...] [--card models/scene.yaml] [--write]

Sets, none of them trained on:

- `rendered`: scenes held out as wholes (seeds divisible by five, see `dataset.is_held_out`). Of these, seeds divisible
  by ten choose the thresholds and are not reported on; the others are the figures.
- `real`: `DATA/real/val`, each class on the sources that mark it.
- `real phones`: `DATA/real_check/phone`, held and CCTV phones split by video.

AP50 is the area under the precision-recall curve at IoU 0.5, 101 points (COCO). Facing is judged on parcels found at
IoU 0.5 whose top face bears a label at least 16 pixels on its side, or is plainly seen to bear none. `--write` puts
thresholds and figures into the card.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import yaml
from dataset import (
    KNOWN_CLASSES,
    LABEL,
    PARCEL,
    PARCEL_NOT_UP,
    PARCEL_UP,
    PHONE,
    SCANNER,
    is_held_out,
    read_real,
    read_rendered,
    side_px,
)  # fmt: skip

from detector.config import Analysis
from detector.geometry import iou
from detector.inference.card import find_card
from detector.inference.detector import SceneDetector
from detector.inference.session import Session
from detector.stills import facing_of
from detector.values import LABELS, Detections

PUBLISHED = [0, 1, 2, 3, 4, PARCEL, PARCEL, PHONE, PHONE, PHONE]
LOWEST = 0.02
# Acts add up looks, and a look that missed the phone says nothing: for devices recall counts twice.
RECALL_WEIGHT = {PHONE: 2.0, SCANNER: 2.0}


@dataclass
class ClassResult:
    """Scores of detections, whether each hit, and the number of objects, of one class over a set."""

    scores: list[float] = field(default_factory=list)
    hits: list[bool] = field(default_factory=list)
    objects: int = 0

    def add(self, scores: np.ndarray, boxes: np.ndarray, truth: np.ndarray) -> None:
        """One picture: detections are matched greedily, best score first, each object once."""
        self.objects += len(truth)
        overlap, free = iou(boxes, truth), np.ones(len(truth), bool)
        for k in np.argsort(-scores, kind="stable"):
            best = int(np.argmax(np.where(free, overlap[k], -1))) if free.any() else -1
            hit = best >= 0 and overlap[k, best] >= 0.5
            if hit:
                free[best] = False
            self.scores.append(float(scores[k]))
            self.hits.append(bool(hit))

    def curve(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Thresholds, recall and precision, by falling threshold."""
        order = np.argsort(-np.array(self.scores), kind="stable")
        hits = np.array(self.hits, bool)[order]
        found = hits.cumsum()
        return np.array(self.scores)[order], found / max(self.objects, 1), found / np.arange(1, len(hits) + 1)

    def ap50(self) -> float:
        """Mean of the best precision at recall 0, 0.01 … 1."""
        if not self.scores or not self.objects:
            return 0.0
        _, recall, precision = self.curve()
        best = np.maximum.accumulate(precision[::-1])[::-1]
        at = np.searchsorted(recall, np.linspace(0, 1, 101))
        return float(np.mean([best[k] if k < len(best) else 0.0 for k in at]))

    def best_threshold(self, beta: float) -> float:
        """Score with the largest F-measure; recall counts `beta` times as much as precision."""
        if not any(self.hits):
            return 0.25
        scores, recall, precision = self.curve()
        measure = (1 + beta**2) * recall * precision / np.maximum(recall + beta**2 * precision, 1e-9)
        return float(scores[int(measure.argmax())])

    def recall_at(self, threshold: float) -> float:
        """Share of objects found at a threshold."""
        return sum(h for h, s in zip(self.hits, self.scores, strict=True) if s >= threshold) / max(self.objects, 1)

    def precision_at(self, threshold: float) -> float:
        """Share of detections that are right at a threshold."""
        kept = [h for h, s in zip(self.hits, self.scores, strict=True) if s >= threshold]
        return sum(kept) / max(len(kept), 1)


@dataclass
class Judged:
    """Facing of parcels whose truth is known: right, wrong, left unknown."""

    right: int = 0
    wrong: int = 0
    unknown: int = 0


def read_phone_check(folder: Path) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yield (name, image, objects) of `real_check/phone`."""
    for path in sorted((folder / "images").iterdir()):
        image = cv2.imread(str(path))
        label = folder / "labels" / f"{path.stem}.txt"
        rows = (
            np.array([line.split() for line in label.read_text().split("\n") if line], np.float32)
            if label.exists()
            else []
        )
        rows = np.asarray(rows, np.float32).reshape(-1, 5)
        size = np.array([image.shape[1], image.shape[0]])
        boxes = np.concatenate([(rows[:, 1:3] - rows[:, 3:5] / 2) * size, (rows[:, 1:3] + rows[:, 3:5] / 2) * size], 1)
        yield f"phones--{path.stem}", image, np.concatenate([rows[:, :1], boxes], 1).astype(np.float32)


def score(detector: SceneDetector, pictures, classes_of) -> tuple[dict[int, ClassResult], Judged]:
    """Run a detector over pictures.

    Args:
        detector: The detector.
        pictures: (name, image, objects) with written label ids.
        classes_of: Which published classes a picture's name vouches for.
    """
    results, judged = {k: ClassResult() for k in range(len(LABELS))}, Judged()
    nobody, low = np.zeros((0, 4), np.float32), dict.fromkeys(LABELS, LOWEST)
    for name, image, objects in pictures:
        found = detector.look(image, nobody, low)
        published = np.array([PUBLISHED[int(k)] for k in objects[:, 0]], int)
        for k in classes_of(name):
            own = found.of(k)
            results[k].add(own.scores, own.boxes, objects[published == k, 1:])
        judge_facing(found, objects, judged)
    return results, judged


def judge_facing(found: Detections, objects: np.ndarray, judged: Judged) -> None:
    """Add the facing of one picture's parcels to the count."""
    labels = objects[objects[:, 0] == LABEL, 1:]
    parcels = found.of(PARCEL)
    parcels = parcels[parcels.scores >= 0.25]
    for written, truth in ((PARCEL_UP, "up"), (PARCEL_NOT_UP, "not_up")):
        for row in objects[objects[:, 0] == written, 1:]:
            if truth == "up" and not has_large_label(row, labels):
                continue
            if truth == "not_up" and min(row[2] - row[0], row[3] - row[1]) < 40:
                continue
            overlap = iou(parcels.boxes, row[None])[:, 0] if len(parcels) else np.zeros(0)
            if not len(overlap) or overlap.max() < 0.5:
                continue
            verdict = facing_of(parcels, int(overlap.argmax()))
            judged.unknown += verdict == "unknown"
            judged.right += verdict == truth
            judged.wrong += verdict not in (truth, "unknown")


def has_large_label(parcel: np.ndarray, labels: np.ndarray) -> bool:
    """Whether a label of at least 16 pixels on its side has its centre in the parcel's box."""
    for x1, y1, x2, y2 in labels:
        x, y = (x1 + x2) / 2, (y1 + y2) / 2
        # The box of a turned label is larger than the label: 0.7 of it on average.
        large = 0.7 * side_px([[x1, y1], [x2, y1], [x2, y2], [x1, y2]]) >= 16
        if large and parcel[0] <= x <= parcel[2] and parcel[1] <= y <= parcel[3]:
            return True
    return False


def seed_of(name: str) -> int:
    """Seed of a rendered picture's scene."""
    return int("".join(c for c in name.split("--")[1].split("_", 1)[0] if c.isdigit()) or name.rsplit("_", 1)[1])


def main() -> None:
    """Choose thresholds on one half, report on the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--rendered", type=Path, nargs="*", default=[])
    parser.add_argument("--card", default=str(Path(__file__).resolve().parent / "scene.yaml"))
    parser.add_argument("--write", action="store_true", help="write thresholds and figures into the card")
    args = parser.parse_args()
    card = find_card(args.card)
    detector = SceneDetector(Session(card), {}, Analysis(zooms=32))
    held = [p for f in (args.data / "rendered", *args.rendered) for p in read_rendered(f) if is_held_out(p[0])]
    everything = range(len(LABELS))
    choosing, _ = score(detector, [p for p in held if seed_of(p[0]) % 10 == 0], lambda _name: everything)
    thresholds = {
        LABELS[k]: round(min(max(result.best_threshold(RECALL_WEIGHT.get(k, 1.0)), 0.1), 0.6), 2)
        for k, result in choosing.items()
    }
    figures: dict[str, object] = {}
    sets = {
        "rendered": ([p for p in held if seed_of(p[0]) % 10 == 5], lambda _name: everything),
        "real": (list(read_real(args.data / "real" / "val")), lambda name: sorted(KNOWN_CLASSES[name.split("--")[0]])),
        "real phones": (list(read_phone_check(args.data / "real_check" / "phone")), lambda _name: [PHONE]),
    }
    for name, (pictures, classes_of) in sets.items():
        results, judged = score(detector, pictures, classes_of)
        print(f"{name}: {len(pictures)} pictures")
        rows = {}
        for k, result in results.items():
            if result.objects:
                least = thresholds[LABELS[k]]
                rows[LABELS[k]] = {
                    "objects": result.objects,
                    "ap50": round(result.ap50(), 3),
                    "recall": round(result.recall_at(least), 3),
                    "precision": round(result.precision_at(least), 3),
                }
                print(f"  {LABELS[k]:8}", rows[LABELS[k]])
        if name == "rendered":
            told = judged.right + judged.wrong
            rows["facing"] = {
                "judged": told,
                "right": round(judged.right / max(told, 1), 3),
                "unknown": round(judged.unknown / max(told + judged.unknown, 1), 3),
            }
            print("  facing  ", rows["facing"])
        figures[name] = {"pictures": len(pictures), **rows}
    print("thresholds", thresholds)
    if args.write:
        path = Path(args.card)
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
        tree.update(thresholds=thresholds, figures=figures)
        path.write_text(yaml.safe_dump(tree, sort_keys=False, allow_unicode=True, width=120), encoding="utf-8")


if __name__ == "__main__":
    main()
