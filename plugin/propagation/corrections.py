"""Labels in the output field that a person put right, told from those that a run wrote.

A run signs what it writes: each label has a ``digest`` of its mask, its box and its object. One
whose digest is missing or wrong is a person's, as is one that was marked as a key frame. It stays
as it is, is ``corrected``, and its mask is a prompt of every later run. So is one that was drawn in
the output field of a video before the first run: the Annotate tab offers that field, too.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import fiftyone as fo
import fiftyone.core.utils as fou
import numpy as np
import numpy.typing as npt
from fiftyone.core.collections import SampleCollection

from hs2s_core.errors import InvalidMask
from hs2s_core.media.masks import BoolMask
from hs2s_core.prompts import LARGEST_ID, Prompt, Prompts

from ..labels.conversion import (
    Document,
    LabelField,
    LabelPart,
    TrackedObject,
    existing_instance,
    mark_of,
    read_documents,
)
from ..labels.frame_fields import CORRECTED, any_frame
from ..labels.identities import Mark
from ..labels.masks import Size, read_instance_mask
from ..labels.prompts import OutOfTime, VideoPrompts

DIGEST = "digest"
"""Attribute of the labels of an output field."""
ATTRIBUTES = {
    CORRECTED: fo.BooleanField,
    "disagreement": fo.FloatField,
    "distance": fo.IntField,
    "origin": fo.StringField,
}
"""What the App can show and filter by, beside the confidence."""
_BY_A_PERSON = {CORRECTED: True, "disagreement": None, "distance": 0, "origin": None}


@dataclass(frozen=True)
class Correction:
    """A label of a person in the output field."""

    frame: int
    """0-based."""
    part: LabelPart
    raw: Document
    """The label as the database has it."""
    beside: tuple[Mark, ...]
    """What the labels of runs in the same frame say of their objects."""


def sign(label: fo.Detection, size: Size) -> None:
    """Note in a label that a run wrote it, before anybody can change it."""
    mark = Mark(label.index, label.instance._id, label.label)
    label[CORRECTED] = False
    label[DIGEST] = "-".join(_digests(label.mask, label.bounding_box, size, mark))


def read_corrections(
    samples: SampleCollection,
    sample_id: str,
    field: str,
    size: Size,
    *,
    deadline: float | None = None,
) -> list[Correction]:
    """The labels of people in an output field of a video of ``size`` (H, W), by frame.

    There are none in videos of which no run signed a label, unless all were drawn in the App: else
    nothing tells who made one. Labels that FiftyOne copied or moved for later frames when somebody
    drew do not count.

    Raises:
        InvalidMask: naming the label, if its mask is unreadable or cannot be one of this frame.
        OutOfTime: it is later than ``deadline`` before the last is read.
    """
    if not _is_signed(samples, field, sample_id) and not is_drawn(samples, field, sample_id):
        return []
    labels = LabelField(field, fo.Detections)
    found = []
    for document in read_documents(samples, sample_id, [field], annotated=field):
        if deadline is not None and time.monotonic() > deadline:
            raise OutOfTime
        rows, number = labels.labels(document), document["frame_number"]
        places = {place for place, raw in enumerate(rows) if _is_a_persons(raw, size)}
        beside = tuple(
            mark_of(raw) for place, raw in enumerate(rows) if place not in places and DIGEST in raw
        )
        for part in labels.parts(document, size, f"frame {number}", places=places):
            found.append(Correction(number - 1, part, rows[part.place], beside))
    return found


def is_drawn(
    samples: SampleCollection, field: str, sample_id: str, span: tuple[int, int] | None = None
) -> bool:
    """Whether all labels of a video in a field were drawn in the App, and none is of a run.

    The App says of a label whether it was drawn in its frame or copied there, but nothing of what
    its pen draws. ``span`` is the first and last number of the frames to look at; None: all.
    """
    if _is_signed(samples, field, sample_id, span):
        return False
    told = {"keyframe": {"$type": "bool"}}
    if not _has(samples, field, sample_id, span, told):  # of another model, as a rule: many labels
        return False
    first, last = span or (1, sys.maxsize)
    shown = LabelField(field, fo.Detections).frames(samples, sample_id)
    parts = [part for number, own in shown if first <= number <= last for part in own]
    copied = {_object(part.mark) for part in parts if part.keyframe is False}
    return bool(parts) and all(
        part.keyframe is not None or _object(part.mark) in copied for part in parts
    )


def adopt(prompts: VideoPrompts, corrections: Iterable[Correction]) -> None:
    """Let corrections count among the prompts, above those of the same object and frame.

    A label shows the object of its instance, else of its index; one that was drawn anew shows the
    only object of its class, unless that is seen in this frame already. Any other is a new object.
    """
    masks: dict[tuple[int, int], BoolMask] = {}
    for each in corrections:
        there = prompts.kept.setdefault(each.frame, {})
        known = _find(prompts.objects, each, there) or _new(prompts.objects, each.part.mark)
        label = {name: value for name, value in each.raw.items() if name != DIGEST}
        label |= {"index": known.index, "instance": known.instance.to_dict(), **_BY_A_PERSON}
        if each.part.mask is not None and each.part.mask.any():
            spot = (each.frame, known.object_id)
            masks[spot] = each.part.mask | masks.get(spot, False)
            # So the App, too, takes it for one, and moves it no more when others are changed.
            label |= {"keyframe": True, "confidence": 1.0}
        there.setdefault(known.object_id, []).append(label)
    rest = (each for each in prompts.masks.each() if (each.frame, each.object_id) not in masks)
    prompts.masks = Prompts([*rest, *(Prompt(*spot, mask) for spot, mask in masks.items())])


def _find(
    objects: Mapping[int, TrackedObject], correction: Correction, there: Collection[int]
) -> TrackedObject | None:
    mark, known = correction.part.mark, list(objects.values())
    same = [each for each in known if each.instance._id == mark.instance]
    if not same and mark.index is not None:
        same = [each for each in known if each.index == mark.index]
        same.sort(key=lambda each: each.label != mark.label)
        if correction.raw.get(CORRECTED):  # one of its own, unless prompts come from elsewhere now
            same = [each for each in same if each.label == mark.label]
    elif not same:
        same = [each for each in known if each.label == mark.label]
        if len(same) > 1 or any(each.object_id in there for each in same):
            return None
        seen = {value for other in correction.beside for value in (other.index, other.instance)}
        same = [each for each in same if not {each.index, each.instance._id} & seen]
    return next(iter(same), None)


def _new(objects: dict[int, TrackedObject], mark: Mark) -> TrackedObject:
    taken = {*objects, *(each.index for each in objects.values())}
    free = (number for number in range(1, LARGEST_ID + 1) if number not in taken)
    index = mark.index
    number = index if index and 0 < index <= LARGEST_ID and index not in taken else next(free)
    objects[number] = TrackedObject(number, number, mark.label, existing_instance(mark.instance))
    return objects[number]


def _is_signed(
    samples: SampleCollection, field: str, sample_id: str, span: tuple[int, int] | None = None
) -> bool:
    """Whether a run wrote, or took over, any label of a video in an output field."""
    signed = {"$or": [{DIGEST: {"$exists": True}}, {CORRECTED: True}]}
    return _has(samples, field, sample_id, span, signed)


def _has(
    samples: SampleCollection,
    field: str,
    sample_id: str,
    span: tuple[int, int] | None,
    label: Mapping[str, Any],
) -> bool:
    """Whether the database has a label like this in a video's field."""
    query = {f"{field}.detections": {"$elemMatch": label}}
    return any_frame(samples._dataset, query, sample_id=sample_id, span=span)


def _object(mark: Mark) -> object:
    return mark.index if mark.instance is None else mark.instance


def _is_a_persons(raw: Document, size: Size) -> bool:
    if raw.get(CORRECTED):
        return True
    copied, signature = raw.get("keyframe") is False, raw.get(DIGEST)
    if signature is None:
        return not copied
    mask = _stored_mask(raw)
    if mask is None:
        return raw.get("mask_path") is not None
    shape, place = _digests(mask, raw["bounding_box"], size, mark_of(raw))
    if copied:  # the App has moved its box
        return bool(shape != signature.partition("-")[0])
    return bool(raw.get("keyframe") or f"{shape}-{place}" != signature)


def _stored_mask(raw: Document) -> npt.NDArray[Any] | None:
    """The mask of a label, which may have been moved to a file; None if there is none to read."""
    mask, path = raw.get("mask"), raw.get("mask_path")
    if mask is not None:
        return fou.deserialize_numpy_array(mask)
    try:
        return None if path is None else read_instance_mask(path, "a label")
    except InvalidMask:
        return None  # told where it is read as a person's


def _digests(
    mask: npt.NDArray[Any], box: Sequence[float], size: Size, mark: Mark
) -> tuple[str, str]:
    """Of the mask of a label, and of its box and object; as exact as pixels, in every encoding."""
    corners = [round(value * size[place % 2 == 0]) for place, value in enumerate(box)]
    return (
        _hash(mask.shape, np.packbits(mask != 0).tobytes()),
        _hash((*corners, *map(str, mark)), b""),
    )


def _hash(values: tuple[object, ...], content: bytes) -> str:
    return blake2b(repr(values).encode() + content, digest_size=8).hexdigest()
