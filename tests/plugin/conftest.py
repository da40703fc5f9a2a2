"""Small videos, an empty dataset, and a network whose answer is known."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import fiftyone as fo
import pytest

from hs2s_core.weights import save_weights

from .helpers import SIZE, CopyNetwork, tiny_network, write_noise


@pytest.fixture
def network() -> CopyNetwork:
    return CopyNetwork()


@pytest.fixture
def weights(tmp_path: Path) -> str:
    """The file of a small network that knows nothing."""
    path = tmp_path / "tiny.safetensors"
    save_weights(tiny_network(), path, {"note": "random"})
    return str(path)


@pytest.fixture
def make_video(tmp_path: Path) -> Callable[..., str]:
    """Writes a video of noise; ``white`` is the index of a frame that is all white."""

    def make(
        name: str = "clip.mp4", frames: int = 5, size: tuple[int, int] = SIZE, white: int = -1
    ) -> str:
        return write_noise(tmp_path / name, frames, size, white)

    return make


@pytest.fixture
def dataset() -> Iterator[fo.Dataset]:
    dataset = fo.Dataset()
    yield dataset
    if not dataset.deleted:
        dataset.delete()
