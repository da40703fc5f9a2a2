"""Masks drawn over their frames, and several pictures on one sheet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from hs2s_core.checked.calls import checked_call
from hs2s_core.errors import InvalidMask
from hs2s_core.media.images import RGBImage, check_rgb

__all__ = ["Row", "contact_sheet", "draw_masks", "enlarge", "enlarge_ids", "object_colour"]

# Okabe and Ito's colours: told apart by colour-blind readers too. The last is not theirs.
_COLOURS = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (204, 121, 167),
    (213, 94, 0),
    (0, 114, 178),
    (160, 110, 255),
)
_INK = (32, 32, 32)
_PAPER = (255, 255, 255)
_GAP = 6


def object_colour(object_id: int) -> tuple[int, int, int]:
    """RGB in which an object is drawn; neighbouring ids differ clearly, ids 8 apart agree."""
    return _COLOURS[(object_id - 1) % len(_COLOURS)]


@checked_call
def draw_masks(
    frame: RGBImage, id_map: npt.NDArray[np.unsignedinteger], *, opacity: float = 0.5
) -> RGBImage:
    """A copy of ``frame`` (H, W, 3) with each object of ``id_map`` (H, W) tinted and outlined.

    ``opacity`` in [0, 1] is that of the tint; the outline, inside the mask, is opaque. Raises
    InvalidMask when the sizes differ.
    """
    size = check_rgb(frame)
    if id_map.shape != size:
        raise InvalidMask(
            f"the id map is {id_map.shape}, the frame {size} (height, width); "
            "expected the same size. Resize the id map (nearest neighbour)."
        )
    colours = np.array(_COLOURS)[(id_map.astype(np.intp) - 1) % len(_COLOURS)]
    share = np.where(_outlines(id_map), 1.0, np.where(id_map > 0, opacity, 0.0))[..., None]
    mixed = frame * (1 - share) + colours * share
    drawn: RGBImage = np.rint(mixed).astype(np.uint8)
    return drawn


def enlarge(image: RGBImage, factor: int) -> RGBImage:
    """``image`` (H, W, 3) at ``factor`` times its size, smoothly."""
    height, width = image.shape[:2]
    larger: RGBImage = np.asarray(
        cv2.resize(image, (width * factor, height * factor), interpolation=cv2.INTER_CUBIC),
        np.uint8,
    )
    return larger


def enlarge_ids(
    id_map: npt.NDArray[np.unsignedinteger], factor: int
) -> npt.NDArray[np.unsignedinteger]:
    """``id_map`` (H, W) at ``factor`` times its size, every pixel a square."""
    return id_map.repeat(factor, axis=0).repeat(factor, axis=1)


@dataclass(frozen=True)
class Row:
    """A line of a contact sheet: pictures of one size, each with its caption."""

    title: str
    pictures: Sequence[RGBImage]
    captions: Sequence[str]


def contact_sheet(rows: Sequence[Row], *, text_size: int = 18) -> RGBImage:
    """Rows of captioned pictures on white paper, (H, W, 3) uint8 RGB; ``text_size`` in pixels."""
    line = text_size * 3 // 2
    height = _GAP + sum(line + _GAP + row.pictures[0].shape[0] + line + _GAP for row in rows)
    width = _GAP + max(sum(picture.shape[1] + _GAP for picture in row.pictures) for row in rows)
    sheet = Image.new("RGB", (width, height), _PAPER)
    pen = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(text_size)
    top = _GAP
    for row in rows:
        pen.text((_GAP, top), row.title, fill=_INK, font=font)
        top += line + _GAP
        left = _GAP
        for picture, caption in zip(row.pictures, row.captions, strict=True):
            sheet.paste(Image.fromarray(picture), (left, top))
            pen.text((left, top + picture.shape[0] + 2), caption, fill=_INK, font=font)
            left += picture.shape[1] + _GAP
        top += row.pictures[0].shape[0] + line + _GAP
    return np.array(sheet)


def _outlines(id_map: npt.NDArray[np.unsignedinteger]) -> npt.NDArray[np.bool_]:
    """(H, W) bool: pixels of an object that touch, by a side, a pixel of something else."""
    cross, ids = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3)), id_map.astype(np.uint16)
    return np.asarray((cv2.erode(ids, cross) != cv2.dilate(ids, cross)) & (ids > 0))
