"""An engine without a network, and a clip that counts what is read of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import numpy as np
import torch

from hs2s_core.media.images import RGBImage
from hs2s_core.media.masks import BoolMask
from hs2s_core.media.source import FrameSource, out_of_range
from hs2s_core.propagation.engine import Engine, Prediction
from hs2s_core.propagation.snapshot import Snapshot
from tests.shapes import square

SIZE = (12, 16)
LOGIT = 3.0
"""Of the pixels inside; minus that outside."""


box = partial(square, side=4, size=SIZE)
"""A square mask of a clip of :data:`SIZE`."""


class Carrier:
    """Holds each mask still. What it says also depends on frames, so that their order shows."""

    device = torch.device("cpu")
    online = True
    references = False
    between = True

    def __init__(self, log: list[str] | None = None, *, at_once: bool = False) -> None:
        self.log = log
        self.at_once = at_once
        self.start()

    def sibling(self) -> Carrier:
        return type(self)(self.log, at_once=self.at_once)

    def start(self) -> None:
        self._masks: dict[int, torch.Tensor] = {}

    def step(self, frame: RGBImage, prompts: Mapping[int, BoolMask]) -> Prediction:
        if self.log is not None:
            self.log += [f"{object_id}@{frame[0, 0, 0]}" for object_id in self._masks]
        ids = tuple(self._masks)
        # Less sure at each step, by an amount that the frame decides.
        fade = 1 - 1e-4 * float(frame[0, 0, 0])
        self._masks = {i: mask * fade for i, mask in self._masks.items()}
        logits = torch.stack(list(self._masks.values())) if ids else None
        for object_id, mask in prompts.items():
            self._masks[object_id] = torch.where(torch.from_numpy(mask), LOGIT, -LOGIT)
        return Prediction(ids, logits)

    def step_together(self, others: Sequence[Engine], frame: RGBImage) -> list[Prediction]:
        return [engine.step(frame, {}) for engine in [self, *others]]

    def look_ahead(self, frames: Sequence[RGBImage]) -> None:
        raise AssertionError("this engine is online")

    def remember(self, frame: RGBImage, masks: Mapping[int, BoolMask]) -> None:
        raise AssertionError("this engine has no further references")

    def snapshot(self) -> Snapshot:
        return Snapshot({str(i): mask.clone() for i, mask in self._masks.items()}, {})

    def restore(self, snapshot: Snapshot) -> None:
        self._masks = {int(i): mask.clone() for i, mask in snapshot.tensors.items()}


class Clip(FrameSource):
    """Frames whose first pixel is their number (modulo 256); notes each that is read."""

    def __init__(self, length: int) -> None:
        self.size = SIZE
        self.description = "a made-up clip"
        self.read: list[int] = []
        self._length = length

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[RGBImage]:
        return (self.at(index) for index in range(self._length))

    def __reversed__(self) -> Iterator[RGBImage]:
        return (self.at(index) for index in reversed(range(self._length)))

    def at(self, index: int) -> RGBImage:
        if not 0 <= index < self._length:
            raise out_of_range(self.description, index, self._length)
        self.read.append(index)
        return np.full((*SIZE, 3), index % 256, np.uint8)
