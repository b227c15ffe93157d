"""How long errors last: a table of looks enters, how alike looks at one person are leaves.

    python models/simulation/lasting.py --looks models/simulation/looks_choose.csv

`noise.py` takes its constants from what this prints. Only people who were filmed tell of it. What a look says is the
log odds of a photo, less those of the likeliest other act. How alike two looks are `t` seconds apart within one stretch
is one less their semivariance, over the variance of the whole table's stretches of that act (a variogram, upside down);
how alike the next stretch of the same person is, is the intraclass correlation of the stretches' means (one-way random
effects, unequal numbers), with the interval that holds nine in ten of as many people drawn again. Last, how many
stretches with a device that shows look surely like a photo, and what comes of it: how far an act is believed at most
(`SUREST` in `rules/seriality.py`), and what share of stretches weights are learnt with that are seen as if another act
was done (`UNSEEN` in `seriality.py`).
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import combinations, pairwise
from math import log
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from simulation.intervals import count_interval
from simulation.noise import LOOKS_TO_CHOOSE, MeasuredLook, read_looks

LAGS_S = (0.0, 0.3, 0.7, 1.5, 2.5, 4.0, 6.0, 9.0)  # borders of the bins
SURELY, LEAST_PX = 4.0, 12.0  # what a look says on average that is surely a photo's; diagonal of a device that shows
DOUBT = 0.05  # that more scans look surely like a photo than is reckoned with
FLOOR = 0.01  # scores nearer to 0 or 1 say no more
DRAWS = 2000

Stretch = list[tuple[float, float]]
Means = NDArray[np.float64]


def log_odds_of_acts(look: MeasuredLook) -> list[float]:
    """Log odds of photo, scan, call and reading, each by the person's own score."""
    return [log((score + FLOOR) / (1 - score + FLOOR)) for score in look.acts]


def said(look: MeasuredLook) -> float:
    """Log odds of a photo, less those of the likeliest other act."""
    photo, *others = log_odds_of_acts(look)
    return photo - max(others)


def stretches_of(looks: Sequence[MeasuredLook]) -> dict[str, dict[str, list[Stretch]]]:
    """Time and what it says of each look with acts, by act, person and stretch."""
    by_act: dict[str, dict[str, dict[int, Stretch]]] = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    for look in looks:
        if look.acts[0] == look.acts[0]:
            by_act[look.act][look.person][look.stretch].append((look.t, said(look)))
    return {act: {who: list(theirs.values()) for who, theirs in people.items()} for act, people in by_act.items()}


def alike_by_lag(stretches: Sequence[Stretch]) -> dict[tuple[float, float], tuple[float, int]]:
    """How alike looks are by how far apart they are (seconds, from and to), and of how many stretches that is."""
    mean = np.mean([np.mean([value for _, value in one]) for one in stretches])
    whole = np.mean([np.mean([(value - mean) ** 2 for _, value in one]) for one in stretches])
    halves: dict[tuple[float, float], list[float]] = {}
    for near, far in pairwise(LAGS_S):
        for one in stretches:
            apart = [(a - b) ** 2 / 2 for (t, a), (u, b) in combinations(one, 2) if near < abs(u - t) <= far]
            if apart:
                halves.setdefault((near, far), []).append(float(np.mean(apart)))
    return {bin_s: (1 - float(np.mean(found) / whole), len(found)) for bin_s, found in halves.items()}


def intraclass(people: Sequence[Means]) -> float:
    """Share of the variance of stretches' means that lies between people (Donner, 1986: analysis of variance)."""
    number, groups = sum(map(len, people)), len(people)
    mean = np.concatenate(people).mean()
    within = sum(((one - one.mean()) ** 2).sum() for one in people) / (number - groups)
    between = sum(len(one) * (one.mean() - mean) ** 2 for one in people) / (groups - 1)
    size = (number - sum(len(one) ** 2 for one in people) / number) / (groups - 1)
    person = (between - within) / size
    return float(person / (person + within))


def surely_photos(looks: Sequence[MeasuredLook]) -> dict[str, tuple[int, int]]:
    """How many stretches look surely like a photo, and of how many, by act; who isn't seen looks like nothing."""
    stretches: dict[tuple[str, str, int], list[MeasuredLook]] = defaultdict(list)
    for look in looks:
        stretches[look.act, look.person, look.stretch].append(look)
    found: dict[str, list[bool]] = defaultdict(list)
    for (act, _, _), theirs in stretches.items():
        if np.mean([look.device_px for look in theirs]) >= LEAST_PX:
            found[act].append(bool(np.mean([said(look) for look in theirs]) > SURELY))
    return {act: (sum(sure), len(sure)) for act, sure in found.items()}


def surest(sure: Mapping[str, tuple[int, int]]) -> float:
    """How far an act is to be believed at most: what a photo that is surely one says against a scan that looks so.

    As many scans look so as may, but for a chance of `DOUBT`, if they are a Poisson count (of none seen: three).
    """
    (photos, of_photos), (scans, of_scans) = sure["photo"], sure["scan"]
    odds = (photos / of_photos) / (count_interval(scans, DOUBT)[1] / of_scans)
    return odds / (1 + odds)


def unseen(sure: Mapping[str, tuple[int, int]]) -> float:
    """Share of stretches to be seen as if another act was done, so that half a scan more looks surely like a photo.

    That half is what a table doesn't show, by Jeffreys' prior.
    """
    return float(0.5 / sure["scan"][1] / np.mean([found / of for found, of in sure.values()]))


def main() -> None:
    """Print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--looks", type=Path, default=LOOKS_TO_CHOOSE, help="table of measured looks (looks.py)")
    args = parser.parse_args()
    rng, looks = np.random.default_rng(0), read_looks(args.looks)
    sure = surely_photos(looks)
    for act, people in sorted(stretches_of(looks).items()):
        stretches = [one for theirs in people.values() for one in theirs]
        print(f"{act}: {len(people)} people, {len(stretches)} stretches")
        for (near, far), (alike, count) in alike_by_lag(stretches).items():
            print(f"  {near:g} to {far:g} s apart: {alike:.2f} ({count} stretches)")
        if act in sure:
            print(f"  surely like a photo: {sure[act][0]} of {sure[act][1]} stretches")
        again = [np.array([np.mean([v for _, v in one]) for one in theirs]) for theirs in people.values()]
        again = [means for means in again if len(means) > 1]
        if len(again) < 3:
            continue
        drawn = [intraclass([again[k] for k in rng.integers(0, len(again), len(again))]) for _ in range(DRAWS)]
        low, high = np.nanquantile(drawn, [0.05, 0.95])
        print(f"  next stretch: {intraclass(again):.2f} ({low:.2f} to {high:.2f}; {len(again)} people,"
              f" {sum(map(len, again))} stretches)")  # fmt: skip
    print(f"no act to be believed more than {surest(sure):.2f}; {unseen(sure):.3f} of stretches to be seen as others")


if __name__ == "__main__":
    main()
