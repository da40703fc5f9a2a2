"""Clips as a picture: what training sees, to be looked at."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from hs2s_core.data.synthesis import Clip
from hs2s_core.media.images import RGBImage
from hs2s_core.media.masks import object_ids
from hs2s_core.media.overlay import Row, contact_sheet, draw_masks
from hs2s_core.media.strip import evenly
from hs2s_core.wording import counted


def clip_sheet(clips: Sequence[Clip], *, frames: int, width: int) -> RGBImage:
    """One line per clip, (H, W, 3) uint8 RGB: ``frames`` of its frames with the masks on them.

    Frames are evenly spaced from the first to the last and drawn ``width`` pixels wide.
    """
    rows = []
    for number, clip in enumerate(clips):
        shown = evenly(len(clip.frames), frames)
        pictures = [_picture(clip, t, width) for t in shown]
        title = f"clip {number}: {counted(len(object_ids(clip.id_maps.reshape(1, -1))), 'object')}"
        rows.append(Row(title, pictures, [f"frame {t}" for t in shown]))
    return contact_sheet(rows, text_size=12)


def _picture(clip: Clip, t: int, width: int) -> RGBImage:
    height = round(clip.frames.shape[1] * width / clip.frames.shape[2])
    drawn = draw_masks(clip.frames[t], clip.id_maps[t], opacity=0.35)
    return np.asarray(cv2.resize(drawn, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
