"""Fusions: what a reference knows joins what the memory remembers (paper 3.1, 4.5).

Every fusion takes ``reference`` (B, C, h, w) and ``h`` (B, C, h, w) to (B, channels, h, w).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hs2s_core.models.config import PaperConfig


class GlobalConvolution(nn.Module):
    """Large-kernel block of paper eq. 10: a 7 x 7 field from two separable paths, linear inside.

    Peng et al., "Large Kernel Matters" (2017), as RGMP and the authors' code use it.
    """

    def __init__(self, in_channels: int, channels: int, inner: int | None = None) -> None:
        super().__init__()
        inner = inner or channels // 2
        self.left = nn.Sequential(
            nn.Conv2d(2 * in_channels, inner, (7, 1), padding=(3, 0)),
            nn.Conv2d(inner, channels, (1, 7), padding=(0, 3)),
        )
        self.right = nn.Sequential(
            nn.Conv2d(2 * in_channels, inner, (1, 7), padding=(0, 3)),
            nn.Conv2d(inner, channels, (7, 1), padding=(3, 0)),
        )

    def forward(self, reference: Tensor, h: Tensor) -> Tensor:
        """Fuse ``reference`` and ``h``."""
        x = torch.cat([reference, h], dim=1)
        y: Tensor = self.left(x) + self.right(x)
        return y


class CosineSimilarity(nn.Module):
    """Each position of h reads the reference where it is most alike (Table 5; our decision).

    All-pairs cosine, softmax over the reference's positions at a learned temperature, then one
    1 x 1 convolution over h and what was read.
    """

    def __init__(self, in_channels: int, channels: int, temperature: float = 10.0) -> None:
        super().__init__()
        self.temperature = nn.Parameter(torch.tensor(temperature))
        self.merge = nn.Conv2d(2 * in_channels, channels, 1)

    def forward(self, reference: Tensor, h: Tensor) -> Tensor:
        """Fuse ``reference`` and ``h``."""
        query = F.normalize(h.flatten(2), dim=1).transpose(1, 2)
        key = F.normalize(reference.flatten(2), dim=1)
        weights = (self.temperature * (query @ key)).softmax(dim=-1)
        read = (reference.flatten(2) @ weights.transpose(1, 2)).view_as(h)
        y: Tensor = self.merge(torch.cat([h, read], dim=1))
        return y


class AxialAttention(nn.Module):
    """1 x 1 convolution, then self-attention along columns and along rows (Ho et al. 2019).

    Each attention is multi-head with a residual; a layer norm before it keeps the softmax soft
    (our decision). Learned positions of either axis are interpolated to the size at hand.
    """

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(2 * in_channels, channels, 1)
        self.rows = nn.Parameter(0.02 * torch.randn(1, channels, 32))
        self.columns = nn.Parameter(0.02 * torch.randn(1, channels, 32))
        self.along_columns = LineAttention(channels, heads=8)
        self.along_rows = LineAttention(channels, heads=8)

    def forward(self, reference: Tensor, h: Tensor) -> Tensor:
        """Fuse ``reference`` and ``h``."""
        x = self.reduce(torch.cat([reference, h], dim=1))
        height, width = x.shape[2:]
        rows, columns = _stretch(self.rows, height), _stretch(self.columns, width)
        x = x + rows.unsqueeze(3) + columns.unsqueeze(2)
        x = x.permute(0, 3, 2, 1)  # (B, w, h, C): columns are lines
        x = (x + self.along_columns(x)).transpose(1, 2)  # (B, h, w, C): rows are lines
        y: Tensor = x + self.along_rows(x)
        return y.permute(0, 3, 1, 2)


class LineAttention(nn.Module):
    """Multi-head self-attention within each line of (B, lines, length, C)."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(channels)
        self.qkv = nn.Linear(channels, 3 * channels, bias=False)
        self.out = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Attention output, to be added to ``x``."""
        batch, lines, length, channels = x.shape
        qkv = self.qkv(self.norm(x)).view(batch * lines, length, 3, self.heads, -1)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        read = F.scaled_dot_product_attention(q, k, v)
        y: Tensor = self.out(read.transpose(1, 2).reshape(batch, lines, length, channels))
        return y


def _stretch(positions: Tensor, length: int) -> Tensor:
    return F.interpolate(positions, size=length, mode="linear", align_corners=True)


class ReferenceFusion(nn.Module):
    """One branch per reference, then one 1 x 1 convolution over them (authors' DecoderRef)."""

    def __init__(self, branches: Mapping[str, nn.Module], channels: int) -> None:
        super().__init__()
        self.branches = nn.ModuleDict(branches)
        self.merge = nn.Conv2d(len(branches) * channels, channels, 1)

    def forward(self, references: Mapping[str, Tensor], h: Tensor) -> Tensor:
        """Fuse each of ``references`` with ``h``: (B, channels, h, w), not negative."""
        parts = [branch(references[name], h).relu() for name, branch in self.branches.items()]
        fused: Tensor = self.merge(torch.cat(parts, dim=1)).relu()
        return fused


def build_fusion(config: PaperConfig, in_channels: int) -> ReferenceFusion:
    """The fusion that ``config`` names, with weights of its own for each reference."""

    def branch() -> nn.Module:
        if config.fusion == "cosine":
            return CosineSimilarity(in_channels, config.fusion_width)
        if config.fusion == "axial_attention":
            return AxialAttention(in_channels, config.fusion_width)
        return GlobalConvolution(in_channels, config.fusion_width, config.fusion_inner or None)

    return ReferenceFusion({name: branch() for name in config.references}, config.fusion_width)
