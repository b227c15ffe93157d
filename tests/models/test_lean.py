"""A network put in the order that costs less says the same, and keeps its weights for those who go on from it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from lean import lean
from onnx import NodeProto, TensorProto, helper, numpy_helper

MODELS = Path(__file__).resolve().parents[2] / "models"
WEIGHTS = {
    "small.weight": (8, 3, 3, 3), "large.weight": (4, 3, 1, 1),
    "seer.weight": (6, 12, 1, 1), "after.weight": (2, 3, 3, 3),
}  # fmt: skip


def convolution(name: str, source: str, *, strides: int = 1) -> NodeProto:
    kernel, pad = WEIGHTS[f"{name}.weight"][2], WEIGHTS[f"{name}.weight"][2] // 2
    return helper.make_node(
        "Conv", [source, f"{name}.weight", f"{name}.bias"], [name], name,
        kernel_shape=[kernel, kernel], pads=[pad] * 4, strides=[strides, strides], group=1, dilations=[1, 1],
    )  # fmt: skip


def network(*, heard_twice: bool = False) -> onnx.ModelProto:
    """A small map enlarged and joined to a large one, convolved, through SiLU, split: as in YOLO11's neck."""
    rng = np.random.default_rng(5)
    weights = [numpy_helper.from_array(rng.normal(size=s).astype(np.float32), name) for name, s in WEIGHTS.items()]
    biases = [
        numpy_helper.from_array(rng.normal(size=s[0]).astype(np.float32), name.replace("weight", "bias"))
        for name, s in WEIGHTS.items()
    ]
    numbers = [
        numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "twice"),
        numpy_helper.from_array(np.array([3, 3], np.int64), "halves"),
    ]
    nodes = [
        convolution("small", "images", strides=2),
        helper.make_node("Resize", ["small", "", "twice"], ["enlarged"], "enlarge", mode="nearest",
                         coordinate_transformation_mode="asymmetric", nearest_mode="floor"),
        convolution("large", "images"),
        helper.make_node("Concat", ["enlarged", "large"], ["joined"], "join", axis=1),
        convolution("seer", "joined"),
        helper.make_node("Sigmoid", ["seer"], ["sigmoid"], "sigmoid"),
        helper.make_node("Mul", ["seer", "sigmoid"], ["product"], "product"),
        helper.make_node("Split", ["product", "halves"], ["first", "second"], "split", axis=1),
        convolution("after", "second"),
        helper.make_node("Concat", ["first", "after", *(["seer"] if heard_twice else [])], ["output0"], "out", axis=1),
    ]  # fmt: skip
    images = helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, "height", "width"])
    output = helper.make_tensor_value_info("output0", TensorProto.FLOAT, [1, 11 if heard_twice else 5, "h", "w"])
    graph = helper.make_graph(nodes, "neck", [images], [output], weights + biases + numbers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def said(model: onnx.ModelProto) -> np.ndarray:
    picture = np.random.default_rng(6).random((1, 3, 16, 24), np.float32)
    found: np.ndarray = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"images": picture})[0]
    return found


def test_in_the_order_that_costs_less_a_network_says_the_same() -> None:
    model = network()
    before = said(model)
    assert lean(model) == 2
    assert np.allclose(said(model), before, atol=1e-5)
    kinds = Counter(node.op_type for node in model.graph.node)
    assert kinds["Concat"] == 1  # the last one, which gives the output
    assert not {"split", "join", "enlarge", "seer"} & {node.name for node in model.graph.node}


def test_its_weights_stay_whole_under_their_names() -> None:
    model = network()
    before = {one.name: numpy_helper.to_array(one) for one in model.graph.initializer}
    lean(model)
    after = {one.name: numpy_helper.to_array(one) for one in model.graph.initializer}
    assert all(np.array_equal(after[name], value) for name, value in before.items())


def test_what_is_needed_whole_elsewhere_is_not_taken_apart() -> None:
    model = network(heard_twice=True)
    before = said(model)
    assert lean(model) == 1  # the enlarging alone
    assert np.allclose(said(model), before, atol=1e-5)


@pytest.mark.parametrize(("node", "attribute", "value"), [("seer", "strides", [2, 2]), ("split", "axis", 2)])
def test_what_would_say_something_else_is_left_as_it_is(node: str, attribute: str, value: int | list[int]) -> None:
    model = network()
    for one in model.graph.node:
        if one.name == node:
            kept = [a for a in one.attribute if a.name != attribute]
            del one.attribute[:]
            one.attribute.extend([*kept, helper.make_attribute(attribute, value)])
    assert lean(model) == 1


def test_the_shipped_network_is_in_that_order() -> None:
    assert lean(onnx.load(MODELS / "scene.onnx")) == 0
