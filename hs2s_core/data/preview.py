"""Clips as a picture: what training sees, to be looked at."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from hs2s_core.data.synthesis import Clip
from hs2s_core.media.images import RGBImage
from hs2s_core.media.overlay import Row, contact_sheet, draw_masks


def clip_sheet(clips: Sequence[Clip], *, frames: int, width: int) -> RGBImage:
    """One line per clip, (H, W, 3) uint8 RGB: ``frames`` of its frames with the masks on them.

    Frames are evenly spaced from the first to the last and drawn ``width`` pixels wide.
    """
    rows = []
    for number, clip in enumerate(clips):
        indices = np.linspace(0, len(clip.frames) - 1, min(frames, len(clip.frames))).round()
        pictures = [_picture(clip, int(t), width) for t in indices]
        objects = len(np.unique(clip.id_maps[clip.id_maps > 0]))
        title = f"clip {number}: {objects} object{'s' if objects != 1 else ''}"
        rows.append(Row(title, pictures, [f"frame {int(t)}" for t in indices]))
    return contact_sheet(rows, text_size=12)


def _picture(clip: Clip, t: int, width: int) -> RGBImage:
    height = round(clip.frames.shape[1] * width / clip.frames.shape[2])
    drawn = draw_masks(clip.frames[t], clip.id_maps[t], opacity=0.35)
    return np.asarray(cv2.resize(drawn, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
