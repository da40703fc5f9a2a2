"""A training run as data: one TOML file, read into frozen dataclasses."""

from __future__ import annotations

import dataclasses
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from hs2s_core.config import ModelConfig, preset
from hs2s_core.errors import InvalidConfig
from hs2s_core.training.curriculum import Schedule
from hs2s_core.training.losses import LOSS_PRESETS, LossWeights

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

T = TypeVar("T")
AUGMENTATIONS = ("crop", "paper")


@dataclass(frozen=True)
class Stage:
    """A stretch of steps with one clip size; runs grow from stage to stage."""

    steps: int
    size: tuple[int, int]
    """(H, W) of the clips, multiples of the model's stride."""
    frames: int
    """Frames per clip at the most, the given first one included."""
    clips: int
    """Clips per step, over all processes."""
    frames_from: int | None = None
    """If set, a step's length is drawn uniformly from here to a limit that starts here too..."""
    grow_every: int = 0
    """... and rises by one every so many steps, up to ``frames``; 0: it is ``frames`` at once."""

    def length(self, step: int, rng: np.random.Generator) -> int:
        """Frames of the clips at ``step`` of this stage."""
        if self.frames_from is None:
            return self.frames
        grown = self.frames_from + step // self.grow_every if self.grow_every else self.frames
        return int(rng.integers(self.frames_from, min(self.frames, grown) + 1))


@dataclass(frozen=True)
class FolderConfig:
    """A YouTube-VOS, DAVIS or plain folder of labelled videos."""

    path: Path
    split: str | None = None
    share: float = 1.0
    names: tuple[str, ...] = ()
    """Videos to take; all if empty."""


@dataclass(frozen=True)
class DataConfig:
    """Where clips come from: stills (synthetic clips) and labelled videos."""

    root: Path | None = None
    """Folder of the ``stills`` sets and of relative ``folders``."""
    splits: Path | None = None
    """JSON with ``train_stills`` and ``train_video``: set -> names. Without it, all."""
    stills: tuple[str, ...] = ()
    folders: tuple[FolderConfig, ...] = ()
    real: float = 1.0
    """Share of real clips among all, where there are stills too."""
    augmentation: str = "crop"
    """``crop``: one crop and turn a clip. ``paper``: the authors' ranges."""
    objects: int = 2
    """Objects per clip at the most."""
    workers: int = 1
    cache: int = 600
    """Decoded stills kept in memory, per worker."""

    def __post_init__(self) -> None:
        """Refuse an unknown augmentation."""
        if self.augmentation not in AUGMENTATIONS:
            raise InvalidConfig(
                f"augmentation is {self.augmentation!r}; expected {' or '.join(AUGMENTATIONS)}"
            )


@dataclass(frozen=True)
class ValidationConfig:
    """Periodic J&F on labelled videos; the best model is kept apart."""

    folders: tuple[FolderConfig, ...]
    every: int = 500
    """Steps between two validations."""
    frames: int = 60
    """First frames of each video that are scored."""


@dataclass(frozen=True)
class TrainingConfig:
    """Everything that decides a run; equal configs and seeds give equal weights."""

    model: ModelConfig
    data: DataConfig
    stages: tuple[Stage, ...]
    losses: LossWeights
    schedule: Schedule = field(default_factory=Schedule)
    validation: ValidationConfig | None = None
    seed: int = 0
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    clip_norm: float = 10.0
    average: float = 0.999
    """Decay of the moving average of the weights, which is what is used; 0: no average."""
    precision: str = "float32"
    """``bfloat16`` runs the network under autocast; losses stay in float32."""
    checkpointing: bool = False
    """Recompute each step in the backward pass: less memory, a third more time."""
    detach: bool = False
    """Cut the gradient at fed-back masks; the authors' code lets it through."""
    chunk: int = 0
    """Frames that a bidirectional network reads ahead at once, as in propagation; 0: all."""
    pretrained_backbone: bool | str = False
    """ImageNet start of the encoders: true (the published weights), or a state-dict file."""
    backbone_rate: float = 1.0
    """Learning rate of the lite trunk's ImageNet layers, as a fraction of the others'."""
    freeze_backbone: bool = False
    """Batch norms of the lite trunk's ImageNet layers keep their statistics."""
    remember: float = 0.0
    """Chance, per step, that its frame joins those that later ones are compared with."""
    references: int = 3
    """Frames, the first one included, that are compared with at the most while training."""
    start: str | None = None
    """Weights to start from instead of random ones: a file, or ``hs2s-lite`` for the bundled."""
    checkpoint_every: int = 250

    def __post_init__(self) -> None:
        """Refuse an unknown precision and impossible numbers."""
        if not 0 <= self.remember <= 1 or self.references < 1:
            raise InvalidConfig(
                f"remember is {self.remember} and references {self.references}; expected a chance "
                "from 0 to 1, and at least one frame"
            )
        if self.precision not in ("float32", "bfloat16"):
            raise InvalidConfig(
                f"precision is {self.precision!r}; expected 'float32' or 'bfloat16'"
            )

    @property
    def steps(self) -> int:
        """Steps of the whole run."""
        return sum(stage.steps for stage in self.stages)


def read_config(path: Path) -> TrainingConfig:
    """Read a run from TOML; relative paths in it start at the file's folder.

    Raises:
        InvalidConfig: no such file, not TOML, unknown or missing keys, named with what is expected.
    """
    try:
        values = tomllib.loads(path.read_text())
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise InvalidConfig(f"{path}: cannot be read as a TOML file ({error})") from error
    for section in ("model", "data", "stages"):
        if section not in values:
            raise InvalidConfig(
                f"{path} has no section '{section}'; expected [model], [data] and [[stages]]"
            )
    values["model"] = _model(values["model"])
    values["data"] = _data(values["data"], path.parent)
    values["stages"] = tuple(_build(Stage, stage) for stage in values["stages"])
    values["losses"] = _losses(values.get("losses", "lite"))
    if values.get("start", "").endswith(".safetensors"):
        values["start"] = str(_path(values["start"], path.parent))
    if "schedule" in values:
        values["schedule"] = _build(Schedule, values["schedule"])
    if "validation" in values:
        values["validation"] = _validation(values["validation"], path.parent)
    return _build(TrainingConfig, values)


def _losses(values: str | dict[str, float]) -> LossWeights:
    if isinstance(values, dict):
        return _build(LossWeights, values)
    if values not in LOSS_PRESETS:
        raise InvalidConfig(f"no losses {values!r}; expected one of {', '.join(LOSS_PRESETS)}")
    return LOSS_PRESETS[values]


def _model(values: dict[str, Any]) -> ModelConfig:
    changes = dict(values)
    base = preset(changes.pop("preset", "hs2s-lite"))
    return ModelConfig.from_dict({**base.to_dict(), **changes})


def _data(values: dict[str, Any], folder: Path) -> DataConfig:
    values = dict(values)
    for key in ("root", "splits"):
        if key in values:
            values[key] = _path(values[key], folder)
    values["folders"] = _folders(values.get("folders", []), values.get("root", folder))
    return _build(DataConfig, values)


def _validation(values: dict[str, Any], folder: Path) -> ValidationConfig:
    folders = _folders(values.get("folders", []), folder)
    return _build(ValidationConfig, {**values, "folders": folders})


def _folders(entries: list[dict[str, Any]], base: Path) -> tuple[FolderConfig, ...]:
    return tuple(
        _build(FolderConfig, {**entry, "path": _path(entry.get("path", "."), base)})
        for entry in entries
    )


def _path(value: str, base: Path) -> Path:
    return (base / Path(value).expanduser()).resolve()


def _build(cls: type[T], values: dict[str, Any]) -> T:
    """A dataclass from a TOML table: unknown and missing keys are named."""
    known = {field.name for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    unknown = sorted(set(values) - known)
    if unknown:
        raise InvalidConfig(f"unknown settings {unknown}; expected some of {sorted(known)}")
    fixed = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
    try:
        return cls(**fixed)
    except TypeError as error:
        raise InvalidConfig(f"{cls.__name__}: {error}") from None
