"""From the memory and what the references say to logits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from hs2s_core.models.layers import Conv, add_to
from hs2s_core.models.lite.blocks import JoinedConv
from hs2s_core.models.lite.trunk import ImageFeatures


class ImageShares(NamedTuple):
    """What the decoder makes of C frames, whatever their objects."""

    s8: Tensor
    """(C, 80, H/8, W/8)"""
    s4: Tensor
    """(C, 48, H/4, W/4)"""
    s2: Tensor
    """(C, 24, H/2, W/2)"""


class LiteDecoder(nn.Module):
    """Skip decoder from stride 8 to logits at stride 2, upsampled to the input size."""

    def __init__(
        self, memory_channels: int, reads: Sequence[int] = (), masks: Sequence[int] = ()
    ) -> None:
        super().__init__()
        self.memory = Conv(memory_channels, 64, 1)
        self.merge_s8 = JoinedConv([64, 80, *reads], 80, 1, image=1)
        self.conv_s8a = Conv(80, 80, 3, padding=1)
        self.conv_s8b = Conv(80, 80, 3, padding=1)
        self.merge_s4 = JoinedConv([80, 40, *masks], 48, 1, image=1)
        self.conv_s4 = Conv(48, 48, 3, padding=1)
        self.merge_s2 = JoinedConv([48, 24], 24, 1, image=1)
        self.conv_s2 = Conv(24, 16, 3, padding=1)
        self.logits = Conv(16, 1, 3, padding=1)
        # Most pixels are background.
        nn.init.constant_(self.logits.bias, -1.0)  # type: ignore[arg-type]

    def of_image(self, image: ImageFeatures) -> ImageShares:
        """The part that depends on the frames alone."""
        return ImageShares(
            self.merge_s8.of_image(image.s8),
            self.merge_s4.of_image(image.s4),
            self.merge_s2.of_image(image.s2),
        )

    def forward(
        self,
        h: Tensor,
        reads: Sequence[Tensor],
        image: ImageShares,
        masks: Sequence[Tensor],
        owner: Tensor,
        size: tuple[int, int],
    ) -> Tensor:
        """Logits (B, 1, *size).

        Args:
            h: (B, width, H/16, W/16), from the memory.
            reads: (B, ., H/8 or H/16, ...), from the references.
            image: :meth:`of_image` of C clips.
            masks: (B, ., H/4, W/4), from the mask stem.
            owner: (B,) int64, the clip of each object.
            size: (H, W) of the input.
        """
        x = self.merge_s8(image.s8, [self.memory(h), *reads], owner).relu_()
        x = add_to(self.conv_s8b(self.conv_s8a(x).relu_()), x).relu_()
        x = self.merge_s4(image.s4, [x, *masks], owner).relu_()
        x = add_to(self.conv_s4(x), x).relu_()
        x = self.merge_s2(image.s2, [x], owner).relu_()
        x = self.conv_s2(x).relu_()
        logits: Tensor = self.logits(x)
        return F.interpolate(logits, size=size, mode="bilinear", align_corners=False)
