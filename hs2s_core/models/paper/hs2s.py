"""HS2S: sequence-to-sequence segmentation with a memory and two references (paper 3.1).

Frame t is encoded with the mask of frame t - 1. A memory at the bottleneck and a second one
at stride 16 carry the past; the reference encoder sees (x_0, y_0) once and (x_{t-1}, y_{t-1})
every step; at both scales the references are fused with the memory, and the decoder ends in
mask logits and border classes.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import Tensor

from hs2s_core.models.base import State, StepOutput, VideoSegmenter
from hs2s_core.models.config import PaperConfig
from hs2s_core.models.layers import initialise, size_of
from hs2s_core.models.memory import ConvLSTM, LSTMState, build_memory
from hs2s_core.models.paper.build import build_encoder
from hs2s_core.models.paper.decoder import SkipDecoder
from hs2s_core.models.paper.encoders import Features
from hs2s_core.models.paper.flow import RAFTHead
from hs2s_core.models.paper.fusion import build_fusion


class Stems(NamedTuple):
    """The part of both encoders that masks do not touch, for C frames."""

    current: Tensor
    """For the encoder of (x_t, y_{t-1})."""
    reference: Tensor
    """For the reference encoder."""


class Reference(NamedTuple):
    """What the reference encoder makes of a frame and its mask, per object."""

    bottleneck: Tensor
    """(B, width, h, w) at the size of k5."""
    k4: Tensor | None
    """(B, channels[3], H/16, W/16); None without a skip memory, whose scale it serves."""


class ObjectState(NamedTuple):
    """Per-object part of the state: constant in size."""

    memory: Any
    skip_memory: LSTMState | None
    first: Reference | None
    """None when the first frame is no reference."""
    k3: Tensor | None
    """(B, channels[2], H/8, W/8) of the frame just encoded, where flow is being trained."""


class HS2S(VideoSegmenter):
    """The paper's network, from the parts that ``config`` names.

    Channels are explicit in ``config``: ``backbone_width``, ``width``, ``fusion_width``,
    ``decoder_width``. The skip memory is as wide as the stride-16 map it reads. With
    ``config.flow`` it is RAFT-HS2S: while training, each step also estimates the optical flow
    from the frame before (paper 3.3); the masks do not depend on it.
    """

    config: PaperConfig
    stride = 32
    mask_in_encoder = True

    def __init__(self, config: PaperConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = build_encoder(config, with_mask=self.mask_in_encoder)
        self.encoder_ref = None if config.shared_encoder else build_encoder(config)
        self.memory = build_memory(config)
        self.fusion = build_fusion(config, config.width)
        self.skip_memory, self.skip_fusion, skip_channels = None, None, 0
        if config.skip_memory:
            k4 = self.encoder.channels[3]
            self.skip_memory = ConvLSTM(k4, k4, config.skip_kernel, config.cell)
            self.skip_fusion = build_fusion(config, k4)
            skip_channels = config.fusion_width
        side = (0, 0, 0, skip_channels, 0)
        self.decoder = SkipDecoder(config, self.encoder, config.fusion_width, side)
        self.flow_head = (
            RAFTHead(self.encoder.channels[2], config.flow_width) if config.flow else None
        )
        self._add_parts()
        initialise(self, config.init)

    def _add_parts(self) -> None:
        """What a subclass adds before values are initialised."""

    def encode(self, frame: Tensor) -> Any:
        stem = self.encoder.stem(frame)
        return Stems(stem, stem if self.encoder_ref is None else self.encoder_ref.stem(frame))

    def begin(self, features: Any, mask: Tensor, owner: Tensor) -> State:
        """See :meth:`VideoSegmenter.begin`. Memories start from zeros (authors' code)."""
        first, _ = self._reference(features.reference, mask, owner)
        memory = self.memory.initial_state(first.bottleneck)
        skip_memory = None
        if self.skip_memory is not None and first.k4 is not None:
            skip_memory = self.skip_memory.initial_state(first.k4)
        return self._first_state(features, mask, owner, first, memory, skip_memory)

    def step(
        self, features: Any, mask: Tensor, state: State, owner: Tensor
    ) -> tuple[StepOutput, State]:
        objects: ObjectState = state.objects
        current = self._encode_objects(features, mask, owner)
        h, memory = self._recall(current, objects.memory)
        references, k3 = self._references(objects, state.previous, mask, owner)
        fused = self.fusion({name: r.bottleneck for name, r in references.items()}, h)
        skip_fused, skip_memory = None, None
        if self.skip_memory is not None and self.skip_fusion is not None:
            assert objects.skip_memory is not None
            skip_h, skip_memory = self.skip_memory.step(current.skips[3], objects.skip_memory)
            skip_fused = self.skip_fusion({name: r.k4 for name, r in references.items()}, skip_h)
        side = (None, None, None, skip_fused, None)
        scores = self.decoder(fused, current.skips, side, size_of(mask))
        flow, shared = None, None
        if self.flow_head is not None and self.training:
            shared = current.skips[2]
            flow = self.flow_head(objects.k3, shared, k3, size_of(mask))
        output = StepOutput(scores.logits, scores.border, flow=flow)
        objects = ObjectState(memory, skip_memory, objects.first, shared)
        return output, State(features.reference, objects)

    def _first_state(
        self,
        features: Any,
        mask: Tensor,
        owner: Tensor,
        first: Reference,
        memory: Any,
        skip_memory: LSTMState | None,
    ) -> State:
        k3 = None
        if self.flow_head is not None and self.training:
            k3 = self._encode_objects(features, mask, owner).skips[2]
        kept = first if "first" in self.config.references else None
        return State(features.reference, ObjectState(memory, skip_memory, kept, k3))

    def _encode_objects(self, features: Any, mask: Tensor, owner: Tensor) -> Features:
        """Encoder of (x_t, y_{t-1}) for each object."""
        encoded: Features = self.encoder(features.current[owner], mask)
        return encoded

    def _recall(self, current: Features, memory: Any) -> tuple[Tensor, Any]:
        """What the memory says at this frame, (B, width, h, w), and its next state."""
        return self.memory.step(current.bottleneck, memory)

    def _references(
        self, objects: ObjectState, stem: Tensor, mask: Tensor, owner: Tensor
    ) -> tuple[dict[str, Reference], Tensor | None]:
        """The references to compare with, and k3 of the previous frame's if it is one."""
        references, k3 = {}, None
        if objects.first is not None:
            references["first"] = objects.first
        if "previous" in self.config.references:
            references["previous"], k3 = self._reference(stem, mask, owner)
        return references, k3

    def _reference(self, stem: Tensor, mask: Tensor, owner: Tensor) -> tuple[Reference, Tensor]:
        """Reference encoder of a frame's ``stem`` with each object's ``mask``, and its k3."""
        encoder = self.encoder if self.encoder_ref is None else self.encoder_ref
        features: Features = encoder(stem[owner], mask)
        k4 = features.skips[3] if self.config.skip_memory else None
        return Reference(features.bottleneck, k4), features.skips[2]
