"""Models of one's own: an export becomes a model with a card that a worker takes, or is refused with the reason."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
import pytest
import yaml

from detector.cli import main
from detector.config import Analysis
from detector.errors import ConfigError, ModelError, NotThere
from detector.inference import load_detector
from detector.inference.card import find_card
from detector.machine.resources import resource
from detector.tools.adding import add_model, comparable, meanings
from detector.values import LABELS, TRAITS
from tests.builders import frame
from tests.inference.tiny_models import Row, model_file, raw_output

COCO = {0: "person", 1: "bicycle", 2: "cell phone"}


def export(path: Path, *, shape: tuple[int, ...] | None = None, names: object = COCO, **more: Any) -> Path:
    """What Ultralytics would have written: a network that sees one person, and what it says of itself."""
    metadata = {"task": "detect", "names": str(names), "license": "AGPL-3.0", **more.pop("metadata", {})}
    answer = np.zeros(shape or (1, 4 + 3, 100), np.float32)
    answer[0, :5, 0] = 100, 100, 40, 80, 0.9
    return model_file(path, answer, metadata={k: v for k, v in metadata.items() if v}, **more)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "models"


def test_an_export_becomes_a_model_that_the_worker_takes(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.mkdir()
    monkeypatch.setenv("LABELWATCH_HOME", str(tmp_path))
    assert main(["model", "add", str(export(tmp_path / "coco.onnx")), "--licence", "ours", "--name", "own"]) == 0
    told = capsys.readouterr().out
    assert "own, person → person, cell phone → phone" in told
    assert "classes passed over: 1" in told
    assert "on noise: 1 person" in told
    assert "it sees no scanner, no parcel, no label" in told
    lacks = "it sees no parcel, doesn't tell photographing from reading"
    assert f"{lacks}: nobody is found photographing labels, and `labelwatch check` refuses it" in told
    assert "labelwatch detect PICTURES --out FILE.jsonl --model own" in told and "analysis.model" not in told
    found = load_detector(Analysis(model="own")).detect(frame(0, (1280, 640)))
    assert [LABELS[k] for k in found.class_ids] == ["person"]
    card = yaml.safe_load((folder / "own.yaml").read_text())
    assert (card["licence"], card["task"], card["input"]) == ("ours", "detect", "any multiples of 32")
    assert card["bytes"] == (tmp_path / "coco.onnx").stat().st_size
    assert sorted(path.name for path in folder.iterdir()) == ["own.onnx", "own.yaml"]


def test_a_pose_model_gives_keypoints(folder: Path, tmp_path: Path) -> None:
    more = {"task": "pose", "kpt_shape": "[17, 3]"}
    file = export(tmp_path / "pose.onnx", shape=(1, 5 + 51, 100), names={0: "person"}, metadata=more)
    added = add_model(file, folder=folder)
    picture, out = tmp_path / "a.png", tmp_path / "found.jsonl"
    cv2.imwrite(str(picture), np.zeros((640, 1280, 3), np.uint8))
    assert main(["detect", str(picture), "--out", str(out), "--model", str(added.path)]) == 0
    (found,) = json.loads(out.read_text())["detections"]
    assert found["keypoints"] == [[0, 0, 0]] * 17


def test_a_model_that_chooses_its_boxes_itself_and_one_of_one_size_work(folder: Path, tmp_path: Path) -> None:
    answer = np.zeros((1, 300, 6), np.float32)
    answer[0, 0] = 300, 300, 340, 380, 0.9, 2
    metadata = {"task": "detect", "names": str(COCO)}
    file = model_file(tmp_path / "chosen.onnx", answer, size=(640, 640), metadata=metadata)
    added = add_model(file, folder=folder)
    assert added.card.end2end
    found = load_detector(Analysis(model=str(added.path))).detect(frame(0, (1280, 640)))
    assert [LABELS[k] for k in found.class_ids] == ["phone"]
    np.testing.assert_allclose(found.boxes, [[600, 280, 680, 440]], atol=0.1)


def test_a_model_of_wide_strides_works_at_its_one_size(folder: Path, tmp_path: Path) -> None:
    file = export(tmp_path / "p6.onnx", size=(640, 640), metadata={"stride": "64"})
    found = load_detector(Analysis(model=str(add_model(file, folder=folder).path))).detect(frame(0, (640, 480)))
    assert [LABELS[k] for k in found.class_ids] == ["person"]


def test_a_scene_model_keeps_its_traits(folder: Path, tmp_path: Path) -> None:
    said: list[Row] = [("person", 100.0, 100.0, 40.0, 80.0, 0.9, {})]
    names = dict(enumerate((*LABELS, *TRAITS)))
    metadata = {"task": "detect", "names": str(names)}
    file = model_file(tmp_path / "scene.onnx", raw_output(said, least=100), metadata=metadata)
    card = add_model(file, folder=folder).card
    assert (tuple(card.labels), tuple(card.traits)) == (LABELS, TRAITS)


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        pytest.param({"metadata": {"task": "segment"}}, "for the task segment; only detect and pose", id="segments"),
        pytest.param({"metadata": {"names": ""}}, "no Ultralytics export", id="says nothing of itself"),
        pytest.param({"metadata": {"names": "{0: person}"}}, "names can't be read", id="names unread"),
        pytest.param({"names": {1: "person"}}, "aren't numbered from 0", id="names from one"),
        pytest.param({"names": {}}, "aren't numbered from 0", id="no names"),
        pytest.param({"shape": (1, 116, 100)}, r"puts out 1 arrays, .*116, 100.*\(1, 7, N\), or", id="another head"),
        pytest.param({"metadata": {"stride": "64"}}, "multiples of 64, .* imgsz=640", id="wide strides, any size"),
        pytest.param({"metadata": {"task": "pose"}}, "kpt_shape can't be read", id="pose without keypoints"),
        pytest.param({"metadata": {"task": "pose", "kpt_shape": "[5]"}}, "isn't two numbers", id="odd keypoints"),
    ],
)
def test_what_cannot_be_used_is_refused(more: dict[str, Any], reason: str, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=reason):
        add_model(export(tmp_path / "bad.onnx", **more), folder=folder)
    assert not folder.exists()


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("text.onnx", b"hello", "can't be loaded"),
        ("empty.onnx", b"", "can't be loaded"),
        ("clip.mp4", b"", r"an \.onnx or an Ultralytics \.pt, not \.mp4"),
    ],
)
def test_a_file_that_is_no_model_is_refused(
    name: str, content: bytes, reason: str, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelError, match=reason):
        add_model(tmp_path / name, folder=folder)
    with pytest.raises(NotThere, match="no such model file"):
        add_model(tmp_path / f"not-{name}", folder=folder)


def test_a_model_cut_short_is_refused(folder: Path, tmp_path: Path) -> None:
    file = export(tmp_path / "cut.onnx")
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(ModelError, match="can't be loaded"):
        add_model(file, folder=folder)


def test_a_model_that_says_no_numbers_is_refused(folder: Path, tmp_path: Path) -> None:
    answer = np.full((1, 7, 100), np.nan, np.float32)
    file = model_file(tmp_path / "nan.onnx", answer, metadata={"task": "detect", "names": str(COCO)})
    with pytest.raises(ModelError, match="NaN or infinite"):
        add_model(file, folder=folder)


@pytest.mark.parametrize(
    "said",
    [
        pytest.param([0.5, 0.5, 0.2, 0.2, 0.9, 1.0], id="boxes in shares of the picture, as RT-DETR tells them today"),
        pytest.param([300.0, 300.0, 340.0, 380.0, 0.9, 0.4], id="the second of two classes' scores, as it once did"),
        pytest.param([300.0, 300.0, 340.0, 380.0, 0.9, 2.0], id="a class that it hasn't"),
    ],
)
def test_a_network_that_chooses_its_boxes_but_tells_them_otherwise_is_refused(
    said: list[float], folder: Path, tmp_path: Path
) -> None:
    answer = np.zeros((1, 300, 6), np.float32)
    answer[0, 0] = said
    metadata = {"task": "detect", "names": str({0: "person", 1: "phone"})}
    file = model_file(tmp_path / "detr.onnx", answer, size=(640, 640), metadata=metadata)
    with pytest.raises(ModelError, match=r"detr\.onnx: a model that chooses .* only YOLO models"):
        add_model(file, folder=folder)
    assert not folder.exists()


def test_a_network_that_chooses_its_boxes_may_find_nothing(folder: Path, tmp_path: Path) -> None:
    metadata = {"task": "detect", "names": str({0: "person", 1: "phone"})}
    answer = np.zeros((1, 300, 6), np.float32)
    file = model_file(tmp_path / "chosen.onnx", answer, size=(640, 640), metadata=metadata)
    assert add_model(file, folder=folder).card.end2end


def test_names_of_classes_end_no_line(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    odd = export(tmp_path / "odd.onnx", names={0: "the\nworker", 1: "bicycle", 2: "\x1b[2Jphone"})
    assert main(["model", "add", str(odd), "--into", str(folder)]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert main(["model", "add", str(odd), "--into", str(folder), "--as", "the\nworker=person"]) == 0
    assert "\x1b" not in (told := capsys.readouterr().out) and "worker → person\n" in told and "\nworker" not in told


def test_a_name_that_is_taken_needs_force(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = export(tmp_path / "own.onnx")
    add_model(first, folder=folder)
    before = (folder / "own.yaml").read_bytes()
    other = export(tmp_path / "other.onnx", names=dict(enumerate(["worker", "cat", "Cell_Phone"])))
    again = ["model", "add", str(other), "--name", "own", "--into", str(folder)]
    assert main(again) == 2
    assert "own.onnx and a own.yaml already (another --name, or --force)" in capsys.readouterr().err
    assert (folder / "own.yaml").read_bytes() == before
    assert main([*again, "--force"]) == 0
    assert find_card(str(folder / "own.yaml")).ours == {"worker": "person", "Cell_Phone": "phone"}


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("acts", "acts.yaml is no card of a model, and stays (another --name)"),
        ("sweeps", "sweeps.yaml is no card of a model, and stays (another --name)"),
        ("sources", "sources.yaml is no card of a model, and stays (another --name)"),
        ("scene", "scene is the model that ships, and stays (another --name"),
    ],
)
@pytest.mark.parametrize("force", [[], ["--force"]])
def test_what_ships_is_never_replaced(
    name: str, reason: str, force: list[str], folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    folder.mkdir()
    shutil.copy(resource("models", f"{name}.yaml"), folder)
    before = (folder / f"{name}.yaml").read_bytes()
    monkeypatch.setenv("LABELWATCH_HOME", str(tmp_path))
    assert main(["model", "add", str(export(tmp_path / "own.onnx")), "--name", name, *force]) == 2
    assert reason in capsys.readouterr().err
    assert [path.name for path in folder.iterdir()] == [f"{name}.yaml"]
    assert (folder / f"{name}.yaml").read_bytes() == before


def test_a_full_disk_is_told_of_by_the_file_that_was_wanted(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = export(tmp_path / "theirs.onnx")

    def full(source: Path, target: Path) -> None:
        if target.parent == folder:
            raise OSError(28, "No space left on device", str(source))
        target.write_bytes(source.read_bytes())

    monkeypatch.setattr(shutil, "copyfile", full)
    assert main(["model", "add", str(file), "--into", str(folder)]) == 1
    assert capsys.readouterr().err == f"labelwatch: {folder / 'theirs.onnx'}: No space left on device\n"
    assert not list(folder.iterdir())


def test_a_disk_that_fills_up_leaves_the_model_of_before_with_its_card(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["model", "add", str(export(tmp_path / "theirs.onnx")), "--into", str(folder), "--force"]
    assert main(words) == 0
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    other = export(tmp_path / "other" / "theirs.onnx", metadata={"author": "somebody else"})
    assert other.read_bytes() != before["theirs.onnx"]
    really = shutil.copyfile

    def full(source: Path, target: Path) -> None:
        if target.parent == folder and source.suffix == ".yaml":
            raise OSError(28, "No space left on device", str(source))
        really(source, target)

    monkeypatch.setattr(shutil, "copyfile", full)
    assert main([*words[:2], str(other), *words[3:], "--licence", "mine"]) == 1
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_model_put_elsewhere_is_named_so_that_a_configuration_anywhere_finds_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = export(tmp_path / "own.onnx", names={**COCO, 3: "photo"}, shape=(1, 4 + 4, 100))
    assert main(["model", "add", str(file), "--into", "mine", "--as", "bicycle=parcel"]) == 0
    assert f"use it with analysis.model: {tmp_path}/mine/own.yaml\n" in capsys.readouterr().out


def test_a_model_that_lies_in_the_folder_already_only_gets_its_card(folder: Path) -> None:
    file = export(folder / "own.onnx")
    before = file.read_bytes()
    assert add_model(file, folder=folder).path == folder / "own.yaml"
    assert file.read_bytes() == before


@pytest.mark.parametrize("name", ["../up", "a b", "", "card.yaml", "-x", "x" * 80])
def test_what_cannot_be_a_name_is_refused(name: str, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not a name for a model"):
        add_model(export(tmp_path / "own.onnx"), name=name, folder=folder)


def test_classes_are_ours_by_name_or_as_told() -> None:
    labels = ["Mobile-Phone", "box", "remote", "手机"]
    assert meanings(labels, {"box": "parcel"}) == {"Mobile-Phone": "phone", "box": "parcel", "手机": "phone"}
    assert meanings(["person"], {"person": "scanner"}) == {"person": "scanner"}


@pytest.mark.parametrize(
    ("labels", "named", "reason"),
    [
        (["cat", "dog"], {}, r"none of the model's classes.*--as CLASS=LABEL; it has: cat, dog"),
        (["person"], {"cat": "phone"}, "no class cat .*it has: person"),
        (["person"], {"person": "people"}, "no label people .*person, phone, scanner"),
    ],
)
def test_a_meaning_that_cannot_be_is_refused(labels: list[str], named: dict[str, str], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        meanings(labels, named)


@pytest.mark.parametrize("said", ["phone", "=phone", "cell phone="])
def test_a_meaning_is_written_as_class_and_label(said: str, tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["model", "add", str(tmp_path / "a.onnx"), "--as", said])
    assert exit_.value.code == 2


def test_a_scene_model_brings_the_card_that_was_made_with_it(folder: Path) -> None:
    with pytest.raises(ModelError, match=r"scene\.onnx is a scene model .* put both, \.onnx and \.yaml, into models/"):
        add_model(resource("models", "scene.onnx"), name="shipped", folder=folder)


def test_a_checkpoint_without_ultralytics_says_what_to_install(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ultralytics", None)
    (tmp_path / "own.pt").write_bytes(b"weights")
    assert main(["model", "add", str(tmp_path / "own.pt"), "--into", str(folder)]) == 2
    assert "make setup-train, then .venv-train/bin/labelwatch model add" in capsys.readouterr().err


def test_a_checkpoint_of_our_own_training_is_told_which_command_loses_nothing_of_it(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = dict(enumerate((*LABELS, *TRAITS)))
    ours = export(tmp_path / "ours.onnx", shape=(1, 4 + 15, 100), names=names)
    theirs = export(tmp_path / "theirs.onnx")
    for name, exported in (("last.pt", ours), ("coco.pt", theirs)):
        (tmp_path / name).write_bytes(b"weights")
        monkeypatch.setattr("detector.tools.adding.exported", lambda *_, it=exported: (it, "the same"))
        told = add_model(tmp_path / name, folder=folder).told
        assert any("models/export.py keeps its least scores" in line for line in told) is (name == "last.pt")


def test_an_export_is_announced_and_one_that_fails_names_the_file_given(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def loaded(path: str) -> None:
        raise TypeError(f"ERROR ❌️ {path} is not a loadable checkpoint (EOFError).\nmore")  # as Ultralytics 8.4 says it

    for name, parts in (("torch", {}), ("ultralytics", {"YOLO": loaded})):  # of which the tests' machine has neither
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
        vars(sys.modules[name]).update(parts)
    file = tmp_path / "own.pt"
    file.write_bytes(b"weights")
    assert main(["model", "add", str(file), "--into", str(folder)]) == 1
    announced, error = capsys.readouterr().err.splitlines()
    assert f"exporting {file}, which takes some 20 s" in announced
    assert error == f"labelwatch: {file} can't be exported: it is not a loadable checkpoint (EOFError)."


def test_rows_are_compared_where_they_must_be_equal() -> None:
    raw = np.arange(7 * 100, dtype=np.float32).reshape(1, 7, 100)
    assert comparable(raw).shape == (100, 7)
    chosen = np.zeros((1, 300, 6), np.float32)
    chosen[0, :3, 4] = 0.9, 0.05, 0.04  # in any order from here on
    assert len(comparable(chosen)) == 2
