"""The blocks that the lite networks are assembled from."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from hs2s_core.models.layers import Conv, add_to, resize, size_of


class ConvBlock(nn.Sequential):
    """Convolution, batch norm, ReLU."""

    def __init__(
        self, in_channels: int, channels: int, stride: int = 1, *, kernel: int = 3
    ) -> None:
        super().__init__(
            Conv(in_channels, channels, kernel, stride, kernel // 2, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
        )


class JoinedConv(Conv):
    """A convolution over the concatenation of several maps, computed map by map.

    The sum is the same, and each map is convolved where that is cheapest: the image's when it is
    encoded, not for every object, and a coarse one (if the kernel is 1 x 1) before it is enlarged.
    """

    def __init__(
        self, channels: Sequence[int], out_channels: int, kernel_size: int, *, image: int
    ) -> None:
        padding = kernel_size // 2
        super().__init__(sum(channels), out_channels, kernel_size, padding=padding)
        self.channels = list(channels)
        self.image = image
        """Which of the maps is the image's; it has the size of the result."""

    def fuse(self, activation: nn.Module | None) -> bool:
        # An activation would come before the sum.
        return activation is None and super().fuse(None)

    def of_image(self, x: Tensor) -> Tensor:
        """The image's share (C, out, H, W) of the result, for :meth:`forward`."""
        part = torch.split(self.weight, self.channels, dim=1)[self.image]
        return self.convolve(x, part, self.bias)

    def forward(self, image: Tensor, maps: Sequence[Tensor], owner: Tensor) -> Tensor:  # type: ignore[override]
        """(B, out, H, W) from the image's share (C, out, H, W) and the other maps, of B objects.

        ``owner`` (B,) int64 is the clip of each object.
        """
        parts = list(torch.split(self.weight, self.channels, dim=1))
        del parts[self.image]
        total = per_object(image, owner)
        for x, part in zip(maps, parts, strict=True):
            total = add_to(resize(self.convolve(x, part, None), size_of(total)), total)
        return total


class JoinedBlock(nn.Sequential):
    """:class:`JoinedConv` over an image's map and each object's, batch norm, ReLU."""

    def __init__(self, image_channels: int, object_channels: int, channels: int) -> None:
        conv = JoinedConv([image_channels, object_channels], channels, 3, image=0)
        conv.register_parameter("bias", None)
        super().__init__(conv, nn.BatchNorm2d(channels), nn.ReLU(inplace=True))

    def of_image(self, x: Tensor) -> Tensor:
        conv = self[0]
        assert isinstance(conv, JoinedConv)
        return conv.of_image(x)

    def forward(self, image: Tensor, of_objects: Tensor, owner: Tensor) -> Tensor:  # type: ignore[override]
        """The image's share (C, channels, H, W) and (B, ., H, W) to (B, channels, H, W)."""
        conv, norm, relu = self
        joined: Tensor = relu(norm(conv(image, [of_objects], owner)))
        return joined


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions and the identity; starts as the identity (last norm at 0)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = ConvBlock(channels, channels)
        self.conv2 = Conv(channels, channels, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)
        nn.init.zeros_(self.norm2.weight)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) in and out."""
        change: Tensor = self.norm2(self.conv2(self.conv1(x)))
        return add_to(change, x).relu_()


def per_object(of_clips: Tensor, owner: Tensor) -> Tensor:
    """Each object's own (B, ...) of what is computed per clip (C, ...)."""
    # A single clip, as in propagation, needs no copies.
    return of_clips.expand(len(owner), -1, -1, -1) if len(of_clips) == 1 else of_clips[owner]
