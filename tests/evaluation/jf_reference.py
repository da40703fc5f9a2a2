"""J and F spelled out over the full frame: slow, plain, and what the fast code must equal.

Also used by ``benchmarks/jf.py``.
"""

from __future__ import annotations

import cv2
import numpy as np

from hs2s_core.evaluation import FrameCounts


def plain_boundary(mask: np.ndarray) -> np.ndarray:
    """Boundary of a mask (H, W) bool, the last row and column treated one by one."""
    east, south, south_east = (np.zeros_like(mask) for _ in range(3))
    east[:, :-1] = mask[:, 1:]
    south[:-1] = mask[1:]
    south_east[:-1, :-1] = mask[1:, 1:]
    edge = (mask != east) | (mask != south) | (mask != south_east)
    edge[-1] = mask[-1] != east[-1]
    edge[:, -1] = mask[:, -1] != south[:, -1]
    edge[-1, -1] = False
    return edge


def plain_disc(radius: int) -> np.ndarray:
    """Disc (2 r + 1, 2 r + 1) uint8: pixels at most ``radius`` from the centre."""
    axis = np.arange(-radius, radius + 1)
    return (axis[:, None] ** 2 + axis[None] ** 2 <= radius**2).astype(np.uint8)


def plain_counts(
    prediction: np.ndarray, truth: np.ndarray, tolerance: float = 0.008
) -> FrameCounts:
    """All counts of two masks (H, W) bool, over every pixel of the frame."""
    radius = int(np.ceil(tolerance * np.linalg.norm(truth.shape)))
    disc = plain_disc(radius)
    edge_prediction, edge_truth = plain_boundary(prediction), plain_boundary(truth)
    near_prediction = cv2.dilate(edge_prediction.astype(np.uint8), disc) > 0
    near_truth = cv2.dilate(edge_truth.astype(np.uint8), disc) > 0
    return FrameCounts(
        area_prediction=int(prediction.sum()),
        area_truth=int(truth.sum()),
        intersection=int((prediction & truth).sum()),
        boundary_prediction=int(edge_prediction.sum()),
        boundary_truth=int(edge_truth.sum()),
        matched_prediction=int((edge_prediction & near_truth).sum()),
        matched_truth=int((edge_truth & near_prediction).sum()),
    )


def pairwise_matches(edge: np.ndarray, other: np.ndarray, radius: int) -> int:
    """Pixels of ``edge`` within ``radius`` of a pixel of ``other``, by comparing all pairs."""
    points, others = np.argwhere(edge), np.argwhere(other)
    squared = ((points[:, None] - others[None]) ** 2).sum(axis=2)
    return int((squared <= radius**2).any(axis=1).sum())
