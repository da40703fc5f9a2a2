"""Finds the masks that start the objects of a video among its frame labels."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import fiftyone as fo
import fiftyone.core.stages as fos
import numpy as np
from bson import ObjectId
from fiftyone.core.collections import SampleCollection

from hs2s_core.errors import InvalidMask
from hs2s_core.media.masks import check_prompt

from .labels import (
    BoolMask,
    Key,
    Size,
    TrackedObject,
    group_parts,
    is_nameless,
    key_name,
    make_key,
    mask_fields,
    render,
)

_LARGEST_ID = 2**16 - 1
# View stages that choose, order or describe samples but leave their labels as they are.
_SAMPLE_STAGES = (
    fos.Exclude,
    fos.ExcludeBy,
    fos.Exists,
    fos.Limit,
    fos.Match,
    fos.MatchTags,
    fos.Select,
    fos.SelectBy,
    fos.SelectGroupSlices,
    fos.Shuffle,
    fos.Skip,
    fos.SortBy,
    fos.Take,
)


class OutOfTime(Exception):
    """The time for looking at a video's labels is over."""


@dataclass
class VideoPrompts:
    """The masks that start the objects of one video."""

    objects: dict[int, TrackedObject] = field(default_factory=dict)
    """Object id -> the object."""
    masks: dict[int, dict[int, BoolMask]] = field(default_factory=dict)
    """Frame number (from 1) -> object id -> mask (H, W)."""
    without_mask: list[str] = field(default_factory=list)
    """Names of the objects that were found, but in no frame with a mask."""

    def by_index(self) -> dict[int, dict[int, BoolMask]]:
        """The masks by 0-based frame, as ``hs2s_core`` counts."""
        return {number - 1: masks for number, masks in self.masks.items()}


def visible_labels(
    samples: SampleCollection, sample_id: str, prompt_field: str
) -> set[ObjectId] | None:
    """Ids of the prompt labels that a view leaves visible in a sample; None means all of them.

    So a view filtered to one class propagates that class only.
    """
    if not isinstance(samples, fo.DatasetView):
        return None
    if all(isinstance(stage, _SAMPLE_STAGES) for stage in samples._stages):
        return None
    label_type = mask_fields(samples._dataset)[prompt_field]
    items = "" if issubclass(label_type, fo.Segmentation) else f".{label_type._LABEL_LIST_FIELD}"
    path = f"frames.{prompt_field}{items}._id"
    return set(samples.select(sample_id).values(path, unwind=True))


def read_prompts(
    sample: fo.Sample,
    prompt_field: str,
    size: Size,
    *,
    visible: Collection[ObjectId] | None = None,
    deadline: float | None = None,
) -> VideoPrompts:
    """Read the default prompts of a video: each object's mask in the first frame that has one.

    Labels belong to the same object when they share ``index``, else ``instance``; a value of a
    ``Segmentation`` is an index. Labels with neither cannot be followed from frame to frame, so
    of those only the first frame's count.

    ``size`` is the (H, W) of the video frame, ``visible`` the ids of the labels to consider
    (None: all). Only frames in which an object appears first are loaded. Raises InvalidMask,
    naming frame and object, if a mask is unreadable, empty, or made for another frame size; and
    OutOfTime when it is later than ``deadline`` (``time.monotonic()``) before the last is read.
    """
    reader = _Reader(sample, prompt_field, visible, deadline)
    ids = _Ids()
    missing: dict[Key, str] = {}
    prompts = VideoPrompts()
    found: dict[Key, int] = {}
    for number in reader.frames_to_load(found):
        for key, parts in reader.load(number).items():
            if key in found or not reader.counts(key, number):
                continue
            name = f"{key_name(key)} in frame {number}"
            mask = render(parts, size, name)
            if mask is None:
                missing[key] = key_name(key)
                continue
            missing.pop(key, None)
            known = _describe(ids.assign(key, reader.indexes), key, parts[0], reader.targets)
            found[key] = known.object_id
            prompts.objects[known.object_id] = known
            frame = prompts.masks.setdefault(number, {})
            frame[known.object_id] = check_prompt(mask, size, name=name)
    prompts.without_mask = sorted(missing.values())
    return prompts


class _Reader:
    """The labels of one field of one video, read straight from the frames in the database.

    ``sample.frames`` would keep every frame it returns until the next save, with all its other
    labels; a long annotated video would not fit.
    """

    def __init__(
        self,
        sample: fo.Sample,
        prompt_field: str,
        visible: Collection[ObjectId] | None,
        deadline: float | None = None,
    ) -> None:
        dataset = sample.dataset
        self._frames = dataset._frame_collection
        self._video = ObjectId(sample.id)
        self._field = prompt_field
        self._type = mask_fields(dataset)[prompt_field]
        self._items = getattr(self._type, "_LABEL_LIST_FIELD", "")
        self._visible = visible
        self._deadline = deadline
        self._first_nameless: int | None = None
        self.indexes: set[int] = set()
        self.targets: Mapping[int, str] = (
            dataset.mask_targets.get(f"frames.{prompt_field}")
            or dataset.mask_targets.get(prompt_field)
            or dataset.default_mask_targets
            or {}
        )

    def frames_to_load(self, found: Collection[Key]) -> Iterator[int]:
        """Numbers of the frames that may hold an object not yet in ``found``, ascending."""
        if issubclass(self._type, fo.Segmentation):
            # Which values a segmentation holds is only known by looking.
            yield from (number for number, _ in self._scan({}))
            return
        items = f"{self._field}.{self._items}"
        shown = {f"{items}.{name}": 1 for name in ("_id", "index", "instance._id")}
        self.indexes = {
            key for _, keys in self._scan(shown) for key in keys if isinstance(key, int)
        }
        for number, keys in self._scan(shown):
            if self._first_nameless is None and any(is_nameless(key) for key in keys):
                self._first_nameless = number
            if any(key not in found and self.counts(key, number) for key in keys):
                yield number

    def counts(self, key: Key, number: int) -> bool:
        """Whether a label with this key in this frame can start an object."""
        return not is_nameless(key) or number == self._first_nameless

    def load(self, number: int) -> dict[Key, list[Any]]:
        """The parts of each object in one frame."""
        query = {"_sample_id": self._video, "frame_number": number}
        document = self._frames.find_one(query, {self._field: 1})
        try:
            return group_parts(self._type.from_dict(document[self._field]), self._visible)
        except InvalidMask as error:
            raise InvalidMask(f"frame {number}: {error}") from error

    def _scan(self, shown: dict[str, int]) -> Iterator[tuple[int, list[Key]]]:
        """Numbers of the labelled frames, and the keys of their labels as far as ``shown``."""
        query = {"_sample_id": self._video, self._field: {"$ne": None}}
        cursor = self._frames.find(query, {"frame_number": 1, **shown})
        for document in cursor.sort("frame_number"):
            if self._deadline is not None and time.monotonic() > self._deadline:
                raise OutOfTime
            labels = document.get(self._field, {}).get(self._items, [])
            yield (
                document["frame_number"],
                [
                    make_key(label.get("index"), (label.get("instance") or {}).get("_id"), place)
                    for place, label in enumerate(labels)
                    if self._visible is None or label["_id"] in self._visible
                ],
            )


class _Ids:
    """Object ids: the label's own index where possible, else the smallest that is free."""

    def __init__(self) -> None:
        self._taken: set[int] = set()

    def assign(self, key: Key, indexes: Collection[int]) -> int:
        """The id for ``key``; ``indexes`` are those that other objects of the video claim."""
        if isinstance(key, int) and 0 < key <= _LARGEST_ID:
            chosen = key
        else:
            chosen = next(n for n in range(1, _LARGEST_ID + 1) if self._free(n, indexes))
        self._taken.add(chosen)
        return chosen

    def _free(self, number: int, indexes: Collection[int]) -> bool:
        return number not in self._taken and number not in indexes


def _describe(object_id: int, key: Key, part: Any, targets: Mapping[int, str]) -> TrackedObject:
    index = key if isinstance(key, int) else object_id
    if isinstance(part, np.ndarray):  # a value of a Segmentation
        return TrackedObject(object_id, index, targets.get(index), fo.Instance())
    instance = getattr(part, "instance", None) or fo.Instance()
    return TrackedObject(object_id, index, part.label, instance)
