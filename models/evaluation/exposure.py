"""How well the range of labels exposed holds: rendered clips with their truth enter, coverage and errors leave.

    python models/evaluation/exposure.py --clips FOLDER [--detector CACHE] [--json]

Of each photo of the truth, and of each clip's sweep, the rule's own range (`detector/rules/exposure.py`, told by
`SweepRule`) is held against the labels that the rendered phone could see (`exposed`, `scenes/truth.py`). Without
`--detector` the detections are the truth's, and so are acts and their targets: what is judged is the range alone. With
it everything is as the worker sees it; what the network saw is kept in CACHE, and sweeps alone are judged, against what
all photos of the truth during the sweep exposed.

Clips whose seeds are divisible by five are for judging, the others for choosing; the two are told apart.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

# Run as a script: the package's parent isn't on the path yet.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from acts.looked import Looker, read_clip, seed_of, seen_at
from dataset import rendered_things
from manifest import run

from detector.config import WHOLE_FRAME, Calendar, PhotoRule, Rules
from detector.config import SweepRule as Settings
from detector.geometry import as_array, iou
from detector.rules.acts import ActRecogniser
from detector.rules.policy import Policies
from detector.rules.sweep import Recogniser, SweepRule
from detector.rules.zones import ZoneMap
from detector.shifts import Shifts
from detector.tracking import SceneTracker
from detector.values import LABELS, TRAITS, UNKNOWN_TRAITS, Act, ActKind, CountRange, Detections, Scene, Signal

SAME = 0.4  # overlap from which a track or slot is the truth's person or parcel
SURE_S = 0.8  # an act of the truth is told so long after it began
PHOTO, SWEEP = "photo", "sweep"


@dataclass(frozen=True)
class Judged:
    """A photo or sweep: the range told, and how many labels were truly exposed."""

    what: str
    clip: str
    seed: int
    told: CountRange
    truth: int

    @property
    def covered(self) -> bool:
        """Whether the truth lies in the range."""
        return self.told.low <= self.truth <= self.told.high


class TrueActs:
    """A recogniser that tells given acts when they are sure, and again when they are over."""

    def __init__(self, acts: Iterable[Act]) -> None:
        self._left = list(acts)
        self._going_on: list[Act] = []

    def observe(self, scene: Scene) -> list[Act]:
        """Acts that are sure or over by this scene."""
        sure = [act for act in self._left if act.started_at + SURE_S <= scene.at]
        self._left = [act for act in self._left if act not in sure]
        over = [act for act in (*self._going_on, *sure) if act.ended_at <= scene.at]
        self._going_on = [act for act in (*self._going_on, *sure) if act not in over]
        return [*over, *(replace(act, ended_at=scene.at) for act in sure if act not in over)]


def true_detections(frame: dict[str, Any]) -> Detections:
    """What a detector without fault would see of one frame of a clip's truth."""
    things = [thing for thing in rendered_things(frame) if not thing.doubtful]
    traits = np.tile(np.array(UNKNOWN_TRAITS, np.float32), (len(things), 1))
    for row, thing in zip(traits, things, strict=True):
        if thing.facing in ("up", "not_up"):
            row[TRAITS.index(thing.facing)] = 1.0
        if thing.angle is not None:
            doubled = 2 * np.radians(thing.angle)
            row[TRAITS.index("angle_cos")], row[TRAITS.index("angle_sin")] = (
                (1 + np.cos(doubled)) / 2,
                (1 + np.sin(doubled)) / 2,
            )
    return Detections(
        np.array([thing.box for thing in things], np.float32).reshape(-1, 4),
        np.ones(len(things), np.float32),
        np.array([LABELS.index(thing.label) for thing in things], np.int64),
        traits,
    )


def true_scenes(truth: dict[str, Any]) -> list[Scene]:
    """A clip as the tracker sees it behind a detector without fault."""
    tracker = SceneTracker()
    return [
        tracker.update(seen_at(truth["size"], frame["t"], n, true_detections({"size": truth["size"], **frame})))
        for n, frame in enumerate(truth["frames"])
    ]


def true_acts(truth: dict[str, Any], scenes: Sequence[Scene]) -> list[tuple[Act, set[int]]]:
    """Photos of the truth as acts of tracks and slots, each with the labels that it exposed.

    Photos of people or parcels that the tracker doesn't know, or which are over before they are sure, are left out.
    """
    found = []
    for event in truth["events"]:
        if event["act"] != "photo" or event["t1"] - event["t0"] < SURE_S:
            continue
        tracks, slots = Counter[int](), Counter[int]()
        for frame, scene in zip(truth["frames"], scenes, strict=True):
            if event["t0"] <= frame["t"] <= event["t1"]:
                who = _same(_box(frame["people"], event["person"]), {p.id: p.box for p in scene.people})
                what = _same(_box(frame["parcels"], event["parcel"]), {p.id: p.box for p in scene.parcels})
                tracks.update(who)
                slots.update(what)
        if tracks and slots:
            (track, _), (slot, _) = tracks.most_common(1)[0], slots.most_common(1)[0]
            act = Act(ActKind.PHOTO, track, event["t0"], event["t1"], 1.0, (slot,))
            found.append((act, truly_exposed(truth, event["t0"], event["t1"], event["person"])))
    return found


def truly_exposed(truth: dict[str, Any], begin: float, end: float, person: int | None = None) -> set[int]:
    """Labels that phones of a person, or of everybody, could see in photos between two times."""
    events = [e for e in truth["events"] if e["act"] == "photo" and person in (None, e["person"])]
    return {
        label
        for frame in truth["frames"]
        for phone in frame["phones"]
        for label in phone.get("exposed") or ()
        if begin <= frame["t"] <= end
        and any(e["person"] == phone["holder"] and e["t0"] <= frame["t"] <= e["t1"] for e in events)
    }


def _box(things: Sequence[dict[str, Any]], wanted: int | None) -> tuple[float, ...] | None:
    return next((tuple(thing["bbox"]) for thing in things if thing["id"] == wanted and thing["bbox"]), None)


def _same(box: Any, known: dict[int, Any]) -> list[int]:
    """Which of the known boxes is this one: its id, or nothing."""
    if box is None or not known:
        return []
    overlaps = iou(as_array([box]), as_array(list(known.values())))[0]
    best = int(overlaps.argmax())
    return [list(known)[best]] if overlaps[best] >= SAME else []


def signals(scenes: Sequence[Scene], recogniser: Recogniser, *, alone: bool = False) -> list[Signal]:
    """What the rule tells of a clip; `alone`: of a single photo too."""
    rules = Rules()
    if alone:  # below what a configuration may say
        rules = rules.model_copy(update={"sweep": Settings.model_construct(least_acts=1, least_parcels=1)})
    policies = Policies(Shifts(Calendar(), "UTC"))
    rule = SweepRule(ZoneMap([WHOLE_FRAME]), rules, policies, recogniser)
    return [signal for scene in scenes for signal in rule.observe(scene)]


def judged_truth(path: Path) -> tuple[list[Judged], int]:
    """Photos and the sweep of one clip seen without fault, and how many photos couldn't be followed."""
    truth, seed = json.loads(path.read_text(encoding="utf-8")), seed_of(path)
    scenes = true_scenes(truth)
    acts = true_acts(truth, scenes)
    rows = []
    for act, labels in acts:
        told = signals(scenes, TrueActs([act]), alone=True)
        rows += [Judged(PHOTO, path.stem, seed, told[-1].labels_exposed, len(labels))] if told else []
    told = signals(scenes, TrueActs(act for act, _ in acts))
    if told:
        truly = set().union(*(labels for _, labels in acts))
        rows.append(Judged(SWEEP, path.stem, seed, told[-1].labels_exposed, len(truly)))
    return rows, sum(event["act"] == "photo" for event in truth["events"]) - len(acts)


def judged_detector(path: Path, looker: Looker) -> list[Judged]:
    """The sweep of one clip as the worker sees it, if it sees one."""
    clip = read_clip(path, looker)
    told = signals(clip.scenes, ActRecogniser(PhotoRule()))
    if not told:
        return []
    last = told[-1]
    labels = truly_exposed(clip.truth, last.started_at - 1, last.at)
    return [Judged(SWEEP, path.stem, clip.seed, last.labels_exposed, len(labels))]


def figures(rows: Sequence[Judged]) -> dict[str, float | int]:
    """Number, share of true counts in their ranges, error of the best guess, and how wide ranges are."""
    if not rows:
        return {"n": 0}
    truth, best = np.array([r.truth for r in rows]), np.array([r.told.best for r in rows])
    return {
        "n": len(rows),
        "covered": round(float(np.mean([r.covered for r in rows])), 3),
        "below": int(sum(r.truth < r.told.low for r in rows)),
        "above": int(sum(r.truth > r.told.high for r in rows)),
        "truth_mean": round(float(truth.mean()), 2),
        "best_bias": round(float((best - truth).mean()), 2),
        "best_error": round(float(np.abs(best - truth).mean()), 2),
        "width": round(float(np.mean([r.told.high - r.told.low for r in rows])), 2),
    }


def main() -> None:
    """Judge a folder of clips."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=Path, required=True, help="folder of truths (.json), with --detector of videos")
    parser.add_argument("--detector", type=Path, metavar="CACHE", help="look with the shipped network; kept there")
    parser.add_argument("--json", action="store_true", help="every row, and the figures, as JSON")
    args = parser.parse_args()
    paths = sorted(args.clips.glob("*.json"))
    if not paths:
        sys.exit(f"exposure: no truth (*.json) in {args.clips}")
    rows: list[Judged] = []
    missed = 0
    looker = Looker(args.detector) if args.detector else None
    for path in paths:
        if looker:
            rows += judged_detector(path, looker)
        else:
            found, lost = judged_truth(path)
            rows, missed = rows + found, missed + lost
    table = {
        f"{use} {what}": figures([r for r in rows if r.what == what and (r.seed % 5 == 0) == (use == "judge")])
        for use in ("judge", "choose")
        for what in (PHOTO, SWEEP)
        if not (looker and what == PHOTO)
    }
    if args.json:
        print(json.dumps({"figures": table, "not_followed": missed, "rows": [asdict(row) for row in rows]}))
        return
    for name, figure in table.items():
        print(f"{name}: " + ", ".join(f"{key} {value}" for key, value in figure.items()))
    print(f"photos not followed: {missed}")


if __name__ == "__main__":
    run(main)
