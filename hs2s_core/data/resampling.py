"""Shrinking without aliasing, for warps: OpenCV's take one sample a pixel, however far apart."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

LEAST = 8
"""Pixels that a side keeps."""


def shrink(image: NDArray[Any], scale: float) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """``image`` (H, W[, C]) averaged down by ``scale``, and the way back.

    The second value is the 3 x 3 matrix that takes its pixel coordinates (x, y, 1) to those of
    ``image``. A scale near 1 or above returns ``image`` itself.
    """
    height, width = image.shape[:2]
    size = max(LEAST, round(width * scale)), max(LEAST, round(height * scale))
    if scale > 0.9 or size[0] >= width or size[1] >= height:
        return image, np.eye(3)
    ratio = np.array([width, height]) / size
    back = np.diag([*ratio, 1.0])
    back[:2, 2] = 0.5 * ratio - 0.5  # pixel centres lie at halves
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA), back
