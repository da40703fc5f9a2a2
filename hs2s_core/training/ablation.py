"""The paper's tables again: train each row's preset under one recipe, score, print both."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from hs2s_core.config import preset
from hs2s_core.data.videos import VosVideo
from hs2s_core.evaluation.lengths import early_late
from hs2s_core.evaluation.methods import UNGROUPED, score_video
from hs2s_core.evaluation.table import EvaluationTable
from hs2s_core.models.base import VideoSegmenter
from hs2s_core.propagation import propagate
from hs2s_core.training.config import TrainingConfig
from hs2s_core.training.loop import train
from hs2s_core.training.losses import LOSS_PRESETS
from hs2s_core.training.paper_tables import EARLY_LATE, PaperTable

OURS = ("J", "F", "J&F")
"""Columns of ours where seen and unseen categories are not known."""


def run_ablation(
    tables: dict[str, PaperTable],
    recipe: TrainingConfig,
    videos: list[VosVideo],
    out: Path,
    *,
    divisor: int = 8,
    frames: int | None = None,
    device: torch.device | str = "cpu",
    say: Callable[[str], object] = print,
) -> dict[str, dict[str, float]]:
    """Train and score every preset of ``tables`` once; scores by preset and column, in [0, 1].

    All presets share ``recipe`` but for the model: seed, data, steps, sizes, losses. Widths are
    divided by ``divisor`` (HS2S-lite keeps its own). Rows already scored in ``out`` are kept, and
    runs that were interrupted go on.
    """
    scores: dict[str, dict[str, float]] = {}
    for name in _presets(tables):
        folder = out / name
        done = folder / "scores.json"
        if not done.exists():
            say(f"{name}: training {recipe.steps} steps")
            model = train(_row_config(recipe, name, divisor), folder, device=device)
            folder.mkdir(parents=True, exist_ok=True)
            done.write_text(json.dumps(score(model, videos, frames), indent=2) + "\n")
        scores[name] = json.loads(done.read_text())
        say(f"{name}: " + "  ".join(f"{k} {100 * v:.1f}" for k, v in scores[name].items()))
    return scores


def score(
    model: VideoSegmenter, videos: list[VosVideo], frames: int | None = None
) -> dict[str, float]:
    """Means over objects: J, F, J&F, and early (t < 10) and late (t > 20) J and F."""
    tables = [
        score_video(partial(propagate, model.eval()), video, frames=frames) for video in videos
    ]
    table = EvaluationTable.join(tables)
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
    for table in tables.values():
        ours = EARLY_LATE if table.columns == EARLY_LATE else OURS
        header = ["row", *(f"{c}, paper" for c in table.columns), *(f"{c}, ours" for c in ours)]
        lines = [f"### {table.title}", "", _row(header), _row(["---"] * len(header))]
        for row in table.rows:
            printed = [f"{value:.1f}" for value in row.paper] or ["-"] * len(table.columns)
            found = scores.get(row.preset or "", {})
            measured = [f"{100 * found[c]:.1f}" if c in found else "-" for c in ours]
            lines.append(_row([row.label, *printed, *measured]))
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _presets(tables: dict[str, PaperTable]) -> list[str]:
    """Presets of all rows, each once, in order."""
    names = [row.preset for table in tables.values() for row in table.rows if row.preset]
    return list(dict.fromkeys(names))


def _row_config(recipe: TrainingConfig, name: str, divisor: int) -> TrainingConfig:
    model = preset(name)
    changes: dict[str, Any] = {"model": model}
    if model.system == "lite":
        changes["losses"] = LOSS_PRESETS["lite"]
    else:
        sizes: dict[str, Any] = {"input_size": recipe.stages[-1].size, "keep_aspect": False}
        changes["model"] = dataclasses.replace(model.scaled(divisor), **sizes)
    return dataclasses.replace(recipe, **changes)
