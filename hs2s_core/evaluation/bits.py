"""Binary images packed 64 pixels to a word, so that one operation serves 64 pixels.

Packed planes are contiguous ``(H + 1, planes, G + K)`` words of 64 bits: the rows of all planes lie
side by side. Every row of a plane starts with G = ``radius // 64 + 1`` empty words, and pixel x of
it is bit x of what follows; the row added below is empty. Thus at least ``radius`` empty bits lie
before, between and behind the pixels of two rows in the flattened array, of which one may be a
boundary pixel left of the image: a shift by up to ``radius`` moves pixels of one row into the gaps
and never into another row's pixels, and what one shift moves there the next can bring back. Up and
down are shifts of the flattened array by whole rows, off its ends.
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
# Masking and packing bit by bit keeps the temporaries in the processor's cache, and below the
# size from which the allocator returns memory to the system after every use.
_BLOCK_PIXELS = 100_000


def pack_ids(maps: Sequence[npt.NDArray[Any]], highest: int, radius: int) -> list[Words]:
    """Pack maps ``(H, W)`` of one size with ids from 0 to ``highest``, one plane per map.

    Returns:
        The planes of each binary digit of the ids, lowest first; :func:`select` reads them.
    """
    height, width = maps[0].shape
    gap = _gap(radius)
    size = (height + 1, len(maps), gap + -(-width // _WORD))
    digits: list[Words] = [np.zeros(size, dtype="<u8") for _ in range(highest.bit_length())]
    columns = slice(8 * gap, 8 * gap + -(-width // 8))
    block = max(1, _BLOCK_PIXELS // width)
    for plane, ids in enumerate(maps):
        for top in range(0, height, block):
            rows = slice(top, min(top + block, height))
            for place, digit in enumerate(digits):
                # Anything but 0 is packed as a set bit.
                found = ids[rows] if highest == 1 else ids[rows] & (1 << place)
                packed = np.packbits(found, axis=1, bitorder="little")
                digit.view(np.uint8)[rows, plane, columns] = packed
    return digits


def select(digits: Sequence[Words], object_id: int) -> Words:
    """Return the planes of the pixels with ``object_id``, above 0."""
    # A digit that is set comes first: the complement of one that is not has full gaps.
    first = next(place for place in range(len(digits)) if object_id >> place & 1)
    planes = digits[first]
    for place, digit in enumerate(digits):
        if place != first:
            planes = np.bitwise_and(planes, digit if object_id >> place & 1 else ~digit)
    return planes


def _gap(radius: int) -> int:
    """Return the empty words before a row."""
    return radius // _WORD + 1


def boundaries(planes: Words, width: int, radius: int) -> tuple[Words, Words]:
    """Find the pixels of planes unlike an east, south or south-east neighbour in the image.

    Args:
        planes: packed planes.
        width: of the image, pixels.
        radius: that they were packed for.

    Returns:
        The planes and their boundaries, both cut to the words and rows that hold any pixel, and a
        margin.
    """
    planes, columns = _trim(planes, radius)
    # One scratch array: fresh ones cost more than what is computed in them.
    scratch = np.empty(planes.size, dtype="<u8")
    flat, row = planes.reshape(-1), planes[0].size
    east = flat >> _ONE
    _or_into(east[:-1], np.left_shift, flat[1:], _CARRY, scratch[:-1])
    edges = flat ^ east
    # The last row, before the added one, has no neighbours below.
    upper, below = slice(0, -2 * row), slice(row, -row)
    _or_into(edges[upper], np.bitwise_xor, flat[upper], east[below], scratch[upper])
    # The last column has no neighbour to the east; what follows it would pass for one.
    inside = edges.reshape(planes.shape)
    inside &= _all_but_last_column(width, radius)[columns]
    _or_into(edges[upper], np.bitwise_xor, flat[upper], flat[below], scratch[upper])
    return planes, inside


def _or_into(target: Words, operation: np.ufunc, left: Words, right: Any, scratch: Words) -> None:
    """Add the bits of ``operation(left, right)`` to ``target``."""
    operation(left, right, out=scratch)
    np.bitwise_or(target, scratch, out=target)


def _trim(planes: Words, radius: int) -> tuple[Words, slice]:
    """Cut planes to the pixels they hold, and return the columns of words that remain.

    Kept around the pixels are a row above, two below (or the added one, if the pixels reach the
    image's last row) and G words before, which are empty and take the part of the gap.
    """
    gap = _gap(radius)
    found = planes.reshape(-1) != 0
    first = int(found.argmax())
    if not found[first]:
        return planes[:2, :, : gap + 1].copy(), slice(0, gap + 1)
    last = found.size - 1 - int(found[::-1].argmax())
    row = planes[0].size
    kept = planes[max(first // row - 1, 0) : last // row + 3]
    words = np.flatnonzero(np.bitwise_or.reduce(np.bitwise_or.reduce(kept, axis=0), axis=0))
    columns = slice(words[0] - gap, words[-1] + 1)
    return np.ascontiguousarray(kept[:, :, columns]), columns


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
    spread, done = planes.reshape(-1), 0
    row = planes[0].size
    reach = np.zeros_like(spread)
    buffers = [np.empty_like(spread) for _ in range(2)]
    scratch = np.empty_like(spread)
    for half_width, offsets in _disc_spans(radius, len(planes)):
        while done < half_width:
            # Shifting a span by more than its own length would leave a hole inside.
            step = min(half_width - done, 2 * done + 1, _WORD - 1)
            _spread(spread, step, buffers[0], scratch)
            spread, done = buffers[0], done + step
            buffers.reverse()
        for offset in offsets:
            if not offset:
                np.bitwise_or(reach, spread, out=reach)
                continue
            words = offset * row
            above, below = reach[: reach.size - words], reach[words:]
            np.bitwise_or(above, spread[words:], out=above)
            np.bitwise_or(below, spread[: reach.size - words], out=below)
    return reach.reshape(planes.shape)


@lru_cache(maxsize=1024)
def _disc_spans(radius: int, rows: int) -> tuple[tuple[int, tuple[int, ...]], ...]:
    """Return a disc as (half width, row offsets from 0 to below ``rows``), narrowest first."""
    spans: dict[int, list[int]] = {}
    for offset in range(min(radius, rows - 1), -1, -1):
        spans.setdefault(math.isqrt(radius * radius - offset * offset), []).append(offset)
    return tuple((half_width, tuple(offsets)) for half_width, offsets in spans.items())


def _spread(flat: Words, step: int, wider: Words, scratch: Words) -> None:
    """Write pixels and those ``step`` columns to either side, 1 to 63, to ``wider``."""
    here, over = np.uint64(step), np.uint64(_WORD - step)
    np.left_shift(flat, here, out=wider)
    np.bitwise_or(wider, flat, out=wider)
    _or_into(wider, np.right_shift, flat, here, scratch)
    # Bits that leave a word go on in its neighbour.
    _or_into(wider[1:], np.right_shift, flat[:-1], over, scratch[1:])
    _or_into(wider[:-1], np.left_shift, flat[1:], over, scratch[:-1])


def count(words: npt.NDArray[Any]) -> int:
    """Return the number of set bits."""
    return int(cv2.norm(np.ascontiguousarray(words).reshape(-1).view(np.uint8), cv2.NORM_HAMMING))
