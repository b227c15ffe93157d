"""What the rule takes real people for: pictures that judge enter, a table leaves.

    .venv/bin/python models/acts/real.py --data DATA --cache CACHE

The weights are learned from rendered people, and judged on rendered people; this asks whether they hold for real ones.
`real.csv` says of the largest person of some pictures of `DATA/real/val` and `DATA/real_check` what is done, as we saw
it; COCO's people without a phone do nothing, nor does the man who raises a wallet or an earbud case. Nobody was trained
on them. The last column counts looks strong enough for a photo to be told if they go on: weak ones never are, however
often they are repeated (`intraclass` in `models/acts.yaml`).
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from dataset import read_image
from manifest import run

from acts.judge import enough_for_photo
from acts.looked import STILL_TIMES, Looker, seen_at
from detector.geometry import areas, as_array
from detector.rules.acts import margin
from detector.rules.bearing import carried_on
from detector.rules.evidence import KINDS, Evidence, Weighing, load_weights, looks
from detector.tracking import SceneTracker
from detector.values import ActKind

SEEN = Path(__file__).with_name("real.csv")
PHONE = "1"  # class of YOLO text
STRONG = "strong photos"
IDLE = (("none (COCO)", "real/val", ("coco", "tiny_coco")), ("none (wallet)", "real_check/wallet", ("",)))


def groups(data: Path) -> Iterator[tuple[str, Path]]:
    """Who it is, in a word, and the picture."""
    with SEEN.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            folder = "real_check/phone" if row["picture"].startswith("bws_") else "real/val"
            yield row["act"], data / folder / "images" / f"{row['picture']}.jpg"
    for words, folder, starts in IDLE:
        for path in sorted((data / folder / "images").iterdir()):
            marks = (data / folder / "labels" / f"{path.stem}.txt").read_text().splitlines()
            if path.name.startswith(starts) and not any(line.split()[0] == PHONE for line in marks if line.strip()):
                yield words, path


def largest_person(path: Path, looker: Looker) -> Evidence | None:
    """What a look shows of the largest person of a picture, if there is one."""
    height, width = read_image(path).shape[:2]
    found, tracker = looker.still(path)[0], SceneTracker()
    for n, at in enumerate(STILL_TIMES):
        scene = tracker.update(seen_at((width, height), at, n, found))
    seen = looks(scene, [carried_on(None, person, scene.at) for person in scene.people])
    sizes = [float(size) for size in areas(as_array([person.box for person in scene.people]))]
    return seen[sizes.index(max(sizes))] if sizes else None


def judged(data: Path, looker: Looker, weighing: Weighing) -> dict[str, Counter[str]]:
    """By group: how often each kind was told, nobody was found, or nothing could be said; and strong photos."""
    enough = enough_for_photo(weighing)
    table: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for words, path in groups(data):
        look = largest_person(path, looker)
        if look is None or not look.telling:
            table[words]["nobody" if look is None else "nothing"] += 1
            continue
        (row,) = weighing.said([look])
        table[words][KINDS[row.index(max(row))]] += 1
        table[words][STRONG] += margin(row, ActKind.PHOTO) > enough
    return table


def main() -> None:
    """Look, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with real/ and real_check/")
    parser.add_argument("--cache", type=Path, required=True, help="folder for what the network saw")
    args = parser.parse_args()
    columns = (*KINDS, "nothing", "nobody", STRONG)
    print("|", " | ".join(("who", *columns)), "|")
    print("|", " | ".join(["---"] * (len(columns) + 1)), "|")
    for words, told in judged(args.data, Looker(args.cache), load_weights()).items():
        print("|", " | ".join((words, *(str(told[column]) for column in columns))), "|")


if __name__ == "__main__":
    run(main)
