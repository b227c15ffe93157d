"""Gather real and rendered picture sets into one manifest.

    python models/dataset.py --out SET/manifest.jsonl [--data DATA] [--yolo FOLDER ...] [--rendered FOLDER ...]
                             [--teacher yolo11n-coco.pt] [--pose yolov8n-pose-coco.pt] [--leave-out leigh ...]

- `DATA` holds `real/train` and `real/val`, each laid out as a `--yolo` folder, and `rendered`, as a `--rendered` one.
  `real/val` becomes split *test*.
- `--yolo`: more real sets, each a folder with `images/`, `labels/` (YOLO text), and maybe a `sources.yaml` in the form
  of `models/sources.yaml`, which says by the beginnings of file names where a picture is from, under which licence, and
  which classes are marked in it (else that one counts). An optional `groups.csv` (image, group) keeps copies and videos
  together; otherwise every picture is its own group. A fifth of the groups becomes *val*.
- `--rendered`: folders of `models/scenes` (pictures with their truth beside them). Split by seed, whole scenes at a
  time: divisible by ten *val*, other multiples of five *test*.
- `--teacher`: the network that marks the classes a source lists under `teacher`. Its boxes from 0.5 on are taken as
  marked, those from 0.15 to 0.5 as doubtful. Without it those classes stay unknown. It looks at whole pictures, then at
  each person closely.
- `--pose`: the network that finds the wrists of people in real pictures, where `looks.py` puts phones.

What people do in real pictures is known where we looked (`doing.csv`: of the largest person of a picture), and where
nobody uses a device (`idle` in `sources.yaml`).
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import cv2
import numpy as np
from manifest import Picture, SetError, Thing, run, write_manifest
from pydantic import BaseModel, ConfigDict, Field, RootModel
from rich.progress import track

from detector.cards import read_card
from detector.errors import ModelError
from detector.inference.zoom import cut_square, zoom_square
from detector.recorded.recordings import as_text
from detector.tools.adding import hush_ultralytics
from detector.tools.stills import SUFFIXES
from detector.values import LABELS

SOURCES = Path(__file__).resolve().with_name("sources.yaml")
DOING = SOURCES.with_name("doing.csv")
YOLO_LABELS = ("person", "phone", "parcel", "label", "scanner")
USES = {"photo": "photo", "call": "call", "text": "browse", "browse": "browse", None: "held"}
TEACHER_COCO = {0: "person", 67: "phone"}
COCO_CLASSES, COCO_KEYPOINTS = 80, (17, 3)
SURE, DOUBTFUL = 0.5, 0.15
Teacher = Callable[[np.ndarray], list[tuple[str, float, tuple[float, float, float, float]]]]
Pose = Callable[[np.ndarray], list[tuple[tuple[float, float, float, float], tuple[tuple[float, float], ...]]]]
WRISTS = (9, 10)  # of COCO's seventeen keypoints
SEEN = 0.3  # of a rendered device at least so much: below it nobody can be asked what it is


Text = Annotated[str, Field(min_length=1)]  # a file name begins with any empty one


class Source(BaseModel):
    """Where pictures are from and what is marked in them; `models/sources.yaml` says what each key means."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    licence: Text
    files: Annotated[list[Text], Field(min_length=1)]
    known: list[Literal[LABELS]]
    overlooked: list[Literal[LABELS]] = []
    teacher: list[Literal[LABELS]] = []
    idle: bool = False
    use: Literal["train", "judge", "none"] = "train"
    title: str = ""
    repository: str = ""


def read_sources(path: Path) -> dict[str, Source]:
    """Picture sources by name.

    Raises:
        SetError: No such file, no YAML, or a source lacks a key, or says what isn't known.
    """
    try:
        return read_card(path, RootModel[dict[str, Source]], "list of picture sources").root
    except ModelError as error:
        raise SetError(f"{error} (form: see models/sources.yaml)") from error


def source_of(name: str, sources: dict[str, Source]) -> str | None:
    """The source whose file names begin like this one, or `None`."""
    return next((key for key, source in sources.items() if name.startswith(tuple(source.files))), None)


def read_image(path: Path, flags: int = cv2.IMREAD_COLOR) -> np.ndarray:
    """A picture as `(H, W, 3)` BGR, or as OpenCV's flags say.

    Raises:
        SetError: It can't be read.
    """
    try:
        data = np.fromfile(path, np.uint8)
        image = cv2.imdecode(data, flags) if data.size else None  # imread fills in what is cut off with grey
    except OSError as error:
        raise SetError(f"{path} can't be read: {error.strerror} (remove it, or fetch it anew)") from error
    except cv2.error:  # larger than OpenCV reads
        image = None
    if image is None:
        raise SetError(f"{path} is not a picture that can be read (remove it, or fetch it anew)")
    return image


def pictures_in(folder: Path) -> list[Path]:
    """Pictures of a folder in order of their names.

    Raises:
        SetError: There is none.
    """
    found = sorted(p for p in folder.glob("*") if p.suffix.lower() in SUFFIXES)
    if not found:
        raise SetError(f"{folder}: no picture in this folder")
    return found


def read_yolo(
    folder: Path,
    sources: dict[str, Source],
    split_of: Callable[[str], str],
    teacher: Teacher | None = None,
    pose: Pose | None = None,
) -> Iterator[Picture]:
    """Pictures of a YOLO-format folder whose source is listed; how many are of none is told.

    Raises:
        SetError: The folder holds no picture, a picture has no label file, or a label file is wrong.
    """
    paths = pictures_in(folder / "images")
    for path in paths:  # before an hour of the teacher's
        if as_text(path.name) != path.name:
            raise SetError(f"{as_text(path)}: its name is of another encoding than UTF-8 (rename it, or fetch it anew)")
    groups, unlisted = read_groups(folder / "groups.csv"), []
    with DOING.open(encoding="utf-8") as file:
        doing = {row["picture"]: row["act"] for row in csv.DictReader(file)}
    for path in track(paths, f"{folder}"):
        name = source_of(path.name, sources)
        if name is None:
            unlisted.append(path.name)
        if name is None or sources[name].use != "train":
            continue
        source = sources[name]
        image = read_image(path)
        things = read_labels(folder / "labels" / f"{path.stem}.txt", image.shape[1], image.shape[0])
        known = list(source.known)
        things = [thing for thing in things if thing.label in known]
        # Where such a class isn't marked at all, it was overlooked: 100 pictures of people phoning, say.
        overlooked = [c for c in source.overlooked if not any(t.label == c for t in things)]
        known = [label for label in known if label not in overlooked]
        if teacher:
            known += source.teacher
            found = teacher(image)
            for label, score, box in found:
                if label in (*source.teacher, *overlooked):
                    things.append(Thing(label, box, doubtful=score < SURE))
            if source.idle:
                things = with_idle(things, [box for label, _, box in found if label == "phone"])
        things = with_act(things, doing[path.stem]) if path.stem in doing else things
        things = with_hands(things, pose(image)) if pose else things
        group = groups.get(path.stem, path.stem)
        yield Picture(path, name, group, source.licence, split_of(group), tuple(known), tuple(things))
    if unlisted:
        taken = ", ".join(sources) or "none"
        print(f"{folder}: passed over: {len(unlisted)} of no source that is taken, like {unlisted[0]} (taken: {taken})")


def read_groups(path: Path) -> dict[str, str]:
    """Groups of pictures by their names without ending; none where there is no such file.

    Raises:
        SetError: It is no table of images and their groups.
    """
    if not path.exists():
        return {}
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            if not {"image", "group"}.issubset(reader.fieldnames or ()):
                raise SetError(f"{path} is no table of images and groups (its first line is 'image,group')")
            return {Path(row["image"]).stem: row["group"] for row in reader}
    except UnicodeDecodeError as error:
        raise SetError(f"{path} is no text (save it as UTF-8)") from error


def with_act(things: list[Thing], act: str) -> list[Thing]:
    """The things, the largest person among them as doing an act."""
    people = [thing for thing in things if thing.label == "person" and not thing.doubtful]
    largest = max(people, key=lambda person: side_of(person.box), default=None)
    return [replace(thing, act=act) if thing is largest else thing for thing in things]


def with_idle(things: list[Thing], phones: Iterable[tuple[float, float, float, float]]) -> list[Thing]:
    """The things, people among them as doing nothing with a device, but those where even a doubtful phone is."""
    phones = list(phones)
    return [
        replace(thing, act="none")
        if thing.label == "person" and not thing.doubtful and all(overlap(box, thing.box) < 0.5 for box in phones)
        else thing
        for thing in things
    ]


def with_hands(things: list[Thing], people: Iterable[tuple[Any, Any]]) -> list[Thing]:
    """The things, people among them with the hands of the pose that fits them best."""
    poses = list(people)
    found = []
    for thing in things:
        fits = [(min(overlap(thing.box, box), overlap(box, thing.box)), hands) for box, hands in poses]
        share, hands = max(fits, key=lambda fit: fit[0], default=(0.0, ()))
        found.append(replace(thing, hands=hands) if thing.label == "person" and share > 0.6 else thing)
    return found


def read_labels(path: Path, width: int, height: int) -> list[Thing]:
    """Objects of one YOLO label file, in pixels; an empty file marks none.

    Raises:
        SetError: There is no file, or it is no text; or a line has not five numbers, a class that isn't in
            `YOLO_LABELS`, a box outside 0..1.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise SetError(f"{path}: {error.strerror} (a picture with nothing to mark has an empty file)") from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise SetError(f"{path}, line {line}: no text (lines are 'class x y w h'; is it a label file?)") from error
    things = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            class_id, x, y, w, h = (_finite(v) for v in line.split())
            if not class_id.is_integer():
                raise ValueError(f"{class_id} is no class")
            label = YOLO_LABELS[int(class_id)] if class_id >= 0 else ""
        except (ValueError, IndexError) as error:
            names = ", ".join(f"{k} {name}" for k, name in enumerate(YOLO_LABELS))
            said = f"not 'class x y w h' with a class of {names}: {line[:80]!r}"
            raise SetError(f"{path}, line {number}: {said}") from error
        box = (x - w / 2, y - h / 2, x + w / 2, y + h / 2)
        if not label or min(box) < -0.01 or max(box) > 1.01 or w <= 0 or h <= 0:
            raise SetError(f"{path}, line {number}: class or box out of range: {line!r}")
        things.append(Thing(label, (box[0] * width, box[1] * height, box[2] * width, box[3] * height)))
    return things


def _finite(word: str) -> float:
    number = float(word)
    if not math.isfinite(number):
        raise ValueError(f"{word} is no number")
    return number


def load_teacher(checkpoint: Path) -> Teacher:
    """The starting network as a function of a picture that returns (label, score, box in pixels).

    Raises:
        SetError: There is no such file, or it is no COCO network.
    """
    hush_ultralytics()
    from starts import load_checkpoint  # here, so that a set of marked classes alone needs no torch

    model = load_checkpoint(checkpoint)
    if len(model.names) != COCO_CLASSES:
        raise SetError(f"--teacher: {checkpoint} knows {len(model.names)} classes, not COCO's {COCO_CLASSES}")

    def predict(image: np.ndarray, side: int, left: float = 0.0, top: float = 0.0):
        found = model.predict(image, imgsz=side, conf=DOUBTFUL, classes=list(TEACHER_COCO), verbose=False)[0].boxes
        shift = np.array([left, top, left, top])
        return [
            (TEACHER_COCO[int(k)], float(score), tuple(float(v) for v in box.numpy() + shift))
            for k, score, box in zip(found.cls.cpu(), found.conf.cpu(), found.xyxy.cpu(), strict=True)
        ]

    def look(image: np.ndarray):
        whole, close = predict(image, 640), []
        for label, score, box in whole:
            if label == "person" and score >= SURE:
                crop, left, top = cut_square(image, *zoom_square(box))
                close += [found for found in predict(crop, 320, left, top) if found[0] == "phone"]
        kept: list = []
        for found in sorted(whole + close, key=lambda found: -found[1]):
            if not any(k[0] == found[0] and overlap(found[2], k[2]) > 0.5 for k in kept):
                kept.append(found)
        return kept

    return look


def load_pose(checkpoint: Path) -> Pose:
    """A COCO pose network as a function of a picture that returns people's boxes and their wrists in pixels.

    Raises:
        SetError: There is no such file, or it is no pose network.
    """
    hush_ultralytics()
    from starts import load_checkpoint

    model = load_checkpoint(checkpoint, task="pose")
    if tuple(getattr(model.model.model[-1], "kpt_shape", ())) != COCO_KEYPOINTS:
        raise SetError(f"--pose: {checkpoint} doesn't tell COCO's {COCO_KEYPOINTS[0]} keypoints")

    def look(image: np.ndarray):
        found = model.predict(image, imgsz=640, conf=0.3, verbose=False)[0]
        return [
            (tuple(map(float, box)), tuple((float(x), float(y)) for x, y, score in points[list(WRISTS)] if score > 0.5))
            for box, points in zip(found.boxes.xyxy, found.keypoints.data, strict=True)
        ]

    return look


def rendered_files(folder: Path) -> list[tuple[Path, Path]]:
    """Truth and picture of every rendered still of a folder: `images/` + `truth/`, or both side by side.

    Raises:
        SetError: No truth is there.
    """
    images = folder / "images" if (folder / "images").is_dir() else folder
    truths = sorted((folder / "truth" if (folder / "truth").is_dir() else folder).glob("*.json"))
    if not truths:
        raise SetError(f"{folder}: no rendered truth (*.json) in it")
    return [(path, images / f"{path.stem}.jpg") for path in truths]


def read_rendered(folder: Path) -> Iterator[Picture]:
    """Pictures of a folder of rendered scenes.

    Raises:
        SetError: No truth is there, or a file is none.
    """
    for path, picture in rendered_files(folder):
        if not picture.exists():
            continue  # its scene is still being rendered
        try:
            things, seed = rendered_things(json.loads(path.read_text())), seed_of(path.stem)
        except (ValueError, KeyError, TypeError) as error:
            raise SetError(f"{path} is not a scene's truth: {error!r} (render the scene again)") from error
        split = "val" if seed % 10 == 0 else "test" if seed % 5 == 0 else "train"
        yield Picture(picture, "rendered", str(seed), "our own renderings", split, LABELS, tuple(things))


def seed_of(stem: str) -> int:
    """Seed of a rendered picture's scene: the number in `r50001_03`, `m30001_00`, `synth_10001`.

    Raises:
        ValueError: There is none.
    """
    first, _, rest = stem.partition("_")
    digits = "".join(c for c in first if c.isdigit()) or "".join(c for c in rest if c.isdigit())
    if not digits:
        raise ValueError("its name tells no seed")
    return int(digits)


def rendered_things(truth: dict[str, Any]) -> list[Thing]:
    """Objects of one rendered frame."""
    labels = {label["id"]: label for label in truth["labels"]}
    devices = [*truth["phones"], *truth["scanners"]]
    things = [
        Thing("person", tuple(p["bbox"]), act=act_of(p, devices), doubtful=p["visible_fraction"] < 0.15)
        for p in truth["people"]
        if p["bbox"]
    ]
    for label, group in (("phone", truth["phones"]), ("scanner", truth["scanners"])):
        for device in group:
            if device["bbox"]:
                small = side_of(device["bbox"]) < 5 or device["visible_fraction"] < SEEN
                use = USES.get(device["use"]) if label == "phone" else None
                things.append(Thing(label, tuple(device["bbox"]), use=use, doubtful=small))
    for parcel in truth["parcels"]:
        if parcel["bbox"]:
            hidden = parcel["visible_fraction"] < 0.2 or side_of(parcel["bbox"]) < 6
            facing = facing_of(parcel, labels, truth["parcels"])
            things.append(Thing("parcel", tuple(parcel["bbox"]), facing=facing, doubtful=hidden))
    for label in truth["labels"]:
        corners = np.clip(np.array(label["polygon"], float), 0, truth["size"])
        box = (*corners.min(0), *corners.max(0))
        if box[2] - box[0] > 1 and box[3] - box[1] > 1 and label["visible_fraction"] > 0.05:
            hidden = label["visible_fraction"] < 0.4 or label["cos_view"] < 0.12 or side_px(label["polygon"]) < 5
            things.append(Thing("label", box, angle=label["angle_img"] % 180, doubtful=hidden))
    return things


def act_of(person: dict[str, Any], devices: list[dict[str, Any]]) -> str:
    """What a rendered person does, from what is in the hand; `none` without a device in use."""
    if "act" in person:
        return person["act"]
    uses = {device.get("use") for device in devices if device["holder"] == person["id"]}
    return next(
        (
            act
            for use, act in (("photo", "photo"), ("scan", "scan"), ("call", "call"), ("text", "browse"))
            if use in uses
        ),
        "none",
    )


def device_px(person: dict[str, Any], devices: Iterable[dict[str, Any]]) -> float:
    """Side of the largest device in a rendered person's hand as it is seen, pixels; 0 where nobody could see one."""
    held = [d for d in devices if d["holder"] == person["id"] and d["bbox"] and d["visible_fraction"] >= SEEN]
    return max((side_of(d["bbox"]) for d in held), default=0.0)


def facing_of(parcel: dict[str, Any], labels: dict[int, dict[str, Any]], parcels: list[dict[str, Any]]) -> str:
    """Facing of a rendered parcel.

    *Up*: a label on the top face is seen. *Not up*: the top face is seen and the parcel owns no label there. Otherwise
    nobody could tell, as where the picture's border cuts most of the parcel off. Where the truth has no measure of the
    top face (older renders) it counts as seen when the parcel is nearly whole and nothing stands in front of its upper
    half.
    """
    box = parcel["bbox"]
    tops = [labels[i] for i in parcel["labels"] if i in labels and labels[i]["face"] == "top"]
    if any(_shows(t) > 0.5 and t["cos_view"] > 0.15 and side_px(t["polygon"]) >= 5 for t in tops):
        return "up"
    if tops:
        return "unknown"
    if "top_visible" in parcel:
        seen = parcel["top_visible"] > 0.6 and parcel["top_cos"] > 0.25 and parcel["top_px"] >= 120
        seen = seen and parcel.get("in_frame_fraction", 1.0) > 0.6  # the share of the top is of what is in the picture
    else:
        upper = [box[0], box[1], box[2], (box[1] + box[3]) / 2]
        covered = any(overlap(upper, p["bbox"]) > 0.15 for p in parcels if p is not parcel and p["bbox"])
        seen = parcel["visible_fraction"] > 0.85 and not covered and side_of(box) > 22
    return "not_up" if seen else "unknown"


def _shows(thing: dict[str, Any]) -> float:
    """How much of a rendered thing can be seen, what the picture's border cuts off counted as hidden."""
    return thing["visible_fraction"] * thing.get("in_frame_fraction", 1.0)


def side_px(polygon: Any) -> float:
    """Side of a square with the polygon's area, pixels."""
    return float(cv2.contourArea(np.asarray(polygon, np.float32))) ** 0.5


def side_of(box: Any) -> float:
    """Side of a square with the box's area, pixels."""
    return float(max(box[2] - box[0], 0) * max(box[3] - box[1], 0)) ** 0.5


def overlap(a: Any, b: Any) -> float:
    """Share of box `a` that box `b` covers."""
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    return width * height / max((a[2] - a[0]) * (a[3] - a[1]), 1e-9)


def a_fifth_to_val(group: str) -> str:
    """Split of a group of real pictures: a fifth, by a hash of its name, is kept to choose by."""
    return "val" if int(hashlib.sha256(group.encode()).hexdigest(), 16) % 5 == 0 else "train"


def gathered(args: argparse.Namespace) -> Iterator[Picture]:
    """All pictures of all sets named on the command line."""
    lists = {
        folder: read_sources(own if (own := folder / "sources.yaml").exists() else SOURCES) for folder in args.yolo
    }
    ours = read_sources(SOURCES)
    # A source misspelt would go in, whatever its licence.
    if unknown := set(args.leave_out).difference(ours, *lists.values()):
        raise SetError(f"--leave-out: no source {min(unknown)} (models/sources.yaml, and the folders' own, list them)")
    teacher = load_teacher(args.teacher) if args.teacher else None
    pose = load_pose(args.pose) if args.pose else None
    rendered: Iterable[Path] = args.rendered
    if args.data:
        ours = {name: source for name, source in ours.items() if name not in args.leave_out}
        yield from read_yolo(args.data / "real" / "train", ours, lambda _group: "train", teacher, pose)
        yield from read_yolo(args.data / "real" / "val", ours, lambda _group: "test", teacher)
        rendered = [args.data / "rendered", *rendered]
    for folder, listed in lists.items():
        theirs = {name: source for name, source in listed.items() if name not in args.leave_out}
        yield from read_yolo(folder, theirs, a_fifth_to_val, teacher, pose)
    for folder in rendered:
        yield from read_rendered(folder)


def main() -> None:
    """Write the manifest and say what is in it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="the manifest to write")
    parser.add_argument("--data", type=Path, help="folder with real/ and rendered/")
    parser.add_argument("--yolo", type=Path, nargs="*", default=[], help="more real sets in YOLO format")
    parser.add_argument("--rendered", type=Path, nargs="*", default=[], help="more rendered folders")
    parser.add_argument("--teacher", type=Path, help="COCO network that marks people where a source doesn't")
    parser.add_argument("--pose", type=Path, help="COCO pose network that finds the wrists of people")
    parser.add_argument("--leave-out", nargs="*", default=[], help="sources to leave out")
    args = parser.parse_args()
    count: Counter[tuple[str, str]] = Counter()
    things: Counter[str] = Counter()

    def counted() -> Iterator[Picture]:
        for picture in gathered(args):
            count[picture.split, picture.source] += 1
            if picture.split == "train":
                things.update(thing.label for thing in picture.things if not thing.doubtful)
            yield picture

    total = write_manifest(args.out, counted())
    print(f"{args.out}: {total} pictures")
    for (split, source), n in sorted(count.items()):
        print(f"  {split:5} {source:12} {n}")
    print("  marked for training:", ", ".join(f"{n} {label}" for label, n in things.most_common()))


if __name__ == "__main__":
    run(main)
