"""Small labelled data to train on: sets of stills, a video, and the start of the demo clip."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
from PIL import Image

from hs2s_core.resources import asset


def write_stills(folder: Path, count: int) -> None:
    """``images/<number>.jpg`` and ``masks/<number>.png`` of ``count`` pictures, always the same.

    Coloured squares of noise, and two regions in each.
    """
    rng = np.random.default_rng(0)
    for kind in ("images", "masks"):
        (folder / kind).mkdir(parents=True)
    ids = np.zeros((96, 128), np.uint8)
    ids[20:60, 20:70], ids[50:90, 80:120] = 1, 2
    for number in range(count):
        picture = np.kron(rng.integers(0, 255, (12, 16, 3)), np.ones((8, 8, 1))).astype(np.uint8)
        Image.fromarray(picture).save(folder / f"images/{number}.jpg")
        Image.fromarray(ids).save(folder / f"masks/{number}.png")


def write_walk(folder: Path, name: str, frames: int = 6) -> None:
    """Video ``name`` of a VOS folder: a light block that walks to the right over grey."""
    for kind in ("JPEGImages", "Annotations"):
        (folder / kind / name).mkdir(parents=True)
    for t in range(frames):
        ids = np.zeros((72, 96), np.uint8)
        ids[20:50, 10 + 5 * t : 40 + 5 * t] = 1
        rgb = np.where(ids[..., None] > 0, 220, 60).astype(np.uint8).repeat(3, axis=2)
        Image.fromarray(rgb).save(folder / f"JPEGImages/{name}/{t:05d}.jpg")
        Image.fromarray(ids).save(folder / f"Annotations/{name}/{t:05d}.png")


def copy_demo(folder: Path, frames: int) -> None:
    """The first ``frames`` of the bundled clip, with their masks, as ``demo`` in ``folder``."""
    for kind in ("JPEGImages", "Annotations"):
        out = folder / "demo" / kind / "stefan_001"
        out.mkdir(parents=True)
        for path in sorted((asset("demo") / kind / "stefan_001").iterdir())[:frames]:
            shutil.copyfile(path, out / path.name)
