"""Binary images packed in eight bands, so that one operation serves eight pixels.

The rows of a mask are cut into eight bands of equal height; band b is bit b of the bytes of one
band's size. Neighbours of a pixel are then neighbours of its byte, in every direction, and shifting
a mask is reading it from another offset: no bit crosses a byte. Only the rows next to a band's
edge are needed twice, shifted by one bit. Packed planes are ``(planes, band, W)`` uint8.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

Planes = npt.NDArray[np.uint8]

_BANDS = 8


def pack(masks: Sequence[npt.NDArray[Any]], radius: int) -> Planes:
    """Pack masks ``(H, W)`` uint8 of one size, 0 or 1, one plane per mask.

    A band is at least ``radius`` rows high, so that :func:`dilate` looks no further than the next.
    """
    height, width = masks[0].shape
    band = max(-(-height // _BANDS), radius, 1)
    planes = np.zeros((len(masks), band, width), np.uint8)
    for plane, mask in zip(planes, masks, strict=True):
        flat, pixels = plane.reshape(-1), np.ascontiguousarray(mask).reshape(-1)
        for start in range((height - 1) // band * flat.size, -1, -flat.size):
            part = pixels[start : start + flat.size]
            np.add(flat, flat, out=flat)  # the bands so far, one bit up
            np.bitwise_or(flat[: part.size], part, out=flat[: part.size])
    return planes


def boundaries(planes: Planes, height: int) -> Planes:
    """Find the pixels unlike an east, south or south-east neighbour in masks of ``height`` rows."""
    south = np.empty_like(planes)
    south[:, :-1] = planes[:, 1:]
    np.right_shift(planes[:, 0], 1, out=south[:, -1])
    # The last row has no neighbours below: its own pixels stand in for them.
    bit, row = divmod(height - 1, planes.shape[1])
    own = 1 << bit
    south[:, row] = (south[:, row] & (255 - own)) | (planes[:, row] & own)
    edges = planes ^ south
    # The last column has no neighbours to the east.
    here, inside = planes[..., :-1], edges[..., :-1]
    for east in (planes[..., 1:], south[..., 1:]):
        np.bitwise_or(inside, here ^ east, out=inside)
    return edges


def dilate(planes: Planes, radius: int) -> Planes:
    """Dilate each plane by the disc of ``radius`` pixels.

    A disc is a stack of horizontal spans: pixels are spread along the rows once per span width,
    then OR-ed into the rows that far up and down.
    """
    count, band, width = planes.shape
    # Pixels spread over the end of a row must not reach the next one's.
    row = width + radius
    padded = np.zeros((count, band + 2 * radius, row), np.uint8)
    padded[:, radius : radius + band, :width] = planes
    if radius:
        np.left_shift(planes[:, -radius:], 1, out=padded[:, :radius, :width])
        np.right_shift(planes[:, :radius], 1, out=padded[:, radius + band :, :width])
    reach = np.zeros((count, band * row), np.uint8)
    for spread, offset in _spreads(padded.reshape(-1), radius):
        rows = spread.reshape(count, -1)
        for place in {radius - offset, radius + offset}:
            np.bitwise_or(reach, rows[:, place * row : (place + band) * row], out=reach)
    return reach.reshape(count, band, row)[..., :width]


def _spreads(flat: Planes, radius: int) -> Iterator[tuple[Planes, int]]:
    """Pixels spread along the rows by a disc's spans, and the row offset of each, from outside."""
    buffers, spread, done = [np.empty_like(flat) for _ in range(2)], flat, 0
    for half_width, offset in _disc_spans(radius):
        while done < half_width:
            # Shifting a span by more than its own length would leave a hole inside.
            step = min(half_width - done, 2 * done + 1)
            wider = buffers[0]
            np.bitwise_or(spread[step:], spread[:-step], out=wider[step:])
            wider[:step] = spread[:step]
            np.bitwise_or(wider[:-step], spread[step:], out=wider[:-step])
            spread, done = wider, done + step
            buffers.reverse()
        yield spread, offset


@lru_cache(maxsize=64)
def _disc_spans(radius: int) -> tuple[tuple[int, int], ...]:
    """Return the rows of a half disc as (half width, offset), narrowest first."""
    return tuple(
        (math.isqrt(radius * radius - offset * offset), offset) for offset in range(radius, -1, -1)
    )


def count(planes: npt.NDArray[Any]) -> int:
    """Return the number of set bits."""
    return int(cv2.norm(np.ascontiguousarray(planes).reshape(-1), cv2.NORM_HAMMING))
