"""Masks as FiftyOne stores them -> masks (H, W) of the whole frame.

FiftyOne stretches the mask of a ``Detection`` to its bounding box, whatever its own size; so does
this. Tools store masks in many ways: bool, 0 and 1, 0 and 255, soft-edged, as colours or with an
alpha channel, in the database or in a file. What they mean is decided here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from hs2s_core.errors import InvalidMask
from hs2s_core.media.masks import BoolMask, mask_box, open_mask

Size = tuple[int, int]
"""(H, W) in pixels."""
_SOFT = 128
# Tools round the corners of a box inwards or outwards, and CVAT counts its last row and column to
# the mask but not to the box: a mask up to so many pixels larger than its box is at pixel size.
_LARGER = 1.01
_NEAR = 2
FURTHEST = 2.0
"""No box relative to the frame reaches further beyond it."""


def read_instance_mask(path: str, name: str, *, colours: bool = False) -> npt.NDArray[Any]:
    """The values of a mask on disk: palette indices, grey levels or colours, (H, W[, C]).

    FiftyOne's own reader would turn a palette into ``colours``. ``name`` is what a message calls
    the label. Raises InvalidMask if there is no file or no image in it.
    """
    with open_mask(Path(path), f"{name}: {path}") as image:
        return np.array(image.convert("RGB") if colours else image)


def binary(values: npt.ArrayLike, name: str) -> BoolMask:
    """Which pixels of a stored mask are the object: (h, w) bool.

    Any value but 0 is the object, as FiftyOne draws it; a mask with soft edges (probabilities, or
    grey levels up to white) is cut at half its height. Of a picture with an alpha channel, what
    is not transparent is the object, or of one without transparent pixels what is not black.

    Raises:
        InvalidMask: not (h, w) or (h, w, channels), negative or not finite, or no numbers.
    """
    array = _one_channel(np.asarray(values), name)
    if array.dtype.kind == "b":
        return array.astype(np.bool_)
    if array.dtype.kind not in "uif":
        raise InvalidMask(f"{name}: the mask holds {array.dtype} values; expected bool or numbers.")
    if not array.size:
        return np.zeros(array.shape, np.bool_)
    low, high = array.min(), array.max()
    if not (low >= 0 and math.isfinite(high)):
        raise InvalidMask(
            f"{name}: the mask runs from {low} to {high}; expected 0 and 1, 0 and 255, or "
            "probabilities. Cut it at a threshold, for example mask > 0.5."
        )
    probabilities = array.dtype.kind == "f" and high <= 1
    shown = array[array > 0]
    soft = probabilities or (high >= _SOFT and shown.size and shown.min() < high)
    mask: BoolMask = array >= (0.5 if probabilities else high / 2) if soft else array > 0
    return mask


def _one_channel(array: npt.NDArray[Any], name: str) -> npt.NDArray[Any]:
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    if array.ndim == 3 and array.shape[2] in (2, 4):
        colours, alpha = array[..., :-1], array[..., -1]
        # Opaque everywhere: the channel says nothing.
        array = alpha if alpha.size and alpha.min() < alpha.max() else colours
    if array.ndim == 3 and array.shape[2] in (1, 3):
        array = array.max(axis=2)
    if array.ndim != 2:
        raise InvalidMask(
            f"{name}: the mask has shape {array.shape}; expected (height, width), or an image."
        )
    return array


class _Box(NamedTuple):
    """A bounding box in pixels of the frame, not rounded."""

    left: float
    top: float
    width: float
    height: float


def paste(
    box: Sequence[float] | None, mask: npt.ArrayLike, size: Size, name: str = "mask"
) -> BoolMask:
    """Stretch a mask (h, w) to its bounding box ``[x, y, w, h]`` (relative) in a frame (H, W).

    A mask of its box's own size is placed exactly, so that what ``fo.Detection.from_mask`` was
    given comes back: FiftyOne's own conversion shifts some masks by a pixel. Of any other, the
    pixels count that it covers at least by half, or by most where it covers none so far. What lies
    outside the frame is cut off.

    Raises:
        InvalidMask: no mask, see :func:`binary`; no box; or a mask of the whole frame, by mistake.
    """
    area = _scale(box, size, name)
    shape = binary(mask, name)
    full = np.zeros(size, dtype=np.bool_)
    if not shape.any():
        return full
    _refuse_whole_frame(shape, area, size, name)
    extent = (area.height, area.width)
    if all(-1 < have - want <= _LARGER for have, want in zip(shape.shape, extent, strict=True)):
        _place(shape, area, full)
    elif area.width and area.height:
        rows, lines = _resample(shape.astype(np.float64), area.top, area.height, size[0])
        columns, cover = _resample(lines.T, area.left, area.width, size[1])
        if cover.size:
            full[rows, columns] = (cover >= min(0.5, cover.max() or 1.0)).T
    return full


def _scale(box: Sequence[float] | None, size: Size, name: str) -> _Box:
    numbers = [] if box is None else [float(value) for value in box]
    if len(numbers) != 4 or not all(map(math.isfinite, numbers)) or min(numbers[2:]) < 0:
        raise InvalidMask(
            f"{name}: the bounding box is {box}; expected [x, y, width, height], relative to the "
            "frame. Draw the label again."
        )
    if max(map(abs, numbers)) > FURTHEST:
        raise InvalidMask(
            f"{name}: the bounding box is {numbers}, as in pixels; expected [x, y, width, height] "
            "relative to the frame, from 0 to 1. Divide it by the frame's width and height."
        )
    height, width = size
    left, top, box_width, box_height = numbers
    return _Box(left * width, top * height, box_width * width, box_height * height)


def _place(shape: BoolMask, box: _Box, full: BoolMask) -> None:
    """Put a mask of the box's own size into the frame."""
    x, y = round(box.left), round(box.top)
    shape = shape[max(0, -y) :, max(0, -x) :]
    x, y = max(0, x), max(0, y)
    part = full[y : y + shape.shape[0], x : x + shape.shape[1]]
    part[:] = shape[: part.shape[0], : part.shape[1]]


def _resample(
    values: npt.NDArray[np.float64], start: float, length: float, pixels: int
) -> tuple[slice, npt.NDArray[np.float64]]:
    """Spread rows (n, m) over ``length`` pixels from ``start`` on; exact shares of each pixel.

    Returns the pixels that these touch of those there are, and what is on them (that many, m).
    """
    first, last = max(0, math.floor(start)), min(pixels, math.ceil(start + length))
    count = len(values)
    edges = (np.arange(first, max(first, last) + 1) - start) * (count / length)
    edges = np.clip(edges, 0, count)
    sums = np.concatenate([np.zeros((1, values.shape[1])), values.cumsum(axis=0)])
    whole = np.minimum(edges.astype(np.intp), count - 1)
    reached = sums[whole] + (edges - whole)[:, None] * values[whole]
    return slice(first, max(first, last)), np.diff(reached, axis=0) * (length / count)


def _refuse_whole_frame(shape: BoolMask, box: _Box, size: Size, name: str) -> None:
    """A mask of the frame whose object lies where the box is was not meant to be squeezed in."""
    height, width = size
    if shape.shape != size or (box.width > width - _NEAR and box.height > height - _NEAR):
        return
    rows, columns = mask_box(shape)
    down = rows.start >= box.top - _NEAR and rows.stop < box.top + box.height + _NEAR + 1
    across = columns.start >= box.left - _NEAR and columns.stop < box.left + box.width + _NEAR + 1
    if down and across:
        raise InvalidMask(
            f"{name}: the mask is as large as the whole frame ({width}x{height}), but the mask of "
            f"a Detection is that of its box alone ({box.width:.0f}x{box.height:.0f} pixels), into "
            "which FiftyOne squeezes it. Crop it to the box, or make the label with "
            "fo.Detection.from_mask(mask), which does so."
        )


def extend(id_map: npt.NDArray[Any], size: Size) -> npt.NDArray[Any]:
    """``id_map`` with background below and to the right, up to ``size``: a video's, of a frame's.

    Encoders make odd sizes even by one more row or column.
    """
    more = [(0, want - have) for want, have in zip(size, id_map.shape, strict=True)]
    return np.pad(id_map, more) if id_map.shape != size else id_map


def fill(
    shapes: Iterable[Sequence[Sequence[float]]], size: Size, name: str = "outline"
) -> BoolMask | None:
    """The area (H, W) of a polyline's ``points``, open or closed; None without three points.

    The App's polygon tool closes and fills nothing that it draws. Where two shapes overlap is a
    hole, as FiftyOne draws it. Raises InvalidMask, which calls the label ``name``, where points are
    not finite, or far off as in pixels.
    """
    height, width = size
    areas = [np.asarray(shape, dtype=np.float64) for shape in shapes if len(shape) >= 3]
    if not areas:
        return None
    if not all((np.abs(area) <= FURTHEST).all() for area in areas):
        raise InvalidMask(
            f"{name}: has points that are not relative to the frame; expected (x, y) from 0 to 1. "
            "Divide pixels by the frame's width and height."
        )
    outlines = [np.rint(area * (width, height)).astype(np.int32) for area in areas]
    canvas = np.zeros(size, dtype=np.uint8)
    cv2.fillPoly(canvas, outlines, 1)
    return canvas.astype(np.bool_)
