"""HS2S-lite: the paper's idea at a size that ships with the plugin and runs on a CPU.

Kept from HS2S (section 3.1): the recurrent memory over (x_t, y_{t-1}), the two references
(x_0, y_0) and (x_{t-1}, y_{t-1}), and their fusion with the memory before a skip decoder.
Changed, all our decisions: the image trunk is shared by the encoder and the reference
encoder, so a frame is encoded once for all objects and once as a reference; masks enter
through a small stem of their own; the references are fused by attention over their
positions (at stride 8, or 16), where a prior on distance is learned per reference. The first
reference may be several frames at once (:meth:`HS2SLite.remember`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hs2s_core.models.base import State, StepOutput
from hs2s_core.models.config import LiteConfig
from hs2s_core.models.layers import Conv, size_of
from hs2s_core.models.lite.blocks import ConvBlock, JoinedBlock, per_object
from hs2s_core.models.lite.decoder import ImageShares, LiteDecoder
from hs2s_core.models.lite.matching import PositionMatching, References
from hs2s_core.models.lite.trunk import (
    ImageFeatures,
    LiteSegmenter,
    MaskFeatures,
    MaskStem,
    build_trunk,
)
from hs2s_core.models.memory import build_memory


class Compared(NamedTuple):
    """What later frames are compared with, but for the mask."""

    key: Tensor
    """(C, K, H/8, W/8), as the trunk makes it."""
    image: Tensor
    """(C, 64, H/8, W/8): the image's share of the reference encoder."""


class FrameFeatures(NamedTuple):
    """All that depends on C frames alone."""

    encoder: Tensor
    """(C, ., H/16, W/16): the image's share of the encoder."""
    decoder: ImageShares
    compared: Compared


class ObjectState(NamedTuple):
    """Per-object part of the state."""

    memory: Any
    """Maps (B, width, H/16, W/16), as the memory has them."""
    first: References
    """(x_0, y_0), and the frames remembered since."""


class _Batch(NamedTuple):
    """Some objects half-way through a step."""

    stem: MaskFeatures
    h: Tensor
    """(B, width, H/16, W/16), from the memory."""
    memory: Any
    references: dict[str, References]
    """What each part of the matching compares with."""


class HS2SLite(LiteSegmenter):
    """The plugin's default network; see the module's docstring for what it keeps of HS2S."""

    def __init__(self, config: LiteConfig) -> None:
        super().__init__()
        self.config = config
        self.trunk = build_trunk(config)
        self.mask_stem = MaskStem()
        # Encoder (x_t, y_{t-1}): the trunk's last stage joined by the mask.
        self.mask_s16 = ConvBlock(32, 48, stride=2)
        channels = encoder_channels(config)
        self.encoder = JoinedBlock(128, 48, channels)
        self.memory = build_memory(config, channels)
        # Reference encoder (x_r, y_r): its output is what the attention reads.
        self.encoder_ref = JoinedBlock(80, 32, 64)
        self.value_ref = Conv(64, config.value_width - 1, 3, padding=1)
        # The first frame may be anywhere by now, the previous one is close.
        closeness = {"first": 0.5, "previous": 20.0} if config.fusion == "matching" else {}
        self.matching = nn.ModuleDict(
            {
                reference: PositionMatching(12.0, closeness.get(reference))
                for reference in config.references
            }
        )
        reads = [config.value_width] * len(config.references)
        self.decoder = LiteDecoder(config.width, reads, masks=[16])

    def encode(self, frame: Tensor) -> FrameFeatures:
        seen: ImageFeatures = self.trunk(frame)
        assert seen.key is not None, "this trunk makes keys"
        return FrameFeatures(
            self.encoder.of_image(seen.s16),
            self.decoder.of_image(seen),
            Compared(seen.key, self.encoder_ref.of_image(seen.s8)),
        )

    def begin(self, features: FrameFeatures, mask: Tensor, owner: Tensor) -> State:
        """See :meth:`VideoSegmenter.begin`. The memory has already seen (x_0, y_0)."""
        stem: MaskFeatures = self.mask_stem(mask)
        x = self._encode_object(features, stem, owner)
        _, memory = self.memory.step(x, self.memory.initial_state(x))
        first = self._reference(features.compared, stem, mask, owner)
        return State(features.compared, ObjectState(memory, first))

    def step(
        self, features: FrameFeatures, mask: Tensor, state: State, owner: Tensor
    ) -> tuple[StepOutput, State]:
        (result,) = self.step_each(features, [mask], [state], owner)
        return result

    def step_each(
        self,
        features: FrameFeatures,
        masks: Sequence[Tensor],
        states: Sequence[State],
        owner: Tensor,
    ) -> list[tuple[StepOutput, State]]:
        """See :meth:`VideoSegmenter.step_each`. What compares positions is shared."""
        batches = [self._look(features, *each, owner) for each in zip(masks, states, strict=True)]
        query = self._coarse(features.compared.key)
        query = query if len(query) == 1 else query[owner]
        reads = [
            matching(query, [batch.references[name] for batch in batches])
            for name, matching in self.matching.items()
        ]
        sizes = [size_of(mask) for mask in masks]
        return [
            self._decide(features, batch, [read[place] for read in reads], sizes[place], owner)
            for place, batch in enumerate(batches)
        ]

    def _look(self, features: FrameFeatures, mask: Tensor, state: State, owner: Tensor) -> _Batch:
        """All of a step up to the matching."""
        objects: ObjectState = state.objects
        stem: MaskFeatures = self.mask_stem(mask)
        x = self._encode_object(features, stem, owner)
        h, memory = self.memory.step(x, objects.memory)
        references = {"first": objects.first}
        if "previous" in self.matching:
            references["previous"] = self._reference(state.previous, stem, mask, owner)
        return _Batch(stem, h, memory, references)

    def _decide(
        self,
        features: FrameFeatures,
        batch: _Batch,
        reads: list[Tensor],
        size: tuple[int, int],
        owner: Tensor,
    ) -> tuple[StepOutput, State]:
        """And from there on."""
        match = torch.cat([read[:, -1:] for read in reads], dim=1)
        logits = self.decoder(batch.h, reads, features.decoder, [batch.stem.s4], owner, size)
        objects = ObjectState(batch.memory, batch.references["first"])
        return StepOutput(logits, match=match), State(features.compared, objects)

    def remember(
        self,
        features: FrameFeatures,
        mask: Tensor,
        state: State,
        owner: Tensor,
        slot: int | None = None,
    ) -> State:
        if "first" not in self.matching:
            return state
        objects: ObjectState = state.objects
        new = self._reference(features.compared, self.mask_stem(mask), mask, owner)
        first = objects.first
        first = first.and_then(new) if slot is None else first.put(slot, new)
        return state._replace(objects=objects._replace(first=first))

    def _encode_object(self, image: FrameFeatures, mask: MaskFeatures, owner: Tensor) -> Tensor:
        x: Tensor = self.encoder(image.encoder, self.mask_s16(mask.s8), owner)
        return x

    def _reference(
        self, image: Compared, stem: MaskFeatures, mask: Tensor, owner: Tensor
    ) -> References:
        value = self.value_ref(self.encoder_ref(image.image, stem.s8, owner))
        # Rounded up, as the strided convolutions do.
        value = torch.cat([value, F.avg_pool2d(mask, 8, ceil_mode=True)], dim=1)
        return References.of(per_object(self._coarse(image.key), owner), self._coarse(value))

    def _coarse(self, x: Tensor) -> Tensor:
        """A stride-8 map at the stride of the matching; means of unit keys are fine as keys."""
        factor = self.config.match_stride // 8
        return x if factor == 1 else F.avg_pool2d(x, factor, ceil_mode=True)


def encoder_channels(config: LiteConfig) -> int:
    """Channels that the memory reads."""
    return config.width if config.memory == "deeprnn" else 96
