"""Pictures of public clones, none of their marks used: which are taken, and what is said where they can't be."""

from __future__ import annotations

import csv
from pathlib import Path

import clones
import cv2
import numpy as np
import pytest
from dataset import SOURCES, read_sources, read_yolo
from drivers import BOXES
from manifest import SetError


def pictured(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((20, 30, 3), 90, np.uint8))
    return path


def driver(clone: Path, name: str, label: str | None) -> None:
    pictured(clone / f"datasets/train/images/{name}.jpg")
    (clone / "datasets/train/labels").mkdir(parents=True, exist_ok=True)
    if label is not None:
        (clone / f"datasets/train/labels/{name}.txt").write_text(label)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Clones of all four repositories, a few pictures each."""
    smokers = tmp_path / "smoking_calling_detection/datasets/somking/train/images"
    for name in ("a_jpg.rf.1", "a_jpg.rf.2", "b_jpg.rf.1"):
        pictured(smokers / f"{name}.jpg")
    pictured(tmp_path / "hard-hat-detection/Hard-Hat-Workers-8/train/images/w.jpg")
    for split in ("train", "val"):
        pictured(tmp_path / f"office-person-detection-vit/data/yolo_dataset/images/{split}/{split}.jpg")
    drivers = tmp_path / "Driver-Seatbelt-and-Mobile-Phone-detection-using-YOLOv5"
    driver(drivers, "phones", "1 0.5 0.5 0.2 0.2\n2 0.5 0.5 0.9 0.9\n")
    driver(drivers, "belted", "2 0.5 0.5 0.9 0.9\n")
    driver(drivers, "unlabelled", None)
    driver(drivers, "empty", "")
    with BOXES.open(encoding="utf-8") as file:
        pictured(drivers / next(csv.DictReader(file))["picture"])
    return tmp_path


def test_of_copies_one_is_taken_and_of_drivers_those_that_we_have_not_marked(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert clones.gather(folder, out) == {"drvn": 1, "drvu": 1, "smk": 2, "nch": 1, "ofc": 2}
    assert {path.stem for path in (out / "images").iterdir()} == {
        "drvn__belted", "drvu__phones", "smku__a_jpg.rf.1", "smku__b_jpg.rf.1", "nch__w", "ofc__train", "ofc__val",
    }  # fmt: skip
    pictures = list(read_yolo(out, read_sources(SOURCES), lambda _group: "train"))
    assert {picture.group for picture in pictures} >= {"a_jpg", "b_jpg"} and len(pictures) == 7
    assert not any(picture.things or picture.known for picture in pictures)


def test_the_same_pictures_of_a_large_set_are_drawn_by_everybody() -> None:
    paths = {f"{k}": Path(f"{k}.jpg") for k in range(40)}
    some = clones.drawn(paths, 10)
    assert some == clones.drawn(dict(reversed(paths.items())), 10) and len(some) == 10
    assert set(some) < set(clones.drawn(paths, 20))


def test_a_clone_that_is_not_there_is_said_to_be_missing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "hard-hat-detection").rename(folder / "elsewhere")
    assert "nch" not in clones.gather(folder, folder / "out")
    assert (
        "hard-hat-detection isn't there, so nothing is taken of djbacad/hard-hat-detection" in capsys.readouterr().out
    )


def test_a_folder_without_clones_and_a_clone_without_its_pictures_are_refused(folder: Path) -> None:
    with pytest.raises(SetError, match="holds none of the clones"):
        clones.gather(folder / "hard-hat-detection", folder / "out")
    for path in folder.glob("hard-hat-detection/*/train/images/*"):
        path.unlink()
    with pytest.raises(SetError, match="was it changed"):
        clones.gather(folder, folder / "out")


def test_a_label_file_that_is_none_is_named(folder: Path) -> None:
    label = next(folder.glob("Driver*/datasets/train/labels/belted.txt"))
    label.write_text("<html>")
    with pytest.raises(SetError, match=r"belted\.txt is no label file"):
        clones.gather(folder, folder / "out")
