"""``hs2s ablate``: train the presets of the paper's tables and print both side by side."""

from __future__ import annotations

import argparse
import dataclasses
from functools import partial
from typing import TYPE_CHECKING

from hs2s_core.commands import options
from hs2s_core.errors import InvalidConfig
from hs2s_core.files import write_json
from hs2s_core.jobs.meters import StepMeter
from hs2s_core.wording import counted

if TYPE_CHECKING:
    from hs2s_core.data.videos import VosVideo
    from hs2s_core.training.config import TrainingConfig

PAGE = "ablation.md"
EXAMPLES = (
    "hs2s ablate --tables 4 --data YouTube-VOS/ --out runs/ablation",
    "hs2s ablate --tables 1 2a --config configs/example.toml --divisor 4 --out runs/small",
    "hs2s ablate --config configs/example.toml --root DATA/ --out runs/small --report",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    source = parser.add_mutually_exclusive_group(required=True)
    options.add_path(
        source,
        "--data",
        "FOLDER",
        f"{options.DATA_HELP}: the paper's recipe on its training split, scored on the videos "
        "longer than 20 frames that a fixed hash holds out of it",
    )
    text = "a run whose recipe all presets share; scored on its [validation] videos"
    options.add_path(source, "--config", "FILE.toml", text)
    options.add_path(parser, "--out", "DIR", "folder of the rows' runs", required=True)
    parser.add_argument(
        "--tables", nargs="+", default=["1", "2a", "2b", "3", "4", "5"], metavar="TABLE"
    )
    text = "only the rows that these presets make (default: all of the tables)"
    parser.add_argument("--rows", nargs="+", default=[], metavar="PRESET", help=text)
    options.add_count(parser, "--divisor", "divide all widths by this", default=1)
    options.add_count(parser, "--frames", "score the first so many frames of each video")
    options.add_count(parser, "--seed", "decides initial weights and every draw", default=0)
    options.add_switch(parser, "--report", "train nothing: print the rows that are done so far")
    options.add_run_options(parser)
    options.add_recipe_options(parser, "--data")


def run(args: argparse.Namespace) -> int:
    """Train what is not trained yet, score, and write ``tables.md`` in the output folder."""
    import torch

    from hs2s_core.devices import pick_device
    from hs2s_core.training.ablation import format_tables, row_configs, run_ablation, stored_scores
    from hs2s_core.training.paper_tables import find_tables
    from hs2s_core.training.processes import process_group, rank

    # Numbers too small to matter slow a CPU down several times.
    torch.set_flush_denormal(True)
    tables = find_tables(args.tables, args.rows)
    recipe, videos = _from_config(args) if args.config else _from_data(args)
    with process_group(pick_device(args.device)) as device:
        if rank() == 0:
            write_json(args.out / "validation.json", [video.name for video in videos])
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
                report=partial(StepMeter, quiet=args.quiet),
            )
        if rank() == 0:
            rows = row_configs(tables, recipe, args.divisor)
            budget = _budget(args, recipe, rows, list(scores))
            scored = f"{budget} Scored on {counted(len(videos), 'video')} on {device}."
            text = format_tables(tables, scores, scored)
            (args.out / "tables.md").write_text(text)
            print(text)
    return 0


def _budget(
    args: argparse.Namespace,
    recipe: TrainingConfig,
    rows: dict[str, TrainingConfig],
    names: list[str],
) -> str:
    """What the rows cost and share, in words."""
    from hs2s_core.training.ablation import training_minutes

    last = recipe.stages[-1]
    budget = (
        f"{counted(recipe.steps, 'step')} of {counted(last.clips, 'clip')} of "
        f"{counted(last.frames, 'frame')} at "
        f"{last.size[0]}x{last.size[1]}, widths divided by {args.divisor}, seed {recipe.seed}, "
        "one recipe for all rows."
    )
    started = [name for name, row in rows.items() if row.pretrained_backbone]
    random = [name for name in rows if name not in started]
    if started:
        budget += " Encoders start from ImageNet"
        budget += f", but for {', '.join(random)}." if random else "."
    taken = [training_minutes(args.out, name) for name in names]
    minutes = [value for value in taken if value is not None]
    if minutes:
        budget += f" Training took {min(minutes):.1f} to {max(minutes):.1f} min per row."
    return budget


def _from_config(args: argparse.Namespace) -> tuple[TrainingConfig, list[VosVideo]]:
    from hs2s_core.training.run_file import read_config
    from hs2s_core.training.sources import set_apart
    from hs2s_core.training.validation import Validation

    options.refuse_recipe_options(args, "--data")
    recipe = read_config(args.config, root=args.root, changes=args.set)
    if recipe.validation is None:
        raise InvalidConfig(
            f"{args.config} has no [validation] section; expected the folders to score on"
        )
    data, scored = set_apart(recipe.data, recipe.validation)
    assert scored is not None
    videos = Validation(scored, data).videos
    return dataclasses.replace(recipe, data=data, validation=None, seed=args.seed), videos


def _from_data(args: argparse.Namespace) -> tuple[TrainingConfig, list[VosVideo]]:
    from hs2s_core.training.recipes import paper_recipe
    from hs2s_core.training.run_file import change_config
    from hs2s_core.training.sources import folder_videos, hold_out_of

    folder, held = hold_out_of(options.training_folder(args.data, args.split))
    recipe = paper_recipe(
        "hs2s", folder, divisor=args.divisor, seed=args.seed, **options.recipe_settings(args)
    )
    if args.root is not None:
        raise InvalidConfig("--root is for --config; with --data, that names the folder")
    recipe = change_config(recipe, args.set) if args.set else recipe
    print(
        f"training on {options.describe_folder(folder)}; scored on {len(held.names)} others of it"
    )
    return recipe, folder_videos(held)
