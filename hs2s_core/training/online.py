"""Online training: adapt a network to the first masks of a clip before it is propagated.

The OL rows of the paper's Table 1 do this. The given frame is turned into short synthetic
clips: its objects move on paths of their own before its background, whose holes are filled
in; a few steps on such clips teach the network what these objects look like.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from hs2s_core.data.layers import move, paste
from hs2s_core.data.motion import Motion
from hs2s_core.data.stills import Cutout
from hs2s_core.data.synthesis import Clip
from hs2s_core.errors import HS2SError
from hs2s_core.media.masks import check_prompt
from hs2s_core.models.base import VideoSegmenter
from hs2s_core.models.config import LiteConfig
from hs2s_core.models.inputs import network_size
from hs2s_core.training.batches import ClipItems, collate
from hs2s_core.training.config import Stage
from hs2s_core.training.losses import LOSS_PRESETS
from hs2s_core.training.norms import freeze_norms
from hs2s_core.training.unroll import Unroll

FRAMES = 3
MOST_OBJECTS = 3
"""Objects per step; with more, each step takes some of them."""
MOTION = Motion(speed=0.04, zoom=0.03, rotation=4.0, bend=0.04)
WIDEST_HOLE = 5
"""Reach, pixels, of the filling of the background around a removed object."""


def adapt(
    model: VideoSegmenter,
    frame: npt.NDArray[np.uint8],
    masks: Mapping[int, npt.ArrayLike],
    steps: int,
    *,
    learning_rate: float = 1e-4,
    seed: int = 0,
) -> VideoSegmenter:
    """A copy of ``model`` trained for ``steps`` on clips made of one frame and its masks.

    Args:
        model: the network; it is left as it is.
        frame: (H, W, 3) uint8 RGB.
        masks: object id -> (H, W) mask in this frame; at least one.
        steps: gradient steps; a step takes about as long as propagating nine frames.
        learning_rate: of Adam, constant.
        seed: decides the clips.

    Raises:
        HS2SError: no mask, or steps below 1.
        InvalidMask: a mask that does not fit the frame.
    """
    if steps < 1 or not masks:
        raise HS2SError(f"{steps} steps, {len(masks)} masks; expected at least one of each")
    size = (frame.shape[0], frame.shape[1])
    checked = {key: check_prompt(mask, size, name=f"object {key}") for key, mask in masks.items()}
    config = model.config
    inner = network_size(size, config.input_size, model.stride, config.keep_aspect)
    stage = Stage(steps=steps, size=inner, frames=FRAMES, clips=1)
    items = ClipItems(_FrameClips(frame, checked), [stage], MOST_OBJECTS, seed, config.border)
    adapted = copy.deepcopy(model).train()
    freeze_norms(adapted)
    device = next(adapted.parameters()).device
    losses = LOSS_PRESETS["lite" if isinstance(config, LiteConfig) else "authors"]
    unroll = Unroll(adapted, losses, detach=True)
    optimizer = torch.optim.Adam(adapted.parameters(), learning_rate)
    for step in range(steps):
        loss, _ = unroll(collate([items[step]]).to(device), 1.0)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(adapted.parameters(), 10.0)
        optimizer.step()
    return adapted.eval()


class _FrameClips:
    """Clips made of one frame: objects move apart from the background, or with it."""

    def __init__(
        self, frame: npt.NDArray[np.uint8], masks: Mapping[int, npt.NDArray[np.bool_]]
    ) -> None:
        self._frame = frame
        self._ids = np.zeros(frame.shape[:2], np.uint8)
        for number, mask in enumerate(masks.values(), start=1):
            self._ids[mask] = number
        self._cutouts = {
            number: _cut(frame, self._ids == number)
            for number in range(1, len(masks) + 1)
            if (self._ids == number).any()
        }
        holes = cv2.dilate((self._ids > 0).astype(np.uint8), np.ones((7, 7), np.uint8))
        self._background = np.asarray(
            cv2.inpaint(frame, holes, WIDEST_HOLE, cv2.INPAINT_TELEA), np.uint8
        )

    def draw(self, rng: np.random.Generator, size: tuple[int, int], length: int) -> Clip:
        """A clip of ``length`` frames of ``size`` (H, W)."""
        pace = rng.uniform(0.2, 1.2)
        if rng.random() < 0.3:
            frames, id_maps = move(rng, MOTION, self._frame, self._ids, size, length, pace, 1.1)
            return Clip(np.stack(frames), id_maps)
        empty = np.zeros_like(self._ids)
        frames, id_maps = move(rng, MOTION, self._background, empty, size, length, 0.4 * pace, 1.1)
        height, width = self._frame.shape[:2]
        scale = np.array([size[1] / width, size[0] / height])
        for number in rng.permutation(list(self._cutouts)):
            cutout, centre = self._cutouts[int(number)]
            target = float(np.sqrt((cutout.alpha > 127).sum() * scale.prod())) * 1.1
            paste(rng, MOTION, frames, id_maps, cutout, int(number), pace, centre * scale, target)
        return Clip(np.stack(frames), id_maps)


def _cut(
    frame: npt.NDArray[np.uint8], mask: npt.NDArray[np.bool_]
) -> tuple[Cutout, npt.NDArray[np.float64]]:
    """The object cropped to its box, and the box's centre (x, y) in the frame."""
    ys, xs = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    box = slice(ys[0], ys[-1] + 1), slice(xs[0], xs[-1] + 1)
    centre = np.array([(xs[0] + xs[-1] + 1) / 2, (ys[0] + ys[-1] + 1) / 2])
    return Cutout(frame[box], mask[box].astype(np.uint8) * 255), centre
