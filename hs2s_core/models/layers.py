"""Small pieces that several parts share."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


def resize(x: Tensor, size: tuple[int, int], align_corners: bool = False) -> Tensor:
    """Bilinear ``x`` (B, C, h, w) at ``size`` (H, W); untouched where it has that size already."""
    if tuple(x.shape[2:]) == size:
        return x
    return F.interpolate(x, size=size, mode="bilinear", align_corners=align_corners)


def size_of(x: Tensor) -> tuple[int, int]:
    """Height and width of ``x`` (..., H, W)."""
    return x.shape[-2], x.shape[-1]


def initialise(module: nn.Module) -> None:
    """Convolutions N(0, 2 / (k^2 C_out)) with bias 0, norms 1 and 0 (authors' code, RGMP)."""
    for part in module.modules():
        if isinstance(part, (nn.Conv1d, nn.Conv2d)):
            nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")
            if part.bias is not None:
                nn.init.zeros_(part.bias)
        elif isinstance(part, (nn.BatchNorm1d, nn.BatchNorm2d)):
            nn.init.ones_(part.weight)
            nn.init.zeros_(part.bias)
