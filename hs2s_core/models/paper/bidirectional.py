"""Bi-HS2S: the memory runs over a chunk of frames in both directions (paper 3.2, Fig. 2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from hs2s_core.errors import HS2SError
from hs2s_core.models.base import State, map_tree
from hs2s_core.models.memory import build_memory
from hs2s_core.models.paper.encoders import Features
from hs2s_core.models.paper.hs2s import HS2S, ObjectState
from hs2s_core.models.paper.initializer import Initializer


class ClipFeatures(NamedTuple):
    """What masks do not touch, for C frames: the whole encoder, and the reference's stem."""

    frame: Tensor
    """(C, 3, H, W), for the initializer."""
    current: Features
    reference: Tensor


class TwoWayState(NamedTuple):
    """State of the memory between two chunks, and what it says about the frames to come."""

    forward: Any
    """State of the forward memory after the last frame looked at."""
    ahead: tuple[Tensor, ...]
    """(B, width, h, w) for each frame that was looked at and not yet segmented."""


class BiHS2S(HS2S):
    """HS2S with a backward memory; its encoder sees no mask, so frames can be read ahead.

    The forward memory starts from an initializer on (x_0, y_0), the backward one, with weights
    of its own, from the forward one's last state; a 3 x 3 convolution joins them. Frames are
    then segmented in time order with the predicted y_{t-1} as a reference. The skip memory
    runs forward only. What the paper leaves open here (own weights, the backward cell state,
    the one-way skip memory) is our decision.

    A long video goes in chunks: :meth:`look_ahead` carries the forward state from chunk to
    chunk and restarts the backward memory at the end of each, so memory stays bounded.
    """

    online = False
    mask_in_encoder = False

    def _add_parts(self) -> None:
        width = self.config.width
        self.memory_back = build_memory(self.config)
        self.join = nn.Conv2d(2 * width, width, 3, padding=1)
        self.initializer = Initializer(self.config, self._memories())

    def _memories(self) -> dict[str, Any]:
        memories: dict[str, Any] = {"bottleneck": self.memory}
        if self.skip_memory is not None:
            memories["k4"] = self.skip_memory
        return memories

    def encode(self, frame: Tensor) -> ClipFeatures:
        assert self.encoder_ref is not None
        current = self.encoder(self.encoder.stem(frame))
        return ClipFeatures(frame, current, self.encoder_ref.stem(frame))

    def begin(self, features: ClipFeatures, mask: Tensor, owner: Tensor) -> State:
        """See :meth:`VideoSegmenter.begin`; :meth:`look_ahead` must follow."""
        first, _ = self._reference(features.reference, mask, owner)
        stem = self.initializer.stem(features.frame)[owner]
        states = self.initializer(stem, mask, self._memories())
        memory = TwoWayState(states["bottleneck"], ())
        return self._first_state(features, mask, owner, first, memory, states.get("k4"))

    def look_ahead(self, features: Sequence[ClipFeatures], state: State, owner: Tensor) -> State:
        """See :meth:`VideoSegmenter.look_ahead`; refused while looked-at frames are left."""
        objects: ObjectState = state.objects
        memory: TwoWayState = objects.memory
        if memory.ahead or not features:
            raise HS2SError(
                f"look_ahead takes a chunk of frames once all earlier ones are segmented; "
                f"{len(memory.ahead)} are left and {len(features)} were given"
            )
        forward, seen = memory.forward, []
        for frame in features:
            h, forward = self.memory.step(frame.current.bottleneck[owner], forward)
            seen.append(h)
        backward, ahead = forward, []
        for frame, h in zip(reversed(features), reversed(seen), strict=True):
            h_back, backward = self.memory_back.step(frame.current.bottleneck[owner], backward)
            ahead.append(self.join(torch.cat([h, h_back], dim=1)))
        memory = TwoWayState(forward, tuple(reversed(ahead)))
        return state._replace(objects=objects._replace(memory=memory))

    def _encode_objects(self, features: ClipFeatures, mask: Tensor, owner: Tensor) -> Features:
        return map_tree(lambda x: x[owner], features.current)

    def _recall(self, current: Features, memory: TwoWayState) -> tuple[Tensor, TwoWayState]:
        if not memory.ahead:
            raise HS2SError(
                "this network reads frames ahead: call look_ahead with the features of the "
                "frames to come before their steps"
            )
        return memory.ahead[0], memory._replace(ahead=memory.ahead[1:])
