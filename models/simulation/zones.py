"""Parcels in storage zones, without pixels: how often is there a false alarm, and is a planted pattern found?

    python models/simulation/zones.py --months 100 --plants 400 --out DIR

Throws of parcels come to lie in a zone, are read by a detector with the confusion of the model's card, are handled,
misread for a while, and taken away; all of it goes through the worker's own `ZoneWatch`. Writes DIR/zones.md with
plots, and zones.json (`--json` prints it too).

A *zone-month* is 30 days of 18 working hours. What a zone is like is drawn for each: from a handful to hundreds of
parcels a day, labels up in 10 to 50 of 100, a rate that drifts by weeks and differs by shift. The rule knows none of
it: it begins with its default rate and learns. A realised rate is alarms a zone-month, the first day included.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from math import exp, inf, log, sqrt
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from evaluation.svg import Series, chart
from simulation.intervals import count_interval, share_interval

from detector.cli.arguments import amount, count, positive
from detector.config import WHOLE_FRAME, OrientationRule
from detector.rules.edetector import CORRELATION, Rows
from detector.rules.orientation import AGAIN_S
from detector.rules.zone_watch import ZoneWatch
from detector.values import DAY_S

CARD = Path(__file__).resolve().parent.parent / "scene.yaml"
HOUR_S = 3600.0
WORK_H = (8.0, 26.0)  # from 8 in the morning to 2 at night
SHIFT_H = 20.0  # when the night shift begins
LEVELS = (0.1, 1.0, 10.0, 100.0)  # false alarms a zone-month
WORKED_DAYS, BEFORE_S = 7, 2 * HOUR_S  # of ordinary work before a pattern is planted
TOLD_S = 60.0  # a planted pattern must be told within this


@dataclass(frozen=True, slots=True)
class Setting:
    """What a simulated site is like, beyond what is drawn for each zone.

    Attributes:
        correlation: Of parcels of one throw.
        drift: Standard deviation of the zone's rate on the logit scale, about a week's memory.
        drift_days: That memory.
        by_shift: How far the rate of the night shift may be off, on the logit scale.
        misread: Chance that a judged top is taken for the other.
        unknown: Chance that a top stays unjudged.
        sooner: How much sooner a top with a label is judged than one without, as a share of what the throw takes.
        rates: Ends of the range in which a zone's usual rate lies.
        throws: Ends of the range of throws a day.
        told: Whether the configuration gives each zone's true rate (as it is read), rather than the default.
        learn: Whether the rule learns.
    """

    correlation: float = CORRELATION
    drift: float = 0.2
    drift_days: float = 5.0
    by_shift: float = 0.15
    misread: float = 0.0
    unknown: float = 0.0
    sooner: float = 0.0
    rates: tuple[float, float] = (0.1, 0.5)
    throws: tuple[float, float] = (6.0, 60.0)
    told: bool = False
    learn: bool = True


@dataclass(slots=True)
class Lying:
    """A parcel that lies in the zone; `up` is the truth, `read` what the detector says."""

    windows: Rows
    place: tuple[float, float]
    up: bool
    read: bool
    leaves_at: float
    turned_at: float = -np.inf


@dataclass
class Zone:
    """One simulated zone and the watch on it."""

    setting: Setting
    level: float
    random: np.random.Generator
    prior: float | None = None
    watch: ZoneWatch = field(init=False)
    lying: list[Lying] = field(default_factory=list)
    now: float = 0.0
    alarms: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        low, high = self.setting.rates
        self.logit = logit(self.random.uniform(low, high))
        self.off = 0.0
        self.night = self.random.normal(0, self.setting.by_shift)
        few, many = self.setting.throws
        self.throws = exp(self.random.uniform(log(few), log(many)))
        self.size = self.random.uniform(3, 14)  # mean number of parcels of a throw
        self.spread = self.random.uniform(0.03, 0.12)
        rate = self.prior if self.prior is not None else self.read_rate(0.0) if self.setting.told else None
        zone = WHOLE_FRAME.model_copy(update={"label_up_rate": rate})
        rule = OrientationRule(false_alarms_per_month=self.level, learn=self.setting.learn)
        self.watch = ZoneWatch(zone, rule)

    def rate(self, at: float) -> float:
        """True share of labels up among thrown parcels, now."""
        night = self.night if (at % DAY_S) / HOUR_S >= SHIFT_H or (at % DAY_S) / HOUR_S < WORK_H[0] else 0.0
        return 1 / (1 + exp(-(self.logit + self.off + night)))

    def read_rate(self, at: float) -> float:
        """The same as the detector reads it."""
        rate, misread = self.rate(at), self.setting.misread
        return rate * (1 - misread) + (1 - rate) * misread

    def day(self) -> None:
        """Let a day of ordinary work pass."""
        setting, random = self.setting, self.random
        kept = exp(-1 / setting.drift_days)
        self.off = kept * self.off + random.normal(0, setting.drift * sqrt(1 - kept * kept))
        midnight = self.day_begins
        begins, ends = (midnight + h * HOUR_S for h in WORK_H)
        times = [(t, self.throw) for t in random.uniform(begins, ends, random.poisson(self.throws))]
        times += [(t, self.handle) for t in random.uniform(begins, ends, random.poisson(3))]
        times += [(t, self.misread) for t in np.arange(begins, ends, HOUR_S / 2)]
        for at, happens in sorted(times, key=lambda pair: pair[0]):
            happens(float(at))
        self.pass_until(midnight + DAY_S)  # work has gone on beyond that, mostly

    @property
    def day_begins(self) -> float:
        """Midnight before now, or now."""
        return DAY_S * (self.now // DAY_S)

    def pass_until(self, at: float) -> None:
        """Let time pass; parcels are taken away."""
        self.watch.elapse(max(0.0, at - self.now))
        self.now = max(at, self.now)
        gone = [parcel for parcel in self.lying if parcel.leaves_at <= self.now]
        if gone:
            self.lying = [parcel for parcel in self.lying if parcel.leaves_at > self.now]
            self.watch.lie([(parcel.windows, parcel.read) for parcel in gone], -1)

    def throw(self, at: float) -> None:
        """A throw of parcels that land somewhere, in a few goes."""
        size = 1 + self.random.geometric(1 / self.size)
        self.put(at, self.random.uniform(0, 1, 2), self.spread, self.alike(self.rate(at), size), 30.0)

    def alike(self, rate: float, size: int) -> NDArray[np.bool_]:
        """Which parcels of a throw lie up."""
        spread = 1 / self.setting.correlation - 1
        return self.random.random(size) < self.random.beta(rate * spread, (1 - rate) * spread)

    def put(self, at: float, middle: NDArray[np.float64], spread: float, up: NDArray[np.bool_], takes_s: float) -> None:
        """Parcels come to lie about a place, within so many seconds."""
        random, setting = self.random, self.setting
        places = np.clip(random.normal(middle, spread, (len(up), 2)), 0, 1)
        read = up ^ (random.random(len(up)) < setting.misread)
        known = random.random(len(up)) >= setting.unknown
        stays = random.exponential(2 * HOUR_S, len(up))
        order = np.argsort(random.random(len(up)) - setting.sooner * read)
        for share in np.array_split(order, max(1, min(len(up), round(takes_s / 10)))):
            self.pass_until(at)
            come = [
                Lying(self.watch.windows_of((x, y)), (x, y), bool(up[k]), bool(read[k]), self.now + stays[k])
                for k in share
                if known[k]
                for x, y in [(float(places[k, 0]), float(places[k, 1]))]
            ]
            if come:
                self.lying += come
                self.watch.arrive([(parcel.windows, parcel.read) for parcel in come], self.now)
                self.judge()
            at += takes_s * len(share) / len(up)

    def turn(self, parcels: Sequence[Lying], at: float) -> None:
        """Parcels lie the other way now, or are read so."""
        self.pass_until(at)
        plain = [p for p in parcels if self.now - p.turned_at > AGAIN_S]
        again = [p for p in parcels if self.now - p.turned_at <= AGAIN_S]
        for turned, bet in ((plain, True), (again, False)):
            for parcel in turned:
                parcel.read, parcel.turned_at = not parcel.read, self.now
            self.watch.turn([(p.windows, p.read) for p in turned], self.now, bet=bet)
        self.judge()

    def handle(self, at: float) -> None:
        """Somebody takes up parcels and throws them back where they lay."""
        self.pass_until(at)
        if not self.lying:
            return
        x, y = self.lying[self.random.integers(len(self.lying))].place
        near = [p for p in self.lying if abs(p.place[0] - x) < 0.1 and abs(p.place[1] - y) < 0.1]
        near = near[: 1 + self.random.poisson(8)]
        now = self.alike(self.rate(at), len(near))
        for parcel, up in zip(near, now, strict=True):
            changed = parcel.up != bool(up)
            parcel.up = bool(up)
            if changed:
                self.turn([parcel], at)
            at += 5.0

    def misread(self, at: float) -> None:
        """Half an hour's misreadings come and go; a few parcels are of the kind that is misread all the time."""
        self.pass_until(at)
        for parcel in [p for p in self.lying if self.random.random() < self.flips(p)]:
            self.turn([parcel], at)

    def flips(self, parcel: Lying) -> float:
        """Chance that the reading of a parcel changes in half an hour, such that the share misread stays."""
        misread = self.setting.misread
        fast = 0.5 if hash(parcel.place) % 50 == 0 else 0.01
        return fast * (misread if parcel.read == parcel.up else 1 - misread) if misread else 0.0

    def judge(self) -> None:
        """Note an alarm."""
        if self.watch.judge(self.now) is not None:
            self.alarms.append(self.now)


def logit(share: float) -> float:
    """Log of the odds."""
    return log(share / (1 - share))


def card_setting() -> Setting:
    """As good as the shipped model reads tops of parcels."""
    facing = yaml.safe_load(CARD.read_text(encoding="utf-8"))["figures"]["rendered"]["facing"]
    return Setting(misread=round(1 - facing["right"], 4), unknown=facing["unknown"])


def month(job: tuple[Setting, float, int, int]) -> dict[str, Any]:
    """Alarms of one zone in so many days, and those of the first day."""
    setting, level, days, seed = job
    zone = Zone(setting, level, np.random.default_rng(seed))
    for _ in range(days):
        zone.day()
    return {"days": days, "alarms": len(zone.alarms), "first_day": sum(at < DAY_S for at in zone.alarms)}


def plant(job: tuple[Setting, float, str, float, int]) -> dict[str, Any]:
    """A pattern of 18 of 20 parcels in a zone that has worked for a week, of a known rate: was it told, and how soon?

    `how` is *put* (within 90 s), *turned* (thrown parcels, half an hour later, one every 5 s) or *found* (it lies there
    when the camera is switched on). Seconds count from when the last of it could be read.
    """
    setting, level, how, rate, seed = job
    random = np.random.default_rng(seed)
    zone = Zone(replace(setting, rates=(rate, rate)), level, random, prior=rate if how == "found" else None)
    up = random.permutation(np.arange(20) < 18)
    middle, spread = random.uniform(0.15, 0.85, 2), 0.06
    if how != "found":
        # Work costs wealth as much as it teaches what is usual, so it can't be left out.
        for _ in range(WORKED_DAYS):
            zone.day()
        begins = zone.day_begins + WORK_H[0] * HOUR_S
        zone.pass_until(begins)
        for at in np.sort(
            random.uniform(begins, begins + BEFORE_S, random.poisson(zone.throws * BEFORE_S / HOUR_S / 18))
        ):
            zone.throw(float(at))
        zone.pass_until(begins + BEFORE_S)
    zone.alarms.clear()
    if how == "turned":
        before = list(zone.lying)
        zone.put(zone.now, middle, spread, zone.alike(rate, 20), 30.0)
        patch = [parcel for parcel in zone.lying if not any(parcel is other for other in before)]
        for parcel in patch:  # else every fifth would be gone by the time it is turned
            parcel.leaves_at = inf
        zone.pass_until(zone.now + HOUR_S / 2)
        zone.alarms.clear()
        for k, parcel in enumerate(patch):
            if not parcel.up and k < 18:
                parcel.up = True
                read = bool(random.random() >= setting.misread)
                zone.turn([parcel] if parcel.read is not read else [], zone.now + 5.0)
    else:
        zone.put(zone.now, middle, spread, up, 1.0 if how == "found" else 90.0)
    seen_at = zone.now
    while zone.now < seen_at + TOLD_S:
        zone.pass_until(zone.now + 5.0)
        zone.judge()
    return {"told": bool(zone.alarms), "after_s": zone.alarms[0] - seen_at if zone.alarms else None}


def rate_of(parts: Sequence[dict[str, Any]], level: float) -> dict[str, Any]:
    """Realised alarms a zone-month with their 95 % interval, as a share of the set level."""
    days, alarms = sum(p["days"] for p in parts), sum(p["alarms"] for p in parts)
    months = days / 30
    low, high = (end / months for end in count_interval(alarms))
    return {
        "set": level, "zone_days": days, "alarms": alarms, "first_day": sum(p["first_day"] for p in parts),
        "a_month": alarms / months, "low": low, "high": high,
        "slack": alarms / months / level, "slack_low": low / level, "slack_high": high / level,
    }  # fmt: skip


def power_of(parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Share of planted patterns that were told in time, with its 95 % interval, and when the last of them was.

    Of none planted the share is not a number, and may be anything.
    """
    told = [p["after_s"] for p in parts if p["told"]]
    low, high = share_interval(len(told), len(parts))
    late = {"median_s": float(np.median(told)), "last_s": float(max(told))} if told else {}
    share = len(told) / len(parts) if parts else float("nan")
    return {"planted": len(parts), "told": len(told), "share": share, "low": low, "high": high} | late


def settings() -> dict[str, Setting]:
    """Sites by name: the usual one first, then those where something is worse than the rule supposes."""
    usual = card_setting()
    return {
        "as the card reads": usual,
        "read without error": Setting(),
        "throws twice as alike": replace(usual, correlation=2 * CORRELATION),
        "throws half as alike": replace(usual, correlation=CORRELATION / 2),
        "labels judged sooner than tops without": replace(usual, sooner=0.3),
        "rates drift fast": replace(usual, drift=0.5, drift_days=3.0),
        "a rate of 0.5 to 0.7, not told": replace(usual, rates=(0.5, 0.7)),
        "rates told, nothing learned": replace(usual, told=True, learn=False, drift=0.0, by_shift=0.0),
    }


def simulate(months: float, plants: int, seed: int, jobs: int) -> dict[str, Any]:
    """All figures."""
    sites = settings()
    usual = next(iter(sites.values()))
    runs: dict[str, list[Any]] = {}
    # Rare alarms need more months for as good a figure.
    spans = {level: max(1, round(months / max(1.0, level) ** 0.5)) for level in LEVELS}
    for level in LEVELS:
        runs[f"level {level:g}"] = [(usual, level, 30, seed + k) for k in range(spans[level])]
    for name, site in sites.items():
        if site is not usual:
            runs[f"site {name}"] = [(site, 1.0, 30, seed + 10_000 + k) for k in range(max(1, round(months / 3)))]
    tries = {
        f"{how} at {rate:g}{', read without error' if not site.misread else ''}": [
            (site, 1.0, how, rate, seed + 20_000 + k) for k in range(plants)
        ]
        for site in (usual, Setting())
        for how in ("put", "turned", "found")
        for rate in (0.2, 0.35)
    }
    with ProcessPoolExecutor(jobs) as pool:
        ordinary = {name: list(pool.map(month, todo)) for name, todo in counted(runs)}
        planted = {name: list(pool.map(plant, todo, chunksize=20)) for name, todo in counted(tries)}
    return {
        "levels": {f"{level:g}": rate_of(ordinary[f"level {level:g}"], level) for level in LEVELS},
        "sites": {name[5:]: rate_of(parts, 1.0) for name, parts in ordinary.items() if name.startswith("site")},
        "planted": {name: power_of(parts) for name, parts in planted.items()},
    }


def counted(runs: dict[str, list[Any]]) -> Iterator[tuple[str, list[Any]]]:
    """Tells of progress on standard error."""
    for name, todo in runs.items():
        began = time.perf_counter()
        yield name, todo
        print(f"{name}: {len(todo)} in {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)


def page(figures: dict[str, Any]) -> str:
    """The figures as Markdown with plots."""
    levels = figures["levels"].values()
    slack = chart(
        [Series("", [v["set"] for v in levels], [v["slack"] for v in levels],
                [v["slack_low"] for v in levels], [v["slack_high"] for v in levels])],
        "false alarms a zone-month, set", "realised, as a share of the set", log=True, y_range=(0.0, 1.2),
        marks=[(1.0, "at most")],
    )  # fmt: skip
    lines = ["# Labels up, simulated", "", slack, "", "Realised false alarms a zone-month:", ""]
    lines += ["| | set | zone-days | alarms (first day) | a month (95 %) | share of the set |"]
    lines += ["| --- | --- | --- | --- | --- | --- |"]
    rows = [(f"level {name}", v) for name, v in figures["levels"].items()] + list(figures["sites"].items())
    for name, v in rows:
        lines.append(
            f"| {name} | {v['set']:g} | {v['zone_days']} | {v['alarms']} ({v['first_day']}) | {v['a_month']:.3g} "
            f"({v['low']:.2g} to {v['high']:.2g}) | {v['slack']:.2f} ({v['slack_low']:.2f} to {v['slack_high']:.2f}) |"
        )
    lines += ["", f"Patterns of 18 of 20 up, told within {TOLD_S:.0f} s of when the last of them could be read:", ""]
    lines += ["| | planted | told (95 %) | median s | last s |", "| --- | --- | --- | --- | --- |"]
    for name, v in figures["planted"].items():
        lines.append(
            f"| {name} | {v['planted']} | {v['share']:.3f} ({v['low']:.3f} to {v['high']:.3f}) "
            f"| {v.get('median_s', float('nan')):.0f} | {v.get('last_s', float('nan')):.0f} |"
        )
    return "\n".join([*lines, ""])


def main() -> None:
    """Simulate and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--months", type=amount, default=100.0, help="zone-months at the lowest level")
    parser.add_argument("--plants", type=count, default=400, help="planted patterns of each kind")
    parser.add_argument("--seed", type=count, default=1)
    parser.add_argument("--jobs", type=positive, default=1)
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    figures = simulate(args.months, args.plants, args.seed, args.jobs)
    (args.out / "zones.json").write_text(json.dumps(figures, indent=1), encoding="utf-8")
    (args.out / "zones.md").write_text(page(figures), encoding="utf-8")
    print(json.dumps(figures, indent=1) if args.json else page(figures))


if __name__ == "__main__":
    main()
