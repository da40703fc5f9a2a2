"""A training run as data: frozen dataclasses, and what their checks say.

docs/training.md lists all settings; that table is made from these classes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from hs2s_core.checked.settings import Checked, setting
from hs2s_core.errors import InvalidConfig
from hs2s_core.models.config import ModelConfig
from hs2s_core.training.curriculum import SAMPLING_EPOCH, Schedule
from hs2s_core.training.losses import LossWeights

LEAST_SIDE = 64
"""Pixels; fewer leave the coarsest maps of the networks hardly a cell."""


@dataclass(frozen=True)
class Stage(Checked):
    """A stretch of steps with one clip size; runs grow from stage to stage."""

    steps: int = setting(least=1)
    """Steps of this stage."""
    size: tuple[int, int] = setting(least=LEAST_SIDE)
    """Height and width of the clips; multiples of the model's stride (32, lite: 16) are best."""
    frames: int = setting(least=2)
    """Frames per clip at the most, the given first one included."""
    clips: int = setting(least=1)
    """Clips per step, over all processes."""
    frames_from: int | None = setting(None, least=2)
    """If set, a step's length is drawn uniformly from here to a limit that starts here too..."""
    grow_every: int = setting(0, least=0)
    """... and rises by one every so many steps, up to ``frames``; 0: it is ``frames`` at once."""

    def __post_init__(self) -> None:
        """Besides the fields' own limits: a clip grows, it does not shrink."""
        super().__post_init__()
        if self.frames_from is not None and self.frames_from > self.frames:
            raise InvalidConfig(
                f"frames_from is {self.frames_from}; expected at most frames, {self.frames}"
            )

    def length(self, step: int, rng: np.random.Generator) -> int:
        """Frames of the clips at ``step`` of this stage."""
        if self.frames_from is None:
            return self.frames
        grown = self.frames_from + step // self.grow_every if self.grow_every else self.frames
        return int(rng.integers(self.frames_from, min(self.frames, grown) + 1))


@dataclass(frozen=True)
class FolderConfig(Checked):
    """A YouTube-VOS, DAVIS or plain folder of labelled videos."""

    path: Path
    """The folder."""
    split: str | None = None
    """Its split; without it, all videos of a folder that has none."""
    share: float = setting(1.0, least=0)
    """Share of the real clips, beside the other folders'."""
    names: tuple[str, ...] = ()
    """Videos to take; all if empty."""


@dataclass(frozen=True)
class DataConfig(Checked):
    """Where clips come from: stills (synthetic clips) and labelled videos."""

    root: Path | None = None
    """Folder of the ``stills`` sets; all other paths of data start here. ``--root`` sets it."""
    splits: Path | None = None
    """JSON with ``train_stills`` and ``train_video``: set -> names. Without it, all."""
    stills: tuple[str, ...] = ()
    """Sets of stills: folders of ``root`` with ``images`` and ``masks``."""
    folders: tuple[FolderConfig, ...] = ()
    """Folders of labelled videos."""
    real: float = setting(1.0, least=0, most=1)
    """Share of real clips among all, where there are stills too."""
    augmentation: str = setting("crop", choices=("crop", "paper"))
    """``crop``: one crop and turn a clip. ``paper``: the authors' ranges, one object a clip."""
    objects: int = setting(2, least=1)
    """Objects per clip at the most."""
    workers: int = setting(1, least=0)
    """Processes that prepare clips; 0: the training process does."""
    cache: int = setting(600, least=0)
    """Decoded stills kept in memory, per worker."""


@dataclass(frozen=True)
class ValidationConfig(Checked):
    """Periodic J&F on labelled videos, which are not trained on; the best model is kept apart."""

    folders: tuple[FolderConfig, ...] = ()
    """Folders of videos to score on; those of a training folder are no longer trained on."""
    hold_out: int = setting(0, least=0)
    """So many videos of each training folder, chosen by a hash of their names, are scored too."""
    every: int = setting(500, least=1)
    """Steps between two validations."""
    frames: int = setting(60, least=2)
    """First frames of each video that are scored."""

    def __post_init__(self) -> None:
        """Besides the fields' own limits: there is something to score on."""
        super().__post_init__()
        if not self.folders and not self.hold_out:
            raise InvalidConfig("there are no videos to score on; expected folders or hold_out")


@dataclass(frozen=True)
class Unrolling(Checked):
    """How a network goes through a clip that it learns from."""

    precision: str = setting("float32", choices=("float32", "bfloat16"))
    """``bfloat16`` runs the network under autocast; losses stay in float32."""
    checkpointing: bool = False
    """Recompute each step in the backward pass: less memory, a third more time."""
    detach: bool = False
    """Cut the gradient at fed-back masks; the authors' code lets it through."""
    chunk: int = setting(0, least=0)
    """Frames that a bidirectional network reads ahead at once, as in propagation; 0: all."""
    remember: float = setting(0.0, least=0, most=1)
    """Chance, per step, that its frame joins those that later ones are compared with."""
    references: int = setting(3, least=1)
    """Frames, the first one included, that are compared with at the most while training."""


@dataclass(frozen=True, kw_only=True)
class TrainingConfig(Unrolling):
    """Everything that decides a run; equal configs and seeds give equal weights."""

    model: ModelConfig
    """The network: a ``preset``, and what differs from it."""
    data: DataConfig
    """What is trained on."""
    stages: tuple[Stage, ...]
    """What is done, one after the other."""
    losses: LossWeights
    """Weights of the loss's terms, or the name of a weighting: ``lite``, ``authors``, ``paper``."""
    schedule: Schedule = field(default_factory=Schedule)
    """What changes during the run."""
    validation: ValidationConfig | None = None
    """What the best model is chosen by; without it the last one is used."""
    seed: int = setting(0, least=0, most=2**63 - 1)
    """Decides initial weights and every draw."""
    learning_rate: float = setting(1e-3, above=0, most=1000)
    """Of AdamW, at its highest."""
    weight_decay: float = setting(1e-4, least=0)
    """Of AdamW."""
    clip_norm: float = setting(10.0, above=0)
    """Longest gradient; longer ones are shortened to it."""
    average: float = setting(0.999, least=0, most=1)
    """Decay of the moving average of the weights, which is what is used; 0: no average."""
    pretrained_backbone: bool | str = False
    """ImageNet start of the encoders: true (the published weights), or a state-dict file."""
    backbone_rate: float = setting(1.0, least=0)
    """Learning rate of the lite trunk's ImageNet layers, as a fraction of the others'."""
    freeze_backbone: bool = False
    """Batch norms of the lite trunk's ImageNet layers keep their statistics."""
    start: str | None = None
    """Weights to start from instead of random ones: a file, or ``hs2s-lite`` for the bundled."""
    checkpoint_minutes: float = setting(10.0, least=0)
    """Minutes between two checkpoints; one is also made when the run ends or is stopped."""

    def __post_init__(self) -> None:
        """Besides the fields' own limits: something is done, and the schedule does something."""
        super().__post_init__()
        if not self.stages:
            raise InvalidConfig("stages is empty; expected at least one")
        epochs = self.steps // self.schedule.epoch
        if self.schedule.kind == "authors" and epochs <= SAMPLING_EPOCH:
            raise InvalidConfig(
                f"schedule 'authors' changes nothing before epoch {SAMPLING_EPOCH} and the run has "
                f"{epochs}; take more epochs (the authors' run has 750), or kind 'stable'"
            )
        if not self.losses.of_masks(self.model):
            raise InvalidConfig(
                "none of the losses is one of the masks that this network makes, so nothing would "
                "be learned; set losses.bce, or another of masks, above 0"
            )

    @property
    def steps(self) -> int:
        """Steps of the whole run."""
        return sum(stage.steps for stage in self.stages)
