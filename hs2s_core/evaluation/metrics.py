"""Region similarity J and contour accuracy F of one frame, exact and fast.

Both measures follow the DAVIS benchmark's definitions. J is intersection over union. F compares
the two masks' boundaries: a boundary pixel is matched when a boundary pixel of the other mask lies
within a disc of radius ``ceil(tolerance * diagonal)``; precision and recall are the matched shares.

Every count equals that of the full frame, at a fraction of the cost, for two reasons. Boundary
pixels lie at most one pixel outside an object's box, so everything happens within the union box of
the two masks plus one pixel. And the boundaries of both masks travel as two bits of one byte, so
one dilation by the disc, made of shifted ORs, serves both directions of the match.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from hs2s_core.errors import InvalidMask
from hs2s_core.media.masks import BoolMask, IdMap, object_ids

TOLERANCE = 0.008
"""Boundary tolerance of DAVIS and YouTube-VOS, as a share of the image diagonal."""

_Bytes = npt.NDArray[np.uint8]
_ONE = np.uint8(1)
_PREDICTION_BIT = np.uint8(1)
_TRUTH_BIT = np.uint8(2)


class FrameCounts(NamedTuple):
    """Pixel counts of one object in one frame, from which J and F follow."""

    area_prediction: int = 0
    area_truth: int = 0
    intersection: int = 0
    boundary_prediction: int = 0
    boundary_truth: int = 0
    matched_prediction: int = 0
    """Boundary pixels of the prediction within tolerance of the truth's boundary."""
    matched_truth: int = 0
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


def region_similarity(prediction: npt.NDArray[Any], truth: npt.NDArray[Any]) -> float:
    """Return J, the intersection over union of two masks ``(H, W)`` bool, in [0, 1]."""
    return count_pixels(prediction, truth).j


def contour_accuracy(
    prediction: npt.NDArray[Any], truth: npt.NDArray[Any], tolerance: float = TOLERANCE
) -> float:
    """Return F, the harmonic mean of boundary precision and recall, in [0, 1].

    Args:
        prediction: mask ``(H, W)`` bool.
        truth: mask ``(H, W)`` bool.
        tolerance: reach of a match, as a share of the image diagonal.
    """
    return count_pixels(prediction, truth, tolerance).f


def count_pixels(
    prediction: npt.NDArray[Any], truth: npt.NDArray[Any], tolerance: float = TOLERANCE
) -> FrameCounts:
    """Count areas, boundaries and matched boundaries of two masks ``(H, W)`` bool.

    Raises:
        InvalidMask: the masks differ in size or are not two-dimensional.
    """
    _check_sizes(prediction, truth)
    radius = boundary_radius(truth.shape, tolerance)
    return _count(_as_bytes(prediction), _as_bytes(truth), radius)


def count_objects(
    prediction: IdMap,
    truth: IdMap,
    ids: Iterable[int] = (),
    tolerance: float = TOLERANCE,
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
    _check_sizes(prediction, truth)
    radius = boundary_radius(truth.shape, tolerance)
    window = _window((prediction != 0) | (truth != 0))
    prediction, truth = prediction[window], truth[window]
    present = {*object_ids(prediction), *object_ids(truth)}
    return {
        object_id: _count(_as_bytes(prediction == object_id), _as_bytes(truth == object_id), radius)
        if object_id in present
        else FrameCounts()
        for object_id in sorted(present | set(ids))
    }


def boundary(mask: npt.NDArray[Any]) -> BoolMask:
    """Return the boundary ``(H, W)`` bool of a mask: pixels unlike an east or south neighbour.

    The neighbours are those to the east, south and south-east that lie inside the image; the
    south-east corner has none. A full image therefore has no boundary.
    """
    return _boundary_bits(_as_bytes(mask)).view(np.bool_)


def boundary_radius(size: tuple[int, ...], tolerance: float = TOLERANCE) -> int:
    """Return the matching radius in pixels for an image ``(H, W)``: 8 at 480 x 854."""
    height, width = size
    return math.ceil(tolerance * math.sqrt(height * height + width * width))


def _check_sizes(prediction: npt.NDArray[Any], truth: npt.NDArray[Any]) -> None:
    if prediction.ndim != 2 or prediction.shape != truth.shape or not truth.size:
        raise InvalidMask(
            f"the prediction has shape {prediction.shape} and the truth {truth.shape}; "
            "expected the same (H, W). Save predictions at the size of the annotated frames."
        )


def _as_bytes(mask: npt.NDArray[Any]) -> _Bytes:
    """View or convert a mask as 0 and 1 in bytes."""
    return np.ascontiguousarray(mask, dtype=np.bool_).view(np.uint8)


def _window(foreground: npt.NDArray[Any]) -> tuple[slice, slice]:
    """Return the box of the foreground plus one pixel on each side, cut at the image border.

    One pixel is enough for the boundary (north-west of the box) and leaves an empty last row and
    column unless they are the image's own, so the border rule reads the same in the window.
    """
    left, top, width, height = cv2.boundingRect(foreground.view(np.uint8))
    return (
        slice(max(top - 1, 0), top + height + 1),
        slice(max(left - 1, 0), left + width + 1),
    )


def _count(prediction: _Bytes, truth: _Bytes, radius: int) -> FrameCounts:
    """Count one object from masks of 0 and 1."""
    window = _window(prediction | truth)
    prediction, truth = prediction[window], truth[window]
    edges = _boundary_bits((truth << _ONE) | prediction)
    reach = _dilate_bits(edges, radius)
    edge_prediction, edge_truth = edges & _PREDICTION_BIT, edges & _TRUTH_BIT
    return FrameCounts(
        area_prediction=cv2.countNonZero(prediction),
        area_truth=cv2.countNonZero(truth),
        intersection=cv2.countNonZero(prediction & truth),
        boundary_prediction=cv2.countNonZero(edge_prediction),
        boundary_truth=cv2.countNonZero(edge_truth),
        matched_prediction=cv2.countNonZero(edge_prediction & (reach >> _ONE)),
        matched_truth=cv2.countNonZero(edge_truth & (reach << _ONE)),
    )


def _boundary_bits(masks: _Bytes) -> _Bytes:
    """Return the boundary of each bit plane of ``(H, W)``, by the rule of :func:`boundary`."""
    edges = np.zeros_like(masks)
    np.bitwise_xor(masks[:, :-1], masks[:, 1:], out=edges[:, :-1])
    edges[:-1] |= masks[:-1] ^ masks[1:]
    edges[:-1, :-1] |= masks[:-1, :-1] ^ masks[1:, 1:]
    return edges


def _dilate_bits(edges: _Bytes, radius: int) -> _Bytes:
    """Dilate each bit plane of ``(H, W)`` by the disc of ``radius`` pixels.

    A disc is a stack of horizontal spans: spread along the row once per span width, then OR into
    the rows that far up and down. Rows are laid end to end with ``radius`` empty pixels before,
    between and behind them, so that a shift of the flat array reaches only its own row and the
    gaps, and what one shift moves outside the row another can bring back.
    """
    height, width = edges.shape
    stride = radius + width
    padded = np.zeros((height + 1, stride), dtype=np.uint8)
    padded[:height, radius:] = edges
    row = padded.reshape(-1)
    reach = np.zeros_like(row)
    spread = 0
    for half_width, offsets in _disc_spans(radius):
        while spread < half_width:
            # Shifting a span by more than its own length would leave a gap inside.
            step = min(half_width - spread, 2 * spread + 1)
            wider = row.copy()
            wider[step:] |= row[:-step]
            wider[:-step] |= row[step:]
            row, spread = wider, spread + step
        for offset in offsets:
            if offset < height:
                below, above = offset * stride, row.size - offset * stride
                reach[below:] |= row[:above]
                reach[:above] |= row[below:]
    return reach.reshape(height + 1, stride)[:height, radius:]


@lru_cache(maxsize=32)
def _disc_spans(radius: int) -> tuple[tuple[int, tuple[int, ...]], ...]:
    """Return the rows of a disc as (half width, row offsets >= 0), narrowest first."""
    spans: dict[int, list[int]] = {}
    for offset in range(radius, -1, -1):
        spans.setdefault(math.isqrt(radius * radius - offset * offset), []).append(offset)
    return tuple((half_width, tuple(offsets)) for half_width, offsets in spans.items())
