"""The contract every network follows, and the state it carries from frame to frame.

One object is one binary problem: a batch holds ``B`` objects that belong to ``C`` clips,
and ``owner`` (B,) names the clip of each object. What depends on the image alone is
computed once per clip (:meth:`VideoSegmenter.encode`); the rest once per object.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from hs2s_core.models.config import ModelConfig

Tree = TypeVar("Tree")


class StepOutput(NamedTuple):
    """What one step predicts for B objects at the input size (H, W)."""

    logits: Tensor
    """(B, 1, H, W) float; sigmoid gives the probability of the object."""
    border: Tensor | None = None
    """(B, 42, H, W) float class scores of the border distance, if the model has them."""
    match: Tensor | None = None
    """(B, R, h, w) float in [0, 1]: reference masks as the matching alone transports them."""
    flow: Tensor | None = None
    """(K, B, 2, H, W) pixels (x, y) from frame t - 1 to t, K refinements, the best one last;
    only while training a model with a flow head."""


class State(NamedTuple):
    """What step t leaves for step t + 1. Constant in size, whatever the clip's length."""

    previous: Any
    """Tree of (C, ...) tensors: the image features of the frame just seen."""
    objects: Any
    """Tree of (B, ...) tensors: memories and first reference of each object."""


class VideoSegmenter(nn.Module, ABC):
    """Base of the networks.

    Calls in order, for a clip: ``encode`` frame 0, ``begin`` with its masks, then for each
    further frame ``encode`` and ``step`` with the masks of the frame before. A network that
    is not ``online`` also wants ``look_ahead`` before the steps of a chunk of frames. Between
    steps, ``remember`` gives it further frames to compare with.
    """

    config: ModelConfig
    stride: int
    """Pixels per cell of the coarsest map. Inputs of any height and width from 64 will do;
    multiples of this lose nothing to rounding."""
    online: bool = True
    """False for a network that must see frames before it segments them."""
    speed: str = "exact"
    """How propagation computes: ``exact``, ``fast`` or ``auto`` (:mod:`inference`)."""

    @abstractmethod
    def encode(self, frame: Tensor) -> Any:
        """Image features (a tree of (C, ...) tensors) of ``frame`` (C, 3, H, W).

        ``frame`` is float RGB in [0, 1], normalised with the ImageNet mean and deviation.
        """

    @abstractmethod
    def begin(self, features: Any, mask: Tensor, owner: Tensor) -> State:
        """State after each object's first frame.

        ``features`` is :meth:`encode` of that frame, ``mask`` (B, 1, H, W) float in [0, 1] the
        given masks, ``owner`` (B,) int64 the clip of each object.
        """

    @abstractmethod
    def step(
        self, features: Any, mask: Tensor, state: State, owner: Tensor
    ) -> tuple[StepOutput, State]:
        """Segment frame t: ``features`` are of x_t, ``mask`` is y_{t-1} (B, 1, H, W)."""

    def step_each(
        self, features: Any, masks: Sequence[Tensor], states: Sequence[State], owner: Tensor
    ) -> list[tuple[StepOutput, State]]:
        """:meth:`step` of several batches of the same clips, which may share work.

        Each says what it says alone, to the last bit, as it does not in a joint batch. ``masks``
        and ``states`` are of B objects each, and ``owner`` (B,) is that of every batch.
        """
        return [
            self.step(features, mask, state, owner)
            for mask, state in zip(masks, states, strict=True)
        ]

    def remember(
        self, features: Any, mask: Tensor, state: State, owner: Tensor, slot: int | None = None
    ) -> State:
        """Compare later frames also with this one, as with an object's first.

        ``features`` and ``mask`` (B, 1, H, W) are as in :meth:`begin`, of any frame of the clip.
        The state and the cost of a step grow by one frame; with ``slot`` it takes the place of an
        earlier one instead (0 is the object's first frame, 1 the first remembered) where there is
        one. A network that can compare with no more than it has returns ``state`` as it is.
        """
        return state

    def backbones(self) -> Sequence[nn.Module]:
        """The parts that start from published image weights, if any were asked for."""
        return ()

    def precise_parts(self) -> Sequence[nn.Module]:
        """The parts that :func:`for_inference` keeps in float32 where it computes in bfloat16."""
        return ()

    def look_ahead(self, features: Sequence[Any], state: State, owner: Tensor) -> State:
        """Take in the frames of the next steps; what an online network has no use for.

        ``features`` are :meth:`encode` of the frames of a chunk, at least one, in order; the
        steps of exactly these frames must follow. A clip may be one chunk or many.
        """
        return state


def map_tree(function: Any, *trees: Tree) -> Tree:
    """Apply ``function`` to the tensors at the same place of equal trees of named tuples."""
    first = trees[0]
    if isinstance(first, Tensor):
        return function(*trees)  # type: ignore[no-any-return]
    if first is None:
        return None  # type: ignore[return-value]
    assert isinstance(first, tuple)
    parts = [map_tree(function, *children) for children in zip(*trees, strict=True)]
    return type(first)(*parts) if hasattr(first, "_fields") else tuple(parts)  # type: ignore[return-value]


def select_objects(state: State, index: Tensor) -> State:
    """The state of some objects only; ``index`` (K,) int64 along B."""
    return state._replace(objects=map_tree(lambda x: x[index], state.objects))


def join_states(states: Sequence[State]) -> State:
    """One batch out of several states that have just seen the same frame."""
    return State(states[-1].previous, _join([state.objects for state in states]))


def _join(trees: Sequence[Any]) -> Any:
    """Trees one after the other along B; a node whose size differs brings a ``join`` of its own."""
    first = trees[0]
    if isinstance(first, Tensor):
        return torch.cat(list(trees))
    if first is None:
        return None
    if hasattr(first, "join"):
        return first.join(trees)
    parts = [_join(children) for children in zip(*trees, strict=True)]
    return type(first)(*parts) if hasattr(first, "_fields") else tuple(parts)
