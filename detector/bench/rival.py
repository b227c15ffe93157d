"""`YOLO.track` of Ultralytics on the same clip, as its documentation says, and as sparing as it can be made."""

from __future__ import annotations

import os
from itertools import count
from pathlib import Path
from typing import Any

from detector.bench.meter import Job, Meter, taken
from detector.bench.setups import ANALYSED_FPS, FPS, Taken
from detector.errors import MissingPart

STRIDE = round(FPS / ANALYSED_FPS)
UNTRAINED = "yolo11n.yaml"


def track(job: Job) -> Taken:
    """Go through a clip.

    Raises:
        MissingPart: Ultralytics isn't installed.
    """
    # One thread for the decoder as for all else: several cost more in total. It asks nothing of the network.
    os.environ |= {"OPENCV_FFMPEG_CAPTURE_OPTIONS": "threads;1", "YOLO_OFFLINE": "true", "YOLO_AUTOINSTALL": "false"}
    try:
        import torch
        from ultralytics import YOLO
    except ImportError as error:
        raise MissingPart(f"Ultralytics is not installed ({error}): make setup-train") from error
    torch.set_num_threads(1)
    model = YOLO(str(job.weights) if job.weights else UNTRAINED, task="detect")
    _through(model, job.warm_up, job, None)
    meter = Meter()
    with meter.measuring():
        looks, boxes = _through(model, job.clip, job, job.most_s)
    found = f"{boxes / max(looks, 1):.1f} boxes a look"
    return taken(meter, looks * STRIDE, looks, f"{found}, {job.weights.name if job.weights else 'untrained'}")


def _through(model: Any, clip: Path, job: Job, most_s: float | None) -> tuple[int, int]:
    """Looks taken, and boxes found."""
    results = model.track(
        source=str(clip), stream=True, imgsz=job.setup.side, vid_stride=STRIDE, tracker="bytetrack.yaml",
        device="cpu", verbose=False,
    )  # fmt: skip
    boxes = 0
    for looks in count():
        result = None if most_s is not None and looks / ANALYSED_FPS >= most_s else next(results, None)
        if result is None:
            results.close()
            return looks, boxes
        boxes += len(result.boxes)
    raise AssertionError
