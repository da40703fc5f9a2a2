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


def border_classes(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Class of each pixel of ``mask`` (H, W) bool: (H, W) int64 in 0 .. 2T + 1, T = ``REACH``.

    With d the distance to the other region in whole pixels: background pixels get T - d (0 when
    farther than T), object pixels T + 1 + d (2T + 1 when farther). Distances are exact Euclidean,
    rounded down; since the nearest other pixel is at least 1 away, classes T and T + 1 never
    occur. The authors' mapping has that gap and is kept.

    An empty mask is class 0 everywhere and a full one 2T + 1: the distance transform alone
    would measure from a corner that is not there.
    """
    if mask.all() or not mask.any():
        return np.where(mask, 2 * REACH + 1, 0)
    outside, inside = (
        np.floor(distance_transform_edt(region)).astype(np.int64) for region in (~mask, mask)
    )
    background = np.where(outside <= REACH, REACH - outside, 0)
    foreground = np.where(inside <= REACH, REACH + 1 + inside, 2 * REACH + 1)
    return np.where(mask, foreground, background)
