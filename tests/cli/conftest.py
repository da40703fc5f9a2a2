"""A small network on disk, and a made-up clip with masks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from hs2s_core.cli import main
from hs2s_core.media.masks import write_id_map
from hs2s_core.models import build_model
from hs2s_core.models.presets import preset
from hs2s_core.weights import save_weights

SIZE = (64, 96)
FRAMES = 6

Run = Callable[..., tuple[int, str, str]]
"""``hs2s`` with these words: exit status, standard output, standard error."""


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*words: object) -> tuple[int, str, str]:
        status = main([str(word) for word in words])
        out, err = capsys.readouterr()
        return status, out, err

    return call


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """HS2S-lite of few layers, untrained: what it says is noise, what it costs is little."""
    torch.manual_seed(0)
    small = {"encoder": "small", "width": 16, "input_size": SIZE, "keep_aspect": False}
    config = replace(preset("hs2s-lite"), **small)
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_weights(build_model(config), path, {"name": "tiny, untrained"})
    return path


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``frames/``: six pictures; ``masks/``: object 1 in every frame, object 2 from the third."""
    root = tmp_path_factory.mktemp("clip")
    noise = np.random.default_rng(0).integers(0, 90, (*SIZE, 3), dtype=np.uint8)
    (root / "frames").mkdir()
    for index in range(FRAMES):
        id_map = np.zeros(SIZE, np.uint8)
        id_map[8:24, 8 + 4 * index : 24 + 4 * index] = 1
        if index >= 2:
            id_map[36:56, 50:70] = 2
        picture = np.where(id_map[..., None] > 0, 220, noise).astype(np.uint8)
        Image.fromarray(picture).save(root / "frames" / f"{index + 10}.png")
        write_id_map(root / "masks" / f"{index + 10}.png", id_map)
    return root
