"""Fusions: what the references know joins what the memory remembers (paper 3.1, 4.5)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from hs2s_core.config import ModelConfig
from hs2s_core.errors import InvalidConfig


class GlobalConvolution(nn.Module):
    """Large-kernel block of paper eq. 10: a 7 x 7 field from two separable paths, linear inside.

    Peng et al., "Large Kernel Matters" (2017), as RGMP and the authors' code use it.
    """

    def __init__(self, in_channels: int, channels: int, size: int = 7) -> None:
        super().__init__()
        half, pad = channels // 2, size // 2
        self.left = nn.Sequential(
            nn.Conv2d(in_channels, half, (size, 1), padding=(pad, 0)),
            nn.Conv2d(half, channels, (1, size), padding=(0, pad)),
        )
        self.right = nn.Sequential(
            nn.Conv2d(in_channels, half, (1, size), padding=(0, pad)),
            nn.Conv2d(half, channels, (size, 1), padding=(pad, 0)),
        )

    def forward(self, reference: Tensor, h: Tensor) -> Tensor:
        """Fuse ``reference`` (B, R, h, w) and ``h`` (B, M, h, w) into (B, channels, h, w)."""
        x = torch.cat([reference, h], dim=1)
        y: Tensor = self.left(x) + self.right(x)
        return y


class ReferenceFusion(nn.Module):
    """One branch per reference, then one 1 x 1 convolution over them (authors' DecoderRef)."""

    def __init__(self, branches: Mapping[str, nn.Module], channels: int) -> None:
        super().__init__()
        self.branches = nn.ModuleDict(branches)
        self.merge = nn.Conv2d(len(branches) * channels, channels, 1)

    def forward(self, references: Mapping[str, Tensor], h: Tensor) -> Tensor:
        """Fuse each of ``references`` (B, R, h, w) with ``h`` (B, M, h, w): (B, channels, h, w)."""
        parts = [branch(references[name], h).relu() for name, branch in self.branches.items()]
        fused: Tensor = self.merge(torch.cat(parts, dim=1)).relu()
        return fused


def build_fusion(config: ModelConfig, reference_channels: int, h_channels: int) -> ReferenceFusion:
    """The fusion that ``config`` names, with weights of its own for each reference."""
    channels = config.fusion_width
    branches: dict[str, nn.Module] = {}
    for name in config.references:
        if config.fusion != "global_convolution":
            raise InvalidConfig(
                f"fusion {config.fusion!r} cannot be used with system {config.system!r}; "
                "expected global_convolution"
            )
        branches[name] = GlobalConvolution(reference_channels + h_channels, channels)
    return ReferenceFusion(branches, channels)
