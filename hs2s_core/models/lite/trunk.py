"""What the lite networks see: an image trunk shared by all, and a stem for masks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from hs2s_core.models.base import VideoSegmenter
from hs2s_core.models.config import LiteConfig
from hs2s_core.models.layers import Conv, resize, size_of
from hs2s_core.models.lite.blocks import ConvBlock, ResidualBlock
from hs2s_core.models.lite.efficientnet import EfficientNetLite
from hs2s_core.models.memory import at_least_float32

WIDTHS = (24, 40, 80, 128)
"""Channels of a trunk's maps at strides 2, 4, 8 and 16."""


class ImageFeatures(NamedTuple):
    """What the trunk sees in C frames; sizes relative to the input, rounded up."""

    s2: Tensor
    """(C, 24, H/2, W/2)"""
    s4: Tensor
    """(C, 40, H/4, W/4)"""
    s8: Tensor
    """(C, 80, H/8, W/8)"""
    s16: Tensor
    """(C, 128, H/16, W/16)"""
    key: Tensor | None
    """(C, K, H/8, W/8) unit vectors over channels, compared between frames; float32 at least."""


class MaskFeatures(NamedTuple):
    """What the mask stem sees in B masks."""

    s4: Tensor
    """(B, 16, H/4, W/4)"""
    s8: Tensor
    """(B, 32, H/8, W/8)"""


class Trunk(nn.Module, ABC):
    """Base of the image encoders shared by the current frame and all references.

    Without ``key_channels`` it makes no keys, for a network that compares no frames.
    """

    def __init__(self, key_channels: int | None) -> None:
        super().__init__()
        self.keys = key_channels is not None
        if key_channels is not None:
            self.key_s8 = Conv(WIDTHS[2], key_channels, 3, padding=1)
            self.key_s16 = Conv(WIDTHS[3], key_channels, 1)

    @abstractmethod
    def maps(self, frame: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Maps of ``frame`` (C, 3, H, W) at strides 2, 4, 8 and 16, of :data:`WIDTHS` channels."""

    def backbones(self) -> Sequence[EfficientNetLite]:
        """The part for which there are ImageNet weights."""
        return ()

    def forward(self, frame: Tensor) -> ImageFeatures:
        """Features of ``frame`` (C, 3, H, W)."""
        s2, s4, s8, s16 = self.maps(frame)
        if not self.keys:
            return ImageFeatures(s2, s4, s8, s16, None)
        key = self.key_s8(s8) + resize(self.key_s16(s16), size_of(s8))
        # A unit vector in bfloat16 has lost what sets neighbours apart.
        return ImageFeatures(s2, s4, s8, s16, F.normalize(at_least_float32(key), dim=1))


class SmallTrunk(Trunk):
    """Ours, trained from scratch: what version 2 of the bundled weights had."""

    def __init__(self, key_channels: int | None) -> None:
        super().__init__(key_channels)
        self.s2 = ConvBlock(3, 24, stride=2)
        self.s4 = nn.Sequential(ConvBlock(24, 40, stride=2), ResidualBlock(40))
        self.s8 = nn.Sequential(ConvBlock(40, 80, stride=2), ResidualBlock(80))
        self.s16 = nn.Sequential(
            ConvBlock(80, 128, stride=2), ResidualBlock(128), ResidualBlock(128)
        )

    def maps(self, frame: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        s2 = self.s2(frame)
        s4 = self.s4(s2)
        s8 = self.s8(s4)
        return s2, s4, s8, self.s16(s8)


class EfficientNetTrunk(Trunk):
    """EfficientNet-Lite, which may start from ImageNet, and a 1 x 1 convolution per stride."""

    def __init__(self, key_channels: int | None, size: int) -> None:
        super().__init__(key_channels)
        self.body = EfficientNetLite(size)
        self.lateral = nn.ModuleList(
            ConvBlock(found, width, kernel=1)
            for found, width in zip(self.body.channels, WIDTHS, strict=True)
        )

    def maps(self, frame: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        s2, s4, s8, s16 = (
            lateral(x) for lateral, x in zip(self.lateral, self.body(frame), strict=True)
        )
        return s2, s4, s8, s16

    def backbones(self) -> Sequence[EfficientNetLite]:
        return (self.body,)


def build_trunk(config: LiteConfig) -> Trunk:
    """The trunk that ``config`` names; with keys where references are compared."""
    keys = config.key_width if config.references else None
    if config.encoder == "small":
        return SmallTrunk(keys)
    return EfficientNetTrunk(keys, int(config.encoder.removeprefix("efficientnet_lite")))


class LiteSegmenter(VideoSegmenter):
    """Base of the lite networks."""

    config: LiteConfig
    stride = 16
    trunk: Trunk

    def backbones(self) -> Sequence[EfficientNetLite]:
        return self.trunk.backbones()

    def precise_parts(self) -> Sequence[nn.Module]:
        return [part for body in self.trunk.backbones() for part in body.precise_parts()]


class MaskStem(nn.Module):
    """Strided convolutions that bring a soft mask to strides 4 and 8."""

    def __init__(self) -> None:
        super().__init__()
        self.s4 = nn.Sequential(ConvBlock(1, 8, stride=2), ConvBlock(8, 16, stride=2))
        self.s8 = ConvBlock(16, 32, stride=2)

    def forward(self, mask: Tensor) -> MaskFeatures:
        """Features of ``mask`` (B, 1, H, W) in [0, 1]."""
        s4 = self.s4(mask)
        return MaskFeatures(s4, self.s8(s4))
