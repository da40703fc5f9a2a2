"""A made-up set of stills: coloured squares with two regions each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def write_stills(folder: Path, count: int) -> None:
    """``images/<number>.jpg`` and ``masks/<number>.png`` of ``count`` pictures, always the same."""
    rng = np.random.default_rng(0)
    for kind in ("images", "masks"):
        (folder / kind).mkdir(parents=True)
    ids = np.zeros((96, 128), np.uint8)
    ids[20:60, 20:70], ids[50:90, 80:120] = 1, 2
    for number in range(count):
        picture = np.kron(rng.integers(0, 255, (12, 16, 3)), np.ones((8, 8, 1))).astype(np.uint8)
        Image.fromarray(picture).save(folder / f"images/{number}.jpg")
        Image.fromarray(ids).save(folder / f"masks/{number}.png")
