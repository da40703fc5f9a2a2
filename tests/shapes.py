"""Masks and frames of one line: squares, and noise that is always the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image


def square(top: int, left: int, side: int, size: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """A mask (H, W) bool of one square."""
    mask = np.zeros(size, np.bool_)
    mask[top : top + side, left : left + side] = True
    return mask


def noise(seed: int, size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """A frame (H, W, 3) uint8 of noise."""
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)


def save_noise(path: Path, size: tuple[int, int] = (9, 9)) -> None:
    """A picture that is no mask."""
    Image.fromarray(noise(0, size)).save(path)
