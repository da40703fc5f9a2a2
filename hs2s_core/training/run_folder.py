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
from hs2s_core.files import alone, read_json, replacing, write_json
from hs2s_core.models import build_model
from hs2s_core.models.base import VideoSegmenter
from hs2s_core.models.config import ModelConfig, config_from_dict
from hs2s_core.models.tensors import check_tensors, read_tensors, writing_tensors
from hs2s_core.training.config import TrainingConfig
from hs2s_core.training.curriculum import Curriculum
from hs2s_core.weights import write_tensors

NOTE = "run.json"
BUSY = "another run is training there"
# What may change when a run goes on: where data lies and how it is read, not what is learned.
_FREE = {"checkpoint_minutes"}
_FREE_DATA = {"root", "splits", "workers", "cache"}
# What comes of a state that lacks parts, or has others in their places.
_UNFIT = (LookupError, TypeError, AttributeError, ValueError, RuntimeError)


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
    with alone(out, BUSY):
        started = check_run(out, config)
        write_json(out / NOTE, describe_run(config))
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
    with writing_tensors(path) as part:
        torch.save(state, part)


def load_run(path: Path, run: Run, config: TrainingConfig) -> None:
    """Put the state in ``path`` into ``run``.

    Raises:
        InvalidConfig: the checkpoint is of another model.
        InvalidWeights: it is damaged, or none of a run.
    """
    state, model = _read_run(path)
    if model != config.model:
        raise InvalidConfig(
            f"{path} is a checkpoint of another model ({state['config']}); "
            "choose another output folder, or delete it to start anew"
        )
    try:
        run.model.load_state_dict(state["model"])
        run.average.load_state_dict(state["average"])
        run.optimizer.load_state_dict(state["optimizer"])
        run.curriculum.load_state_dict(state["curriculum"])
        run.step, run.best = int(state["step"]), state["best"]
    except _UNFIT as error:
        raise InvalidWeights(
            f"{path} lacks a part of the run, or has it in another form ({type(error).__name__}: "
            f"{str(error).splitlines()[0]}); delete the folder to start anew"
        ) from error


def _read_run(path: Path) -> tuple[dict[str, Any], ModelConfig]:
    """The state of a checkpoint, and what its network is made of.

    Raises InvalidWeights if it is none of a run.
    """
    try:
        state = read_tensors(path)
        return state, config_from_dict(state["config"])
    except _UNFIT as error:  # those of our own too
        why = error if isinstance(error, InvalidConfig) else type(error).__name__
        raise InvalidWeights(
            f"{path} is no checkpoint of a training run, or damaged, or of another version "
            f"({why}); expected last.pt or best.pt of a run's folder, or that folder"
        ) from error


def export_run(path: Path, out: Path, dtype: torch.dtype | None = None) -> None:
    """Write the weights to use of a checkpoint, or of a run's folder, as a weights file.

    That is the moving average; of a folder it is ``best.pt``'s where the run validates. The card
    says the run's settings, if they lie beside.

    Raises:
        InvalidWeights: no checkpoint of a run, or its weights are not finite.
    """
    if path.is_dir():
        path = next((path / n for n in ("best.pt", "last.pt") if (path / n).exists()), path)
    if not path.is_file():
        raise InvalidWeights(
            f"{path} is no checkpoint of a training run: there is no such file; expected last.pt "
            "or best.pt of a run's folder, or that folder"
        )
    state, config = _read_run(path)
    try:
        with torch.device("meta"):
            check_tensors(build_model(config).state_dict(), state["average"], name=str(path))
        card = {"name": out.stem, "step": state["step"], "validation": state["best"]}
    except _UNFIT as error:
        raise InvalidWeights(
            f"{path} lacks a part of the run, or has it in another form ({type(error).__name__}: "
            f"{error}); take another checkpoint of it"
        ) from error
    note = path.parent / NOTE
    if note.exists():
        advice = "move it away to write the weights without the run's settings"
        card["recipe"] = read_json(note, advice, InvalidWeights)
    write_tensors(state["average"], out, config, card, dtype)
