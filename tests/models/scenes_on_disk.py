"""Small picture sets on disk, as the evaluation reads them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from manifest import Picture, Thing, write_manifest

from tests.conftest import REPOSITORY


def picture(path: Path, size: tuple[int, int] = (640, 384), polygons: Sequence[Any] = ()) -> Path:
    """A grey picture with white polygons."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = np.full((size[1], size[0], 3), 120, np.uint8)
    for polygon in polygons:
        cv2.fillPoly(image, [np.asarray(polygon, np.int32)], (240, 240, 240))
    cv2.imwrite(str(path), image)
    return path


def crowd(path: Path, people: int = 6) -> list[tuple[float, float, float, float]]:
    """A picture that shows somebody of the demo's clip so many times side by side; gives their boxes."""
    clip = cv2.VideoCapture(str(REPOSITORY / "configs" / "demo" / "sweep_near.mp4"))
    for _ in range(40):
        _, frame = clip.read()
    clip.release()
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.tile(frame[116:507, 433:644], (1, people, 1)))
    return [(60.0 + 211 * k, 60.0, 151.0 + 211 * k, 331.0) for k in range(people)]


def yolo_set(folder: Path, pictures: dict[str, str]) -> Path:
    """`images/` and `labels/` with a label text for each picture's stem."""
    (folder / "labels").mkdir(parents=True, exist_ok=True)
    for stem, text in pictures.items():
        picture(folder / "images" / f"{stem}.jpg")
        (folder / "labels" / f"{stem}.txt").write_text(text)
    return folder


def person(number: int, box: Sequence[float], **more: Any) -> dict[str, Any]:
    """A person of a rendered scene, wholly seen."""
    return {"id": number, "bbox": list(box), "visible_fraction": 1.0, "action": "stand", **more}


def device(number: int, box: Sequence[float], holder: int, use: str | None, **more: Any) -> dict[str, Any]:
    """A phone or scanner in a hand, wholly seen."""
    return {"id": number, "bbox": list(box), "visible_fraction": 1.0, "holder": holder, "use": use, **more}


def parcel(number: int, box: Sequence[float], labels: Sequence[int] = (), **more: Any) -> dict[str, Any]:
    """A parcel whose top face is seen."""
    seen = {"top_visible": 1.0, "top_cos": 0.9, "top_px": 4000}
    return {"id": number, "bbox": list(box), "visible_fraction": 1.0, "labels": list(labels), **seen, **more}


def label(number: int, owner: int, corner: tuple[float, float], side: float, **more: Any) -> dict[str, Any]:
    """A square label on top of a parcel."""
    x, y = corner
    polygon = [[x, y + side], [x + side, y + side], [x + side, y], [x, y]]
    there = {"face": "top", "visible_fraction": 1.0, "cos_view": 0.9, "angle_img": 0.0}
    return {"id": number, "parcel": owner, "polygon": polygon, **there, **more}


def scene(**groups: Any) -> dict[str, Any]:
    """Truth of a rendered frame; what is not given is empty."""
    empty: dict[str, Any] = {"people": [], "phones": [], "scanners": [], "parcels": [], "labels": []}
    return {"size": [640, 384], "mode": "day", **empty, **groups}


def rendered_set(folder: Path, scenes: dict[str, dict[str, Any]], *, with_pictures: bool = True) -> Path:
    """Rendered frames by stem, picture and truth side by side."""
    folder.mkdir(parents=True, exist_ok=True)
    for stem, truth in scenes.items():
        (folder / f"{stem}.json").write_text(json.dumps(truth))
        if with_pictures:
            picture(folder / f"{stem}.jpg", polygons=[each["polygon"] for each in truth["labels"]])
    return folder


def own_manifest(folder: Path, pictures: dict[str, tuple[str, ...]], *things: Thing, split: str = "test") -> Path:
    """A manifest of pictures by stem, with the classes that are known in each; all show the same things.

    Those whose stem begins with `val` lie in that split, the others in `split`.
    """
    path = folder / "manifest.jsonl"
    split_of = {stem: "val" if stem.startswith("val") else split for stem in pictures}
    write_manifest(
        path,
        (
            Picture(picture(folder / f"{stem}.jpg"), "site:x", stem, "own footage", split_of[stem], known, things)
            for stem, known in pictures.items()
        ),
    )
    return path
