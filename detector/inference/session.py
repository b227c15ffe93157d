"""The one user of onnxruntime: network input enters, raw output leaves."""

from __future__ import annotations

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from detector.errors import ModelError
from detector.inference.card import ModelCard


class Session:
    """A model loaded and checked against its card. One thread a call; several threads may call at once."""

    def __init__(self, card: ModelCard) -> None:
        """Load the card's model.

        Raises:
            ModelError: It can't be loaded, or its inputs or outputs aren't those of a scene model.
        """
        self.layout = card.layout
        options = onnxruntime.SessionOptions()
        # A spinning thread pool loses half its work beside a busy neighbour; many cameras want one thread each.
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.enable_cpu_mem_arena = False  # the arena keeps the largest of every shape for ever
        try:
            self._session = onnxruntime.InferenceSession(str(card.path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime raises a dozen unrelated types for one bad file
            raise ModelError(f"{card.path} can't be loaded: {str(error).splitlines()[0]}") from error
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        if len(inputs) != 1 or len(inputs[0].shape) != 4 or inputs[0].shape[1] not in (3, "channels"):
            raise ModelError(f"{card.path}: a scene model has one input (1, 3, H, W), this one has {_shapes(inputs)}")
        self._input = inputs[0].name
        try:
            found = self(np.zeros((1, 3, 64, 96), np.float32)).shape
        except Exception as error:  # a fixed input size shows here
            raise ModelError(f"{card.path} refuses a 96x64 input: {str(error).splitlines()[0]}") from error
        if len(outputs) != 1 or not self.layout.fits(found):
            raise ModelError(f"{card.path}: its card means an output {self.layout}, the model's is {_shapes(outputs)}")

    def __call__(self, tensor: NDArray[np.float32]) -> NDArray[np.float32]:
        """Raw output `(1, C, N)` for an input `(1, 3, H, W)`."""
        raw: NDArray[np.float32] = self._session.run(None, {self._input: tensor})[0]
        return raw


def _shapes(nodes: list[onnxruntime.NodeArg]) -> str:
    return ", ".join(str(tuple(node.shape)) for node in nodes)
