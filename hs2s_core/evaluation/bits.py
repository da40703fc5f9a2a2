"""Binary images packed 64 pixels to a word, so that one operation serves 64 pixels.

Packed planes are contiguous ``(planes, H + 1, G + K)`` words of 64 bits: every row starts with
G = ``radius // 64 + 1`` empty words and pixel x of the row is bit x of what follows; the row added
below is empty. Thus at least ``radius`` empty bits lie before, between and behind the rows' pixels
in the flattened array, of which one may be a boundary pixel left of the image: a shift by up to
``radius`` moves pixels of one row into the gaps and never into another row's pixels, and what one
shift moves there the next can bring back.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

Words = npt.NDArray[np.uint64]

_WORD = 64
_ONE, _CARRY = np.uint64(1), np.uint64(_WORD - 1)
# Comparing and packing bit by bit keeps the temporaries in the processor's cache, and below the
# size from which the allocator returns memory to the system after every use.
_BLOCK_PIXELS = 100_000


def pack(maps: Sequence[npt.NDArray[Any]], value: int, radius: int) -> Words:
    """Pack the pixels that equal ``value`` of maps ``(H, W)`` of one size, one plane per map."""
    height, width = maps[0].shape
    gap = _gap(radius)
    packed = np.zeros((len(maps), height + 1, gap + -(-width // _WORD)), dtype="<u8")
    block = max(1, _BLOCK_PIXELS // width)
    pixels = packed.view(np.uint8)[:, :, 8 * gap : 8 * gap + -(-width // 8)]
    for plane, values in zip(pixels, maps, strict=True):
        for top in range(0, height, block):
            rows = slice(top, min(top + block, height))
            plane[rows] = np.packbits(values[rows] == value, axis=1, bitorder="little")
    return packed


def _gap(radius: int) -> int:
    """Return the empty words before a row."""
    return radius // _WORD + 1


def boundaries(maps: Sequence[npt.NDArray[Any]], value: int, radius: int) -> tuple[Words, Words]:
    """Pack maps and find the pixels unlike an east, south or south-east neighbour in the image.

    Returns:
        The packed pixels that equal ``value`` and their boundaries, both cut to the words and rows
        that hold any, and a margin.
    """
    planes, columns = _trim(pack(maps, value, radius), radius)
    flat = planes.reshape(-1)
    # One scratch array: fresh ones cost more than what is computed in them.
    scratch = np.empty_like(planes)
    east = flat >> _ONE
    _or_into(east[:-1], np.left_shift, flat[1:], _CARRY, scratch.reshape(-1)[:-1])
    east = east.reshape(planes.shape)
    edges: Words = planes ^ east
    above, below, spare = planes[:, :-2], slice(1, -1), scratch[:, :-2]
    _or_into(edges[:, :-2], np.bitwise_xor, above, east[:, below], spare)
    # The last column has no neighbour to the east; what follows it would pass for one.
    edges &= _all_but_last_column(maps[0].shape[1], radius)[columns]
    _or_into(edges[:, :-2], np.bitwise_xor, above, planes[:, below], spare)
    return planes, edges


def _or_into(target: Words, operation: np.ufunc, left: Words, right: Any, scratch: Words) -> None:
    """Add the bits of ``operation(left, right)`` to ``target``."""
    operation(left, right, out=scratch)
    np.bitwise_or(target, scratch, out=target)


def _trim(planes: Words, radius: int) -> tuple[Words, slice]:
    """Cut planes to the pixels they hold, and return the columns of words that remain.

    Kept around the pixels are a row above, two below (or the added one, if the pixels reach the
    image's last row) and G words before, which are empty and take the part of the gap.
    """
    words = np.flatnonzero(np.bitwise_or.reduce(planes, axis=(0, 1)))
    if not words.size:
        return planes[:, :2, : _gap(radius) + 1].copy(), slice(0, _gap(radius) + 1)
    columns = slice(words[0] - _gap(radius), words[-1] + 1)
    kept = planes[:, :, columns]
    rows = np.flatnonzero(kept.any(axis=(0, 2)))
    return np.ascontiguousarray(kept[:, max(rows[0] - 1, 0) : rows[-1] + 3]), columns


@lru_cache(maxsize=256)
def _all_but_last_column(width: int, radius: int) -> Words:
    columns = np.zeros(_WORD * (_gap(radius) + -(-width // _WORD)), dtype=np.bool_)
    columns[_WORD * _gap(radius) :][: width - 1] = True
    words: Words = np.packbits(columns, bitorder="little").view("<u8")
    return words


def dilate(planes: Words, radius: int) -> Words:
    """Dilate each plane by the disc of ``radius`` pixels; the gaps hold rubbish afterwards.

    A disc is a stack of horizontal spans: pixels are spread along the rows once per span width,
    then OR-ed into the rows that far up and down.
    """
    rows = planes.shape[1]
    spread, done = planes, 0
    reach = np.zeros_like(planes)
    buffers = [np.empty_like(planes) for _ in range(2)]
    scratch = np.empty_like(planes)
    for half_width, offsets in _disc_spans(radius, rows):
        while done < half_width:
            # Shifting a span by more than its own length would leave a hole inside.
            step = min(half_width - done, 2 * done + 1, _WORD - 1)
            _spread(spread, step, buffers[0], scratch)
            spread, done = buffers[0], done + step
            buffers.reverse()
        for offset in offsets:
            above, below = reach[:, : rows - offset], reach[:, offset:]
            np.bitwise_or(above, spread[:, offset:], out=above)
            np.bitwise_or(below, spread[:, : rows - offset], out=below)
    return reach


@lru_cache(maxsize=1024)
def _disc_spans(radius: int, rows: int) -> tuple[tuple[int, tuple[int, ...]], ...]:
    """Return a disc as (half width, row offsets from 0 to below ``rows``), narrowest first."""
    spans: dict[int, list[int]] = {}
    for offset in range(min(radius, rows - 1), -1, -1):
        spans.setdefault(math.isqrt(radius * radius - offset * offset), []).append(offset)
    return tuple((half_width, tuple(offsets)) for half_width, offsets in spans.items())


def _spread(planes: Words, step: int, wider: Words, scratch: Words) -> None:
    """Write pixels and those ``step`` columns to either side, 1 to 63, to ``wider``."""
    flat, out, spare = (array.reshape(-1) for array in (planes, wider, scratch))
    here, over = np.uint64(step), np.uint64(_WORD - step)
    np.left_shift(flat, here, out=out)
    np.bitwise_or(out, flat, out=out)
    _or_into(out, np.right_shift, flat, here, spare)
    # Bits that leave a word go on in its neighbour.
    _or_into(out[1:], np.right_shift, flat[:-1], over, spare[1:])
    _or_into(out[:-1], np.left_shift, flat[1:], over, spare[:-1])


def count(words: npt.NDArray[Any]) -> int:
    """Return the number of set bits."""
    return int(cv2.norm(np.ascontiguousarray(words).reshape(-1).view(np.uint8), cv2.NORM_HAMMING))
