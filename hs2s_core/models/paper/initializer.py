"""Initializer: the first states of memories from (x_0, y_0) (paper eq. 1, 3.2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from hs2s_core.models.config import PaperConfig
from hs2s_core.models.memory import Memory
from hs2s_core.models.paper.build import build_encoder
from hs2s_core.models.paper.encoders import Features


class Initializer(nn.Module):
    """A backbone of its own sees the first frame with its mask; 1 x 1 convolutions branch off.

    ``memories`` are named after what they read: ``bottleneck``, or ``k3`` and ``k4`` for the
    maps at strides 8 and 16. The authors' S2S++ code has this shape; its two wide layers after
    the backbone are the bottleneck here. A Tensor-Train LSTM gets one hidden map, repeated for
    all its past steps, a DeepRNN one context map a layer (our decisions: the paper initialises
    ConvLSTMs only).
    """

    def __init__(self, config: PaperConfig, memories: Mapping[str, Memory]) -> None:
        super().__init__()
        self.encoder = build_encoder(config)
        inputs = {
            "bottleneck": self.encoder.out_channels,
            "k3": self.encoder.channels[2],
            "k4": self.encoder.channels[3],
        }
        self.maps = nn.ModuleDict(
            {
                name: nn.ModuleList(
                    [nn.Conv2d(inputs[name], memory.channels, 1) for _ in range(memory.state_maps)]
                )
                for name, memory in memories.items()
            }
        )

    def stem(self, frame: Tensor) -> Tensor:
        """The part that the masks do not touch; see :meth:`Encoder.stem`."""
        return self.encoder.stem(frame)

    def forward(self, stem: Tensor, mask: Tensor, memories: Mapping[str, Memory]) -> dict[str, Any]:
        """States of ``memories`` for each object, from ``stem`` (B, ...) and ``mask``."""
        features: Features = self.encoder(stem, mask)
        sources = features.sources()
        states = {}
        for name, memory in memories.items():
            convolutions: Any = self.maps[name]
            maps = [convolution(sources[name]).relu() for convolution in convolutions]
            states[name] = memory.state_from(maps)
        return states
