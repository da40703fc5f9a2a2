"""``hs2s check``: everything that is wrong with a folder of labelled videos, at once."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hs2s_core.data.folder_check import FolderProblem

FOUND = 1
"""Exit status when something is wrong."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``hs2s check``."""
    parser.add_argument(
        "folder", type=Path, metavar="FOLDER", help="a YouTube-VOS, DAVIS or plain folder"
    )
    parser.add_argument(
        "--split", help="one split, such as train or 2017/val (default: everything there is)"
    )
    parser.add_argument(
        "--deep",
        action="store_true",
        help="read every frame's header and every id map, about 5 ms a frame (default: those of "
        "each video's first frames)",
    )


def run(args: argparse.Namespace) -> int:
    """Print one line per finding; 1 if there is any."""
    from hs2s_core.data.folder_check import check_folder

    problems = check_folder(args.folder, args.split, deep=args.deep)
    if not problems:
        print(f"{args.folder}: {_contents(args.folder, args.split)}; nothing wrong found")
        return 0
    for problem in problems:
        print(problem)
    print(f"\n{_count(len(problems), 'finding')} in {_places(problems)}.")
    return FOUND


def _contents(folder: Path, split: str | None) -> str:
    """Layout, splits and number of videos of a folder that can be opened."""
    from hs2s_core.data.folders import list_splits, open_folder

    inside = not (folder / "JPEGImages").is_dir()
    splits = list_splits(folder) if split is None and inside else [split]
    opened = [open_folder(folder, name) for name in splits]
    videos = sum(len(part) for part in opened)
    names = ", ".join(name for name in splits if name)
    words = f"{opened[0].layout}, {_count(videos, 'video')}"
    return f"{words} ({names})" if names else words


def _places(problems: list[FolderProblem]) -> str:
    videos = {(problem.split, problem.video) for problem in problems if problem.video}
    return _count(len(videos), "video") if videos else "the folder itself"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
