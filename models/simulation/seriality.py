"""Learn what a person's acts say of a sweep, and write the card `models/sweeps.yaml`.

    python models/simulation/seriality.py --looks CHOOSE.csv --made-on 2026-11-27 --out models/sweeps.yaml

Ordinary work and sweeps are simulated (`people.py`) by a table of looks at scenes that choose (`looks.py --choose`):
the held-out table is for figures only. Whatever the sweep rule asks the chance of is listened to, and weights of
`rules/seriality.py` are fitted to it by logistic regression, sweeps and work weighing the same.

One incident counts once, by the person and at the moment of which the weights say most: that is when a false one would
be told. Since that depends on the weights, they are fitted some rounds (as in multiple-instance learning: Andrews,
Tsochantaridis and Hofmann, 2002). The offset is set last: so that false sweeps reach `rules.sweep.sure` at `RATE` a
camera-month, counting those beyond what was simulated by an exponential tail of the greatest log odds.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from math import log
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import yaml

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from simulation.intervals import count_interval, share_interval
from simulation.people import MONTH_H, STYLES, TALL, counted, month_part, one_sweep

from detector.config import Incidents, Rules
from detector.rules import sweep
from detector.rules.seriality import Features, SweepWeights, by_all, log_odds, said_by_each

RATE = 0.5  # false sweeps a camera-month, half of the goal
TAIL = 12  # greatest log odds of work that the tail is fitted to
RIDGE, ROUNDS, FOLDS = 0.3, 5, 6
SIGNS = np.array([1, 1, -1, -1])  # of the features, as `SweepWeights` has them
PIECE_H = 2.0


@dataclass(frozen=True)
class Incident:
    """What the rule was asked in one incident: at each moment, what each person's acts said; and of which run it is."""

    moments: list[list[Features]]
    is_sweep: bool
    run: int


@dataclass(frozen=True)
class Fit:
    """Weights `(F,)` of the features, and the offset."""

    weights: np.ndarray
    offset: float

    def most(self, incident: Incident) -> Features:
        """What the acts said of whom and when they said most."""
        said = [features for moment in incident.moments for features in moment]
        return said[int((np.array(said) @ self.weights).argmax())]

    def log_odds(self, incident: Incident) -> float:
        """Of a sweep when they were greatest, by all people together."""
        card = SweepWeights(**dict(zip(Features._fields, self.weights, strict=True)), offset=self.offset)
        return max(log_odds(by_all([card.log_odds(said) for said in moment])) for moment in incident.moments)

    def calibrated(self, work: Sequence[Incident], hours: float, sure: float) -> Fit:
        """With an offset such that incidents of ordinary work reach a score of `sure` at `RATE` a camera-month."""
        fit = self
        for _ in range(20):  # it isn't quite a shift where several people are about
            fit = Fit(fit.weights, fit.offset + log_odds(sure) - reached([fit.log_odds(one) for one in work], hours))
        return fit


@contextmanager
def listening() -> Iterator[list[tuple[float, list[Features]]]]:
    """When the sweep rule asks how sure a sweep is, and what each person's acts say then."""
    heard: list[tuple[float, list[Features]]] = []
    real = sweep.chance

    def chance(acts: Sequence[Any], work: Iterable[Any] = (), who: Any = None, weights: Any = None) -> float:
        work = list(work)
        heard.append((max(act.ended_at for act in acts), said_by_each(acts, work, who)))
        return real(acts, work, who, weights)

    with mock.patch.object(sweep, "chance", chance):
        yield heard


def heard_in(run: tuple[int, str, tuple[Any, ...]]) -> list[Incident]:
    """Incidents of one run of the simulation: a sweep, or some hours of work."""
    number, kind, job = run
    with listening() as heard:
        one_sweep(job) if kind == "sweep" else month_part(job)
    found: list[list[list[Features]]] = []
    last = -float("inf")
    for at, said in heard:
        if (kind == "work" and at - last > Incidents().join_s) or not found:
            found.append([])
        if said:
            found[-1].append(said)
        last = at
    return [Incident(moments, kind == "sweep", number) for moments in found if moments]


def fitted(incidents: Sequence[Incident]) -> Fit:
    """Weights for these incidents, both kinds weighing the same."""
    fit = Fit(SIGNS.astype(float), 0.0)
    is_sweep = np.array([incident.is_sweep for incident in incidents])
    share = np.where(is_sweep, 0.5 / is_sweep.mean(), 0.5 / (~is_sweep).mean())
    for _ in range(ROUNDS):
        fit = logistic(np.array([fit.most(incident) for incident in incidents]), is_sweep, share)
    return fit


def logistic(features: np.ndarray, is_sweep: np.ndarray, share: np.ndarray) -> Fit:
    """Logistic regression with a ridge on standardised features, by Newton's method; a weight of the wrong sign is 0.

    Args:
        features: `(N, F)`.
        is_sweep: `(N,)` bool.
        share: `(N,)` how much each counts.
    """
    means, scales = features.mean(axis=0), features.std(axis=0) + 1e-9
    every = np.column_stack([(features - means) / scales, np.ones(len(features))])
    used = np.ones(every.shape[1], bool)
    while True:
        rows, weights = every[:, used], np.zeros(used.sum())
        ridge = np.diag([RIDGE] * (len(weights) - 1) + [1e-6])
        for _ in range(30):
            chances = 1 / (1 + np.exp(-rows @ weights))
            slope = rows.T @ (share * (chances - is_sweep)) + ridge @ weights
            curve = rows.T @ (rows * (share * chances * (1 - chances))[:, None]) + ridge
            weights = weights - np.linalg.solve(curve, slope)
        raw = np.zeros(features.shape[1])
        raw[used[:-1]] = weights[:-1] / scales[used[:-1]]
        if (raw * SIGNS >= 0).all():
            return Fit(raw, float(weights[-1] - raw @ means))
        used[:-1] &= raw * SIGNS >= 0


def reached(odds: Sequence[float], hours: float) -> float:
    """The log odds that incidents of ordinary work reach at `RATE` a camera-month.

    Args:
        odds: The greatest of each.
        hours: Of work.
    """
    greatest = np.sort(np.array(odds))[::-1][: TAIL + 1]
    base, beyond = greatest[-1], greatest[:-1] - greatest[-1]
    # So many reach `base` in these hours; their excess is taken for exponential, with the mean of those seen.
    return float(base + beyond.mean() * log(len(beyond) / hours * MONTH_H / RATE))


def figures(incidents: Sequence[Incident], sweeps: int, hours: float, sure: float) -> dict[str, Any]:
    """What weights learnt without them make of the incidents of each fold of runs."""
    found = false = 0
    for fold in range(FOLDS):
        known = [one for one in incidents if one.run % FOLDS != fold]
        work = [one for one in known if not one.is_sweep]
        fit = fitted(known).calibrated(work, hours * (FOLDS - 1) / FOLDS, sure)
        told = [one for one in incidents if one.run % FOLDS == fold and fit.log_odds(one) >= log_odds(sure)]
        found += sum(one.is_sweep for one in told)
        false += sum(not one.is_sweep for one in told)
    return {
        "by": f"weights learnt without them, {FOLDS} folds of runs, at a score of {sure:g}",
        "sweeps": sweeps, "with two photos": sum(one.is_sweep for one in incidents), "found": found,
        "found_interval": [round(end, 3) for end in share_interval(found, sweeps)],
        "hours": hours, "work with two photos": sum(not one.is_sweep for one in incidents), "false": false,
        "false_a_camera_month": [round(end * MONTH_H / hours, 2) for end in count_interval(false)],
    }  # fmt: skip


def main() -> None:
    """Simulate, fit, and write the card."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--looks", type=Path, required=True, help="table of looks at scenes that choose")
    parser.add_argument("--hours", type=float, default=56.0, help="of ordinary work")
    parser.add_argument("--sweeps", type=int, default=192)
    parser.add_argument("--seed", type=int, default=31)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--made-on", required=True, metavar="DAY", help="for the card")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    if not args.looks.exists():
        sys.exit(f"seriality: {args.looks} is missing (looks.py --choose makes it)")
    settings = {"path": args.looks}
    pieces = max(1, round(args.hours / PIECE_H))
    seed, number = args.seed * 1_000_000, len(TALL)
    runs = [
        (k, "sweep", (seed + k, TALL[k % number], STYLES[k // number % len(STYLES)], settings))
        for k in range(args.sweeps)
    ]
    runs += [(k, "work", (seed - 1 - k, TALL[k % number], args.hours / pieces, settings)) for k in range(pieces)]
    with ProcessPoolExecutor(args.jobs) as pool:
        incidents = [one for found in counted(pool.map(heard_in, runs), "run", len(runs)) for one in found]
    sure, work = Rules().sweep.sure, [one for one in incidents if not one.is_sweep]
    if len(work) < 2 * TAIL or not incidents[: -len(work)]:
        sys.exit(f"seriality: {len(work)} pairs of photos in {args.hours:g} hours of work are too few: raise --hours")
    fit = fitted(incidents).calibrated(work, args.hours, sure)
    card = {
        "name": "sweeps",
        **{name: round(float(weight), 4) for name, weight in zip(Features._fields, fit.weights, strict=True)},
        "offset": round(fit.offset, 4),
        "licence": "AGPL-3.0-or-later",
        "made_on": args.made_on,
        "origin": "simulated people (models/simulation) with looks of the shipped network at rendered scenes that "
        "choose; the held-out ones judge",
        "photo_error": Rules().photo.error,
        "rate": RATE,
        "seed": args.seed,
        "figures": figures(incidents, args.sweeps, args.hours, sure),
    }
    args.out.write_text(yaml.safe_dump(card, sort_keys=False, allow_unicode=True, width=120), encoding="utf-8")
    print(args.out.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
