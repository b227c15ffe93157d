"""A model and its card are held against each other before the first frame."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from detector.config import Analysis
from detector.errors import MissingPart, ModelError
from detector.inference import load_detector
from detector.inference.card import find_card
from detector.inference.session import Session
from detector.values import LABELS, UNKNOWN_TRAITS
from tests.builders import frame
from tests.inference.tiny_models import Row, card_file, model_file, raw_output

PERSON_AT: Row = ("person", 100.0, 100.0, 40.0, 80.0, 0.9, {})


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return model_file(tmp_path / "tiny.onnx", raw_output([PERSON_AT]))


def test_a_model_that_is_what_its_card_says_sees(model: Path) -> None:
    detector = load_detector(Analysis(model=str(card_file(model))))
    found = detector.detect(frame(0, (1280, 640)))
    assert [LABELS[k] for k in found.class_ids] == ["person"]
    np.testing.assert_allclose(found.boxes, [[160, 120, 240, 280]])


def test_a_model_is_found_by_name_in_the_models_folder(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = model.parent / "models"
    folder.mkdir()
    card_file(model.rename(folder / model.name))
    monkeypatch.setenv("LABELWATCH_HOME", str(model.parent))
    assert find_card("tiny").path == folder / "tiny.onnx"
    with pytest.raises(MissingPart, match=r"nosuch\.yaml.*there are: tiny; or name the path of a card\)"):
        find_card("nosuch")
    with pytest.raises(MissingPart, match=r"there are: tiny; or name the path of a card, e\.g\. mine/own\.yaml\)"):
        find_card("mine/own.onnx")


def test_figures_on_a_card_are_for_people(model: Path) -> None:
    card = find_card(str(card_file(model, licence="AGPL-3.0", figures={"ap50": 0.9}, thresholds={"person": 0.4})))
    assert card.thresholds["person"] == 0.4
    assert card.thresholds.keys() == set(LABELS)


def test_a_card_of_fewer_traits_leaves_the_others_unknown(tmp_path: Path) -> None:
    said = raw_output([PERSON_AT])[:, : 4 + len(LABELS) + 2]
    said[0, -1] = 0.7
    path = model_file(tmp_path / "older.onnx", said)
    found = load_detector(Analysis(model=str(card_file(path, traits=["up", "call"])))).detect(frame(0, (1280, 640)))
    np.testing.assert_allclose(found.traits, [[0, 0, 0, 0.7, *UNKNOWN_TRAITS[4:]]], rtol=1e-6)


def test_a_class_of_another_name_becomes_ours(tmp_path: Path) -> None:
    labels = ["cell phone", "cat", "scanner", "human", "label"]
    card = card_file(model_file(tmp_path / "coco.onnx", raw_output([PERSON_AT])), labels=labels)
    assert find_card(str(card)).layout.labels == (-1, -1, 2, -1, 4)
    ours = {"cell phone": "phone", "human": "person"}
    card = card_file(tmp_path / "coco.onnx", labels=labels, ours=ours)
    found = load_detector(Analysis(model=str(card))).detect(frame(0, (1280, 640)))
    assert [LABELS[k] for k in found.class_ids] == ["phone"]


def test_another_file_than_the_card_describes_is_refused(model: Path) -> None:
    card = card_file(model)
    model.write_bytes(model.read_bytes() + b"\0")
    with pytest.raises(ModelError, match=r"not the file its card describes.*restore the file"):
        find_card(str(card))


def test_a_model_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no model file .*gone\.onnx: No such file"):
        find_card(str(card_file(tmp_path / "gone.onnx")))


def test_a_card_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingPart, match=r"no model card .*gone\.yaml \(there are: scene"):
        find_card(str(tmp_path / "gone.yaml"))


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"just words", id="words"),
        pytest.param(b"- a\n- b\n", id="list"),
        pytest.param(b"a: [", id="broken"),
        pytest.param(b"\x89PNG\r\n\x1a\n\xff\xfe", id="picture"),
        pytest.param(b"made: 2026-13-45\n", id="no date"),
        pytest.param(b"name: x\nfile: x.onnx\nsha256: short\nlabels: []\n", id="short checksum"),
    ],
)
def test_what_is_no_card_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "card.yaml"
    path.write_bytes(content)
    with pytest.raises(ModelError, match="is not a model card"):
        find_card(str(path))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        pytest.param({"labels": ["cat"]}, "labels: none is one of ours", id="labels of another model"),
        pytest.param({"labels": []}, "labels: none is one of ours", id="no labels"),
        pytest.param({"traits": ["up", "down"]}, "no trait down", id="unknown trait"),
        pytest.param({"traits": ["up", "up"]}, "twice", id="the same trait twice"),
        pytest.param({"ours": {"label": "sticker"}}, "no label sticker", id="named after no label"),
        pytest.param({"ours": {"cell phone": "phone"}}, "cell phone is none", id="name of a class it hasn't"),
        pytest.param({"end2end": True}, "chooses its boxes itself", id="traits of an end-to-end model"),
        pytest.param({"sha256": None}, "not a model card: sha256: Field required", id="no checksum"),
        pytest.param({"file": None}, "not a model card: file: Field required", id="no file"),
        pytest.param({"thresholds": {"persn": 0.3}}, "thresholds: .* no label: persn", id="threshold of no label"),
        pytest.param({"thresholds": {"person": 30}}, r"thresholds\.person: .* 1", id="threshold above one"),
    ],
)
def test_a_card_of_something_else_is_refused(model: Path, changes: dict[str, object], reason: str) -> None:
    with pytest.raises(ModelError, match=reason):
        find_card(str(card_file(model, **changes)))


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "garbage.onnx"
    path.write_bytes(b"no model at all" * 100)
    with pytest.raises(ModelError, match=r"garbage\.onnx can't be loaded"):
        Session(find_card(str(card_file(path))))


@pytest.mark.parametrize(
    ("answer", "more", "reason"),
    [
        pytest.param(
            np.zeros((1, 84, 5), np.float32), {}, r"means an output \(1, 19, N\)", id="another model's output"
        ),
        pytest.param(np.zeros((1, 13), np.float32), {}, r"means an output \(1, 19, N\)", id="too few dimensions"),
        pytest.param(raw_output([]), {"size": (640, "width")}, "fixes one side.*dynamic=True", id="one side fixed"),
        pytest.param(raw_output([]), {"batch": 8}, "wants 8 pictures at once", id="batches"),
        pytest.param(raw_output([]), {"inputs": 2}, "has one input", id="two inputs"),
    ],
)
def test_a_model_of_another_kind_is_refused(
    tmp_path: Path, answer: np.ndarray, more: dict[str, Any], reason: str
) -> None:
    path = model_file(tmp_path / "other.onnx", answer, **more)
    with pytest.raises(ModelError, match=reason):
        Session(find_card(str(card_file(path))))
