"""A network that looks at training's real squares: what it says of people and phones shall not be forgotten."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from looks import Batch
from starts import load_start, tensor_of

from detector.values import LABELS

TAUGHT = [LABELS.index("person"), LABELS.index("phone")]


@dataclass(frozen=True)
class Taught:
    """What the teacher says of some squares of a batch.

    Attributes:
        rows: `(N,)` which squares.
        scores: `(N, A, 2)` 0..1 of the labels `TAUGHT`.
        bins: `(N, A, 4, 16)` where the sides lie.
        marked_too: Whether it counts where something is marked as well. A COCO network finds half of our phones: what
            is marked counts against it. A scene model has learnt the marks.
    """

    rows: torch.Tensor
    scores: torch.Tensor
    bins: torch.Tensor
    marked_too: bool = False


class Teacher:
    """A COCO network, or the scene model of before, that looks at real squares."""

    def __init__(self, checkpoint: Path, device: str, squares: Iterable[torch.Tensor] = ()) -> None:
        """Load it; `squares` as in `load_start`.

        Raises:
            SetError: The file isn't there, or holds another network.
        """
        self._model = load_start(checkpoint, device, squares).eval()
        self._is_scene_model = checkpoint.suffix == ".onnx"
        self._device = device

    @torch.no_grad()
    def look(self, batch: Batch, *, bf16: bool) -> Taught | None:
        """What it says of the real squares of a batch; `None` if all are rendered."""
        rows = torch.from_numpy(np.flatnonzero(batch.real)).to(self._device)
        if not len(rows):
            return None
        with torch.autocast(self._device.partition(":")[0], torch.bfloat16, enabled=bf16):
            _, found = self._model(tensor_of(batch.clean[batch.real], self._device))
        scores = found["scores"].float()[:, TAUGHT].sigmoid().permute(0, 2, 1)
        bins = found["boxes"].float().permute(0, 2, 1).unflatten(2, (4, -1)).softmax(3)
        return Taught(rows, scores, bins, self._is_scene_model)
