"""What a detector makes of people and parcels: the truth of an instant enters, `Detections` leave.

People are seen as the shipped model saw people who do the same, at like size, in held-out scenes (`looks.csv`, made by
`looks.py`). Everybody in the table counts alike, however many looks at them there are. Errors last as long as in
clips (`lasting.py`): who is mistaken is so for as long as that scan or photo takes, and is seen anew at the next, from
another side; somebody without a device in use looks otherwise after a second or two. Parcels are found, and their tops
read, at the rates of the model's card; a top that is misread stays misread.
"""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import atan2, cos, exp, log, sin
from pathlib import Path
from random import Random
from statistics import median

import numpy as np
import yaml

from detector.geometry import centre, head
from detector.values import (
    ACT_TRAITS,
    CALL,
    LABELS,
    PARCEL,
    PERSON,
    PHONE,
    PHOTO,
    SCANNER,
    TRAITS,
    UNKNOWN_TRAITS,
    Box,
    Detections,
)

LOOKS = Path(__file__).with_name("looks.csv")
LOOKS_TO_CHOOSE = Path(__file__).with_name("looks_choose.csv")  # of scenes that nothing is reported on
CARD = Path(__file__).resolve().parent.parent / "scene.yaml"
BETWEEN = "between"  # photos, with the phone in the hand
HELD = "held"  # nothing is done, with a phone in the hand; tables made before scenes showed such have none
ACTS = {"none", BETWEEN, "photo", "scan", "call", "browse"}
NEAREST = 30  # people of like size to draw from
# How alike looks are, by `lasting.py`: those of one stretch of an act lose it as exp(-t / lasting), seconds; of one
# person's next stretch of the same act so many are as at the one before.
LASTING_S = {"none": 1.0, BETWEEN: 2.0}
LASTING_WITH_DEVICE_S = 30.0
SAME_PERSON = 0.2
HELD_SHARE = 0.2  # of what people do who use nothing they do so often with a phone in the hand: assumed
PAUSE_S = 0.7  # between looks at somebody in a clip: from here on another stretch


@dataclass(frozen=True, slots=True)
class MeasuredLook:
    """One measured look at a person (`looks.py` explains the columns); NaN where nothing was seen.

    A person's *stretches* are counted: each is one scan, one photo, or whatever they do without a pause.
    """

    person: str
    stretch: int
    t: float
    act: str
    device_px: float
    found: float
    phone: float
    scanner: float
    photo: float
    call: float
    acts: tuple[float, float, float, float]
    x: float
    y: float
    reach: float
    miss: float

    @property
    def warehouse(self) -> str:
        """Where that was: the scene's name up to its seed, as `s87005` of `s87005_00` and `synth_10005`."""
        found = re.match(r"\D*\d*", self.person)
        return found.group() if found else ""


def read_looks(path: Path = LOOKS) -> list[MeasuredLook]:
    """The table of measured looks, without those at people beside somebody who photographs (`looks.py`: `beside`).

    In the closer look at them that other one shows as well, and may be taken for them. Nobody simulated stands so close
    to another; and where a photographer does, an incident is no false one.
    """

    def number(text: str) -> float:
        return float(text) if text else float("nan")

    looks: list[MeasuredLook] = []
    last: dict[str, tuple[str, float, int]] = {}
    with path.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["beside"] == "1" and row["act"] not in ("photo", BETWEEN):
                continue
            person, act, t = row["run"], row["act"], float(row["t"])
            act_before, t_before, stretch = last.get(person, (act, t, 0))
            if act != act_before or t - t_before > PAUSE_S:
                stretch += 1
            last[person] = act, t, stretch
            looks.append(
                MeasuredLook(
                    person, stretch, t, act,
                    *(number(row[key]) for key in ("device_px", "found", "phone", "scanner", "photo", "call")),
                    (number(row["act_photo"]), number(row["act_scan"]),
                     number(row["act_call"]), number(row["act_browse"])),
                    *(number(row[key]) for key in ("x", "y", "reach", "miss")),
                )
            )  # fmt: skip
    return looks


def redrawn(looks: Iterable[MeasuredLook], rng: Random) -> list[MeasuredLook]:
    """Looks of as many warehouses, drawn with replacement; whose warehouse is drawn again is somebody else."""
    by_warehouse: dict[str, list[MeasuredLook]] = defaultdict(list)
    for look in looks:
        by_warehouse[look.warehouse].append(look)
    names = sorted(by_warehouse)
    return [
        replace(look, person=f"{look.person}+{k}")
        for k, name in enumerate(rng.choices(names, k=len(names)))
        for look in by_warehouse[name]
    ]


class Looks:
    """The table, to draw from by act and size.

    Args:
        looks: Measured.
        hold_s: How long a look lasts on average, seconds, before another of the same stretch is taken.
        mixed: Share of stretches that are taken from another act's instead: makes the detector worse than measured.
        blinded: Share of looks in which nothing is seen in the hand though something was.
        same: Share of a person's stretches that are taken from the one of the table that stood for them before.
    """

    def __init__(
        self, looks: list[MeasuredLook], *, hold_s: float = 0.6, mixed: float = 0.0, blinded: float = 0.0,
        same: float = SAME_PERSON,
    ) -> None:  # fmt: skip
        self.hold_s, self.mixed, self.blinded, self.same = hold_s, mixed, blinded, same
        self.people: dict[str, dict[str, list[MeasuredLook]]] = defaultdict(lambda: defaultdict(list))
        self._stretches: dict[tuple[str, int], list[MeasuredLook]] = defaultdict(list)
        for look in looks:
            self.people[look.act][look.person].append(look)
            self._stretches[look.person, look.stretch].append(look)
        self._near: dict[tuple[str, int], list[str]] = {}

    @staticmethod
    def read(
        path: Path = LOOKS, part: tuple[int, int] = (0, 1), *, drawn: int | None = None, **settings: float
    ) -> Looks:
        """From a file.

        Args:
            path: Of the table.
            part: `(k, n)`: of every `n`-th warehouse from the `k`-th on, so that other parts have other people.
            drawn: Seed by which as many warehouses are drawn of those, with replacement: how much figures differ from
                draw to draw is how much chance there is in which warehouses were rendered (Efron, 1979).
            settings: As of the class.

        Raises:
            ValueError: Nobody in that part does one of the things that people do.
        """
        looks, (first, number) = read_looks(path), part
        kept = set(sorted({look.warehouse for look in looks})[first::number])
        looks = [look for look in looks if look.warehouse in kept]
        if drawn is not None:
            looks = redrawn(looks, Random(drawn))
        if missing := ACTS - {look.act for look in looks}:
            raise ValueError(f"{path}: nobody in part {first} of {number} does {', '.join(sorted(missing))}")
        return Looks(looks, **settings)

    def draw(self, rng: Random, act: str, px: float, before: MeasuredLook | None, elapsed: float) -> MeasuredLook:
        """The look `elapsed` seconds after the one `before`, at somebody who does `act` with a device of `px` pixels.

        Args:
            rng: Draws.
            act: What is done.
            px: Diagonal of the device.
            before: The look when they did so last; `None` at the first time.
            elapsed: Since then, seconds; infinite when they have begun anew.
        """
        kept = HELD if before is not None and before.act == HELD else act
        if before is not None and rng.random() < exp(-elapsed / LASTING_S.get(kept, LASTING_WITH_DEVICE_S)):
            if rng.random() < exp(-elapsed / self.hold_s):
                return before
            look = rng.choice(self._stretches[before.person, before.stretch])
        else:
            if act == "none" and HELD in self.people and rng.random() < HELD_SHARE:
                act = HELD
            if self.mixed and rng.random() < self.mixed:
                act = rng.choice(list(self.people))
            near = self._like(act, px)
            again = before is not None and before.person in near and rng.random() < self.same
            person = before.person if before is not None and again else rng.choice(near)
            look = rng.choice(self.people[act][person])
        return replace(look, phone=0.0, scanner=0.0) if self.blinded and rng.random() < self.blinded else look

    def _like(self, act: str, px: float) -> list[str]:
        """People of the table with a device of like size; all of them where there is none."""
        key = act, round(4 * log(max(px, 1.0)))
        if key not in self._near:
            size, people = exp(key[1] / 4), self.people[act]

            def unlike(person: str) -> float:
                return abs(log(max(median(look.device_px for look in people[person]), 1.0) / size))

            self._near[key] = list(people) if act == "none" else sorted(people, key=unlike)[:NEAREST]
        return self._near[key]


def person_rows(
    look: MeasuredLook, box: Box, target: Box | None, rng: np.random.Generator
) -> list[tuple[int, Box, float, list[float]]]:
    """What the detector says of one person: the person, and what it takes for a device in the hand.

    A device that is pointed at a parcel is seen as far off the line from the head to the parcel's middle as it was in
    the measured look; any other where it was in the person's box.

    Returns:
        Class, box (pixels), score and traits of each detection.
    """
    if look.found < 0.01:
        return []
    tall = box[3] - box[1]
    shifted = np.asarray(box) + rng.normal(0, 0.012 * tall, 4)
    seen: Box = (float(shifted[0]), float(shifted[1]), float(shifted[2]), float(shifted[3]))
    traits = list(UNKNOWN_TRAITS)
    traits[ACT_TRAITS] = look.acts
    rows = [(PERSON, seen, look.found, traits)]
    kind, score = (PHONE, look.phone) if look.phone >= look.scanner else (SCANNER, look.scanner)
    if score < 0.01:
        return rows
    if target is not None and look.miss == look.miss:
        (hx, hy), (tx, ty) = head(seen), centre(target)
        way = atan2(ty - hy, tx - hx) + look.miss
        x, y = hx + look.reach * tall * cos(way), hy + look.reach * tall * sin(way)
    else:
        x, y = centre(seen)[0] + look.x * tall, seen[1] + look.y * tall
    half = max(look.device_px, 4.0) / 2.8
    traits = list(UNKNOWN_TRAITS)
    if kind == PHONE:
        traits[PHOTO], traits[CALL] = look.photo, look.call
    rows.append((kind, (x - half, y - half, x + half, y + half), score, traits))
    return rows


class ParcelNoise:
    """What the detector makes of parcels that lie still.

    Args:
        boxes: `(N, 4)` where they are, pixels.
        up: `(N,)` whether a label is on the top.
        rng: Draws.
    """

    def __init__(self, boxes: np.ndarray, up: np.ndarray, rng: np.random.Generator) -> None:
        figures = yaml.safe_load(CARD.read_text(encoding="utf-8"))["figures"]["rendered"]
        self._recall, facing = float(figures["parcel"]["recall"]), figures["facing"]
        self._boxes, self._rng = boxes.astype(np.float32), rng
        right = rng.random(len(boxes)) < facing["right"]
        told = np.where(right, up, ~up)
        judged = rng.random(len(boxes)) >= facing["unknown"]
        self._traits = np.zeros((len(boxes), len(TRAITS)), np.float32)
        self._traits[:] = UNKNOWN_TRAITS
        self._traits[:, 0] = np.where(judged, np.where(told, 0.9, 0.05), 0.1)
        self._traits[:, 1] = np.where(judged, np.where(told, 0.05, 0.9), 0.1)
        # Some parcels are seen nearly always and some hardly ever: beta of mean recall, with little weight.
        self._seen = rng.beta(4 * self._recall, 4 * (1 - self._recall), len(boxes))

    def __call__(self, there: np.ndarray) -> Detections:
        """Detections of the parcels that are `there`, `(N,)` bool, this instant."""
        shown = there & (self._rng.random(len(self._boxes)) < self._seen)
        boxes, n = self._boxes[shown], int(shown.sum())
        size = (boxes[:, 2] - boxes[:, 0])[:, None]
        boxes = boxes + self._rng.normal(0, 0.03, (n, 4)).astype(np.float32) * size
        scores = self._rng.uniform(0.4, 0.95, n).astype(np.float32)
        return Detections(boxes, scores, np.full(n, PARCEL, np.int64), self._traits[shown])


def as_detections(rows: list[tuple[int, Box, float, list[float]]]) -> Detections:
    """Rows of `person_rows` as arrays."""
    if not rows:
        return Detections.empty()
    kinds, boxes, scores, traits = zip(*rows, strict=True)
    assert max(kinds) < len(LABELS)
    return Detections(
        np.array(boxes, np.float32),
        np.array(scores, np.float32),
        np.array(kinds, np.int64),
        np.array(traits, np.float32),
    )
