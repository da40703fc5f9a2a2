"""Small made-up training data: stills with regions, and one labelled video."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.labelled import write_stills, write_walk

CONFIG = """
seed = {seed}
learning_rate = 1e-3
checkpoint_minutes = 60

[model]
preset = "hs2s-lite"
encoder = "small"
width = 16

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
    write_walk(root / "data" / "videos", "one")
    return root


@pytest.fixture(scope="session")
def write_config(training_folder: Path) -> object:
    """Function that writes the run's TOML with a seed and a worker count."""

    def write(seed: int = 0, workers: int = 0) -> Path:
        path = training_folder / f"run-{seed}-{workers}.toml"
        path.write_text(CONFIG.format(seed=seed, workers=workers))
        return path

    return write
