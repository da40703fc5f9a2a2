"""The labels of one video, truth beside prediction, as id maps: one annotated frame at a time.

Documents are read straight from the frames collection, only the two fields and in batches, and of
``Detections`` only what masks need is decoded: FiftyOne's own label objects take ten times as long,
and ``sample.frames`` would keep every frame.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import fiftyone as fo
import fiftyone.core.utils as fou
import numpy as np
import numpy.typing as npt
from bson import ObjectId
from fiftyone.core.collections import SampleCollection

from hs2s_core.media.masks import id_dtype

from ..labels import BoolMask, Size, group_parts, mask_fields, render

IdMap = npt.NDArray[np.unsignedinteger[Any]]
_BATCH = 64


@dataclass(frozen=True)
class LabelPart:
    """One label of a frame: a Detection, a Polyline, or a value of a Segmentation."""

    place: int
    """Where it stands in its list."""
    label_id: ObjectId
    index: int | None
    instance: object | None
    """Id of its instance."""
    label: str | None
    confidence: float | None
    mask: BoolMask | None
    """(H, W) over the whole video frame; None for a box or an open line."""

    @property
    def key(self) -> tuple[int | None, object | None]:
        """What identifies its object: the index, else the instance."""
        return (self.index, None) if self.index is not None else (None, self.instance)


@dataclass(frozen=True)
class LabelField:
    """A frame field whose labels can hold masks."""

    name: str
    kind: type[fo.Label]
    targets: Mapping[int, str] = field(default_factory=dict)
    """Class names of a Segmentation's values."""

    @classmethod
    def of(cls, samples: SampleCollection, name: str) -> LabelField:
        """The field ``frames.<name>`` of a collection."""
        dataset = samples._dataset
        targets = dataset.mask_targets.get(f"frames.{name}") or dataset.default_mask_targets
        return cls(name, mask_fields(dataset)[name], targets or {})

    @property
    def items(self) -> str | None:
        """Path of the list of labels below a frame; None for a Segmentation."""
        part = getattr(self.kind, "_LABEL_LIST_FIELD", None)
        return None if part is None else f"{self.name}.{part}"

    def keys(
        self, document: Mapping[str, Any], visible: Collection[ObjectId] | None = None
    ) -> Iterator[tuple[int | None, object | None]]:
        """Index and instance id of each label of a frame, without decoding masks."""
        for raw in self.labels(document):
            if visible is None or raw["_id"] in visible:
                yield raw.get("index"), (raw.get("instance") or {}).get("_id")

    def parts(
        self,
        document: Mapping[str, Any],
        size: Size,
        frame: str,
        visible: Collection[ObjectId] | None = None,
    ) -> list[LabelPart]:
        """The labels of one frame, rendered; ``frame`` names it in errors.

        ``visible`` holds the ids of the labels to consider, None for all. Raises InvalidMask if a
        mask is unreadable or was made for another frame size.
        """
        content = document.get(self.name)
        if content is None:
            return []
        if issubclass(self.kind, fo.Segmentation):
            return self._values(content, visible)
        found = []
        for place, raw in enumerate(self.labels(document)):
            if visible is not None and raw["_id"] not in visible:
                continue
            index, instance = raw.get("index"), (raw.get("instance") or {}).get("_id")
            name = f"{self.name}, label {index if index is not None else place + 1} of {frame}"
            found.append(
                LabelPart(
                    place=place,
                    label_id=raw["_id"],
                    index=index,
                    instance=instance,
                    label=raw.get("label"),
                    confidence=raw.get("confidence"),
                    mask=render([self._decode(raw)], size, name),
                )
            )
        return found

    def labels(self, document: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The labels of a frame as the database has them; none of a Segmentation."""
        content = document.get(self.name) or {}
        return content.get(getattr(self.kind, "_LABEL_LIST_FIELD", ""), None) or []

    def _decode(self, raw: dict[str, Any]) -> Any:
        if not issubclass(self.kind, fo.Detections):
            return fo.Polyline.from_dict(raw)
        mask = raw.get("mask")
        return SimpleNamespace(
            bounding_box=raw["bounding_box"],
            mask=None if mask is None else fou.deserialize_numpy_array(mask),
            mask_path=raw.get("mask_path"),
        )

    def _values(
        self, content: dict[str, Any], visible: Collection[ObjectId] | None
    ) -> list[LabelPart]:
        groups = group_parts(fo.Segmentation.from_dict(content), visible)
        return [
            LabelPart(place, content["_id"], key, None, self.targets.get(key), None, masks[0])
            for place, (key, masks) in enumerate(groups.items())
            if isinstance(key, int)
        ]


def read_documents(
    samples: SampleCollection,
    sample_id: str,
    names: Iterable[str],
    *,
    annotated: str | None = None,
    shown: Iterable[str] | None = None,
) -> Iterator[dict[str, Any]]:
    """Frames of a video in order, as the database has them, with only ``names`` of their fields.

    ``annotated`` leaves out frames in which that field is None; ``shown`` replaces ``names`` by
    paths, to look at parts of labels.
    """
    query: dict[str, Any] = {"_sample_id": ObjectId(sample_id)}
    if annotated is not None:
        query[annotated] = {"$ne": None}
    paths = dict.fromkeys(["frame_number", *(names if shown is None else shown)], 1)
    frames = samples._dataset._frame_collection
    yield from frames.find(query, paths).sort("frame_number").batch_size(_BATCH)


def paint(parts: Iterable[tuple[int, LabelPart]], size: Size) -> tuple[IdMap, bool]:
    """The id map (H, W) of a frame, and whether masks of different objects overlap.

    Where they do, the more confident label wins, else the later one: a pixel belongs to one object,
    as in the files that the benchmarks' servers take.
    """
    found = sorted(parts, key=lambda entry: entry[1].confidence or 0.0)
    largest = max((object_id for object_id, _ in found), default=0)
    id_map: IdMap = np.zeros(size, id_dtype(largest))
    overlap = False
    for object_id, part in found:
        if part.mask is None:
            continue
        under = id_map[part.mask]
        overlap |= bool(((under != 0) & (under != object_id)).any())
        id_map[part.mask] = object_id
    return id_map, overlap
