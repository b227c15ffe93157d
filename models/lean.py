"""An exported network enters, the same in an order of reckoning that costs less leaves: equal but for rounding.

- Where the channels of what a convolution gives are split, one convolution for each part takes its place. Runtimes keep
  channels in blocks, and had to lay all of them in rows to split them.
- A convolution of 1x1 sees each place alone. So where it sees a map enlarged and joined to another, it may as well see
  the small one, before that is enlarged, and the other one, and the two be added: a quarter of the work for the former,
  and nothing to join.

Weights stay whole and keep their names, so that `restore.py` and `mix.py` go on from such a file as from any; runtimes
take them apart once, while loading.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import NodeProto, helper, numpy_helper


def lean(model: onnx.ModelProto) -> int:
    """Rearrange a network in place; how many places there were to do so."""
    count = _split_first(model.graph) + _enlarge_last(model)
    del model.graph.value_info[:]
    onnx.checker.check_model(model)
    return count


def _split_first(graph: onnx.GraphProto) -> int:
    """Each part of what was split is convolved, and goes through its SiLU, by itself."""
    makers, users, count = _makers(graph), _users(graph), 0
    for split in [node for node in graph.node if node.op_type == "Split"]:
        product = makers.get(split.input[0])
        if _said(split, "axis") != 1 or product is None or product.op_type != "Mul" or len(split.input) != 2:
            continue
        convolution = makers.get(product.input[0])
        sigmoid = makers.get(product.input[1])
        if convolution is None or sigmoid is None or (convolution.op_type, sigmoid.op_type) != ("Conv", "Sigmoid"):
            continue
        if sigmoid.input[0] != convolution.output[0] or _said(convolution, "group") != 1:
            continue
        if len(users[convolution.output[0]]) != 2 or len(users[product.output[0]]) != 1:
            continue
        names = [f"{convolution.name}/{k}" for k in range(len(split.output))]
        new = [
            _apart(kind, [f"{name}/{kind}" for name in names], split.input[1], axis=0)
            for kind in convolution.input[1:]  # weights, and the bias if it has one
        ]
        for name, part in zip(names, split.output, strict=True):
            inputs = [convolution.input[0], *(f"{name}/{kind}" for kind in convolution.input[1:])]
            new += [
                _like(convolution, name, inputs, name),
                helper.make_node("Sigmoid", [name], [f"{name}/Sigmoid"], f"{name}/Sigmoid"),
                helper.make_node("Mul", [name, f"{name}/Sigmoid"], [part], f"{name}/Mul"),
            ]
        _replace(graph, [convolution, sigmoid, product, split], new)
        count += 1
    return count


def _enlarge_last(model: onnx.ModelProto) -> int:
    """What a convolution of 1x1 makes of a small map is enlarged, and not the map."""
    graph = model.graph
    makers, users, count = _makers(graph), _users(graph), 0
    known = onnx.shape_inference.infer_shapes(model).graph.value_info
    channels = {one.name: one.type.tensor_type.shape.dim[1].dim_value for one in known if _is_map(one)}
    for joint in [node for node in graph.node if node.op_type == "Concat" and len(node.input) == 2]:
        enlarged = makers.get(joint.input[0])
        seers = users.get(joint.output[0], [])
        if _said(joint, "axis") != 1 or enlarged is None or enlarged.op_type != "Resize":
            continue
        if len(users[enlarged.output[0]]) != 1 or not all(_sees_one_place(node) for node in seers):
            continue
        sizes = np.array([channels[name] for name in joint.input], np.int64)
        lengths = numpy_helper.from_array(sizes, f"{joint.name}/channels")
        graph.initializer.append(lengths)
        for seer in seers:
            name, weights, bias = seer.name, seer.input[1], seer.input[2]
            small, large = f"{name}/small", f"{name}/large"
            new = [
                _apart(weights, [f"{small}/weight", f"{large}/weight"], lengths.name, axis=1),
                _like(seer, small, [enlarged.input[0], f"{small}/weight"], small),
                _like(enlarged, f"{name}/enlarged", [small, *enlarged.input[1:]], f"{name}/enlarged"),
                _like(seer, large, [joint.input[1], f"{large}/weight", bias], large),
                helper.make_node("Add", [large, f"{name}/enlarged"], list(seer.output), f"{name}/sum"),
            ]
            _replace(graph, [seer], new)
        for node in (enlarged, joint):
            graph.node.remove(node)
        count += 1
    return count


def _apart(whole: str, parts: Sequence[str], lengths: str, *, axis: int) -> NodeProto:
    """Weights taken apart, which runtimes do while loading."""
    return helper.make_node("Split", [whole, lengths], list(parts), f"{parts[0]}/Split", axis=axis)


def _like(node: NodeProto, name: str, inputs: Sequence[str], output: str) -> NodeProto:
    """A node that does the same with something else."""
    other = helper.make_node(node.op_type, list(inputs), [output], name)
    other.attribute.extend(node.attribute)
    return other


def _sees_one_place(node: NodeProto) -> bool:
    """Whether a node is a convolution, with a bias, of each place by itself."""
    if node.op_type != "Conv" or len(node.input) != 3 or _said(node, "group") != 1:
        return False
    return _said(node, "kernel_shape") == [1, 1] and _said(node, "strides") == [1, 1]


def _said(node: NodeProto, name: str) -> Any:
    """An attribute; `None` where the exporter, which writes all of them, didn't."""
    return next((helper.get_attribute_value(one) for one in node.attribute if one.name == name), None)


def _is_map(value: onnx.ValueInfoProto) -> bool:
    return len(value.type.tensor_type.shape.dim) == 4


def _replace(graph: onnx.GraphProto, old: Sequence[NodeProto], new: Sequence[NodeProto]) -> None:
    """New nodes where the last of the old ones was; nodes stand in order of computation."""
    place = list(graph.node).index(old[-1])
    nodes = [*graph.node[:place], *new, *graph.node[place + 1 :]]
    kept = [node for node in nodes if node not in old[:-1]]
    del graph.node[:]
    graph.node.extend(kept)


def _makers(graph: onnx.GraphProto) -> dict[str, NodeProto]:
    return {name: node for node in graph.node for name in node.output}


def _users(graph: onnx.GraphProto) -> dict[str, list[NodeProto]]:
    users: dict[str, list[NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            users.setdefault(name, []).append(node)
    return users
