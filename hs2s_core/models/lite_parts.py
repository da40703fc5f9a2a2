"""The parts that HS2S-lite and S2S-lite are assembled from: trunk, stem, matching, decoder."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn


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
    """(C, K, H/8, W/8) unit vectors over channels, compared between frames."""


class MaskFeatures(NamedTuple):
    """What the mask stem sees in B masks."""

    s4: Tensor
    """(B, 16, H/4, W/4)"""
    s8: Tensor
    """(B, 32, H/8, W/8)"""


class Reference(NamedTuple):
    """A frame that later ones are compared with, per object."""

    key: Tensor
    """(B, K, H/s, W/s) with s the stride of the matching."""
    value: Tensor
    """(B, V, H/s, W/s); the last channel is the mask, averaged over its s x s pixels."""


class ConvBlock(nn.Sequential):
    """3 x 3 convolution, batch norm, ReLU."""

    def __init__(self, in_channels: int, channels: int, stride: int = 1) -> None:
        super().__init__(
            nn.Conv2d(in_channels, channels, 3, stride, 1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
        )


class JoinedConv(nn.Conv2d):
    """A convolution over the concatenation of several maps, computed map by map.

    The sum is the same, and each map is convolved where that is cheapest: the image's once per
    clip, not once per object, and a coarse one (if the kernel is 1 x 1) before it is enlarged.
    """

    def __init__(
        self, channels: Sequence[int], out_channels: int, kernel_size: int, *, image: int
    ) -> None:
        padding = kernel_size // 2
        super().__init__(sum(channels), out_channels, kernel_size, padding=padding)
        self.image = image
        """Which of the maps is the image's; it has the size of the result."""

    def forward(self, maps: Sequence[Tensor], owner: Tensor) -> Tensor:  # type: ignore[override]
        """(B, out, H, W) from maps of B objects, but for the image's, of C clips.

        ``owner`` (B,) int64 is the clip of each object.
        """
        parts = torch.split(self.weight, [x.shape[1] for x in maps], dim=1)
        image = F.conv2d(maps[self.image], parts[self.image], self.bias, padding=self.padding)
        total = per_object(image, owner)
        for place, (x, part) in enumerate(zip(maps, parts, strict=True)):
            if place != self.image:
                x = F.conv2d(x, part, padding=self.padding)
                total = total + (x if x.shape[2:] == total.shape[2:] else _resize(x, total))
        return total


class JoinedBlock(nn.Sequential):
    """:class:`JoinedConv` over an image's map and each object's, batch norm, ReLU."""

    def __init__(self, image_channels: int, object_channels: int, channels: int) -> None:
        conv = JoinedConv([image_channels, object_channels], channels, 3, image=0)
        conv.register_parameter("bias", None)
        super().__init__(conv, nn.BatchNorm2d(channels), nn.ReLU(inplace=True))

    def forward(self, image: Tensor, of_objects: Tensor, owner: Tensor) -> Tensor:  # type: ignore[override]
        """(C, ., H, W) and (B, ., H, W) to (B, channels, H, W)."""
        conv, norm, relu = self
        joined: Tensor = relu(norm(conv([image, of_objects], owner)))
        return joined


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions and the identity; starts as the identity (last norm at 0)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = ConvBlock(channels, channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)
        nn.init.zeros_(self.norm2.weight)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) in and out."""
        change: Tensor = self.norm2(self.conv2(self.conv1(x)))
        return (x + change).relu()


class Trunk(nn.Module):
    """Image encoder shared by the current frame and both references.

    Without ``key_channels`` it makes no keys, for a network that compares no frames.
    """

    def __init__(self, key_channels: int | None) -> None:
        super().__init__()
        self.s2 = ConvBlock(3, 24, stride=2)
        self.s4 = nn.Sequential(ConvBlock(24, 40, stride=2), ResidualBlock(40))
        self.s8 = nn.Sequential(ConvBlock(40, 80, stride=2), ResidualBlock(80))
        self.s16 = nn.Sequential(
            ConvBlock(80, 128, stride=2), ResidualBlock(128), ResidualBlock(128)
        )
        self.keys = key_channels is not None
        if key_channels is not None:
            self.key_s8 = nn.Conv2d(80, key_channels, 3, padding=1)
            self.key_s16 = nn.Conv2d(128, key_channels, 1)

    def forward(self, frame: Tensor) -> ImageFeatures:
        """Features of ``frame`` (C, 3, H, W)."""
        s2 = self.s2(frame)
        s4 = self.s4(s2)
        s8 = self.s8(s4)
        s16 = self.s16(s8)
        if not self.keys:
            return ImageFeatures(s2, s4, s8, s16, None)
        key = self.key_s8(s8) + _resize(self.key_s16(s16), s8)
        return ImageFeatures(s2, s4, s8, s16, F.normalize(key, dim=1))


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


class PositionMatching(nn.Module):
    """Attention of the current frame's positions over a reference's positions.

    Similarity is ``temperature * cos(q, k) - closeness * d^2`` with d the distance between the
    positions as a fraction of the geometric mean of the frame's sides; both factors are
    learned. Expanding d^2 turns the prior into three more channels of the dot product, so
    the fused attention kernels apply.
    """

    def __init__(self, temperature: float, closeness: float | None) -> None:
        super().__init__()
        self.log_temperature = nn.Parameter(torch.tensor(math.log(temperature)))
        # Without it, likeness alone counts: the paper's cosine fusion (section 4.5).
        self.log_closeness = (
            None if closeness is None else nn.Parameter(torch.tensor(math.log(closeness)))
        )

    def forward(self, query: Tensor, reference: Reference) -> Tensor:
        """Read ``reference.value`` at each position of ``query`` (B, K, h, w): (B, V, h, w)."""
        height, width = query.shape[2:]
        temperature = self.log_temperature.clamp(max=4.6).exp()
        closeness = 0.0 if self.log_closeness is None else self.log_closeness.exp()
        y, x = _positions(height, width, query)
        ones = torch.ones_like(y)
        near_query = closeness * torch.stack([2 * y, 2 * x, ones])
        near_key = torch.stack([y, x, -(y.square() + x.square())])
        batch = query.shape[0]
        q = torch.cat([temperature * query, near_query.expand(batch, -1, -1, -1)], dim=1)
        k = torch.cat([reference.key, near_key.expand(batch, -1, -1, -1)], dim=1)
        read = F.scaled_dot_product_attention(
            _tokens(q), _tokens(k), _tokens(reference.value), scale=1.0
        )
        return read.squeeze(1).transpose(1, 2).reshape(batch, -1, height, width)


class LiteDecoder(nn.Module):
    """Skip decoder from stride 8 to logits at stride 2, upsampled to the input size."""

    def __init__(
        self, memory_channels: int, reads: Sequence[int] = (), masks: Sequence[int] = ()
    ) -> None:
        super().__init__()
        self.memory = nn.Conv2d(memory_channels, 64, 1)
        self.merge_s8 = JoinedConv([64, 80, *reads], 80, 1, image=1)
        self.conv_s8a = nn.Conv2d(80, 80, 3, padding=1)
        self.conv_s8b = nn.Conv2d(80, 80, 3, padding=1)
        self.merge_s4 = JoinedConv([80, 40, *masks], 48, 1, image=1)
        self.conv_s4 = nn.Conv2d(48, 48, 3, padding=1)
        self.merge_s2 = JoinedConv([48, 24], 24, 1, image=1)
        self.conv_s2 = nn.Conv2d(24, 16, 3, padding=1)
        self.logits = nn.Conv2d(16, 1, 3, padding=1)
        # Most pixels are background.
        nn.init.constant_(self.logits.bias, -1.0)  # type: ignore[arg-type]

    def forward(
        self,
        h: Tensor,
        reads: Sequence[Tensor],
        image: ImageFeatures,
        masks: Sequence[Tensor],
        owner: Tensor,
        size: tuple[int, int],
    ) -> Tensor:
        """Logits (B, 1, *size).

        Args:
            h: (B, width, H/16, W/16), from the memory.
            reads: (B, ., H/8 or H/16, ...), from the references.
            image: features of C clips.
            masks: (B, ., H/4, W/4), from the mask stem.
            owner: (B,) int64, the clip of each object.
            size: (H, W) of the input.
        """
        x = self.merge_s8([self.memory(h), image.s8, *reads], owner).relu()
        x = (x + self.conv_s8b(self.conv_s8a(x).relu())).relu()
        x = self.merge_s4([x, image.s4, *masks], owner).relu()
        x = (x + self.conv_s4(x)).relu()
        x = self.merge_s2([x, image.s2], owner).relu()
        x = self.conv_s2(x).relu()
        logits: Tensor = self.logits(x)
        return F.interpolate(logits, size=size, mode="bilinear", align_corners=False)


def per_object(of_clips: Tensor, owner: Tensor) -> Tensor:
    """Each object's own (B, ...) of what is computed per clip (C, ...)."""
    # A single clip, as in propagation, needs no copies.
    return of_clips.expand(len(owner), -1, -1, -1) if len(of_clips) == 1 else of_clips[owner]


def _resize(x: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(x, size=like.shape[2:], mode="bilinear", align_corners=False)


def _tokens(x: Tensor) -> Tensor:
    """(B, C, h, w) as one attention head: (B, 1, h * w, C)."""
    # The fused kernels want channels to be contiguous.
    return x.flatten(2).transpose(1, 2).contiguous().unsqueeze(1)


def _positions(height: int, width: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """Row and column of each cell (h, w), in units of the geometric mean of the sides."""
    unit = math.sqrt(height * width)
    y = (torch.arange(height, device=like.device, dtype=like.dtype) + 0.5) / unit
    x = (torch.arange(width, device=like.device, dtype=like.dtype) + 0.5) / unit
    return y[:, None].expand(height, width), x[None, :].expand(height, width)
