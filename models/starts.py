"""The network that training starts from, its head cut to our channels, and pictures as it takes them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import lineage
import numpy as np
import torch
from manifest import SetError
from restore import restore
from torch import nn
from ultralytics import YOLO
from ultralytics.cfg import get_cfg

from detector.inference.runtimes import first_line
from detector.machine.whole_files import sha256_of
from detector.values import LABELS, TRAITS

CHANNELS = len(LABELS) + len(TRAITS)
# COCO-80 output row that each channel starts from: person, cell phone, remote, suitcase, book; traits as owners.
COCO_ROWS = [0, 67, 65, 28, 73, 28, 28, 67, 67, 0, 0, 0, 0, 73, 73]


def cut_head(head: nn.Module) -> None:
    """Keep of the 80-class output layers the rows `COCO_ROWS`, in place."""
    for branch in head.cv3:
        old = branch[-1]
        new = nn.Conv2d(old.in_channels, CHANNELS, 1)
        new.weight.data, new.bias.data = old.weight.data[COCO_ROWS].clone(), old.bias.data[COCO_ROWS].clone()
        new.bias.data[len(LABELS) :] = 0.0  # a trait is judged on its owner: no prior against it
        branch[-1] = new
    head.nc, head.no = CHANNELS, CHANNELS + 4 * head.reg_max


def load_checkpoint(path: Path, task: str = "detect") -> YOLO:
    """A checkpoint as Ultralytics loads it.

    Raises:
        SetError: The file isn't there, or is none.
    """
    if not path.is_file():
        raise SetError(f"no weights {path} (a COCO checkpoint, or a scene model)")
    try:
        model = YOLO(str(path), task=task)
    except Exception as error:  # an unpickled file can raise anything
        raise SetError(f"{path} is no checkpoint: {first_line(error)}") from error
    if not isinstance(model.model, nn.Module):  # what doesn't end in .pt it believes to be an export, unread
        raise SetError(f"{path} is no checkpoint: its name doesn't end in .pt")
    return model


def load_start(start: Path, device: str, squares: Iterable[torch.Tensor] = ()) -> nn.Module:
    """The starting network with its head cut to `CHANNELS`, unless it already is.

    Args:
        start: A checkpoint, or the ONNX file of a scene model.
        device: Where it shall be.
        squares: Of the set, as the network takes them: an ONNX file's batch norms are measured on them.

    Raises:
        SetError: The file isn't there or holds another network.
    """
    exported = start.suffix == ".onnx" and start.is_file()
    model = (YOLO("yolo11n.yaml", task="detect") if exported else load_checkpoint(start)).model.float()
    head = model.model[-1]
    if head.nc not in (80, CHANNELS):
        raise SetError(f"{start} has {head.nc} classes: COCO's 80 or a scene model's {CHANNELS} will do")
    if head.nc == 80:
        cut_head(head)
    if exported:
        restore(model, start, squares)
    model.nc, model.names = CHANNELS, dict(enumerate((*LABELS, *TRAITS)))
    model.args = get_cfg()
    # Colours of a pixel side by side: a convolution in training is a third faster then on a CPU.
    return model.to(device, memory_format=torch.channels_last).requires_grad_()


def started_from(start: Path) -> lineage.Said:
    """What is known of a starting network, and the `name` that those made of it call it by.

    Raises:
        ModelError: The card beside it is of another file, or none.
        SetError: It isn't there, or is no network.
    """
    if start.suffix == ".onnx":
        said = lineage.of_onnx(start) or {"origin": "not said"}
        return said | {"name": f"{start.stem} ({sha256_of(start)[:12]})"}
    model = load_checkpoint(start)
    if "lineage" in (model.ckpt or {}):
        return lineage.of_training(model.ckpt["lineage"]) | {"name": f"{start.name} ({sha256_of(start)[:12]})"}
    if model.model.model[-1].nc == CHANNELS:
        return {"name": start.name, "origin": "Not written by models/train.py of today"}
    return {"name": start.name, "origin": "Ultralytics' COCO weights (AGPL-3.0)"}


def tensor_of(squares: np.ndarray, device: str) -> torch.Tensor:
    """Squares `(B, S, S, 3)` as a network takes them, `(B, 3, S, S)` RGB 0..1."""
    images = torch.from_numpy(squares).to(device).permute(0, 3, 1, 2).flip(1).float() / 255
    return images.contiguous(memory_format=torch.channels_last)
