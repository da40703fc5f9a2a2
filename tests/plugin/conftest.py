"""Small videos, an empty dataset, and a network whose answer is known."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import fiftyone as fo
import numpy as np
import pytest

from .helpers import SIZE, CopyNetwork


@pytest.fixture
def network() -> CopyNetwork:
    return CopyNetwork()


@pytest.fixture
def make_video(tmp_path: Path) -> Callable[..., str]:
    """Writes a video of noise; ``white`` is the index of a frame that is all white."""

    def make(
        name: str = "clip.mp4", frames: int = 5, size: tuple[int, int] = SIZE, white: int = -1
    ) -> str:
        noise = np.random.default_rng(0)
        path = str(tmp_path / name)
        writer = cv2.VideoWriter(path, cv2.VideoWriter_fourcc(*"mp4v"), 10, size[::-1])
        for index in range(frames):
            image = noise.integers(0, 120, (*size, 3), dtype=np.uint8)
            writer.write(np.full_like(image, 255) if index == white else image)
        writer.release()
        return path

    return make


@pytest.fixture
def dataset() -> Iterator[fo.Dataset]:
    dataset = fo.Dataset()
    yield dataset
    if not dataset.deleted:
        dataset.delete()
