"""Labelled real videos as training clips: a window of frames under one random warp."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from hs2s_core.data.synthesis import Clip
from hs2s_core.data.videos import VosVideo
from hs2s_core.errors import InvalidDataset
from hs2s_core.media.images import read_image


class LabelledVideo(Protocol):
    """A video of which some frames have id maps; only those are seen here."""

    name: str

    def __len__(self) -> int:
        """Labelled frames."""
        ...

    def frame(self, index: int) -> NDArray[np.uint8]:
        """(H, W, 3) uint8 RGB of a labelled frame."""
        ...

    def id_map(self, index: int) -> NDArray[Any]:
        """(H, W) unsigned ids of a labelled frame, 0 = background."""
        ...


class FolderVideo:
    """A video of a VOS folder as :class:`LabelledVideo`."""

    def __init__(self, video: VosVideo) -> None:
        self.name = video.name
        self._video = video
        self._indices = video.annotated

    def __len__(self) -> int:
        return len(self._indices)

    def frame(self, index: int) -> NDArray[np.uint8]:
        """See :class:`LabelledVideo`."""
        return read_image(self._video.frames[self._indices[index]])

    def id_map(self, index: int) -> NDArray[Any]:
        """See :class:`LabelledVideo`."""
        id_map = self._video.read_id_map(self._indices[index])
        assert id_map is not None
        return id_map


class ClipSet:
    """Draws clips from labelled videos, each with its share of the draws."""

    def __init__(
        self,
        videos: Sequence[LabelledVideo],
        shares: Sequence[float] | None = None,
        augmentation: str = "crop",
    ) -> None:
        self.videos = [video for video in videos if len(video) >= 2]
        if not self.videos:
            raise InvalidDataset(
                f"none of {len(videos)} videos has two labelled frames; "
                "training needs at least one that has"
            )
        kept = [i for i, video in enumerate(videos) if len(video) >= 2]
        weights = np.asarray([shares[i] if shares else 1.0 for i in kept], np.float64)
        self._cumulative = np.cumsum(weights) / weights.sum()
        self._warp = _paper_affine if augmentation == "paper" else _crop

    def draw(self, rng: np.random.Generator, size: tuple[int, int], length: int) -> Clip:
        """A clip of at most ``length`` frames of ``size`` (H, W), forwards or backwards."""
        place = int(np.searchsorted(self._cumulative, rng.random(), side="right"))
        video = self.videos[min(place, len(self.videos) - 1)]
        indices = _window(rng, len(video), length)
        frames = [video.frame(int(index)) for index in indices]
        id_maps = [_byte_ids(video.id_map(int(index))) for index in indices]
        matrix = self._warp(rng, frames[0].shape[:2], size)
        shrinks = abs(np.linalg.det(matrix[:, :2])) < 0.5
        flags = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        gain = rng.uniform(0.8, 1.2) * rng.uniform(0.95, 1.05, 3)
        rgb = np.stack([_apply(frame, matrix, size, flags) for frame in frames])
        ids = np.stack([_apply(ids, matrix, size, cv2.INTER_NEAREST) for ids in id_maps])
        rgb = np.clip(rgb * gain.astype(np.float32), 0, 255).astype(np.uint8)
        return Clip(rgb, ids)


def _byte_ids(id_map: NDArray[Any]) -> NDArray[np.uint8]:
    """Ids as bytes; those above 254 (no known dataset has them) are left out of training."""
    return np.where(id_map < 255, id_map, 0).astype(np.uint8)


def _apply(
    image: NDArray[np.uint8], matrix: NDArray[np.float64], size: tuple[int, int], flags: int
) -> NDArray[np.uint8]:
    warped = cv2.warpAffine(
        image, matrix, size[::-1], flags=flags, borderMode=cv2.BORDER_REFLECT_101
    )
    return np.asarray(warped, np.uint8)


def _window(rng: np.random.Generator, total: int, length: int) -> NDArray[np.int64]:
    """Indices of a clip: evenly spaced by a random stride of 1 to 3, in either direction."""
    length = min(length, total)
    widest = max(1, (total - 1) // max(1, length - 1))
    stride = int(rng.integers(1, min(3, widest) + 1))
    start = int(rng.integers(0, total - stride * (length - 1)))
    indices = start + stride * np.arange(length)
    return indices[::-1] if rng.random() < 0.5 else indices


def _crop(
    rng: np.random.Generator, source: tuple[int, ...], size: tuple[int, int]
) -> NDArray[np.float64]:
    """2 x 3 matrix of one random crop: 55 to 100 % of the frame, stretched, turned, flipped."""
    part = rng.uniform(0.55, 1.0)
    stretch = np.exp(rng.normal(0, 0.1))
    scale = max(size[0] / (source[0] * part), size[1] / (source[1] * part))
    offset = (rng.random(2) - 0.5) * (1 - part)
    centre = np.array([source[1], source[0]]) * (0.5 + offset)
    flip = -1.0 if rng.random() < 0.5 else 1.0
    linear = scale * _rotation(np.deg2rad(rng.normal(0, 6))) @ np.diag([flip * stretch, 1.0])
    return _about(linear, centre, np.array([size[1] / 2, size[0] / 2]))


def _paper_affine(
    rng: np.random.Generator, source: tuple[int, ...], size: tuple[int, int]
) -> NDArray[np.float64]:
    """2 x 3 matrix in the authors' ranges, after the stretch to the network's size.

    Flip 0.5, rotation up to 20 degrees, scale 0.75 to 1.24, shear up to 10 degrees, translation up
    to 10 % of the size (the authors' code passes 0.1 as pixels, hence none; we mean it).
    """
    stretch = np.diag([size[1] / source[1], size[0] / source[0]])
    shear = np.array([[1.0, np.tan(np.deg2rad(rng.uniform(-10, 10)))], [0.0, 1.0]])
    flip = np.diag([-1.0 if rng.random() < 0.5 else 1.0, 1.0])
    turn = _rotation(np.deg2rad(rng.uniform(-20, 20)))
    linear = rng.uniform(0.75, 1.24) * turn @ shear @ flip @ stretch
    shift = rng.uniform(-0.1, 0.1, 2) * np.array([size[1], size[0]])
    middle = np.array([source[1] / 2, source[0] / 2])
    return _about(linear, middle, np.array([size[1] / 2, size[0] / 2]) + shift)


def _rotation(angle: float) -> NDArray[np.float64]:
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def _about(
    linear: NDArray[np.float64], centre: NDArray[np.float64], home: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The affine map with this linear part that takes ``centre`` to ``home``."""
    return np.concatenate([linear, (home - linear @ centre)[:, None]], axis=1)
