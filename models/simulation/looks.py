"""What the shipped model sees of people whose act is known: rendered scenes enter, a table of looks leaves.

    python models/simulation/looks.py --rendered FOLDER... --clips FOLDER... --out models/simulation/looks.csv

The people simulator (`people.py`) draws its detector noise from this table: which act was taken for which, how often a
device was missed, and how far off the line to the label it was seen, at every size of device. Only scenes whose seed is
divisible by five are looked at: neither the network nor the act weights have learned from them. What is to be chosen by
simulation is chosen on a table of the others (`--choose`, kept as `looks_choose.csv`). `looks_chest.csv` is of later
scenes, where half of who photographs the floor stands. Scenes take long to render, so a table can be added to
(`--also`): by the same model only, another one must see all of them.

A row is one look at one person. A *run* is one person in one scene; its looks follow each other in clips. `device_px`
is the diagonal of the device in the hand as it would be seen if nothing hid it. Lengths are in heights of the person's
detected box; angles in radians. The act of who uses nothing is `none`, with a phone in the hand `held`, and `between`
of whom photographs at other times. `beside` is 1 where somebody else photographs within the close look at a person:
what is seen then may be what they do.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import atan2, hypot, pi
from pathlib import Path
from typing import Any

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from dataset import act_of, rendered_files, seed_of
from simulation.noise import BETWEEN, HELD

from detector.config import Analysis
from detector.geometry import as_array, as_box, centre, head, iou
from detector.inference import load_detector
from detector.inference.zoom import zoom_square
from detector.media.pictures import Bgr
from detector.tools.stills import EVERYONE
from detector.tracking.matching import best_pairs
from detector.tracking.tracker import holder_of
from detector.values import ACT_TRAITS, CALL, PERSON, PHONE, PHOTO, SCANNER, Detections, Frame, Person

COLUMNS = (
    "run", "t", "act", "device_px", "found", "phone", "scanner", "photo", "call",
    "act_photo", "act_scan", "act_call", "act_browse", "x", "y", "reach", "miss", "beside",
)  # fmt: skip
LEAST_OVERLAP = 0.4  # IoU of a person and its detection
LEAST_SEEN = 0.3  # of a person: who is hidden further is not looked at by anybody


def looks_in(
    found: Detections, truth: dict[str, Any], run: str, t: float, photographers: frozenset[int] = frozenset()
) -> Iterator[dict[str, Any]]:
    """One row for each person of a frame who can be seen.

    Args:
        found: What the detector saw.
        truth: `people`, `phones`, `scanners`, `parcels` of the frame (`models/scenes/README.md`).
        run: Begin of the runs' names.
        t: Time of the frame, seconds.
        photographers: Who photographs at some time; what they do between photos isn't how others carry and pack.
    """
    seen = found.of(PERSON)
    tracked = [Person(k, as_box(seen.boxes[k]), float(seen.scores[k]), 0.0, 0.0) for k in range(len(seen))]
    devices = [*truth["phones"], *truth["scanners"]]
    parcels = {parcel["id"]: parcel["bbox"] for parcel in truth["parcels"]}
    hits = _hits(truth["people"], seen)
    for person in truth["people"]:
        if not person["bbox"] or person["visible_fraction"] < LEAST_SEEN:
            continue
        held = [d for d in devices if d["holder"] == person["id"]]
        act = act_of(person, devices)
        if act == "none" and person["id"] in photographers:
            act = BETWEEN
        elif act == "none" and any(phone["holder"] == person["id"] for phone in truth["phones"]):
            act = HELD
        # As if nothing hid it: who photographs with the back to the camera does so at a size, too.
        px = max((diagonal(d["bbox_amodal"]) for d in held if d["bbox_amodal"]), default=0.0)
        row = dict.fromkeys(COLUMNS, "") | {
            "run": f"{run}/{person['id']}", "t": round(t, 3), "act": act, "device_px": round(px, 1),
            "found": 0, "phone": 0.0, "scanner": 0.0, "beside": int(beside_photographer(person, devices)),
        }  # fmt: skip
        who = hits.get(person["id"])
        if who is None:
            yield row
            continue
        box = tracked[who].box
        row["found"] = round(tracked[who].score, 3)
        traits = seen.traits[who, ACT_TRAITS]
        if not np.isnan(traits).any():
            row |= dict(zip(COLUMNS[9:13], np.round(traits.astype(float), 3).tolist(), strict=True))
        row |= _device(found, tracked, who)
        if row["x"] != "":
            targets = [d["target"] for d in held if d.get("target") in parcels and parcels[d["target"]]]
            tall = box[3] - box[1]
            point = (row["x"] * tall + centre(box)[0], row["y"] * tall + box[1])
            origin = head(box)
            row["reach"] = round(hypot(point[0] - origin[0], point[1] - origin[1]) / tall, 3)
            if targets:
                aim = centre(as_box(np.array(parcels[targets[0]])))
                miss = atan2(point[1] - origin[1], point[0] - origin[0]) - atan2(aim[1] - origin[1], aim[0] - origin[0])
                row["miss"] = round((miss + pi) % (2 * pi) - pi, 3)
        yield row


def beside_photographer(person: Mapping[str, Any], devices: Iterable[Mapping[str, Any]]) -> bool:
    """Whether a phone with which somebody else photographs shows in the close look at a person.

    Args:
        person: Of a frame's truth, `bbox` in pixels.
        devices: All of the frame's truth.
    """
    x, y, side = zoom_square(as_box(np.array(person["bbox"])))
    others = (d["bbox"] for d in devices if d["use"] == "photo" and d["holder"] != person["id"] and d["bbox"])
    return any(x <= left <= right <= x + side and y <= top <= bottom <= y + side for left, top, right, bottom in others)


def diagonal(box: Sequence[float]) -> float:
    """Of a box x1, y1, x2, y2."""
    return hypot(box[2] - box[0], box[3] - box[1])


def _hits(people: list[dict[str, Any]], seen: Detections) -> dict[int, int]:
    """Which detection is whom: person id to row of `seen`, best overlaps first, each once."""
    there = [person for person in people if person["bbox"]]
    overlap = iou(as_array([tuple(person["bbox"]) for person in there]), seen.boxes)
    rows, columns = best_pairs(overlap, LEAST_OVERLAP)
    return {there[row]["id"]: int(column) for row, column in zip(rows, columns, strict=True)}


def _device(found: Detections, tracked: list[Person], who: int) -> dict[str, Any]:
    """Scores of the surest phone and scanner in a person's hand, and where the surer of them is."""
    best: dict[int, int] = {}
    for k in range(len(found)):
        kind = int(found.class_ids[k])
        surer = kind not in best or found.scores[k] > found.scores[best[kind]]
        if kind in (PHONE, SCANNER) and surer and holder_of(as_box(found.boxes[k]), tracked) == who:
            best[kind] = k
    row: dict[str, Any] = {}
    if PHONE in best:
        k = best[PHONE]
        row |= {"phone": found.scores[k], "photo": found.traits[k, PHOTO], "call": found.traits[k, CALL]}
    if SCANNER in best:
        row["scanner"] = found.scores[best[SCANNER]]
    row = {key: round(float(value), 3) for key, value in row.items()}
    if best:
        k = max(best.values(), key=lambda j: found.scores[j])
        (x, y), box = centre(as_box(found.boxes[k])), tracked[who].box
        tall = box[3] - box[1]
        row |= {"x": round((x - centre(box)[0]) / tall, 3), "y": round((y - box[1]) / tall, 3)}
    return row


def wanted(seed: int, choose: bool) -> bool:
    """Whether a scene is looked at."""
    return bool(seed % 5) == choose


Shown = tuple[str, float, np.ndarray, dict[str, Any], frozenset[int]]


def stills(folders: list[Path], choose: bool) -> Iterator[Shown]:
    """Run, time, picture and truth of each still, and nobody of whom more is known."""
    for folder in folders:
        for path, picture in rendered_files(folder):
            if wanted(seed_of(path.stem), choose) and picture.exists():
                yield (
                    path.stem,
                    0.0,
                    cv2.imread(str(picture)),
                    json.loads(path.read_text(encoding="utf-8")),
                    frozenset(),
                )


def clips(folders: list[Path], choose: bool) -> Iterator[Shown]:
    """Run, time, picture and truth of each frame of each clip, and who photographs in it."""
    for folder in folders:
        for path in sorted(folder.glob("*.json")):
            video = path.with_suffix(".mp4")
            truth = json.loads(path.read_text(encoding="utf-8"))
            if not wanted(truth["seed"], choose) or not video.exists():
                continue
            photographers = frozenset(e["person"] for e in truth["events"] if e["act"] == "photo")
            capture = cv2.VideoCapture(str(video))
            for frame in truth["frames"]:
                right, picture = capture.read()
                if not right:
                    break
                yield path.stem, float(frame["t"]), picture, frame, photographers
            capture.release()


def rows_of(table: Path, but: set[str]) -> list[dict[str, str]]:
    """Rows of a table written before, without the scenes named in `but`."""
    with table.open(newline="", encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if scene_of(row) not in but]


def scene_of(row: Mapping[str, str]) -> str:
    """In which still or clip somebody was seen."""
    return row["run"].split("/")[0]


def main() -> None:
    """Write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rendered", type=Path, nargs="*", default=[], help="folders of stills (models/scenes)")
    parser.add_argument("--clips", type=Path, nargs="*", default=[], help="folders of clips (models/scenes/clips.py)")
    parser.add_argument("--choose", action="store_true", help="of scenes that aren't held out, to choose settings on")
    parser.add_argument("--also", type=Path, metavar="TABLE", help="begin with what the same model saw elsewhere")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    # Nobody simulated is one of so many that the worker looks at some of them from afar alone.
    detector = load_detector(Analysis(zooms=EVERYONE))
    rows: list[dict[str, Any]] = []
    for source in (stills(args.rendered, args.choose), clips(args.clips, args.choose)):
        last, people = "", ()
        for run, t, picture, truth, photographers in source:
            found = detector.detect(Frame(run, 0, t, Bgr(picture)), people if run == last else ())
            last, people = run, tuple(as_box(box) for box in found.of(PERSON).boxes)
            rows += looks_in(found, truth, run, t, photographers)
    if not rows:
        sys.exit("looks: no such scene in these folders (held out are seeds divisible by five)")
    if args.also:
        rows = [*rows_of(args.also, {scene_of(row) for row in rows}), *rows]
    with args.out.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    acts = {act: sum(row["act"] == act for row in rows) for act in sorted({row["act"] for row in rows})}
    print(f"{len(rows)} looks at people in {len({scene_of(row) for row in rows})} scenes: {acts}")


if __name__ == "__main__":
    main()
