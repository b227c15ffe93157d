"""Rendered stills and clips as rows of evidence: what the worker sees of each person, and what they really do.

The pictures go through the worker's own stages: the shipped network (`detector.inference`), the tracker
(`detector.tracking`) and `rules/evidence.py`. Detections are kept in a folder, so that only what is new is looked at.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from dataset import act_of, device_px, read_image
from manifest import SetError

from detector.assembly import build_looker
from detector.config import Analysis
from detector.geometry import as_array, iou
from detector.inference import load_detector
from detector.inference.card import find_card
from detector.media.pictures import Bgr
from detector.rules.bearing import Bearing, carried_on
from detector.rules.evidence import FEATURES, KINDS, Evidence, Weighing, looks
from detector.sources.recording import Recording
from detector.tools.stills import EVERYONE
from detector.tracking import SceneTracker
from detector.tracking.matching import best_pairs
from detector.values import Detections, Frame, Look, Scene

# A still is shown to the tracker so often, for it believes in nobody at first sight, nor in a parcel's facing.
STILL_TIMES = tuple(0.2 * k for k in range(6))
SPEED = FEATURES.index("speed")
LEAST_IOU = 0.4  # a tracked person is one of the truth's from here on
HIDDEN = 0.15  # of a person no more than this is seen: nobody could tell the act
USES = {"photo": "photo", "scan": "scan", "call": "call", "text": "browse", "browse": "browse"}


@dataclass(frozen=True)
class Row:
    """One look at one person of known act.

    Attributes:
        seed: Of the scene it is in.
        source: Name of the still or clip.
        moving: Whether it is a clip.
        who: The person's id in the truth.
        at: Seconds since the clip began.
        seconds: Since the look at this person before; 0 at the first.
        kind: What the person really does, one of `KINDS`.
        look: What was seen.
        device_px: Side of the device in the hand as it is seen, pixels; 0 where nobody could see one.
    """

    seed: int
    source: str
    moving: bool
    who: int
    at: float
    seconds: float
    kind: str
    look: Evidence
    device_px: float


class Looker:
    """The shipped network, and the folder where what it saw is kept.

    It looks at everybody closely. The worker does so at the largest few, who are all there are but in a crowd; in
    stills full of people the others would be taken for people at whom the network, looking closely, sees nothing.
    """

    def __init__(self, cache: Path) -> None:
        self.card = find_card(Analysis().model)
        # Not what was kept of the days when only four people of a picture were looked at closely.
        self._folder = cache / f"{self.card.sha256[:12]}-everybody"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._detector = load_detector(Analysis(zooms=EVERYONE))

    def still(self, path: Path) -> list[Detections]:
        """Detections of one picture, and of the same mirrored, laid back upon it."""

        def look() -> list[tuple[float, Detections]]:
            image = read_image(path)
            plain = self._detector.detect(Frame("still", 0, 0.0, Bgr(image)))
            other = self._detector.detect(Frame("still", 0, 0.0, Bgr(np.ascontiguousarray(image[:, ::-1]))))
            boxes = other.boxes.copy()
            boxes[:, [0, 2]] = image.shape[1] - other.boxes[:, [2, 0]]
            return [(0.0, plain), (1.0, replace(other, boxes=boxes))]

        return [found for _, found in self._kept(path, look)]

    def clip(self, path: Path) -> list[tuple[float, Detections]]:
        """Time and detections of each analysed frame; people tracked are looked at as the worker does."""

        def look() -> list[tuple[float, Detections]]:
            looker, seen = build_looker(Analysis(gate=False), self._detector), []
            recording = Recording(path, camera=path.stem, start_at=0.0, fps=Analysis().fps)
            for frame in recording:
                look = looker.look(frame)
                assert look is not None, "without a gate no frame is passed over"
                seen.append((frame.captured_at, look.detections))
            recording.close()
            return seen

        return self._kept(path, look)

    def _kept(self, path: Path, look: Callable[[], list[tuple[float, Detections]]]) -> list[tuple[float, Detections]]:
        file = self._folder / f"{path.stem}.npz"
        if not file.exists():
            seen = look()
            everything = Detections.joined([found for _, found in seen])
            np.savez(
                file.with_suffix(".part.npz"),
                times=[at for at, _ in seen],
                counts=[len(found) for _, found in seen],
                boxes=everything.boxes,
                scores=everything.scores,
                class_ids=everything.class_ids,
                traits=everything.traits,
            )
            file.with_suffix(".part.npz").rename(file)
        with np.load(file) as kept:
            ends = np.cumsum(kept["counts"])
            whole = Detections(kept["boxes"], kept["scores"], kept["class_ids"], kept["traits"])
            return [
                (float(at), whole[np.arange(end - n, end)])
                for at, end, n in zip(kept["times"], ends, kept["counts"], strict=True)
            ]


def seed_of(path: Path) -> int:
    """Seed of a rendered scene: the first number in the name of its file.

    Raises:
        SetError: There is none.
    """
    found = re.search(r"\d+", path.stem)
    if found is None:
        raise SetError(f"{path}: its name tells no seed (those of models/scenes do, like s60001_00 or c70001)")
    return int(found[0])


def seen_at(size: Sequence[int], at: float, index: int, found: Detections) -> Look:
    """A look of which only the detections are known."""
    return Look("rendered", index, at, (int(size[0]), int(size[1])), found)


def still_rows(truth_path: Path, looker: Looker, *, mirrored: bool = True) -> list[Row]:
    """Rows of one still, seen plain and `mirrored` too, from its truth; its picture lies beside it."""
    truth = json.loads(truth_path.read_text(encoding="utf-8"))
    devices = [*truth["phones"], *truth["scanners"]]
    rows: list[Row] = []
    for found in looker.still(truth_path.with_suffix(".jpg"))[: 1 + mirrored]:
        tracker = SceneTracker()
        for n, at in enumerate(STILL_TIMES):
            scene = tracker.update(seen_at(truth["size"], at, n, found))
        bearings = [carried_on(None, person, scene.at) for person in scene.people]
        alone = [0.0] * len(bearings)
        rows += _matched(scene, looks(scene, bearings), alone, truth, truth_path, False, lambda p: act_of(p, devices))
    return rows


def said_at_once(truth_path: Path, looker: Looker, weighing: Weighing) -> dict[int, np.ndarray]:
    """Log-likelihoods of kinds `(K,)` of one look at each person of a still, as it is, by their id.

    Who isn't seen, and of whom a look says nothing, is left out.
    """
    said: dict[int, np.ndarray] = {}
    for row in still_rows(truth_path, looker, mirrored=False):
        if row.look.telling and row.who not in said:
            features = np.array([row.look.features], float)
            features[:, SPEED] = weighing.means[SPEED]  # a still says nothing of it
            said[row.who] = weighing.likelihoods(features)[0]
    return said


@dataclass(frozen=True)
class Clip:
    """A clip as the worker sees it: its scenes, and its truth."""

    path: Path
    scenes: tuple[Scene, ...]
    truth: dict[str, Any]

    @property
    def seed(self) -> int:
        """Seed of its scene."""
        return seed_of(self.path)


def read_clip(truth_path: Path, looker: Looker) -> Clip:
    """One clip, from its truth; its video lies beside it."""
    truth = json.loads(truth_path.read_text(encoding="utf-8"))
    tracker = SceneTracker()
    scenes = [
        tracker.update(seen_at(truth["size"], at, n, found))
        for n, (at, found) in enumerate(looker.clip(truth_path.with_suffix(".mp4")))
    ]
    return Clip(truth_path, tuple(scenes), truth)


def clip_rows(clip: Clip) -> Iterator[Row]:
    """Rows of one clip: every look at every person whose truth is known then."""
    frames = clip.truth["frames"]
    times = np.array([frame["t"] for frame in frames])
    before: dict[int, Bearing] = {}
    for scene in clip.scenes:
        bearings = [carried_on(before.get(person.id), person, scene.at) for person in scene.people]
        seen = looks(scene, bearings)
        since = [scene.at - before[p.id].at if p.id in before else 0.0 for p in scene.people]
        before |= {person.id: bearing for person, bearing in zip(scene.people, bearings, strict=True)}
        nearest = int(np.abs(times - scene.at).argmin())
        if abs(times[nearest] - scene.at) < 0.15:
            yield from _matched(
                scene, seen, since, frames[nearest], clip.path, True, lambda p, at=scene.at: event_of(clip, p, at)
            )


def event_of(clip: Clip, person: dict[str, Any], at: float) -> str | None:
    """What a person of a clip does at a time; `None` while one thing passes into another."""
    for event in clip.truth["events"]:
        if event["person"] != person["id"] or event["act"] not in USES:
            continue
        if event["t0"] <= at <= event["t1"]:
            return USES[event["act"]]
        if event["t0"] - 0.4 < at < event["t1"] + 0.4:
            return None
    return "none"


def _matched(
    scene: Scene,
    seen: Sequence[Evidence],
    since: Sequence[float],
    truth: dict[str, Any],
    path: Path,
    moving: bool,
    kind_of: Callable[[dict[str, Any]], str | None],
) -> Iterator[Row]:
    people = [person for person in truth["people"] if person["bbox"]]
    overlap = iou(as_array([person.box for person in scene.people]), as_array([tuple(p["bbox"]) for p in people]))
    devices = [*truth["phones"], *truth["scanners"]]
    for k, place in zip(*best_pairs(overlap, LEAST_IOU), strict=True):  # who is seen twice is judged once
        who = people[int(place)]
        kind = kind_of(who)
        if kind is None or who["visible_fraction"] < HIDDEN:
            continue
        assert kind in KINDS
        size = device_px(who, devices)
        yield Row(seed_of(path), path.stem, moving, who["id"], scene.at, since[k], kind, seen[k], size)
