"""Clips made from stills: several layers move on their own before a moving background.

Each layer is a region cut from any still. It follows a smooth path, leans, bends slowly and
may fold at a joint; layers hide one another, leave and re-enter; some have a look-alike: a
twin, or another region of the same picture. Then a camera films it (:mod:`photometry`). The
result has exact masks for every frame at no labelling cost.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hs2s_core.data.layers import Scene
from hs2s_core.data.motion import Motion, draw_shake
from hs2s_core.data.photometry import Camera, film
from hs2s_core.data.screens import put_screen
from hs2s_core.data.stills import Cutout, StillSet, cut_region, ids_of_share
from hs2s_core.media.images import RGBImage


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
    size: tuple[float, float] = (0.1, 0.7)
    """Square root of a layer's area, drawn evenly over its logarithm: as many small as large."""
    motion: Motion = field(default_factory=Motion)
    camera: Camera = field(default_factory=Camera)
    fast: float = 0.2
    """Chance of a clip that moves two to six times as fast."""
    twin: float = 0.3
    """Chance that a layer has a look-alike: itself again, or a region of the same picture."""
    own_region: float = 0.35
    """Chance that a region of the background itself is an object, moving with its scene."""
    jointed: float = 0.25
    """Chance that a layer folds at a joint and hides part of itself."""
    smear: float = 0.2
    """Chance that a clip's layers are blurred along their own motion."""
    shaking: float = 0.2
    """Chance of a hand-held camera."""
    screen: float = 0.25
    """Chance of leaves or bars before the objects, which are no object themselves."""


class Synthesizer:
    """Draws clips of a given size and length from a set of stills."""

    def __init__(self, stills: StillSet, config: SynthesisConfig | None = None) -> None:
        self.stills = stills
        self.config = config or SynthesisConfig()

    def draw(self, rng: np.random.Generator, size: tuple[int, int], length: int) -> Clip:
        """A clip of ``length`` frames of ``size`` (H, W)."""
        config, motion = self.config, self.config.motion
        rgb, regions = self.stills.draw(rng)
        pace = rng.uniform(2, 6) if rng.random() < config.fast else rng.uniform(0.1, 1.3)
        own = rng.random() < config.own_region
        objects = _some_regions(rng, regions) if own else np.zeros(rgb.shape[:2], np.uint8)
        shaking = rng.random() < config.shaking
        shake = draw_shake(rng, size, length, motion) if shaking else None
        smear = rng.random() < config.smear
        zoom = rng.uniform(1.05, 1.7)
        scene = Scene.empty(rng, motion, size, length, shake)
        scene.film(rgb, objects, pace=0.4 * pace, zoom=zoom)
        unit = np.sqrt(size[0] * size[1])
        next_id = int(scene.id_maps.max()) + 1
        for _ in range(int(rng.integers(config.layers[0], config.layers[1] + 1))):
            target = float(np.exp(rng.uniform(*np.log(config.size))) * unit)
            for cutout in self._look_alikes(rng):
                home = np.array([rng.uniform(0.1, 0.9) * size[1], rng.uniform(0.1, 0.9) * size[0]])
                scene.paste(
                    cutout,
                    next_id,
                    home,
                    target * rng.uniform(0.8, 1.25),
                    pace=pace,
                    jointed=rng.random() < config.jointed,
                    smear=smear,
                )
                next_id += 1
        if config.screen and rng.random() < config.screen:
            put_screen(scene, self.stills.draw(rng)[0])
        return Clip(film(rng, scene.frames, config.camera), scene.id_maps)

    def _look_alikes(self, rng: np.random.Generator) -> list[Cutout]:
        """One layer, or two that are easily confused; none if no region fits."""
        for _ in range(4):
            rgb, regions = self.stills.draw(rng)
            cutout = _cut(rng, rgb, regions)
            if cutout is None:
                continue
            if rng.random() >= self.config.twin:
                return [cutout]
            other = cutout if rng.random() < 0.5 else _cut(rng, rgb, regions)
            return [cutout, other or cutout]
        return []


def _cut(rng: np.random.Generator, rgb: RGBImage, regions: NDArray[Any]) -> Cutout | None:
    """One region with its colours changed; None if it is too small to be seen."""
    cutout = cut_region(rgb, regions, rng)
    if cutout is None or min(cutout.alpha.shape) < 12:
        return None
    return _jitter_colours(rng, cutout)


def _some_regions(rng: np.random.Generator, regions: NDArray[Any]) -> NDArray[np.uint8]:
    """Ids 1.. for one or two fitting regions of the background, 0 elsewhere."""
    ids, _ = ids_of_share(regions, 0.01, 0.4)
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
