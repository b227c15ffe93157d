"""Learn what a person's acts say of a sweep, and write the card `models/sweeps.yaml`.

    python models/simulation/seriality.py --made-on 2026-11-27 --out models/sweeps.yaml

Ordinary work, people who stay for an hour each among it, and sweeps are simulated (`people.py`) by looks at scenes that
choose (`looks_choose.csv`): the held-out table is for figures only. Each fold of the runs has people of other
warehouses, so that figures in the card are of people that weights were learnt without. Whatever the sweep rule asks the
chance of is listened to. One incident counts once, by the person and at the moment of which the acts say most: that is
when a false one would be told.

What that weighs is learnt by logistic regression, sweeps and work weighing the same. Then the offset is set: so that
false sweeps reach a score of `SURE` at `RATE` a camera-month, counting those beyond what was simulated by an
exponential tail of the greatest log odds.
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

from simulation.crowd import STYLES
from simulation.intervals import count_interval, share_interval
from simulation.noise import LOOKS_TO_CHOOSE
from simulation.people import counted
from simulation.tries import MONTH_H, TALL, month_part, one_sweep, stay_part

from detector.cli.arguments import amount, count, positive
from detector.config import Incidents, Rules
from detector.rules import sweep
from detector.rules.seriality import log_odds, said_by_each

RATE = 0.5  # false sweeps a camera-month, half of the goal
SURE = Rules().sweep.sure  # the score reached so often
TAIL = 12  # greatest log odds of work that the tail is fitted to
RIDGE = 0.3
FOLDS = 3  # each with people of other warehouses
# What a table of some hundred people doesn't show may be all the same: by Jeffreys half a scan more than was seen looks
# surely like a photo, of 123 scans 0.4 in 100. That is what comes of so many stretches seen as if another act was done
# (who uses no device is seen anew every second, and so mistaken more often than that). `lasting.py` says it for any
# table; the shipped weights are of one half as large as that of today.
UNSEEN = 0.05
PIECE_H = 2.0
SIMULATED = {"sweep": one_sweep, "work": month_part, "stay": stay_part}


@dataclass(frozen=True)
class Incident:
    """What the rule was asked in one incident: at each moment, what each person's acts said; and of which run it is."""

    moments: list[list[float]]
    is_sweep: bool
    run: int

    @property
    def most(self) -> float:
        """What the acts said of whom and when they said most."""
        return max(said for moment in self.moments for said in moment)


@dataclass(frozen=True)
class Fit:
    """What `SweepWeights` holds."""

    odds: float
    offset: float

    def log_odds(self, incident: Incident) -> float:
        """Of a sweep when they were greatest."""
        return self.offset + self.odds * incident.most

    def calibrated(self, work: Sequence[Incident], hours: float) -> Fit:
        """With an offset such that incidents of ordinary work reach a score of `SURE` at `RATE` a camera-month."""
        excess = reached([self.log_odds(one) for one in work], hours) - log_odds(SURE)
        return Fit(self.odds, self.offset - excess)


@contextmanager
def listening() -> Iterator[list[tuple[float, list[float]]]]:
    """When the sweep rule asks how sure a sweep is, and what each person's acts say then."""
    heard: list[tuple[float, list[float]]] = []
    real = sweep.chance

    def chance(acts: Sequence[Any], work: Iterable[Any] = (), who: Any = None, weights: Any = None) -> float:
        work = list(work)
        heard.append((max(act.ended_at for act in acts), said_by_each(acts, work, who)))
        return real(acts, work, who, weights)

    with mock.patch.object(sweep, "chance", chance):
        yield heard


def heard_in(run: tuple[int, str, tuple[Any, ...]]) -> list[Incident]:
    """Incidents of one run of the simulation: a sweep, some hours of work, or of people who stay."""
    number, kind, job = run
    with listening() as heard:
        SIMULATED[kind](job)
    found: list[list[list[float]]] = []
    last = -float("inf")
    for at, said in heard:
        if (kind != "sweep" and at - last > Incidents().join_s) or not found:
            found.append([])
        if said:
            found[-1].append(said)
        last = at
    return [Incident(moments, kind == "sweep", number) for moments in found if moments]


def fitted(incidents: Sequence[Incident]) -> Fit:
    """Logistic regression with a ridge, by Newton's method; sweeps and work weigh the same."""
    said, is_sweep = np.array([one.most for one in incidents]), np.array([one.is_sweep for one in incidents])
    share = np.where(is_sweep, 0.5 / is_sweep.mean(), 0.5 / (~is_sweep).mean())
    mean, scale = said.mean(), said.std() + 1e-9
    rows, ridge, weights = (
        np.column_stack([(said - mean) / scale, np.ones(len(said))]),
        np.diag([RIDGE, 0]),
        np.zeros(2),
    )
    for _ in range(30):
        chances = 1 / (1 + np.exp(-rows @ weights))
        slope = rows.T @ (share * (chances - is_sweep)) + ridge @ weights
        weights -= np.linalg.solve(rows.T @ (rows * (share * chances * (1 - chances))[:, None]) + ridge, slope)
    odds = float(weights[0] / scale)
    return Fit(odds, float(weights[1] - odds * mean))


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


def figures(incidents: Sequence[Incident], sweeps: int, hours: float) -> dict[str, Any]:
    """What weights learnt without those people make of the incidents of each fold."""
    found = false = 0
    for fold in range(FOLDS):
        known = [one for one in incidents if one.run % FOLDS != fold]
        work = [one for one in known if not one.is_sweep]
        fit = fitted(known).calibrated(work, hours * (FOLDS - 1) / FOLDS)
        told = [one for one in incidents if one.run % FOLDS == fold and fit.log_odds(one) >= log_odds(SURE)]
        found += sum(one.is_sweep for one in told)
        false += sum(not one.is_sweep for one in told)
    return {
        "by": f"weights learnt without these people, {FOLDS} folds of warehouses, at a score of {SURE:g}",
        "sweeps": sweeps, "with two photos": sum(one.is_sweep for one in incidents), "found": found,
        "found_interval": [round(end, 3) for end in share_interval(found, sweeps)],
        "hours": hours, "work with two photos": sum(not one.is_sweep for one in incidents), "false": false,
        "false_a_camera_month": [round(end * MONTH_H / hours, 2) for end in count_interval(false)],
    }  # fmt: skip


def in_pieces(kind: str, hours: float) -> list[tuple[str, float]]:
    """Runs of about `PIECE_H` each that make up so many hours; none of none."""
    if not hours:
        return []
    pieces = max(1, round(hours / PIECE_H))
    return [(kind, hours / pieces)] * pieces


def main() -> None:
    """Simulate, fit, and write the card."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--looks", type=Path, default=LOOKS_TO_CHOOSE, help="table of measured looks (looks.py)")
    parser.add_argument("--hours", type=amount, default=48.0, help="of ordinary work")
    parser.add_argument("--stays", type=amount, default=12.0, help="hours of people who stay for an hour each")
    parser.add_argument("--sweeps", type=count, default=160)
    parser.add_argument("--seed", type=count, default=31)
    parser.add_argument("--jobs", type=positive, default=1)
    parser.add_argument("--made-on", required=True, metavar="DAY", help="for the card")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    if not args.looks.exists():
        sys.exit(f"seriality: {args.looks} is missing (looks.py --choose makes it)")
    settings = [{"path": args.looks, "part": (fold, FOLDS), "mixed": UNSEEN} for fold in range(FOLDS)]
    seed, number = args.seed * 1_000_000, len(TALL)
    runs = [
        (k, "sweep", (seed + k, TALL[k % number], STYLES[k // number % len(STYLES)], settings[k % FOLDS]))
        for k in range(args.sweeps)
    ]
    parts = [*in_pieces("work", args.hours), *in_pieces("stay", args.stays)]
    runs += [
        (k, kind, (seed - 1 - k, TALL[k % number], hours, settings[k % FOLDS])) for k, (kind, hours) in enumerate(parts)
    ]
    try:
        with ProcessPoolExecutor(args.jobs) as pool:
            incidents = [one for found in counted(pool.map(heard_in, runs), "run", len(runs)) for one in found]
    except ValueError as error:
        sys.exit(f"seriality: {error}: render more (models/scenes)")
    work, hours = [one for one in incidents if not one.is_sweep], args.hours + args.stays
    if len(work) < 2 * TAIL or not incidents[: -len(work)]:
        sys.exit(f"seriality: {len(work)} pairs of photos in {hours:g} hours of work are too few: raise --hours")
    fit = fitted(incidents).calibrated(work, hours)
    card = {
        "name": "sweeps",
        "odds": round(fit.odds, 4),
        "offset": round(fit.offset, 4),
        "licence": "AGPL-3.0-or-later",
        "made_on": args.made_on,
        "origin": "simulated people (models/simulation) with looks of the shipped network at rendered scenes that "
        "choose; the held-out ones judge",
        "photo_error": Rules().photo.error,
        "rate": RATE,
        "seed": args.seed,
        "figures": figures(incidents, args.sweeps, hours),
    }
    args.out.write_text(yaml.safe_dump(card, sort_keys=False, allow_unicode=True, width=120), encoding="utf-8")
    print(args.out.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
