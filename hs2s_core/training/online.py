"""Online training: adapt a network to the first masks of a clip before it is propagated.

The OL rows of the paper's Table 1 do this. Each given frame is turned into short synthetic
clips: its objects move on paths of their own before its background, whose holes are filled
in; a few steps on such clips teach the network what these objects look like.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from hs2s_core.data.layers import Scene
from hs2s_core.data.motion import Motion
from hs2s_core.data.stills import Cutout
from hs2s_core.data.synthesis import Clip
from hs2s_core.errors import HS2SError
from hs2s_core.media.images import RGBImage
from hs2s_core.media.masks import check_prompt, mask_box
from hs2s_core.media.source import FrameSource
from hs2s_core.models.base import VideoSegmenter
from hs2s_core.models.config import LiteConfig
from hs2s_core.models.inputs import network_size
from hs2s_core.prompts import PlainPrompts, Prompts
from hs2s_core.training.batches import ClipItems, Mixture, collate
from hs2s_core.training.config import Stage, Unrolling
from hs2s_core.training.losses import LOSS_PRESETS
from hs2s_core.training.norms import freeze_norms
from hs2s_core.training.unroll import Unroll

FRAMES = 3
MOST_OBJECTS = 3
"""Objects per step; with more, each step takes some of them."""
MOST_FRAMES = 12
"""Given frames that clips are made of, those first in which an object is new."""
MOTION = Motion(speed=0.04, zoom=0.03, rotation=4.0, bend=0.04)
WIDEST_HOLE = 5
"""Reach, pixels, of the filling of the background around a removed object."""


def adapt(
    model: VideoSegmenter,
    frames: FrameSource | Sequence[RGBImage],
    prompts: Prompts | PlainPrompts,
    steps: int,
    *,
    learning_rate: float = 1e-4,
) -> VideoSegmenter:
    """A copy of ``model`` trained for ``steps`` on clips made of the frames with given masks.

    Args:
        model: the network; it is left as it is.
        frames: the clip, RGB uint8 (H, W, 3) each.
        prompts: at least one mask; frame -> object id -> (H, W) mask.
        steps: gradient steps; a step takes about as long as propagating nine frames.
        learning_rate: of Adam, constant.

    Raises:
        HS2SError: no mask, or steps below 1.
        InvalidMask: a mask that does not fit its frame.
    """
    prompts = Prompts.of(prompts)
    if steps < 1 or not prompts:
        raise HS2SError(f"{steps} steps, {len(prompts)} masks; expected at least one of each")
    given = [
        _FrameClips(frames.at(at) if isinstance(frames, FrameSource) else frames[at], prompts[at])
        for at in _choose(prompts)
    ]
    config = model.config
    inner = network_size(prompts.size, config.input_size, model.stride, config.keep_aspect)
    stage = Stage(steps=steps, size=inner, frames=FRAMES, clips=1)
    items = ClipItems(Mixture(given, [1] * len(given)), [stage], MOST_OBJECTS, 0, config.border)
    adapted = copy.deepcopy(model).train()
    freeze_norms(adapted)
    device = next(adapted.parameters()).device
    losses = LOSS_PRESETS["lite" if isinstance(config, LiteConfig) else "authors"]
    unroll = Unroll(adapted, losses, Unrolling(detach=True))
    optimizer = torch.optim.Adam(adapted.parameters(), learning_rate)
    for step in range(steps):
        loss, _ = unroll(collate([items[step]]).to(device), 1.0)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(adapted.parameters(), 10.0)
        optimizer.step()
    return adapted.eval()


def _choose(prompts: Prompts) -> list[int]:
    """The frames to make clips of: each object's first, then others in their order."""
    new = dict.fromkeys(prompts.key_frames(object_id)[0] for object_id in prompts.object_ids)
    return list(new | dict.fromkeys(prompts))[:MOST_FRAMES]


class _FrameClips:
    """Clips made of one frame: objects move apart from the background, or with it."""

    def __init__(self, frame: RGBImage, masks: Mapping[int, npt.ArrayLike]) -> None:
        """Raises InvalidMask where a mask does not fit the frame."""
        self._frame = frame
        size = (frame.shape[0], frame.shape[1])
        self._ids = np.zeros(size, np.uint8)
        for number, (object_id, mask) in enumerate(masks.items(), start=1):
            self._ids[check_prompt(mask, size, name=f"object {object_id}")] = number
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
        scene = Scene.empty(rng, MOTION, size, length)
        if rng.random() < 0.3:
            scene.film(self._frame, self._ids, pace=pace, zoom=1.1)
            return Clip(scene.frames, scene.id_maps)
        scene.film(self._background, np.zeros_like(self._ids), pace=0.4 * pace, zoom=1.1)
        height, width = self._frame.shape[:2]
        scale = np.array([size[1] / width, size[0] / height])
        for number in rng.permutation(list(self._cutouts)):
            cutout, centre = self._cutouts[int(number)]
            target = float(np.sqrt((cutout.alpha > 127).sum() * scale.prod())) * 1.1
            scene.paste(cutout, int(number), centre * scale, target, pace=pace)
        return Clip(scene.frames, scene.id_maps)


def _cut(
    frame: npt.NDArray[np.uint8], mask: npt.NDArray[np.bool_]
) -> tuple[Cutout, npt.NDArray[np.float64]]:
    """The object cropped to its box, and the box's centre (x, y) in the frame."""
    rows, columns = mask_box(mask)
    centre = np.array([columns.start + columns.stop, rows.start + rows.stop]) / 2
    return Cutout.of(frame, mask), centre
