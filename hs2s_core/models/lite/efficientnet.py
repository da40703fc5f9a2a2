"""EfficientNet-Lite's image layers up to stride 16 (Tan and Le, ICML 2019; its mobile variant).

Written from the published description: mobile inverted bottlenecks (Sandler et al., CVPR 2018)
without squeeze-and-excitation, with ReLU6. Tensor names are those of the published ImageNet
weights, whose preprocessing and padding (TensorFlow's "same") are kept.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from hs2s_core.models.inputs import rescale
from hs2s_core.models.layers import Conv

SCALES = ((1.0, 1.0), (1.0, 1.1), (1.1, 1.2))
"""Width and depth of Lite0, Lite1 and Lite2, as multiples of Lite0's."""
_STEM = 32
_EPS = 1e-3
# Kernel, stride, expansion, channels, blocks; the first five stages of the published Lite0. Neither
# the stem nor the first stage's depth grows.
_STAGES = (
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
)


_PRECISE = 2
"""Blocks from the first that stay in float32 where the rest is in bfloat16."""


class SameConv(Conv):
    """A convolution whose output has ``ceil(size / stride)`` cells, padded as TensorFlow does."""

    def __init__(
        self, in_channels: int, channels: int, kernel: int, stride: int = 1, groups: int = 1
    ) -> None:
        super().__init__(
            in_channels, channels, kernel, stride, kernel // 2, groups=groups, bias=False
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) to (N, channels, ceil(H / stride), ceil(W / stride))."""
        half = x.dtype is torch.bfloat16 and x.device.type == "cpu"
        if half and self.groups > 1 and torch.is_grad_enabled():
            # oneDNN has quick gradients of a depthwise convolution in float32 only; in bfloat16
            # they took a third of a training step.
            with torch.autocast("cpu", enabled=False):
                return self._convolve(x.float(), self.weight.float()).to(x.dtype)
        return self._convolve(x, self.weight)

    def _convolve(self, x: Tensor, weight: Tensor) -> Tensor:
        if self.stride[0] == 1:
            return self.convolve(x, weight, self.bias)
        # At stride 2 and an even size, TensorFlow pads one cell less before than after. Starting
        # one step early and leaving out the first result gives just that, without a padded copy.
        rows, columns = (1 - x.shape[2] % 2, 1 - x.shape[3] % 2)
        padding = (self.kernel_size[0] // 2 + rows, self.kernel_size[1] // 2 + columns)
        y = self.convolve(x, weight, self.bias, padding)
        return y[:, :, rows:, columns:]


class InvertedBottleneck(nn.Module):
    """Expand by 1 x 1, convolve each channel, project by 1 x 1; add the input where it fits."""

    def __init__(
        self, in_channels: int, channels: int, kernel: int, stride: int, expansion: int
    ) -> None:
        super().__init__()
        inner = in_channels * expansion
        self.expands = expansion > 1
        if self.expands:
            self._expand_conv = SameConv(in_channels, inner, 1)
            self._bn0 = nn.BatchNorm2d(inner, eps=_EPS)
            self._relu0 = nn.ReLU6(inplace=True)
        self._depthwise_conv = SameConv(inner, inner, kernel, stride, groups=inner)
        self._bn1 = nn.BatchNorm2d(inner, eps=_EPS)
        self._relu1 = nn.ReLU6(inplace=True)
        self._project_conv = SameConv(inner, channels, 1)
        self._bn2 = nn.BatchNorm2d(channels, eps=_EPS)
        self.adds = stride == 1 and in_channels == channels

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) to (N, channels, ceil(H / stride), ceil(W / stride))."""
        inner = self._relu0(self._bn0(self._expand_conv(x))) if self.expands else x
        inner = self._relu1(self._bn1(self._depthwise_conv(inner)))
        change: Tensor = self._bn2(self._project_conv(inner))
        return x + change if self.adds else change


class EfficientNetLite(nn.Module):
    """ImageNet-normalised frames in, maps at strides 2, 4, 8 and 16 out.

    ``size`` is the digit of the published network's name, a place in :data:`SCALES`.
    """

    def __init__(self, size: int = 0) -> None:
        super().__init__()
        wider, deeper = SCALES[size]
        self._conv_stem = SameConv(3, _STEM, 3, 2)
        self._bn0 = nn.BatchNorm2d(_STEM, eps=_EPS)
        self._relu0 = nn.ReLU6(inplace=True)
        blocks: list[InvertedBottleneck] = []
        channels = _STEM
        ends = []
        for stage, (kernel, stride, expansion, base, count) in enumerate(_STAGES):
            width = _in_eights(base * wider)
            for place in range(math.ceil(count * deeper) if stage else count):
                blocks.append(
                    InvertedBottleneck(
                        channels, width, kernel, stride if place == 0 else 1, expansion
                    )
                )
                channels = width
            ends.append(len(blocks) - 1)
        self._blocks = nn.ModuleList(blocks)
        # The last block of each stride; stages four and five share one.
        self._ends = (*ends[:3], ends[4])
        self.channels = tuple(_in_eights(_STAGES[i][3] * wider) for i in (0, 1, 2, 4))
        """Of the maps at strides 2, 4, 8 and 16."""

    def precise_parts(self) -> Sequence[nn.Module]:
        """What reads pixels and fine texture.

        In bfloat16 nearly all that half precision changes in masks comes from here
        (docs/speed.md).
        """
        return [self._conv_stem, *self._blocks[:_PRECISE]]

    def forward(self, frame: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Maps of ``frame`` (C, 3, H, W), each (C, channels, H, W) over its stride, rounded up."""
        # The published weights expect grey to be 0 and the range to be about [-1, 1].
        x = rescale(frame.to(self._conv_stem.weight.dtype), 255 / 128, -127 / 128)
        x = self._relu0(self._bn0(self._conv_stem(x)))
        rest = next(self._blocks[-1].parameters()).dtype
        half = rest in (torch.bfloat16, torch.float16)
        maps = []
        for place, block in enumerate(self._blocks):
            x = block(x.to(rest) if half and place >= _PRECISE else x)
            if place in self._ends:
                maps.append(x.to(rest) if half else x)
        s2, s4, s8, s16 = maps
        return s2, s4, s8, s16


def _in_eights(channels: float) -> int:
    """The nearest multiple of eight, as the published networks have it."""
    return int(channels + 4) // 8 * 8
