"""Convolutions whose weights are laid out once for the processor, not anew at every call.

PyTorch's CPU kernels bring a convolution's weights into an order of their own each time. For a
network with 400 M of them that, and reading them in an order that suits no cache, is a third of
the time. These layers only infer.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_LEAST = 1 << 20
"""Weights below which laying them out costs nothing, and oneDNN's own choice of order is best."""
_LARGE = 256
"""Channels on both sides from which transformed tiles cost less than they save."""


def pack(conv: nn.Conv2d, dtype: torch.dtype) -> nn.Module:
    """The convolution that says the same as ``conv`` on a CPU, sooner; computes in ``dtype``."""
    if dtype is torch.float32 and tiled(conv):
        return TiledConv(conv)
    return PackedConv(conv, dtype)


def can_infer(dtype: torch.dtype) -> bool:
    """Whether oneDNN's layers for inference are there, and compute in ``dtype``."""
    # What compiled networks call, too; PyTorch documents none of it.
    if not hasattr(torch.ops.mkldnn, "_reorder_convolution_weight"):
        return False
    if dtype is torch.bfloat16:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return dtype is torch.float32


def can_pack(conv: nn.Conv2d, dtype: torch.dtype) -> bool:
    """Whether :class:`PackedConv` is there, fits ``conv`` and gains anything."""
    if not can_infer(dtype) or conv.weight.numel() < _LEAST:
        return False
    return conv.padding_mode == "zeros" and not isinstance(conv.padding, str)


class PackedConv(nn.Module):
    """A convolution in oneDNN's order of weights, chosen for the size of the first input.

    Inputs of other sizes and batches will do as well. Takes any floating type, returns ``dtype``.
    """

    def __init__(self, conv: nn.Conv2d, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype = dtype
        self.bias = None if conv.bias is None else conv.bias.detach().to(dtype, copy=True)
        self.places = list(conv.padding), list(conv.stride), list(conv.dilation)
        self.groups = conv.groups
        self.plain: Tensor | None = conv.weight.detach().to(dtype, copy=True)
        self.packed: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        x = x.to(self.dtype, memory_format=torch.channels_last)
        if self.packed is None:
            self.packed = torch.ops.mkldnn._reorder_convolution_weight(
                self.plain, *self.places, self.groups, list(x.shape)
            )
            self.plain = None
        y: Tensor = torch.ops.mkldnn._convolution_pointwise(
            x, self.packed, self.bias, *self.places, self.groups, "none", [], ""
        )
        return y


def tiled(conv: nn.Conv2d) -> bool:
    """Whether :class:`TiledConv` computes this one, and sooner."""
    plain = conv.stride == conv.dilation == (1, 1) and conv.groups == 1
    square = conv.kernel_size == (5, 5) and conv.padding == (2, 2)
    return plain and square and min(conv.in_channels, conv.out_channels) >= _LARGE


class TiledConv(nn.Module):
    """A 5 x 5 convolution with 36 products for 2 x 2 outputs where it takes 100 as defined.

    Winograd's minimal filtering (Lavin and Gray 2016) for F(2 x 2, 5 x 5): outputs, kernel and
    input tile are polynomials, multiplied at the points 0, 1, -1, 2, -2 and infinity. In float32
    rounding stays that of the plain sum; in half precision the tiles' sums would lose digits.
    """

    tile: Tensor
    outputs: Tensor
    weight: Tensor

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        weight = conv.weight.detach().double()
        points = torch.tensor([0.0, 1.0, -1.0, 2.0, -2.0], dtype=torch.float64)
        powers = points[:, None] ** torch.arange(6)
        top = torch.tensor([[0.0] * 5 + [1.0]], dtype=torch.float64)
        kernel = torch.cat([powers[:, :5], top[:, 1:]])
        outputs = torch.cat([powers[:, :2], top[:, 4:]]).T
        # Interpolation, transposed: what brings six products back to the tile's six places.
        tile = torch.linalg.inv(torch.cat([powers, top])).T
        self.register_buffer("tile", tile.to(conv.weight), persistent=False)
        self.register_buffer("outputs", outputs.to(conv.weight), persistent=False)
        weight = torch.einsum("ua,vb,oiab->vuio", kernel, kernel, weight)
        shape = (36, conv.in_channels, conv.out_channels)
        self.register_buffer("weight", weight.reshape(shape).to(conv.weight), persistent=False)
        self.bias = None if conv.bias is None else conv.bias.detach().clone()

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        down, across = -(-height // 2), -(-width // 2)
        x = F.pad(x, (2, 2 + 2 * across - width, 2, 2 + 2 * down - height)).permute(2, 3, 0, 1)
        rows = torch.stack([x[at : at + 2 * down - 1 : 2] for at in range(6)]).flatten(1)
        x = (self.tile @ rows).view(6, down, 2 * across + 4, batch, channels)
        columns = torch.stack([x[:, :, at : at + 2 * across - 1 : 2] for at in range(6)])
        tiles = (self.tile @ columns.flatten(1)).view(36, -1, channels)
        y = torch.bmm(tiles, self.weight)  # (v u, down across batch, out)
        y = (self.outputs @ y.view(6, -1)).view(2, 6, -1).transpose(0, 1).reshape(6, -1)
        y = (self.outputs @ y).view(2, 2, down, across, batch, -1)  # row, column, tile
        y = y.permute(4, 2, 0, 3, 1, 5).reshape(batch, 2 * down, 2 * across, -1)
        y = y[:, :height, :width].permute(0, 3, 1, 2)
        return y if self.bias is None else y + self.bias[:, None, None]
