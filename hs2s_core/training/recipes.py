"""The paper's training recipe for any preset, on a folder of labelled videos.

What each part is from, and what still differs, is in docs/method.md.
"""

from __future__ import annotations

from dataclasses import replace

from hs2s_core.errors import InvalidConfig, InvalidDataset
from hs2s_core.jobs.engines import cores
from hs2s_core.models.config import LiteConfig
from hs2s_core.models.presets import preset
from hs2s_core.models.pretrained import choose_backbone
from hs2s_core.training.config import DataConfig, FolderConfig, Stage, TrainingConfig
from hs2s_core.training.curriculum import Schedule
from hs2s_core.training.losses import LOSS_PRESETS
from hs2s_core.training.sources import count_objects

EPOCHS = 750
BATCH = 16
FIRST_FRAMES, MOST_FRAMES = 6, 11
"""Clips of 5 to 10 predictions after the given frame (authors' code)."""
GROW_EPOCHS = 10
LEARNING_RATE = 1e-4
MOST_WORKERS = 4
LOSSES = ("authors", "paper")


def paper_recipe(
    name: str,
    folder: FolderConfig,
    *,
    epochs: int = EPOCHS,
    batch: int = BATCH,
    schedule: str = "stable",
    losses: str = "authors",
    divisor: int = 1,
    size: tuple[int, int] | None = None,
    seed: int = 0,
    workers: int | None = None,
    pretrained_backbone: bool | str | None = None,
    precision: str = "float32",
    checkpointing: bool = False,
) -> TrainingConfig:
    """The run that makes a row of the paper's tables; docs/method.md says what is from where.

    Args:
        name: a preset.
        folder: the labelled videos to train on; all of the folder's where it names none.
        epochs: epochs of the run.
        batch: clips per step, over all processes.
        schedule: ``stable`` (the paper's words, read as a detector) or ``authors`` (fixed epochs).
        losses: ``authors`` or ``paper`` weighting; the lite networks have their own.
        divisor: divide all widths by this, for small machines.
        size: (H, W) of the clips and of the network's input; the preset's if not given.
        seed: decides initial weights and every draw.
        workers: processes that prepare clips; up to 4, and no more than cores, if not given.
        pretrained_backbone: ImageNet weights for the encoders, or a file or folder of such; on
            where published weights fit the preset, if not given.
        precision: ``float32`` or ``bfloat16``.
        checkpointing: recompute each step in the backward pass, to save memory.

    Raises:
        InvalidConfig: an unknown preset, schedule or weighting, numbers below 1, or ImageNet
            weights for an encoder that has none.
        InvalidDataset: the folder cannot be read, or shows no object in two annotated frames.
    """
    if min(epochs, batch) < 1 or (workers or 0) < 0:
        raise InvalidConfig(
            f"epochs {epochs} and batch {batch}: expected at least 1 each, and workers not below 0"
        )
    if losses not in LOSSES:
        raise InvalidConfig(f"no losses {losses!r}; expected one of {', '.join(LOSSES)}")
    model = preset(name)
    lite = isinstance(model, LiteConfig)
    if divisor > 1:
        model = preset(f"{name}/{divisor}")
    if size is not None:
        model = replace(model, input_size=size)
    backbone = choose_backbone(model, pretrained_backbone)
    objects, longest = count_objects(folder)
    if not objects:
        raise InvalidDataset(
            f"{folder.path}: no object in two annotated frames; training needs id maps of several "
            "frames per video (YouTube-VOS: its split train)"
        )
    epoch = max(1, objects // batch)
    workers = min(MOST_WORKERS, cores()) if workers is None else workers
    return TrainingConfig(
        model=model,
        data=DataConfig(folders=(folder,), augmentation="paper", objects=1, workers=workers),
        stages=(
            Stage(
                steps=epochs * epoch,
                size=model.input_size,
                frames=min(MOST_FRAMES, longest),
                clips=batch,
                frames_from=min(FIRST_FRAMES, longest),
                grow_every=GROW_EPOCHS * epoch,
            ),
        ),
        losses=LOSS_PRESETS["lite" if lite else losses],
        schedule=Schedule(schedule, steps_per_epoch=epoch),
        seed=seed,
        learning_rate=LEARNING_RATE,
        weight_decay=0.0,
        average=0.0,
        precision=precision,
        checkpointing=checkpointing,
        pretrained_backbone=backbone,
    )
