"""How surely photos are a sweep: acts of one zone enter, a chance leaves.

What one person's acts say is a sum of log odds: each distinct parcel adds those of its surest act, never less than
nothing. Who takes labels goes on to the next, while further acts at the same parcel are one more chance to err in the
same way. Each minute without a photo takes some back: somebody who stays, to sort parcels, is mistaken now and then,
and in an hour that adds up. So of all that somebody did the stretch counts that says most, as in Page's cumulative sum
(Biometrika, 1954). It counts for the share that photographing has in what the person does with a device about then: as
a number beside scans, as time beside reading. Who plainly scans, or reads a phone, gives the better explanation of what
looks like photos between.

What that weighs is learnt on simulated work and sweeps (`models/simulation/seriality.py`, `models/sweeps.yaml`). Of
several people the surest says how sure it is: one photo each of people who come within minutes is no seriality, but as
many chances to err. That one of them at least sweeps is likelier the more they are, but for a busy hall that grows by
errors alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from math import exp, inf, isfinite, log
from pathlib import Path

from pydantic import BaseModel, ConfigDict, FiniteFloat, NonNegativeFloat

from detector.cards import read_card
from detector.machine.resources import resource
from detector.values import Act, ActKind

PHOTO_S = 2.5  # how long a photo takes
AROUND_S = 20.0  # reading or scanning so long before and after the photos still says what the device is for
# No act is believed more than the looks it is learnt from can tell (`models/simulation/lasting.py`): where the weights
# were learnt, 41 of 151 photos looked surely like one, and none of 123 scans, of which up to 3 may all the same (rule
# of three). Twice as many looks allow 0.96, by which no more sweeps are found (`models/tried.md`).
SUREST = 0.92
# Log odds that a minute without photos takes back, beyond `AROUND_S`. On scenes that choose 23 acts an hour of somebody
# who handles parcels look like photos (`people.py --stays`), so that 0.7 a minute comes of errors.
A_MINUTE = 2.0
MOST = 30.0  # log odds; a chance so near to 1 is still told from it


class SweepWeights(BaseModel):
    """The card `models/sweeps.yaml`: the log odds of a sweep are `offset` plus `odds` times what the acts say."""

    model_config = ConfigDict(frozen=True, extra="allow")

    odds: NonNegativeFloat
    offset: FiniteFloat


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
    said = said_by_each(acts, work, who)
    return 1 / (1 + exp(-min(max(weights.offset + weights.odds * max(said), -MOST), MOST))) if said else 0.0


def said_by_each(acts: Sequence[Act], work: Iterable[Act] = (), who: Mapping[int, int] | None = None) -> list[float]:
    """What the acts of each person say, as `chance` takes them.

    A parcel counts once: for whoever of all who photographed it has most beside. Else a long sweep, gone over again by
    tracks that break, would be taken to pieces that each say nothing.
    """
    names = who or {}
    theirs: dict[int, list[Act]] = {}
    for act in sorted(acts, key=lambda act: act.started_at):
        if act.parcels and isfinite(act.score):
            theirs.setdefault(names.get(act.track, act.track), []).append(act)
    others: dict[int, list[Act]] = {}
    for act in work:
        others.setdefault(names.get(act.track, act.track), []).append(act)
    said = []
    while theirs:
        stretches = {name: surest_stretch(own) for name, own in theirs.items()}
        most = max(stretches, key=lambda name: stretches[name][0])
        odds, stretch = stretches[most]
        del theirs[most]
        counted = {act.parcels[0] for act in stretch}
        said.append(odds * share_of_photos(len(counted), about(stretch, others.get(most, ()))))
        left = {name: [act for act in more if act.parcels[0] not in counted] for name, more in theirs.items()}
        theirs = {name: more for name, more in left.items() if more}
    return said


def surest_stretch(acts: Sequence[Act]) -> tuple[float, Sequence[Act]]:
    """What the stretch of one person's acts says that says most, and the acts in it.

    Args:
        acts: At least one, each of a parcel, by when they began.
    """
    odds: dict[int, float] = {}
    stretch: list[Act] = []
    says, until, best = 0.0, acts[0].ended_at, (-inf, acts)
    for act in acts:
        says -= A_MINUTE * max(0.0, act.started_at - until - AROUND_S) / 60
        until = max(until, act.ended_at)
        if says <= 0:  # what was before says nothing any more
            says, odds, stretch = 0.0, {}, []
        parcel, own = act.parcels[0], log_odds(min(max(act.score, 0.5), SUREST))
        says += max(0.0, own - odds.get(parcel, 0.0))
        odds[parcel] = max(odds.get(parcel, 0.0), own)
        stretch.append(act)
        if says > best[0]:
            best = says, tuple(stretch)
    return best


def share_of_photos(photos: int, spans: Sequence[tuple[Act, float]]) -> float:
    """Share 0..1 of so many photos in what is done with a device, beside other acts and for how many seconds each."""
    read_s = sum(seconds for act, seconds in spans if act.kind is ActKind.BROWSE)
    # What isn't reading is scanning, be it with a scanner that looked like a phone.
    scans = sum(act.kind is not ActKind.BROWSE for act, _ in spans)
    return photos / (photos + scans) * PHOTO_S * photos / (PHOTO_S * photos + read_s)


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
