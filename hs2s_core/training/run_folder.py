"""The folder of a training run: which run it is, and what it needs to go on as if never stopped."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from hs2s_core.errors import HS2SError, InvalidConfig, InvalidWeights
from hs2s_core.files import replacing
from hs2s_core.models.base import VideoSegmenter
from hs2s_core.models.config import config_from_dict
from hs2s_core.models.tensors import read_tensors
from hs2s_core.training.config import TrainingConfig
from hs2s_core.training.curriculum import Curriculum
from hs2s_core.weights import write_tensors

NOTE = "run.json"
# What may change when a run goes on: where data lies and how it is read, not what is learned.
_FREE = {"checkpoint_minutes"}
_FREE_DATA = {"root", "splits", "workers", "cache"}


def check_run(out: Path, config: TrainingConfig) -> bool:
    """Whether ``out`` holds a checkpoint of this run, to go on from.

    Raises:
        HS2SError: the folder holds another run, or one that is not noted.
    """
    note = out / NOTE
    started = (out / "last.pt").exists()
    if not started and not note.exists():
        return False
    try:
        stored = dict(json.loads(note.read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise HS2SError(
            f"{out}: holds a run, but not what it was ({note.name}: {error}); choose another "
            "folder with --out."
        ) from error
    described = describe_run(config)
    changed = [key for key in described if stored.get(key) != described[key]]
    if started and changed:
        raise HS2SError(
            f"{out}: holds a run with other settings ({', '.join(changed)}); choose another "
            "folder with --out, or delete this one to start again."
        )
    return started


def claim(out: Path, config: TrainingConfig) -> bool:
    """Note in ``out``, made if absent, which run lives there; returns and raises as `check_run`."""
    started = check_run(out, config)
    out.mkdir(parents=True, exist_ok=True)
    (out / NOTE).write_text(json.dumps(describe_run(config), indent=2) + "\n")
    return started


def describe_run(config: TrainingConfig) -> dict[str, Any]:
    """The settings that decide the result, as they read back from JSON; folders by their name."""
    values = dataclasses.asdict(config)
    values["data"] = {k: v for k, v in values["data"].items() if k not in _FREE_DATA}
    kept = {key: value for key, value in values.items() if key not in _FREE}
    described: dict[str, Any] = json.loads(json.dumps(kept, default=lambda path: path.name))
    return described


def cut_log(path: Path, step: int) -> None:
    """Leave in a run's log the steps that its checkpoint has; those after it are done again."""
    if not path.exists():
        return
    lines = path.read_text().splitlines(keepends=True)
    kept = [line for line in lines if line.endswith("\n") and _step(line) <= step]
    if len(kept) < len(lines):
        with replacing(path) as part:
            part.write_text("".join(kept))


def _step(line: str) -> float:
    """The number of a log's step; infinite of a line that is none, as of a disk that was full."""
    try:
        return int(json.loads(line)["step"])
    except (ValueError, LookupError, TypeError):
        return math.inf


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
        InvalidWeights: it is damaged.
    """
    state = read_tensors(path)
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
