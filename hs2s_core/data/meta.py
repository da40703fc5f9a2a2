"""``meta.json`` of YouTube-VOS: the objects of each video, their categories and listed frames."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hs2s_core.errors import InvalidDataset
from hs2s_core.files import read_json
from hs2s_core.media.images import find_name


@dataclass(frozen=True)
class ObjectInfo:
    """What is known of an object besides its masks."""

    category: str | None = None
    seen: bool | None = None
    """Whether the category was seen in training; None where that is not known."""
    frames: tuple[str, ...] | None = None
    """Stems of the frames it is listed for; None lists every frame. Known to be wrong at places,
    the id maps decide."""


@dataclass(frozen=True)
class Meta:
    """What a ``meta.json`` says of its videos; entries are looked at when they are asked for.

    The layout is ``{"videos": {VIDEO: {"objects": {ID: {"category", "frames", "seen"}}}}}``; the
    entries of an object are optional, and ``seen`` (true or false) is this project's addition.
    """

    videos: Mapping[str, Any] = field(default_factory=dict, repr=False)
    path: Path | None = None
    """The file; None where there is none."""

    def objects(
        self, video: str, seen_categories: Collection[str] | None = None
    ) -> dict[int, ObjectInfo]:
        """The objects of a video by id; empty for a video that is not listed.

        With ``seen_categories``, those decide what is seen of the objects that have a category.
        Raises InvalidDataset, naming the entry, for what is not of the layout.
        """
        own = find_name(video, self.videos)
        if own is None:
            return {}
        where = f"{self.path}: video '{video}'"
        listed = _mapping(_mapping(self.videos[own], where).get("objects"), f'{where}, "objects"')
        found = {}
        for key, entry in listed.items():
            if not (key.isascii() and key.isdigit() and int(key)):
                raise InvalidDataset(
                    f"{where}: object id '{key}'; expected a positive integer, the object's value "
                    "in the id maps."
                )
            found[int(key)] = _object(entry, seen_categories, f"{where}, object {key}")
        return found

    def select(
        self, videos: Collection[str], seen_categories: Collection[str] | None = None
    ) -> dict[str, dict[int, ObjectInfo]]:
        """The objects of those of these videos that are listed; raises as :meth:`objects`."""
        listed = (name for name in videos if find_name(name, self.videos) is not None)
        return {name: self.objects(name, seen_categories) for name in listed}

    def categories(self) -> frozenset[str]:
        """Every category that is named: of a training set's file, the seen ones.

        A video whose entry is not of the layout is passed over here: it has its own error.
        """
        named: set[str] = set()
        for video in self.videos:
            with suppress(InvalidDataset):
                named |= {
                    entry.category for entry in self.objects(video).values() if entry.category
                }
        return frozenset(named)


def read_meta(path: str | Path) -> Meta:
    """Read a ``meta.json``; raises InvalidDataset if it is none."""
    path = Path(path)
    content = read_json(path, "unpack or download it again.", InvalidDataset)
    videos = content.get("videos") if isinstance(content, dict) else None
    if not isinstance(videos, dict):
        raise InvalidDataset(
            f'{path}: has no "videos"; expected {{"videos": {{name: {{"objects": ...}}}}}} as in '
            "YouTube-VOS. Put the right file there or remove this one."
        )
    return Meta(videos, path)


def read_meta_beside(folder: Path) -> Meta:
    """The ``meta.json`` in a folder, or one without any video."""
    path = folder / "meta.json"
    return read_meta(path) if path.is_file() else Meta()


def _object(entry: object, seen_categories: Collection[str] | None, where: str) -> ObjectInfo:
    about = _mapping(entry, where)
    category, frames, seen = (about.get(name) for name in ("category", "frames", "seen"))
    if category is not None and not isinstance(category, str):
        raise InvalidDataset(f'{where}: "category" is {category!r}; expected a name.')
    if seen is not None and not isinstance(seen, bool):
        raise InvalidDataset(f'{where}: "seen" is {seen!r}; expected true or false.')
    if frames is not None and not (
        isinstance(frames, list) and all(isinstance(name, str) for name in frames)
    ):
        raise InvalidDataset(f'{where}: "frames" is not a list of frame names.')
    if seen_categories is not None and category:
        seen = category in seen_categories
    return ObjectInfo(category or None, seen, None if frames is None else tuple(frames))


def _mapping(value: object, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise InvalidDataset(
            f"{where}: found {type(value).__name__}; expected an object of names and values."
        )
    return value
