"""Models of a few bytes that always answer the same, and their cards."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import yaml
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from detector.values import LABELS, TRAITS

# label, centre x, centre y, width, height in input pixels, score, traits by name
Row = tuple[str, float, float, float, float, float, dict[str, float]]


def raw_output(rows: Sequence[Row], *, least: int = 1) -> NDArray[np.float32]:
    """Network output `(1, 19, N)` that says these rows and at least `least` columns."""
    out = np.zeros((1, 4 + len(LABELS) + len(TRAITS), max(least, len(rows))), np.float32)
    for k, (label, x, y, width, height, score, traits) in enumerate(rows):
        out[0, :4, k] = x, y, width, height
        out[0, 4 + LABELS.index(label), k] = score
        for name, value in traits.items():
            out[0, 4 + len(LABELS) + TRAITS.index(name), k] = value
    return out


def model_file(
    path: Path,
    answer: NDArray[np.float32],
    *,
    size: Sequence[int | str] = ("height", "width"),
    inputs: int = 1,
    batch: int | str = 1,
    metadata: Mapping[str, str] | None = None,
) -> Path:
    """A model that says `answer` whatever it is shown; a number in `size` is an input it insists on."""
    names = [f"images{n or ''}" for n in range(inputs)]
    nodes = [
        helper.make_node("ReduceMean", [names[0]], ["mean"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Mul", ["mean", "zero"], ["nothing"]),
        helper.make_node("Add", ["answer", "nothing"], ["output0"]),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [batch, 3, *size]) for name in names],
        [helper.make_tensor_value_info("output0", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(answer, "answer"), numpy_helper.from_array(np.zeros(1, np.float32), "zero")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    helper.set_model_props(model, dict(metadata or {}))
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, str(path))
    return path


def card_file(model: Path, **changes: Any) -> Path:
    """The card of a model file, with `changes`; a key set to `None` is left out."""
    fields: dict[str, Any] = {
        "name": model.stem,
        "file": model.name,
        "sha256": hashlib.sha256(model.read_bytes()).hexdigest() if model.exists() else "0" * 64,
        "labels": list(LABELS),
        "traits": list(TRAITS),
    }
    fields = {key: value for key, value in (fields | changes).items() if value is not None}
    path = model.with_suffix(".yaml")
    path.write_text(yaml.safe_dump(fields), encoding="utf-8")
    return path
