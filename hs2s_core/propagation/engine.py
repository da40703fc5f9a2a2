"""The small interface between what carries masks from frame to frame and all that uses it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from hs2s_core.media.images import RGBImage
from hs2s_core.media.masks import BoolMask
from hs2s_core.propagation.snapshot import Snapshot

SoftMask = npt.NDArray[np.uint8]
"""(h, w): the probability p of an object as the whole part of 256 p; 128 and more is inside."""


class Prediction(NamedTuple):
    """What an engine says of one frame, before anything that is given in it counts."""

    ids: tuple[int, ...]
    """The objects followed into this frame."""
    logits: Tensor | None
    """(B, h, w) float in the order of ``ids``, at the engine's own size; None for no object."""


class Engine(Protocol):
    """Follows some objects through frames that are shown one after another, in either direction.

    The paper's networks are one implementation, :class:`NetworkEngine`.
    """

    device: torch.device
    online: bool
    """Whether frames may be stepped through without :meth:`look_ahead`."""
    references: bool
    """Whether :meth:`remember` makes a difference."""
    at_once: bool
    """Whether siblings may step at the same time on several threads, and gain from it."""

    @property
    def between(self) -> bool:
        """Whether a snapshot can be taken: no frame that was looked at is left."""

    def start(self) -> None:
        """Forget everything: the next frame may be of another clip."""

    def step(self, frame: RGBImage, prompts: Mapping[int, BoolMask]) -> Prediction:
        """Follow all objects into ``frame`` (H, W, 3); then those of ``prompts`` start from it."""

    def step_together(self, others: Sequence[Engine], frame: RGBImage) -> list[Prediction]:
        """:meth:`step` without prompts, of this one and its siblings: the same to the last bit.

        They may share what they compute.
        """

    def look_ahead(self, frames: Sequence[RGBImage]) -> None:
        """Show the frames of the next steps, at least one; exactly these must follow."""

    def remember(self, frame: RGBImage, masks: Mapping[int, BoolMask]) -> None:
        """Compare from now on with this key frame too, in which every object is given."""

    def snapshot(self) -> Snapshot:
        """The whole state after the step just made."""

    def restore(self, snapshot: Snapshot) -> None:
        """Go on from a snapshot of the same network: the same to the last bit."""

    def sibling(self) -> Engine:
        """Another one, started, with the same network, which sees a shown frame only once."""
