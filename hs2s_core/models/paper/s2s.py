"""S2S, S2S* and S2S++: the sequence-to-sequence baselines (paper Table 1, section 3).

The initializer turns (x_0, y_0) into the memories' first states; from then on the encoder
sees images alone, so it runs once per frame for all objects.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import Tensor, nn

from hs2s_core.models.base import State, StepOutput, VideoSegmenter, map_tree
from hs2s_core.models.config import PaperConfig
from hs2s_core.models.layers import initialise, size_of
from hs2s_core.models.memory import ConvLSTM, build_memory
from hs2s_core.models.paper.build import build_encoder
from hs2s_core.models.paper.decoder import SkipDecoder
from hs2s_core.models.paper.encoders import Features
from hs2s_core.models.paper.initializer import Initializer


class ImageFeatures(NamedTuple):
    """C frames and what the encoder makes of them."""

    frame: Tensor
    """(C, 3, H, W), for the initializer."""
    encoded: Features


class MemoryStates(NamedTuple):
    """State of each memory, per object."""

    bottleneck: Any
    k4: Any = None
    k3: Any = None


class S2S(VideoSegmenter):
    """Encoder, memories and decoder, without references.

    ``config.skips`` lets the encoder's maps join the decoder as they are (S2S*: our decision, as
    the paper says no more than that it is U-Net-like); ``skip_memory`` and
    ``skip_memory_s8`` add memories at strides 16 and 8 whose hidden maps join there (S2S++:
    in place of the encoder's own, our reading of its code).
    """

    config: PaperConfig
    stride = 32

    def __init__(self, config: PaperConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = build_encoder(config, with_mask=False)
        k3, k4 = self.encoder.channels[2:4]
        memories: dict[str, nn.Module] = {"bottleneck": build_memory(config)}
        if config.skip_memory:
            memories["k4"] = ConvLSTM(k4, k4, config.skip_kernel, config.cell)
        if config.skip_memory_s8:
            memories["k3"] = ConvLSTM(k3, k3, 5, config.cell)
        self.memories = nn.ModuleDict(memories)
        self.initializer = Initializer(config, self._memories())
        side = (0, 0, k3 if "k3" in memories else 0, k4 if "k4" in memories else 0, 0)
        self.decoder = SkipDecoder(config, self.encoder, config.width, side)
        initialise(self, config.init)

    def _memories(self) -> dict[str, Any]:
        return dict(self.memories.items())

    def encode(self, frame: Tensor) -> ImageFeatures:
        return ImageFeatures(frame, self.encoder(self.encoder.stem(frame)))

    def begin(self, features: ImageFeatures, mask: Tensor, owner: Tensor) -> State:
        """See :meth:`VideoSegmenter.begin` (paper eq. 1)."""
        stem = self.initializer.stem(features.frame)[owner]
        states = self.initializer(stem, mask, self._memories())
        return State(None, MemoryStates(**states))

    def step(
        self, features: ImageFeatures, mask: Tensor, state: State, owner: Tensor
    ) -> tuple[StepOutput, State]:
        """See :meth:`VideoSegmenter.step`; ``mask`` gives the size only (paper eq. 2, 3)."""
        encoded = map_tree(lambda x: x[owner], features.encoded)
        inputs = encoded.sources()
        said, states = {}, {}
        for name, memory in self._memories().items():
            said[name], states[name] = memory.step(inputs[name], getattr(state.objects, name))
        side = (None, None, said.get("k3"), said.get("k4"), None)
        scores = self.decoder(said["bottleneck"], encoded.skips, side, size_of(mask))
        return StepOutput(scores.logits, scores.border), State(None, MemoryStates(**states))
