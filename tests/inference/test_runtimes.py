"""What runs a model: the precision asked for or an error, and one thread."""

from __future__ import annotations

import ctypes
import hashlib
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from detector.config import Analysis
from detector.errors import MissingPart, ModelError
from detector.inference import load_detector, session
from detector.inference.card import find_card
from detector.inference.runtimes import KEPT_SIZES, OpenVino
from detector.inference.session import Session, choose
from detector.values import LABELS
from tests.builders import frame
from tests.inference.tiny_models import Row, card_file, model_file, raw_output

FP32: Row = ("person", 100.0, 100.0, 40.0, 80.0, 0.9, {})
INT8: Row = ("person", 100.0, 100.0, 40.0, 80.0, 0.8, {})
SMALL = {"person ap50": 0.004, "facing": -0.01}


def model_card(folder: Path, variants: list[dict[str, Any]]) -> Path:
    """A card of a model whose int8 file says 0.8 where fp32 says 0.9."""
    whole = model_file(folder / "tiny.onnx", raw_output([FP32]))
    small = model_file(folder / "tiny-int8.onnx", raw_output([INT8]))
    checksum = hashlib.sha256(small.read_bytes()).hexdigest()
    files = {"file": small.name, "sha256": checksum}
    return card_file(whole, variants=[v | (files if v["precision"] == "int8" else {}) for v in variants])


def without_openvino(runtime: str, precision: str) -> bool:
    return runtime == "onnxruntime"


def with_everything(runtime: str, precision: str) -> bool:
    return True


ORT8 = {"precision": "int8", "runtime": "onnxruntime"}
OV8 = {"precision": "int8", "runtime": "openvino"}
OV16 = {"precision": "bf16", "runtime": "openvino"}


@pytest.mark.parametrize(
    ("variants", "asked", "machine", "chosen"),
    [
        pytest.param([ORT8, OV8], "fp32", with_everything, ("fp32", "onnxruntime"), id="fp32 is itself"),
        pytest.param([ORT8, OV8], "int8", with_everything, ("int8", "openvino"), id="the fastest of a precision"),
        pytest.param([ORT8, OV8], "int8", without_openvino, ("int8", "onnxruntime"), id="the fastest there is"),
        pytest.param([], "bf16", with_everything, ("bf16", "openvino"), id="bf16 needs no file"),
        pytest.param([ORT8, OV16], "auto", with_everything, ("fp32", "onnxruntime"), id="nothing measured"),
        pytest.param(
            [ORT8 | {"loss": SMALL}, OV16], "auto", with_everything, ("int8", "onnxruntime"), id="only what is measured"
        ),
        pytest.param(
            [ORT8 | {"loss": SMALL}, OV16 | {"loss": SMALL}], "auto", with_everything, ("int8", "onnxruntime"),
            id="the fastest measured",
        ),
        pytest.param(
            [ORT8 | {"loss": SMALL | {"facing": 0.03}}], "auto", with_everything, ("fp32", "onnxruntime"),
            id="measured to lose too much",
        ),
        pytest.param(
            [ORT8 | {"loss": {"facing": 0.3}}], "int8", with_everything, ("int8", "onnxruntime"), id="but asked for"
        ),
        pytest.param([OV8 | {"loss": SMALL}], "auto", without_openvino, ("fp32", "onnxruntime"), id="not installed"),
    ],
)  # fmt: skip
def test_the_fastest_that_is_allowed(
    variants: list[dict[str, Any]],
    asked: str,
    machine: Any,
    chosen: tuple[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(session, "usable", machine)
    monkeypatch.setattr(session, "exact_int8", lambda: True)
    variant = choose(find_card(str(model_card(tmp_path, variants))), asked)
    assert (variant.precision, variant.runtime) == chosen


@pytest.mark.parametrize(("asked", "chosen"), [("auto", ("bf16", "openvino")), ("int8", ("int8", "onnxruntime"))])
def test_a_processor_that_rounds_int8_runs_it_only_when_asked_to(
    asked: str, chosen: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "usable", with_everything)
    monkeypatch.setattr(session, "exact_int8", lambda: False)
    variants = [ORT8 | {"loss": SMALL}, OV16 | {"loss": SMALL}]
    variant = choose(find_card(str(model_card(tmp_path, variants))), asked)
    assert (variant.precision, variant.runtime) == chosen


@pytest.mark.parametrize(
    ("variants", "asked", "reason"),
    [
        pytest.param([], "int8", "tiny has no int8 variant", id="no such variant"),
        pytest.param([OV8], "int8", r"int8 of the model tiny can't run here: .*'\.\[fast\]'", id="no runtime"),
        pytest.param([], "bf16", r"bf16 of the model tiny can't run here: .*'\.\[fast\]'", id="no runtime, bf16"),
    ],
)
def test_what_was_asked_for_or_an_error(
    variants: list[dict[str, Any]], asked: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "usable", without_openvino)
    card = find_card(str(model_card(tmp_path, variants)))
    with pytest.raises(ModelError, match=reason):
        Session(card, asked)


def test_the_precision_set_is_what_runs_and_the_log_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    card = model_card(tmp_path, [ORT8])
    caplog.set_level(logging.INFO)
    found = load_detector(Analysis(model=str(card), precision="int8")).detect(frame(0, (1280, 640)))
    np.testing.assert_allclose(found.scores, [0.8])
    assert "model tiny, int8 by onnxruntime" in caplog.text
    found = load_detector(Analysis(model=str(card))).detect(frame(0, (1280, 640)))
    np.testing.assert_allclose(found.scores, [0.9])
    assert "model tiny, fp32 by onnxruntime" in caplog.text


def test_labels_that_a_model_never_sees_are_said_when_it_loads(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    said = np.zeros((1, 4 + 2, 3), np.float32)
    card = card_file(model_file(tmp_path / "two.onnx", said), labels=["phone", "person"], traits=[])
    load_detector(Analysis(model=str(card)))
    assert "it sees no scanner, parcel, label" in caplog.text


def test_a_variant_that_is_another_file_than_described_is_refused(tmp_path: Path) -> None:
    card = model_card(tmp_path, [ORT8])
    (tmp_path / "tiny-int8.onnx").write_bytes((tmp_path / "tiny.onnx").read_bytes())
    Session(find_card(str(card)))
    with pytest.raises(ModelError, match=r"tiny-int8\.onnx is not the file its card describes"):
        Session(find_card(str(card)), "int8")


@pytest.mark.parametrize(
    ("variant", "reason"),
    [
        ({"precision": "fp16", "runtime": "onnxruntime"}, "variants.0.precision"),
        ({"precision": "int8", "runtime": "tensorrt"}, "variants.0.runtime"),
        ({"precision": "int8", "runtime": "onnxruntime"}, "int8 needs a file"),
        ({"precision": "bf16", "runtime": "onnxruntime"}, "bf16 is run by openvino"),
        ({"precision": "bf16", "runtime": "openvino", "file": "x.onnx"}, "come together"),
    ],
)
def test_an_impossible_variant_is_refused(variant: dict[str, str], reason: str, tmp_path: Path) -> None:
    whole = model_file(tmp_path / "tiny.onnx", raw_output([FP32]))
    with pytest.raises(ModelError, match=reason):
        find_card(str(card_file(whole, variants=[variant])))


def test_a_model_of_one_input_size_sees_in_both_looks(tmp_path: Path) -> None:
    said = raw_output([("person", 320.0, 320.0, 40.0, 80.0, 0.9, {}), ("phone", 320.0, 320.0, 20.0, 20.0, 0.8, {})])
    card = card_file(model_file(tmp_path / "fixed.onnx", said, size=(640, 640)))
    found = load_detector(Analysis(model=str(card))).detect(frame(0, (1280, 640)))
    assert [LABELS[k] for k in found.class_ids] == ["person", "phone", "phone"]
    np.testing.assert_allclose(found.boxes[0], [600, 240, 680, 400], atol=0.1)  # 640 high and half as wide: no scaling


def test_several_threads_may_look_at_once(tmp_path: Path) -> None:
    looks = Session(find_card(str(card_file(model_file(tmp_path / "tiny.onnx", raw_output([FP32]))))))
    answers: list[np.ndarray] = []
    threads = [
        threading.Thread(target=lambda: answers.append(looks(np.zeros((1, 3, 32, 32), np.float32)))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 8
    assert all((answer == raw_output([FP32])).all() for answer in answers)


def test_openvino_gives_what_onnxruntime_gives(tmp_path: Path) -> None:
    import openvino  # slow to load; installed with the test tools

    if "BF16" not in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        pytest.skip("this processor has no bfloat16")
    path = model_file(tmp_path / "tiny.onnx", raw_output([FP32]))
    ours = Session(find_card(str(card_file(path))), "bf16")
    assert str(ours).startswith("tiny, bf16 by openvino")
    first = ours(np.zeros((1, 3, 32, 64), np.float32))
    np.testing.assert_allclose(first, raw_output([FP32]), rtol=0.01)
    ours(np.ones((1, 3, 64, 64), np.float32))  # an answer stays what it was when the next is asked for
    np.testing.assert_allclose(first, raw_output([FP32]), rtol=0.01)
    for side in (*range(32, 32 * (KEPT_SIZES + 2), 32), 32):  # more sizes than are kept
        np.testing.assert_allclose(ours(np.zeros((1, 3, side, 32), np.float32)), raw_output([FP32]), rtol=0.01)


class Core:
    """OpenVINO's, which counts what it compiles, and does `before` it."""

    def __init__(self, core: Any, before: Callable[[], object]) -> None:
        self.core, self.before, self.compiled = core, before, 0

    def compile_model(self, *arguments: Any) -> Any:
        self.compiled += 1
        self.before()
        return self.core.compile_model(*arguments)


def openvino_of(folder: Path, before: Callable[[], object] = bool) -> tuple[OpenVino, Core]:
    pytest.importorskip("openvino")
    ours = OpenVino(model_file(folder / "tiny.onnx", raw_output([FP32])), "fp32")
    ours._core = Core(ours._core, before)
    return ours, ours._core


def test_openvino_keeps_the_sizes_of_a_box_with_cameras_of_many_shapes(tmp_path: Path) -> None:
    ours, core = openvino_of(tmp_path)
    shapes = [(640, 384), (640, 480), (640, 544), (384, 640), (480, 640), (640, 640), (320, 320)]
    for shape in 3 * shapes:
        ours(np.zeros((1, 3, *shape), np.float32))
    assert core.compiled == len(shapes)


def test_a_camera_of_another_shape_keeps_nobody_waiting_while_openvino_compiles(tmp_path: Path) -> None:
    compiling, looked, waited = threading.Event(), threading.Event(), []
    ours, core = openvino_of(tmp_path)
    ours(np.zeros((1, 3, 32, 32), np.float32))
    core.before = lambda: (compiling.set(), waited.append(looked.wait(10)))
    other = threading.Thread(target=ours, args=[np.zeros((1, 3, 64, 64), np.float32)])
    other.start()
    assert compiling.wait(10)
    ours(np.zeros((1, 3, 32, 32), np.float32))
    looked.set()
    other.join()
    assert waited == [True]


def test_openvino_that_is_not_installed_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MissingPart, match=r"pip install -e '\.\[fast\]'"):
        OpenVino(tmp_path / "any.onnx", "bf16")


LOADING = """
import os, pathlib, sys
from detector.inference.runtimes import OnnxRuntime
OnnxRuntime(pathlib.Path(sys.argv[1]))
for one in pathlib.Path("/proc/self/fd").iterdir():
    if one.exists():
        print(os.readlink(one))
"""


def test_it_reports_its_use_to_nobody(tmp_path: Path) -> None:
    # Under continuous integration it keeps quiet of its own accord.
    environment = {name: value for name, value in os.environ.items() if name not in ("CI", "ORT_DISABLE_TELEMETRY")}
    ran = subprocess.run(
        [sys.executable, "-c", LOADING, str(model_file(tmp_path / "tiny.onnx", raw_output([FP32])))],
        env=environment | {"HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert not (tmp_path / "home").exists(), "it keeps a device id and a list of what it saw"
    assert "socket:" not in ran.stdout


ASKING = """
import ctypes, sys
from pathlib import Path
from detector.inference.card import find_card
from detector.inference.session import Session
if sys.argv[2] == "shut":
    ctypes.CDLL(None).prctl(65, 1, 0, 0, 0)  # as MemoryDenyWriteExecute= does
print(Session(find_card(sys.argv[1]), "auto"))
"""


@pytest.mark.parametrize("how", ["open", "shut"])
def test_openvino_is_taken_where_it_may_run_and_keeps_nothing_of_its_own(how: str, tmp_path: Path) -> None:
    import openvino

    if "BF16" not in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        pytest.skip("this processor has no bfloat16")
    if ctypes.CDLL(None).prctl(66, 0, 0, 0, 0) < 0:
        pytest.skip("this kernel lets nobody give up writing code: run on Linux 6.3 or newer")
    card, home = model_card(tmp_path, [OV16 | {"loss": SMALL}]), tmp_path / "home"
    home.mkdir()
    environment = {name: value for name, value in os.environ.items() if name != "CI"}
    ran = subprocess.run(
        [sys.executable, "-c", ASKING, str(card), how],
        env=environment | {"HOME": str(home)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    taken = "bf16 by openvino" if how == "open" else "fp32 by onnxruntime"
    assert f"tiny, {taken}" in ran.stdout, ran.stderr
    assert list(home.iterdir()) == [], "it keeps an id of this machine and what it reported"
