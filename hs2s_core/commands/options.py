"""Options that several commands have, and those of the paper's recipe."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hs2s_core.errors import HS2SError, InvalidConfig
from hs2s_core.wording import counted

if TYPE_CHECKING:
    from hs2s_core.training.config import FolderConfig

OVERLAY_FPS = 24.0
"""Of a video with masks over it, where the one below tells none."""
DATA_HELP = "YouTube-VOS, DAVIS or plain folder of labelled videos"
_RECIPE = ("epochs", "batch", "size", "schedule", "losses", "precision", "checkpointing", "workers")
RECIPE_OPTIONS = ("split", "backbone", *_RECIPE)
"""What :func:`add_recipe_options` adds."""


def add_path(
    parser: argparse._ActionsContainer, name: str, metavar: str, text: str, **more: Any
) -> None:
    """An argument that is a file or folder; ``text`` is its help."""
    parser.add_argument(name, type=Path, metavar=metavar, help=text, **more)


def add_count(parser: argparse._ActionsContainer, name: str, text: str, **more: Any) -> None:
    """An option that is a whole number."""
    parser.add_argument(name, type=int, metavar="N", help=text, **more)


def add_choice(
    parser: argparse._ActionsContainer, name: str, choices: Iterable[str], text: str, **more: Any
) -> None:
    """An option that is one of some words."""
    parser.add_argument(name, choices=choices, help=text, **more)


def add_switch(parser: argparse._ActionsContainer, name: str, text: str, **more: Any) -> None:
    """An option that is on where it is given."""
    parser.add_argument(name, action="store_true", help=text, **more)


def add_quiet(parser: argparse.ArgumentParser) -> None:
    add_switch(parser, "--quiet", "show no progress")


def add_overwrite(parser: argparse.ArgumentParser, what: str = "a file that exists") -> None:
    add_switch(parser, "--overwrite", f"replace {what}")


def check_new(path: Path, *, overwrite: bool) -> None:
    """Refuse, before any work, to replace what is there unless that was asked for.

    Raises:
        HS2SError: a file is there already, or a folder.
    """
    if path.is_dir():
        raise HS2SError(f"{path}: is a folder; expected the name of a file to write.")
    if path.exists() and not overwrite:
        raise HS2SError(f"{path}: exists already; give another name, or --overwrite to replace it.")


def add_device(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", default="auto", help="auto (default), cpu, cuda, cuda:N or mps")


def add_model_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--weights",
        metavar="FILE",
        help="a .safetensors file or the name of shipped or own weights (default: hs2s-lite)",
    )
    add_device(parser)


def add_recipe_options(parser: argparse.ArgumentParser, mode: str) -> None:
    """Add what :func:`recipe_settings` reads; ``mode`` is the option it belongs to."""
    group = parser.add_argument_group(f"the paper's recipe, with {mode}")
    group.add_argument(
        "--split", help="split of --data (default: train, for DAVIS 2017/train, where there is one)"
    )
    add_count(group, "--epochs", "default: 750")
    add_count(group, "--batch", "clips per step (default: 16)")
    group.add_argument(
        "--size", type=int, nargs=2, metavar=("H", "W"), help="of the clips (default: the preset's)"
    )
    add_choice(group, "--schedule", ("stable", "authors"), "default: stable")
    add_choice(group, "--losses", ("authors", "paper"), "default: authors")
    add_choice(group, "--precision", ("float32", "bfloat16"), "default: float32")
    text = "recompute each step in the backward pass: less memory, more time"
    add_switch(group, "--checkpointing", text, default=None)
    add_count(group, "--workers", "processes that prepare clips (default: up to 4)")
    group.add_argument(
        "--backbone",
        metavar="PATH|imagenet|none",
        help="start of the encoders: a state-dict file, a folder of torchvision's files, "
        "torchvision's weights, or random values (default: imagenet where such weights exist)",
    )


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """Add what changes a run's file, and how it runs here."""
    add_path(parser, "--root", "FOLDER", "with --config: the data, [data] root of the file")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="change one setting of the run, as learning_rate=5e-4, data.real=0.5 or "
        "stages.0.steps=100; may be given several times (docs/training.md lists all keys)",
    )
    add_device(parser)
    add_quiet(parser)


def recipe_settings(args: argparse.Namespace) -> dict[str, Any]:
    """Arguments of ``paper_recipe`` that were given."""
    given = {name: getattr(args, name) for name in _RECIPE if getattr(args, name) is not None}
    if "size" in given:
        given["size"] = tuple(given["size"])
    words = {None: None, "imagenet": True, "none": False}
    return {**given, "pretrained_backbone": words.get(args.backbone, args.backbone)}


def refuse_recipe_options(args: argparse.Namespace, mode: str, *more: str) -> None:
    """Refuse options of the recipe beside --config, where they would go unnoticed."""
    refuse_options(
        args,
        (*RECIPE_OPTIONS, *more),
        f"expected with {mode} only. With --config the file says all that decides a run; set it "
        "there",
    )


def refuse_options(args: argparse.Namespace, names: Iterable[str], why: str) -> None:
    """Refuse options that would go unnoticed, where any was given."""
    values = {name: getattr(args, name) for name in names}
    given = [
        name for name, value in values.items() if value not in (None, []) and value is not False
    ]
    if given:
        flags = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise InvalidConfig(f"{flags} would change nothing: {why}")


def training_folder(data: Path, split: str | None) -> FolderConfig:
    """The videos of ``data`` to train on: those of ``split``, or else of its training split."""
    from hs2s_core.data.folders import training_split
    from hs2s_core.training.config import FolderConfig

    return FolderConfig(data, split or training_split(data))


def describe_folder(folder: FolderConfig, listed: Mapping[str, Sequence[str]] | None = None) -> str:
    """Which videos of which folder, in words; ``listed`` as for ``folder_videos``."""
    from hs2s_core.data.folders import open_folder
    from hs2s_core.training.sources import video_names

    there = open_folder(folder.path, folder.split)
    taken = len(video_names(folder, there, listed))
    text = f"{counted(taken, 'video')} of {folder.path}"
    if taken < len(there):
        text += f", which has {len(there)}"
    elif not folder.split:
        text += ", which has no splits"
    return f"{text}, split {folder.split}" if folder.split else text
