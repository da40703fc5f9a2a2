"""Masks of objects of which only boxes or points are known: made by a run, shown in its form."""

from __future__ import annotations

import time
from typing import NamedTuple

import cv2
import numpy as np

from hs2s_core.media.images import RGBImage
from hs2s_core.media.masks import BoolMask, id_dtype
from hs2s_core.media.overlay import draw_masks
from hs2s_core.media.strip import Picture
from hs2s_core.prompts import Prompt, Prompts
from hs2s_core.prompts.grabcut import draw

from ..labels.prompts import Hinted, VideoPrompts
from ..media import Clip

_WIDTH = 480
"""Of the picture in a form, in pixels."""
_previews: dict[tuple[object, ...], Preview] = {}
"""A form is resolved again at every keystroke."""


def check_hinted(clip: Clip, prompts: VideoPrompts) -> None:
    """Raise HS2SError for a box without area, or a point outside of the frame."""
    for given in prompts.hinted.values():
        for hint in given.hints:
            hint.check(clip.video_size, given.name)


def draw_hinted(clip: Clip, prompts: VideoPrompts) -> None:
    """Give the objects of ``prompts.hinted`` by the masks that are made of their boxes or points.

    What a person has put right in that frame stays.
    """
    made = []
    for object_id, given in prompts.hinted.items():
        if object_id not in prompts.masks.get(given.frame, {}):
            mask = _mask(_picture(clip, given.frame), given)
            made.append(Prompt(given.frame, object_id, mask, origin=given.hints[0].origin))
    if made:
        prompts.masks = Prompts([*prompts.masks.each(), *made])
        names = ", ".join(sorted(prompts.hinted[each.object_id].name for each in made))
        prompts.remarks.append(
            f"the mask of {names} was made of its box or points, from colours alone; look at it."
        )


class Preview(NamedTuple):
    """The masks that a run would make in one frame of a video."""

    number: int
    """Of the frame, from 1."""
    picture: Picture
    left: int
    """Objects in that frame whose masks took too long to make."""


def preview_frame(clip: Clip, prompts: VideoPrompts, deadline: float) -> Preview | None:
    """The first frame with masks that :func:`draw_hinted` would make; None where it makes none.

    At ``deadline``, by ``time.monotonic()``, no further one is begun.
    """
    index = min((given.frame for given in prompts.hinted.values()), default=None)
    if index is None:
        return None
    shown = {i: given for i, given in prompts.hinted.items() if given.frame == index}
    key = (clip.frames.description, clip.video_size, *shown.items())
    if key not in _previews:
        if len(_previews) > 100:
            _previews.clear()
        frame = _picture(clip, index)
        id_map = np.zeros(clip.video_size, id_dtype(max(shown)))
        left = dict(shown)
        while left and time.monotonic() < deadline:
            object_id, given = left.popitem()
            id_map[_mask(frame, given)] = object_id
        size = _WIDTH, max(1, round(_WIDTH * frame.shape[0] / frame.shape[1]))
        drawn = cv2.resize(draw_masks(frame, id_map), size)
        _previews[key] = Preview(index + 1, Picture(np.asarray(drawn, np.uint8)), len(left))
    return _previews[key]


def _mask(frame: RGBImage, given: Hinted) -> BoolMask:
    masks = [draw(frame, hint, name=given.name) for hint in given.hints]
    return np.asarray(np.logical_or.reduce(masks))


def _picture(clip: Clip, index: int) -> RGBImage:
    """A frame at the video's size: encoders make odd sizes even by one more row or column."""
    frame = clip.frames.at(index)
    down, right = (want - have for want, have in zip(clip.video_size, frame.shape[:2], strict=True))
    return np.asarray(cv2.copyMakeBorder(frame, 0, down, 0, right, cv2.BORDER_REPLICATE))
