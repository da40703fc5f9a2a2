"""Small made-up training data: stills with regions, and one labelled video."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.stills import write_stills

CONFIG = """
seed = {seed}
learning_rate = 1e-3
checkpoint_minutes = 0

[model]
preset = "hs2s-lite"

[data]
root = "data"
stills = ["stills"]
folders = [{{ path = "videos" }}]
real = 0.3
workers = {workers}

[schedule]
warmup = 4

[[stages]]
steps = 3
size = [64, 80]
frames = 3
clips = 2

[[stages]]
steps = 3
size = [80, 64]
frames = 4
clips = 1
"""


@pytest.fixture(scope="session")
def training_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``data/stills`` and ``data/videos`` in the layouts training reads."""
    root = tmp_path_factory.mktemp("training")
    write_stills(root / "data" / "stills", 4)
    for kind in ("JPEGImages", "Annotations"):
        (root / "data" / "videos" / kind / "one").mkdir(parents=True)
    for t in range(6):
        ids = np.zeros((72, 96), np.uint8)
        ids[20:50, 10 + 5 * t : 40 + 5 * t] = 1
        rgb = np.where(ids[..., None] > 0, 220, 60).astype(np.uint8).repeat(3, axis=2)
        Image.fromarray(rgb).save(root / f"data/videos/JPEGImages/one/{t:05d}.jpg")
        Image.fromarray(ids).save(root / f"data/videos/Annotations/one/{t:05d}.png")
    return root


@pytest.fixture
def write_config(training_folder: Path) -> object:
    """Function that writes the run's TOML with a seed and a worker count."""

    def write(seed: int = 0, workers: int = 0) -> Path:
        path = training_folder / f"run-{seed}-{workers}.toml"
        path.write_text(CONFIG.format(seed=seed, workers=workers))
        return path

    return write
