"""Export a trained checkpoint to ONNX and write the card that the worker checks it against.

    python models/export.py RUN/last.pt --name own [--int8 PICTURES ...]

Writes `models/NAME.onnx` and `models/NAME.yaml`; with the name `scene` in place of the shipped model. The ONNX takes
any height and width that are multiples of 32. Its raw output, cut off before boxes are made (`bare.py`), is decoded by
`detector/inference/decode.py`; what leads there stands in the order that costs least (`lean.py`). With `--int8`,
pictures the model was trained on (or folders of them), also `models/NAME-int8.onnx`, whose ranges are taken from these
pictures as the worker looks at them. The card lists the variants; `evaluate.py` adds thresholds, figures, and what each
variant loses against fp32 on the same pictures. Before that the worker takes none of them of its own accord.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import lineage
import numpy as np
import onnx
import yaml
from bare import bare, bins_of, read_network, write_network
from lean import lean
from manifest import SetError, run
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from detector.cli.arguments import positive
from detector.config import Analysis
from detector.inference.card import find_card
from detector.inference.detector import SceneDetector
from detector.inference.letterbox import Letterbox
from detector.inference.session import Session
from detector.inference.turns import first
from detector.inference.zoom import cut_square, zoom_square
from detector.machine.whole_files import sha256_of, write_whole
from detector.media.pictures import Bgr
from detector.tools.adding import hush_ultralytics
from detector.tools.stills import pictures_in, read_picture
from detector.values import LABELS, PERSON, TRAITS

HERE = Path(__file__).resolve().parent

ORIGIN = "YOLO11n, from Ultralytics' COCO weights (AGPL-3.0) by models/train.py; how, its file doesn't say"


def export(checkpoint: Path, target: Path) -> tuple[list[str], lineage.Said]:
    """Write a checkpoint's network as fp32 ONNX.

    Returns:
        The names of its score channels, in their order; and what its card says of where it comes from, as `train.py`
        left it: origin, what it was taught, and the thresholds of the model that it started from.

    Raises:
        SetError: The checkpoint isn't there, or is none.
    """
    hush_ultralytics()
    from starts import load_checkpoint  # here, so that quantising alone needs no torch

    model = load_checkpoint(checkpoint)
    channels = [model.names[k] for k in range(model.model.model[-1].nc)]
    shutil.move(model.export(format="onnx", imgsz=640, dynamic=True, simplify=True, opset=17), target)
    told = (model.ckpt or {}).get("lineage")
    if told is None:
        return channels, {"origin": f"{checkpoint.name}, which models/train.py of today did not write"}
    return channels, lineage.of_training(told)


def calibration_inputs(
    detector: SceneDetector, paths: list[Path], settings: Analysis, most: int
) -> Iterator[np.ndarray]:
    """Network inputs `(1, 3, H, W)` as the worker makes them from pictures: whole frames, then people closely.

    Args:
        detector: The fp32 model, for the people.
        paths: Pictures and folders of them.
        settings: The worker's sizes.
        most: How many pictures to take of each path, evenly spread.

    Raises:
        SourceUnavailable: A path isn't there or holds no picture.
    """
    chosen: list[Path] = []
    for path in paths:
        inside = pictures_in([path])
        chosen += [inside[k] for k in sorted({round(k) for k in np.linspace(0, len(inside) - 1, most)})]
    for path in chosen:
        picture = read_picture(path)
        if isinstance(picture, str):
            print(f"passed over: {path}: {picture}", file=sys.stderr)
            continue
        yield Letterbox()(Bgr(picture), settings.frame_side)[0]
        people = detector.look(Bgr(picture), np.zeros((0, 4), np.float32), dict.fromkeys(LABELS, 0.25)).of(PERSON).boxes
        for box in people[first(people, 2)]:
            crop, _, _ = cut_square(picture, *zoom_square(tuple(map(float, box))))
            if min(crop.shape[:2]) >= 8:
                yield Letterbox()(Bgr(crop), settings.zoom_side)[0]


class _Inputs(CalibrationDataReader):
    """Hands the inputs to the quantiser one by one."""

    def __init__(self, name: str, inputs: Iterator[np.ndarray]) -> None:
        self._name, self._inputs = name, inputs

    def get_next(self) -> dict[str, np.ndarray] | None:
        """The next input, or `None` after the last."""
        tensor = next(self._inputs, None)
        return None if tensor is None else {self._name: tensor}


# Pictures come in with every detail, and what the first steps lose of it nothing brings back: with YOLO11's first six
# convolutions float, of which `lean` makes seven, scores stray a third less, and the whole is hardly slower.
FIRST_FLOAT = 7


def quantise(source: Path, target: Path, inputs: Iterator[np.ndarray], *, first_float: int = FIRST_FLOAT) -> None:
    """Write an int8 version of an ONNX model: weights s8 by channel, activations u8, as pairs of Q and DQ nodes.

    Activations of s8 are a trap: 1.5 times as slow as fp32 on x86. What comes after the last convolutions (boxes from
    distributions, scores from logits) stays float: one scale can't hold pixels and probabilities.

    Args:
        source: The fp32 model.
        target: Where to write; what is there stays until the new one is whole.
        inputs: Network inputs that show the range of every activation.
        first_float: How many convolutions, from the picture on, stay float.
    """
    with tempfile.TemporaryDirectory() as folder:
        prepared, done = Path(folder) / "prepared.onnx", Path(folder) / "int8.onnx"
        # Batch norms are folded and shapes inferred first; the symbolic kind has no use here and fails on attention.
        quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
        model = onnx.load(prepared)
        quantize_static(
            str(prepared),
            str(done),
            _Inputs(model.graph.input[0].name, inputs),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
            calibrate_method=CalibrationMethod.MinMax,
            nodes_to_exclude=before_convolution(model, first_float) + after_last_convolutions(model),
        )
        write_whole(target, done.read_bytes())


def before_convolution(model: onnx.ModelProto, count: int) -> list[str]:
    """Names of the first `count` convolutions of a model and of all nodes before the next one."""
    names: list[str] = []
    for node in model.graph.node:  # exporters write nodes in order of computation
        count -= node.op_type == "Conv"
        if count < 0:
            break
        names.append(node.name)
    return names


def after_last_convolutions(model: onnx.ModelProto) -> list[str]:
    """Names of the last convolutions on each way to the output, and of the nodes that follow them.

    A convolution is among the last when no other follows it but those without weights to learn (the fixed one that
    takes the mean of a box's distribution).
    """
    users: dict[str, list[onnx.NodeProto]] = {}
    for node in model.graph.node:
        for name in node.input:
            users.setdefault(name, []).append(node)
    weighted: dict[str, bool] = {}  # whether a convolution with a bias, a learnt one, comes after a node's output

    def learns(node: onnx.NodeProto) -> bool:
        return node.op_type == "Conv" and len(node.input) == 3

    for node in reversed(model.graph.node):  # exporters write nodes in order of computation
        after = [user for name in node.output for user in users.get(name, [])]
        weighted[node.name] = any(learns(user) or weighted[user.name] for user in after)
    return [node.name for node in model.graph.node if not weighted[node.name]]


def main() -> None:
    """Export, quantise when asked to, describe."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path, help="of train.py, or a mix of scene models (mix.py)")
    # Without a default: whoever forgets it must not lose the shipped model.
    parser.add_argument("--name", required=True, help="what to call it; `scene` takes the place of the shipped model")
    parser.add_argument("--out", type=Path, default=HERE)
    parser.add_argument(
        "--int8", type=Path, nargs="+", metavar="PICTURES", help="training pictures to take ranges from"
    )
    parser.add_argument("--pictures", type=positive, default=48, help="how many of each folder (48)")
    args = parser.parse_args()
    target = args.out / f"{args.name}.onnx"
    args.out.mkdir(parents=True, exist_ok=True)
    # What is no network must not take the place of one that is: nothing is written before it is known.
    exported = args.checkpoint.suffix == ".onnx"
    if exported:
        network, channels = read_network(args.checkpoint), [*LABELS, *TRAITS]
        said = lineage.of_onnx(args.checkpoint) or {"origin": ORIGIN}
    else:
        with tempfile.TemporaryDirectory() as folder:
            channels, said = export(args.checkpoint, whole := Path(folder) / "whole.onnx")
            network = onnx.load(whole)
    try:
        bins = bins_of(network) if exported else bare(network)
    except SetError as error:
        raise SetError(f"{args.checkpoint}: {error}") from error
    lean(network)
    lineage.drop(network)
    write_network(network, target)
    card = {
        "name": args.name,
        "file": target.name,
        "sha256": sha256_of(target),
        "task": "scene",
        "labels": [name for name in channels if name not in TRAITS],
        "traits": [name for name in channels if name in TRAITS],
        "bins": bins,
        "licence": "AGPL-3.0-or-later",
        **said,
        "made_on": datetime.now(UTC).date().isoformat(),
    }
    card_path = target.with_suffix(".yaml")
    write_card(card_path, card)
    print(f"{target}: {target.stat().st_size / 1e6:.1f} MB")
    # bf16 is made of the fp32 file while loading.
    card["variants"] = [{"precision": "bf16", "runtime": "openvino"}]
    if args.int8:
        small, settings = args.out / f"{args.name}-int8.onnx", Analysis()
        fp32 = find_card(str(card_path))
        detector = SceneDetector(Session(fp32), fp32.thresholds, settings)
        quantise(target, small, calibration_inputs(detector, args.int8, settings, args.pictures))
        int8 = {"precision": "int8", "runtime": "onnxruntime", "file": small.name, "sha256": sha256_of(small)}
        card["variants"].append(int8)
        print(f"{small}: {small.stat().st_size / 1e6:.1f} MB")
    write_card(card_path, card)


def write_card(path: Path, card: dict[str, object]) -> None:
    """Write a card in the order of its keys."""
    write_whole(path, yaml.safe_dump(card, sort_keys=False, allow_unicode=True, width=120))


if __name__ == "__main__":
    run(main)
