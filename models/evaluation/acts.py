"""What a person does, told in four ways from the same detections, and which way tells it best.

Each contender gives a person four scores (photo, scan, call, browse). A person does the act whose score is highest in
relation to its threshold, and none where all stay below. Thresholds are chosen on one half of the held-out scenes, for
the largest macro-F1, and judged on the other. A person that was not found counts as a miss of its act.

- `detection`: devices alone. A scanner scans; a phone near the head calls, lower down it photographs, lower still it is
  read. Both heights are chosen like thresholds.
- `phone traits`: a scanner scans; a phone's score is shared by its traits `photo` and `call`, the rest is reading.
- `person traits`: the traits `act_*` of the person.
- `both`: the mean of the last two.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from detector.geometry import as_box
from detector.tracking.tracker import holder_of
from detector.values import ACT_TRAITS, CALL, PERSON, PHONE, PHOTO, SCANNER, Detections
from detector.values import Person as Tracked

ACTS = ("photo", "scan", "call", "browse")
NONE, UNCLEAR, MISSED = "none", "unclear", "missed"
TRUE = (*ACTS, NONE)
TOLD = (*TRUE, UNCLEAR, MISSED)
LEAST_PX = 12
MOST_WRONG = 0.05
DETECTION, PHONE_TRAITS, PERSON_TRAITS, BOTH = "detection", "phone traits", "person traits", "both"
NEEDS = {
    DETECTION: (),
    PHONE_TRAITS: ("photo", "call"),
    PERSON_TRAITS: ("act_photo", "act_scan", "act_call", "act_browse"),
    BOTH: ("photo", "call", "act_photo", "act_scan", "act_call", "act_browse"),
}
GRID = (0.02, 0.04, 0.06, 0.08, 0.1, 0.13, 0.16, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.8, 0.9)
# Of a person's box from its top: where a phone held to the ear ends, and where one that is read begins.
HEIGHTS = [(ear, lap) for ear in (0.1, 0.15, 0.2, 0.25, 0.3, 0.35) for lap in (0.4, 0.5, 0.6, 9.0)]


@dataclass(frozen=True)
class Doer:
    """A person of known act and what was seen of it.

    Attributes:
        group: Scene it is in.
        truth: Its act.
        device_px: Side of the device in use as it is seen, pixels; 0 where nothing is seen of it.
        found: Whether a person was detected there.
        phone: Score, height in the person's box (0 top, 1 bottom), traits photo and call of the surest phone at hand.
        scanner: Score of the surest scanner at hand.
        traits: Scores of the traits `act_*`; NaN where the model has none.
    """

    group: str
    truth: str
    device_px: float
    found: bool
    phone: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    scanner: float = 0.0
    traits: tuple[float, float, float, float] = (float("nan"),) * 4

    @property
    def large(self) -> bool:
        """Whether its act can be told from a device of at least `LEAST_PX` pixels, or there is no act to tell."""
        return self.truth == NONE or self.device_px >= LEAST_PX


def doers(
    found: Detections, people: Sequence[tuple[str, float]], objects: np.ndarray, group: str
) -> Iterable[tuple[int, Doer]]:
    """People of one picture whose act is known, with what was seen of them.

    Args:
        found: All detections.
        people: Act and device size of each person of the truth.
        objects: `(N,)` which of them each person detection in `found` (in its order) hit, -1 for none; detections
            below the threshold for people count as none.
        group: The scene.

    Yields:
        The person's place in `people`, and what was seen.
    """
    seen = found.of(PERSON)
    tracked = [
        Tracked(k, as_box(seen.boxes[k]), float(seen.scores[k]), 0.0, 0.0) for k in range(len(seen)) if objects[k] >= 0
    ]
    devices: dict[tuple[int, int], int] = {}
    for k in range(len(found)):
        kind = int(found.class_ids[k])
        if kind in (PHONE, SCANNER):
            holder = holder_of(as_box(found.boxes[k]), tracked)
            if holder is not None:
                best = devices.get((holder, kind))
                if best is None or found.scores[k] > found.scores[best]:
                    devices[holder, kind] = k
    for place, (act, device_px) in enumerate(people):
        hits = np.flatnonzero(objects == place)
        if not len(hits):
            yield place, Doer(group, act, device_px, found=False)
            continue
        who = int(hits[0])
        phone, scanner = devices.get((who, PHONE)), devices.get((who, SCANNER))
        at_hand = (0.0, 0.0, 0.0, 0.0)
        if phone is not None:
            top, bottom = seen.boxes[who, 1], seen.boxes[who, 3]
            height = float((found.boxes[phone, [1, 3]].mean() - top) / max(bottom - top, 1.0))
            at_hand = (float(found.scores[phone]), height, *map(float, found.traits[phone, [PHOTO, CALL]]))
        yield place, Doer(
            group, act, device_px, True, at_hand, float(found.scores[scanner]) if scanner is not None else 0.0,
            tuple(map(float, seen.traits[who, ACT_TRAITS])),
        )  # fmt: skip


def scores_of(contender: str, people: Sequence[Doer], heights: tuple[float, float]) -> np.ndarray:
    """Scores `(N, 4)` of the acts, as a contender sees them; `heights` matter to `detection` alone."""
    rows = np.zeros((len(people), 4))
    for row, doer in zip(rows, people, strict=True):
        score, height, photo, call = doer.phone
        if contender == DETECTION:
            row[:] = [
                score * (heights[0] < height <= heights[1]),
                doer.scanner,
                score * (height <= heights[0]),
                score * (height > heights[1]),
            ]
        elif contender == PERSON_TRAITS:
            row[:] = doer.traits
        else:
            row[:] = [score * photo, doer.scanner, score * call, score * (1 - max(photo, call))]
            if contender == BOTH:
                row[:] = (row + doer.traits) / 2
    return rows


@dataclass(frozen=True)
class Choice:
    """How a contender decides: a threshold for each act, and the two heights."""

    contender: str
    thresholds: tuple[float, float, float, float]
    heights: tuple[float, float] = (0.0, 9.0)

    def told(self, people: Sequence[Doer], clear: float = 1.0) -> list[str]:
        """What each person is told to do.

        Args:
            people: The people.
            clear: Where the best score in relation to its threshold is within a factor `clear` of 1, or of the
                second best, the act is `unclear`. 1: every act is told.
        """
        acts = [*ACTS, NONE]
        words = []
        ratios = scores_of(self.contender, people, self.heights) / np.array(self.thresholds)
        for doer, ratio in zip(people, ratios, strict=True):
            # "None" stands at 1: what all acts stay below.
            order = np.argsort(-(rank := np.append(ratio, 1.0)), kind="stable")
            best, second = rank[order[0]], rank[order[1]]
            word = acts[order[0]] if best >= clear * second else UNCLEAR
            words.append(word if doer.found else MISSED)
        return words


def confusion(people: Sequence[Doer], told: Sequence[str]) -> np.ndarray:
    """Counts `(5, 7)`: true act by row (`TRUE`), told act by column (`TOLD`)."""
    table = np.zeros((len(TRUE), len(TOLD)), int)
    for doer, word in zip(people, told, strict=True):
        table[TRUE.index(doer.truth), TOLD.index(word)] += 1
    return table


def macro_f1(table: np.ndarray) -> float:
    """Mean F1 over the true classes that occur, from a confusion table or a weighted one; NaN of an empty one."""
    true, told, both = table.sum(1), table.sum(0)[: len(TRUE)], table.diagonal()
    occurs = true > 0
    return float((2 * both[occurs] / (true + told)[occurs]).mean()) if occurs.any() else float("nan")


def choose(contender: str, people: Sequence[Doer]) -> Choice:
    """Thresholds with the largest macro-F1 over these people: coordinate ascent over `GRID` from three starts."""
    best, best_value = Choice(contender, (0.3,) * 4), -1.0
    for heights in HEIGHTS if contender == DETECTION else [(0.0, 9.0)]:
        truth = np.array([TRUE.index(doer.truth) for doer in people])
        found = np.array([doer.found for doer in people])
        scores = scores_of(contender, people, heights)
        for start in (0.1, 0.3, 0.5):
            thresholds, value = np.full(4, start), -1.0
            for _ in range(4):
                before = value
                for act in range(4):
                    for level in GRID:
                        tried = thresholds.copy()
                        tried[act] = level
                        if (new := _forced_f1(scores / tried, truth, found)) > value + 1e-9:
                            thresholds, value = tried, new
                if value <= before:
                    break
            if value > best_value + 1e-9:
                best, best_value = Choice(contender, tuple(map(float, thresholds)), heights), value
    return best


def _forced_f1(ratios: np.ndarray, truth: np.ndarray, found: np.ndarray) -> float:
    told = np.where(ratios.max(1) >= 1, ratios.argmax(1), len(ACTS))
    told = np.where(found, told, TOLD.index(MISSED))
    table = np.bincount(truth * len(TOLD) + told, minlength=len(TRUE) * len(TOLD)).reshape(len(TRUE), len(TOLD))
    return macro_f1(table)


def choose_clear(choice: Choice, people: Sequence[Doer]) -> float:
    """Least factor at which at most a share `MOST_WRONG` of the told acts is wrong over these people."""
    for clear in (1.0, 1.1, 1.2, 1.35, 1.5, 1.75, 2.0, 2.5, 3.0, 4.0, 6.0):
        told = choice.told(people, clear)
        judged = [(d.truth, word) for d, word in zip(people, told, strict=True) if word not in (UNCLEAR, MISSED)]
        if sum(a != b for a, b in judged) <= MOST_WRONG * len(judged):
            break
    return clear
