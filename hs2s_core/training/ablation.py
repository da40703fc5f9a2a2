"""The paper's tables again: train each row's preset under one recipe, score, print both."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from hs2s_core.config import preset
from hs2s_core.data.videos import VosVideo
from hs2s_core.evaluation.lengths import early_late
from hs2s_core.evaluation.methods import UNGROUPED, Method, score_video
from hs2s_core.evaluation.table import EvaluationTable
from hs2s_core.propagation import propagate
from hs2s_core.propagation.baselines import copy_first, warp_with_flow
from hs2s_core.training.config import TrainingConfig
from hs2s_core.training.loop import train
from hs2s_core.training.losses import LOSS_PRESETS
from hs2s_core.training.paper_tables import EARLY_LATE, PaperTable

OURS = ("J", "F", "J&F")
"""Columns of ours where seen and unseen categories are not known."""
BASELINES: dict[str, Method] = {"copy-first": copy_first, "optical-flow": warp_with_flow}
"""What needs no training: the first mask held still, and moved by OpenCV's DIS flow."""


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

    All presets share ``recipe`` but for the model's parts: seed, data, steps, sizes, losses, random
    start. Widths are divided by ``divisor`` (the lite networks keep their own, and train with
    their own losses). Rows already scored in ``out`` are kept, and runs that were interrupted go
    on. What needs no training, :data:`BASELINES`, is scored too.
    """
    scores: dict[str, dict[str, float]] = {}
    for name in [*BASELINES, *_presets(tables)]:
        done = out / name / "scores.json"
        if not done.exists():
            method = BASELINES.get(name)
            if method is None:
                say(f"{name}: training {recipe.steps} steps")
                model = train(_row_config(recipe, name, divisor), done.parent, device=device)
                method = partial(propagate, model.eval())
            found = score(method, videos, frames)
            done.parent.mkdir(parents=True, exist_ok=True)
            done.write_text(json.dumps(found, indent=2) + "\n")
        scores[name] = json.loads(done.read_text())
        say(f"{name}: {_words(scores[name])}")
    return scores


def stored_scores(tables: dict[str, PaperTable], out: Path) -> dict[str, dict[str, float]]:
    """Scores of the rows that :func:`run_ablation` has finished in ``out`` so far."""
    found = {name: out / name / "scores.json" for name in [*BASELINES, *_presets(tables)]}
    return {name: json.loads(path.read_text()) for name, path in found.items() if path.exists()}


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
    known = [*OURS, *EARLY_LATE]
    lines = ["### Without training", "", _row(["row", *known]), _row(["---"] * (1 + len(known)))]
    for name in BASELINES:
        found = scores.get(name, {})
        lines.append(_row([name, *(f"{100 * found[c]:.1f}" if c in found else "-" for c in known)]))
    parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def training_minutes(out: Path, name: str) -> float | None:
    """Minutes that the training of a preset took, from its log; None without one."""
    log = out / name / "log.jsonl"
    if not log.exists():
        return None
    return sum(float(json.loads(line)["seconds"]) for line in log.read_text().splitlines()) / 60


def _words(scores: dict[str, float]) -> str:
    return "  ".join(f"{key} {100 * value:.1f}" for key, value in scores.items())


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _presets(tables: dict[str, PaperTable]) -> list[str]:
    """Presets of all rows, each once, in order."""
    names = [row.preset for table in tables.values() for row in table.rows if row.preset]
    return list(dict.fromkeys(names))


def _row_config(recipe: TrainingConfig, name: str, divisor: int) -> TrainingConfig:
    model = preset(name)
    size = recipe.stages[-1].size
    if model.system == "lite":
        model = dataclasses.replace(model, input_size=size)
        return dataclasses.replace(recipe, model=model, losses=LOSS_PRESETS["lite"])
    model = dataclasses.replace(
        model.scaled(divisor), init=recipe.model.init, input_size=size, keep_aspect=False
    )
    return dataclasses.replace(recipe, model=model)
