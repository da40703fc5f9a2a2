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

DATA_HELP = "YouTube-VOS, DAVIS or plain folder of labelled videos"
_RECIPE = ("epochs", "batch", "size", "schedule", "losses", "precision", "checkpointing", "workers")
RECIPE_OPTIONS = ("split", "backbone", *_RECIPE)
"""What :func:`add_recipe_options` adds."""


def add_quiet(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--quiet", action="store_true", help="show no progress")


def add_overwrite(parser: argparse.ArgumentParser, what: str = "a file that exists") -> None:
    parser.add_argument("--overwrite", action="store_true", help=f"replace {what}")


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
    group.add_argument("--epochs", type=int, metavar="N", help="default: 750")
    group.add_argument("--batch", type=int, metavar="N", help="clips per step (default: 16)")
    group.add_argument(
        "--size", type=int, nargs=2, metavar=("H", "W"), help="of the clips (default: the preset's)"
    )
    group.add_argument("--schedule", choices=("stable", "authors"), help="default: stable")
    group.add_argument("--losses", choices=("authors", "paper"), help="default: authors")
    group.add_argument("--precision", choices=("float32", "bfloat16"), help="default: float32")
    group.add_argument(
        "--checkpointing",
        action="store_const",
        const=True,
        help="recompute each step in the backward pass: less memory, more time",
    )
    group.add_argument(
        "--workers", type=int, metavar="N", help="processes that prepare clips (default: up to 4)"
    )
    group.add_argument(
        "--backbone",
        metavar="PATH|imagenet|none",
        help="start of the encoders: a state-dict file, a folder of torchvision's files, "
        "torchvision's weights, or random values (default: imagenet where such weights exist)",
    )


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """Add what changes a run's file, and how it runs here."""
    parser.add_argument(
        "--root",
        type=Path,
        metavar="FOLDER",
        help="with --config: the data, [data] root of the file",
    )
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
