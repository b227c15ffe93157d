"""People among parcels, without pixels: how often are sweeps found, and how often is ordinary work taken for one?

    python models/simulation/people.py --hours 60 --sweeps 600 --out DIR

Plans of visits (`crowd.py`) become detections with measured noise (`noise.py`), and these go through the worker's own
tracker, rules and incidents. Writes DIR/people.md with plots, and people.json.

A *camera-month* of ordinary work is 60 hours with somebody in the picture: 30 days of 10 hours, a fifth of the time.
Sweeps are missed when no label-photography incident of warning or graver overlaps them. A false sweep is any such
incident while nobody photographs more than one parcel. `--zones 3` cuts the picture into upright strips: what is seen
stays the same, so that runs of one seed differ by the borders alone.

`--cameras 2` lets another camera see the same from across: what it makes of people is drawn anew, and whichever tells a
sweep has found it. So it is as in scenes rendered twice (`scenes/stills.py --across`): who is overlooked by one camera
is hardly more likely to be by the other.

The case that labelwatch exists for is a patch of parcels all turned label up, photographed from end to end.
`--patches` are such: after how many photos was somebody told of a sweep, by the photos alone?
`--turned` has ordinary work and all else go on among such parcels.

Who does this for a living comes again. `--couriers` are people who each sweep `--visits` times, in the same style and
from the same parcel on: after how many visits was one of them told?

Visits of ordinary work last for minutes, so nobody has many chances to be mistaken. `--stays` are hours of somebody who
stays for an hour each and handles parcel after parcel: how often is that taken for a sweep? `--together 6` has six of
them at a time in each of these hours, as in a busy hall.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from simulation.crowd import STYLES
from simulation.noise import LOOKS, SAME_PERSON
from simulation.people_page import LISTS, page, summary
from simulation.tries import TALL, month_part, one_courier, one_patch, one_sweep, stay_part

from detector.cli.arguments import amount, count, positive, share


def main() -> None:
    """Run the simulation and write the page."""
    args = _options()
    if not args.looks.exists():
        sys.exit(f"people: {args.looks} is missing (looks.py makes it)")
    args.out.mkdir(parents=True, exist_ok=True)
    tries = simulated(args)
    figures = summary(**tries)
    kept = figures | {key: tries[name] for key, name in LISTS.items()}
    (args.out / "people.json").write_text(json.dumps(kept, indent=1), encoding="utf-8")
    (args.out / "people.md").write_text(page(figures), encoding="utf-8")
    print(json.dumps(figures, indent=1))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=amount, default=60.0, help="of ordinary work, all sizes together")
    parser.add_argument("--sweeps", type=count, default=240)
    parser.add_argument("--couriers", type=count, default=0, help="people who come again and again")
    parser.add_argument("--visits", type=positive, default=6, help="of each courier")
    parser.add_argument("--patches", type=count, default=0, help="of parcels label up, photographed from end to end")
    parser.add_argument("--turned", action="store_true", help="all of this among the parcels of such a patch")
    parser.add_argument("--stays", type=amount, default=0.0, help="hours of people who stay for an hour each")
    parser.add_argument("--together", type=positive, default=1, help="so many of those who stay at a time")
    parser.add_argument("--zones", type=positive, default=1, help="upright strips that the picture is cut into")
    parser.add_argument("--cameras", type=positive, default=1, help="that see the same, each from another side")
    parser.add_argument("--seed", type=count, default=1)
    parser.add_argument("--jobs", type=positive, default=1)
    parser.add_argument("--looks", type=Path, default=LOOKS, help="table of measured looks (looks.py)")
    parser.add_argument(
        "--drawn", type=count, metavar="SEED", help="draw the table's warehouses anew, with replacement"
    )
    parser.add_argument("--hold-s", type=amount, default=0.6, help="how long the detector keeps an error")
    parser.add_argument("--mixed", type=share, default=0.0, help="share of looks that are another act's")
    parser.add_argument("--blinded", type=share, default=0.0, help="share of looks in which no device is seen")
    parser.add_argument("--same", type=share, default=SAME_PERSON, help="share of acts seen as the person's one before")
    parser.add_argument("--out", type=Path, required=True)
    return parser.parse_args()


def simulated(args: argparse.Namespace) -> dict[str, list[dict[str, Any]]]:
    """What came of each try that the options ask for, by the names that `summary` has for them."""
    settings = {
        "zones": args.zones,
        "cameras": args.cameras,
        "patch": args.turned,
        "path": args.looks,
        "drawn": args.drawn,
        "hold_s": args.hold_s,
        "mixed": args.mixed,
        "blinded": args.blinded,
        "same": args.same,
    }

    def people(count: int, first: int, *more: int) -> list[tuple[Any, ...]]:
        """So many people, each with a seed, of all heights and styles."""
        return [
            (
                args.seed * 1_000_000 + first + k,
                TALL[k % len(TALL)],
                STYLES[k // len(TALL) % len(STYLES)],
                *more,
                settings,
            )
            for k in range(count)
        ]

    def stretches(hours: float, each_h: float, first: int) -> list[tuple[Any, ...]]:
        """So many hours in stretches of about a length, each with a seed, as many of each height of people."""
        pieces = max(1, round(hours / each_h / len(TALL))) * len(TALL) if hours else 0
        return [(args.seed * 1000 + first + k, TALL[k % len(TALL)], hours / pieces, settings) for k in range(pieces)]

    plans: dict[str, tuple[Callable[[Any], dict[str, Any]], str, list[tuple[Any, ...]]]] = {
        "sweeps": (one_sweep, "sweep", people(args.sweeps, 0)),
        "parts": (month_part, "stretch of work", stretches(args.hours, 2.0, 0)),
        "couriers": (one_courier, "courier", people(args.couriers, 500_000, args.visits)),
        "stays": (partial(stay_part, together=args.together), "stay", stretches(args.stays, 1.0, 500)),
        "patches": (one_patch, "patch", people(args.patches, 700_000)),
    }
    with ProcessPoolExecutor(args.jobs) as pool:
        return {
            name: list(counted(pool.map(one, tries), what, len(tries))) for name, (one, what, tries) in plans.items()
        }


def counted(results: Iterable[dict[str, Any]], what: str, of: int) -> Iterator[dict[str, Any]]:
    """Tells of progress on standard error."""
    for k, result in enumerate(results, 1):
        if k % 10 == 0 or k == of:
            print(f"{what} {k} of {of}", file=sys.stderr, flush=True)
        yield result


if __name__ == "__main__":
    main()
