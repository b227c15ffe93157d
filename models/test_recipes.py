"""The recipes run from pictures to a model the worker accepts (`make test-train`; needs the extra `train`)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from dataset import LABEL, PARCEL_UP, PERSON, PHONE_PHOTO, facing_class, rendered_objects, zoom_square
from train import CHANNELS, SceneLoss, cut_head
from ultralytics import YOLO

from detector.inference.card import find_card
from detector.inference.session import Session
from detector.inference.zoom import zoom_square as worker_zoom_square

HERE = Path(__file__).resolve().parent


@pytest.fixture(scope="session")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained network in the place of COCO's."""
    path = tmp_path_factory.mktemp("start") / "start.pt"
    YOLO("yolo11n.yaml", task="detect").save(str(path))
    return path


def scene_truth() -> dict:
    """Truth of one rendered frame: a person who photographs the label on top of a parcel."""
    return {
        "size": [960, 540],
        "people": [{"id": 1, "bbox": [400, 100, 480, 300], "visible_fraction": 1.0}],
        "phones": [{"id": 2, "bbox": [430, 180, 455, 192], "visible_fraction": 1.0, "use": "photo"}],
        "scanners": [],
        "parcels": [{"id": 3, "bbox": [400, 330, 480, 400], "visible_fraction": 1.0, "labels": [4]}],
        "labels": [
            {
                "id": 4, "parcel": 3, "face": "top", "visible_fraction": 1.0, "cos_view": 0.8,
                "polygon": [[420, 340], [450, 340], [450, 365], [420, 365]],
            }
        ],
    }  # fmt: skip


def test_truth_becomes_objects_with_their_traits() -> None:
    assert rendered_objects(scene_truth())[:, 0].tolist() == [PERSON, PHONE_PHOTO, PARCEL_UP, LABEL]


def test_a_parcel_whose_top_is_hidden_is_of_unknown_facing() -> None:
    parcel = {
        "bbox": [0, 0, 80, 80],
        "visible_fraction": 1.0,
        "labels": [],
        "top_visible": 0.2,
        "top_cos": 0.8,
        "top_px": 900,
    }
    assert facing_class(parcel, {}, [parcel]) == 3
    assert facing_class({**parcel, "top_visible": 0.9}, {}, [parcel]) == 6


def test_training_tiles_are_cut_as_the_worker_zooms() -> None:
    box = (100.0, 50.0, 180.0, 300.0)
    assert zoom_square(box) == pytest.approx(worker_zoom_square(box))


def loss_gradient(start: Path, name: str) -> torch.Tensor:
    """Gradient of the class layer's bias for one empty picture of a source."""
    torch.manual_seed(0)
    model = YOLO(str(start), task="detect").model.train()
    cut_head(model.model[-1])
    model.args = type("Args", (), {"box": 7.5, "cls": 0.5, "dfl": 1.5})()
    loss = SceneLoss(model)
    batch = {"batch_idx": torch.zeros(0), "cls": torch.zeros(0, 1), "bboxes": torch.zeros(0, 4), "im_file": [name]}
    loss(model.predict(torch.rand(1, 3, 64, 64)), batch)[0].sum().backward()
    gradient = model.model[-1].cv3[0][-1].bias.grad
    assert gradient is not None and gradient.shape == (CHANNELS,)
    return gradient


def test_a_class_that_a_source_does_not_mark_is_not_taught_to_be_background(start: Path) -> None:
    phone, parcel = 1, 3
    marks_parcels, marks_all = loss_gradient(start, "fuyi--1.jpg"), loss_gradient(start, "rendered--1.jpg")
    assert marks_parcels[phone] == 0
    assert marks_parcels[parcel] != 0
    assert marks_all[phone] != 0
    assert (marks_all[5:] == 0).all()  # no parcel and no phone: traits have nothing to learn from


def test_pictures_become_a_model_that_the_worker_accepts(start: Path, tmp_path: Path) -> None:
    rendered, data = tmp_path / "rendered", tmp_path / "data"
    rendered.mkdir()
    for folder in ("real/train/images", "real/train/labels", "rendered/images", "rendered/truth"):
        (data / folder).mkdir(parents=True)
    random = np.random.default_rng(0)
    for k in range(4):
        cv2.imwrite(str(rendered / f"r7000{k}_00.jpg"), random.integers(0, 255, (540, 960, 3), np.uint8))
        (rendered / f"r7000{k}_00.json").write_text(json.dumps(scene_truth()))

    def recipe(name: str, *arguments: object) -> None:
        subprocess.run([sys.executable, HERE / name, *map(str, arguments)], check=True, cwd=tmp_path)

    recipe("dataset.py", "--data", data, "--rendered", rendered, "--out", tmp_path / "tiles")
    recipe("train.py", "--tiles", tmp_path / "tiles", "--start", start, "--run", tmp_path / "run", "--epochs", 1)
    recipe("export.py", tmp_path / "run" / "weights" / "last.pt", "--out", tmp_path)
    Session(find_card(str(tmp_path / "scene.yaml")))
