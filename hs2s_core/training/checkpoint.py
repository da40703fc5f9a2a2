"""A run on disk: everything needed to go on as if it had never stopped."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from hs2s_core.errors import InvalidConfig, InvalidWeights
from hs2s_core.files import replacing
from hs2s_core.models.base import VideoSegmenter
from hs2s_core.models.config import config_from_dict
from hs2s_core.models.tensors import read_tensors
from hs2s_core.training.config import TrainingConfig
from hs2s_core.training.curriculum import Curriculum
from hs2s_core.training.run_folder import NOTE
from hs2s_core.weights import write_tensors


@dataclass
class Run:
    """A run in memory."""

    model: VideoSegmenter
    average: VideoSegmenter
    """Moving average of the model's weights: what is validated and used."""
    optimizer: torch.optim.Optimizer
    curriculum: Curriculum
    step: int = 0
    """Steps done."""
    best: float | None = None
    """Best validation J&F so far."""


def is_finite(run: Run) -> bool:
    """Whether no weight of a run is infinite or not a number."""
    return all(bool(value.isfinite().all()) for value in run.model.parameters())


def save_run(path: Path, run: Run) -> None:
    """Write a run to ``path``, all or nothing."""
    state = {
        "step": run.step,
        "best": run.best,
        "config": run.model.config.to_dict(),
        "model": run.model.state_dict(),
        "average": run.average.state_dict(),
        "optimizer": run.optimizer.state_dict(),
        "curriculum": run.curriculum.state_dict(),
    }
    with replacing(path) as part:
        torch.save(state, part)


def load_run(path: Path, run: Run, config: TrainingConfig) -> None:
    """Put the state in ``path`` into ``run``.

    Raises:
        InvalidConfig: the checkpoint is of another model.
    """
    state = torch.load(path, map_location="cpu", weights_only=True)
    if config_from_dict(state["config"]) != config.model:
        raise InvalidConfig(
            f"{path} is a checkpoint of another model ({state['config']}); "
            "choose another output folder, or delete it to start anew"
        )
    run.model.load_state_dict(state["model"])
    run.average.load_state_dict(state["average"])
    run.optimizer.load_state_dict(state["optimizer"])
    run.curriculum.load_state_dict(state["curriculum"])
    run.step, run.best = int(state["step"]), state["best"]


def export_run(path: Path, out: Path, dtype: torch.dtype | None = None) -> None:
    """Write the weights to use of a checkpoint, or of a run's folder, as a weights file.

    That is the moving average; of a folder it is ``best.pt``'s where the run validates. The card
    says the run's settings, if they lie beside.

    Raises:
        InvalidWeights: no checkpoint of a run, or its weights are not finite.
    """
    if path.is_dir():
        path = next((path / n for n in ("best.pt", "last.pt") if (path / n).exists()), path)
    try:
        state = read_tensors(path)
        config, average = config_from_dict(state["config"]), state["average"]
    except (InvalidWeights, KeyError, TypeError) as error:
        raise InvalidWeights(
            f"{path} is no checkpoint of a training run ({type(error).__name__}); expected last.pt "
            "or best.pt of a run's folder, or that folder"
        ) from error
    card: dict[str, Any] = {"name": out.stem, "step": state["step"], "validation": state["best"]}
    if (path.parent / NOTE).exists():
        card["recipe"] = json.loads((path.parent / NOTE).read_text())
    write_tensors(average, out, config, card, dtype)
