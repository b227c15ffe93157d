"""A COCO network that looks at training's real squares: what it says of people and phones shall not be forgotten."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from looks import Batch
from manifest import SetError
from starts import tensor_of
from ultralytics import YOLO

from detector.values import LABELS

TAUGHT, COCO_TAUGHT = [LABELS.index("person"), LABELS.index("phone")], [0, 67]


@dataclass(frozen=True)
class Taught:
    """What the teacher says of some squares of a batch.

    Attributes:
        rows: `(N,)` which squares.
        scores: `(N, A, 2)` 0..1 of the labels `TAUGHT`.
        bins: `(N, A, 4, 16)` where the sides lie.
    """

    rows: torch.Tensor
    scores: torch.Tensor
    bins: torch.Tensor


class Teacher:
    """A COCO network that looks at real squares."""

    def __init__(self, checkpoint: Path, device: str) -> None:
        """Load it.

        Raises:
            SetError: The file isn't there, or holds no network of COCO's 80 classes.
        """
        if not checkpoint.is_file():
            raise SetError(f"no teacher {checkpoint} (a COCO YOLO11n detection checkpoint)")
        model = YOLO(str(checkpoint), task="detect").model.float()
        if model.model[-1].nc != 80:
            raise SetError(f"{checkpoint} has {model.model[-1].nc} classes: a teacher has COCO's 80")
        self._model = model.eval().to(device, memory_format=torch.channels_last)
        self._device = device

    @torch.no_grad()
    def look(self, batch: Batch, *, bf16: bool) -> Taught | None:
        """What it says of the real squares of a batch; `None` if all are rendered."""
        rows = torch.from_numpy(np.flatnonzero(batch.real)).to(self._device)
        if not len(rows):
            return None
        with torch.autocast(self._device.partition(":")[0], torch.bfloat16, enabled=bf16):
            _, found = self._model(tensor_of(batch.clean[batch.real], self._device))
        scores = found["scores"].float()[:, COCO_TAUGHT].sigmoid().permute(0, 2, 1)
        bins = found["boxes"].float().permute(0, 2, 1).unflatten(2, (4, -1)).softmax(3)
        return Taught(rows, scores, bins)
