"""How many sweeps a table of looks lets the rule tell, roughly: a table enters, a share leaves.

    python models/simulation/power.py --looks models/simulation/looks_choose.csv

Half a minute instead of the hour of `seriality.py`, to rank networks, their mixes, and forms of `rules/seriality.py`
before one of them is tried in full. Tracks, aiming, how acts grow, and the act weights are left out: each step of a
plan (`crowd.py`) is one look of the table, told as an act by the scores of the person alone, at a parcel of its own. A
sweep is told where its acts say more (`said_by_each`) than those of ordinary work do `RATE` times a camera-month. That
ranks; figures are made by `people.py`, by held-out looks.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from math import inf, log
from pathlib import Path
from random import Random
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from simulation.crowd import PHONE_M, STYLES, TALL_M, Hall, Plan, hall, ordinary, sweep
from simulation.intervals import share_interval
from simulation.lasting import log_odds_of_acts
from simulation.noise import LOOKS_TO_CHOOSE, Looks, MeasuredLook
from simulation.seriality import RATE, TAIL, UNSEEN, reached
from simulation.tries import TALL

from detector.cli.arguments import amount, count, positive, share
from detector.config import Rules
from detector.rules.acts import MISSED, TOLD_KINDS, chance, margin
from detector.rules.seriality import said_by_each
from detector.values import Act, ActKind

WORK = (ActKind.SCAN, ActKind.BROWSE)  # what speaks against photos beside


class Visit(NamedTuple):
    """A visit of ordinary work: what it is called, and what its acts say of a sweep."""

    name: str
    said: float


def act_in(look: MeasuredLook, error: float) -> tuple[ActKind, float] | None:
    """The act that a look is told as at a chance of error, with its score 0..1; `None`: it isn't told as any."""
    if not look.found or look.acts[0] != look.acts[0]:
        return None
    # How much somebody looks like doing nothing no score says: even odds.
    odds = [*log_odds_of_acts(look), 0.0]
    kind = max(TOLD_KINDS, key=lambda kind: margin(odds, kind))
    sure = margin(odds, kind)
    return (kind, chance(sure)) if sure >= log((1 - MISSED) / error) else None


def acts_of(plan: Plan, place: Hall, looks: Looks, rng: Random, error: float) -> list[Act]:
    """What one visit's steps are told as, each at a parcel of its own."""
    told, before, now = [], dict[str, MeasuredLook](), 0.0
    for k, step in enumerate(plan.steps):
        began, now = now, now + step.seconds
        px = place.height(step.feet[1]) * PHONE_M / TALL_M
        before[step.act] = look = looks.draw(rng, step.act, px, before.get(step.act), inf)
        if not step.hidden and (act := act_in(look, error)):
            told.append(Act(act[0], 1, began, now, act[1], (k if step.target is None else -1 - step.target,)))
    return told


def most_said(acts: list[Act]) -> float:
    """What the photos among one visit's acts say of a sweep; nothing where two parcels aren't photographed."""
    photos = [act for act in acts if act.kind is ActKind.PHOTO]
    if len({act.parcels for act in photos}) < Rules().sweep.least_parcels:
        return 0.0
    return max(said_by_each(photos, [act for act in acts if act.kind in WORK]))


def visits(hours: float, looks: Looks, rng: Random, error: float) -> Iterator[Visit]:
    """Ordinary work for so many hours."""
    left = hours * 3600
    while left > 0:
        place = hall(rng, rng.choice(TALL))
        plan = ordinary(rng, place)
        yield Visit(plan.name, most_said(acts_of(plan, place, looks, rng, error)))
        left -= plan.seconds


def power(looks: Looks, rng: Random, error: float, hours: float, sweeps: int) -> tuple[int, float, list[Visit]]:
    """How many sweeps are told, from how many log odds on, and ordinary work by what it says of a sweep.

    Raises:
        ValueError: In so few hours hardly anything looks like two photos.
    """
    work = sorted(visits(hours, looks, rng, error), key=lambda visit: -visit.said)
    if len(work) <= TAIL or not work[TAIL].said:
        raise ValueError(f"in {hours:g} hours of work hardly anything looks like two photos: raise --hours")
    level, found = reached([visit.said for visit in work], hours), 0
    for k in range(sweeps):
        place = hall(rng, TALL[k % len(TALL)])
        plan = sweep(rng, place, STYLES[k // len(TALL) % len(STYLES)])
        found += most_said(acts_of(plan, place, looks, rng, error)) >= level
    return found, level, work


def main() -> None:
    """Print the share, and what work is taken for sweeps."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--looks", type=Path, default=LOOKS_TO_CHOOSE, help="table of measured looks (looks.py)")
    parser.add_argument("--error", type=share, default=Rules().photo.error, help="as rules.photo.error")
    parser.add_argument("--mixed", type=share, default=UNSEEN, help="share of looks that are another act's")
    parser.add_argument("--hours", type=amount, default=600.0, help="of ordinary work")
    parser.add_argument("--sweeps", type=positive, default=2000)
    parser.add_argument("--seed", type=count, default=1)
    args = parser.parse_args()
    if not args.error:
        parser.error("argument --error: must be above 0")
    if not args.looks.exists():
        sys.exit(f"power: {args.looks} is missing (looks.py --choose makes it)")
    try:
        looks = Looks.read(args.looks, mixed=args.mixed)
        found, level, work = power(looks, Random(args.seed), args.error, args.hours, args.sweeps)
    except ValueError as error:
        sys.exit(f"power: {error}")
    low, high = share_interval(found, args.sweeps)
    print(f"{found} of {args.sweeps}: {found / args.sweeps:.2f} ({low:.2f}-{high:.2f}, of these people alone) say"
          f" {level:.1f}, as work does {RATE:g} times a camera-month")  # fmt: skip
    print("work that says most:", ", ".join(f"{visit.name} {visit.said:.1f}" for visit in work[:TAIL]))


if __name__ == "__main__":
    main()
