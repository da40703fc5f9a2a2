"""What a VOS folder holds: objects, videos, and the list that reads videos one at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from hs2s_core.data.meta import Meta, ObjectInfo
from hs2s_core.data.splits import safe_name
from hs2s_core.errors import HS2SError, InvalidDataset
from hs2s_core.media.images import find_entry, find_name, list_images, natural_key
from hs2s_core.media.masks import BoolMask, IdMap, list_masks, object_ids, read_id_map
from hs2s_core.wording import counted, some


@dataclass(frozen=True)
class VosVideo:
    """One video: its frames, which of them are annotated, its objects."""

    name: str
    frames: tuple[Path, ...]
    """Image files in natural order; numbering may have gaps and start anywhere."""
    annotations: Mapping[str, Path]
    """Id map of each annotated frame, by the frame's stem."""
    objects: Mapping[int, ObjectInfo]
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
        return None if path is None else read_id_map(path)

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
    images: Path
    annotations: Path
    """May not exist: frames without labels are a valid folder."""
    names: tuple[str, ...]
    """Video names in natural order (of ``ImageSets`` where a split was asked for)."""
    fps: float
    split: str | None = None
    seen_categories: frozenset[str] | None = None
    """Categories of the training split, where its ``meta.json`` is at hand."""
    meta: Meta = field(default_factory=Meta)
    """What ``meta.json`` says; without a video where there is none."""

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[VosVideo]:
        """Read every video; stops with ``InvalidDataset`` at the first broken one."""
        return (self.video(name) for name in self.names)

    def video(self, name: str) -> VosVideo:
        """Read the listing of one video. Raises ``InvalidDataset`` saying what is wrong with it."""
        folder = find_entry(self.images, safe_name(name, str(self.root)))
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
            objects=self.meta.objects(name, self.seen_categories),
        )

    def _annotations(self, name: str, stems: frozenset[str]) -> dict[str, Path]:
        folder = find_entry(self.annotations, name)
        if not folder.is_dir():
            return {}
        files = {find_name(file.stem, stems) or file.stem: file for file in list_masks(folder)}
        strays = sorted(files.keys() - stems, key=natural_key)
        if strays:
            raise InvalidDataset(
                f"{folder}: {counted(len(strays), 'annotation')} without a frame of that name "
                f"({some(strays)}); expected the frames' names, one id map per annotated frame. "
                "Rename them or restore the missing frames."
            )
        return files
