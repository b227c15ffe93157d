"""Verdicts come in; what a higher least score would have spared and cost leaves, and a proposal where that is safe.

Per camera and kind of incident. Incidents judged true must stay, those judged false had better go; authorised ones
were seen rightly, so that they speak for an exemption and not for a score, and unclear ones say nothing.

Of n true incidents that are told today, k lie below a candidate. The share that would be lost of those to come is at
most p with confidence `SURE`, where p is the upper Clopper-Pearson bound: the p at which k or fewer of n have the
chance 1 - `SURE` (Clopper & Pearson 1934, Biometrika 26, 404). Candidates lie at false incidents, and k grows with
the candidate, so they are tested from the lowest up until the first one fails: in that fixed order the confidence
holds for all that pass together, whichever of them is chosen (Angelopoulos et al. 2021, arXiv:2110.01052, "fixed
sequence testing"). What is said of false incidents has no such guard: their number below the proposal helped to
choose it, so the share spared may turn out a little smaller than what its bound says.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

MOST_LOST = 0.15  # share of true incidents to come; whoever photographs labels does it again
SURE = 0.95
LEAST_SPARED = 3  # false incidents that a proposal must spare to be worth a change
TRUE_WEIGHS = 10  # losing one that was true costs as much as looking at so many that were not
STEP = 0.01
MOST_JUDGED = 500  # newest of a camera and kind that are looked at


@dataclass(frozen=True, slots=True)
class Judged:
    """An incident with a verdict; `score` is the highest that its findings reached, 0..1."""

    site: str
    edge: str
    camera: str
    kind: str
    id: str
    score: float
    verdict: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """What a least score would do to the judged incidents that are told today.

    `lost_bound` is the most of true incidents to come that are lost, `spared_bound` the least of false ones that are
    spared: shares, each with confidence `SURE`.
    """

    least_score: float
    kept: int
    lost: int
    spared: int
    left: int
    lost_bound: float
    spared_bound: float

    @property
    def is_safe(self) -> bool:
        """Whether it surely loses few enough."""
        return self.lost_bound <= MOST_LOST

    @property
    def gain(self) -> int:
        """How much work it spares beyond what it loses, in false incidents."""
        return self.spared - TRUE_WEIGHS * self.lost


@dataclass(frozen=True, slots=True)
class Advice:
    """What verdicts say of one camera and kind.

    Attributes:
        counts: How many incidents by verdict.
        now: The least score that counts today: set at the hub, or what the edge is configured to ask for.
        candidates: Each that spares more than the one before, from low to high.
        proposal: The one that is proposed.
        why_not: Where none is: `few_true`, `few_false` or `mixed`.
        missing: For `few_true` and `few_false`: how many more verdicts it takes.
    """

    counts: Counter[str]
    now: float
    candidates: tuple[Candidate, ...]
    proposal: Candidate | None
    why_not: str | None
    missing: int = 0


def advise(judged: Iterable[Judged], now: float = 0.0) -> Advice:
    """What the verdicts on one camera and kind say."""
    judged = list(judged)
    told = [one for one in judged if one.score >= now]
    true = sorted(one.score for one in told if one.verdict == "true")
    false = sorted(one.score for one in told if one.verdict == "false")
    candidates = tuple(_candidate(at, true, false) for at in sorted({_just_above(score) for score in false}) if at <= 1)
    proposal = max(
        (candidate for candidate in candidates if candidate.is_safe and candidate.spared >= LEAST_SPARED),
        key=lambda candidate: (candidate.gain, -candidate.least_score),
        default=None,
    )
    if proposal is not None and proposal.gain <= 0:
        proposal = None
    why_not, missing = None, 0
    if proposal is None:
        why_not = "mixed"
        if len(false) < LEAST_SPARED:
            why_not, missing = "few_false", LEAST_SPARED - len(false)
        elif len(true) < fewest_true():
            why_not, missing = "few_true", fewest_true() - len(true)
    return Advice(Counter(one.verdict for one in judged), now, candidates, proposal, why_not, missing)


def _candidate(at: float, true: Sequence[float], false: Sequence[float]) -> Candidate:
    """What a least score would do to scores of true and false incidents, each from low to high."""
    lost, spared = bisect_left(true, at), bisect_left(false, at)
    kept, left = len(true) - lost, len(false) - spared
    lost_bound, spared_bound = upper_bound(lost, len(true)), 1.0 - upper_bound(left, len(false))
    return Candidate(at, kept, lost, spared, left, lost_bound, spared_bound)


def _just_above(score: float) -> float:
    return round((math.floor(round(score / STEP, 6)) + 1) * STEP, 2)


@lru_cache
def fewest_true() -> int:
    """How many true incidents it takes, none of them lost, for the bound to be low enough."""
    return math.ceil(math.log(1.0 - SURE) / math.log(1.0 - MOST_LOST))


@lru_cache(maxsize=2**14)
def upper_bound(k: int, n: int, sure: float = SURE) -> float:
    """One-sided upper Clopper-Pearson bound of a share, when k of n were found; 1 when n is 0.

    By Newton's method on the logarithm of the chance of k or fewer: as a function of the share it falls and is concave
    (a beta distribution's tail), so whatever the step from the left overshoots, those from the right come down to it.
    """
    if k >= n:
        return 1.0
    p, step = (k + 1.0) / (n + 1.0), 1.0
    while abs(step) > 1e-9:
        chance, last = _at_most(k, n, p)
        slope = -last / chance * (n - k) / (1.0 - p)
        step = math.log(chance / (1.0 - sure)) / slope
        p = min(p - step, (p + 1.0) / 2.0)
    return p


def _at_most(k: int, n: int, p: float) -> tuple[float, float]:
    """Chance of k or fewer of n, and of just k, at a share p of about k/n or more, below 1.

    From k down each is a known share of the one before, and soon they are too small to count.
    """
    whole = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
    last = math.exp(whole + k * math.log(p) + (n - k) * math.log1p(-p))
    total, term, odds = 0.0, last, (1.0 - p) / p
    for i in range(k, -1, -1):
        total += term
        term *= odds * i / (n - i + 1)
        if term < total * 1e-16:
            break
    return total, last
