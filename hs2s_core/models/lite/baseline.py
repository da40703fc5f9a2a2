"""S2S-lite: HS2S-lite without what HS2S adds to S2S (paper section 3, eq. 1 to 3).

The same trunk, memory and decoder, trained the same way, so that the two differ only in the
paper's idea: no reference is compared with, and the mask reaches the memory once, through an
initializer on (x_0, y_0). From then on the network sees images alone.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn

from hs2s_core.models.base import State, StepOutput
from hs2s_core.models.config import LiteConfig
from hs2s_core.models.layers import size_of
from hs2s_core.models.lite.blocks import ConvBlock, JoinedBlock, per_object
from hs2s_core.models.lite.decoder import ImageShares, LiteDecoder
from hs2s_core.models.lite.network import encoder_channels
from hs2s_core.models.lite.trunk import ImageFeatures, LiteSegmenter, MaskStem, build_trunk
from hs2s_core.models.memory import build_memory


class FrameFeatures(NamedTuple):
    """All that depends on C frames alone."""

    s16: Tensor
    """(C, 128, H/16, W/16), from the trunk."""
    decoder: ImageShares


class S2SLite(LiteSegmenter):
    """The baseline of HS2S-lite; see the module's docstring for what it lacks."""

    def __init__(self, config: LiteConfig) -> None:
        super().__init__()
        self.config = config
        self.trunk = build_trunk(config)
        channels = encoder_channels(config)
        self.encoder = ConvBlock(128, channels)
        self.memory = build_memory(config, channels)
        # Initializer: shares the trunk, as HS2S-lite's two encoders do.
        self.mask_stem = MaskStem()
        self.mask_s16 = ConvBlock(32, 48, stride=2)
        self.initializer = JoinedBlock(128, 48, 96)
        maps = self.memory.state_maps
        self.initial_state = nn.Conv2d(96, maps * config.width, 3, padding=1)
        self.decoder = LiteDecoder(config.width)

    def encode(self, frame: Tensor) -> FrameFeatures:
        seen: ImageFeatures = self.trunk(frame)
        return FrameFeatures(seen.s16, self.decoder.of_image(seen))

    def begin(self, features: FrameFeatures, mask: Tensor, owner: Tensor) -> State:
        """See :meth:`VideoSegmenter.begin` (paper eq. 1)."""
        stem = self.mask_stem(mask)
        seen = self.initializer(
            self.initializer.of_image(features.s16), self.mask_s16(stem.s8), owner
        )
        maps = self.initial_state(seen).tanh().chunk(self.memory.state_maps, dim=1)
        return State(None, self.memory.state_from(maps))

    def step(
        self, features: FrameFeatures, mask: Tensor, state: State, owner: Tensor
    ) -> tuple[StepOutput, State]:
        """See :meth:`VideoSegmenter.step`; ``mask`` gives the size only (paper eq. 2, 3)."""
        x = per_object(self.encoder(features.s16), owner)
        h, memory = self.memory.step(x, state.objects)
        logits = self.decoder(h, [], features.decoder, [], owner, size_of(mask))
        return StepOutput(logits), State(None, memory)
