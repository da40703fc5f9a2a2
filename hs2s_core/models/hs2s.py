"""HS2S: sequence-to-sequence segmentation with a memory and two references (paper 3.1).

Frame t is encoded with the mask of frame t - 1. A ConvLSTM at the bottleneck and a second
one at stride 16 carry the past; the reference encoder sees (x_0, y_0) once and
(x_{t-1}, y_{t-1}) every step; at both scales the references are fused with the memory, and
the decoder ends in mask logits and border classes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from hs2s_core.config import ModelConfig
from hs2s_core.models.base import State, StepOutput, VideoSegmenter
from hs2s_core.models.decoder import SkipDecoder
from hs2s_core.models.encoders import Features, build_encoder
from hs2s_core.models.fusion import build_fusion
from hs2s_core.models.layers import initialise, size_of
from hs2s_core.models.memory import ConvLSTM, LSTMState
from hs2s_core.models.pretrained import load_backbone


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


class HS2S(VideoSegmenter):
    """The paper's network, from the parts that ``config`` names.

    Channels are explicit in ``config``: ``backbone_width``, ``width``, ``fusion_width``,
    ``decoder_width``. The skip memory is as wide as the stride-16 map it reads.
    """

    stride = 32

    def __init__(
        self, config: ModelConfig, *, pretrained_backbone: bool | str | Path = False
    ) -> None:
        super().__init__()
        self.config = config
        self.encoder = build_encoder(config)
        self.encoder_ref = build_encoder(config)
        self.memory = ConvLSTM(config.width, config.width, cell=config.cell)
        self.fusion = build_fusion(config, config.width, config.width)
        k4 = self.encoder.channels[3]
        self.skip_memory = (
            ConvLSTM(k4, k4, config.skip_kernel, config.cell) if config.skip_memory else None
        )
        self.skip_fusion = build_fusion(config, k4, k4) if config.skip_memory else None
        decoder = config.decoder_width
        self.decoder = SkipDecoder(
            config.fusion_width,
            self.encoder.channels,
            (0, 0, 0, config.fusion_width if config.skip_memory else 0, 0),
            reduced=(decoder, decoder // 2, decoder // 4, decoder // 8, decoder // 16),
            widths=(decoder // 2, decoder // 4, decoder // 8, decoder // 16, decoder // 16),
            border=config.border,
        )
        initialise(self)
        if pretrained_backbone:
            encoders = (self.encoder, self.encoder_ref)
            load_backbone(encoders, config.encoder, pretrained_backbone)

    def encode(self, frame: Tensor) -> Stems:
        """See :meth:`VideoSegmenter.encode`."""
        return Stems(self.encoder.stem(frame), self.encoder_ref.stem(frame))

    def begin(self, features: Stems, mask: Tensor, owner: Tensor) -> State:
        """See :meth:`VideoSegmenter.begin`. Memories start from zeros (authors' code)."""
        first = self._reference(features, mask, owner)
        objects = ObjectState(
            self.memory.initial_state(first.bottleneck),
            self.skip_memory.initial_state(first.k4)
            if self.skip_memory is not None and first.k4 is not None
            else None,
            first if "first" in self.config.references else None,
        )
        return State(features, objects)

    def step(
        self, features: Stems, mask: Tensor, state: State, owner: Tensor
    ) -> tuple[StepOutput, State]:
        """See :meth:`VideoSegmenter.step`."""
        objects: ObjectState = state.objects
        references: dict[str, Reference] = {}
        if objects.first is not None:
            references["first"] = objects.first
        if "previous" in self.config.references:
            references["previous"] = self._reference(state.previous, mask, owner)
        current: Features = self.encoder(features.current[owner], mask)
        h, memory = self.memory.step(current.bottleneck, objects.memory)
        fused = self.fusion({name: r.bottleneck for name, r in references.items()}, h)
        skip_fused, skip_memory = None, None
        if self.skip_memory is not None and self.skip_fusion is not None:
            assert objects.skip_memory is not None
            skip_h, skip_memory = self.skip_memory.step(current.skips[3], objects.skip_memory)
            skip_fused = self.skip_fusion({name: r.k4 for name, r in references.items()}, skip_h)
        side = (None, None, None, skip_fused, None)
        scores = self.decoder(fused, current.skips, side, size_of(mask))
        objects = ObjectState(memory, skip_memory, objects.first)
        return StepOutput(scores.logits, scores.border), State(features, objects)

    def _reference(self, stems: Stems, mask: Tensor, owner: Tensor) -> Reference:
        """Run the reference encoder on the frame of ``stems`` with each object's ``mask``."""
        features: Features = self.encoder_ref(stems.reference[owner], mask)
        return Reference(
            features.bottleneck, features.skips[3] if self.config.skip_memory else None
        )
