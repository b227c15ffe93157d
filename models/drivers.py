"""Drivers who phone, their phones marked anew by us: a clone of the set's repository enters, a manifest leaves.

    python models/drivers.py --clone FOLDER --teacher yolo11n-coco.pt --out SET/drivers.jsonl

The makers' boxes take in hand and ear. `drivers.csv` holds ours, of the phone alone, in shares of the picture, with
what the makers say of its use; pictures in which we couldn't make one out are left out. People are marked by the
teacher, and whoever holds the phone does what is done with it.
"""

from __future__ import annotations

import argparse
import csv
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from dataset import SOURCES, SURE, Teacher, load_teacher, overlap, read_image, read_sources
from manifest import Picture, SetError, Thing, run, write_manifest
from rich.progress import track

BOXES = Path(__file__).resolve().with_name("drivers.csv")
SOURCE = "drv"
SIDES = ("x1", "y1", "x2", "y2")
Box = tuple[float, float, float, float]
LEAST_HELD = 0.6  # of a phone that lies in its holder's box


def read_drivers(clone: Path, teacher: Teacher) -> Iterator[Picture]:
    """The set's pictures.

    Raises:
        SetError: A picture isn't in the clone.
    """
    source = read_sources(SOURCES)[SOURCE]
    rows = defaultdict(list)
    with BOXES.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            rows[row["picture"]].append(row)
    for name, marked in track(rows.items(), "drivers"):
        if not (clone / name).exists():
            raise SetError(f"{clone / name} is missing: --clone is a clone of {source.repository}")
        image = read_image(clone / name)
        height, width = image.shape[:2]
        sizes = (width, height, width, height)
        phones = [
            Thing(
                "phone", tuple(float(row[side]) * size for side, size in zip(SIDES, sizes, strict=True)), use=row["use"]
            )
            for row in marked
        ]
        yield Picture(
            clone / name, SOURCE, name, source.licence, "train", ("phone", "person"),
            (*phones, *people_with(phones, teacher(image))),
        )  # fmt: skip


def people_with(phones: list[Thing], found: Iterable[tuple[str, float, Box]]) -> list[Thing]:
    """The teacher's people; one who holds a phone does what is done with it."""
    people = [Thing("person", box, doubtful=score < SURE) for label, score, box in found if label == "person"]
    for phone in phones:
        held = [overlap(phone.box, person.box) if not person.doubtful else 0.0 for person in people]
        if held and max(held) > LEAST_HELD:
            k = held.index(max(held))
            people[k] = replace(people[k], act=phone.use)
    return people


def main() -> None:
    """Read the options and write the manifest."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clone", type=Path, required=True, help="of the set's repository (models/sources.yaml: drv)")
    parser.add_argument("--teacher", type=Path, required=True, help="COCO network that marks people")
    parser.add_argument("--out", type=Path, required=True, help="the manifest to write")
    args = parser.parse_args()
    run(lambda: print(write_manifest(args.out, read_drivers(args.clone, load_teacher(args.teacher))), "pictures"))


if __name__ == "__main__":
    main()
