"""What a VOS folder holds: objects, videos, and the list that reads videos one at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from hs2s_core.errors import HS2SError, InvalidDataset
from hs2s_core.media.images import list_images, natural_key
from hs2s_core.media.masks import BoolMask, IdMap, object_ids, read_id_map


@dataclass(frozen=True)
class VosObject:
    """One object of a video as ``meta.json`` describes it."""

    object_id: int
    """Its value in the id maps, > 0; the ids of a video need not be contiguous."""
    category: str | None
    seen: bool | None
    """Whether the category occurs in the training split; ``None`` where that is not known."""
    frames: tuple[str, ...]
    """Stems of the frames it is listed for; known to be wrong at places, the id maps decide."""


@dataclass(frozen=True)
class VosVideo:
    """One video: its frames, which of them are annotated, its objects."""

    name: str
    frames: tuple[Path, ...]
    """Image files in natural order; numbering may have gaps and start anywhere."""
    annotations: Mapping[str, Path]
    """Id map of each annotated frame, by the frame's stem."""
    objects: Mapping[int, VosObject]
    """By object id, from ``meta.json``; empty without one."""

    @property
    def frame_names(self) -> tuple[str, ...]:
        """Stems of ``frames``."""
        return tuple(frame.stem for frame in self.frames)

    @property
    def annotated(self) -> tuple[int, ...]:
        """0-based indices of the annotated frames."""
        return tuple(i for i, frame in enumerate(self.frames) if frame.stem in self.annotations)

    def read_id_map(self, index: int) -> IdMap | None:
        """Id map (H, W) of frame ``index``, void read as background; ``None`` if not annotated.

        Raises ``InvalidMask`` naming the file.
        """
        path = self.annotations.get(self.frames[index].stem)
        if path is None:
            return None
        return read_id_map(path)

    def first_masks(self) -> dict[int, dict[int, BoolMask]]:
        """The usual prompts: ``{frame index: {object id: mask (H, W)}}``.

        Each object starts where it first has a pixel; ``meta.json`` lists some too early.
        """
        prompts: dict[int, dict[int, BoolMask]] = {}
        found: set[int] = set()
        for index in self.annotated:
            id_map = self.read_id_map(index)
            assert id_map is not None
            for object_id in object_ids(id_map):
                if object_id not in found:
                    found.add(object_id)
                    prompts.setdefault(index, {})[object_id] = np.asarray(id_map == object_id)
            if self.objects and found >= self.objects.keys():
                break
        return prompts


@dataclass(frozen=True)
class VosFolder:
    """The videos of one split, listed but not read."""

    root: Path
    layout: str
    """``youtube-vos``, ``davis`` or ``plain``."""
    split: str | None
    images: Path
    annotations: Path
    """May not exist: frames without labels are a valid folder."""
    names: tuple[str, ...]
    """Video names in natural order (of ``ImageSets`` where a split was asked for)."""
    fps: float
    seen_categories: frozenset[str] | None
    """Categories of the training split, where its ``meta.json`` is at hand."""
    meta: Mapping[str, Any] = field(repr=False)
    """The ``videos`` of ``meta.json``; empty without one."""

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[VosVideo]:
        """Read every video; stops with ``InvalidDataset`` at the first broken one."""
        return (self.video(name) for name in self.names)

    def video(self, name: str) -> VosVideo:
        """Read the listing of one video. Raises ``InvalidDataset`` saying what is wrong with it."""
        folder = self.images / safe_name(name, str(self.root))
        if not folder.is_dir():
            raise InvalidDataset(
                f"video '{name}': no folder {folder}; expected its frames there. "
                "Unpack the missing part or leave the video out."
            )
        try:
            frames = tuple(list_images(folder))
            if not frames:
                raise InvalidDataset(
                    f"no image files in {folder}; expected at least one frame. "
                    "Unpack it again or leave the video out."
                )
            annotations = self._annotations(name, frozenset(frame.stem for frame in frames))
        except HS2SError as error:
            raise InvalidDataset(f"video '{name}': {error}") from error
        return VosVideo(
            name=name,
            frames=frames,
            annotations=annotations,
            objects=self._objects(name),
        )

    def _annotations(self, name: str, stems: frozenset[str]) -> dict[str, Path]:
        folder = self.annotations / name
        if not folder.is_dir():
            return {}
        files = {
            file.stem: file
            for file in folder.iterdir()
            if file.suffix.lower() == ".png" and not file.name.startswith(".")
        }
        strays = sorted(files.keys() - stems, key=natural_key)
        if strays:
            raise InvalidDataset(
                f"{folder}: {len(strays)} annotations without a frame of that name "
                f"({some(strays)}); expected the frames' names, one id map per annotated frame. "
                "Rename them or restore the missing frames."
            )
        return files

    def _objects(self, name: str) -> dict[int, VosObject]:
        where = f"meta.json, video '{name}'"
        listed = _mapping(_mapping(self.meta.get(name, {}), where).get("objects", {}), where)
        objects = {}
        for key, entry in listed.items():
            if not key.isdecimal() or int(key) == 0:
                raise InvalidDataset(
                    f"{where}: object id '{key}'; expected a positive integer, the object's value "
                    "in the id maps."
                )
            about = _mapping(entry, f"{where}, object {key}")
            category = about.get("category")
            objects[int(key)] = VosObject(
                object_id=int(key),
                category=str(category) if category else None,
                seen=self._is_seen(category),
                frames=tuple(str(frame) for frame in about.get("frames") or ()),
            )
        return objects

    def _is_seen(self, category: object) -> bool | None:
        if self.seen_categories is None or not category:
            return None
        return str(category) in self.seen_categories


def safe_name(name: str, where: str) -> str:
    """``name`` if it is one plain path component; else ``InvalidDataset``: it could escape.

    ``where`` names the file that lists it.
    """
    plain = name not in ("", ".", "..") and not any(character in name for character in "/\\\0")
    if not plain or Path(name).name != name:  # the latter catches Windows drive letters
        raise InvalidDataset(
            f"{where}: the name {name!r} is not a plain folder name; expected no '/', '..' or "
            "drive letters. Correct the name where it is listed."
        )
    return name


def some(names: Iterable[str], limit: int = 5) -> str:
    """The first few of ``names`` for a message, and how many more there are."""
    listed = list(names)
    rest = f" and {len(listed) - limit} more" if len(listed) > limit else ""
    return ", ".join(listed[:limit]) + rest or "none"


def _mapping(value: object, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise InvalidDataset(
            f"{where}: found {type(value).__name__}; expected an object of names and values."
        )
    return value
