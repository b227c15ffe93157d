"""Average a scene model with the COCO network that it came from, or with a scene model that came from it.

    python models/mix.py --scene models/scene.onnx --other yolo11n-coco.pt --share 0.5 --out MIX.onnx
    python models/mix.py --scene models/scene.onnx --other NEWER/scene.onnx --share 0.5 --out MIX.onnx

They share a start, so their weights can be averaged (WiSE-FT, Wortsman et al. 2022; model soups, likewise). Of COCO's
the mix has again what training forgot: `train.py --start MIX.onnx` goes on from that. Two scene models that learnt
different things from different sets know most of both: `export.py MIX.onnx` makes the mix a model. Batch norms of the
COCO network are folded first, as they are in the files. Needs the extra `train`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import lineage
import numpy as np
from bare import read_network, write_network
from manifest import SetError, extra_train, run
from onnx import numpy_helper

from detector.cli.arguments import share

with extra_train():
    import torch
    from starts import load_start, started_from


def mix(scene: Path, other: Path, share: float, out: Path) -> None:
    """Write a scene model's file with `share` of the other network's weights in it.

    Raises:
        SetError: One of the files holds no network, or has another architecture than the other.
    """
    weights, before, others = weights_of(other), started_from(scene), started_from(other)
    file = read_network(scene)
    with torch.no_grad():
        for one in file.graph.initializer:
            if not one.name.startswith("model."):
                continue
            theirs, ours = weights.get(one.name), numpy_helper.to_array(one)
            if theirs is None or theirs.shape != ours.shape:
                raise SetError(f"{scene} and {other} differ in {one.name}: one must have started from the other")
            mixed = ((1 - share) * ours + share * theirs).astype(np.float32)
            one.CopyFrom(numpy_helper.from_array(mixed, one.name))
    origin = f"YOLO11n, a mix (mix.py): {1 - share:g} of {before['name']}, {share:g} of {others['name']}"
    said = {"origin": origin, "before": lineage.up_to(before, others)}
    lineage.put(file, said | ({"thresholds": before["thresholds"]} if "thresholds" in before else {}))
    write_network(file, out)


def weights_of(network: Path) -> dict[str, np.ndarray]:
    """Weights by name, of a COCO checkpoint or of a scene model's file.

    Raises:
        SetError: There is no such file, or it holds another network.
    """
    if network.suffix == ".onnx":
        return {one.name: numpy_helper.to_array(one) for one in read_network(network).graph.initializer}
    model = load_start(network, "cpu").eval()
    model.fuse(verbose=False)
    return {name: value.detach().numpy() for name, value in model.named_parameters()}


def main() -> None:
    """Read the options and mix."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scene", type=Path, required=True)
    parser.add_argument("--other", type=Path, required=True, help="COCO YOLO11n, or a scene model")
    parser.add_argument("--share", type=share, default=0.5, help="of the other's weights, 0 to 1")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    run(lambda: mix(args.scene, args.other, args.share, args.out))


if __name__ == "__main__":
    main()
