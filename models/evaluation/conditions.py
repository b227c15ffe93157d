"""What bad pictures cost: held-out stills enter, a table of what is still seen in each condition leaves.

    python models/evaluation/conditions.py --rendered FOLDER...

Each rendered still is looked at as it is, and as worse cameras and lamps would show it: dark, lit from one side,
behind a veil, glaring, grey, grainy, out of focus, hard compressed; and squeezed, as small streams store it, and
stretched again (`detector/media/shape.py`). Of people who use a device: whether they are found, whether one look says
what they do, and in how many who photograph a phone is found, or the look says so by more than a half. Of all others,
how many the look says so of. Scenes whose seed is divisible by five are looked at.
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
from detector.media.pictures import Bgr, Image, Picture
from detector.media.shape import Stretched
from detector.tools.stills import EVERYONE
from detector.values import Frame

STORED = 704, 576
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


def grey_of(image: Image) -> Image:
    """What a camera under infra-red light shows, as far as colours go."""
    return np.asarray(cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR), np.uint8)


def lit(image: Image, light: float | np.ndarray, grain: float, rng: np.random.Generator) -> Image:
    """In so much of its light, with grain of so many grey levels, and compressed afterwards."""
    noise = rng.normal(0, grain, image.shape[:2])[..., None] if grain else 0.0
    return compressed(np.clip(image * light + noise, 0, 255).astype(np.uint8), 85)


def compressed(image: Image, quality: int) -> Image:
    """As a JPEG of this quality, 0..100, shows it."""
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)


def worse(image: Image, rng: np.random.Generator) -> dict[str, Image]:
    """A picture in each condition that leaves its size as it is."""
    aside = np.linspace(0.12, 1.3, image.shape[1])[None, :, None]
    return {
        "as it is": image,
        "0.4 of its light": lit(image, 0.4, 2, rng),
        "0.2 of its light": lit(image, 0.2, 2, rng),
        "lit from one side": lit(image, aside, 2, rng),
        "behind a veil, 0.5 of its contrast": compressed((image * 0.5 + 90).astype(np.uint8), 85),
        "0.3 of its contrast": compressed((image * 0.3 + 120).astype(np.uint8), 85),
        "1.7 of its light": lit(image, 1.7, 0, rng),
        "grey": grey_of(image),
        "grey, with grain": lit(grey_of(image), 1.0, 5, rng),
        "out of focus by 1 px": np.asarray(cv2.GaussianBlur(image, (0, 0), 1), np.uint8),
        "JPEG of quality 20": compressed(image, 20),
    }


def squeezed(image: Image) -> dict[str, Picture]:
    """A picture as it would be without being squeezed, as it is stored, and that stretched again; all as high."""
    height, width = image.shape[:2]
    shown = round(STORED[1] * width / height), STORED[1]
    small = Bgr(np.asarray(cv2.resize(image, STORED, interpolation=cv2.INTER_AREA), np.uint8))
    whole = Bgr(np.asarray(cv2.resize(image, shown, interpolation=cv2.INTER_AREA), np.uint8))
    stored = "{}x{}".format(*STORED)
    return {
        "{}x{}".format(*shown): whole,
        f"{stored} of it, as stored": small,
        f"{stored} of it, stretched": Stretched(small, shown),
    }


def told(rows: list[dict[str, Any]]) -> str:
    """The table's line of one condition."""
    using = [row for row in rows if row["act"] in ACTS]
    photos = [row for row in using if row["act"] == "photo"]
    others = [row for row in rows if row["act"] != "photo"]

    def says(row: Mapping[str, Any]) -> str | None:
        seen = {act: row[f"act_{act}"] for act in ACTS if row[f"act_{act}"] != ""}
        return max(seen, key=lambda act: seen[act]) if seen else None

    def is_photo(row: Mapping[str, Any]) -> bool:
        return row["act_photo"] != "" and row["act_photo"] > SURE

    return " | ".join(
        f"{sum(is_so) / max(1, len(is_so)):.2f}"
        for is_so in (
            [row["found"] > 0 for row in using],
            [says(row) == row["act"] for row in using],
            [row["phone"] > 0 for row in photos],
            [is_photo(row) for row in photos],
            [is_photo(row) for row in others],
        )
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rendered", type=Path, nargs="+", required=True, help="folders of stills (models/scenes)")
    parser.add_argument("--choose", action="store_true", help="of scenes that aren't held out")
    args = parser.parse_args()
    detector, rng = load_detector(Analysis(zooms=EVERYONE)), np.random.default_rng(0)
    rows: dict[str, list[dict[str, Any]]] = {}
    scenes = 0
    for run, t, image, truth, photographers in stills(args.rendered, args.choose):
        scenes += 1
        seen: dict[str, Picture] = {name: Bgr(one) for name, one in worse(image, rng).items()}
        for name, picture in (seen | squeezed(image)).items():
            found = detector.detect(Frame(run, 0, t, picture))
            there = resized(truth, picture.size[0] / image.shape[1], picture.size[1] / image.shape[0])
            rows.setdefault(name, []).extend(looks_in(found, there, run, t, photographers))
    if not scenes:
        sys.exit("conditions: no such scene in these folders (held out are seeds divisible by five)")
    everybody = rows["as it is"]
    counts = [sum(row["act"] in acts for row in everybody) for acts in (ACTS, ("photo",))]
    print(f"{scenes} stills, {len(everybody)} people, {counts[0]} use a device, {counts[1]} of them photograph")
    print(f"(found: IoU {LEAST_OVERLAP}; photo: said by more than {SURE})")
    print("| | found | act right | phone found of photos | photos | others taken for photos |")
    for name, of in rows.items():
        print(f"| {name} | {told(of)} |")


if __name__ == "__main__":
    main()
