"""Frame fields: added, their names, which hold masks, which have labels, which is the truth."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import fiftyone as fo
from bson import ObjectId
from fiftyone.core.collections import SampleCollection

from hs2s_core.checked.calls import checked_call

from ..videos.collection import source_info

FIELD_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
TAKEN = frozenset(
    {
        *("id", "sample_id", "frame_number", "created_at", "last_modified_at"),
        *("filepath", "frame_name", "image_id"),
    }
)
"""Frame fields that mean something to FiftyOne, or here, whether a dataset has them or not."""
MASK_TYPES: tuple[type[fo.Label], ...] = (
    fo.Detections,
    fo.Detection,
    fo.Polylines,
    fo.Polyline,
    fo.Segmentation,
)
POINT_TYPES: tuple[type[fo.Label], ...] = (fo.Keypoints, fo.Keypoint)
"""Labels that say where objects are, and never have masks."""

CORRECTED = "corrected"
"""Attribute of every label that a run wrote or took over: whether it is a person's."""


def add_fields(
    dataset: fo.Dataset,
    samples: Mapping[str, fo.Field] | None = None,
    frames: Mapping[str, fo.Field] | None = None,
) -> None:
    """Add fields of samples and of frames, by path; those that exist stay as they are.

    In one step each, because FiftyOne reads and writes the whole schema at every one.
    """
    new_samples, new_frames = (
        {path: field for path, field in (fields or {}).items() if not dataset.get_field(at + path)}
        for at, fields in (("", samples), ("frames.", frames))
    )
    for field in (*new_samples.values(), *new_frames.values()):
        # As FiftyOne's own helpers make them: otherwise the session that made a field could save
        # no sample, frame or label that lacks a value.
        field.null = True
    dataset._merge_sample_field_schema(new_samples)
    if new_frames:
        dataset._merge_frame_field_schema(new_frames)


def add_detections(samples: SampleCollection, name: str) -> None:
    """A frame field for masks, where there is none yet."""
    add_fields(samples._dataset, frames={name: fo.EmbeddedDocumentField(fo.Detections)})


@checked_call
def bare(path: str) -> str:
    """A frame field as it is called below a frame; users write it with and without ``frames.``."""
    return path.removeprefix("frames.")


def mask_fields(samples: SampleCollection) -> dict[str, type[fo.Label]]:
    """Frame-level fields whose labels can hold masks, with the type of their labels."""
    return _fields(samples, MASK_TYPES)


def prompt_fields(samples: SampleCollection) -> dict[str, type[fo.Label]]:
    """Those, and the fields of points, of which masks can be made."""
    return _fields(samples, MASK_TYPES + POINT_TYPES)


def _fields(
    samples: SampleCollection, kinds: tuple[type[fo.Label], ...]
) -> dict[str, type[fo.Label]]:
    schema = samples.get_frame_field_schema(ftype=fo.EmbeddedDocumentField) or {}
    return {
        name: entry.document_type
        for name, entry in schema.items()
        if issubclass(entry.document_type, kinds)
    }


def mask_field_error(samples: SampleCollection, name: str) -> str | None:
    """Why no masks can be read from a frame field; None if they can."""
    known = mask_fields(samples)
    if name in known:
        return None
    if name in mask_fields(samples._dataset):
        return f"the view hides the frame field {name!r}; expected one that shows it"
    return (
        f"{name!r} is not a frame field that can hold masks; expected one of "
        f"{', '.join(sorted(known)) or 'none, as there is no such field'}"
    )


def name_error(name: str) -> str | None:
    """Why a field cannot have this name; None if it can."""
    if not FIELD_NAME.fullmatch(name):
        return f"{name!r} is no field name; expected letters, digits and _, a letter first"
    if name in TAKEN:
        return f"{name!r} cannot hold labels; choose a name other than {', '.join(sorted(TAKEN))}"
    return None


def kind_error(samples: SampleCollection, name: str) -> str | None:
    """Why a frame field cannot be one of Detections; None if it can, or is one."""
    present = samples._dataset.get_frame_field_schema(include_private=True).get(name)
    if present is None:
        return name_error(name)
    if getattr(present, "document_type", None) is fo.Detections:
        return name_error(name) or read_only_error(samples, name)
    return f"the frame field {name!r} exists and does not hold Detections; choose another"


def read_only_error(samples: SampleCollection, name: str) -> str | None:
    """Why nothing may be written into the labels of a frame field; None if it may."""
    present = samples._dataset.get_field(f"frames.{name}")
    if present is None or not present.read_only:
        return None
    return (
        f"the frame field {name!r} is read-only; choose another, or unlock it: "
        f'field = dataset.get_field("frames.{name}"); field.read_only = False; field.save()'
    )


def output_error(samples: SampleCollection, name: str) -> str | None:
    """Why no masks may be written to a frame field, whatever labels it has; None if they may."""
    if is_ground_truth(samples, name):
        return f"{name!r} holds the dataset's ground truth, which is never overwritten"
    return kind_error(samples, name)


def label_list(samples: SampleCollection, name: str) -> str | None:
    """Path below a frame of a field's list of labels; None for single labels, which are in none."""
    entry = samples._dataset.get_frame_field_schema().get(name)
    items = getattr(getattr(entry, "document_type", None), "_LABEL_LIST_FIELD", None)
    return None if items is None else f"{name}.{items}"


def has_labels(
    samples: SampleCollection,
    path: str,
    sample_id: str | None = None,
    span: tuple[int, int] | None = None,
    *,
    at_most: int | None = None,
) -> bool:
    """Whether any frame, or any of one video, has labels in a frame field.

    ``span`` is the first and last number of the frames to look at; None: all. Of a dataset,
    ``at_most`` bounds how many frames are looked at from each of its ends, as a form must answer
    quickly.
    """
    dataset, query = samples._dataset, {path: {"$ne": None}}
    return dataset.has_frame_field(path) and any_frame(
        dataset, query, at_most, sample_id=sample_id, span=span
    )


def any_frame(
    dataset: fo.Dataset,
    query: Mapping[str, Any],
    at_most: int | None = None,
    *,
    sample_id: str | None = None,
    span: tuple[int, int] | None = None,
) -> bool:
    """Whether the database has a frame like this; see :func:`has_labels` for where."""
    frames, query = dataset._frame_collection, dict(query)
    if sample_id is not None:
        query["_sample_id"] = ObjectId(sample_id)
    if span is not None:
        query["frame_number"] = {"$gte": span[0], "$lte": span[1]}
    if at_most is None:
        return frames.find_one(query, {"_id": 1}) is not None
    stages = [{"$limit": at_most}, {"$match": query}, {"$limit": 1}, {"$project": {"_id": 1}}]
    return any(list(frames.aggregate(stages, hint={"$natural": way})) for way in (1, -1))


def is_ground_truth(samples: SampleCollection, field: str) -> bool:
    """Whether the dataset was loaded with its annotations in this frame field."""
    return source_info(samples).get("label_field") == field


def is_output(samples: SampleCollection, field: str) -> bool:
    """Whether "Propagate masks" wrote a frame field."""
    return bool(samples._dataset.has_sample_field(f"{field}_status"))


def given_labels(items: str) -> dict[str, Any]:
    """Query of the frames with a mask in ``items``, a list of labels, that a person made.

    That is one that was drawn, put right, or given to a run: not one made of a box or points.
    """
    given = {"distance": 0, "origin": {"$nin": ["box", "points"]}}
    return {items: {"$elemMatch": {"$or": [{CORRECTED: True}, {"keyframe": True}, given]}}}
