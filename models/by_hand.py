"""Go over the boxes of a manifest by hand, in Labelme.

    python models/by_hand.py OWN/manifest.jsonl [--split val test]    # a Labelme file beside each picture
    labelme OWN/images --labels … --flags … --label-flags …           # printed by the first command
    python models/by_hand.py OWN/manifest.jsonl --take                # what was changed, into the manifest

Labelme runs on this machine (`pip install labelme` into an environment of its own): no picture leaves it. A picture's
flags are the classes that are marked completely in it (`known`), those of a box what is said of it beside its label,
both as in `manifest.py`. A line whose picture wasn't changed stays as it is; what wasn't changed of a box stays, too.
Taken files are removed: the manifest holds what they said. Run the first command again to go on.
"""

from __future__ import annotations

import argparse
import json
import shlex
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from dataset import read_image
from manifest import ACTS, FACINGS, SPLITS, USES, SetError, manifest_lines, read_manifest, run

from detector.machine.whole_files import alone_in, write_whole
from detector.values import LABELS

DOUBTFUL = "doubtful"
# What a ticked flag of a box says, by the box's label: key and word of the manifest.
SAYS: dict[str, dict[str, tuple[str, str]]] = {
    "person": {act: ("act", act) for act in ACTS} | {f"not {act}": ("not_act", act) for act in ACTS if act != "none"},
    "phone": {use: ("use", use) for use in USES} | {f"not {use}": ("not_use", use) for use in USES if use != "held"},
    "parcel": {facing: ("facing", facing) for facing in FACINGS},
}

Record = dict[str, Any]


def flags_of(label: str) -> list[str]:
    """The flags that a box of a label may have."""
    return [*SAYS.get(label, {}), DOUBTFUL]


def labelme_file(record: Record, name: str, width: int, height: int) -> Record:
    """What Labelme reads of a picture: its boxes and flags, none of its pixels."""
    shapes = [
        {
            "label": row["label"],
            "points": [row["box"][:2], row["box"][2:]],
            "group_id": None,
            "description": "",
            "shape_type": "rectangle",
            "flags": {flag: _is_said(row, flag) for flag in flags_of(row["label"])},
        }
        for row in record["objects"]
    ]
    return {
        "version": "5.0.0", "flags": {label: label in record["known"] for label in LABELS}, "shapes": shapes,
        "imagePath": name, "imageData": None, "imageHeight": height, "imageWidth": width,
    }  # fmt: skip


def _is_said(row: Record, flag: str) -> bool:
    if flag == DOUBTFUL:
        return bool(row.get(DOUBTFUL))
    key, word = SAYS[row["label"]][flag]
    return bool(row.get(key) == word)


def taken(record: Record, said: Record) -> Record:
    """A line of the manifest with what a Labelme file says; the very line where that is nothing new.

    Raises:
        ValueError: A label, a flag or a box that can't be.
    """
    width, height = int(said["imageWidth"]), int(said["imageHeight"])
    known = [label for label in LABELS if said["flags"].get(label)]
    laid = labelme_file(record, "", width, height)["shapes"]
    before = {_key(_row(shape, width, height)): row for shape, row in zip(laid, record["objects"], strict=True)}
    rows = [_row(shape, width, height) for shape in said["shapes"]]
    objects = [before.get(_key(row), row | {"by": "person"}) for row in rows]
    if set(known) == set(record["known"]) and objects == record["objects"]:
        return record
    return record | {"known": known, "objects": objects}


def _key(row: Record) -> str:
    """What of a box can be changed in Labelme."""
    said = {flag for flag in flags_of(row["label"]) if _is_said(row, flag)}
    return json.dumps([row["label"], [round(float(v), 1) for v in row["box"]], sorted(said)])


def _row(shape: Record, width: int, height: int) -> Record:
    label = shape["label"]
    if label not in LABELS:
        raise ValueError(f"a box is called {label!r} (there are: {', '.join(LABELS)})")
    xs, ys = ([float(point[k]) for point in shape["points"]] for k in (0, 1))
    if shape.get("shape_type") == "circle":  # its points are its middle and one of its rim, no corners
        raise ValueError(f"the {label} at {xs[0]:.0f}, {ys[0]:.0f} is a circle, not a rectangle or polygon")
    box = [max(min(xs), 0.0), max(min(ys), 0.0), min(max(xs), width), min(max(ys), height)]
    if not (box[2] > box[0] and box[3] > box[1]):
        raise ValueError(f"the box of a {label} at {xs[0]:.0f}, {ys[0]:.0f} has no extent in the picture")
    row: Record = {"label": label, "box": [round(v, 1) for v in box]}
    for flag, ticked in (shape.get("flags") or {}).items():
        if not ticked:
            continue
        key, word = (DOUBTFUL, True) if flag == DOUBTFUL else SAYS.get(label, {}).get(flag, ("", ""))
        if not key or key in row:
            said = f"is said to be {row[key]} and {flag}" if key else f"can't be {flag}"
            raise ValueError(
                f"the {label} at {box[0]:.0f}, {box[1]:.0f} {said} (it may be: {', '.join(flags_of(label))})"
            )
        row[key] = word
    return row


def lay_out(manifest: Path, splits: Sequence[str]) -> list[Path]:
    """Write a Labelme file beside each picture of some splits; those that are there stay.

    Returns:
        The folders of these pictures.

    Raises:
        SetError: As `read_manifest`; there is no such picture, or one can't be read; somebody writes there.
    """
    with _alone(manifest):
        return _laid_out(manifest, splits)


def _laid_out(manifest: Path, splits: Sequence[str]) -> list[Path]:
    records = [record for record in _records(manifest) if record["split"] in splits]
    if not records:
        raise SetError(f"{manifest}: no picture in split {' or '.join(splits)}")
    paths = [manifest.parent / record["picture"] for record in records]
    for path, record in zip(paths, records, strict=True):
        if not path.with_suffix(".json").exists():
            height, width = read_image(path).shape[:2]
            text = json.dumps(labelme_file(record, path.name, width, height), ensure_ascii=False, indent=1)
            write_whole(path.with_suffix(".json"), text, mode=0o600, lasting=False)
    return sorted({path.parent for path in paths})


def take(manifest: Path) -> tuple[int, int]:
    """Bring what Labelme files say into the manifest, whole or not at all, and remove them.

    Returns:
        How many files there were, and how many lines were changed.

    Raises:
        SetError: As `read_manifest`; a file says what can't be; somebody writes there.
    """
    with _alone(manifest):
        return _taken_in(manifest)


def _taken_in(manifest: Path) -> tuple[int, int]:
    records, files, changed = _records(manifest), [], 0
    for k, record in enumerate(records):
        path = (manifest.parent / record["picture"]).with_suffix(".json")
        if not path.exists():
            continue
        try:
            said = json.loads(path.read_text(encoding="utf-8"))
            if "shapes" not in said:  # a rendered scene's truth
                continue
            records[k] = taken(record, said)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            reason = f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else str(error)
            raise SetError(f"{path}: {reason} (mend it in Labelme, or remove the file)") from error
        files.append(path)
        changed += records[k] is not record
    if not files:
        raise SetError(f"{manifest}: no Labelme file beside its pictures (write them first: without --take)")
    lines = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    write_whole(manifest, lines, mode=0o600)
    for path in files:
        path.unlink()
    return len(files), changed


@contextmanager
def _alone(manifest: Path) -> Iterator[None]:
    """Nobody else changes the manifest meanwhile: what one of two says would be lost."""
    with ExitStack() as held:
        try:
            held.enter_context(alone_in(manifest.parent))
        except BlockingIOError:
            raise SetError(
                f"{manifest.parent}: an export or another by_hand.py is at work there (wait for it)"
            ) from None
        except OSError as error:
            raise SetError(f"no manifest {manifest}: {error.strerror}") from error
        yield


def _records(manifest: Path) -> list[Record]:
    list(read_manifest(manifest))  # says what is wrong with it
    return [json.loads(line) for line in manifest_lines(manifest)]


def main() -> None:
    """Lay out, or take in."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifest", type=Path, help="of label-export")
    parser.add_argument("--split", nargs="+", choices=SPLITS, default=list(SPLITS), help="which pictures (all)")
    parser.add_argument("--take", action="store_true", help="bring what was changed into the manifest")
    args = parser.parse_args()
    if args.take:
        files, changed = take(args.manifest)
        print(f"{args.manifest}: {changed} of {files} pictures changed")
        return
    folders = lay_out(args.manifest, args.split)
    per_label = json.dumps({f"{label}$": flags_of(label) for label in LABELS})
    for folder in folders:
        words = ["labelme", str(folder), "--labels", ",".join(LABELS), "--flags", ",".join(LABELS)]
        print(shlex.join([*words, "--label-flags", per_label]))


if __name__ == "__main__":
    run(main)
