"""The blocks that the lite networks are assembled from."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hs2s_core.models.layers import resize, size_of


class ConvBlock(nn.Sequential):
    """Convolution, batch norm, ReLU."""

    def __init__(
        self, in_channels: int, channels: int, stride: int = 1, *, kernel: int = 3
    ) -> None:
        super().__init__(
            nn.Conv2d(in_channels, channels, kernel, stride, kernel // 2, bias=False),
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
                total = total + resize(x, size_of(total))
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


def per_object(of_clips: Tensor, owner: Tensor) -> Tensor:
    """Each object's own (B, ...) of what is computed per clip (C, ...)."""
    # A single clip, as in propagation, needs no copies.
    return of_clips.expand(len(owner), -1, -1, -1) if len(of_clips) == 1 else of_clips[owner]
