"""A propagated clip at one look: a few of its frames beside each other, masks drawn over them."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from PIL import Image

from hs2s_core.checked.calls import checked_call
from hs2s_core.errors import HS2SError
from hs2s_core.media.images import RGBImage
from hs2s_core.media.masks import IdMap
from hs2s_core.media.overlay import Row, contact_sheet, draw_masks
from hs2s_core.media.source import FrameSource
from hs2s_core.wording import pixels

__all__ = ["MaskedFrame", "Picture", "evenly", "overlay_strip"]


class MaskedFrame(Protocol):
    """A frame's number (0-based) and its id map (H, W), such as a FrameResult."""

    @property
    def index(self) -> int: ...
    @property
    def id_map(self) -> IdMap: ...


@dataclass(frozen=True, repr=False)
class Picture:
    """A picture that notebooks show by themselves, as JPEG, so that they stay small."""

    pixels: RGBImage
    """(H, W, 3) uint8 RGB."""

    def save(self, path: str | Path) -> None:
        """Write it; the ending of ``path`` says as what (``.png``, ``.jpg``, ``.webp``)."""
        Image.fromarray(self.pixels).save(path)

    def __repr__(self) -> str:
        return f"Picture of {pixels(self.pixels.shape)} pixels"

    def _repr_jpeg_(self) -> bytes:
        file = io.BytesIO()
        Image.fromarray(self.pixels).save(file, "JPEG", quality=88)
        return file.getvalue()


@checked_call
def overlay_strip(
    frames: FrameSource, results: Iterable[MaskedFrame], *, count: int = 6, height: int = 160
) -> Picture:
    """``count`` evenly spaced results over their frames, the first and the last among them.

    Args:
        frames: the clip, e.g. from :func:`hs2s_core.media.open_frames`.
        results: what :func:`hs2s_core.propagation.propagate` yields for it.
        count: pictures at most, 1 or more.
        height: of each picture, in pixels.

    Raises:
        HS2SError: no result to draw, or a ``count`` or ``height`` below 1.
        InvalidMask: an id map of another size than its frame.
    """
    every = list(results)
    if not every or count < 1 or height < 1:
        raise HS2SError(
            f"{len(every)} results, count={count}, height={height}; expected at least 1 of each"
        )
    chosen = [every[place] for place in evenly(len(every), count)]
    width = max(1, round(frames.size[1] * height / frames.size[0]))
    smaller = cv2.INTER_AREA if height < frames.size[0] else cv2.INTER_CUBIC
    pictures = [
        np.asarray(
            cv2.resize(
                draw_masks(frames.at(each.index), each.id_map), (width, height), None, 0, 0, smaller
            ),
            np.uint8,
        )
        for each in chosen
    ]
    captions = [f"frame {each.index}" for each in chosen]
    return Picture(contact_sheet([Row(frames.description, pictures, captions)], text_size=14))


def evenly(length: int, count: int) -> list[int]:
    """``count`` places at most of ``length``, evenly spaced, the first and the last among them."""
    places = np.linspace(0, length - 1, max(count, 0)).round().astype(int)
    return [int(place) for place in np.unique(places)]
