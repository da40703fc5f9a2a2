"""How synthetic layers move: smooth paths, perspective, slow bending, a shaking camera.

Lengths in :class:`Motion` are fractions of the frame's mean side (the square root of its area).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Motion:
    """Ranges that paths are drawn from; a pace of 1 takes them as they are."""

    speed: float = 0.07
    """Displacement per frame, standard deviation."""
    zoom: float = 0.04
    """Of the logarithm of the scale per frame, standard deviation."""
    rotation: float = 5.0
    """Degrees per frame, standard deviation."""
    bend: float = 0.05
    """Amplitude of the elastic deformation, as a fraction of the layer's size."""
    perspective: float = 0.12
    """Standard deviation of how much nearer one side of a layer comes than its middle."""
    shake: float = 0.012
    """Standard deviation of the camera's position from frame to frame, where it shakes."""


def draw_path(
    rng: np.random.Generator, size: tuple[int, int], length: int, motion: Motion, pace: float
) -> FloatArray:
    """Smooth pose per frame (length, 4): log scale, radians, x and y in pixels."""
    unit = float(np.sqrt(size[0] * size[1]))
    deviation = np.array(
        [motion.zoom, np.deg2rad(motion.rotation), motion.speed * unit, motion.speed * unit]
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


def draw_tilt(rng: np.random.Generator, length: int, motion: Motion) -> FloatArray:
    """Slowly changing perspective (length, 2): how a layer leans in x and in y.

    A value of 0.2 brings its right (or lower) side 20 % nearer than its middle. Half of the
    layers stay flat.
    """
    if rng.random() < 0.5 or motion.perspective == 0:
        return np.zeros((length, 2), np.float32)
    start, change = rng.normal(size=(2, 2)) * motion.perspective
    rate, phase = rng.uniform(0.1, 0.8, 2), rng.uniform(0, 2 * np.pi, 2)
    time = np.arange(length)[:, None]
    tilt = start + change * (np.sin(phase + rate * time) - np.sin(phase))
    # Beyond this the far side would vanish behind the camera.
    return np.asarray(np.clip(tilt, -0.35, 0.35), np.float32)


def draw_shake(
    rng: np.random.Generator, size: tuple[int, int], length: int, motion: Motion
) -> FloatArray:
    """Offset (x, y) of the camera per frame, pixels (length, 2), beginning at 0."""
    unit = float(np.sqrt(size[0] * size[1]))
    jumps = rng.normal(size=(length, 2)) * motion.shake * unit
    offsets: FloatArray = (jumps - jumps[0]).astype(np.float32)
    return offsets


def place(
    pose: FloatArray, tilt: FloatArray, source: tuple[int, ...], home: NDArray[Any]
) -> Matrix:
    """3 x 3 homography that puts the middle of a ``source`` (H, W) at ``home`` plus the shift.

    ``pose`` is a row of :func:`draw_path`, ``tilt`` one of :func:`draw_tilt`, ``home`` (x, y).
    """
    scale, angle, dx, dy = (float(value) for value in pose)
    a, b = scale * np.cos(angle), scale * np.sin(angle)
    half = np.array([source[1] / 2, source[0] / 2])
    centred = np.array([[1.0, 0.0, -half[0]], [0.0, 1.0, -half[1]], [0.0, 0.0, 1.0]])
    lean = np.eye(3)
    lean[2, :2] = -np.asarray(tilt, np.float64) / half
    posed = np.array([[a, -b, home[0] + dx], [b, a, home[1] + dy], [0.0, 0.0, 1.0]])
    matrix: Matrix = posed @ lean @ centred
    return matrix


def turn_about(point: NDArray[Any], angle: float) -> Matrix:
    """3 x 3 rotation of the source's plane about ``point`` (x, y), in radians."""
    a, b = np.cos(angle), np.sin(angle)
    x, y = float(point[0]), float(point[1])
    return np.array([[a, -b, x - a * x + b * y], [b, a, y - b * x - a * y], [0.0, 0.0, 1.0]])


def draw_bend(rng: np.random.Generator, length: int, amplitude: float) -> FloatArray | None:
    """Slowly changing coarse displacement fields (length, 2, 5, 7) in pixels, or none."""
    if rng.random() < 0.3:
        return None
    amplitude *= rng.uniform(0.2, 1.5)
    start, change = rng.normal(size=(2, 2, 5, 7)) * amplitude
    rate = rng.uniform(0.2, 0.9)
    return np.stack([start * 0.3 + change * np.sin(rate * t) for t in range(length)]).astype(
        np.float32
    )
