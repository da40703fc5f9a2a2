"""A run on disk: everything needed to go on as if it had never stopped."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from hs2s_core.config import ModelConfig
from hs2s_core.errors import InvalidConfig
from hs2s_core.models.base import VideoSegmenter
from hs2s_core.training.config import TrainingConfig
from hs2s_core.training.curriculum import Curriculum


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
    part = path.with_suffix(".part")
    torch.save(state, part)
    part.replace(path)


def load_run(path: Path, run: Run, config: TrainingConfig) -> None:
    """Put the state in ``path`` into ``run``.

    Raises:
        InvalidConfig: the checkpoint is of another model.
    """
    state = torch.load(path, map_location="cpu", weights_only=True)
    if ModelConfig.from_dict(state["config"]) != config.model:
        raise InvalidConfig(
            f"{path} is a checkpoint of another model ({state['config']}); "
            "choose another output folder, or delete it to start anew"
        )
    run.model.load_state_dict(state["model"])
    run.average.load_state_dict(state["average"])
    run.optimizer.load_state_dict(state["optimizer"])
    run.curriculum.load_state_dict(state["curriculum"])
    run.step, run.best = int(state["step"]), state["best"]
