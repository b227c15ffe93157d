"""Model files from strangers: weights that lie in other files are never read, and nothing of them is added."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from detector.errors import ModelError
from detector.tools.adding import add_model


def model_with_weights_elsewhere(path: Path, place: str) -> Path:
    """An export whose answer is said to lie in another file."""
    answer = TensorProto(name="answer", data_type=TensorProto.FLOAT, data_location=TensorProto.EXTERNAL)
    answer.dims.extend([1, 6, 50])
    for key, value in {"location": place, "offset": "0", "length": "1200"}.items():
        entry = answer.external_data.add()
        entry.key, entry.value = key, value
    graph = helper.make_graph(
        [helper.make_node("Identity", ["answer"], ["output0"])], "far",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, "height", "width"])],
        [helper.make_tensor_value_info("output0", TensorProto.FLOAT, [1, 6, 50])], [answer],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    helper.set_model_props(model, {"task": "detect", "names": "{0: 'person', 1: 'cell phone'}"})
    path.write_bytes(model.SerializeToString())
    return path


@pytest.mark.parametrize("place", ["/etc/passwd", "../../../../../../etc/passwd", "beside.bin", "link.bin"])
def test_weights_in_another_file_are_not_taken(place: str, tmp_path: Path) -> None:
    (tmp_path / "beside.bin").write_bytes(bytes(1200))
    (tmp_path / "link.bin").symlink_to("/etc/passwd")
    models = tmp_path / "models"
    with pytest.raises(ModelError):
        add_model(model_with_weights_elsewhere(tmp_path / "far.onnx", place), folder=models)
    assert not models.exists()


@pytest.mark.parametrize("names", ["[" * 5000, "{0: 'a'" + "," * 100, "__import__('os').system('id')", "{0: 'x'} " * 9])
def test_names_that_are_a_program_are_not_run(names: str, tmp_path: Path) -> None:
    path = model_with_weights_elsewhere(tmp_path / "far.onnx", "beside.bin")
    (tmp_path / "beside.bin").write_bytes(bytes(1200))
    model = onnx.load(str(path), load_external_data=False)
    helper.set_model_props(model, {"task": "detect", "names": names})
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match="names can't be read"):
        add_model(path, folder=tmp_path / "models")
