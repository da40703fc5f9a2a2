"""The paper's tables again: train each row's preset under one recipe, score, print both."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import torch

from hs2s_core.data.videos import VosVideo
from hs2s_core.errors import HS2SError, InvalidConfig, InvalidWeights
from hs2s_core.evaluation.lengths import early_late
from hs2s_core.evaluation.table import EvaluationTable
from hs2s_core.files import read_json, write_json
from hs2s_core.models.config import LiteConfig
from hs2s_core.models.costs import count_costs
from hs2s_core.models.presets import preset
from hs2s_core.models.pretrained import PUBLISHED, check_backbone, has_published_weights
from hs2s_core.propagation.baselines import copy_first, warp_with_flow
from hs2s_core.training.config import TrainingConfig
from hs2s_core.training.curve import read_log
from hs2s_core.training.loop import train
from hs2s_core.training.losses import LOSS_PRESETS
from hs2s_core.training.paper_tables import EARLY_LATE, PaperTable
from hs2s_core.training.processes import rank, wait_for_all
from hs2s_core.training.run_folder import check_run, claim
from hs2s_core.training.validation import UNGROUPED, Method, score_video, scored_whole
from hs2s_core.wording import counted

OURS = ("J", "F", "J&F")
"""Columns of ours where seen and unseen categories are not known."""
BASELINES: dict[str, Method] = {"copy-first": copy_first, "optical-flow": warp_with_flow}
"""What needs no training: the first mask held still, and moved by OpenCV's DIS flow."""


Report = Callable[[dict[str, Any]], None]
"""What is told each step's record."""


def run_ablation(
    tables: dict[str, PaperTable],
    recipe: TrainingConfig,
    videos: list[VosVideo],
    out: Path,
    *,
    divisor: int = 8,
    frames: int | None = None,
    device: torch.device | str = "cpu",
    report: Callable[[int], Report] | None = None,
) -> dict[str, dict[str, float]]:
    """Train and score every preset of ``tables`` once; scores by preset and column, in [0, 1].

    All presets share ``recipe`` as :func:`row_configs` says. Every row is checked before the first
    is trained. Rows already scored in ``out`` are kept, and runs that were interrupted go on; those
    of another recipe are refused. What needs no training, :data:`BASELINES`, is scored too.
    ``report`` makes, from a row's steps, what its steps are reported to. Under ``torchrun`` all
    processes train and score, and the first one says and writes.
    """
    configs = row_configs(tables, recipe, divisor)
    files = {name: out / name / "scores.json" for name in [*BASELINES, *configs]}
    check_rows({name: row for name, row in configs.items() if not files[name].exists()})
    for name, row in configs.items():
        check_run(out / name, row)
    first = rank() == 0
    scores: dict[str, dict[str, float]] = {}
    for name, done in files.items():
        if not done.exists():
            method = BASELINES.get(name)
            if method is None:
                row = configs[name]
                if first:
                    print(
                        f"{name}: training {counted(row.steps, 'step')}, logged in "
                        f"{done.parent}/log.jsonl"
                    )
                    claim(done.parent, row)
                shown = report(row.steps) if report is not None else None
                model = train(row, done.parent, device=device, report=shown)
                method = scored_whole(model.eval())
            found = score(method, videos, frames)
            if first:
                write_json(done, found)
        wait_for_all()
        scores[name] = _read_scores(done)
        if first:
            words = (f"{key} {100 * value:.1f}" for key, value in scores[name].items())
            print(f"{name}: {'  '.join(words)}")
    return scores


def row_configs(
    tables: dict[str, PaperTable], recipe: TrainingConfig, divisor: int
) -> dict[str, TrainingConfig]:
    """The run of every preset of ``tables``: ``recipe`` with the preset's parts.

    Seed, data, steps, sizes, losses and initialisation are the recipe's. Widths are divided by
    ``divisor`` (the lite networks keep their own, and train with their own losses). ImageNet
    weights, where the recipe has them, are for the encoders for which they exist.
    """
    configs = {}
    for name in _presets(tables):
        try:
            configs[name] = _row_config(recipe, name, divisor)
        except HS2SError as error:
            raise InvalidConfig(f"row {name}: {error}") from error
    return configs


def check_rows(configs: dict[str, TrainingConfig]) -> None:
    """Refuse, naming it, a row that cannot be trained: built and stepped without its values.

    Raises:
        InvalidConfig: a network that cannot be built, or cannot take the recipe's sizes.
        InvalidWeights: ImageNet weights that cannot be had, or do not fit.
    """
    backbones = set()
    for name, config in configs.items():
        try:
            for size in {stage.size for stage in config.stages}:
                count_costs(config.model, size, training=True)
            model = config.model
            width = None if isinstance(model, LiteConfig) else model.backbone_width
            backbone = (model.encoder, width, config.pretrained_backbone)
            if backbone not in backbones:
                check_backbone(model, config.pretrained_backbone)
                backbones.add(backbone)
        except InvalidWeights as error:
            raise InvalidWeights(f"row {name}: {error}") from error
        except (ValueError, RuntimeError) as error:  # ours, or of a layer too large for the size
            raise InvalidConfig(f"row {name} cannot be trained: {error}") from error


def stored_scores(tables: dict[str, PaperTable], out: Path) -> dict[str, dict[str, float]]:
    """Scores of the rows that :func:`run_ablation` has finished in ``out`` so far."""
    found = {name: out / name / "scores.json" for name in [*BASELINES, *_presets(tables)]}
    return {name: _read_scores(path) for name, path in found.items() if path.exists()}


def _read_scores(path: Path) -> dict[str, float]:
    return dict(read_json(path, "delete it to score the row again", HS2SError))


def score(method: Method, videos: list[VosVideo], frames: int | None = None) -> dict[str, float]:
    """Means over objects: J, F, J&F, and early (t < 10) and late (t > 20) J and F."""
    table = EvaluationTable.join([score_video(method, video, frames=frames) for video in videos])
    overall = table.summary().overall
    parts = early_late(table.rows)
    scores: dict[str, float] = {}
    if overall is not None:
        scores |= {"J": overall.j.mean, "F": overall.f.mean, "J&F": overall.jf}
    for word, segment in (("early", parts.early), ("late", parts.late)):
        if segment is not None:
            scores |= {f"J {word}": segment.j, f"F {word}": segment.f}
    return scores


def format_tables(
    tables: dict[str, PaperTable], scores: dict[str, dict[str, float]], budget: str
) -> str:
    """Markdown: each table with the paper's columns beside ours, in per cent."""
    parts = [
        "Ours: " + budget,
        f"Protocol: {UNGROUPED.description}. Early is t < 10, late t > 20 frames after the prompt.",
    ]

    def measured(name: str, columns: Iterable[str]) -> list[str]:
        found = scores.get(name, {})
        return [f"{100 * found[c]:.1f}" if c in found else "-" for c in columns]

    for table in tables.values():
        ours = EARLY_LATE if table.columns == EARLY_LATE else OURS
        header = [*(f"{c}, paper" for c in table.columns), *(f"{c}, ours" for c in ours)]
        rows = []
        for row in table.rows:
            printed = [f"{value:.1f}" for value in row.paper] or ["-"] * len(table.columns)
            rows.append([row.label, *printed, *measured(row.preset, ours)])
        parts.append(_table(table.title, header, rows))
    known = [*OURS, *EARLY_LATE]
    untrained = [[name, *measured(name, known)] for name in BASELINES]
    parts.append(_table("Without training", known, untrained))
    return "\n\n".join(parts) + "\n"


def training_minutes(out: Path, name: str) -> float | None:
    """Minutes that the training of a preset took, from its log; None without one."""
    log = out / name / "log.jsonl"
    if not log.exists():
        return None
    return float(sum(record.get("seconds", 0.0) for record in read_log(log)) / 60)


def _table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [["row", *columns], ["---"] * (1 + len(columns)), *rows]
    return "\n".join([f"### {title}", "", *("| " + " | ".join(cells) + " |" for cells in lines)])


def _presets(tables: dict[str, PaperTable]) -> list[str]:
    """Presets of all rows, each once, in order."""
    return list(dict.fromkeys(row.preset for table in tables.values() for row in table.rows))


def _row_config(recipe: TrainingConfig, name: str, divisor: int) -> TrainingConfig:
    model = preset(name)
    size = recipe.stages[-1].size
    if isinstance(model, LiteConfig):
        model = dataclasses.replace(model, input_size=size)
        return dataclasses.replace(
            recipe, model=model, losses=LOSS_PRESETS["lite"], pretrained_backbone=False
        )
    init = "fan_out" if isinstance(recipe.model, LiteConfig) else recipe.model.init
    model = dataclasses.replace(
        model.scaled(divisor), init=init, input_size=size, keep_aspect=False
    )
    # A file may be of any width, torchvision's weights are of one; either has no axial layers.
    source = recipe.pretrained_backbone
    fits = has_published_weights(model) if source is True else model.encoder in PUBLISHED
    return dataclasses.replace(recipe, model=model, pretrained_backbone=source if fits else False)
