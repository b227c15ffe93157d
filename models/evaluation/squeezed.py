"""What is lost by looking at pictures in the shape in which a small stream stores them: stills enter, a table leaves.

    python models/evaluation/squeezed.py --rendered FOLDER... [--stored 704x576]

Each rendered still is stored as such a stream would, 704x576 of a 16:9 picture, and looked at as it is stored and as it
is shown, stretched again (`detector/media/shape.py`), and never squeezed beside. Of people who use a device: whether
they are found, whether one look says what they do, and in how many who photograph a phone is found, or the look says so
by more than a half. Scenes whose seed is divisible by five are looked at.
"""

from __future__ import annotations

import argparse
import copy
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from simulation.looks import LEAST_OVERLAP, looks_in, stills

from detector.config import Analysis
from detector.inference import load_detector
from detector.media.pictures import Bgr, Picture
from detector.media.shape import Stretched
from detector.tools.stills import EVERYONE
from detector.values import Frame

ACTS = ("photo", "scan", "call", "browse")
THINGS = ("people", "phones", "scanners", "parcels")
BOXES = ("bbox", "bbox_amodal")
SURE = 0.5


def resized(truth: Mapping[str, Any], across: float, down: float) -> dict[str, Any]:
    """A frame's truth, of its picture in another size."""
    moved = copy.deepcopy(dict(truth))
    for thing in (thing for kind in THINGS for thing in moved.get(kind, [])):
        for box in (box for box in BOXES if thing.get(box)):
            x1, y1, x2, y2 = thing[box]
            thing[box] = [x1 * across, y1 * down, x2 * across, y2 * down]
    return moved


def versions(picture: np.ndarray, stored: tuple[int, int]) -> dict[str, Picture]:
    """A picture as it would be without being squeezed, as it is stored, and that stretched again; all as high."""
    height, width = picture.shape[:2]
    shown = round(stored[1] * width / height), stored[1]
    small = Bgr(np.asarray(cv2.resize(picture, stored, interpolation=cv2.INTER_AREA), np.uint8))
    whole = Bgr(np.asarray(cv2.resize(picture, shown, interpolation=cv2.INTER_AREA), np.uint8))
    return {"never squeezed": whole, "looked at as stored": small, "stretched": Stretched(small, shown)}


def told(rows: list[dict[str, Any]]) -> str:
    """The table's line of one version."""
    of = [row for row in rows if row["act"] in ACTS]
    photos = [row for row in of if row["act"] == "photo"]

    def says(row: Mapping[str, Any]) -> str | None:
        seen = {act: row[f"act_{act}"] for act in ACTS if row[f"act_{act}"] != ""}
        return max(seen, key=lambda act: seen[act]) if seen else None

    def share(count: int, among: list[Any]) -> str:
        return f"{count / max(1, len(among)):.2f}"

    return " | ".join((
        share(sum(row["found"] > 0 for row in of), of),
        share(sum(says(row) == row["act"] for row in of), of),
        share(sum(row["phone"] > 0 for row in photos), photos),
        share(sum(row["act_photo"] != "" and row["act_photo"] > SURE for row in photos), photos),
    ))  # fmt: skip


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rendered", type=Path, nargs="+", required=True, help="folders of stills (models/scenes)")
    parser.add_argument("--stored", default="704x576", help="width and height in which they are stored")
    parser.add_argument("--choose", action="store_true", help="of scenes that aren't held out")
    args = parser.parse_args()
    width, height = map(int, args.stored.split("x"))
    detector = load_detector(Analysis(zooms=EVERYONE))
    rows: dict[str, list[dict[str, Any]]] = {}
    scenes = 0
    for run, t, picture, truth, photographers in stills(args.rendered, args.choose):
        scenes += 1
        for name, seen in versions(picture, (width, height)).items():
            found = detector.detect(Frame(run, 0, t, seen))
            there = resized(truth, seen.size[0] / picture.shape[1], seen.size[1] / picture.shape[0])
            rows.setdefault(name, []).extend(looks_in(found, there, run, t, photographers))
    if not scenes:
        sys.exit("squeezed: no such scene in these folders (held out are seeds divisible by five)")
    one = next(iter(rows.values()))
    using = sum(row["act"] in ACTS for row in one)
    photos = sum(row["act"] == "photo" for row in one)
    print(f"{scenes} stills, {using} people who use a device, {photos} of them photograph")
    print(f"(found: IoU {LEAST_OVERLAP})\n| | found | act right | phone found of photos | photos said by > {SURE} |")
    for name, of in rows.items():
        print(f"| {name} | {told(of)} |")


if __name__ == "__main__":
    main()
