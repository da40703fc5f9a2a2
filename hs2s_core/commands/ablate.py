"""``hs2s ablate``: train the presets of the paper's tables and print both side by side."""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING

from hs2s_core.errors import InvalidConfig

if TYPE_CHECKING:
    from hs2s_core.data.videos import VosVideo
    from hs2s_core.training.config import TrainingConfig


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``hs2s ablate``."""
    parser.add_argument(
        "--tables", nargs="+", default=["1", "2a", "2b", "3", "4", "5"], metavar="TABLE"
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--data",
        type=Path,
        metavar="FOLDER",
        help="YouTube-VOS, DAVIS or plain folder: the paper's recipe on its training split, scored "
        "on the videos longer than 20 frames that a fixed hash holds out of it",
    )
    source.add_argument(
        "--config",
        type=Path,
        metavar="FILE.toml",
        help="a run whose recipe all presets share; scored on its [validation] videos",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--split", default="train", help="split of --data (default: train)")
    parser.add_argument("--epochs", type=int, default=750, help="epochs with --data")
    parser.add_argument("--batch", type=int, default=16, help="clips per step with --data")
    parser.add_argument("--divisor", type=int, default=1, help="divide all widths by this")
    parser.add_argument(
        "--size", type=int, nargs=2, metavar=("H", "W"), help="size of the clips with --data"
    )
    parser.add_argument("--frames", type=int, help="score the first so many frames of each video")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--report", action="store_true", help="train nothing: print the rows that are done so far"
    )
    parser.add_argument("--device", default="auto")


def run(args: argparse.Namespace) -> int:
    """Train what is not trained yet, score, and write ``tables.md`` in the output folder."""
    import torch

    from hs2s_core.devices import pick_device
    from hs2s_core.training.ablation import (
        format_tables,
        run_ablation,
        stored_scores,
        training_minutes,
    )
    from hs2s_core.training.paper_tables import find_tables

    # Numbers too small to matter slow a CPU down several times.
    torch.set_flush_denormal(True)
    tables = find_tables(args.tables)
    device = pick_device(args.device)
    recipe, videos = _from_config(args) if args.config else _from_data(args)
    args.out.mkdir(parents=True, exist_ok=True)
    names = [video.name for video in videos]
    (args.out / "validation.json").write_text(json.dumps(names, indent=2) + "\n")
    if args.report:
        scores = stored_scores(tables, args.out)
    else:
        scores = run_ablation(
            tables,
            recipe,
            videos,
            args.out,
            divisor=args.divisor,
            frames=args.frames,
            device=device,
        )
    last = recipe.stages[-1]
    budget = (
        f"{recipe.steps} steps of {last.clips} clips of {last.frames} frames at "
        f"{last.size[0]}x{last.size[1]}, widths divided by {args.divisor}, seed {recipe.seed}, "
        f"one recipe for all rows, scored on {len(videos)} videos on {device}."
    )
    taken = [training_minutes(args.out, name) for name in scores]
    minutes = [value for value in taken if value is not None]
    if minutes:
        budget += f" Training took {min(minutes):.1f} to {max(minutes):.1f} min per row."
    text = format_tables(tables, scores, budget)
    (args.out / "tables.md").write_text(text)
    print(text)
    return 0


def _from_config(args: argparse.Namespace) -> tuple[TrainingConfig, list[VosVideo]]:
    from hs2s_core.training.config import read_config
    from hs2s_core.training.validation import Validation

    recipe = read_config(args.config)
    if recipe.validation is None:
        raise InvalidConfig(
            f"{args.config} has no [validation] section; expected the folders to score on"
        )
    videos = Validation(recipe.validation, recipe.data).videos
    return dataclasses.replace(recipe, validation=None, seed=args.seed), videos


def _from_data(args: argparse.Namespace) -> tuple[TrainingConfig, list[VosVideo]]:
    from hs2s_core.data.folders import open_folder
    from hs2s_core.data.holdout import hold_out
    from hs2s_core.training.recipes import paper_recipe

    folder = open_folder(args.data, args.split)
    everything = list(folder)
    held = set(hold_out(everything))
    videos = [video for video in everything if video.name in held]
    if not videos:
        raise InvalidConfig(
            f"{args.data}: no video is held out; a tenth of those with more than 20 annotated "
            "frames would be. Use --config with a [validation] section instead"
        )
    recipe = paper_recipe(
        "hs2s",
        args.data,
        split=args.split,
        epochs=args.epochs,
        batch=args.batch,
        divisor=args.divisor,
        size=tuple(args.size) if args.size else None,
        seed=args.seed,
    )
    kept = tuple(video.name for video in everything if video.name not in held)
    (source,) = recipe.data.folders
    data = dataclasses.replace(recipe.data, folders=(dataclasses.replace(source, names=kept),))
    return dataclasses.replace(recipe, data=data), videos
