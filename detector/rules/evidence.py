"""What one look at each person says of the act: a scene enters, features and log-likelihoods by kind leave.

A look is described by `FEATURES`, finite whatever the detector said. Scores enter as log odds; lengths in standing
heights (`rules/bearing.py`), so that they mean the same near and far. What isn't seen is 0, and a feature of its own
says so; it is weighed as if it stood at its mean. Weights come from `models/acts.yaml`, learnt by
`models/acts/learn.py`: a multinomial logistic regression, whose log-probabilities less the logarithms of the priors are
log-likelihoods up to a constant common to all kinds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from math import hypot, inf, isfinite, log
from operator import add
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from detector.cards import read_card
from detector.geometry import Floats, centre, head, rays_enter
from detector.machine.resources import resource
from detector.rules.bearing import Bearing
from detector.values import Box, Device, Facing, Parcel, Person, Scene

KINDS = ("photo", "scan", "call", "browse", "none")
Sums = tuple[float, ...]  # log-likelihoods by `KINDS`, of looks added up
NOTHING: Sums = (0.0,) * len(KINDS)
FEATURES = (
    "phone",  # log odds of the surest phone in the hand's score
    "phone_photo",  # of its trait `photo`
    "phone_call",  # of its trait `call`
    "scanner",  # of the surest scanner in the hand's score
    "act_photo",  # of what the closer look says of the person
    "act_scan",
    "act_call",
    "act_browse",
    "at_ear",  # 1 where the surest device is beside the head of an upright person
    "from_head",  # its distance from the head
    "aside",  # the horizontal part of it
    "height",  # its height above the feet
    "aimed",  # 1 where the line from the head through it enters a parcel within reach
    "target_near",  # how near that parcel is: 1 at the device, 0 at the end of reach or without one
    "speed",  # of the feet, heights a second, at most 2
    "crouched",  # 1 where the person crouches or bends
    "no_phone",  # 1 where none is in the hand
    "no_scanner",
    "no_look",  # 1 where the closer look says nothing of the person
)
PLACE_OF = {name: k for k, name in enumerate(FEATURES)}
# What features are about, in runs from the first to the last, and which features say whether it is there (`absent`).
OF_PHONE, OF_SCANNER, OF_LOOK, OF_DEVICE, OF_TARGET = (
    slice(PLACE_OF[first], PLACE_OF[last] + 1)
    for first, last in (
        ("phone", "phone_call"), ("scanner", "scanner"), ("act_photo", "act_browse"), ("at_ear", "aimed"),
        ("target_near", "target_near"),
    )
)  # fmt: skip
TELL_WHAT_IS_THERE = ("no_phone", "no_scanner", "no_look", "aimed")
FAR_OUT = 2.5  # standard deviations from the mean of training: what lies further out counts as if it lay there
REACH = 0.9  # how far beyond the device, in the picture, a parcel may lie and still be its target
HANDS, HANDS_REACH = 0.3, 0.5  # `within_reach`: share of the box that hands are above its foot; standing heights
MARGIN = 0.2  # boxes of parcels are taken so much larger: the head is only about where it is thought to be
LEAST, MOST = 0.005, 0.995  # scores are believed to lie between these


class Evidence(NamedTuple):
    """One look at one person.

    Attributes:
        features: In the order of `FEATURES`, all finite.
        device: Whether a phone or scanner was seen in the hand.
        telling: Whether the model speaks about acts at all; a phone of a model without our traits tells nothing.
        parcel: Id of the parcel aimed at, if any.
    """

    features: tuple[float, ...]
    device: bool
    telling: bool
    parcel: int | None


def looks(scene: Scene, bearings: Sequence[Bearing]) -> list[Evidence]:
    """One look at each person of a scene.

    Args:
        scene: What is seen.
        bearings: Of `scene.people`, in their order, this scene's look included.
    """
    held: dict[int, list[Device]] = {}
    for device in scene.devices:
        if device.holder is not None and isfinite(sum(device.box)):
            held.setdefault(device.holder, []).append(device)
    main = {holder: max(devices, key=sureness) for holder, devices in held.items()}
    aimers = [k for k, person in enumerate(scene.people) if person.id in main]
    targets = aimed_at([scene.people[k].box for k in aimers], [main[scene.people[k].id].box for k in aimers],
                       [REACH * bearings[k].height for k in aimers], scene.parcels)  # fmt: skip
    aims = dict(zip(aimers, targets, strict=True))
    return [
        _look(person, bearings[k], held.get(person.id, []), main.get(person.id), aims.get(k))
        for k, person in enumerate(scene.people)
    ]


def _look(person: Person, bearing: Bearing, held: Sequence[Device], main: Device | None, aim: Aim | None) -> Evidence:
    phones = [device for device in held if device.label == "phone"]
    scanners = [device for device in held if device.label == "scanner"]
    acts = person.acts if person.acts is not None and isfinite(sum(person.acts)) else None
    phone = max(phones, key=sureness) if phones else None
    features = (
        *((0.0, 0.0, 0.0) if phone is None else map(log_odds, (phone.score, phone.photo, phone.call))),
        log_odds(max(map(sureness, scanners))) if scanners else 0.0,
        *((0.0, 0.0, 0.0, 0.0) if acts is None else map(log_odds, acts)),
        *((0.0, 0.0, 0.0, 0.0) if main is None else _place(person.box, bearing, main.box)),
        0.0 if aim is None else 1.0,
        0.0 if aim is None else aim.nearness,
        min(bearing.speed, 2.0) if isfinite(bearing.speed) else 0.0,
        float(bearing.crouched),
        float(phone is None),
        float(not scanners),
        float(acts is None),
    )
    telling = bool(scanners) or acts is not None or (phone is not None and (phone.photo > 0 or phone.call > 0))
    return Evidence(features, main is not None, telling, None if aim is None else aim.parcel)


def sureness(device: Device) -> float:
    """How sure it is that there is one, 0..1: no number is not at all."""
    return device.score if isfinite(device.score) else 0.0


def _place(person: Box, bearing: Bearing, device: Box) -> tuple[float, float, float, float]:
    """At the ear, distance from the head, the horizontal part of it, and height above the feet."""
    (x, y), (hx, hy) = centre(device), head(person)
    height = bearing.height
    away, aside, above = hypot(x - hx, y - hy) / height, abs(x - hx) / height, (person[3] - y) / height
    if not isfinite(away + aside + above):
        return 0.0, 0.0, 0.0, 0.0
    return float(at_ear(person, device)), min(away, 2.0), min(aside, 2.0), min(max(above, -2.0), 2.0)


def log_odds(score: float) -> float:
    """Logarithm of a score's odds, the score held within sane bounds; a score that is no number is a low one."""
    p = score if LEAST <= score <= MOST else MOST if MOST < score < inf else LEAST
    return log(p / (1 - p))


def at_ear(person: Box, phone: Box) -> bool:
    """Whether a phone is beside the head of an upright person: in the top sixth of the box, near its middle."""
    width, height = person[2] - person[0], person[3] - person[1]
    if height < 1.6 * width:  # bent or crouched: the head may be anywhere in the box
        return False
    x, y = centre(phone)
    return y < person[1] + 0.17 * height and abs(x - head(person)[0]) < 0.2 * height


class Aim(NamedTuple):
    """The parcel a device is aimed at, and how near it is: 1 at the device, 0 at the end of reach."""

    parcel: int
    nearness: float


def aimed_at(
    people: Sequence[Box], devices: Sequence[Box], reach: Sequence[float], parcels: Sequence[Parcel]
) -> list[Aim | None]:
    """For each person the nearest parcel on the line from the head through the device, as the picture shows it.

    Only a parcel that may show a label counts: one whose top was judged to bear none is no target, nor is one that the
    head itself stands before.

    Args:
        people: P boxes.
        devices: The device of each.
        reach: How far beyond the device a parcel may lie, pixels, for each.
        parcels: Every parcel slot of the scene.
    """
    bare = Facing.NOT_UP  # an enum's member takes longer to look up than all else that is asked of a parcel
    targets = [parcel for parcel in parcels if parcel.facing is not bare]
    if not people or not targets:
        return [None] * len(people)
    # Number by number, as in `as_array`.
    numbers = np.fromiter(chain.from_iterable([parcel.box for parcel in targets]), np.float64)
    low, high = np.ascontiguousarray(numbers.reshape(-1, 4).T).reshape(2, 2, -1)
    with np.errstate(all="ignore"):  # a box that is no number is met by nothing
        margin = MARGIN * (high - low)
        grown = np.concatenate([low - margin, high + margin])
    origins = np.array([head(person) for person in people], np.float64)
    throughs = np.array([centre(device) for device in devices], np.float64)
    along = rays_enter(origins, throughs, grown)
    x, y = origins[:, :1], origins[:, 1:]
    behind = (grown[0] <= x) & (x <= grown[2]) & (grown[1] <= y) & (y <= grown[3])
    along[behind | ~(along <= np.asarray(reach, np.float64)[:, None])] = np.inf
    nearest = along.argmin(1)
    found = along[np.arange(len(people)), nearest]
    return [
        Aim(targets[k].id, 1.0 - far / limit) if far < np.inf else None
        for k, far, limit in zip(nearest.tolist(), found.tolist(), reach, strict=True)
    ]


def within_reach(person: Box, height: float, parcels: Sequence[Parcel]) -> int | None:
    """The parcel nearest somebody's hands, as the picture shows it; `None` where none is near.

    It stands for the one photographed where no phone is seen that aims at any. In 500 training stills 38 in a hundred
    were the right one, 62 one of the two nearest: that several photos are of several parcels is told better than which.
    So its top needs no label: every fourth photo there was of a label on a side.

    Args:
        person: Box of them.
        height: How tall they stand, pixels.
        parcels: Every parcel slot of the scene.
    """
    x, y = centre(person)[0], person[3] - HANDS * (person[3] - person[1])
    nearest, least = None, HANDS_REACH * height
    for parcel in parcels:
        left, top, right, bottom = parcel.box
        away = hypot(max(left - x, 0.0, x - right), max(top - y, 0.0, y - bottom))
        if away <= least and isfinite(sum(parcel.box)):
            nearest, least = parcel.id, away
    return nearest


def plus(sums: Sums, added: Sequence[float]) -> Sums:
    """Sums with one look more."""
    return tuple(map(add, sums, added))


def absent(features: Floats) -> NDArray[np.bool_]:
    """Which of the features `(N, F)` of looks say nothing, because what they are about isn't there: `(N, F)`."""
    no_phone, no_scanner, no_look, aimed = (features[:, PLACE_OF[name], None] > 0.5 for name in TELL_WHAT_IS_THERE)
    missing = np.zeros(features.shape, bool)
    missing[:, OF_PHONE] = no_phone
    missing[:, OF_SCANNER] = no_scanner
    missing[:, OF_LOOK] = no_look
    missing[:, OF_DEVICE] = no_phone & no_scanner
    missing[:, OF_TARGET] = ~aimed
    return missing


class ActWeights(BaseModel):
    """The card `models/acts.yaml`: what the features weigh, and how looks that follow each other add up.

    Attributes:
        kinds: As `KINDS`.
        features: As `FEATURES`: a card of another order would be read wrongly.
        means: Of each feature where it says something, in training.
        scales: Its standard deviation there.
        weights: By kind, of each standardised feature.
        offsets: By kind; the logarithms of the priors are already taken off.
        tau_s: By kind, `none` left out: looks nearer than this in time say the same thing again, so that each counts
            for its time over this. Such that Wald's bound holds (`models/acts/README.md`).
        intraclass: Correlation 0..1 that looks of one stretch keep however far apart they are.
        longest_s: One look never counts for more than this time, whatever was missed since the one before.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    kinds: tuple[str, ...]
    features: tuple[str, ...]
    means: tuple[float, ...]
    scales: tuple[float, ...]
    weights: dict[str, tuple[float, ...]]
    offsets: dict[str, float]
    tau_s: dict[str, Annotated[float, Field(gt=0, le=60)]]
    intraclass: float = Field(ge=0, lt=1)
    longest_s: float = Field(gt=0, le=60)

    @model_validator(mode="after")
    def _fits(self) -> ActWeights:
        if self.kinds != KINDS:
            raise ValueError(f"kinds must be {', '.join(KINDS)}")
        if self.features != FEATURES:
            raise ValueError("features are not those of this version: learn the weights again (models/acts/README.md)")
        if self.weights.keys() != set(KINDS) or self.offsets.keys() != set(KINDS):
            raise ValueError("weights and offsets need every kind and no other")
        if self.tau_s.keys() != set(KINDS) - {"none"}:
            raise ValueError("tau_s needs every kind but none")
        rows = [self.means, self.scales, *self.weights.values()]
        if any(len(row) != len(FEATURES) for row in rows):
            raise ValueError(f"means, scales and each of the weights need {len(FEATURES)} numbers")
        if not all(isfinite(v) for v in [*(v for row in rows for v in row), *self.offsets.values()]):
            raise ValueError("a number is not finite")
        if min(self.scales) <= 0:
            raise ValueError("scales must be above 0")
        return self


@dataclass(frozen=True, slots=True, eq=False)
class Weighing:
    """Weights ready to use: `means` `(F,)`, `slopes` `(F, K)` of features, `intercepts` `(K,)`; how looks add up.

    Features are held between `lowest` and `highest` `(F,)`: a straight line learned where there were looks says nothing
    of where there were none, such as a phone that is far surer than any in training.
    """

    means: Floats
    lowest: Floats
    highest: Floats
    slopes: Floats
    intercepts: Floats
    tau_s: Mapping[str, float]
    intraclass: float
    longest_s: float

    @staticmethod
    def of(card: ActWeights) -> Weighing:
        """From a card."""
        means, scales = np.array(card.means), np.array(card.scales)
        slopes = np.array([card.weights[kind] for kind in KINDS]).T / scales[:, None]
        intercepts = np.array([card.offsets[kind] for kind in KINDS]) - means @ slopes
        lowest, highest = means - FAR_OUT * scales, means + FAR_OUT * scales
        return Weighing(means, lowest, highest, slopes, intercepts, card.tau_s, card.intraclass, card.longest_s)

    def likelihoods(self, features: Floats) -> Floats:
        """Log-likelihoods `(N, K)` of looks `(N, F)`, by kind, up to a constant of each look."""
        known = np.where(absent(features), self.means, np.minimum(np.maximum(features, self.lowest), self.highest))
        return np.asarray(known @ self.slopes + self.intercepts)

    def said(self, evidence: Sequence[Evidence]) -> list[list[float]]:
        """Log-likelihoods of each look by kind, up to a constant of each; all 0 where the look doesn't tell."""
        if not evidence:
            return []
        # Number by number, as in `as_array`.
        numbers = np.fromiter(chain.from_iterable([look.features for look in evidence]), np.float64)
        found = self.likelihoods(numbers.reshape(len(evidence), -1))
        found[[not look.telling for look in evidence]] = 0.0
        rows: list[list[float]] = found.tolist()
        return rows


def load_weights(path: Path | None = None) -> Weighing:
    """The weights of a card; those that ship with the project when left out.

    Raises:
        MissingPart: There is no `models/acts.yaml`.
        ModelError: The card can't be read, or isn't one.
    """
    return _loaded(path or resource("models", "acts.yaml"))


@lru_cache(maxsize=4)
def _loaded(path: Path) -> Weighing:
    return Weighing.of(read_card(path, ActWeights, "card of act weights"))
