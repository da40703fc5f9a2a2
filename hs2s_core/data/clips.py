"""Labelled real videos as training clips: a window of frames under one random crop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hs2s_core.data.synthesis import Clip
from hs2s_core.errors import InvalidDataset


@dataclass(frozen=True)
class ClipVideo:
    """Frames and palettised id maps of one video, in order, as file paths."""

    name: str
    frames: tuple[Path, ...]
    id_maps: tuple[Path, ...]


class ClipSet:
    """Draws clips from labelled videos; a set's share follows ``weights``."""

    def __init__(self, videos: Sequence[ClipVideo], weights: Sequence[float]) -> None:
        if not videos:
            raise InvalidDataset("no labelled videos: expected JPEGImages/ and Annotations/")
        self.videos = list(videos)
        self._cumulative = np.cumsum(np.asarray(weights, np.float64))
        self._cumulative /= self._cumulative[-1]

    @classmethod
    def from_folders(cls, root: Path, sets: dict[str, tuple[Sequence[str], float]]) -> ClipSet:
        """Videos under ``root/<set>/{JPEGImages,Annotations}/<video>``.

        ``sets`` maps a set to its video names and the set's share of the draws.
        """
        videos: list[ClipVideo] = []
        weights: list[float] = []
        for name, (members, share) in sets.items():
            found = [_video(root / name, member) for member in members]
            videos += found
            weights += [share / len(found)] * len(found)
        return cls(videos, weights)

    def draw(self, rng: np.random.Generator, size: tuple[int, int], length: int) -> Clip:
        """A clip of at most ``length`` frames of ``size`` (H, W), forwards or backwards."""
        index = int(np.searchsorted(self._cumulative, rng.random(), side="right"))
        video = self.videos[min(index, len(self.videos) - 1)]
        indices = _window(rng, len(video.frames), length)
        frames = [np.asarray(Image.open(video.frames[i]).convert("RGB")) for i in indices]
        id_maps = [np.asarray(Image.open(video.id_maps[i])) for i in indices]
        id_maps = [np.where(ids == 255, 0, ids).astype(np.uint8) for ids in id_maps]
        matrix = _crop(rng, frames[0].shape[:2], size)
        flags = cv2.INTER_LINEAR if matrix[0, 0] ** 2 + matrix[1, 0] ** 2 > 0.5 else cv2.INTER_AREA
        gain = rng.uniform(0.8, 1.2) * rng.uniform(0.95, 1.05, 3)
        rgb = np.stack([_warp(frame, matrix, size, flags) for frame in frames])
        ids = np.stack([_warp(ids, matrix, size, cv2.INTER_NEAREST) for ids in id_maps])
        rgb = np.clip(rgb * gain.astype(np.float32), 0, 255).astype(np.uint8)
        return Clip(rgb, ids.astype(np.uint8))


def _warp(
    image: NDArray[np.uint8], matrix: NDArray[np.float64], size: tuple[int, int], flags: int
) -> NDArray[np.uint8]:
    warped = cv2.warpAffine(
        image, matrix, size[::-1], flags=flags, borderMode=cv2.BORDER_REFLECT_101
    )
    return np.asarray(warped, np.uint8)


def _video(folder: Path, name: str) -> ClipVideo:
    frames = sorted((folder / "JPEGImages" / name).glob("*.jpg"))
    id_maps = [folder / "Annotations" / name / f"{frame.stem}.png" for frame in frames]
    labelled = [(frame, ids) for frame, ids in zip(frames, id_maps, strict=True) if ids.exists()]
    if len(labelled) < 2:
        raise InvalidDataset(
            f"{folder / 'JPEGImages' / name} has {len(labelled)} frames with masks; "
            "a training video needs at least 2"
        )
    return ClipVideo(name, tuple(f for f, _ in labelled), tuple(m for _, m in labelled))


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
    """2 x 3 matrix of one random crop: 50 to 100 % of the frame, stretched, turned, flipped."""
    height, width = size
    part = rng.uniform(0.55, 1.0)
    stretch = np.exp(rng.normal(0, 0.1))
    scale = max(height / (source[0] * part), width / (source[1] * part))
    centre = [
        source[1] * (0.5 + (rng.random() - 0.5) * (1 - part)),
        source[0] * (0.5 + (rng.random() - 0.5) * (1 - part)),
    ]
    angle = np.deg2rad(rng.normal(0, 6))
    flip = -1.0 if rng.random() < 0.5 else 1.0
    linear = scale * np.array(
        [
            [flip * stretch * np.cos(angle), -np.sin(angle)],
            [flip * stretch * np.sin(angle), np.cos(angle)],
        ]
    )
    shift = np.array([width / 2, height / 2]) - linear @ np.array(centre)
    return np.concatenate([linear, shift[:, None]], axis=1)
