"""Encoders: an image and a mask become five skip maps and a bottleneck (paper 3.1, 4.1).

Each has two halves. ``stem`` sees the image alone, so it runs once per frame; the rest sees
image and mask, so it runs once per object. Skips are called k1 (finest) to k5 (coarsest).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.resnet import Bottleneck


class Features(NamedTuple):
    """What an encoder makes of B images of (H, W); strides in :attr:`Encoder.strides`."""

    skips: tuple[Tensor, ...]
    """k1..k5, each (B, channels[i], ceil or floor of H / strides[i], same for W)."""
    bottleneck: Tensor
    """(B, out_channels, ...) at the size of k5."""

    def sources(self) -> dict[str, Tensor]:
        """The maps that memories read, by name."""
        return {"bottleneck": self.bottleneck, "k3": self.skips[2], "k4": self.skips[3]}


class Encoder(nn.Module, ABC):
    """Base of the encoders; ``with_mask=False`` builds one that sees the image alone."""

    channels: tuple[int, ...]
    """Channels of k1..k5."""
    strides: tuple[int, ...]
    """Pixels of the input per cell of k1..k5."""
    out_channels: int
    """Channels of the bottleneck."""
    image_layers: tuple[str, ...]
    """How the names of the tensors start that published ImageNet weights have too."""

    @abstractmethod
    def stem(self, frame: Tensor) -> Tensor:
        """First convolution of ``frame`` (C, 3, H, W), before the mask joins."""

    @abstractmethod
    def forward(self, stem: Tensor, mask: Tensor | None = None) -> Features:
        """Features from ``stem`` (B, ...) and ``mask`` (B, 1, H, W) in [0, 1]."""


class ConvStemEncoder(Encoder):
    """Shared start of the ResNet and axial encoders (authors' code, networks.EncoderExtra).

    Differs from torchvision's: the mask's own 7 x 7 convolution is added before the first
    batch norm, one more 3 x 3 convolution follows (k1), and the pooling is 2 x 2.
    """

    def __init__(self, width: int, with_mask: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
        self.mask_conv = nn.Conv2d(1, width, 7, 2, 3, bias=False) if with_mask else None
        self.bn1 = nn.BatchNorm2d(width)
        self.added_conv = nn.Conv2d(width, width, 3, padding=1)
        self.added_bn = nn.BatchNorm2d(width)

    def stem(self, frame: Tensor) -> Tensor:
        """(C, width, H/2, W/2): first convolution alone."""
        x: Tensor = self.conv1(frame)
        return x

    def _finish_stem(self, stem: Tensor, mask: Tensor | None) -> Tensor:
        """k1 (B, width, H/2, W/2)."""
        if self.mask_conv is not None:
            assert mask is not None
            stem = stem + self.mask_conv(mask)
        k1: Tensor = self.added_bn(self.added_conv(self.bn1(stem).relu()))
        return k1.relu()


class ResNetEncoder(ConvStemEncoder):
    """Bottleneck ResNet; parts that torchvision has too keep its names, so its weights fit.

    ``output_stride`` 16 gives the last stage stride 1, 8 the last two, and dilates them instead
    (DeepLab; 16 where nothing is said, our decision: the paper names none, and it is the default
    of the code that the authors' compiled leftovers show). ``aspp`` adds spatial pyramid pooling
    before the bottleneck.
    """

    image_layers: tuple[str, ...] = ("conv1.", "bn1.", "layer1.", "layer2.", "layer3.", "layer4.")

    def __init__(
        self,
        blocks: tuple[int, int, int, int],
        out_channels: int,
        *,
        width: int = 64,
        with_mask: bool = True,
        output_stride: int = 32,
        aspp: bool = False,
    ) -> None:
        super().__init__(width, with_mask)
        self.channels = (width, 4 * width, 8 * width, 16 * width, 32 * width)
        self.strides = (2, 4, 8, min(16, output_stride), output_stride)
        self.out_channels = out_channels
        self.layer1 = _residual_stage(width, width, blocks[0], stride=1)
        self.layer2 = _residual_stage(4 * width, 2 * width, blocks[1], stride=2)
        # A stage that keeps the size doubles the rate of all convolutions behind its first block.
        stride, rates = (1, (1, 2)) if output_stride == 8 else (2, (1, 1))
        self.layer3 = _residual_stage(8 * width, 4 * width, blocks[2], stride=stride, rates=rates)
        stride, rate = (2, 1) if output_stride == 32 else (1, 2 * rates[1])
        self.layer4 = _residual_stage(
            16 * width, 8 * width, blocks[3], stride=stride, rates=(rates[1], rate)
        )
        context = 4 * width if aspp else 32 * width
        self.aspp = AtrousPyramid(32 * width, context, 16 // output_stride) if aspp else None
        if aspp:
            self.image_layers = (*self.image_layers, "aspp.")
        self.reduce = nn.Conv2d(context, out_channels, 1)
        self.reduce_bn = nn.BatchNorm2d(out_channels)

    def forward(self, stem: Tensor, mask: Tensor | None = None) -> Features:
        k1 = self._finish_stem(stem, mask)
        k2 = self.layer1(F.max_pool2d(k1, 2))
        k3 = self.layer2(k2)
        k4 = self.layer3(k3)
        k5 = self.layer4(k4)
        context = k5 if self.aspp is None else self.aspp(k5)
        return Features((k1, k2, k3, k4, k5), self.reduce_bn(self.reduce(context)).relu())


def _residual_stage(
    in_channels: int, planes: int, blocks: int, *, stride: int, rates: tuple[int, int] = (1, 1)
) -> nn.Sequential:
    """One ResNet stage of ``4 * planes`` channels.

    ``rates`` are the dilation of the first block and of the others, as torchvision's DeepLab has
    them.
    """
    out_channels = 4 * planes
    downsample = nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 1, stride, bias=False), nn.BatchNorm2d(out_channels)
    )
    stage = [Bottleneck(in_channels, planes, stride, downsample, dilation=rates[0])]
    stage += [Bottleneck(out_channels, planes, dilation=rates[1]) for _ in range(blocks - 1)]
    return nn.Sequential(*stage)


class AtrousPyramid(nn.Module):
    """Atrous spatial pyramid pooling of DeepLabv3.

    Rates 6, 12 and 18 for output stride 16, twice that for 8, as DeepLabv3 pairs them (our
    decision: the paper names no rates).
    """

    def __init__(self, in_channels: int, channels: int, scale: int = 1) -> None:
        super().__init__()
        rates = tuple(scale * rate for rate in (6, 12, 18))
        self.point = _conv_bn(in_channels, channels, 1)
        self.atrous = nn.ModuleList(
            [_conv_bn(in_channels, channels, 3, dilation=rate) for rate in rates]
        )
        # No norm here: a batch of one has a single value per channel after pooling.
        self.pooled = nn.Sequential(nn.Conv2d(in_channels, channels, 1), nn.ReLU(inplace=True))
        self.project = _conv_bn((2 + len(rates)) * channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, h, w) to (B, channels, h, w)."""
        mean = self.pooled(x.mean((2, 3), keepdim=True)).expand(-1, -1, *x.shape[2:])
        branches = [self.point(x), *[branch(x) for branch in self.atrous], mean]
        y: Tensor = self.project(torch.cat(branches, dim=1))
        return y


def _conv_bn(in_channels: int, channels: int, kernel: int, dilation: int = 1) -> nn.Sequential:
    padding = dilation * (kernel // 2)
    return nn.Sequential(
        nn.Conv2d(in_channels, channels, kernel, 1, padding, dilation, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(inplace=True),
    )


class VGGEncoder(Encoder):
    """VGG-16 without batch norm; the maps after each pooling are the skips (authors' S2S++).

    The mask has a 3 x 3 convolution of its own, added to the first one's output.
    """

    image_layers = ("features.",)
    strides = (2, 4, 8, 16, 32)

    def __init__(self, out_channels: int, *, width: int = 64, with_mask: bool = True) -> None:
        super().__init__()
        self.channels = (width, 2 * width, 4 * width, 8 * width, 8 * width)
        self.out_channels = out_channels
        self.mask_conv = nn.Conv2d(1, width, 3, padding=1, bias=False) if with_mask else None
        layers: list[nn.Module] = []
        previous = 3
        for channels, convolutions in zip(self.channels, (2, 2, 3, 3, 3), strict=True):
            for _ in range(convolutions):
                # The first activation must not overwrite the stem, which objects share.
                layers += [nn.Conv2d(previous, channels, 3, padding=1), nn.ReLU(bool(layers))]
                previous = channels
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)  # the numbers of its children are torchvision's
        self.reduce = nn.Conv2d(previous, out_channels, 1)

    def stem(self, frame: Tensor) -> Tensor:
        """(C, width, H, W): first convolution alone."""
        x: Tensor = self.features[0](frame)
        return x

    def forward(self, stem: Tensor, mask: Tensor | None = None) -> Features:
        x = stem
        if self.mask_conv is not None:
            assert mask is not None
            x = x + self.mask_conv(mask)
        skips = []
        for layer in list(self.features)[1:]:
            x = layer(x)
            if isinstance(layer, nn.MaxPool2d):
                skips.append(x)
        return Features(tuple(skips), self.reduce(x).relu())


class NarrowSkips(Encoder):
    """An encoder whose coarse skips are as narrow as the rest of a narrow network (ours).

    A 1 x 1 convolution brings k4 to ``skip_width`` channels; the bottleneck stands in for k5.
    """

    image_layers = ()  # the encoder inside has them

    def __init__(self, encoder: Encoder, skip_width: int) -> None:
        super().__init__()
        self.inner = encoder
        self.channels = (*encoder.channels[:3], skip_width, encoder.out_channels)
        self.strides = encoder.strides
        self.out_channels = encoder.out_channels
        self.narrow = nn.Conv2d(encoder.channels[3], skip_width, 1)

    def stem(self, frame: Tensor) -> Tensor:
        return self.inner.stem(frame)

    def forward(self, stem: Tensor, mask: Tensor | None = None) -> Features:
        features: Features = self.inner(stem, mask)
        k4 = self.narrow(features.skips[3]).relu()
        return features._replace(skips=(*features.skips[:3], k4, features.bottleneck))
