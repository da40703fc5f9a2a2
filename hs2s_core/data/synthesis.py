"""Clips made from stills: several layers move on their own before a moving background.

Each layer is a region cut from any still. It follows a smooth affine path and bends
slowly; layers hide one another, leave and re-enter; some have a twin, a look-alike cut
from the same picture. The result has exact masks for every frame at no labelling cost.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from hs2s_core.data.stills import Cutout, Picture, StillSet, cut_region

FloatArray = NDArray[np.float32]


@dataclass(frozen=True)
class Clip:
    """A training clip: T frames and the id map of each."""

    frames: NDArray[np.uint8]
    """(T, H, W, 3) uint8 RGB"""
    id_maps: NDArray[np.uint8]
    """(T, H, W) uint8, 0 = background"""


@dataclass(frozen=True)
class SynthesisConfig:
    """Ranges the generator draws from; lengths are fractions of the frame's mean side."""

    layers: tuple[int, int] = (1, 4)
    size: tuple[float, float] = (0.12, 0.65)
    """Square root of a layer's area."""
    speed: float = 0.07
    """Standard deviation of the displacement per frame; a tenth of clips move thrice as fast."""
    zoom: float = 0.04
    rotation: float = 5.0
    """Degrees per frame, standard deviation."""
    bend: float = 0.05
    """Amplitude of the elastic deformation."""
    twin: float = 0.3
    """Chance that a layer has a look-alike."""
    own_region: float = 0.35
    """Chance that a region of the background itself is an object, moving with its scene."""
    blur: float = 0.2
    """Chance of motion blur or defocus in a clip."""


class Synthesizer:
    """Draws clips of a given size and length from a set of stills."""

    def __init__(self, stills: StillSet, config: SynthesisConfig | None = None) -> None:
        self.stills = stills
        self.config = config or SynthesisConfig()

    def draw(self, rng: np.random.Generator, size: tuple[int, int], length: int) -> Clip:
        """A clip of ``length`` frames of ``size`` (H, W)."""
        config = self.config
        rgb, regions = self.stills.draw(rng)
        pace = 3.0 if rng.random() < 0.1 else rng.uniform(0.1, 1.3)
        own = rng.random() < config.own_region
        objects = _some_regions(rng, regions) if own else np.zeros(rgb.shape[:2], np.uint8)
        zoom = rng.uniform(1.05, 1.7)
        frames, id_maps = move(rng, config, rgb, objects, size, length, 0.4 * pace, zoom)
        next_id = int(id_maps.max()) + 1
        for _ in range(int(rng.integers(config.layers[0], config.layers[1] + 1))):
            cutout = self._cutout(rng)
            if cutout is None:
                continue
            copies = 2 if rng.random() < config.twin else 1
            for _ in range(copies):
                unit = np.sqrt(size[0] * size[1])
                target = float(np.exp(rng.uniform(*np.log(config.size))) * unit)
                home = np.array([rng.uniform(0.1, 0.9) * size[1], rng.uniform(0.1, 0.9) * size[0]])
                paste(rng, config, frames, id_maps, cutout, next_id, pace, home, target)
                next_id += 1
        return _photometry(rng, Clip(np.stack(frames), id_maps), config.blur)

    def _cutout(self, rng: np.random.Generator) -> Cutout | None:
        for _ in range(4):
            cutout = cut_region(*self.stills.draw(rng), rng)
            if cutout is not None and min(cutout.alpha.shape) >= 12:
                return _jitter_colours(rng, cutout)
        return None


def move(
    rng: np.random.Generator,
    config: SynthesisConfig,
    rgb: Picture,
    objects: NDArray[np.uint8],
    size: tuple[int, int],
    length: int,
    pace: float,
    zoom: float,
) -> tuple[list[NDArray[np.uint8]], NDArray[np.uint8]]:
    """A camera moving over a still: frames, and where the still's ``objects`` (H, W) are in them.

    ``zoom`` is relative to the scale at which the still just covers the frame.
    """
    height, width = size
    cover = max(height / rgb.shape[0], width / rgb.shape[1])
    path = _path(rng, size, length, config, pace)
    path[:, 0] = np.exp(path[:, 0] - path[0, 0]) * cover * zoom
    centre = np.array([rgb.shape[1] / 2, rgb.shape[0] / 2])
    frames, id_maps = [], np.zeros((length, height, width), np.uint8)
    for t in range(length):
        matrix = _affine(path[t], centre, np.array([width / 2, height / 2]))
        frame = cv2.warpAffine(
            rgb, matrix, (width, height), flags=1, borderMode=cv2.BORDER_REFLECT_101
        )
        frames.append(np.asarray(frame, np.uint8))
        if objects.any():
            id_maps[t] = cv2.warpAffine(objects, matrix, (width, height), flags=0)
    return frames, id_maps


def paste(
    rng: np.random.Generator,
    config: SynthesisConfig,
    frames: list[NDArray[np.uint8]],
    id_maps: NDArray[np.uint8],
    cutout: Cutout,
    object_id: int,
    pace: float,
    home: NDArray[Any],
    target: float,
) -> None:
    """Move ``cutout`` over the frames, in place, in front of what is there.

    It starts near ``home`` (x, y) with the square root of its area at ``target`` pixels.
    """
    length, height, width = id_maps.shape
    area = float(np.sqrt((cutout.alpha > 127).sum()))
    path = _path(rng, (height, width), length, config, pace)
    path[:, 0] = np.exp(path[:, 0] - path[0, 0]) * target / area
    centre = np.array([cutout.alpha.shape[1] / 2, cutout.alpha.shape[0] / 2])
    bend = _bend(rng, length, config.bend * target)
    for t in range(length):
        matrix = _affine(path[t], centre, home)
        box = _box(matrix, cutout.alpha.shape, (height, width), margin=3 + 0.3 * target)
        if box is None:
            continue
        rows, columns = box
        map_x, map_y = _source_maps(matrix, None if bend is None else bend[t], box)
        alpha = cv2.remap(cutout.alpha, map_x, map_y, cv2.INTER_LINEAR)
        layer = cv2.remap(
            cutout.rgb, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        soft = cv2.blur(alpha, (3, 3)).astype(np.float32)[..., None] / 255
        below = frames[t][rows, columns]
        frames[t][rows, columns] = (below * (1 - soft) + layer * soft).astype(np.uint8)
        id_maps[t][rows, columns][alpha > 127] = object_id


def _path(
    rng: np.random.Generator,
    size: tuple[int, int],
    length: int,
    config: SynthesisConfig,
    pace: float,
) -> FloatArray:
    """Smooth pose per frame (length, 4): log scale, radians, x and y in pixels."""
    unit = float(np.sqrt(size[0] * size[1]))
    deviation = np.array(
        [config.zoom, np.deg2rad(config.rotation), config.speed * unit, config.speed * unit]
    )
    velocity = rng.normal(size=4) * deviation * pace
    # A second, oscillating term makes layers turn round, leave and come back.
    swing = rng.normal(size=4) * deviation * pace * 1.5
    phase, rate = rng.uniform(0, 2 * np.pi, 4), rng.uniform(0.2, 1.2, 4)
    time = np.arange(length)[:, None]
    jitter = rng.normal(size=(length, 4)) * deviation * 0.06 * pace
    path = velocity * time * 0.6 + swing * (np.sin(phase + rate * time) - np.sin(phase)) + jitter
    path[:, 0] = np.clip(path[:, 0], -0.7, 0.7)
    path[:, 1] += rng.normal() * 0.25
    poses: FloatArray = path.astype(np.float32)
    return poses


def _affine(pose: FloatArray, centre: NDArray[Any], home: NDArray[Any]) -> NDArray[np.float64]:
    """2 x 3 matrix that puts ``centre`` of the source at ``home`` plus the pose's shift."""
    scale, angle, dx, dy = (float(value) for value in pose)
    a, b = scale * np.cos(angle), scale * np.sin(angle)
    x, y = home[0] + dx, home[1] + dy
    return np.array(
        [
            [a, -b, x - a * centre[0] + b * centre[1]],
            [b, a, y - b * centre[0] - a * centre[1]],
        ]
    )


def _bend(rng: np.random.Generator, length: int, amplitude: float) -> FloatArray | None:
    """Slowly changing coarse displacement fields (length, 2, 5, 7) in pixels, or none."""
    if rng.random() < 0.3:
        return None
    amplitude *= rng.uniform(0.2, 1.5)
    start, change = rng.normal(size=(2, 2, 5, 7)) * amplitude
    rate = rng.uniform(0.2, 0.9)
    return np.stack([start * 0.3 + change * np.sin(rate * t) for t in range(length)]).astype(
        np.float32
    )


def _box(
    matrix: NDArray[np.float64],
    source: tuple[int, ...],
    size: tuple[int, int],
    margin: float,
) -> tuple[slice, slice] | None:
    """Rows and columns of the frame that the moved layer can touch; None if outside."""
    height, width = source[:2]
    corners = np.array([[0, 0, 1], [width, 0, 1], [0, height, 1], [width, height, 1]]) @ matrix.T
    low = np.floor(corners.min(0) - margin).astype(int).clip(0)
    high = np.minimum(np.ceil(corners.max(0) + margin).astype(int), (size[1], size[0]))
    if (high <= low).any():
        return None
    return slice(int(low[1]), int(high[1])), slice(int(low[0]), int(high[0]))


def _source_maps(
    matrix: NDArray[np.float64], bend: FloatArray | None, box: tuple[slice, slice]
) -> tuple[FloatArray, FloatArray]:
    """Where each pixel of ``box`` comes from in the layer, for :func:`cv2.remap`."""
    rows, columns = box
    x, y = np.meshgrid(
        np.arange(columns.start, columns.stop, dtype=np.float32),
        np.arange(rows.start, rows.stop, dtype=np.float32),
    )
    if bend is not None:
        x += cv2.resize(bend[0], x.shape[::-1], interpolation=cv2.INTER_CUBIC)
        y += cv2.resize(bend[1], y.shape[::-1], interpolation=cv2.INTER_CUBIC)
    inverse = cv2.invertAffineTransform(matrix).astype(np.float32)
    return (
        inverse[0, 0] * x + inverse[0, 1] * y + inverse[0, 2],
        inverse[1, 0] * x + inverse[1, 1] * y + inverse[1, 2],
    )


def _some_regions(rng: np.random.Generator, regions: NDArray[Any]) -> NDArray[np.uint8]:
    """Ids 1.. for one or two fitting regions of the background, 0 elsewhere."""
    ids, counts = np.unique(regions[(regions > 0) & (regions < 255)], return_counts=True)
    fractions = counts / regions.size
    ids = ids[(fractions > 0.01) & (fractions < 0.4)]
    objects = np.zeros(regions.shape, np.uint8)
    for number, region in enumerate(rng.permutation(ids)[:2], start=1):
        objects[regions == region] = number
    return objects


def _jitter_colours(rng: np.random.Generator, cutout: Cutout) -> Cutout:
    gain = rng.uniform(0.75, 1.25) * rng.uniform(0.93, 1.07, 3)
    rgb = np.clip(cutout.rgb * gain + rng.uniform(-18, 18), 0, 255).astype(np.uint8)
    if rng.random() < 0.5:
        return Cutout(rgb[:, ::-1], cutout.alpha[:, ::-1])
    return Cutout(rgb, cutout.alpha)


def _photometry(rng: np.random.Generator, clip: Clip, blur: float) -> Clip:
    """Light that drifts through the clip, blur, and sensor noise."""
    frames = clip.frames.astype(np.float32)
    length = len(frames)
    drift = np.cumsum(rng.normal(0, 0.025, length)) + rng.normal(0, 0.1)
    tint = np.cumsum(rng.normal(0, 0.008, (length, 3)), axis=0) + rng.normal(0, 0.04, 3)
    gain = np.exp(np.clip(drift[:, None] + tint, -0.5, 0.5))[:, None, None, :]
    contrast = rng.uniform(0.75, 1.25)
    mean = frames.mean()
    frames = (frames * gain.astype(np.float32) - mean) * np.float32(contrast) + mean
    if rng.random() < 0.15:
        frames = frames.mean(axis=3, keepdims=True).repeat(3, axis=3)
    frames += rng.standard_normal(frames.shape, np.float32) * rng.uniform(0, 5)
    result = np.clip(frames, 0, 255).astype(np.uint8)
    if rng.random() < blur:
        kernel = _blur_kernel(rng)
        first = int(rng.integers(0, 2))
        for t in range(first, length):
            result[t] = cv2.filter2D(result[t], -1, kernel)
    return Clip(result, clip.id_maps)


def _blur_kernel(rng: np.random.Generator) -> FloatArray:
    """A short line (motion) or a small Gaussian (defocus), summing to 1."""
    if rng.random() < 0.5:
        side = 5
        line = np.zeros((side, side), np.float32)
        angle = rng.uniform(0, np.pi)
        end = np.array([np.cos(angle), np.sin(angle)]) * (side // 2)
        middle = np.array([side // 2, side // 2])
        start, stop = np.rint(middle - end).astype(int), np.rint(middle + end).astype(int)
        cv2.line(line, start.tolist(), stop.tolist(), 1.0)
        return np.asarray(line / line.sum(), np.float32)
    gauss = cv2.getGaussianKernel(5, rng.uniform(0.5, 1.2))
    return np.asarray(gauss @ gauss.T, np.float32)
