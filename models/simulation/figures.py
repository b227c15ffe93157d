"""All simulated figures of sweeps in models/README.md as one table.

    python models/simulation/figures.py --out DIR --jobs 2

Each of `FIGURES` names the runs of `people.py` that it is of, a few hours of one core in all. Each has a folder in DIR;
the table goes to DIR/figures.md. What is there already isn't run again, so a killed one goes on by the same command;
`--only sweeps work` makes some figures alone.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from manifest import SetError, run
from simulation.noise import LOOKS
from simulation.people_page import LISTS, summary

from detector.cli.arguments import positive
from detector.machine.resources import resource
from detector.machine.whole_files import sha256_of

PEOPLE = Path(__file__).resolve().with_name("people.py")
NOTHING = ("--hours", "0", "--sweeps", "0")
Figures = Mapping[str, Any]


class Figure(NamedTuple):
    """A row of the table.

    Attributes:
        runs: By name, what each run of `people.py` is asked for; their tries count together.
        told: What the row says of their summary.
    """

    what: str
    runs: Mapping[str, Sequence[str]]
    told: Callable[[Figures], str]


def share(figure: Figures) -> str:
    """A share as `117 of 200: 0.59 (0.51-0.65)`."""
    if not figure["of"]:
        return "none"
    return f"{figure['found']} of {figure['of']}: {figure['share']:.2f} ({figure['low']:.2f}-{figure['high']:.2f})"


def each(figures: Figures) -> str:
    """Shares by name, those that are of nothing left out."""
    return "; ".join(f"{name}: {one['found']} of {one['of']}" for name, one in figures.items() if one["of"])


def monthly(figures: Figures) -> str:
    """False sweeps of ordinary work, and what else was told of it."""
    rate, notes = figures["false_sweeps"], figures["other_incidents"].get("label_photography info", 0)
    hours = sum(one["months"] for one in figures["false_by_phone_px"].values()) * 60
    return (
        f"{rate['count']} in {hours:.1f} hours in view: {rate['low']:.2f}-{rate['high']:.1f} a camera-month; "
        f"{notes} notes"
    )


def hourly(figures: Figures) -> str:
    """False sweeps of people who stay."""
    stays = figures["stays"]
    return (
        f"{stays['false']} in {stays['hours']} hours of people: {stays['an_hour']:.2f} an hour "
        f"({stays['low']:.3f}-{stays['high']:.2f}); {stays['notes']} notes"
    )


def found(figures: Figures) -> str:
    """Sweeps found, with and without notes."""
    return f"{share(figures['recall'])}; with notes {share(figures['recall_with_notes'])}"


SWEEPS = {f"sweeps {seed}": ("--hours", "0", "--sweeps", "100", "--seed", f"{seed}") for seed in (21, 22)}
WORK = {f"work {seed}": ("--hours", "12", "--sweeps", "0", "--seed", f"{seed}") for seed in range(22, 34)}
STAYS = {f"stays {seed}": (*NOTHING, "--stays", "8", "--seed", f"{seed}") for seed in (22, 23)}
TURNED = {
    "turned 21": ("--hours", "12", "--sweeps", "100", "--turned", "--seed", "21"),
    **{f"turned {seed}": ("--hours", "12", "--sweeps", "0", "--turned", "--seed", f"{seed}") for seed in (22, 23)},
}
ACROSS = {
    f"two cameras {s}": ("--hours", "12", "--sweeps", "100", "--cameras", "2", "--seed", f"{s}") for s in (21, 22)
}
COURIERS = {"couriers 44": (*NOTHING, "--couriers", "72", "--seed", "44")}
ALIKE = {"couriers alike 45": (*NOTHING, "--couriers", "72", "--same", "1", "--seed", "45")}
PATCHES = {"patches 45": (*NOTHING, "--patches", "96", "--seed", "45")}
CROWD = {"together 62": (*NOTHING, "--stays", "2", "--together", "6", "--seed", "62")}
STRIPS = {f"{n} zones": ("--hours", "12", "--sweeps", "0", "--seed", "33", "--zones", f"{n}") for n in (2, 3)}
DRAWN = {f"drawn {k}": ("--hours", "0", "--sweeps", "100", "--seed", "21", "--drawn", f"{k}") for k in range(1, 11)}

FIGURES = {
    "sweeps": Figure("sweeps of 4 to 20 photos found", SWEEPS, found),
    "photos": Figure("by how many parcels are photographed", SWEEPS, lambda f: each(f["recall_by_photos"])),
    "near": Figure(
        "where people are as tall as `doctor` asks", SWEEPS, lambda f: share(f["recall_where_near_enough"])
    ),
    "there": Figure("by how tall people are there", SWEEPS, lambda f: each(f["recall_by_person_px_there"])),
    "style": Figure("by style", SWEEPS, lambda f: each(f["recall_by_style"])),
    "labels": Figure("labels exposed, where found", SWEEPS, lambda f: json.dumps(f["labels"])),
    "work": Figure("false sweeps of ordinary work", WORK, monthly),
    "patches": Figure(
        "a whole patch, told by its photos alone", PATCHES,
        lambda f: f"{share(f['patches']['told'])}; within photos {each(f['patches']['told_within_photos'])}",
    ),
    "couriers": Figure(
        "couriers who sweep six times, told within visits", COURIERS,
        lambda f: f"{each(f['couriers']['told_within_visits'])}; where near enough "
        f"{share(f['couriers']['told_at_last_where_near_enough'])}",
    ),
    "alike": Figure(
        "the same, all their photos seen alike", ALIKE, lambda f: each(f["couriers"]["told_within_visits"])
    ),
    "stays": Figure("false sweeps of people who stay for hours", STAYS, hourly),
    "together": Figure("the same, six at a time", CROWD, hourly),
    "turned": Figure("among the parcels of such a patch", TURNED, lambda f: f"{found(f)}; false {monthly(f)}"),
    "cameras": Figure("with a second camera across", ACROSS, lambda f: f"{found(f)}; false {monthly(f)}"),
    "zones": Figure("false sweeps where the picture is cut into two or three zones", STRIPS, monthly),
    "drawn": Figure("sweeps found, warehouses drawn anew ten times", DRAWN, found),
}  # fmt: skip


def made_of() -> dict[str, str]:
    """Checksums of what the runs go by."""
    files = (LOOKS, resource("models", "acts.yaml"), resource("models", "sweeps.yaml"))
    return {path.name: sha256_of(path) for path in files}


def pooled(folders: Sequence[Path]) -> Figures:
    """One summary of the tries of several runs."""
    tries: dict[str, list[Any]] = {name: [] for name in LISTS.values()}
    for folder in folders:
        said = json.loads((folder / "people.json").read_text(encoding="utf-8"))
        for key, name in LISTS.items():
            tries[name] += said[key]
    return summary(**tries)


def simulate(out: Path, names: Sequence[str], jobs: int) -> str:
    """Run what isn't there yet; the table, as Markdown.

    Raises:
        SetError: `out` holds runs of other looks or weights, or a run fails.
    """
    of = out / "of.json"
    if of.exists() and json.loads(of.read_text(encoding="utf-8")) != made_of():
        raise SetError(f"{out} holds runs by other looks or weights (name another --out)")
    out.mkdir(parents=True, exist_ok=True)
    of.write_text(json.dumps(made_of(), indent=1), encoding="utf-8")
    chosen = [FIGURES[name] for name in names]
    runs = {name: asked for figure in chosen for name, asked in figure.runs.items()}
    for k, (name, asked) in enumerate(runs.items(), 1):
        if (out / name / "people.json").exists():
            continue
        print(f"{k} of {len(runs)}: {name}", file=sys.stderr, flush=True)
        ended = subprocess.run(
            [sys.executable, str(PEOPLE), *asked, "--jobs", str(jobs), "--out", str(out / name)],
            stdout=subprocess.DEVNULL, check=False,
        )  # fmt: skip
        if ended.returncode:
            raise SetError(f"the run {name} failed (what it said stands above)")
    rows = [f"| {one.what} | {one.told(pooled([out / name for name in one.runs]))} |" for one in chosen]
    return "\n".join(["| | |", "| --- | --- |", *rows, ""])


def main() -> None:
    """Read the options, run, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", nargs="+", choices=FIGURES, default=list(FIGURES), metavar="FIGURE")
    parser.add_argument("--jobs", type=positive, default=1)
    args = parser.parse_args()

    def told() -> None:
        table = simulate(args.out, args.only, args.jobs)
        (args.out / "figures.md").write_text(table, encoding="utf-8")
        print(table, end="")

    run(told, ": the same command goes on with the runs that aren't there yet")


if __name__ == "__main__":
    main()
