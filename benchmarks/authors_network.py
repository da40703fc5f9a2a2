"""The paper's HS2S as its authors define it, in plain PyTorch: what speed is compared with.

Widths and kernels are those of the paper and its authors' code; nothing is folded, packed or
shared beyond the first reference, which is encoded once. Random weights.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import resnet50


class Encoder(nn.Module):
    """ResNet-50 with a mask input; five skips and a bottleneck of 1024 channels."""

    def __init__(self) -> None:
        super().__init__()
        net = resnet50()
        self.rgb, self.mask = net.conv1, nn.Conv2d(1, 64, 7, 2, 3, bias=False)
        self.norm = net.bn1
        self.added = nn.Sequential(nn.Conv2d(64, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU())
        self.layers = nn.ModuleList([net.layer1, net.layer2, net.layer3, net.layer4])
        self.reduce = nn.Sequential(nn.Conv2d(2048, 1024, 1), nn.BatchNorm2d(1024), nn.ReLU())

    def forward(self, frame: Tensor, mask: Tensor) -> tuple[list[Tensor], Tensor]:
        """Skips k1 to k5, and the bottleneck."""
        skips = [self.added(self.norm(self.rgb(frame) + self.mask(mask)).relu())]
        x = F.max_pool2d(skips[0], 2)
        for layer in self.layers:
            x = layer(x)
            skips.append(x)
        return skips, self.reduce(x)


class Cell(nn.Module):
    """ConvLSTM with a sigmoid candidate and a ReLU output."""

    def __init__(self, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2048, 4096, kernel, padding=kernel // 2)

    def forward(self, x: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """The next hidden and cell maps."""
        gates = self.conv(torch.cat([x, state[0]], dim=1)).sigmoid()
        i, f, o, g = gates.chunk(4, dim=1)
        c = f * state[1] + i * g
        return o * c.relu(), c


class GlobalConvolution(nn.Module):
    """7 x 1 then 1 x 7, beside 1 x 7 then 7 x 1."""

    def __init__(self) -> None:
        super().__init__()
        tall, wide = {"padding": (3, 0)}, {"padding": (0, 3)}
        self.left = nn.Sequential(
            nn.Conv2d(2048, 256, (7, 1), **tall), nn.Conv2d(256, 512, (1, 7), **wide)
        )
        self.right = nn.Sequential(
            nn.Conv2d(2048, 256, (1, 7), **wide), nn.Conv2d(256, 512, (7, 1), **tall)
        )

    def forward(self, reference: Tensor, h: Tensor) -> Tensor:
        """(B, 512, h, w)."""
        x = torch.cat([reference, h], dim=1)
        return self.left(x) + self.right(x)


class Fusion(nn.Module):
    """Both references with the memory."""

    def __init__(self) -> None:
        super().__init__()
        self.branches = nn.ModuleList([GlobalConvolution(), GlobalConvolution()])
        self.merge = nn.Conv2d(1024, 512, 1)

    def forward(self, first: Tensor, previous: Tensor, h: Tensor) -> Tensor:
        """(B, 512, h, w)."""
        parts = [
            part(r, h).relu() for part, r in zip(self.branches, (first, previous), strict=True)
        ]
        return self.merge(torch.cat(parts, dim=1)).relu()


class AuthorsHS2S(nn.Module):
    """One object, one frame at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.reference = Encoder(), Encoder()
        self.memory, self.skip_memory = Cell(3), Cell(5)
        self.fusion, self.skip_fusion = Fusion(), Fusion()
        reduced, widths = (1024, 512, 256, 128, 64), (512, 256, 128, 64, 64)
        joined = (512 + 2048, 512 + 1024 + 512, 256 + 512, 128 + 256, 64 + 64)
        self.reduce = nn.ModuleList(
            [nn.Conv2d(*pair, 1) for pair in zip(joined, reduced, strict=True)]
        )
        self.refine = nn.ModuleList(
            [nn.Conv2d(*pair, 5, padding=2) for pair in zip(reduced, widths, strict=True)]
        )
        self.border, self.auxiliary = (nn.Conv2d(64, 42, 3, padding=1) for _ in range(2))
        self.head = nn.Conv2d(84, 1, 1)

    def begin(self, frame: Tensor, mask: Tensor) -> tuple[Tensor, ...]:
        """What a clip starts from: the first reference, and empty memories."""
        skips, x = self.reference(frame, mask)
        return x, skips[3], *[torch.zeros_like(x)] * 2, *[torch.zeros_like(skips[3])] * 2

    def forward(
        self, frame: Tensor, before: Tensor, mask: Tensor, state: tuple[Tensor, ...]
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Mask logits of ``frame`` (1, 3, H, W) from the frame and mask before it."""
        first, first_skip = state[:2]
        skips, x = self.encoder(frame, mask)
        memory, skip_memory = self.memory(x, state[2:4]), self.skip_memory(skips[3], state[4:])
        previous_skips, previous = self.reference(before, mask)
        x = self.fusion(first, previous, memory[0])
        side = self.skip_fusion(first_skip, previous_skips[3], skip_memory[0])
        sizes = [frame.shape[2:], *[skip.shape[2:] for skip in skips]]
        for place, (reduce, refine) in enumerate(zip(self.reduce, self.refine, strict=True)):
            parts = [x, skips[4 - place], *([side] if place == 1 else [])]
            x = reduce(torch.cat(parts, dim=1)).relu()
            x = F.interpolate(x, size=sizes[4 - place], mode="bilinear", align_corners=False)
            x = refine(x).relu()
        logits = self.head(torch.cat([self.border(x), self.auxiliary(x)], dim=1).relu())
        return logits, (first, first_skip, *memory, *skip_memory)
