"""A training run as data: one TOML file, read into frozen dataclasses."""

from __future__ import annotations

import dataclasses
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from hs2s_core.config import ModelConfig, preset
from hs2s_core.errors import InvalidConfig
from hs2s_core.training.losses import LOSS_PRESETS, LossWeights

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


T = TypeVar("T")


@dataclass(frozen=True)
class Stage:
    """A stretch of steps with one clip size and length; runs grow from stage to stage."""

    steps: int
    size: tuple[int, int]
    """(H, W) of the clips, multiples of the model's stride."""
    frames: int
    """Frames per clip, the given first one included."""
    clips: int
    """Clips per step."""


@dataclass(frozen=True)
class DataConfig:
    """Where clips come from."""

    root: Path
    splits: Path | None = None
    """JSON with ``train_stills`` and ``train_video``: set -> names. Without it, all."""
    stills: tuple[str, ...] = ()
    videos: dict[str, float] = field(default_factory=dict)
    """Set -> share of the real clips."""
    real: float = 0.0
    """Share of real clips among all."""
    objects: int = 2
    """Objects per clip at the most."""
    workers: int = 1
    cache: int = 600
    """Decoded stills kept in memory, per worker."""


@dataclass(frozen=True)
class TrainingConfig:
    """Everything that decides a run; equal configs and seeds give equal weights."""

    model: ModelConfig
    data: DataConfig
    stages: tuple[Stage, ...]
    losses: LossWeights
    seed: int = 0
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    warmup: int = 200
    """Steps over which the learning rate rises linearly; it then falls as a half cosine."""
    final_rate: float = 0.02
    """Learning rate at the end, as a fraction of the highest."""
    clip_norm: float = 10.0
    sampling_start: float = 0.05
    sampling_end: float = 0.4
    """Scheduled sampling: the share of the run in which the chance that a step is fed its own
    prediction instead of the truth rises linearly from 0 to ``sampling_top``."""
    sampling_top: float = 1.0
    freeze_norm: float = 0.8
    """Share of the run after which batch norms keep their statistics."""
    average: float = 0.999
    """Decay of the moving average of the weights, which is what is saved for use."""
    checkpoint_every: int = 250

    @property
    def steps(self) -> int:
        """Steps of the whole run."""
        return sum(stage.steps for stage in self.stages)


def read_config(path: Path) -> TrainingConfig:
    """Read a run from TOML; relative paths in it start at the file's folder.

    Raises:
        InvalidConfig: unknown or missing keys, named with what is expected.
    """
    values = tomllib.loads(path.read_text())
    try:
        model = _model(values.pop("model"))
        data = _data(values.pop("data"), path.parent)
        stages = tuple(_build(Stage, stage) for stage in values.pop("stages"))
    except KeyError as missing:
        raise InvalidConfig(
            f"{path} has no section {missing}; expected [model], [data] and [[stages]]"
        ) from None
    losses = values.pop("losses", "lite")
    if isinstance(losses, str):
        if losses not in LOSS_PRESETS:
            raise InvalidConfig(f"no losses {losses!r}; expected one of {', '.join(LOSS_PRESETS)}")
        weights = LOSS_PRESETS[losses]
    else:
        weights = _build(LossWeights, losses)
    return _build(
        TrainingConfig,
        {**values, "model": model, "data": data, "stages": stages, "losses": weights},
    )


def _model(values: dict[str, Any]) -> ModelConfig:
    base = preset(values.pop("preset", "hs2s-lite"))
    return ModelConfig.from_dict({**base.to_dict(), **values})


def _data(values: dict[str, Any], folder: Path) -> DataConfig:
    for key in ("root", "splits"):
        if key in values:
            values[key] = (folder / Path(values[key]).expanduser()).resolve()
    return _build(DataConfig, values)


def _build(cls: type[T], values: dict[str, Any]) -> T:
    known = {field.name for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    unknown = sorted(set(values) - known)
    if unknown:
        raise InvalidConfig(f"unknown settings {unknown}; expected some of {sorted(known)}")
    fixed = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
    try:
        return cls(**fixed)
    except TypeError as error:
        raise InvalidConfig(f"{cls.__name__}: {error}") from None
