"""Small pieces that several parts share."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

CLOSING_NORMS = ("bn3", "up_bn")
"""Names of the last norm of a residual block: torchvision's and the axial encoder's."""


def resize(x: Tensor, size: tuple[int, int], align_corners: bool = False) -> Tensor:
    """Bilinear ``x`` (B, C, h, w) at ``size`` (H, W); untouched where it has that size already."""
    if tuple(x.shape[2:]) == size:
        return x
    return F.interpolate(x, size=size, mode="bilinear", align_corners=align_corners)


def size_of(x: Tensor) -> tuple[int, int]:
    """Height and width of ``x`` (..., H, W)."""
    return x.shape[-2], x.shape[-1]


def initialise(module: nn.Module, mode: str = "fan_out") -> None:
    """Convolutions N(0, 2 / (k^2 C)) with bias 0, norms 1 and 0 (authors' code, RGMP).

    C is the number of output channels (``fan_out``, the authors') or of input channels
    (``fan_in``, ours for narrow networks: a layer then keeps the scale of its input).

    The last norm of each residual block starts at 0, so that the block starts as its shortcut (our
    decision): sums of many random blocks grow until rounding shows in the logits. ImageNet weights,
    loaded later, replace these values.
    """
    for name, part in module.named_modules():
        if isinstance(part, (nn.Conv1d, nn.Conv2d)):
            nn.init.kaiming_normal_(part.weight, mode=mode, nonlinearity="relu")  # type: ignore[arg-type]
            if part.bias is not None:
                nn.init.zeros_(part.bias)
        elif isinstance(part, (nn.BatchNorm1d, nn.BatchNorm2d)):
            closing = name.rpartition(".")[2] in CLOSING_NORMS
            nn.init.constant_(part.weight, 0.0 if closing else 1.0)
            nn.init.zeros_(part.bias)
