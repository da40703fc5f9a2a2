"""Networks and inputs shared by the model tests; the large ones are built once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import Tensor

from hs2s_core.authors import their_name
from hs2s_core.models import VideoSegmenter, build_model
from hs2s_core.models.presets import PRESETS
from hs2s_core.weights import fill_model

from ..scripts import load_script
from .tiny import tiny

PARITY = Path(__file__).resolve().parents[1] / "data" / "parity"


@pytest.fixture
def no_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """For networks on the meta device: no values are drawn that it has no memory for anyway."""
    monkeypatch.setattr("torch.nn.Conv2d.reset_parameters", lambda _: None)


@pytest.fixture(scope="session")
def recipe() -> ModuleType:
    """The parity recipe: weights and inputs from seeds."""
    return load_script(PARITY / "recipe.py")


@pytest.fixture(scope="session")
def parity_model(recipe: ModuleType) -> VideoSegmenter:
    """Full HS2S holding the recipe's weights under the authors' names, mapped to ours."""

    # Narrower, its tensors have the same names.
    names = {their_name(ours): ours for ours in build_model(tiny("hs2s")).state_dict()}

    def tensor(entry: tuple[str, list[int]]) -> tuple[str, Tensor]:
        name, shape = entry
        return names[name], torch.from_numpy(np.asarray(recipe.fill(name, shape)))

    # NumPy draws outside the interpreter lock, so two threads halve the wait.
    with ThreadPoolExecutor(2) as pool:
        tensors = dict(pool.map(tensor, recipe.layout().items()))
    return fill_model(PRESETS["hs2s"], tensors).eval()
