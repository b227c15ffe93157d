"""The picture sets a model is judged by: folders enter, `Sample`s with their exact or stated truth leave.

- `rendered`: scenes held out as wholes. Seeds divisible by ten choose thresholds and are reported nowhere; seeds that
  leave 5 are reported.
- `DATA/real/val`, by source (`models/sources.yaml`). Classes that a teacher marked are named so: there the figure is
  the agreement with the stock model, not with a person.
- `DATA/real_check/phone` (held and CCTV phones, by video) and `DATA/real_check/wallet` (phones and look-alikes).
- further folders with `images/`, `labels/` (YOLO text) and `sources.yaml` in the form of `models/sources.yaml`.
- `own`: pictures of manifests, as `labelwatch label-export` writes them, that lie in one split; in each of them the
  classes that its line says are known. Where that is *test*, those of *val* choose thresholds.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from dataset import (
    SEEN,
    SOURCES,
    Source,
    act_of,
    device_px,
    facing_of,
    pictures_in,
    read_groups,
    read_image,
    read_labels,
    read_sources,
    rendered_files,
    seed_of,
    side_of,
    side_px,
    source_of,
)
from manifest import Picture, SetError, Thing, pictures_of, read_manifest

from detector.values import LABELS

CHOOSE, REPORT = "choose", "report"
COCO = ("coco128", "tiny_coco")
REAL_CHECK, WALLET, RENDERED, OWN = "real_check", "wallet", "rendered", "own"
FEWEST_TO_CHOOSE = 20  # objects of a class: by fewer of one's own a threshold would be a matter of luck
# A parcel that shows no label is put where its label would be: labels are about 0.4 of a top face's side.
LABEL_OF_PARCEL = 0.4


@dataclass(frozen=True)
class Truth:
    """One object of a picture; what is left out is unknown.

    Attributes:
        label: One of `LABELS`.
        box: x1, y1, x2, y2, pixels (of the picture 0..1 until it has been opened).
        doubtful: Neither to be found nor to be called false.
        px: The size that figures are drawn over, pixels: of a phone, scanner or person the side of a square of the
            box's area; of a label that of its polygon; of a parcel that of the largest label seen on its top.
        facing: Of a parcel, `up`, `not_up` or `unknown`.
        act: Of a person, `photo`, `scan`, `call`, `browse` or `none`.
        device_px: Of a person, side of the device in use as it is seen; 0 where nothing is seen of it.
        angle: Of a label, its text lines against the x axis, degrees counter-clockwise, modulo 180.
        photographs: Of a person in own footage, whether they photograph, as a verdict or a person says.
        seen: Of a device, the share of its outline that nothing hides; 1 where nobody measured that.
    """

    label: str
    box: tuple[float, float, float, float]
    doubtful: bool = False
    px: float = 0.0
    facing: str | None = None
    act: str | None = None
    device_px: float = 0.0
    angle: float | None = None
    photographs: bool | None = None
    seen: float = 1.0


@dataclass(frozen=True)
class Sample:
    """One picture with its truth; `group` names the scene or video it shares with others.

    `known` are the classes marked completely in it; `None` where they are the set's.
    """

    path: Path
    group: str
    truths: tuple[Truth, ...]
    in_shares: bool = False
    known: tuple[str, ...] | None = None

    def judges(self, label: str) -> bool:
        """Whether a class that the set knows is judged by this picture."""
        return self.known is None or label in self.known

    def opened(self) -> tuple[np.ndarray, tuple[Truth, ...]]:
        """The picture `(H, W, 3)` BGR and its truth in pixels.

        Raises:
            SetError: It can't be read.
        """
        image = read_image(self.path)
        if not self.in_shares:
            return image, self.truths
        scale = np.array([image.shape[1], image.shape[0]] * 2)
        boxes = [tuple(float(v) for v in np.array(truth.box) * scale) for truth in self.truths]
        return image, tuple(replace(t, box=b, px=side_of(b)) for t, b in zip(self.truths, boxes, strict=True))


@dataclass(frozen=True)
class JudgedSet:
    """Samples of one kind; `known` are the classes marked completely, `teacher` those the stock model marked."""

    name: str
    title: str
    known: tuple[str, ...]
    samples: tuple[Sample, ...]
    teacher: tuple[str, ...] = ()
    purpose: str = REPORT
    passed_over: tuple[str, ...] = field(default=())


def gathered(
    data: Path | None, rendered: Iterable[Path], real: Iterable[Path], own: Sequence[Path] = (), split: str = "test"
) -> list[JudgedSet]:
    """All sets of a command line; `split` is that of the manifests `own`.

    Raises:
        SetError: A folder is empty, a picture has no label file, a label is out of range, two sets have one name, a
            manifest holds nothing to judge by; or there is no set at all.
    """
    folders, sets = list(rendered), []
    if data:
        if not data.is_dir():
            raise SetError(f"{data}: no such folder (it holds real/, real_check/ and rendered/)")
        if (data / "rendered").is_dir():
            folders.insert(0, data / "rendered")
        if (data / "real" / "val").is_dir():
            sets += real_sets(data / "real" / "val", read_sources(SOURCES))
        for part, name, title in (
            ("phone", REAL_CHECK, "held and CCTV phones"),
            ("wallet", WALLET, "phones and look-alikes"),
        ):
            folder = data / "real_check" / part
            if folder.is_dir():
                samples = tuple(yolo_samples(folder, lambda stem: stem.rpartition("_f")[0] or stem))
                sets.append(JudgedSet(name, title, ("phone",), samples))
    for folder in real:
        theirs = real_sets(folder, read_sources(folder / "sources.yaml"))
        # Figures, colours and curves are told by the names of sets: two of one name would take each other's place.
        taken = {REAL_CHECK, WALLET, RENDERED, *([OWN] if own else []), *(judged.name for judged in sets)}
        if double := taken.intersection(judged.name for judged in theirs):
            raise SetError(f"{folder / 'sources.yaml'}: source {min(double)}: another set is called so (name it anew)")
        sets += theirs
    if folders:
        sets += rendered_sets(folders)
    if own:
        sets += own_sets(own, split)
    if not sets:
        raise SetError(
            "no set to judge by: give --data, --rendered, --real or --own (models/README.md says what they hold)"
        )
    return sets


def own_sets(manifests: Sequence[Path], split: str) -> list[JudgedSet]:
    """Pictures of manifests that lie in a split, and those of split *val* that choose, unless it is the one told of.

    Pictures in which no class is known, nor of anybody whether they photograph, judge nothing. A class chooses where
    `FEWEST_TO_CHOOSE` of it are marked.

    Raises:
        SetError: As `pictures_of`; or no picture judges anything.
    """
    pictures = [picture for path in manifests for picture in pictures_of(path, split)]
    judging = [
        picture
        for picture in pictures
        if picture.known or any(_photographs(thing) is not None for thing in picture.things)
    ]
    if not judging:
        raise SetError(
            f"{manifests[0]}: in none of the {len(pictures)} pictures of split {split} a class is known "
            "(go over them with by_hand.py, and tick what is marked completely)"
        )
    known = tuple(label for label in LABELS if any(label in picture.known for picture in judging))
    untold = sum(not picture.known for picture in pictures)
    passed_over = [f"{OWN}: pictures in which no class is marked completely: {untold}"] if untold else []
    sets = []
    if split != "val":
        choosing = [p for path in manifests for p in read_manifest(path) if p.split == "val" and p.known]
        marked = Counter(t.label for p in choosing for t in p.things if t.label in p.known and not t.doubtful)
        enough = tuple(label for label in LABELS if marked[label] >= FEWEST_TO_CHOOSE)
        passed_over += [
            f"{OWN}: {label}: {n} marked in split val choose no least score, {FEWEST_TO_CHOOSE} would"
            for label, n in marked.items()
            if label not in enough
        ]
        if enough:
            samples = tuple(map(_own_sample, choosing))
            sets.append(JudgedSet(choosing_name(OWN), "own footage, split val", enough, samples, purpose=CHOOSE))
    title = f"own footage, split {split}"
    return [*sets, JudgedSet(OWN, title, known, tuple(map(_own_sample, judging)), passed_over=tuple(passed_over))]


def choosing_name(name: str) -> str:
    """What the set is called that chooses for another one."""
    return f"{name} {CHOOSE}"


def _own_sample(picture: Picture) -> Sample:
    truths = tuple(
        Truth(thing.label, thing.box, thing.doubtful, side_of(thing.box), photographs=_photographs(thing))
        for thing in picture.things
    )
    return Sample(picture.path, f"{picture.source} {picture.group}", truths, known=picture.known)


def _photographs(thing: Thing) -> bool | None:
    """Whether somebody photographs; `None` where nobody knows, or it isn't a person."""
    if thing.label != "person" or thing.doubtful or (thing.act is None and thing.not_act != "photo"):
        return None
    return thing.act == "photo"


def real_sets(folder: Path, sources: dict[str, Source]) -> list[JudgedSet]:
    """Pictures of a YOLO-format folder, a set for each source; those of no listed source are left out.

    So are pictures without a mark of a class that their source overlooked at times: what is found there may be right.

    Raises:
        SetError: As `yolo_samples`; or no picture is of a listed source.
    """
    groups = read_groups(folder / "groups.csv")
    by_set: dict[str, tuple[Source, list[Sample]]] = {}
    for sample in yolo_samples(folder, lambda stem: groups.get(stem, stem)):
        name = source_of(sample.path.name, sources)
        if name is None or sources[name].use == "none":
            continue
        marked = {truth.label for truth in sample.truths}
        if marked.issuperset(sources[name].overlooked):
            by_set.setdefault("coco" if name in COCO else name, (sources[name], []))[1].append(sample)
    if not by_set:
        raise SetError(f"{folder}: no picture of a source that is listed ({', '.join(sources)})")
    sets = []
    for name, (source, samples) in sorted(by_set.items(), key=lambda item: item[0]):
        known = tuple(label for label in LABELS if label in (*source.known, *source.teacher))
        title = source.title or source.repository or name
        sets.append(JudgedSet(name, title, known, tuple(samples), tuple(source.teacher)))
    return sets


def yolo_samples(folder: Path, group_of) -> Iterator[Sample]:
    """Pictures of a folder with `images/` and `labels/`, boxes in shares of the picture.

    Raises:
        SetError: No picture, a picture without label file, a class or box out of range.
    """
    paths = pictures_in(folder / "images")
    for path in paths:
        things = read_labels(folder / "labels" / f"{path.stem}.txt", 1, 1)
        truths = tuple(Truth(thing.label, thing.box) for thing in things)
        yield Sample(path, group_of(path.stem), truths, in_shares=True)


def rendered_sets(folders: list[Path]) -> list[JudgedSet]:
    """Held-out rendered scenes, those that choose and those that are reported; what has no picture yet is listed.

    Raises:
        SetError: A folder holds no truth, a truth file is no scene's, or no scene is held out.
    """
    samples: dict[str, list[Sample]] = {CHOOSE: [], REPORT: []}
    without_picture: list[str] = []
    for folder in folders:
        for path, picture in rendered_files(folder):
            if not picture.exists():
                without_picture.append(f"{path}: its picture {picture.name} is missing")
                continue
            try:
                seed = seed_of(path.stem)
                if seed % 5 == 0:
                    truth = rendered_truths(json.loads(path.read_text(encoding="utf-8")))
                    samples[CHOOSE if seed % 10 == 0 else REPORT].append(Sample(picture, str(seed), tuple(truth)))
            except (ValueError, KeyError, TypeError) as error:
                raise SetError(f"{path} is not a scene's truth: {error!r} (render the scene again)") from error
    if not samples[CHOOSE] and not samples[REPORT]:
        raise SetError(f"{folders[0]}: no scene is held out (seeds divisible by five are)")
    return [
        JudgedSet(choosing_name(RENDERED) if purpose == CHOOSE else RENDERED, "held-out rendered scenes", LABELS,
                  tuple(found), purpose=purpose, passed_over=tuple(without_picture) if purpose == REPORT else ())
        for purpose, found in samples.items()
        if found
    ]  # fmt: skip


def rendered_truths(scene: dict[str, Any]) -> Iterator[Truth]:
    """Objects of one rendered frame, from its exact truth."""
    labels = {label["id"]: label for label in scene["labels"]}
    devices = [*scene["phones"], *scene["scanners"]]
    for person in scene["people"]:
        if person["bbox"]:
            act = act_of(person, devices)
            hidden = person["visible_fraction"] < 0.15
            px = device_px(person, devices)
            yield Truth("person", tuple(person["bbox"]), hidden, side_of(person["bbox"]), act=act, device_px=px)
    for label, group in (("phone", scene["phones"]), ("scanner", scene["scanners"])):
        for device in group:
            if device["bbox"]:
                px, seen = side_of(device["bbox"]), float(device["visible_fraction"])
                yield Truth(label, tuple(device["bbox"]), seen < SEEN or px < 5, px, seen=seen)
    for parcel in scene["parcels"]:
        if parcel["bbox"]:
            box, facing = parcel["bbox"], facing_of(parcel, labels, scene["parcels"])
            hidden = parcel["visible_fraction"] < 0.2 or side_of(box) < 6
            tops = [labels[i] for i in parcel["labels"] if i in labels and labels[i]["face"] == "top"]
            seen = [side_px(t["polygon"]) for t in tops if t["visible_fraction"] > 0.5]
            size = max(seen, default=LABEL_OF_PARCEL * min(box[2] - box[0], box[3] - box[1]))
            yield Truth("parcel", tuple(box), hidden, size, facing=facing)
    for label in scene["labels"]:
        corners = np.clip(np.array(label["polygon"], float), 0, scene["size"])
        box, px = (*map(float, corners.min(0)), *map(float, corners.max(0))), side_px(label["polygon"])
        if side_of(box) > 1 and label["visible_fraction"] > 0.05:
            hidden = label["visible_fraction"] < 0.4 or label["cos_view"] < 0.12 or px < 5
            yield Truth("label", box, hidden, px, angle=label["angle_img"] % 180)
