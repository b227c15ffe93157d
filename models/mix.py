"""Average a scene model with the COCO network it came from: what training forgot is half there again to go on from.

    python models/mix.py --scene models/scene.onnx --coco yolo11n-coco.pt --share 0.5 --out MIX.onnx

Both share a start, so their weights can be averaged (WiSE-FT, Wortsman et al. 2022); `train.py --start MIX.onnx` goes
on from that. Batch norms of the COCO network are folded first, as they are in the file. Needs the extra `train`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import onnx
import torch
from manifest import SetError, run
from onnx import numpy_helper
from starts import load_start


def mix(scene: Path, coco: Path, share: float, out: Path) -> None:
    """Write a scene model's file with `share` of COCO's weights in it.

    Raises:
        SetError: One of the networks has another architecture than the other.
    """
    network = load_start(coco, "cpu").eval()
    network.fuse(verbose=False)
    weights = {name: value.detach().numpy() for name, value in network.named_parameters()}
    file = onnx.load(scene)
    with torch.no_grad():
        for one in file.graph.initializer:
            if not one.name.startswith("model."):
                continue
            theirs, ours = weights.get(one.name), numpy_helper.to_array(one)
            if theirs is None or theirs.shape != ours.shape:
                raise SetError(f"{scene} and {coco} differ in {one.name}: give the COCO YOLO11n that it started from")
            mixed = ((1 - share) * ours + share * theirs).astype(np.float32)
            one.CopyFrom(numpy_helper.from_array(mixed, one.name))
    onnx.save(file, out)


def main() -> None:
    """Read the options and mix."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scene", type=Path, required=True)
    parser.add_argument("--coco", type=Path, required=True)
    parser.add_argument("--share", type=float, default=0.5, help="of COCO's weights, 0 to 1")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    run(lambda: mix(args.scene, args.coco, args.share, args.out))


if __name__ == "__main__":
    main()
