"""What stands before objects and is none: leaves, railings, poles.

Objects that are seen through them come back in parts, which the stills' own regions, being whole,
do not teach.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from hs2s_core.data.layers import Scene
from hs2s_core.data.stills import Cutout
from hs2s_core.media.images import RGBImage

_SIDE = 160
"""Of a screen's picture, in pixels."""


def put_screen(scene: Scene, rgb: RGBImage) -> None:
    """Let a screen, coloured like some of ``rgb`` (H, W, 3), pass before all that is there."""
    rng, size = scene.rng, np.array(scene.id_maps.shape[:0:-1])
    screen = _draw_screen(rng, rgb)
    target = rng.uniform(0.15, 0.6) * float(np.sqrt(size.prod()))
    scene.paste(screen, 0, rng.uniform(0, 1, 2) * size, target, pace=rng.uniform(0.2, 1.5))


def _draw_screen(rng: np.random.Generator, rgb: RGBImage) -> Cutout:
    sides = np.minimum(rgb.shape[:2], _SIDE)
    top, left = rng.integers(rgb.shape[:2] - sides + 1)
    picture = cv2.resize(rgb[top : top + sides[0], left : left + sides[1]], (_SIDE, _SIDE))
    gain = rng.uniform(0.4, 1.3) * rng.uniform(0.85, 1.15, 3)
    alpha = _bars(rng) if rng.random() < 0.35 else _leaves(rng)
    return Cutout(np.clip(picture * gain, 0, 255).astype(np.uint8), alpha.astype(np.uint8) * 255)


def _leaves(rng: np.random.Generator) -> NDArray[Any]:
    """A loose clump: noise of three scales above a level, thinner away from the middle."""
    noise = np.zeros((_SIDE, _SIDE), np.float32)
    for cells in (5, 16, int(rng.integers(25, 60))):
        coarse = rng.standard_normal((cells, cells)).astype(np.float32)
        noise += cv2.resize(coarse, (_SIDE, _SIDE), interpolation=cv2.INTER_CUBIC)
    y, x = np.mgrid[-1 : 1 : _SIDE * 1j, -1 : 1 : _SIDE * 1j]
    noise -= 2 * (x**2 + y**2)
    return np.asarray(noise > np.quantile(noise, rng.uniform(0.4, 0.8)))


def _bars(rng: np.random.Generator) -> NDArray[Any]:
    """One to six parallel bars, in any direction."""
    y, x = np.mgrid[:_SIDE, :_SIDE] / _SIDE - 0.5
    angle = rng.normal(0, 0.2) + (np.pi / 2 if rng.random() < 0.3 else 0)
    across = (x * np.cos(angle) + y * np.sin(angle) + 0.5) * int(rng.integers(1, 7))
    return np.asarray(abs(across % 1 - 0.5) < rng.uniform(0.06, 0.2))
