"""Export a trained checkpoint to ONNX and write the card that the worker checks it against.

    python models/export.py RUN/weights/last.pt --name scene

Writes `models/NAME.onnx` and `models/NAME.yaml`. The ONNX takes any height and width that are multiples of 32; its raw
output is decoded by `detector/inference/decode.py`. Figures in the card are added by `evaluate.py`.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
from datetime import UTC, datetime
from pathlib import Path

import yaml
from ultralytics import YOLO

HERE = Path(__file__).resolve().parent

ORIGIN = (
    "YOLO11n, started from Ultralytics' COCO weights (AGPL-3.0) and trained with models/train.py on rendered warehouse "
    "scenes (ours) and real pictures: COCO train2017 subsets (annotations CC BY 4.0), Fuyi-Yang package detection "
    "(Apache-2.0), LeighWhoriskey phone detection (no licence stated)"
)


def main() -> None:
    """Export, hash and describe."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--name", default="scene")
    parser.add_argument("--out", type=Path, default=HERE)
    args = parser.parse_args()
    model = YOLO(str(args.checkpoint), task="detect")
    exported = Path(model.export(format="onnx", imgsz=640, dynamic=True, simplify=True, opset=17))
    target = args.out / f"{args.name}.onnx"
    shutil.move(exported, target)
    card = {
        "name": args.name,
        "file": target.name,
        "sha256": hashlib.sha256(target.read_bytes()).hexdigest(),
        "task": "scene",
        "labels": ["person", "phone", "scanner", "parcel", "label"],
        "traits": ["up", "not_up", "photo", "call"],
        "licence": "AGPL-3.0-or-later",
        "origin": ORIGIN,
        "made_on": datetime.now(UTC).date().isoformat(),
    }
    (args.out / f"{args.name}.yaml").write_text(yaml.safe_dump(card, sort_keys=False, allow_unicode=True, width=120))
    print(f"{target}: {target.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
