"""A detector looks at a set, and everything the page shows of that set is counted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from detector.inference.card import ModelCard
from detector.inference.detector import SceneDetector
from detector.media.pictures import Bgr
from detector.tools.stills import facing_of
from detector.values import ACT_PHOTO, ANGLE_COS, ANGLE_SIN, LABELS, PARCEL, PERSON, Detections
from evaluation.acts import Doer, doers
from evaluation.figures import FALSE, ClassCount, axial_error, axis_of, match
from evaluation.sets import JudgedSet, Truth

LOWEST = 0.02
WORST = 8
FACINGS = ("up", "not_up")
Look = Callable[[np.ndarray], Detections]


@dataclass(frozen=True)
class Case:
    """A place in a picture where the model went wrong; `weight` orders the worst first."""

    kind: str
    path: Path
    box: tuple[float, float, float, float]
    caption: str
    weight: float


@dataclass(frozen=True)
class FoundPhone:
    """A true phone: its box's side and its longer side, pixels of the frame, and what was seen of it.

    `score` is that it was found with (0: not at all), `seen` the share of its outline that nothing hides.
    """

    side: float
    long_side: float
    score: float
    seen: float = 1.0


@dataclass
class Measured:
    """What was counted over one set.

    Attributes:
        judged: The set.
        classes: Detections against objects, by label.
        phones: Those that aren't doubtful.
        loudest: Highest score of a phone in each picture that holds none.
        with_phones: Phone detections in the pictures that hold one.
        facings: Of each found parcel that can be judged: size of its label, true facing, told facing.
        angles: Of each found label of known angle: its side, and the axial error in degrees.
        people: People of known act and what was seen of them.
        photographing: Of people in own footage: whether they photograph, how surely the model says so, and their group.
        cases: Where it went wrong.
    """

    judged: JudgedSet
    classes: dict[str, ClassCount]
    phones: list[FoundPhone] = field(default_factory=list)
    loudest: list[float] = field(default_factory=list)
    with_phones: ClassCount = field(default_factory=ClassCount)
    facings: list[tuple[float, str, str]] = field(default_factory=list)
    angles: list[tuple[float, float]] = field(default_factory=list)
    people: list[Doer] = field(default_factory=list)
    photographing: list[tuple[bool, float, str]] = field(default_factory=list)
    places: list[tuple[Path, tuple[float, float, float, float]]] = field(default_factory=list)
    cases: list[Case] = field(default_factory=list)

    def worst(self, kind: str, most: int = WORST) -> list[Case]:
        """The worst cases of a kind, one a picture."""
        chosen: dict[Path, Case] = {}
        for case in sorted((c for c in self.cases if c.kind == kind), key=lambda c: -c.weight):
            chosen.setdefault(case.path, case)
        return list(chosen.values())[:most]


def offered_labels(card: ModelCard) -> tuple[str, ...]:
    """Labels of ours that a card's model knows."""
    return tuple(label for k, label in enumerate(LABELS) if k in card.layout.labels)


def looker(detector: SceneDetector) -> Look:
    """The detector as `labelwatch detect` uses it, down to faint scores."""
    nobody, low = np.zeros((0, 4), np.float32), dict.fromkeys(LABELS, LOWEST)
    return lambda image: detector.look(Bgr(image), nobody, low)


def measure(
    judged: JudgedSet,
    look: Look,
    thresholds: Mapping[str, float],
    traits: tuple[str, ...],
    labels: tuple[str, ...] = LABELS,
    done: Callable[[], None] = lambda: None,
    seen: dict[Path, Detections] | None = None,
) -> Measured:
    """Look at every picture of a set.

    Args:
        judged: The set.
        look: Picture to detections.
        thresholds: Least score by label at which a detection counts for facing, angles, acts and wrong cases.
        traits: Traits the model offers.
        labels: Labels the model offers; others are not counted.
        done: Called after each picture.
        seen: What was seen in which picture before; added to.

    Raises:
        SetError: A picture can't be read.
    """
    known = [label for label in judged.known if label in labels]
    out = Measured(judged, {label: ClassCount() for label in known})
    for sample in judged.samples:
        image, truths = sample.opened()
        found = seen[sample.path] if seen and sample.path in seen else look(image)
        if seen is not None:
            seen[sample.path] = found
        here = [label for label in known if sample.judges(label)]
        for label in here:
            _count_class(out, label, found, [t for t in truths if t.label == label], sample, thresholds[label])
        if "parcel" in here and {"up", "not_up"} <= set(traits):
            _count_facings(out, found, truths, sample.path, thresholds["parcel"])
        if "label" in here and {"angle_cos", "angle_sin"} <= set(traits):
            _count_angles(out, found, truths, thresholds["label"])
        _count_photographing(out, found, truths, sample.group)
        if "person" in here:
            _count_people(out, found, truths, sample, thresholds["person"])
        done()
    return out


def _boxes(truths: list[Truth]) -> np.ndarray:
    return np.array([t.box for t in truths], np.float32).reshape(-1, 4)


def _count_class(out: Measured, label: str, found: Detections, truths: list[Truth], sample, least: float) -> None:
    own = found.of(LABELS.index(label))
    doubtful = np.array([t.doubtful for t in truths], bool)
    verdicts, objects = match(own.boxes, own.scores, _boxes(truths), doubtful)
    firm = int((~doubtful).sum())
    out.classes[label].add(own.scores, verdicts, firm, sample.group)
    teacher = label in out.judged.teacher
    for k in np.flatnonzero((verdicts == FALSE) & (own.scores >= least)):
        score = float(own.scores[k])
        if label == "phone":
            out.cases.append(Case("false phone", sample.path, _tuple(own.boxes[k]), f"{score:.2f}", score))
    if label != "phone" or teacher:
        return
    scores = np.zeros(len(truths))
    for score, place in zip(own.scores, objects, strict=True):
        if place >= 0:
            scores[place] = score
    for truth, score in zip(truths, scores, strict=True):
        if truth.doubtful:
            continue
        x1, y1, x2, y2 = truth.box
        out.phones.append(FoundPhone(truth.px, max(x2 - x1, y2 - y1), float(score), truth.seen))
        if score < least:
            said = f"{truth.px:.0f} px, found at {score:.2f}" if score else f"{truth.px:.0f} px, not found"
            out.cases.append(Case("missed phone", sample.path, truth.box, said, truth.px))
    if firm:
        out.with_phones.add(own.scores, verdicts, firm, sample.group)
    elif not doubtful.any():
        out.loudest.append(float(own.scores.max(initial=0.0)))


def _count_facings(out: Measured, found: Detections, truths: tuple[Truth, ...], path: Path, least: float) -> None:
    parcels = found.of(PARCEL)
    parcels = parcels[parcels.scores >= least]
    true = [t for t in truths if t.label == "parcel"]
    _, objects = match(parcels.boxes, parcels.scores, _boxes(true), np.array([t.doubtful for t in true], bool))
    for k, place in enumerate(objects):
        if place < 0 or true[place].facing not in FACINGS:
            continue
        truth, told = true[place], str(facing_of(parcels, k))
        out.facings.append((truth.px, str(truth.facing), told))
        if told not in (truth.facing, "unknown"):
            said = f"{truth.facing}, told {told}; label {truth.px:.0f} px"
            out.cases.append(Case("wrong facing", path, truth.box, said, truth.px))


def _count_angles(out: Measured, found: Detections, truths: tuple[Truth, ...], least: float) -> None:
    labels = found.of(LABELS.index("label"))
    labels = labels[labels.scores >= least]
    true = [t for t in truths if t.label == "label"]
    _, objects = match(labels.boxes, labels.scores, _boxes(true), np.array([t.doubtful for t in true], bool))
    told = axis_of(labels.traits[:, ANGLE_COS], labels.traits[:, ANGLE_SIN])
    for k, place in enumerate(objects):
        if place >= 0 and true[place].angle is not None and np.isfinite(told[k]):
            out.angles.append((true[place].px, float(axial_error(told[k], true[place].angle))))


def _count_people(out: Measured, found: Detections, truths: tuple[Truth, ...], sample, least: float) -> None:
    true = [t for t in truths if t.label == "person" and t.act is not None and not t.doubtful]
    if not true:
        return
    everyone = [t for t in truths if t.label == "person"]
    people = found.of(PERSON)
    sure = np.flatnonzero(people.scores >= least)
    doubtful = np.array([t.doubtful for t in everyone], bool)
    _, objects = match(people.boxes[sure], people.scores[sure], _boxes(everyone), doubtful)
    # Places among people of known act, for every person detection; an unsure one has hit nobody.
    place_of = {id(t): n for n, t in enumerate(true)}
    hit = np.full(len(people), -1)
    hit[sure] = [place_of.get(id(everyone[place]), -1) if place >= 0 else -1 for place in objects]
    acting = [(str(t.act), t.device_px) for t in true]
    for place, doer in doers(found, acting, hit, sample.group):
        out.people.append(doer)
        out.places.append((sample.path, true[place].box))


def _count_photographing(out: Measured, found: Detections, truths: tuple[Truth, ...], group: str) -> None:
    """Who wasn't found, or of whom the model says no act, photographs with a score of none."""
    true = [t for t in truths if t.label == "person"]
    if all(t.photographs is None for t in true):
        return
    people = found.of(PERSON)
    _, objects = match(people.boxes, people.scores, _boxes(true), np.array([t.doubtful for t in true], bool))
    said = {int(place): float(people.traits[k, ACT_PHOTO]) for k, place in enumerate(objects) if place >= 0}
    for place, truth in enumerate(true):
        if truth.photographs is not None:
            out.photographing.append((truth.photographs, float(np.nan_to_num(said.get(place, 0.0))), group))


def _tuple(row: np.ndarray) -> tuple[float, float, float, float]:
    x1, y1, x2, y2 = map(float, row)
    return x1, y1, x2, y2
