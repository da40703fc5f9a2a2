"""``hs2s check``: everything that is wrong with a folder of labelled videos, at once."""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from hs2s_core.commands.options import add_path, add_switch
from hs2s_core.wording import counted, some

if TYPE_CHECKING:
    from hs2s_core.data.videos import VosVideo

PAGE = "data.md"
FOUND = 1
"""Exit status when something is wrong."""
EXAMPLES = (
    "hs2s check YouTube-VOS/",
    "hs2s check YouTube-VOS/ --split train --deep",
    "hs2s check DAVIS/ --split 2017/val",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_path(parser, "folder", "FOLDER", "a YouTube-VOS, DAVIS or plain folder")
    parser.add_argument(
        "--split", help="one split, such as train or 2017/val (default: everything there is)"
    )
    add_switch(
        parser,
        "--deep",
        "read every frame's header and every id map, about 5 ms a frame (default: those of each "
        "video's first frames)",
    )


def run(args: argparse.Namespace) -> int:
    """Print one line per finding; 1 if there is any.

    Raises InvalidDataset where there is no folder at all.
    """
    from hs2s_core.data.folder_check import check_folder
    from hs2s_core.data.folders import check_root

    check_root(args.folder)
    problems = check_folder(args.folder, args.split, deep=args.deep)
    if not problems:
        print(f"{args.folder}: {_contents(args.folder, args.split)}; nothing wrong found")
        return 0
    for problem in problems:
        print(problem)
    videos = {(problem.split, problem.video) for problem in problems if problem.video}
    places = counted(len(videos), "video") if videos else "the folder itself"
    print(f"\n{counted(len(problems), 'finding')} in {places}.")
    return FOUND


def _contents(folder: Path, split: str | None) -> str:
    """Layout, splits and videos of a folder that can be opened, and what the videos hold."""
    from hs2s_core.data.folders import list_splits, open_folder

    splits = list_splits(folder)
    inside = not (folder / "JPEGImages").is_dir()
    names = splits if split is None and inside else [split]
    opened = [open_folder(folder, name) for name in names or [None]]
    videos = [video for part in opened for video in part]
    words = f"{opened[0].layout}, {counted(len(videos), 'video')}"
    given = ", ".join(name for name in names if name)
    if not inside and split is None:
        given = ", ".join(splits)
    return (f"{words} ({given})" if given else words) + f"; {_inventory(videos)}"


def _inventory(videos: list[VosVideo]) -> str:
    """Frames, annotated frames, objects and sizes; of each video the first ones are looked into."""
    from hs2s_core.media.images import image_size
    from hs2s_core.media.masks import object_ids

    frames = sum(len(video.frames) for video in videos)
    annotated = sum(len(video.annotated) for video in videos)
    sizes = Counter("x".join(map(str, image_size(video.frames[0])[::-1])) for video in videos)
    objects = 0
    for video in videos:
        first = video.read_id_map(video.annotated[0]) if video.annotated else None
        objects += len(video.objects) or (0 if first is None else len(object_ids(first)))
    source = "listed" if any(video.objects for video in videos) else "in first annotated frames"
    return (
        f"{counted(frames, 'frame')}, {annotated} annotated; {counted(objects, 'object')} "
        f"{source}; {some(f'{size} ({count})' for size, count in sizes.most_common())}"
    )
