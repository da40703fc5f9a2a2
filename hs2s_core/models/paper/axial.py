"""Axial-S encoder: a ResNet whose 3 x 3 convolutions are axial attention (paper Table 3).

Wang et al., "Axial-DeepLab" (2020), at half width with blocks 3, 4, 6, 3. Our decision: the
published code fixes the attention span to the training size; here offsets beyond the table
are clamped to its ends, so that any input size runs.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hs2s_core.models.paper.encoders import ConvStemEncoder, Features

HALF_SPAN = 65
"""Offsets -64..64 have relative positions of their own."""


class PositionSensitiveAttention(nn.Module):
    """Self-attention within lines, with relative positions for query, key and value.

    Queries and keys have half as many channels per group as values. Similarities and outputs
    are batch-normalised part by part before they are added.
    """

    def __init__(self, channels: int, groups: int = 8) -> None:
        super().__init__()
        self.groups = groups
        self.per_group = channels // groups
        self.qkv = nn.Conv1d(channels, 2 * channels, 1, bias=False)
        self.qkv_bn = nn.BatchNorm1d(2 * channels)
        self.similarity_bn = nn.BatchNorm2d(3 * groups)
        self.output_bn = nn.BatchNorm1d(2 * channels)
        spread = self.per_group**-0.5
        positions = torch.randn(2 * self.per_group, 2 * HALF_SPAN - 1)
        self.positions = nn.Parameter(spread * positions)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, length) in and out."""
        batch, channels, length = x.shape
        half = self.per_group // 2
        sizes = [half, half, self.per_group]
        qkv = self.qkv_bn(self.qkv(x)).view(batch, self.groups, 2 * self.per_group, length)
        q, k, v = torch.split(qkv, sizes, dim=2)
        q_at, k_at, v_at = torch.split(self._relative(length), sizes)
        parts = [
            torch.einsum("bgci,bgcj->bgij", q, k),
            torch.einsum("bgci,cij->bgij", q, q_at),
            torch.einsum("bgcj,cji->bgij", k, k_at),
        ]
        similarity = self.similarity_bn(torch.cat(parts, dim=1))
        similarity = similarity.view(batch, 3, self.groups, length, length).sum(1)
        weights = similarity.softmax(dim=-1)
        read = torch.stack(
            [
                torch.einsum("bgij,bgcj->bgci", weights, v),
                torch.einsum("bgij,cij->bgci", weights, v_at),
            ],
            dim=1,
        )
        parts_read: Tensor = self.output_bn(read.reshape(batch, 2 * channels, length))
        return parts_read.view(batch, 2, channels, length).sum(1)

    def _relative(self, length: int) -> Tensor:
        """Positions of every pair: (2 * per_group, length, length)."""
        index = torch.arange(length, device=self.positions.device)
        offset = (index[:, None] - index[None, :]).clamp(1 - HALF_SPAN, HALF_SPAN - 1)
        return self.positions[:, offset + HALF_SPAN - 1]


class AxialBlock(nn.Module):
    """Bottleneck block: 1 x 1, attention along columns then rows, 1 x 1; expands by 2."""

    def __init__(self, in_channels: int, planes: int, stride: int = 1) -> None:
        super().__init__()
        self.stride = stride
        self.down = nn.Conv2d(in_channels, planes, 1, bias=False)
        self.down_bn = nn.BatchNorm2d(planes)
        self.columns = PositionSensitiveAttention(planes)
        self.rows = PositionSensitiveAttention(planes)
        self.up = nn.Conv2d(planes, 2 * planes, 1, bias=False)
        self.up_bn = nn.BatchNorm2d(2 * planes)
        self.shortcut: nn.Sequential | None = None
        if stride > 1 or in_channels != 2 * planes:
            self.shortcut = nn.Sequential(
                nn.Conv2d(in_channels, 2 * planes, 1, stride, bias=False),
                nn.BatchNorm2d(2 * planes),
            )

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, h, w) to (B, 2 * planes, ceil(h / stride), ceil(w / stride))."""
        kept = x if self.shortcut is None else self.shortcut(x)
        x = self.down_bn(self.down(x)).relu()
        x = _along_columns(self.columns, x)
        x = _along_columns(self.rows, x.transpose(2, 3)).transpose(2, 3)
        if self.stride > 1:
            # Rounded up, as the shortcut's strided convolution does.
            x = F.avg_pool2d(x, self.stride, ceil_mode=True)
        y: Tensor = self.up_bn(self.up(x.relu())) + kept
        return y.relu()


def _along_columns(attention: nn.Module, x: Tensor) -> Tensor:
    """Apply ``attention`` (N, C, length) to each column of ``x`` (B, C, h, w)."""
    batch, channels, height, width = x.shape
    lines = x.permute(0, 3, 1, 2).reshape(batch * width, channels, height)
    y: Tensor = attention(lines).view(batch, width, channels, height).permute(0, 2, 3, 1)
    return y


class AxialEncoder(ConvStemEncoder):
    """Axial-ResNet behind the convolutional stem; k5 at stride 32."""

    # Only Axial-26-S has public ImageNet weights: these rows start unpretrained.
    image_layers = ()
    strides = (2, 4, 8, 16, 32)

    def __init__(self, out_channels: int, *, width: int = 32, with_mask: bool = True) -> None:
        super().__init__(width, with_mask)
        self.channels = (width, 4 * width, 8 * width, 16 * width, 32 * width)
        self.out_channels = out_channels
        stages, previous = [], width
        for channels, blocks, stride in zip(
            self.channels[1:], (3, 4, 6, 3), (1, 2, 2, 2), strict=True
        ):
            planes = channels // 2
            stage = [AxialBlock(previous, planes, stride)]
            stage += [AxialBlock(channels, planes) for _ in range(blocks - 1)]
            stages.append(nn.Sequential(*stage))
            previous = channels
        self.stages = nn.ModuleList(stages)
        self.reduce = nn.Conv2d(previous, out_channels, 1)
        self.reduce_bn = nn.BatchNorm2d(out_channels)

    def forward(self, stem: Tensor, mask: Tensor | None = None) -> Features:
        k1 = self._finish_stem(stem, mask)
        skips = [k1]
        x = F.max_pool2d(k1, 2)
        for stage in self.stages:
            x = stage(x)
            skips.append(x)
        return Features(tuple(skips), self.reduce_bn(self.reduce(x)).relu())
