"""Region similarity J and contour accuracy F of one frame, exact and fast.

Both measures follow the DAVIS benchmark's definitions. J is intersection over union. F compares
the two masks' boundaries: a boundary pixel is matched when a boundary pixel of the other mask lies
within a disc of radius ``ceil(tolerance * diagonal)``; precision and recall are the matched shares.

Every count equals that of the full frame, at a fraction of the cost, for two reasons. Boundary
pixels lie at most one pixel outside an object's box, so everything happens within the union box of
the two masks plus a margin. And there the masks are packed, eight pixels to a byte (see ``bits``).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from hs2s_core.errors import InvalidMask
from hs2s_core.evaluation import bits
from hs2s_core.media.masks import IdMap, object_ids

TOLERANCE = 0.008
"""Boundary tolerance of DAVIS and YouTube-VOS, as a share of the image diagonal."""
# Up to this id, trying all ids costs less than a histogram of the frame.
_FEW_IDS = 7
_BLOCK_ROWS = 8


class FrameCounts(NamedTuple):
    """Pixel counts of one object in one frame, from which J and F follow."""

    area_prediction: int
    area_truth: int
    intersection: int
    boundary_prediction: int
    boundary_truth: int
    matched_prediction: int
    """Boundary pixels of the prediction within tolerance of the truth's boundary."""
    matched_truth: int
    """Boundary pixels of the truth within tolerance of the prediction's boundary."""

    @property
    def j(self) -> float:
        """Region similarity in [0, 1]; 1 where both masks are empty."""
        union = self.area_prediction + self.area_truth - self.intersection
        return self.intersection / union if union else 1.0

    @property
    def f(self) -> float:
        """Contour accuracy in [0, 1]; 1 where neither mask has a boundary, 0 where one has."""
        if not self.boundary_prediction or not self.boundary_truth:
            return float(self.boundary_prediction == self.boundary_truth)
        precision = self.matched_prediction / self.boundary_prediction
        recall = self.matched_truth / self.boundary_truth
        if precision + recall == 0:
            return 0.0
        return 2 * precision * recall / (precision + recall)


NOTHING = FrameCounts(*[0] * len(FrameCounts._fields))
"""Of an object that neither mask shows."""


def count_pixels(
    prediction: npt.NDArray[Any], truth: npt.NDArray[Any], tolerance: float = TOLERANCE
) -> FrameCounts:
    """Count areas, boundaries and matched boundaries of two masks ``(H, W)`` bool.

    J and F are :attr:`FrameCounts.j` and :attr:`FrameCounts.f` of the result; ``tolerance`` is the
    reach of a boundary match, as a share of the image diagonal.

    Raises:
        InvalidMask: the masks differ in size or are not two-dimensional.
    """
    maps = [array.astype(np.bool_).view(np.uint8) for array in (prediction, truth)]
    return count_objects(maps[0], maps[1], ids=[1], tolerance=tolerance)[1]


def count_objects(
    prediction: IdMap, truth: IdMap, ids: Iterable[int] = (), tolerance: float = TOLERANCE
) -> dict[int, FrameCounts]:
    """Count every object of one frame.

    Args:
        prediction: id map ``(H, W)``, unsigned integers, 0 = background.
        truth: id map of the same size.
        ids: objects to count even where neither map shows them.
        tolerance: reach of a boundary match, as a share of the image diagonal.

    Returns:
        Counts by object id, ascending: the objects of either map and those of ``ids``.

    Raises:
        InvalidMask: the maps differ in size or are not two-dimensional.
    """
    if prediction.ndim != 2 or prediction.shape != truth.shape or not truth.size:
        raise InvalidMask(
            f"the prediction has shape {prediction.shape} and the truth {truth.shape}; "
            "expected the same (H, W). Save predictions at the size of the annotated frames."
        )
    radius = boundary_radius(truth.shape, tolerance)
    maps, highest = _cut_rows((prediction, truth))
    tried: Iterable[int] = range(1, highest + 1)
    if highest > _FEW_IDS:
        tried = sorted({*object_ids(maps[0]), *object_ids(maps[1])})
    if highest == 1 and all(array.dtype == np.uint8 for array in maps):
        counts = {1: _count(maps, radius)}  # maps of one object are its masks
    else:
        masks = (
            (key, _cut_rows([(array == key).view(np.uint8) for array in maps])) for key in tried
        )
        counts = {key: _count(found, radius) for key, (found, shown) in masks if shown}
    counts |= {key: NOTHING for key in ids if key not in counts}
    return dict(sorted(counts.items()))


def boundary_radius(size: tuple[int, ...], tolerance: float = TOLERANCE) -> int:
    """Return the matching radius in pixels for an image ``(H, W)``: 8 at 480 x 854."""
    height, width = size
    return math.ceil(tolerance * math.sqrt(height * height + width * width))


def _cut_rows(maps: Sequence[IdMap]) -> tuple[Sequence[IdMap], int]:
    """Cut maps to the rows with any foreground, and find the highest id.

    One more row on each side is enough for the boundary (above the foreground) and leaves an empty
    last row unless it is the image's own, so the border rule reads the same in these rows.
    """
    height, width = maps[0].shape
    # In blocks of rows: exact enough, and long lines are what NumPy is fast at.
    tops = np.arange(0, height, _BLOCK_ROWS)
    blocks = np.maximum(*(np.maximum.reduceat(m.reshape(-1), tops * width) for m in maps))
    found = np.flatnonzero(blocks)
    if not found.size:
        return maps, 0
    rows = slice(max(tops[found[0]] - 1, 0), tops[found[-1]] + _BLOCK_ROWS + 1)
    return [array[rows] for array in maps], int(blocks.max())


def _count(masks: Sequence[IdMap], radius: int) -> FrameCounts:
    """Count one object from its pixels in prediction and truth, uint8 of 0 and 1."""
    planes = bits.pack(masks, radius)
    # As with rows, one column more on each side.
    columns = np.flatnonzero(planes.reshape(-1, planes.shape[2]).max(axis=0))
    planes = planes[..., max(columns[0] - 1, 0) : columns[-1] + 2]
    edges = bits.boundaries(planes, len(masks[0]))
    # Each boundary beside the other's reach.
    matched = edges & bits.dilate(edges, radius)[::-1]
    return FrameCounts(
        area_prediction=bits.count(planes[0]),
        area_truth=bits.count(planes[1]),
        intersection=bits.count(planes[0] & planes[1]),
        boundary_prediction=bits.count(edges[0]),
        boundary_truth=bits.count(edges[1]),
        matched_prediction=bits.count(matched[0]),
        matched_truth=bits.count(matched[1]),
    )
