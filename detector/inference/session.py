"""A model card and a precision enter; the fastest runtime allowed, checked against the card, leaves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from detector.errors import ModelError
from detector.inference.card import ModelCard, Variant, check_file
from detector.inference.runtimes import OnnxRuntime, OpenVino, Runtime, Shape, exact_int8, first_line, usable

# Fastest first, as measured on one core of a server with AVX-512, VNNI and AMX, where the three differ little; OpenVINO
# takes some 60 to 90 MB more.
FASTEST = (("int8", "openvino"), ("int8", "onnxruntime"), ("bf16", "openvino"))
USUAL_SIZE = (384, 640)  # of the input for frames of nearly all cameras: what is compiled for a size, is now
MOST_LOST = 0.02
"""Largest loss, of any figure on the card, at which `auto` takes a variant instead of fp32."""


class Session:
    """A model loaded and checked against its card. One thread a call; several threads may call at once.

    Attributes:
        name: Of the model.
        precision: What it computes in: fp32, bf16 or int8.
        runtime: What runs it, with its version.
        layout: What the channels of its output mean.
        input_size: Height and width it insists on; `None` where any multiples of 32 do.
        few_sizes: Whether each further size costs it much.
    """

    def __init__(self, card: ModelCard, precision: str = "fp32") -> None:
        """Load the card's model.

        Args:
            card: The model.
            precision: `fp32` is the same everywhere; `bf16` and `int8` are that or an error; `auto` is the fastest
                of all whose card says that it loses little.

        Raises:
            ModelError: It can't be loaded, its inputs or outputs aren't those of its card, or it has no such variant.
            MissingPart: The precision needs a runtime that isn't installed.
        """
        variant = choose(card, precision)
        path = card.path if variant.file is None else card.path.with_name(variant.file)
        if variant.file is not None:
            check_file(path, variant.sha256)
        self.name, self.precision, self.layout = card.name, variant.precision, card.layout
        self._run: Runtime = OnnxRuntime(path) if variant.runtime == "onnxruntime" else OpenVino(path, self.precision)
        self.runtime = self._run.name
        self.few_sizes = self._run.few_sizes
        self.input_size = fixed_size(path, self._run.inputs)
        height, width = self.input_size or USUAL_SIZE
        try:
            found = self(np.zeros((1, 3, height, width), np.float32)).shape
        except Exception as error:  # whatever the runtime raises
            raise ModelError(f"{path} refuses a {width}x{height} input: {first_line(error)}") from error
        if len(self._run.outputs) != 1 or not self.layout.fits(found):
            raise ModelError(f"{path}: its card means an output {self.layout}, the model's is {found}")

    def __call__(self, tensor: NDArray[np.float32], /) -> NDArray[np.float32]:
        """Raw output, of the shape that `layout` says, for an input `(1, 3, H, W)`."""
        return self._run(tensor)

    def __str__(self) -> str:
        return f"{self.name}, {self.precision} by {self.runtime}"


def choose(card: ModelCard, precision: str) -> Variant:
    """The fastest variant of a model that this machine can run and the precision allows.

    Raises:
        ModelError: The model has no variant of this precision that could run here.
    """
    whole = Variant(precision="fp32", runtime="onnxruntime")
    if precision == "fp32":
        return whole
    variants = card.variants
    if all(variant.precision != "bf16" for variant in variants):  # needs no file, so that every model has it
        variants = [*variants, Variant(precision="bf16", runtime="openvino")]
    for kind in FASTEST:
        for variant in variants:
            if (variant.precision, variant.runtime) != kind:
                continue
            if precision == "auto":
                # Its loss was measured where sums are exact.
                exact = kind != ("int8", "onnxruntime") or exact_int8()
                allowed = exact and bool(variant.loss) and max(variant.loss.values()) <= MOST_LOST
            else:
                allowed = variant.precision == precision
            if allowed and usable(variant.runtime, variant.precision):
                return variant
    if precision == "auto":
        return whole
    if all(variant.precision != precision for variant in variants):
        raise ModelError(
            f"the model {card.name} has no {precision} variant (analysis.precision: fp32 or auto runs what there is)"
        )
    raise ModelError(
        f"{precision} of the model {card.name} can't run here: it needs OpenVINO (.venv/bin/pip install -e '.[fast]') "
        "on a processor that has it, and in a service that may write code (MemoryDenyWriteExecute=no); "
        "analysis.precision: fp32 or auto runs what there is"
    )


def fixed_size(path: Path, inputs: tuple[Shape, ...]) -> tuple[int, int] | None:
    """Height and width that a model insists on, or `None` where it takes any.

    Raises:
        ModelError: Its inputs aren't one picture.
    """
    again = "export it again with dynamic=True, batch=1"
    if len(inputs) != 1 or len(inputs[0]) != 4 or inputs[0][1] not in (3, None):
        raise ModelError(f"{path}: a model of pictures has one input (1, 3, H, W), this one has {_text(inputs)}")
    batch, _, height, width = inputs[0]
    if batch not in (1, None):
        raise ModelError(f"{path} wants {batch} pictures at once ({again})")
    if height is None and width is None:
        return None
    if height is None or width is None:
        raise ModelError(f"{path} fixes one side of its input, {_text(inputs)}, but not the other ({again})")
    return height, width


def _text(shapes: tuple[Shape, ...]) -> str:
    return ", ".join("(" + ", ".join("any" if side is None else str(side) for side in shape) + ")" for shape in shapes)
