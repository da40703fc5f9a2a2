"""The paper's training recipe for any preset, on a folder of labelled videos."""

from __future__ import annotations

from pathlib import Path

from hs2s_core.config import preset
from hs2s_core.data.folders import open_folder
from hs2s_core.errors import InvalidConfig
from hs2s_core.training.config import DataConfig, FolderConfig, Stage, TrainingConfig
from hs2s_core.training.curriculum import Schedule
from hs2s_core.training.losses import LOSS_PRESETS

EPOCHS = 750
BATCH = 16
FIRST_FRAMES, MOST_FRAMES = 6, 11
"""Clips of 5 to 10 predictions after the given frame (authors' code)."""
GROW_EPOCHS = 10
LEARNING_RATE = 1e-4


def paper_recipe(
    name: str,
    data: Path,
    *,
    split: str | None = "train",
    epochs: int = EPOCHS,
    batch: int = BATCH,
    schedule: str = "stable",
    losses: str = "authors",
    divisor: int = 1,
    size: tuple[int, int] | None = None,
    seed: int = 0,
    workers: int = 4,
    pretrained_backbone: bool | str = True,
    precision: str = "float32",
) -> TrainingConfig:
    """The run that makes a row of the paper's tables (method: paper section 4.1).

    Batches of 16 clips of one object each, Adam at 1e-4, 750 epochs, clips that grow from 5 to 10
    predictions, one affine augmentation a clip. An epoch is one clip per video.

    Args:
        name: a preset.
        data: a YouTube-VOS, DAVIS or plain folder.
        split: its split; ``None`` for a folder without splits.
        epochs: epochs of the run.
        batch: clips per step, over all processes.
        schedule: ``stable`` (the paper's words, read as a detector) or ``authors`` (fixed epochs).
        losses: ``authors`` or ``paper`` weighting.
        divisor: divide all widths by this, for small machines.
        size: (H, W) of the clips; the preset's input size if not given.
        seed: decides initial weights and every draw.
        workers: processes that prepare clips.
        pretrained_backbone: ImageNet weights for the encoders, or a file of such.
        precision: ``float32`` or ``bfloat16``.

    Raises:
        InvalidConfig: an unknown preset, schedule or weighting, or numbers below 1.
        InvalidDataset: the folder cannot be read.
    """
    if min(epochs, batch) < 1:
        raise InvalidConfig(f"epochs {epochs} and batch {batch}: expected at least 1 each")
    if losses not in LOSS_PRESETS:
        raise InvalidConfig(f"no losses {losses!r}; expected one of {', '.join(LOSS_PRESETS)}")
    model = preset(name)
    lite = model.system == "lite"
    if divisor > 1:
        model = model.scaled(divisor)
    folder = open_folder(data, split)
    epoch = max(1, len(folder) // batch)
    return TrainingConfig(
        model=model,
        data=DataConfig(
            folders=(FolderConfig(data, split),),
            augmentation="paper",
            objects=1,
            workers=workers,
        ),
        stages=(
            Stage(
                steps=epochs * epoch,
                size=size or model.input_size,
                frames=MOST_FRAMES,
                clips=batch,
                frames_from=FIRST_FRAMES,
                grow_every=GROW_EPOCHS * epoch,
            ),
        ),
        losses=LOSS_PRESETS["lite" if lite else losses],
        schedule=Schedule(schedule, steps_per_epoch=epoch, sampling_top=0.5),
        seed=seed,
        learning_rate=LEARNING_RATE,
        weight_decay=0.0,
        precision=precision,
        pretrained_backbone=False if lite or divisor > 1 else pretrained_backbone,
    )
