"""Turn the real and rendered source sets into one training folder of pictures at the scales the model meets.

    python models/dataset.py --data DATA [--rendered FOLDER ...] --out OUT

The worker looks twice: at the whole frame, 640 pixels on its long side, and at a square cut round each person,
320 pixels on its side (`detector/inference/zoom.py`). Training sees the same two scales, as 416-pixel tiles:
frame tiles from the frame at 640, person tiles cut with more surroundings so that the person has its zoomed size.

Ten label ids are written. The first five are the published classes; the others are parcels of known facing and
phones of known use:

    0 person  1 phone  2 scanner  3 parcel  4 label
    5 parcel, label up  6 parcel, label not up  7 phone that photographs  8 phone at the ear  9 phone being read

File names start with their source (`leigh--…`), since the loss must know which classes a source leaves unmarked
(`KNOWN_CLASSES`, used by `train.py`): an unmarked object there is unknown, not background.
"""

from __future__ import annotations

import argparse
import json
import random
from pathlib import Path

import cv2
import numpy as np

PERSON, PHONE, SCANNER, PARCEL, LABEL, PARCEL_UP, PARCEL_NOT_UP, PHONE_PHOTO, PHONE_CALL, PHONE_READ = range(10)
PHONE_USES = {"photo": PHONE_PHOTO, "call": PHONE_CALL, "text": PHONE_READ}
DEVICES = (PHONE, SCANNER, PHONE_PHOTO, PHONE_CALL, PHONE_READ)
DEVICE_COPIES = 5
TILE = 416
FRAME_SIDE = 640
ZOOM_SIDE = 320

# Which of the five published classes each source marks completely; the rest of its pictures teaches nothing.
KNOWN_CLASSES = {
    "coco128": {PERSON, PHONE},
    "tiny_coco": {PERSON, PHONE},
    "leigh": {PERSON, PHONE},
    "fuyi": {PERSON, PARCEL},
    "rendered": {PERSON, PHONE, SCANNER, PARCEL, LABEL},
}
REAL_TO_IDS = {0: PERSON, 1: PHONE, 2: PARCEL, 3: LABEL}


def source_of(name: str) -> str | None:
    """Source of a real picture by its file name, or `None` for a set this recipe leaves out."""
    return next((source for source in KNOWN_CLASSES if name.startswith(source)), None)


def zoom_square(box, rng: random.Random | None = None) -> tuple[float, float, float]:
    """Square `(x, y, side)` of the zoom around a person box (x1, y1, x2, y2), pixels.

    The same rule as the worker's; with `rng`, shifted and scaled a little, as a detector's boxes are.
    """
    x1, y1, x2, y2 = box
    side = 1.3 * max(x2 - x1, 0.65 * (y2 - y1))
    centre_x, top = (x1 + x2) / 2, y1 - 0.1 * side
    if rng:
        side *= rng.uniform(0.85, 1.25)
        centre_x += rng.uniform(-0.1, 0.1) * side
        top += rng.uniform(-0.1, 0.1) * side
    return centre_x - side / 2, top, side


def facing_class(parcel: dict, labels: dict[int, dict], parcels: list[dict]) -> int | None:
    """Id of a rendered parcel: up, not up, plain parcel (nobody could tell), or `None` when hardly seen.

    *Up*: a label on the top face is seen. *Not up*: the top face is seen and the parcel owns no label there.
    Where the truth has no measure of the top face (older renders) it counts as seen when the parcel is nearly
    whole and nothing stands in front of its upper half.
    """
    box = parcel["bbox"]
    if box is None or parcel["visible_fraction"] < 0.2 or min(box[2] - box[0], box[3] - box[1]) < 6:
        return None
    tops = [labels[i] for i in parcel["labels"] if i in labels and labels[i]["face"] == "top"]
    if any(t["visible_fraction"] > 0.5 and t["cos_view"] > 0.15 and side_px(t["polygon"]) >= 5 for t in tops):
        return PARCEL_UP
    if tops:
        return PARCEL
    if "top_visible" in parcel:
        seen = parcel["top_visible"] > 0.6 and parcel["top_cos"] > 0.25 and parcel["top_px"] >= 120
    else:
        upper = [box[0], box[1], box[2], (box[1] + box[3]) / 2]
        covered = any(overlap(upper, p["bbox"]) > 0.15 for p in parcels if p is not parcel and p["bbox"])
        seen = parcel["visible_fraction"] > 0.85 and not covered and (box[2] - box[0]) * (box[3] - box[1]) > 500
    return PARCEL_NOT_UP if seen else PARCEL


def side_px(polygon) -> float:
    """Side of a square with the polygon's area, pixels."""
    return float(cv2.contourArea(np.asarray(polygon, np.float32))) ** 0.5


def overlap(a, b) -> float:
    """Share of box `a` that box `b` covers."""
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    return width * height / max((a[2] - a[0]) * (a[3] - a[1]), 1e-9)


def rendered_objects(truth: dict) -> np.ndarray:
    """Objects of one rendered frame as `(N, 5)` rows id, x1, y1, x2, y2 in pixels."""
    labels = {label["id"]: label for label in truth["labels"]}
    rows = []
    for group, class_id, least in (("people", PERSON, 0.15), ("phones", PHONE, 0.3), ("scanners", SCANNER, 0.3)):
        for thing in truth[group]:
            if thing["bbox"] and thing["visible_fraction"] >= least:
                use = PHONE_USES.get(thing.get("use"), PHONE) if class_id == PHONE else class_id
                rows.append([use, *thing["bbox"]])
    for parcel in truth["parcels"]:
        class_id = facing_class(parcel, labels, truth["parcels"])
        if class_id is not None:
            rows.append([class_id, *parcel["bbox"]])
    for label in truth["labels"]:
        if label["visible_fraction"] > 0.4 and label["cos_view"] > 0.12:
            corners = np.clip(np.array(label["polygon"]), 0, truth["size"])
            rows.append([LABEL, *corners.min(0), *corners.max(0)])
    return np.array(rows, np.float32).reshape(-1, 5)


def cut(image, objects, x: float, y: float, side: float, out: int = TILE):
    """Square of the picture at (x, y) resized to `out` pixels, with the objects that stay at least 40 % inside."""
    scale = out / side
    matrix = np.float32([[scale, 0, -x * scale], [0, scale, -y * scale]])
    tile = cv2.warpAffine(image, matrix, (out, out), flags=cv2.INTER_LINEAR, borderValue=(114, 114, 114))
    boxes = objects.copy()
    boxes[:, [1, 3]] = np.clip((boxes[:, [1, 3]] - x) * scale, 0, out)
    boxes[:, [2, 4]] = np.clip((boxes[:, [2, 4]] - y) * scale, 0, out)
    area = np.prod(objects[:, 3:5] - objects[:, 1:3], axis=1) * scale * scale
    size = boxes[:, 3:5] - boxes[:, 1:3]
    return tile, boxes[(np.prod(size, axis=1) > 0.4 * area) & (size.min(1, initial=9e9) >= 2.5)]


def tiles(image, objects, rng: random.Random, *, rendered: bool):
    """Frame tiles and person tiles of one picture, as (name suffix, tile, objects).

    Real pictures, mostly of near things, come whole instead. People with a device in hand, few and what matters most,
    are cut several times, each a little differently.
    """
    height, width = image.shape[:2]
    whole, frame_side = max(height, width), TILE * max(height, width) / FRAME_SIDE
    if not rendered:
        yield "whole", *cut(image, objects, (width - whole) / 2, (height - whole) / 2, whole)
    else:
        y = (height - frame_side) / 2
        for name, x in (("left", 0.0), ("right", width - frame_side)):
            yield name, *cut(image, objects, x, y, frame_side)
    people = objects[(objects[:, 0] == PERSON) & (objects[:, 4] - objects[:, 2] > 50)]
    devices = objects[np.isin(objects[:, 0], DEVICES)]
    centres = (devices[:, 1:3] + devices[:, 3:5]) / 2
    rng.shuffle(order := list(range(len(people))))
    for k in order[:4]:
        box = people[k, 1:]
        holds = rendered and bool(((centres > box[:2] - 8) & (centres < box[2:] + 8)).all(1).any())
        for copy in range(DEVICE_COPIES if holds else 1):
            x, y, side = zoom_square(box, rng)
            more = side * (TILE / ZOOM_SIDE - 1) / 2
            yield f"person{k}{copy}", *cut(image, objects, x - more, y - more, side + 2 * more)


def read_real(folder: Path):
    """Yield (name, image, objects) of a YOLO-format folder with the sources this recipe uses."""
    for path in sorted((folder / "images").glob("*.jpg")):
        source = source_of(path.name)
        if source is None:
            continue
        image = cv2.imread(str(path))
        height, width = image.shape[:2]
        lines = (folder / "labels" / f"{path.stem}.txt").read_text().split("\n")
        rows = np.array([line.split() for line in lines if line], np.float32).reshape(-1, 5)
        objects = rows.copy()
        objects[:, 0] = [REAL_TO_IDS[int(k)] for k in rows[:, 0]]
        objects[:, 1:3] = (rows[:, 1:3] - rows[:, 3:5] / 2) * (width, height)
        objects[:, 3:5] = (rows[:, 1:3] + rows[:, 3:5] / 2) * (width, height)
        yield f"{source}--{path.stem}", image, objects


def read_rendered(folder: Path):
    """Yield (name, image, objects) of rendered stills; `images/` + `truth/` or both side by side."""
    images = folder / "images" if (folder / "images").is_dir() else folder
    truths = folder / "truth" if (folder / "truth").is_dir() else folder
    for path in sorted(truths.glob("*.json")):
        picture = images / f"{path.stem}.jpg"
        if picture.exists():
            yield f"rendered--{path.stem}", cv2.imread(str(picture)), rendered_objects(json.loads(path.read_text()))


def is_held_out(name: str) -> bool:
    """Whether a rendered scene is kept for evaluation: seeds divisible by five, whole scenes at a time."""
    digits = "".join(c for c in name.split("--")[1].split("_", 1)[0] if c.isdigit())
    seed = int(digits) if digits else int(name.rsplit("_", 1)[1])
    return seed % 5 == 0


def main() -> None:
    """Write `images/` and `labels/` of the training tiles; held-out scenes are left to the evaluation."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with real/ and rendered/")
    parser.add_argument("--rendered", type=Path, nargs="*", default=[], help="more rendered folders")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    for name in ("images", "labels"):
        (args.out / name).mkdir(parents=True, exist_ok=True)
    rng, count = random.Random(1), {}
    sets = [read_real(args.data / "real" / "train"), *map(read_rendered, [args.data / "rendered", *args.rendered])]
    for pictures in sets:
        for name, image, objects in pictures:
            if name.startswith("rendered") and is_held_out(name):
                continue
            source = name.split("--")[0]
            for suffix, tile, inside in tiles(image, objects, rng, rendered=source == "rendered"):
                stem = f"{name}-{suffix}"
                cv2.imwrite(str(args.out / "images" / f"{stem}.jpg"), tile, [cv2.IMWRITE_JPEG_QUALITY, 92])
                centre, size = (inside[:, 1:3] + inside[:, 3:5]) / 2 / TILE, (inside[:, 3:5] - inside[:, 1:3]) / TILE
                lines = [
                    f"{int(k)} {c[0]:.5f} {c[1]:.5f} {s[0]:.5f} {s[1]:.5f}"
                    for k, c, s in zip(inside[:, 0], centre, size, strict=True)
                ]
                (args.out / "labels" / f"{stem}.txt").write_text("\n".join(lines))
                count[source] = count.get(source, 0) + 1
    print(count)


if __name__ == "__main__":
    main()
