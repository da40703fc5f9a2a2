"""FiftyOne labels <-> masks: the only place that knows both.

A frame-level label shows objects: each ``Detection`` with a mask, each ``Polyline`` of three and
more points, alone or in a list, each value of a ``Segmentation``. They are written as
``Detections`` with one ``Detection`` per visible object.

Labels are read as the database has them, one frame at a time, and of ``Detections`` only what
masks need is decoded: FiftyOne's own label objects take ten times as long, and ``sample.frames``
would keep every frame. Masks are numpy arrays (H, W) over the whole video frame, sizes are (H, W)
in pixels, frame numbers are FiftyOne's: the first is 1.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from math import isfinite, nan
from typing import Any

import fiftyone as fo
import fiftyone.core.utils as fou
import numpy as np
import numpy.typing as npt
from bson import ObjectId
from fiftyone.core.collections import SampleCollection

from hs2s_core.errors import InvalidMask
from hs2s_core.media.masks import BoolMask, IdMap, id_dtype, mask_box, object_ids, split_objects
from hs2s_core.prompts.hints import Hint
from hs2s_core.wording import pixels

from .frame_fields import POINT_TYPES, prompt_fields
from .identities import Mark
from .masks import FURTHEST, Size, fill, paste, read_instance_mask
from .segmentations import Targets

Document = Mapping[str, Any]
"""A frame, or a label, as the database has it."""

NO_CLASS = "object"
"""The class of an object of which none is known."""
_ONLY = 1
"""Index of a field's only label a frame, where it has neither index nor instance."""
_BATCH = 64


@dataclass(frozen=True)
class TrackedObject:
    """One object of a video: what all its labels share."""

    object_id: int
    """Positive, unique in the video; equals ``index`` where that is positive."""
    index: int
    """The ``index`` of its labels."""
    label: str | None
    instance: fo.Instance


@dataclass(frozen=True)
class LabelPart:
    """One label of a frame: a Detection, a Polyline, or a value of a Segmentation."""

    place: int
    """Where it stands in its list."""
    label_id: ObjectId
    mark: Mark
    confidence: float | None = None
    keyframe: bool | None = None
    """Whether a person drew it in this very frame; None if nothing is said.

    It is FiftyOne's own attribute: the App's Annotate tab and CVAT set it, and both add copies of
    the label to other frames, the App with False and CVAT without it. Copies are no prompts.
    """
    mask: BoolMask | None = None
    """(H, W) over the whole video frame; None for a box or a line of two points."""
    hint: Hint | None = None
    """Where a label without a mask says that its object is: a box, or points, in pixels."""


@dataclass(frozen=True)
class LabelField:
    """A frame field whose labels can hold masks, or say where objects are."""

    name: str
    kind: type[fo.Label]
    targets: Targets = field(default_factory=Targets)
    """What a Segmentation's values mean."""

    @classmethod
    def of(cls, samples: SampleCollection, name: str) -> LabelField:
        """The field ``frames.<name>`` of a collection."""
        dataset = samples._dataset
        targets = (
            dataset.mask_targets.get(f"frames.{name}")
            or dataset.mask_targets.get(name)
            or dataset.default_mask_targets
        )
        return cls(name, prompt_fields(dataset)[name], Targets.of(targets or {}))

    @property
    def items(self) -> str | None:
        """Path of the label, or of the list of labels, below a frame; None for a Segmentation."""
        if issubclass(self.kind, fo.Segmentation):
            return None
        part = getattr(self.kind, "_LABEL_LIST_FIELD", None)
        return self.name if part is None else f"{self.name}.{part}"

    def frames(
        self, samples: SampleCollection, sample_id: str, visible: Collection[ObjectId] | None = None
    ) -> Iterator[tuple[int, list[LabelPart]]]:
        """Numbers of a video's labelled frames, and their labels without the masks.

        Of a Segmentation, whose values are only known by looking, there are none. ``visible`` holds
        the ids of the labels to consider, None for all.
        """
        parts = ("_id", "index", "label", "confidence", "keyframe", "instance._id")
        shown = [f"{self.items}.{part}" for part in parts] if self.items else []
        for document in read_documents(samples, sample_id, shown, annotated=self.name):
            found = [
                self._describe(place, raw)
                for place, raw in enumerate(self.labels(document))
                if visible is None or raw["_id"] in visible
            ]
            yield document["frame_number"], found

    def marks(self, samples: SampleCollection, sample_id: str) -> Iterator[list[Mark]]:
        """What the labels of each frame say of their objects, as :class:`Identities` takes it."""
        for _, parts in self.frames(samples, sample_id):
            yield [part.mark for part in parts]

    def parts(
        self,
        document: Document,
        size: Size,
        frame: str,
        visible: Collection[ObjectId] | None = None,
        places: Collection[int] | None = None,
    ) -> list[LabelPart]:
        """The labels of one frame with their masks; ``frame`` names it in errors.

        ``visible`` holds the ids and ``places`` the places of the labels to consider, None for
        all. Raises InvalidMask if a mask is unreadable or cannot be one of this frame.
        """
        content = document.get(self.name)
        if content is None:
            return []
        if issubclass(self.kind, fo.Segmentation):
            shown = visible is None or content["_id"] in visible
            return self._values(content, size, frame) if shown else []
        found = []
        for place, raw in enumerate(self.labels(document)):
            if visible is not None and raw["_id"] not in visible:
                continue
            if places is not None and place not in places:
                continue
            part = self._describe(place, raw)
            name = part.mark.name if not part.mark.is_nameless else f"label number {place + 1}"
            mask = self._decode(raw, size, f"{name} in {frame} of {self.name!r}")
            hint = self._hint(raw, size) if mask is None else None
            found.append(replace(part, mask=mask, hint=hint))
        return found

    def labels(self, document: Document) -> list[dict[str, Any]]:
        """The labels of a frame as the database has them; none of a Segmentation."""
        content = document.get(self.name)
        if not content or self.items is None:
            return []
        part = getattr(self.kind, "_LABEL_LIST_FIELD", None)
        return [content] if part is None else content.get(part) or []

    def _describe(self, place: int, raw: Document) -> LabelPart:
        mark = mark_of(raw)
        if mark.is_nameless and self.items == self.name:
            mark = mark._replace(index=_ONLY)
        return LabelPart(place, raw["_id"], mark, raw.get("confidence"), raw.get("keyframe"))

    def _decode(self, raw: Document, size: Size, name: str) -> BoolMask | None:
        if issubclass(self.kind, (fo.Polyline, fo.Polylines)):
            return fill(raw.get("points") or [], size, name)
        mask, path = raw.get("mask"), raw.get("mask_path")
        if mask is None and path is None:
            return None
        # Of both, FiftyOne shows the one in the database: somebody has drawn over the file's.
        values = (
            fou.deserialize_numpy_array(mask)
            if mask is not None or path is None
            else read_instance_mask(path, name)
        )
        return paste(raw.get("bounding_box"), values, size, name)

    def _hint(self, raw: Document, size: Size) -> Hint | None:
        height, width = size
        if issubclass(self.kind, POINT_TYPES):
            # Keypoints that are missing are NaN.
            points = [(x, y) for x, y in raw.get("points") or [] if isfinite(x + y)]
            inside = tuple((float(x * width), float(y * height)) for x, y in points)
            return Hint(inside=inside) if inside else None
        box = raw.get("bounding_box")
        if not box:
            return None
        numbers = [float(value) for value in box]
        # What is no box is refused where it is asked for, by numbers that are those of the label.
        x, y, across, down = numbers = numbers if len(numbers) == 4 else [nan] * 4
        edges = x * width, y * height, (x + across) * width, (y + down) * height
        if not all(abs(number) <= FURTHEST for number in numbers):
            return Hint(edges)
        # Detectors' boxes reach over the frame.
        left, right = (min(max(0.0, edge), float(width)) for edge in edges[::2])
        upper, lower = (min(max(0.0, edge), float(height)) for edge in edges[1::2])
        return Hint((left, upper, right, lower))

    def _values(self, content: Document, size: Size, frame: str) -> list[LabelPart]:
        name = f"the segmentation in {frame} of {self.name!r}"
        mask, path = content.get("mask"), content.get("mask_path")
        if mask is None and path is None:
            return []
        id_map = (
            self.targets.ids(fou.deserialize_numpy_array(mask), name)
            if mask is not None or path is None
            else self.targets.read(path, name)
        )
        if id_map.shape != size:
            raise InvalidMask(
                f"{name} is {pixels(id_map.shape)} pixels (width x height), the video "
                f"{pixels(size)}; expected the same. Resize it to the video (nearest neighbour)."
            )
        return [
            LabelPart(
                place, content["_id"], Mark(value, None, self.targets.names.get(value)), mask=own
            )
            for place, (value, own) in enumerate(split_objects(id_map).items())
        ]


def read_documents(
    samples: SampleCollection,
    sample_id: str,
    paths: Iterable[str],
    *,
    annotated: str | None = None,
    only: Mapping[str, Any] | None = None,
) -> Iterator[dict[str, Any]]:
    """Frames of a video in order, as the database has them, with only these fields, or parts.

    ``annotated`` leaves out frames in which that field is None, ``only`` all that are not like it.
    """
    query: dict[str, Any] = {**(only or {}), "_sample_id": ObjectId(sample_id)}
    if annotated is not None:
        query[annotated] = {"$ne": None}
    shown = dict.fromkeys(["frame_number", *paths], 1)
    frames = samples._dataset._frame_collection
    yield from frames.find(query, shown).sort("frame_number").batch_size(_BATCH)


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


def to_detections(
    id_map: npt.NDArray[Any],
    objects: Mapping[int, TrackedObject],
    scores: Mapping[int, float] | None = None,
    **values: Mapping[int, Any],
) -> fo.Detections:
    """One Detection per object visible in ``id_map`` (H, W); absent objects have none.

    ``scores`` are confidences in [0, 1] by object id, ``values`` further attributes. Every object
    of the id map must be known.
    """
    height, width = id_map.shape
    detections = []
    for object_id in object_ids(id_map):
        mask = id_map == object_id
        rows, columns = mask_box(mask)
        # Copied: a view would keep a whole frame alive for each small object.
        crop = np.ascontiguousarray(mask[rows, columns])
        corner = [columns.start / width, rows.start / height]
        box = [*corner, crop.shape[1] / width, crop.shape[0] / height]
        known = objects[object_id]
        detection = fo.Detection(
            label=known.label,
            bounding_box=box,
            mask=crop,
            index=known.index,
            instance=known.instance,
        )
        if scores is not None and object_id in scores:
            detection.confidence = float(scores[object_id])
        for name, known_of in values.items():
            detection[name] = known_of.get(object_id)
        detections.append(detection)
    return fo.Detections(detections=detections)


def existing_instance(instance_id: object, seed: str | None = None) -> fo.Instance:
    """The instance of this id, to be shared by further labels.

    If it is no id, that of ``seed``, which is always the same, or a new one.
    """
    if not isinstance(instance_id, ObjectId):
        if seed is None:
            return fo.Instance()
        instance_id = ObjectId(blake2b(seed.encode(), digest_size=12).digest())
    return fo.Instance.from_dict({"_cls": "Instance", "_id": instance_id})


def mark_of(raw: Document) -> Mark:
    """What a label, as the database has it, says of its object."""
    return Mark(raw.get("index"), (raw.get("instance") or {}).get("_id"), raw.get("label"))
