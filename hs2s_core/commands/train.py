"""``hs2s train``: a training run from its TOML file to a weights file; repeat it to go on."""

from __future__ import annotations

import argparse
import dataclasses
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hs2s_core.commands import options
from hs2s_core.errors import InvalidConfig
from hs2s_core.extensions import LABELS, extensions
from hs2s_core.wording import counted, some

if TYPE_CHECKING:
    import torch

    from hs2s_core.training.config import FolderConfig, TrainingConfig

VALIDATE_EVERY = 10
"""Epochs between two validations of the paper's recipe."""

_OF_PRESET = ("data", "seed", "validation", "validate_every")
_OF_RUNS = ("out", "half", "tensorboard", "set", "print_config", "root")
_MOST_NAMES = 20
"""Videos that a card names one by one."""

EXAMPLES = (
    "hs2s train --config configs/example.toml --root DATA/ --out runs/mine",
    "hs2s train --config configs/example.toml --root DATA/ --set stages.0.steps=100 --print-config",
    "hs2s train --preset hs2s --data YouTube-VOS/ --validation --out runs/hs2s",
    "hs2s train --from-fiftyone mine --field corrected --name mine",
)
PAGE = "training.md"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    source = parser.add_mutually_exclusive_group(required=True)
    options.add_path(source, "--config", "FILE.toml", "the run, as data")
    source.add_argument(
        "--preset", metavar="NAME", help="the paper's recipe for this preset; needs --data"
    )
    for entry in extensions(LABELS).values():
        entry.load().add_arguments(parser, source)
    text = "folder of the run: log.jsonl, last.pt and the weights (default: runs/<name>)"
    options.add_path(parser, "--out", "DIR", text)
    options.add_switch(parser, "--half", "store the weights as float16: half the size")
    options.add_switch(parser, "--tensorboard", "also log for TensorBoard (extra: tensorboard)")
    text = "print the run as TOML, to be edited and given with --config, and train nothing"
    options.add_switch(parser, "--print-config", text)
    options.add_run_options(parser)
    options.add_path(parser, "--data", "FOLDER", f"with --preset: {options.DATA_HELP}")
    options.add_recipe_options(parser, "--preset")
    options.add_count(parser, "--seed", "with --preset (default: 0)")
    parser.add_argument(
        "--validation",
        nargs="*",
        metavar="SPLIT|NUMBER|VIDEO",
        help="with --preset: keep the model with the best J&F on this split of --data, on so many "
        "of the training videos, on those of these names or, if nothing is named, on a tenth of "
        "the long ones; what is scored on is not trained on",
    )
    parser.add_argument(
        "--validate-every", type=int, metavar="EPOCHS", help="with --validation (default: 10)"
    )


def run(args: argparse.Namespace) -> int:
    """Train to the end, or go on from the last checkpoint, and write the model to use.

    Under ``torchrun`` every process trains its share of each batch, and the first one writes.
    """
    for entry in extensions(LABELS).values():
        module = entry.load()
        if getattr(args, module.SOURCE) is not None:
            names = (*options.RECIPE_OPTIONS, *_OF_PRESET, *_OF_RUNS)
            options.refuse_options(args, names, "expected with --config or --preset only")
            return int(module.run(args))
        option = f"--{module.SOURCE.replace('_', '-')}"
        options.refuse_options(args, module.OPTIONS, f"expected with {option} only")

    import torch

    from hs2s_core.devices import pick_device
    from hs2s_core.jobs.meters import reporting
    from hs2s_core.models.pretrained import check_backbone
    from hs2s_core.training.loop import train
    from hs2s_core.training.processes import process_group, rank
    from hs2s_core.training.run_file import write_config
    from hs2s_core.training.run_folder import claim
    from hs2s_core.weights import save_weights

    name = (args.preset or args.config.stem).replace("/", "-")
    config = _from_preset(args) if args.preset else _from_file(args)
    if args.print_config:
        print(write_config(config), end="")
        return 0
    out = args.out or Path("runs", name)
    with process_group(pick_device(args.device)) as device:
        main = rank() == 0
        if not (out / "last.pt").exists():
            check_backbone(config.model, config.pretrained_backbone)
        if main:
            state = "going on" if claim(out, config) else "starting"
            print(
                f"{state}: {counted(config.steps, 'step')} on {device}; each is a line of "
                f"{out}/log.jsonl"
            )
            print(_describe_data(config))
        started = time.perf_counter()
        events = out if args.tensorboard and main else None
        with reporting(config.steps, events, quiet=args.quiet) as report:
            model = train(config, out, device=device, report=report if main else None)
        if main:
            print(f"trained for {(time.perf_counter() - started) / 60:.1f} min")
            path = out / f"{name}.safetensors"
            save_weights(
                model, path, _card(name, config, device), torch.float16 if args.half else None
            )
            print(f"use it: hs2s propagate SOURCE MASKS OUT --weights {path}")
    return 0


def _from_preset(args: argparse.Namespace) -> TrainingConfig:
    from hs2s_core.training.recipes import paper_recipe
    from hs2s_core.training.run_file import change_config

    if args.data is None:
        raise InvalidConfig("--preset needs --data FOLDER, the labelled videos to train on")
    if args.root is not None:
        raise InvalidConfig("--root is for --config; with --preset, --data names the folder")
    folder = options.training_folder(args.data, args.split)
    validated = None
    if args.validation is not None:
        folder, validated = _validation_folders(folder, args.validation)
    elif args.validate_every is not None:
        raise InvalidConfig("--validate-every needs --validation, the videos to score on")
    config = paper_recipe(args.preset, folder, seed=args.seed or 0, **options.recipe_settings(args))
    if validated is not None:
        every = VALIDATE_EVERY if args.validate_every is None else args.validate_every
        config = _with_validation(config, validated, every)
    return change_config(config, args.set) if args.set else config


def _validation_folders(
    folder: FolderConfig, words: list[str]
) -> tuple[FolderConfig, FolderConfig]:
    """Videos to train on and videos to score on, none in both.

    ``words`` are names of videos, a split, a number of videos, or nothing.
    """
    from hs2s_core.training.sources import folder_videos, hold_out_of, take

    names = [video.name for video in folder_videos(folder)]
    if not words:
        return hold_out_of(folder)
    if set(words) <= set(names):
        left = [name for name in names if name not in words]
        if not left:
            raise InvalidConfig("--validation names all videos, so none is left to train on")
        return take(folder, left), take(folder, words)
    if len(words) > 1:
        strange = some(sorted(set(words) - set(names)))
        raise InvalidConfig(f"--validation: no training videos {strange}; found {some(names)}")
    if words[0].isdecimal():
        return hold_out_of(folder, int(words[0]))
    validated = dataclasses.replace(folder, split=words[0])
    shared = sorted(set(names) & {video.name for video in folder_videos(validated)})
    if shared:
        raise InvalidConfig(
            f"--validation {words[0]}: shares {counted(len(shared), 'video')} with the training "
            f"({some(shared)}); name another split, videos, or how many to hold out"
        )
    return folder, validated


def _with_validation(config: TrainingConfig, folder: FolderConfig, every: int) -> TrainingConfig:
    from hs2s_core.training.config import ValidationConfig
    from hs2s_core.training.sources import folder_videos

    if every < 1:
        raise InvalidConfig(f"--validate-every {every}: expected at least 1 epoch")
    videos = folder_videos(folder)
    if not any(len(video.annotated) >= 2 for video in videos):
        raise InvalidConfig(
            f"{folder.path}, split {folder.split}: no video has two annotated frames, so none can "
            "be scored; use --validation without a split, which holds training videos out"
        )
    steps = every * config.schedule.epoch
    return dataclasses.replace(config, validation=ValidationConfig((folder,), every=steps))


def _describe_data(config: TrainingConfig) -> str:
    """What a run is trained and scored on, in words."""
    from hs2s_core.training.sources import named_splits, set_apart

    data, scored = set_apart(config.data, config.validation)
    splits = named_splits(data)
    shared = [folder for folder in data.folders if folder.share and data.real]
    parts = []
    if data.stills and (data.real < 1 or not shared):
        parts.append(f"stills of {', '.join(data.stills)}")
    parts += [options.describe_folder(folder, splits.get("train_video")) for folder in shared]
    text = f"training on {'; '.join(parts) or 'nothing'}"
    if data.stills and data.real == 1 and shared:
        text += "; not on stills, as data.real is 1"
    if config.schedule.steps_per_epoch is not None:
        text += f"; {counted(config.schedule.steps_per_epoch, 'step')} an epoch"
    if scored is not None:
        folders = [
            options.describe_folder(folder, splits.get("dev_video")) for folder in scored.folders
        ]
        text += f"\nscored on {'; '.join(folders)}, every {counted(scored.every, 'step')}"
    return text


def _from_file(args: argparse.Namespace) -> TrainingConfig:
    from hs2s_core.training.run_file import read_config

    options.refuse_recipe_options(args, "--preset", *_OF_PRESET)
    if not args.config.is_file():
        raise InvalidConfig(
            f"{args.config}: no such file; expected a run as TOML, such as configs/example.toml"
        )
    config = read_config(args.config, root=args.root, changes=args.set)
    scored = config.validation.folders if config.validation else ()
    folders = (folder.path for folder in (*config.data.folders, *scored))
    for place in (config.data.root, config.data.splits, *folders):
        if place is not None and not place.exists():
            raise InvalidConfig(
                f"{args.config}: no {place}; set the paths in [data] to your data, or its root "
                "with --root FOLDER"
            )
    return config


def _card(name: str, config: TrainingConfig, device: torch.device) -> dict[str, Any]:
    """What a user of the weights should know; scores are added by whoever measures them."""
    from hs2s_core.training.run_folder import describe_run
    from hs2s_core.weights import card_head

    data = config.data
    recipe = describe_run(config)
    for folder in [*recipe["data"]["folders"], *((recipe["validation"] or {}).get("folders", ()))]:
        if len(folder["names"]) > _MOST_NAMES:  # run.json has them all
            folder["names"] = [counted(len(folder["names"]), "video")]
    return {
        **card_head(name, device),
        "data": {
            "stills": list(data.stills),
            "videos": [folder.path.name for folder in data.folders],
            "note": "the terms of these data sets apply to what is trained on them",
        },
        "recipe": recipe,
    }
