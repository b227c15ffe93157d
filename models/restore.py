"""A scene model's ONNX file enters, a network that can be trained on leaves.

The file holds convolutions into which batch norms were folded. They are unfolded so that the network gives the same
output before the first step, also by the statistics of a training batch: each norm's mean and variance are what the
convolution before it really gives for training squares, its scale and shift are what undoes them.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from bare import read_network
from manifest import SetError
from onnx import numpy_helper
from torch import nn
from ultralytics.nn.modules import Conv


def restore(model: nn.Module, path: Path, batches: Iterable[torch.Tensor]) -> None:
    """Give a network the weights of an ONNX file, in place.

    Args:
        model: Of the architecture that was exported, its head cut to the same channels.
        path: The fp32 file.
        batches: Training squares `(B, 3, S, S)` RGB 0..1 that show what convolutions give; a few dozen squares do.

    Raises:
        SetError: The file is no network, or one of another architecture.
    """
    weights = {one.name: numpy_helper.to_array(one) for one in read_network(path).graph.initializer}

    def weight(name: str, like: torch.Tensor) -> torch.Tensor:
        found = weights.get(name)
        if found is None or found.shape != tuple(like.shape):
            shape = "nothing" if found is None else str(list(found.shape))
            raise SetError(f"{path} is no scene model to go on from: {name} should be {list(like.shape)}, is {shape}")
        return torch.from_numpy(np.array(found))

    norms = {}
    with torch.no_grad():
        for name, module in model.named_modules():
            if isinstance(module, Conv):
                module.conv.weight.copy_(weight(f"{name}.conv.weight", module.conv.weight))
                norm = module.bn
                norm.weight.fill_(1.0)
                norm.bias.copy_(weight(f"{name}.conv.bias", norm.bias))
                norm.running_mean.zero_()
                norm.running_var.fill_(1.0 - norm.eps)
                norms[norm] = _Seen()
            elif isinstance(module, nn.Conv2d) and module.bias is not None:
                module.weight.copy_(weight(f"{name}.weight", module.weight))
                module.bias.copy_(weight(f"{name}.bias", module.bias))
        hooks = [norm.register_forward_pre_hook(seen) for norm, seen in norms.items()]
        model.eval()
        for batch in batches:
            model(batch)
        for hook in hooks:
            hook.remove()
        for norm, seen in norms.items():
            mean, variance = seen.mean, seen.variance
            norm.running_mean.copy_(mean)
            norm.running_var.copy_(variance)
            norm.weight.copy_((variance + norm.eps).sqrt())
            norm.bias.add_(mean)


class _Seen:
    """Mean and variance of each channel over all that a norm was given."""

    def __init__(self) -> None:
        self._count, self._sum, self._squares = 0, 0.0, 0.0

    def __call__(self, _: nn.Module, given: tuple[torch.Tensor]) -> None:
        values = given[0].double()
        self._count += values.numel() // values.shape[1]
        self._sum = self._sum + values.sum((0, 2, 3))
        self._squares = self._squares + values.square().sum((0, 2, 3))

    @property
    def mean(self) -> torch.Tensor:
        return (self._sum / self._count).float()

    @property
    def variance(self) -> torch.Tensor:
        return (self._squares / self._count - (self._sum / self._count) ** 2).clamp(min=0).float()
