"""Labelled real videos as training clips: a window of frames under one random warp.

``ClipSet`` draws them in one of two ways: ``crop``, ours, with strides, both directions, a moving
crop and changes of light; or ``paper``, the authors' (docs/method.md), which does
without these and whose unit is an object of a video, not a video.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from hs2s_core.data.layers import Scene
from hs2s_core.data.motion import Motion
from hs2s_core.data.photometry import Camera, film
from hs2s_core.data.resampling import shrink
from hs2s_core.data.screens import put_screen
from hs2s_core.data.synthesis import Clip
from hs2s_core.data.videos import VosVideo
from hs2s_core.errors import InvalidDataset
from hs2s_core.media.images import read_image, used_bits
from hs2s_core.media.masks import object_ids
from hs2s_core.wording import counted

WIDEST = 24
"""Frames between two of a clip at most: objects then are elsewhere, or turned, at once."""
SCREENED = 0.2
"""Chance that leaves or bars pass before a clip of ``crop``."""
FILMED = 0.5
"""Chance that a clip of ``crop`` goes through the camera of the synthetic ones."""


class LabelledVideo(Protocol):
    """A video of which some frames have id maps; only those are seen here."""

    name: str

    def __len__(self) -> int:
        """Labelled frames."""

    def frame(self, index: int) -> NDArray[np.uint8]:
        """(H, W, 3) uint8 RGB of a labelled frame."""

    def id_map(self, index: int) -> NDArray[Any]:
        """(H, W) unsigned ids of a labelled frame, 0 = background."""


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
        return read_image(self._video.frames[self._indices[index]], self._bits)

    @cached_property
    def _bits(self) -> int | None:
        return used_bits(self._video.frames)

    def id_map(self, index: int) -> NDArray[Any]:
        """See :class:`LabelledVideo`."""
        id_map = self._video.read_id_map(self._indices[index])
        assert id_map is not None
        return id_map

    @cached_property
    def listed(self) -> Mapping[int, tuple[int, ...]]:
        """Objects of ``meta.json`` with their labelled frames, two at least; empty without one."""
        names = self._video.frame_names
        places = {names[index]: place for place, index in enumerate(self._indices)}
        found = {
            number: tuple(sorted(places[name] for name in info.frames or places if name in places))
            for number, info in self._video.objects.items()
        }
        return {number: frames for number, frames in found.items() if len(frames) >= 2}

    @property
    def longest(self) -> int:
        """Most labelled frames that a clip of one object can have."""
        return max(map(len, self.listed.values()), default=len(self))

    @property
    def shows_objects(self) -> bool:
        """Whether any id map has an object; read up to the first that has."""
        return any(self.id_map(index).any() for index in range(len(self)))

    def count_objects(self) -> int:
        """Objects to train on: those listed, or else those of the first map that shows any."""
        if self._video.objects:
            return len(self.listed)
        if len(self) < 2:
            return 0
        return next((len(ids) for i in range(len(self)) if (ids := object_ids(self.id_map(i)))), 0)


class ClipSet:
    """Draws clips from labelled videos, each with its share of the draws.

    With augmentation ``paper`` a clip shows one object. It is drawn evenly among those that
    ``meta.json`` lists for as many frames as the clip is to have, in consecutive ones of them,
    or else among those that the clip's first frame shows.
    """

    def __init__(
        self,
        videos: Sequence[LabelledVideo],
        shares: Sequence[float] | None = None,
        augmentation: str = "crop",
    ) -> None:
        weighed = [
            (video, shares[i] if shares else 1.0)
            for i, video in enumerate(videos)
            if len(video) >= 2 and (not shares or shares[i] > 0)
        ]
        if not weighed:
            raise InvalidDataset(
                f"none of {counted(len(videos), 'video')} has an object in two labelled frames; "
                "training needs at least one that has"
            )
        self.videos = [video for video, _ in weighed]
        self._weights = np.asarray([weight for _, weight in weighed], np.float64)
        self._paper = augmentation == "paper"
        self._chances: dict[int, NDArray[np.float64]] = {}

    def draw(self, rng: np.random.Generator, size: tuple[int, int], length: int) -> Clip:
        """A clip of at most ``length`` frames of ``size`` (H, W)."""
        video = self.videos[int(rng.choice(len(self.videos), p=self._shares(length)))]
        return (_paper_clip if self._paper else _varied_clip)(rng, video, size, length)

    def _shares(self, length: int) -> NDArray[np.float64]:
        """The chance of each video in clips of ``length`` frames."""
        if length not in self._chances:
            weights = self._weights
            if self._paper:
                long = weights * [_long_enough(video, length) for video in self.videos]
                weights = long if long.any() else weights
            self._chances[length] = weights / weights.sum()
        return self._chances[length]


def _long_enough(video: LabelledVideo, length: int) -> float:
    """The part of a video's objects that have ``length`` labelled frames."""
    if isinstance(video, FolderVideo) and video.listed:
        return float(np.mean([len(places) >= length for places in video.listed.values()]))
    return float(len(video) >= length)


def _varied_clip(
    rng: np.random.Generator, video: LabelledVideo, size: tuple[int, int], length: int
) -> Clip:
    """Evenly spaced frames, forwards or backwards, as another camera might have filmed them."""
    frames, id_maps = _read(video, _window(rng, len(video), length))
    crop = _crop(rng, frames[0].shape[:2], size)
    square = np.vstack([crop, [0.0, 0.0, 1.0]])
    clip = _warp(frames, id_maps, [turn @ square for turn in _drift(rng, size, len(frames))], size)
    if rng.random() < SCREENED:
        put_screen(Scene(rng, Motion(), clip.frames, clip.id_maps), clip.frames[0])
    if rng.random() < FILMED:
        return Clip(film(rng, clip.frames, Camera()), clip.id_maps)
    gain = rng.uniform(0.8, 1.2) * rng.uniform(0.95, 1.05, 3)
    rgb = np.clip(clip.frames * gain.astype(np.float32), 0, 255).astype(np.uint8)
    return Clip(rgb, clip.id_maps)


def _paper_clip(
    rng: np.random.Generator, video: LabelledVideo, size: tuple[int, int], length: int
) -> Clip:
    """Consecutive frames of one object, forwards, under one affine map; other ids are 0."""
    listed = video.listed if isinstance(video, FolderVideo) else {}
    chosen, places = 0, tuple(range(len(video)))
    if listed:
        long = [number for number, places in listed.items() if len(places) >= length]
        chosen = sorted(long or listed)[int(rng.integers(len(long or listed)))]
        places = listed[chosen]
    start = int(rng.integers(max(1, len(places) - length + 1)))
    frames, id_maps = _read(video, places[start : start + length])
    matrix = _paper_affine(rng, frames[0].shape[:2], size)
    clip = _warp(frames, id_maps, [matrix] * len(frames), size)
    shown = object_ids(clip.id_maps[0])
    if not listed and shown:
        chosen = shown[int(rng.integers(len(shown)))]
    return Clip(clip.frames, np.where(clip.id_maps == chosen, clip.id_maps, 0).astype(np.uint8))


def _read(
    video: LabelledVideo, places: Iterable[int]
) -> tuple[list[NDArray[np.uint8]], list[NDArray[np.uint8]]]:
    """Frames and id maps of a clip, at the video's size."""
    indices = [int(place) for place in places]
    return [video.frame(i) for i in indices], [
        # Ids as bytes; those above 254 (no known dataset has them) are left out of training.
        np.where((ids := video.id_map(i)) < 255, ids, 0).astype(np.uint8)
        for i in indices
    ]


def _warp(
    frames: Sequence[NDArray[np.uint8]],
    id_maps: Sequence[NDArray[np.uint8]],
    matrices: Sequence[NDArray[np.float64]],
    size: tuple[int, int],
) -> Clip:
    """Each frame under its affine map (2, 3), at ``size`` (H, W); what lies outside is mirrored."""
    return Clip(
        np.stack([_film(f, m, size) for f, m in zip(frames, matrices, strict=True)]),
        np.stack(
            [_apply(i, m, size, cv2.INTER_NEAREST) for i, m in zip(id_maps, matrices, strict=True)]
        ),
    )


def _film(
    frame: NDArray[np.uint8], matrix: NDArray[np.float64], size: tuple[int, int]
) -> NDArray[np.uint8]:
    """``frame`` under an affine map (2, 3), each pixel a mean where it shrinks."""
    small, back = shrink(frame, float(np.sqrt(abs(np.linalg.det(matrix[:, :2])))))
    return _apply(small, matrix @ back, size, cv2.INTER_LINEAR)


def _apply(
    image: NDArray[np.uint8], matrix: NDArray[np.float64], size: tuple[int, int], flags: int
) -> NDArray[np.uint8]:
    warped = cv2.warpAffine(
        image, matrix, size[::-1], flags=flags, borderMode=cv2.BORDER_REFLECT_101
    )
    return np.asarray(warped, np.uint8)


def _window(rng: np.random.Generator, total: int, length: int) -> NDArray[np.int64]:
    """Indices of a clip: evenly spaced by a random stride, in either direction.

    Strides are 1 to :data:`WIDEST`, small ones likelier: their logarithm is drawn evenly. At the
    video's ends the indices turn round, so that a short video has great strides, too.
    """
    last = total - 1
    widest = max(1, min(WIDEST, last // 2))
    stride = int(np.exp(rng.uniform(0, np.log(widest + 1))))
    steps = int(rng.integers(2 * max(1, last))) + stride * np.arange(length)
    return np.asarray(last - abs(steps % (2 * last) - last)) if last else np.zeros(length, np.int64)


def _drift(
    rng: np.random.Generator, size: tuple[int, int], length: int
) -> list[NDArray[np.float64]]:
    """2 x 3 matrix per frame: a camera that slowly turns, nears and moves, or (half) stands."""
    if rng.random() < 0.5:
        return [np.eye(3)[:2]] * length
    zoom, angle = rng.normal(0, 0.15), np.deg2rad(rng.normal(0, 8))
    shift = rng.normal(0, 0.1, 2) * np.array([size[1], size[0]])
    middle = np.array([size[1] / 2, size[0] / 2])
    # From one end of the way to the other, so that the clip's middle is the crop that was drawn.
    return [
        _about(np.exp(zoom * part) * _rotation(angle * part), middle, middle + shift * part)
        for part in np.linspace(-1, 1, length)
    ]


def _crop(
    rng: np.random.Generator, source: tuple[int, ...], size: tuple[int, int]
) -> NDArray[np.float64]:
    """2 x 3 matrix of one random crop: 45 to 100 % of the frame, stretched, turned, flipped."""
    part = rng.uniform(0.45, 1.0)
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

    Flip 0.5, rotation up to 20 degrees, scale 0.75 to 1.24. Two are ours: shear up to 10 degrees
    and translation up to 10 % of the size, where the authors' code passes 0.1 to a function that
    reads it as degrees and as pixels, hence next to none of either.
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
