"""Skip decoder and its heads (paper 4.1; authors' DecoderRef)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from hs2s_core.models.config import PaperConfig
from hs2s_core.models.layers import resize, size_of
from hs2s_core.models.paper.encoders import Encoder

BORDER_CLASSES = 42
"""Distance to the object's border in pixels, 20 bins on either side and their ends (H, R)."""


class Scores(NamedTuple):
    """What the heads say at the input size."""

    logits: Tensor
    """(B, 1, H, W)"""
    border: Tensor | None
    """(B, 42, H, W) class scores, or None for a decoder without that head."""


class DecoderStage(nn.Module):
    """1 x 1 + ReLU, bilinear upsampling, 5 x 5 + ReLU."""

    def __init__(self, in_channels: int, reduced: int, channels: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(in_channels, reduced, 1)
        self.refine = nn.Conv2d(reduced, channels, 5, padding=2)

    def forward(self, x: Tensor, size: tuple[int, int], align_corners: bool) -> Tensor:
        """(B, in_channels, h, w) to (B, channels, *size)."""
        x = resize(self.reduce(x).relu(), size, align_corners)
        y: Tensor = self.refine(x).relu()
        return y


class Heads(nn.Module):
    """Mask logits; with ``border`` they are read off the border scores and as many others.

    Without it one 3 x 3 convolution makes them (our decision: no source describes that head).
    """

    def __init__(self, channels: int, border: bool) -> None:
        super().__init__()
        self.border: nn.Conv2d | None = None
        self.auxiliary: nn.Conv2d | None = None
        if border:
            self.border = nn.Conv2d(channels, BORDER_CLASSES, 3, padding=1)
            self.auxiliary = nn.Conv2d(channels, BORDER_CLASSES, 3, padding=1)
            self.mask = nn.Conv2d(2 * BORDER_CLASSES, 1, 1)
        else:
            self.mask = nn.Conv2d(channels, 1, 3, padding=1)

    def forward(self, x: Tensor) -> Scores:
        """Scores of ``x`` (B, channels, H, W)."""
        if self.border is None or self.auxiliary is None:
            return Scores(self.mask(x), None)
        border = self.border(x)
        logits = self.mask(torch.cat([border, self.auxiliary(x)], dim=1).relu())
        return Scores(logits, border)


class SkipDecoder(nn.Module):
    """Five stages from the bottleneck to the input size, one skip joining before each.

    ``side`` are the channels of what joins next to each of the encoder's skips, k1..k5: fused
    references or memories. At full width 1024, 512, 256, 128, 64 after the 1 x 1 convolutions (the
    list that the paper prints) and 512, 256, 128, 64, 64 after the 5 x 5 (authors' code).
    """

    def __init__(
        self, config: PaperConfig, encoder: Encoder, in_channels: int, side: Sequence[int]
    ) -> None:
        super().__init__()
        self.align_corners, self.skips = config.align_corners, config.skips
        reduced = [config.decoder_width // 2**stage for stage in range(5)]
        widths = [*reduced[1:], reduced[-1]]
        if config.early_reduction:
            reduced[0] //= 2
        inputs = [in_channels, *widths[:-1]]
        skips = encoder.channels if config.skips else (0,) * 5
        joined = [skip + more for skip, more in zip(skips, side, strict=True)][::-1]
        self.stages = nn.ModuleList(
            [DecoderStage(inputs[i] + joined[i], reduced[i], widths[i]) for i in range(5)]
        )
        self.heads = Heads(widths[-1], config.border)

    def forward(
        self,
        x: Tensor,
        skips: Sequence[Tensor],
        side: Sequence[Tensor | None],
        size: tuple[int, int],
    ) -> Scores:
        """Decode ``x`` (B, in_channels, h, w) at the size of k5 to ``size`` (H, W).

        ``skips`` are k1..k5 (their sizes steer the upsampling even where they do not join),
        ``side`` what joins next to each.
        """
        sizes = [size, *[size_of(skip) for skip in skips]]
        for stage, level in zip(self.stages, range(len(skips) - 1, -1, -1), strict=True):
            parts = [x]
            if self.skips:
                parts.append(skips[level])
            more = side[level]
            if more is not None:
                parts.append(more)
            x = stage(torch.cat(parts, dim=1), sizes[level], self.align_corners)
        scores: Scores = self.heads(x)
        return scores
