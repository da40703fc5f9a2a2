"""Small pieces that several parts share."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

CLOSING_NORMS = ("bn3", "up_bn")
"""Names of the last norm of a residual block: torchvision's and the axial encoder's."""


class Conv(nn.Conv2d):
    """A convolution that may run in one pass with the activation after it, see :meth:`fuse`."""

    _fused: tuple[str, list[float]] | None = None

    def fuse(self, activation: nn.Module | None) -> bool:
        """Only infer from now on, on a CPU, with ``activation`` on the result; whether it can.

        What oneDNN computes at once passes through memory once. Without an activation, too, it is
        sooner: PyTorch leaves 1 x 1 convolutions to another library where it has one thread, and
        copies maps for it.
        """
        if activation is None:
            self._fused = "none", []
        elif isinstance(activation, nn.ReLU6):
            self._fused = "hardtanh", [0.0, 6.0]
        elif isinstance(activation, nn.ReLU):
            self._fused = "relu", []
        else:
            return False
        return True

    def convolve(
        self, x: Tensor, weight: Tensor, bias: Tensor | None, padding: tuple[int, ...] | None = None
    ) -> Tensor:
        """This convolution of ``x`` with another weight, bias or padding."""
        places = self.padding if padding is None else padding
        if self._fused is None:
            return F.conv2d(x, weight, bias, self.stride, places, self.dilation, self.groups)
        # What compiled networks call, too; PyTorch documents none of it.
        y: Tensor = torch.ops.mkldnn._convolution_pointwise(
            x, weight, bias, places, self.stride, self.dilation, self.groups, *self._fused, ""
        )
        return y

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) to (N, out_channels, ., .), as :class:`torch.nn.Conv2d`."""
        return self.convolve(x, self.weight, self.bias)


def resize(x: Tensor, size: tuple[int, int], align_corners: bool = False) -> Tensor:
    """Bilinear ``x`` (B, C, h, w) at ``size`` (H, W); untouched where it has that size already."""
    if tuple(x.shape[2:]) == size:
        return x
    return F.interpolate(x, size=size, mode="bilinear", align_corners=align_corners)


def add_to(fresh: Tensor, x: Tensor) -> Tensor:
    """The sum of both, in the memory of ``fresh``, which nothing else may need.

    Large maps are mapped into memory anew at each allocation, which takes longer than the sum.
    """
    kept = torch.promote_types(fresh.dtype, x.dtype) == fresh.dtype
    return fresh.add_(x) if kept else fresh + x


def size_of(x: Tensor) -> tuple[int, int]:
    """Height and width of ``x`` (..., H, W)."""
    return x.shape[-2], x.shape[-1]


def let_norms_through(model: nn.Module) -> None:
    """Make a network that only shows shapes do so sooner.

    On the meta device batch norms are most of the work; they change no shape, have no
    multiply-adds that would be counted, and what they say does not matter then.
    """
    for part in model.modules():
        if isinstance(part, _BatchNorm):
            part.forward = Tensor.detach  # type: ignore[method-assign, assignment]


def initialise(module: nn.Module, mode: str = "fan_out") -> None:
    """Convolutions N(0, 2 / (k^2 C)) with bias 0, norms 1 and 0 (authors' code, RGMP).

    C is the number of output channels (``fan_out``, the authors') or of input channels
    (``fan_in``, ours for narrow networks: a layer then keeps the scale of its input).

    The last norm of each residual block starts at 0, so that the block starts as its shortcut (our
    decision): sums of many random blocks grow until rounding shows in the logits. ImageNet weights,
    loaded later, replace these values. On the meta device there are none, and nothing is done.
    """
    if next(module.parameters()).is_meta:
        return
    for name, part in module.named_modules():
        if isinstance(part, (nn.Conv1d, nn.Conv2d)):
            nn.init.kaiming_normal_(part.weight, mode=mode, nonlinearity="relu")  # type: ignore[arg-type]
            if part.bias is not None:
                nn.init.zeros_(part.bias)
        elif isinstance(part, (nn.BatchNorm1d, nn.BatchNorm2d)):
            closing = name.rpartition(".")[2] in CLOSING_NORMS
            nn.init.constant_(part.weight, 0.0 if closing else 1.0)
            nn.init.zeros_(part.bias)
