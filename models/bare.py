"""An exported network enters, the same without the last steps that only boxes worth keeping need leaves.

Ultralytics' exports turn the distribution over 16 bins of each side of each of thousands of boxes into a length. The
softmax for it takes an eighth of the network's time, and all but a few dozen boxes are thrown away right after. Cut
off before it, `(1, 4 * 16 + C, N)` comes out, and `detector/inference/decode.py` does the rest for what is kept.
"""

from __future__ import annotations

from pathlib import Path

import onnx
from google.protobuf.message import DecodeError
from manifest import SetError
from onnx import TensorProto, helper

from detector.machine.whole_files import write_whole
from detector.values import LABELS, TRAITS


def read_network(path: Path) -> onnx.ModelProto:
    """The network of an ONNX file.

    Raises:
        SetError: There is no such file, or it holds none.
    """
    if not path.is_file():
        raise SetError(f"no network {path} (an ONNX file of a scene model)")
    try:
        network = onnx.load(path)
    except DecodeError as error:
        raise SetError(f"{path} is no ONNX file: {error}") from error
    if not network.graph.output:  # an empty file is read as a network of nothing
        raise SetError(f"{path} holds no network")
    return network


def write_network(model: onnx.ModelProto, path: Path) -> None:
    """Write a network's ONNX file, or leave the one that is there as it was.

    Raises:
        OSError: It can't be written.
    """
    write_whole(path, model.SerializeToString())


def bare(model: onnx.ModelProto) -> int:
    """Cut a detection network in place.

    Returns:
        How many bins a box's side is distributed over.

    Raises:
        SetError: The network doesn't end as Ultralytics' detection networks do.
    """
    graph = model.graph
    maker = {name: node for node in graph.node for name in node.output}
    end = maker.get(graph.output[0].name)
    softmax = [node for node in graph.node if node.op_type == "Softmax" and node.name.endswith("/dfl/Softmax")]
    if end is None or end.op_type != "Concat" or len(end.input) != 2 or len(softmax) != 1:
        raise SetError("the network doesn't end in distributions of boxes and in scores: nothing to cut off")
    before = maker[softmax[0].input[0]]  # as rows of bins; what is joined of the levels comes before
    while before.op_type in ("Transpose", "Reshape"):
        before = maker[before.input[0]]
    sides, scores = before.output[0], end.input[1]
    mean = next(node for node in graph.node if node.op_type == "Conv" and node.input[0] == softmax[0].output[0])
    bins = next(one.dims[1] for one in graph.initializer if one.name == mean.input[1])
    channels = graph.output[0].type.tensor_type.shape.dim[1].dim_value - 4 + 4 * bins
    end.input[0] = sides
    end.input[1] = scores
    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info(end.output[0], TensorProto.FLOAT, ["batch", channels, "anchors"]))
    wanted, kept = {end.output[0]}, []
    for node in reversed(graph.node):  # in order of computation
        if wanted.intersection(node.output):
            wanted.update(node.input)
            kept.append(node)
    used = [one for one in graph.initializer if one.name in wanted]
    del graph.node[:], graph.initializer[:], graph.value_info[:]
    graph.node.extend(reversed(kept))
    graph.initializer.extend(used)
    onnx.checker.check_model(model)
    return bins


def bins_of(model: onnx.ModelProto) -> int:
    """How many bins a scene model distributes a side over, by its output.

    Raises:
        SetError: It is no scene model's.
    """
    shape = model.graph.output[0].type.tensor_type.shape.dim
    channels = shape[1].dim_value if len(shape) == 3 else 0
    bins, rest = divmod(channels - len(LABELS) - len(TRAITS), 4)
    if bins < 1 or rest:
        raise SetError("the network doesn't give boxes and scores as a scene model does")
    return int(bins)
