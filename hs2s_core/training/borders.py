"""Border distance classes: the target of the auxiliary task (paper eq. 11).

A pixel's class says on which side of the object's border it lies and how far away, as the
authors' code counts: 20 pixels to each side, one class a pixel, 42 classes in all.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

REACH = 20
"""Pixels on each side of the border, at the network's input size."""


def border_classes(
    mask: NDArray[np.bool_], reach: int = REACH, bin_size: int = 1
) -> NDArray[np.int64]:
    """Class of each pixel of ``mask`` (H, W) bool: (H, W) int64 in 0 .. 2T + 1, T = reach // bin.

    With d the distance to the other region in whole bins: background pixels get T - d (0 when
    farther than T), object pixels T + 1 + d (2T + 1 when farther). Distances are exact Euclidean,
    rounded down; since the nearest other pixel is at least 1 away, classes T and T + 1 never
    occur with 1-pixel bins. The authors' mapping has that gap and is kept.

    An empty mask is class 0 everywhere and a full one 2T + 1: the distance transform alone
    would measure from a corner that is not there.
    """
    top = reach // bin_size
    if not mask.any():
        return np.zeros(mask.shape, np.int64)
    if mask.all():
        return np.full(mask.shape, 2 * top + 1, np.int64)
    outside = _bins(~mask, bin_size)
    inside = _bins(mask, bin_size)
    background = np.where(outside <= top, top - outside, 0)
    foreground = np.where(inside <= top, top + 1 + inside, 2 * top + 1)
    return np.where(mask, foreground, background)


def _bins(region: NDArray[np.bool_], bin_size: int) -> NDArray[np.int64]:
    distance = np.floor(distance_transform_edt(region)).astype(np.int64)
    return np.asarray(distance // bin_size, np.int64)
