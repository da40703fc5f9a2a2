"""Prompts from mask files: one PNG, or a folder of PNGs named after their frames."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hs2s_core.errors import InvalidMask
from hs2s_core.media.images import natural_key
from hs2s_core.media.masks import check_prompt, read_id_map, split_objects
from hs2s_core.media.source import FrameSource

PromptMasks = dict[int, dict[int, npt.NDArray[np.bool_]]]
"""Frame index (0-based) -> object id -> (H, W) bool."""


def read_prompt_files(masks: Path, frames: FrameSource, *, frame: int = 0) -> PromptMasks:
    """The first mask of each object, at the frame it belongs to.

    Later masks of an object are not used, so that a folder of true masks can be given as it is.

    Args:
        masks: a PNG of object ids (or black and white: object 1), which belongs to frame
            ``frame``; or a folder of such files, each named after its frame: the stem of the
            frame's image, or its 0-based number in a video file (``00017.png``).
        frames: the clip; every mask must have its size.
        frame: 0-based; only for a single PNG.

    Raises:
        InvalidMask: a file that is unreadable, of another size, or belongs to no frame; no
            object in any of them.
    """
    prompts: PromptMasks = {}
    known: set[int] = set()
    for index, path in _placed_files(masks, frames, frame):
        id_map = read_id_map(path)
        for object_id, mask in split_objects(id_map).items():
            if object_id not in known:
                name = f"{path}: object {object_id}"
                prompts.setdefault(index, {})[object_id] = check_prompt(
                    mask, frames.size, name=name
                )
                known.add(object_id)
    if not known:
        raise InvalidMask(
            f"{masks}: no object in it, only background; expected pixels with an object id from 1."
        )
    return prompts


def _placed_files(masks: Path, frames: FrameSource, frame: int) -> Iterator[tuple[int, Path]]:
    """(frame index, file) in the order of the frames."""
    if not masks.is_dir():
        if not 0 <= frame < len(frames):
            raise InvalidMask(
                f"{masks}: given for frame {frame}, but {frames.description} has frames 0 to "
                f"{len(frames) - 1}."
            )
        return iter([(frame, masks)])
    files = [path for path in masks.glob("*.png") if not path.name.startswith(".")]
    if not files:
        raise InvalidMask(f"{masks}: no PNG files in this folder; expected one mask per key frame.")
    files.sort(key=lambda path: natural_key(path.name))
    places = None if frames.names is None else {name: i for i, name in enumerate(frames.names)}
    placed = [(_place(path, places, frames), path) for path in files]
    return iter(sorted(placed, key=lambda entry: entry[0]))


def _place(path: Path, places: dict[str, int] | None, frames: FrameSource) -> int:
    if places is not None:
        if path.stem in places:
            return places[path.stem]
        expected = "the name of a frame, such as " + ", ".join(list(places)[:3])
    else:
        if path.stem.isascii() and path.stem.isdigit() and int(path.stem) < len(frames):
            return int(path.stem)
        expected = f"the number of a frame, 0 to {len(frames) - 1}"
    raise InvalidMask(
        f"{path}: belongs to no frame of {frames.description}; expected as its name {expected}. "
        "Rename it, or give one PNG and its --frame."
    )
