"""How surely photos are a sweep: acts of one zone enter, a chance leaves.

A person's acts are described by `Features`:

- `odds`: each distinct parcel adds the log odds of its surest act, never less than nothing: who takes labels goes on to
  the next, while further acts at the same parcel are one more chance to err in the same way;
- `seconds`: how long these acts lasted, each up to `LONGEST_S`: what is mistaken for a photo is mostly short;
- `reading`: log(1 + s), s being seconds of reading the phone about then for each second of photographing;
- `scans`: log(1 + n), n being scans about then. Who plainly reads a phone, or scans, gives the better explanation of
  what looks like photos between.

What they weigh is learnt by logistic regression on simulated work and sweeps (`models/simulation/seriality.py`,
`models/sweeps.yaml`). Of several people the chance is that at least one sweeps (the noisy-or of Pearl, 1988): one photo
each of people who come within minutes is no seriality, but as many chances to err.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from math import exp, isfinite, log, log1p, prod
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, FiniteFloat, NonNegativeFloat, NonPositiveFloat

from detector.cards import read_card
from detector.resources import resource
from detector.values import Act, ActKind

PHOTO_S, LONGEST_S = 2.5, 4.0  # how long a photo takes; one that lasts longer than this is no surer
AROUND_S = 20.0  # reading or scanning so long before and after the photos still says what the device is for
SUREST = 0.98  # no act is believed more than this
MOST = 30.0  # log odds; a chance so near to 1 is still told from it


class Features(NamedTuple):
    """What one person's acts say; see the module."""

    odds: float
    seconds: float
    reading: float
    scans: float


class SweepWeights(BaseModel):
    """The card `models/sweeps.yaml`: log odds of a sweep are `offset` plus the weighted features.

    The signs hold whatever was learnt: a sweep is never less sure by another parcel, nor surer by other work.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    odds: NonNegativeFloat
    seconds: NonNegativeFloat
    reading: NonPositiveFloat
    scans: NonPositiveFloat
    offset: FiniteFloat

    def log_odds(self, said: Features) -> float:
        """Of a sweep by one person."""
        weights = self.odds, self.seconds, self.reading, self.scans
        return self.offset + sum(weight * value for weight, value in zip(weights, said, strict=True))


def chance(
    acts: Sequence[Act],
    work: Iterable[Act] = (),
    who: Mapping[int, int] | None = None,
    weights: SweepWeights | None = None,
) -> float:
    """How sure a sweep is, 0..1.

    Args:
        acts: That count. One whose score is no number, or that is of no parcel, says nothing.
        work: Reading and scanning.
        who: Names of people by track (`Returning`); each track is somebody else where it says nothing.
        weights: Those that ship with the project when left out.

    Raises:
        MissingPart: There is no `models/sweeps.yaml`.
        ModelError: It can't be read, or isn't a card.
    """
    weights = weights or load_weights()
    return by_all([weights.log_odds(said) for said in said_by_each(acts, work, who)])


def by_all(odds: Iterable[float]) -> float:
    """The chance that at least one sweeps of people for whom these are the log odds."""
    return 1 - prod(1 / (1 + exp(min(max(one, -MOST), MOST))) for one in odds)


def said_by_each(acts: Sequence[Act], work: Iterable[Act] = (), who: Mapping[int, int] | None = None) -> list[Features]:
    """What the acts of each person say, as `chance` takes them; a parcel counts for whoever was surest of it."""
    names = who or {}
    surest: dict[int, tuple[float, float, int]] = {}
    theirs: dict[int, list[Act]] = {}
    for act in acts:
        if act.parcels and isfinite(act.score):
            parcel, name = act.parcels[0], names.get(act.track, act.track)
            theirs.setdefault(name, []).append(act)
            lasted = min(act.ended_at - act.started_at, LONGEST_S)
            surest[parcel] = max(surest.get(parcel, (0.5, 0.0, name)), (min(act.score, SUREST), lasted, name))
    others: dict[int, list[Act]] = {}
    for act in work:
        others.setdefault(names.get(act.track, act.track), []).append(act)
    said = []
    for name, own in theirs.items():
        taken = [(sure, lasted) for sure, lasted, surer in surest.values() if surer == name]
        if taken:
            spans = [(act.kind, seconds) for act, seconds in about(own, others.get(name, ()))]
            read_s = sum(seconds for kind, seconds in spans if kind is ActKind.BROWSE)
            # What isn't reading is scanning, be it with a scanner that looked like a phone.
            scans = sum(kind is not ActKind.BROWSE for kind, _ in spans)
            odds, lasted_s = sum(log_odds(sure) for sure, _ in taken), sum(lasted for _, lasted in taken)
            said.append(Features(odds, lasted_s, log1p(read_s / (PHOTO_S * len(taken))), log1p(scans)))
    return said


def log_odds(chance: float) -> float:
    """Logarithm of the odds of a chance between 0 and 1, neither included."""
    return log(chance / (1 - chance))


def about(acts: Sequence[Act], others: Iterable[Act]) -> list[tuple[Act, float]]:
    """Those of `others` that went on while `acts` did, or shortly before or after; and for how many seconds then."""
    begin, end = min(act.started_at for act in acts) - AROUND_S, max(act.ended_at for act in acts) + AROUND_S
    there = (act for act in others if act.started_at < end and act.ended_at > begin)
    return [(act, min(act.ended_at, end) - max(act.started_at, begin)) for act in there]


def load_weights(path: Path | None = None) -> SweepWeights:
    """The weights of a card; those that ship with the project when left out.

    Raises:
        MissingPart: There is no `models/sweeps.yaml`.
        ModelError: The card can't be read, or isn't one.
    """
    return _loaded(path or resource("models", "sweeps.yaml"))


@lru_cache(maxsize=4)
def _loaded(path: Path) -> SweepWeights:
    return read_card(path, SweepWeights, "card of sweep weights")
