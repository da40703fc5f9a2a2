"""What a camera does to a synthetic clip: light, blur, noise, low resolution, compression."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from hs2s_core.data.motion import FloatArray

Film = NDArray[np.uint8]


@dataclass(frozen=True)
class Camera:
    """Chances, each for a whole clip."""

    blur: float = 0.2
    """Motion blur of the whole frame, or defocus."""
    grey: float = 0.1
    shade: float = 0.3
    """A shadow or a light that drifts over the scene."""
    low_resolution: float = 0.25
    compression: float = 0.4


def film(rng: np.random.Generator, frames: Film, camera: Camera) -> Film:
    """``frames`` (T, H, W, 3) uint8 RGB as a camera would have them, same shape."""
    frames = _light(rng, frames, camera)
    if rng.random() < camera.blur:
        kernel = _blur_kernel(rng)
        for t in range(int(rng.integers(0, 2)), len(frames)):
            frames[t] = cv2.filter2D(frames[t], -1, kernel)
    if rng.random() < camera.low_resolution:
        factor = rng.uniform(1.3, 2.5)
        frames = np.stack([_shrink(frame, factor) for frame in frames])
    if rng.random() < camera.compression:
        quality = int(rng.integers(15, 70))
        frames = np.stack([_compress(frame, quality) for frame in frames])
    return frames


def _light(rng: np.random.Generator, clip: Film, camera: Camera) -> Film:
    """Exposure and tint that drift through the clip, shade, and sensor noise."""
    frames = clip.astype(np.float32)
    length = len(frames)
    drift = np.cumsum(rng.normal(0, 0.025, length)) + rng.normal(0, 0.1)
    tint = np.cumsum(rng.normal(0, 0.008, (length, 3)), axis=0) + rng.normal(0, 0.04, 3)
    gain = np.exp(np.clip(drift[:, None] + tint, -0.5, 0.5))[:, None, None, :]
    contrast = rng.uniform(0.75, 1.25)
    mean = frames.mean()
    frames = (frames * gain.astype(np.float32) - mean) * np.float32(contrast) + mean
    if rng.random() < camera.shade:
        frames *= _shade(rng, frames.shape)
    if rng.random() < camera.grey:
        frames = frames.mean(axis=3, keepdims=True).repeat(3, axis=3)
    frames += rng.standard_normal(frames.shape, np.float32) * rng.uniform(0, 5)
    return np.asarray(np.clip(frames, 0, 255), np.uint8)


def _shade(rng: np.random.Generator, shape: tuple[int, ...]) -> FloatArray:
    """Smooth gains (T, H, W, 1) between about 0.6 and 1.6 that drift from one to another."""
    length, height, width = shape[:3]
    first, last = rng.normal(0, 0.25, (2, 4, 6)).astype(np.float32)
    gains = [
        cv2.resize(first + (last - first) * (t / length), (width, height)) for t in range(length)
    ]
    return np.asarray(np.exp(np.clip(np.stack(gains), -0.5, 0.5))[..., None], np.float32)


def _shrink(frame: Film, factor: float) -> Film:
    height, width = frame.shape[:2]
    small = cv2.resize(
        frame, (round(width / factor), round(height / factor)), interpolation=cv2.INTER_AREA
    )
    return np.asarray(cv2.resize(small, (width, height)), np.uint8)


def _compress(frame: Film, quality: int) -> Film:
    _, data = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, quality])
    # Channels are written and read in the same (wrong) order, which comes to nothing.
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)


def _blur_kernel(rng: np.random.Generator) -> FloatArray:
    """A short line (motion) or a small Gaussian (defocus), summing to 1."""
    if rng.random() < 0.5:
        angle = rng.uniform(0, np.pi)
        return line_kernel(2, 2 * np.array([np.cos(angle), np.sin(angle)]))
    gauss = cv2.getGaussianKernel(5, rng.uniform(0.5, 1.2))
    return np.asarray(gauss @ gauss.T, np.float32)


def line_kernel(reach: int, half: NDArray[Any]) -> FloatArray:
    """A line through the middle, ``half`` (x, y) to either side, summing to 1: motion blur.

    ``reach`` is how many pixels the kernel has there: (2 reach + 1, 2 reach + 1).
    """
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1), np.float32)
    start, stop = np.rint(reach - half).astype(int), np.rint(reach + half).astype(int)
    cv2.line(kernel, start.tolist(), stop.tolist(), 1.0)
    return np.asarray(kernel / kernel.sum(), np.float32)
