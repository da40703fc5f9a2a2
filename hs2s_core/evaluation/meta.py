"""``meta.json`` of YouTube-VOS: categories, listed frames, and which categories are seen."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from hs2s_core.errors import InvalidDataset
from hs2s_core.evaluation.protocol import Protocol
from hs2s_core.evaluation.table import ObjectInfo

VideoObjects = dict[str, dict[int, ObjectInfo]]


def read_meta(path: str | Path, seen_categories: Collection[str] | None = None) -> VideoObjects:
    """Read objects by video and object id.

    The layout is ``{"videos": {VIDEO: {"objects": {ID: {"category", "frames", "seen"}}}}}``; the
    entries of an object are optional, and ``seen`` (true or false) is this project's addition.

    Args:
        path: the file.
        seen_categories: categories seen in training, see :func:`read_seen_categories`; without
            them only the ``seen`` entries say.

    Raises:
        InvalidDataset: no such file, no JSON or another layout; or, with ``seen_categories``, an
            object without category.
    """
    videos: VideoObjects = {}
    for video, key, entry in _entries(Path(path)):
        where = f"{path}: object {key} of video {video}"
        if not key.isascii() or not key.isdigit() or int(key) == 0:
            raise InvalidDataset(f"{where}: expected a positive integer as object id.")
        videos.setdefault(video, {})[int(key)] = _object_info(entry, seen_categories, where)
    return videos


def check_seen(objects: VideoObjects, videos: Iterable[str], protocol: Protocol) -> None:
    """Refuse what would leave an evaluation without an overall score, before its work.

    Args:
        objects: as :func:`read_meta` gives them.
        videos: names of the videos to evaluate.
        protocol: what they are evaluated by.

    Raises:
        InvalidDataset: the protocol averages seen and unseen objects apart, and it is known of
            some of the videos' objects only.
    """
    if not protocol.by_seen:
        return
    flags = {
        (video, object_id): info.seen
        for video in videos
        for object_id, info in objects.get(video, {}).items()
        if info.frames is None or info.frames
    }
    unknown = [f"{video}/{key}" for (video, key), seen in flags.items() if seen is None]
    if unknown and len(unknown) < len(flags):
        raise InvalidDataset(
            f"meta.json does not say whether {len(unknown)} objects are of a seen category "
            f"({', '.join(unknown[:5])}), though it does of {len(flags) - len(unknown)} others, so "
            f'{protocol.name} has no overall score; give every object a category or a "seen", '
            "or use a protocol that does not tell seen from unseen."
        )


def read_seen_categories(path: str | Path) -> frozenset[str]:
    """Return the categories in the training set's ``meta.json``: the seen ones.

    Raises:
        InvalidDataset: as :func:`read_meta`, or no category at all.
    """
    entries = [entry.get("category") for _, _, entry in _entries(Path(path))]
    categories = frozenset(entry for entry in entries if isinstance(entry, str))
    if not categories:
        raise InvalidDataset(f"{path}: no object has a category; expected the training meta.json.")
    return categories


def _entries(path: Path) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Yield video, object id as written and the object's entry, or say what is wrong."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InvalidDataset(f"{path}: cannot be read as JSON ({error}).") from error
    videos = document.get("videos") if isinstance(document, dict) else None
    if not isinstance(videos, dict):
        raise InvalidDataset(f'{path}: has no "videos"; expected the layout of YouTube-VOS.')
    for video, content in videos.items():
        objects = content.get("objects") if isinstance(content, dict) else None
        if not isinstance(objects, dict):
            raise InvalidDataset(f'{path}: video {video} has no "objects" by object id.')
        for key, entry in objects.items():
            if not isinstance(entry, dict):
                raise InvalidDataset(f"{path}: object {key} of video {video} is not an entry.")
            yield video, key, entry


def _object_info(
    entry: Mapping[str, Any], seen_categories: Collection[str] | None, where: str
) -> ObjectInfo:
    category, frames, seen = (entry.get(name) for name in ("category", "frames", "seen"))
    if category is not None and not isinstance(category, str):
        raise InvalidDataset(f'{where}: "category" is {category!r}; expected a name.')
    if seen is not None and not isinstance(seen, bool):
        raise InvalidDataset(f'{where}: "seen" is {seen!r}; expected true or false.')
    if frames is not None and not (
        isinstance(frames, list) and all(isinstance(name, str) for name in frames)
    ):
        raise InvalidDataset(f'{where}: "frames" is not a list of frame names.')
    if seen_categories is not None:
        if category is None:
            raise InvalidDataset(
                f"{where}: has no category; expected one, to tell seen from unseen."
            )
        seen = category in seen_categories
    return ObjectInfo(category, seen, None if frames is None else frozenset(frames))
