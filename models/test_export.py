"""A checkpoint becomes what the worker runs: exported, made smaller, or added as one's own (`make test-train`)."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from ultralytics import YOLO

from detector.errors import ModelError
from detector.inference.card import find_card
from detector.inference.session import Session, choose
from detector.tools.adding import add_model

HERE = Path(__file__).resolve().parent


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained network of 80 classes, the first of them called person."""
    path = tmp_path_factory.mktemp("own") / "own.pt"
    model = YOLO("yolo11n.yaml", task="detect")
    model.model.names = {k: "person" if k == 0 else f"class {k}" for k in range(80)}
    model.save(str(path))
    return path


def test_a_checkpoint_becomes_a_model_and_an_int8_variant(checkpoint: Path, tmp_path: Path) -> None:
    for n in range(3):
        cv2.imwrite(str(tmp_path / f"{n}.png"), np.random.default_rng(n).integers(0, 255, (270, 480, 3), np.uint8))
    command = [sys.executable, HERE / "export.py", checkpoint, "--out", tmp_path, "--name", "own", "--int8", tmp_path]
    subprocess.run([*map(str, command)], check=True)
    card = find_card(str(tmp_path / "own.yaml"))
    assert {v.precision for v in card.variants} == {"bf16", "int8"}
    assert choose(card, "auto").precision == "fp32"  # nothing is measured yet
    tensor = np.random.default_rng(0).random((1, 3, 384, 640), np.float32)
    whole, small = Session(card)(tensor), Session(card, "int8")(tensor)
    assert whole.shape == small.shape
    assert np.abs(whole[:, 4:] - small[:, 4:]).max() < 0.05


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("gone.pt", None, "no weights"),
        ("text.pt", "no weights", "is no checkpoint"),
        ("gone.onnx", None, "no network"),
        ("text.onnx", "no network", "is no ONNX file"),
        ("empty.onnx", "", "holds no network"),
    ],
)
def test_what_cannot_be_exported_is_one_line_and_leaves_the_model_there(
    tmp_path: Path, name: str, text: str | None, said: str
) -> None:
    (tmp_path / "scene.onnx").write_text("the model of before")
    if text is not None:
        (tmp_path / name).write_text(text)
    words = [sys.executable, HERE / "export.py", tmp_path / name, "--name", "scene", "--out", tmp_path]
    done = subprocess.run([*map(str, words)], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and said in done.stderr and len(done.stderr.splitlines()) == 1
    assert (tmp_path / "scene.onnx").read_text() == "the model of before"
    assert not (tmp_path / "scene.yaml").exists()


def test_a_full_disk_leaves_the_model_that_is_there(tmp_path: Path) -> None:
    (tmp_path / "own.onnx").write_text("the model of before")

    def room_for_a_megabyte() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, 2**20))

    words = [sys.executable, HERE / "export.py", HERE / "scene.onnx", "--name", "own", "--out", tmp_path]
    done = subprocess.run([*map(str, words)], capture_output=True, text=True, preexec_fn=room_for_a_megabyte)
    assert done.returncode == 1 and done.stderr.startswith(f"error: {tmp_path / 'own.onnx'}: File too large")
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("own.onnx", "the model of before")]


def test_a_network_that_ends_otherwise_is_named(tmp_path: Path) -> None:
    YOLO("yolo11n-pose.yaml", task="pose").save(str(tmp_path / "pose.pt"))
    words = [sys.executable, HERE / "export.py", tmp_path / "pose.pt", "--name", "own", "--out", tmp_path]
    done = subprocess.run([*map(str, words)], capture_output=True, text=True)
    assert done.returncode == 1 and f"error: {tmp_path / 'pose.pt'}: the network doesn't end in" in done.stderr


def test_a_model_without_a_name_does_not_take_the_place_of_the_shipped_one(checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "scene.onnx").write_text("the shipped model")
    words = [sys.executable, HERE / "export.py", checkpoint, "--out", tmp_path]
    done = subprocess.run([*map(str, words)], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "--name" in done.stderr
    assert [file.name for file in tmp_path.iterdir()] == ["scene.onnx"]
    assert (tmp_path / "scene.onnx").read_text() == "the shipped model"


def test_a_checkpoint_of_ones_own_is_exported_and_compared(checkpoint: Path, tmp_path: Path) -> None:
    added = add_model(checkpoint, folder=tmp_path)
    assert added.card.ours == {"person": "person"}
    assert added.told[0].startswith("the ONNX differs from the .pt by at most ")


def test_a_checkpoint_that_segments_or_is_none_is_refused(tmp_path: Path) -> None:
    YOLO("yolo11n-seg.yaml", task="segment").save(str(tmp_path / "seg.pt"))
    with pytest.raises(ModelError, match="for the task segment"):
        add_model(tmp_path / "seg.pt", folder=tmp_path / "models")
    (tmp_path / "text.pt").write_text("no weights")
    with pytest.raises(ModelError, match="can't be exported"):
        add_model(tmp_path / "text.pt", folder=tmp_path / "models")
