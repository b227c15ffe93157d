"""The recipe that makes a model smaller: what stays float, what becomes int8, and that it says much the same."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
from export import after_last_convolutions, before_convolution, calibration_inputs, quantise
from onnx import TensorProto, helper, numpy_helper

from detector.config import Analysis
from detector.errors import SourceUnavailable
from detector.inference.decode import Layout
from detector.inference.detector import SceneDetector
from detector.values import LABELS
from tests.inference.tiny_models import raw_output


@pytest.fixture
def network(tmp_path: Path) -> Path:
    """Three convolutions one after another, then a sigmoid and a fixed convolution: a detection network in small."""
    random = np.random.default_rng(0)
    weights = {f"w{n}": random.normal(0, 0.2, shape).astype(np.float32) for n, shape in enumerate(SHAPES)}
    weights |= {f"b{n}": random.normal(0, 0.1, shape[0]).astype(np.float32) for n, shape in enumerate(SHAPES)}
    weights["fixed"] = np.full((1, 4, 1, 1), 0.25, np.float32)
    steps = [("images", "x0", 0), ("r0", "x1", 1), ("r1", "x2", 2)]
    nodes = [
        helper.make_node("Conv", [a, f"w{n}", f"b{n}"], [b], name=f"conv{n}", kernel_shape=[3, 3], pads=[1] * 4)
        for a, b, n in steps
    ]
    nodes.insert(1, helper.make_node("Relu", ["x0"], ["r0"], name="relu0"))
    nodes.insert(3, helper.make_node("Relu", ["x1"], ["r1"], name="relu1"))
    nodes.append(helper.make_node("Sigmoid", ["x2"], ["s"], name="score"))
    nodes.append(helper.make_node("Conv", ["s", "fixed"], ["output0"], name="mean", kernel_shape=[1, 1]))
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, "height", "width"])],
        [helper.make_tensor_value_info("output0", TensorProto.FLOAT, [1, 1, "height", "width"])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    path = tmp_path / "small.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    return path


SHAPES = [(8, 3, 3, 3), (8, 8, 3, 3), (4, 8, 3, 3)]


def test_the_last_convolutions_and_what_follows_stay_float(network: Path) -> None:
    assert after_last_convolutions(onnx.load(network)) == ["conv2", "score", "mean"]


@pytest.mark.parametrize(
    ("count", "names"),
    [(0, []), (1, ["conv0", "relu0"]), (9, ["conv0", "relu0", "conv1", "relu1", "conv2", "score", "mean"])],
)
def test_the_first_convolutions_stay_float(count: int, names: list[str], network: Path) -> None:
    assert before_convolution(onnx.load(network), count) == names


def test_int8_is_u8_activations_s8_weights_and_says_much_the_same(network: Path, tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    inputs = [random.random((1, 3, h, w), np.float32) for h, w in ((32, 64), (64, 32), (64, 64))]
    small = tmp_path / "small-int8.onnx"
    quantise(network, small, iter(inputs), first_float=0)
    model = onnx.load(small)
    kinds = {array.name: array.data_type for array in model.graph.initializer}
    scaled = [node for node in model.graph.node if node.op_type == "DequantizeLinear"]
    weights = [node for node in scaled if kinds.get(node.input[0]) == TensorProto.INT8]
    assert {node.input[0].split("_")[0] for node in weights} == {"w0", "w1"}
    shapes = {array.name: list(array.dims) for array in model.graph.initializer}
    assert [shapes[node.input[1]] for node in weights] == [[8], [8]]  # a scale for each channel
    zeros = {node.input[2] for node in model.graph.node if node.op_type == "QuantizeLinear"}
    assert {kinds[zero] for zero in zeros} == {TensorProto.UINT8}
    answers = [onnxruntime.InferenceSession(str(path)).run(None, {"images": inputs[0]})[0] for path in (network, small)]
    assert 0 < np.abs(answers[0] - answers[1]).max() < 0.02


class Seer:
    """Sees one person wherever it looks."""

    layout = Layout()
    input_size = None
    few_sizes = False

    def __call__(self, tensor: np.ndarray) -> np.ndarray:
        return raw_output([("person", 100, 100, 60, 120, 0.9, {})])


def test_ranges_are_taken_from_both_looks(tmp_path: Path) -> None:
    for n in range(5):
        cv2.imwrite(str(tmp_path / f"{n}.png"), np.full((540, 960, 3), 40 * n, np.uint8))
    (tmp_path / "9.jpg").write_text("no picture")
    detector = SceneDetector(Seer(), dict.fromkeys(LABELS, 0.25), Analysis())
    inputs = list(calibration_inputs(detector, [tmp_path], Analysis(), 3))
    assert [max(tensor.shape[2:]) for tensor in inputs] == [640, 320, 640, 320]  # the third was no picture
    with pytest.raises(SourceUnavailable, match="no such file or folder"):
        next(calibration_inputs(detector, [tmp_path / "gone"], Analysis(), 3))
