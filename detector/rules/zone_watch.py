"""Do labels lie up more than is usual in this zone? Parcels that came or were turned enter, an alarm may leave.

The zone is looked at as a whole, in halves and in quarters that overlap (`SIDES`): a patch may be small. Each window
bets on what it sees (`edetector.py`), against the zone's own usual rate (`usual.py`).

Arrivals and turns are bet on apart. Arrivals are up at the usual rate. A parcel that changes is up afterwards at odds
of

    (those that lie not up) * rate : (those that lie up) * (1 - rate),

and at the usual rate at least: so it is when tops are misread now and then, and when parcels are thrown about again.

The mean time between false alarms is what was set as long as the zone's rate is no higher than the bound that was
learned. What it becomes while a zone is new, drifts, or throws are more alike than supposed is measured by
`models/simulation/zones.py`.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from math import log, sqrt
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from detector.config import MOST_USUAL, Zone
from detector.config import OrientationRule as Settings
from detector.geometry import points_in_polygon
from detector.rules.edetector import ALTERNATIVE, CORRELATION, EDetector, Rows, log_ratio
from detector.rules.usual import PRIOR, UsualRate
from detector.values import DAY_S

MONTH_S = 30 * DAY_S
MEMORY_S = 7 * DAY_S
ADVANCE_S = 3 * DAY_S  # of the first month's allowance, paid in at the start: what lies there already can be told
MOST_AT_REST = 0.5  # wealth; for levels so high that what gathers in quiet times would be an alarm
THROW_S = 60.0
SIDES = (1.0, 0.5, 0.25)  # of windows, in shares of the zone's width and height; neighbours overlap by half
LEAST_RATE = 0.05  # labels are misread even in the tidiest zone, and as many where all lie up
UNJUDGEABLE = (MOST_USUAL, 0.70)  # not judged above the first usual rate, judged again below the second
DOUBTFUL = log(100)  # a throw so much likelier to be a pattern is not learned from
NEARLY = 0.75  # of the log ratio of the window that looks most like a pattern
QUARANTINE_S = 3600.0  # nor is what comes so soon after an alarm
BAND = 1.96  # standard deviations that 19 of 20 lie within

Turnable = tuple[Rows, bool]  # a parcel: the windows that it lies in, and whether its label is up

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Alarm:
    """Labels lie up where they shouldn't: in which window, since when, and how much evidence there is.

    `evidence` is wealth, of which 1 is enough: as much evidence comes by chance at most once in `evidence` times the
    mean time between false alarms that was set.
    """

    window: int
    since: float
    evidence: float


@dataclass(slots=True)
class _Throw:
    """Arrivals of the whole zone that are still counted as one throw."""

    began: float
    shift: str
    up: int = 0
    not_up: int = 0
    doubtful: bool = False


class LearnedRate(BaseModel):
    """What was learned of one shift, in parcels."""

    model_config = ConfigDict(extra="forbid")
    up: float = Field(ge=0, le=1e9, allow_inf_nan=False)
    not_up: float = Field(ge=0, le=1e9, allow_inf_nan=False)
    left_out: float = Field(ge=0, le=1e9, allow_inf_nan=False)


class LearnedZone(BaseModel):
    """What outlives a restart: usual rates by shift (one named "" where they are not apart), and wealth."""

    model_config = ConfigDict(extra="forbid")
    watched_s: float = Field(ge=0, le=1e12, allow_inf_nan=False)
    wealth: float = Field(ge=0, allow_inf_nan=False)
    rates: dict[Annotated[str, Field(max_length=64)], LearnedRate]


class ZoneWatch:
    """The judgement of one zone. Times are frame times; `elapse` counts the time in which somebody watched."""

    def __init__(self, zone: Zone, settings: Settings) -> None:
        self._name = zone.name
        self._settings = settings
        self._prior = zone.label_up_rate if zone.label_up_rate is not None else settings.usual_rate
        self._is_guess = zone.label_up_rate is None and settings.learn
        self._corner, self._size = bounds(zone)
        self._windows = windows(zone)
        weights = window_weights(self._windows)
        allowance_s = settings.false_alarms_per_month / MONTH_S
        self._arrivals, self._turns = (EDetector(weights / 2, allowance_s, MEMORY_S, THROW_S) for _ in range(2))
        self._rest = min(allowance_s * MEMORY_S, MOST_AT_REST)
        self._set_wealth(min(allowance_s * ADVANCE_S, MOST_AT_REST))
        self._rates: dict[str, UsualRate] = {}
        self._shift = ""
        self._throw: _Throw | None = None
        self._turning_since = -np.inf
        self._alarmed_s = -np.inf
        self._peak = 0.0
        self._lying = np.zeros((2, len(weights)))  # parcels that lie not up, and up
        self._unjudgeable = False
        self._order = np.random.default_rng(0)  # of parcels that come at once: whatever else may go with how they lie
        self.watched_s = 0.0

    @property
    def usual(self) -> UsualRate:
        """The usual rate of the shift that is on; the one given where none is to be learned, whatever was earlier."""
        if not self._settings.learn:
            return UsualRate(self._prior)
        return self._rates.setdefault(self._shift, UsualRate(self._prior))

    @property
    def supposes(self) -> bool:
        """Whether the usual rate is a guess: nobody told this zone's, and too little was learned yet to outweigh it."""
        usual = self.usual
        return self._is_guess and usual.up + usual.not_up < PRIOR

    @property
    def wealth(self) -> float:
        """Evidence so far; 1 is enough for an alarm."""
        return self._arrivals.wealth + self._turns.wealth

    def windows_of(self, place: tuple[float, float]) -> Rows:
        """Windows that hold a place, given in shares of the picture's width and height."""
        x, y = np.clip((np.asarray(place) - self._corner) / self._size, 0, 1 - 1e-9)
        left, top, right, bottom = self._windows.T
        return np.flatnonzero((left <= x) & (x < right) & (top <= y) & (y < bottom))

    def band(self, parcels: int) -> tuple[float, float]:
        """Between which shares so many parcels lie label up, 19 times in 20, when nothing is wrong; for people to see.

        No bet goes by this. From the usual rate downwards, and upwards from the highest rate at which nothing is wrong;
        parcels of a throw land alike.
        """
        low, high = self.usual.mean, self._null()
        alike = 1 / parcels + CORRELATION * (1 - 1 / parcels)
        low -= BAND * sqrt(low * (1 - low) * alike)
        high += BAND * sqrt(high * (1 - high) * alike)
        return max(round(low, 4), 0.0), min(round(high, 4), 1.0)

    def elapse(self, watched_s: float) -> None:
        """Let time pass in which the zone was watched; the first month pays in what the start left of its allowance."""
        first_s = min(max(MONTH_S - self.watched_s, 0.0), watched_s)
        for detector in (self._arrivals, self._turns):
            detector.elapse(first_s, 1 - ADVANCE_S / MONTH_S)
            detector.elapse(watched_s - first_s)
        self.watched_s += watched_s
        for rate in self._rates.values():
            rate.elapse(watched_s)

    def begin_shift(self, name: str) -> None:
        """From now on, the usual rate is that of this shift."""
        self._shift = name

    def lie(self, parcels: Sequence[Turnable], count: int = 1) -> None:
        """Count parcels as lying here, or with a `count` of -1 as gone."""
        self._lying += count * self._counts(parcels)

    def arrive(self, parcels: Sequence[Turnable], at: float) -> None:
        """Bet on parcels that have come to lie here together, and learn from them once their throw is over."""
        self._lying += self._counts(parcels)
        throw = self._throw_at(at)
        null = self._null()
        for k in self._order.permutation(len(parcels)):
            rows, up = parcels[k]
            throw.up += up
            throw.not_up += not up
            if self._judgeable(null):
                self._arrivals.observe(rows, up, null, at)
                self._peak = max(self._peak, self.wealth)
        seen = np.flatnonzero(self._counts(parcels).sum(axis=0))
        alike = self._arrivals.likeness(seen) >= DOUBTFUL
        throw.doubtful |= alike or self.watched_s - self._alarmed_s < QUARANTINE_S

    def turn(self, parcels: Sequence[Turnable], at: float, *, bet: bool = True) -> None:
        """Bet on parcels that lay here and were turned, given as they lie now; `bet`: or only take note of it."""
        rate = self._null()
        for k in self._order.permutation(len(parcels)):
            rows, up = parcels[k]
            if bet and self._judgeable(rate):
                not_ups, ups = self._lying[:, rows]
                odds_up, odds_not_up = np.maximum(not_ups, 1e-9) * rate, ups * (1 - rate)
                null = np.maximum(odds_up / (odds_up + odds_not_up), rate)
                self._turns.observe(rows, up, np.minimum(null, ALTERNATIVE), at)
                self._peak = max(self._peak, self.wealth)
            self._lying[int(up), rows] += 1
            self._lying[int(not up), rows] -= 1
        if bet and not 0 <= at - self._turning_since <= THROW_S:
            self._turning_since = at

    def judge(self, at: float) -> Alarm | None:
        """An alarm, which uses up all evidence, or `None`; evidence is the most there was since it was asked last."""
        evidence, self._peak = max(self._peak, self.wealth), 0.0
        patch = self.patch() if evidence >= 1 else None
        if patch is None:
            return None
        self._set_wealth(0.0)
        self._alarmed_s = self.watched_s
        began = (self._throw.began if self._throw else at, self._turning_since)
        return Alarm(patch, min((t for t in began if 0 <= at - t <= THROW_S), default=at), evidence)

    def patch(self) -> int | None:
        """The window to show: what lies there now looks like a pattern; `None` where nothing does.

        Of windows that look nearly as much like one as the best does, that with the most labels up: the best alone
        would leave out the few that lie the other way.
        """
        not_up, up = self._lying
        ratio = log_ratio(up, not_up, self._null())
        ratio[up + not_up < self._settings.least_parcels] = 0
        most = ratio.max()
        return int(np.where(ratio >= NEARLY * most, up, -1).argmax()) if most > 0 else None

    def learned(self) -> LearnedZone:
        """What outlives a restart."""
        rates = {k: LearnedRate(up=r.up, not_up=r.not_up, left_out=r.left_out) for k, r in self._rates.items()}
        return LearnedZone(watched_s=self.watched_s, wealth=self.wealth, rates=rates)

    def recall(self, learned: LearnedZone) -> None:
        """Take up what was learned earlier; wealth that was used up by an alarm stays so."""
        self.watched_s = learned.watched_s
        self._set_wealth(min(learned.wealth, self._rest))
        for shift, rate in learned.rates.items():
            self._rates[shift] = UsualRate(self._prior, rate.up, rate.not_up, rate.left_out)

    def _set_wealth(self, total: float) -> None:
        self._arrivals.set_wealth(total)
        self._turns.set_wealth(total)

    def _counts(self, parcels: Sequence[Turnable]) -> NDArray[np.float64]:
        """`(2, W)` how many of them lie not up and up in each window."""
        counts = np.zeros(self._lying.shape)
        for rows, up in parcels:
            counts[int(up), rows] += 1
        return counts

    def _null(self) -> float:
        """The highest rate at which nothing is wrong."""
        return min(
            max(self.usual.bound, LEAST_RATE), 1 - LEAST_RATE
        )  # a bound may be above 1, which is no rate to reckon with

    def _judgeable(self, null: float) -> bool:
        """Whether to bet: not where labels lie up as a rule."""
        unjudgeable = null > UNJUDGEABLE[self._unjudgeable]
        if unjudgeable != self._unjudgeable:
            self._unjudgeable = unjudgeable
            what = "can't be judged" if unjudgeable else "can be judged again"
            logger.info("zone %s: %.0f %% of labels lie up as a rule: patterns %s", self._name, 100 * null, what)
        return not unjudgeable

    def _throw_at(self, at: float) -> _Throw:
        """The throw that parcels which come now belong to; one that is over is learned from."""
        throw = self._throw
        if throw is None or throw.shift != self._shift or not 0 <= at - throw.began <= THROW_S:
            if throw is not None and self._settings.learn:
                rate = self._rates.setdefault(throw.shift, UsualRate(self._prior))
                rate.learn(throw.up, throw.not_up, doubtful=throw.doubtful)
            throw = self._throw = _Throw(at, self._shift)
        return throw


def bounds(zone: Zone) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Upper left corner and size `(2,)` of the box around a zone, in shares of the picture."""
    corners = np.asarray(zone.polygon, float)
    low, high = corners.min(axis=0), corners.max(axis=0)
    return low, np.maximum(high - low, 1e-6)


def windows(zone: Zone) -> NDArray[np.float64]:
    """Windows `(W, 4)` left, top, right, bottom in shares of the box around a zone; none lies beside the zone."""
    boxes = []
    for side in SIDES:
        starts = np.arange(0, 1 - side + 1e-9, side / 2)
        boxes += [(x, y, x + side, y + side) for y in starts for x in starts]
    every = np.asarray(boxes)
    corner, size = bounds(zone)
    grid = (np.stack(np.meshgrid(np.arange(64), np.arange(64)), -1).reshape(-1, 2) + 0.5) / 64
    polygon = ((np.asarray(zone.polygon) - corner) / size).astype(np.float32)
    grid = grid[points_in_polygon(grid.astype(np.float32), polygon)]
    inside = (grid[:, None] >= every[None, :, :2]) & (grid[:, None] < every[None, :, 2:])
    touched = inside.all(axis=2).any(axis=0) | (every[:, 2] - every[:, 0] == 1)
    return np.asarray(every[touched])


def window_weights(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights `(W,)` that sum to 1: windows of each size have the same together."""
    sides = np.round(boxes[:, 2] - boxes[:, 0], 6)
    sizes, of, number = np.unique(sides, return_inverse=True, return_counts=True)
    return np.asarray(1 / len(sizes) / number[of], np.float64)
