"""Real pictures of which no mark is used: clones of public repositories enter, a folder in YOLO format leaves.

    python models/clones.py --clones FOLDER --out UNMARKED

FOLDER holds clones of the repositories that `sources.yaml` names for `drvu`, `drvn`, `smk`, `nch` and `ofc`, each under
its own name; of those that aren't there nothing is taken, and that is said. `dataset.py --yolo UNMARKED` takes the
result. Of Roboflow's augmented copies of a picture one is taken; which pictures of a large set, is drawn by the hash of
their names, so everybody draws the same. Drivers are told apart by what their makers marked: with a phone that
`drivers.csv` doesn't mark (`drvu`), or without one (`drvn`).
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from dataset import SOURCES, read_sources
from drivers import BOXES
from manifest import SetError, run
from rich.progress import track

COPY = ".rf."  # in Roboflow's names: what stands before is the picture's, what follows a copy's
# Where pictures are in a clone, and how many are taken at most.
TAKEN = {
    "smk": ("datasets/somking/train/images", 205),
    "nch": ("Hard-Hat-Workers-8/train/images", 600),
    "ofc": ("data/yolo_dataset/images/*", 80),
}
DRIVERS, PHONES = "datasets/*/images", frozenset({0, 1})  # classes of drivers who call or text


def originals(clone: Path, where: str) -> dict[str, Path]:
    """Pictures of a clone by the name of what they are copies of, the first copy of each."""
    found: dict[str, Path] = {}
    for path in sorted(clone.glob(f"{where}/*.jpg")):
        found.setdefault(path.stem.partition(COPY)[0], path)
    return found


def drawn(paths: Mapping[str, Path], most: int) -> list[Path]:
    """So many of the pictures, drawn by the hash of their names."""
    names = sorted(paths, key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    return [paths[name] for name in sorted(names[:most])]


def drivers_of(clone: Path) -> Iterator[tuple[str, Path]]:
    """Drivers whom `drivers.csv` doesn't mark, each with its source; without a label file nobody knows which.

    Raises:
        SetError: A label file is wrong.
    """
    with BOXES.open(encoding="utf-8") as file:
        marked = {row["picture"] for row in csv.DictReader(file)}
    for path in sorted(clone.glob(f"{DRIVERS}/*.jpg")):
        if path.relative_to(clone).as_posix() in marked:
            continue
        label = path.parents[1] / "labels" / f"{path.stem}.txt"
        classes = classes_in(label) if label.exists() else set()
        if classes:
            yield ("drvu" if classes & PHONES else "drvn"), path


def classes_in(label: Path) -> set[int]:
    """Classes that a label file marks.

    Raises:
        SetError: A line doesn't begin with a class.
    """
    try:
        return {int(line.split()[0]) for line in label.read_text(encoding="utf-8").splitlines() if line.strip()}
    except ValueError as error:
        raise SetError(f"{label} is no label file (fetch the clone anew)") from error


def taken_from(clones: Path) -> Iterator[tuple[str, Path]]:
    """Each picture that is taken, with its source.

    Raises:
        SetError: There is none of these repositories in the folder, or one without the pictures it had.
    """
    sources, count = read_sources(SOURCES), 0
    for name in ("drvn", *TAKEN):
        repository = sources[name].repository
        clone = clones / repository.rpartition("/")[2]
        if not clone.exists():
            print(f"{clone} isn't there, so nothing is taken of {repository}")
            continue
        found = (
            list(drivers_of(clone))
            if name == "drvn"
            else [(name, path) for path in drawn(originals(clone, TAKEN[name][0]), TAKEN[name][1])]
        )
        if not found:
            raise SetError(f"{clone}: no pictures where {repository} had them (was it changed? take an older commit)")
        count += len(found)
        yield from found
    if not count:
        raise SetError(f"{clones} holds none of the clones (models/sources.yaml names the repositories)")


def gather(clones: Path, out: Path) -> Counter[str]:
    """Copy the pictures with empty label files, and say which of them belong together; how many of each source.

    Raises:
        SetError: As `taken_from` says.
    """
    sources, count = read_sources(SOURCES), Counter[str]()
    for part in ("images", "labels"):
        (out / part).mkdir(parents=True, exist_ok=True)
    with (out / "groups.csv").open("w", newline="", encoding="utf-8") as file:
        groups = csv.writer(file, lineterminator="\n")
        groups.writerow(("image", "group"))
        for name, path in track(list(taken_from(clones)), "pictures"):
            stem = f"{sources[name].files[0]}{path.stem}"
            shutil.copyfile(path, out / "images" / f"{stem}.jpg")
            (out / "labels" / f"{stem}.txt").write_text("", encoding="utf-8")
            groups.writerow((f"{stem}.jpg", path.stem.partition(COPY)[0]))
            count[name] += 1
    return count


def main() -> None:
    """Read the options and copy."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clones", type=Path, required=True, help="folder of clones, each under its repository's name")
    parser.add_argument("--out", type=Path, required=True, help="the folder to make")
    args = parser.parse_args()
    run(lambda: print(*(f"{count} of {name}" for name, count in gather(args.clones, args.out).items()), sep=", "))


if __name__ == "__main__":
    main()
