"""A video of a dataset at one look: a few frames with the masks of a field, for notebooks."""

from __future__ import annotations

from typing import NamedTuple

import fiftyone as fo
import numpy as np

from hs2s_core.errors import HS2SError
from hs2s_core.media.masks import IdMap, id_dtype
from hs2s_core.media.strip import Picture, evenly, overlay_strip

from .frame_fields import bare, mask_field_error
from .labels import frame_masks
from .media import open_clip

__all__ = ["show_field"]


class _Frame(NamedTuple):
    index: int
    id_map: IdMap


def show_field(sample: fo.Sample, field: str, *, count: int = 6, height: int = 160) -> Picture:
    """``count`` evenly spaced frames of a video, the masks of frame field ``field`` over them.

    Labels without an ``index`` are not shown. ``height`` is that of each frame, in pixels.

    Raises:
        HS2SError: no such field of masks, or a ``count`` or ``height`` below 1.
        InvalidMedia: a video that cannot be read.
    """
    name = bare(field)
    if error := mask_field_error(sample.dataset, name):
        raise HS2SError(error)
    clip = open_clip(sample)
    shown = []
    for index in evenly(len(clip.frames), count):
        masks = frame_masks(sample.frames[index + 1][name], clip.video_size)
        id_map = np.zeros(clip.frames.size, id_dtype(max(masks, default=0)))
        for object_id, mask in masks.items():
            id_map[clip.to_frame(mask)] = object_id
        shown.append(_Frame(index, id_map))
    return overlay_strip(clip.frames, shown, count=count, height=height)
