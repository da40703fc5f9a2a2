"""Finds the masks that a video's objects are given by among its frame labels."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import fiftyone as fo
import numpy as np
from bson import ObjectId
from fiftyone.core.collections import SampleCollection

from hs2s_core.errors import check_choice
from hs2s_core.media.masks import check_prompt
from hs2s_core.prompts import POLICIES, Prompt, Prompts
from hs2s_core.prompts.hints import Hint

from ..videos.collection import shows_all_labels
from .conversion import LabelField, LabelPart, TrackedObject, existing_instance, read_documents
from .frame_fields import label_list
from .identities import Identities, Mark
from .masks import Size

NO_MASKS = "boxes, points or lines, which are no masks"
"""What objects without a mask have."""
OR_MADE = "or have one made of its box or points (hints=True; 'Make masks of boxes and points')"
"""What else than drawing its mask lets an object be followed."""


class OutOfTime(Exception):
    """The time for looking at a video's labels is over."""


@dataclass(frozen=True)
class Hinted:
    """An object that has no mask, where it is first boxed or pointed at."""

    name: str
    frame: int
    """0-based."""
    hints: tuple[Hint, ...]
    """Of the parts that it is given by, in pixels of the video."""


@dataclass
class VideoPrompts:
    """The masks by which the objects of one video are given."""

    objects: dict[int, TrackedObject] = field(default_factory=dict)
    """Object id -> the object."""
    masks: Prompts = field(default_factory=Prompts)
    """Their masks (H, W) of the video's size; frames are counted from 0, as ``hs2s_core`` does."""
    hinted: dict[int, Hinted] = field(default_factory=dict)
    """Objects without a mask, by id, of which one is to be made."""
    without_mask: list[str] = field(default_factory=list)
    """Names of the objects that were found, but in no frame with a mask."""
    remarks: list[str] = field(default_factory=list)
    """What a user should know of labels that do not say clearly which object they show."""
    kept: dict[int, dict[int, list[dict[str, Any]]]] = field(default_factory=dict)
    """Labels of the output field that stay, by frame (from 0) and object id: a person's."""


def visible_labels(
    samples: SampleCollection, sample_id: str, prompt_field: str
) -> set[ObjectId] | None:
    """Ids of the prompt labels that a view leaves visible in a sample; None means all of them.

    So a view filtered to one class propagates that class only.
    """
    if not isinstance(samples, fo.DatasetView) or shows_all_labels(samples):
        return None
    path = f"frames.{label_list(samples, prompt_field) or prompt_field}._id"
    return set(samples.select(sample_id).values(path, unwind=True))


def visible_frames(samples: SampleCollection, sample_id: str) -> set[int] | None:
    """Numbers of the frames that a view leaves visible in a sample; None means all of them."""
    if not isinstance(samples, fo.DatasetView) or shows_all_labels(samples):
        return None
    return set(samples.select(sample_id).values("frames.frame_number", unwind=True))


def read_prompts(
    sample: fo.Sample,
    prompt_field: str,
    size: Size,
    *,
    policy: str = "all",
    visible: Collection[ObjectId] | None = None,
    span: tuple[int, int] | None = None,
    hints: bool = False,
    deadline: float | None = None,
) -> VideoPrompts:
    """Read the prompts of a video: the masks by which its objects are given.

    Which labels are one object is told by :class:`Identities`. Boxes, as the App writes them into
    the frames after a drawn mask, are no prompts, nor are copies of a label that a person drew in
    another frame (see ``LabelPart.keyframe``). Labels of a list that have neither index nor
    instance cannot be followed from frame to frame, so of those only the first frame's count.

    Args:
        sample: a video.
        prompt_field: frame field, without ``frames.``.
        size: (H, W) of the video frame.
        policy: one of ``POLICIES``; only frames that it needs are loaded.
        visible: ids of the labels to consider; None: all.
        span: first and last number of the frames to consider; None: all.
        hints: whether objects that have only boxes or points are given by the first of them.
        deadline: ``time.monotonic()`` at which to stop.

    Raises:
        InvalidMask: naming frame and object, if a mask is unreadable, empty, or cannot be one of
            this frame.
        OutOfTime: it is later than ``deadline`` before the last is read.
    """
    check_choice("policy", policy, POLICIES)
    return _Reader(sample, prompt_field, size, policy, visible, span, hints, deadline).read()


Wanted = dict[int, dict[int, list[int]]]
"""Frame number -> object id -> places of its labels."""


@dataclass
class _Reader:
    """Finds the prompts of one field of one video, frame by frame."""

    sample: fo.Sample
    prompt_field: str
    size: Size
    policy: str
    visible: Collection[ObjectId] | None
    span: tuple[int, int] | None
    hints: bool
    deadline: float | None

    def __post_init__(self) -> None:
        self._field = LabelField.of(self.sample.dataset, self.prompt_field)
        self._identities = Identities()
        self._missing: dict[int, str] = {}
        self._unseen: dict[int, str] = {}
        self._hinted: dict[int, tuple[Hinted, LabelPart]] = {}
        self._given: list[Prompt] = []
        self._prompts = VideoPrompts()

    def read(self) -> VideoPrompts:
        """All of them."""
        if self._field.items is None:
            self._read_values()
        else:
            drawn, copied = self._wanted()
            self._read_labels(drawn)
            # An object that was only boxed by a person: any mask of it will do.
            self._read_labels(copied)
        for object_id in self._missing.keys() & self._hinted.keys() if self.hints else ():
            del self._missing[object_id]
            self._prompts.hinted[object_id], part = self._hinted[object_id]
            self._prompts.objects[object_id] = self._describe(object_id, part)
        for object_id in self._unseen.keys() - self._prompts.objects.keys():
            check_prompt(np.zeros(self.size), self.size, name=self._unseen[object_id])
        self._prompts.masks = Prompts(self._given)
        self._prompts.without_mask = sorted(self._missing.values())
        self._prompts.remarks = list(self._identities.remarks())
        if self._missing and self._prompts.objects:
            left_out = ", ".join(self._prompts.without_mask)
            self._prompts.remarks.append(
                f"{left_out} was left out: it has only {NO_MASKS}; draw its mask to have it "
                f"followed{'' if self.hints else f', {OR_MADE}'}."
            )
        return self._prompts

    def _wanted(self) -> tuple[Wanted, Wanted]:
        """Labels that can be prompts, and copies of labels that were drawn in other frames."""
        frames = [(number, list(parts)) for number, parts in self._named_labels()]
        self._identities = Identities([part.mark for part in parts] for _, parts in frames)
        owned = [
            (number, self._identities.add(part.mark), part)
            for number, parts in frames
            for part in parts
        ]
        drawn_by_hand = {object_id for _, object_id, part in owned if part.keyframe}
        # The App says of its copies that they are some, but nothing of what its pen draws.
        told = {object_id for _, object_id, part in owned if part.keyframe is False}
        drawn: Wanted = {}
        copied: Wanted = {}
        for number, object_id, part in owned:
            unmarked = part.keyframe is None and object_id in told
            own = part.keyframe or unmarked or object_id not in drawn_by_hand
            places = (drawn if own else copied).setdefault(number, {}).setdefault(object_id, [])
            places.append(part.place)
        return drawn, copied

    def _named_labels(self) -> Iterator[tuple[int, Iterator[LabelPart]]]:
        """The labels of each frame; nameless ones of the first frame are told apart by place."""
        first = None
        for number, parts in self._field.frames(self.sample.dataset, self.sample.id, self.visible):
            self._check_time()
            if not self._covers(number):
                continue
            if first is None and any(part.mark.is_nameless for part in parts):
                first = number
            yield (
                number,
                (
                    replace(part, mark=Mark(None, ("place", part.place), part.mark.label))
                    if part.mark.is_nameless
                    else part
                    for part in parts
                    if number == first or not part.mark.is_nameless
                ),
            )

    def _read_labels(self, wanted: Wanted) -> None:
        found = set(self._prompts.objects)
        for number, owners in wanted.items():
            open_ids = owners.keys() - (set(self._prompts.objects) if self._first else found)
            if not open_ids:
                continue
            self._check_time()
            query = {"_sample_id": ObjectId(self.sample.id), "frame_number": number}
            document = self.sample.dataset._frame_collection.find_one(query, {self._field.name: 1})
            places = {place for object_id in open_ids for place in owners[object_id]}
            parts = self._field.parts(document, self.size, f"frame {number}", self.visible, places)
            by_place = {part.place: part for part in parts}
            for object_id in sorted(open_ids):
                self._add(number, object_id, [by_place[place] for place in owners[object_id]])

    def _read_values(self) -> None:
        """Of a Segmentation, whose values are only known by looking."""
        names = [self._field.name]
        for document in read_documents(
            self.sample.dataset, self.sample.id, names, annotated=self._field.name
        ):
            self._check_time()
            number = document["frame_number"]
            if not self._covers(number):
                continue
            for part in self._field.parts(document, self.size, f"frame {number}", self.visible):
                object_id = self._identities.add(part.mark)
                if not (self._first and object_id in self._prompts.objects):
                    self._add(number, object_id, [part])

    def _covers(self, number: int) -> bool:
        return self.span is None or self.span[0] <= number <= self.span[1]

    @property
    def _first(self) -> bool:
        return self.policy == "first"

    def _add(self, number: int, object_id: int, parts: list[LabelPart]) -> None:
        """Take what a frame shows of an object: its parts together, if any has a mask."""
        name = f"{_name(parts[0])} in frame {number}"
        masks = [part.mask for part in parts if part.mask is not None]
        if not masks:
            if object_id not in self._prompts.objects:
                self._missing[object_id] = _name(parts[0])
            hints = tuple(part.hint for part in parts if part.hint is not None)
            if hints:
                self._hinted.setdefault(object_id, (Hinted(name, number - 1, hints), parts[0]))
            return
        mask = np.logical_or.reduce(masks)
        if not mask.any():  # said to be out of sight
            self._unseen.setdefault(object_id, name)
            return
        mask = check_prompt(mask, self.size, name=name)
        self._missing.pop(object_id, None)
        self._given.append(Prompt(number - 1, object_id, mask))
        if object_id not in self._prompts.objects:
            self._prompts.objects[object_id] = self._describe(object_id, parts[0])

    def _describe(self, object_id: int, part: LabelPart) -> TrackedObject:
        index = self._identities.index(object_id)
        instance = existing_instance(part.mark.instance, f"{self.sample.id}.{object_id}")
        return TrackedObject(object_id, index, part.mark.label, instance)

    def _check_time(self) -> None:
        if self.deadline is not None and time.monotonic() > self.deadline:
            raise OutOfTime


def _name(part: LabelPart) -> str:
    """What to call the object of a label in a message."""
    instance = part.mark.instance
    if isinstance(instance, tuple) or part.mark.is_nameless:
        return f"label number {part.place + 1}"
    return part.mark.name
