"""The runtimes that execute a network, each on one thread a call: a model file enters, a `Runtime` leaves."""

from __future__ import annotations

import importlib.util
import mmap
import os
import sys
import threading
from collections import OrderedDict
from functools import cache
from pathlib import Path
from typing import Any, Protocol
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from detector.errors import MissingPart, ModelError

Shape = tuple[int | None, ...]
KEPT_SIZES = 12  # of input, 10 to 40 MB each: one of close looks, and one of each shape of picture on a box
OPENVINO_HINTS = {"fp32": "f32", "int8": "f32", "bf16": "bf16"}


class Runtime(Protocol):
    """A loaded network. Several threads may call at once.

    Attributes:
        name: Runtime and version, for people.
        inputs: Shape of each input; `None` for a side of any length.
        outputs: Shape of each output.
        metadata: What its exporter wrote into the file.
        few_sizes: Whether it is compiled for each size of input, which takes a second and some memory.
    """

    name: str
    inputs: tuple[Shape, ...]
    outputs: tuple[Shape, ...]
    metadata: dict[str, str]
    few_sizes: bool

    def __call__(self, tensor: NDArray[np.float32], /) -> NDArray[np.float32]:
        """First output for one input `(1, 3, H, W)`."""


class OnnxRuntime:
    """onnxruntime, which is always installed; the precision is the file's."""

    few_sizes = False

    def __init__(self, path: Path) -> None:
        """Load.

        Raises:
            ModelError: It can't be.
        """
        # Otherwise it keeps a device id and reports its use to its makers; it asks once, when it is loaded.
        os.environ["ORT_DISABLE_TELEMETRY"] = "1"
        import onnxruntime

        options = onnxruntime.SessionOptions()
        # A spinning thread pool loses half its work beside a busy neighbour; many cameras want one thread each.
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.enable_cpu_mem_arena = True  # or every layer's output is mapped anew at every look (`machine/heap.py`)
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime raises a dozen unrelated types for one bad file
            raise ModelError(f"{path} can't be loaded: {first_line(error)}") from error
        self.name = f"onnxruntime {onnxruntime.__version__}"
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        if odd := [node.type for node in inputs if node.type != "tensor(float)"]:
            raise ModelError(f"{path}: its input is {odd[0]}, not tensor(float) (export it again without half)")
        self._input = inputs[0].name if inputs else ""
        self.inputs = tuple(_shape(node.shape) for node in inputs)
        self.outputs = tuple(_shape(node.shape) for node in outputs)
        self.metadata: dict[str, str] = dict(self._session.get_modelmeta().custom_metadata_map)

    def __call__(self, tensor: NDArray[np.float32], /) -> NDArray[np.float32]:
        """First output for one input."""
        raw: NDArray[np.float32] = self._session.run(None, {self._input: tensor})[0]
        return raw


class OpenVino:
    """OpenVINO, the optional fast way on x86 (extra `fast`).

    It is compiled for each size of input: one network for all of them took half as long again. The sizes used last are
    kept.
    """

    few_sizes = True

    def __init__(self, path: Path, precision: str) -> None:
        """Load for a precision; bf16 is made of the fp32 file while compiling.

        Raises:
            MissingPart: OpenVINO isn't installed.
            ModelError: The file can't be loaded, or the processor hasn't the precision.
        """
        try:
            openvino = _openvino()
        except ImportError as error:
            raise MissingPart(f"{precision} needs OpenVINO: .venv/bin/pip install -e '.[fast]'") from error
        self._core = openvino.Core()
        if precision == "bf16" and not _has_bf16(self._core):
            raise ModelError("this processor has no bf16 (analysis.precision: fp32 runs everywhere)")
        self._options = {
            "INFERENCE_NUM_THREADS": 1,
            "NUM_STREAMS": 1,
            # Said outright, or OpenVINO takes bf16 by itself where the processor has it.
            "INFERENCE_PRECISION_HINT": OPENVINO_HINTS[precision],
        }
        try:
            self._model = self._core.read_model(str(path))
        except Exception as error:  # one RuntimeError for everything, in some versions others
            raise ModelError(f"{path} can't be loaded by OpenVINO: {first_line(error)}") from error
        self.name = f"openvino {openvino.__version__.split('-')[0]}"
        self.inputs = tuple(_partial_shape(port) for port in self._model.inputs)
        self.outputs = tuple(_partial_shape(port) for port in self._model.outputs)
        self.metadata: dict[str, str] = {}
        self._sizes: OrderedDict[Shape, _Size] = OrderedDict()
        self._lock = threading.Lock()
        self._own = threading.local()

    def __call__(self, tensor: NDArray[np.float32], /) -> NDArray[np.float32]:
        """First output for one input."""
        compiled = self._for(tensor.shape)
        if not hasattr(self._own, "requests"):
            self._own.requests = WeakKeyDictionary()  # of what is still kept
        request = self._own.requests.get(compiled)
        if request is None:
            request = self._own.requests[compiled] = compiled.create_infer_request()
        request.infer([tensor])
        return np.array(request.get_output_tensor(0).data)  # a copy: the next call writes into the same memory

    def _for(self, shape: Shape) -> Any:
        """The network for one size of input."""
        with self._lock:
            size = self._sizes.setdefault(shape, _Size())
            self._sizes.move_to_end(shape)
            if len(self._sizes) > KEPT_SIZES:
                self._sizes.popitem(last=False)
        with size.lock:  # only who needs this size waits for it
            if size.compiled is None:
                with self._lock:
                    model = self._model.clone()
                model.reshape(list(shape))
                size.compiled = self._core.compile_model(model, "CPU", self._options)
            return size.compiled


class _Size:
    """One size of input, and the network for it once somebody asked."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.compiled: Any = None


def usable(runtime: str, precision: str) -> bool:
    """Whether this machine has a runtime that can compute so."""
    if runtime == "onnxruntime":
        return True
    if importlib.util.find_spec("openvino") is None or not _may_write_code():
        return False
    return precision != "bf16" or _has_bf16(_openvino().Core())


def _openvino() -> Any:
    """OpenVINO, which otherwise keeps an id of this machine and reports to its makers that it was loaded."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    return openvino


def _may_write_code() -> bool:
    """Whether this process may run what it wrote, as OpenVINO does: a service may be kept from it."""
    try:
        mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC).close()
    except OSError:
        return False
    return True


@cache
def exact_int8() -> bool:
    """Whether this processor adds up products of u8 and s8 exactly (VNNI; ARM's dot product), as far as Linux says.

    Others add pairs of them in 16 bits, and what doesn't fit is cut off: scores stray.
    """
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    said = next((line.partition(":")[2].split() for line in lines if line.startswith(("flags", "Features"))), [])
    return not {"avx512_vnni", "avx_vnni", "asimddp"}.isdisjoint(said)


def first_line(error: Exception) -> str:
    """What an error says first; C++ runtimes go on for pages."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def _has_bf16(core: Any) -> bool:
    return "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def _shape(sides: list[int | str | None]) -> Shape:
    return tuple(side if isinstance(side, int) else None for side in sides)


def _partial_shape(port: Any) -> Shape:
    shape = port.get_partial_shape()
    if shape.rank.is_dynamic:
        return ()
    return tuple(None if side.is_dynamic else side.get_length() for side in shape)
