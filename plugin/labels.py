"""FiftyOne labels <-> masks: the only place that knows both.

Frame-level labels are read as one binary mask per *object*: a ``Detection`` with a mask (in the
database or on disk), a filled ``Polyline``, or one value of a ``Segmentation``. They are written
as ``Detections`` with one ``Detection`` per visible object.

Masks are numpy arrays (H, W) over the whole video frame, sizes are (H, W) in pixels, frame
numbers are FiftyOne's: the first is 1.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import fiftyone as fo
import numpy as np
import numpy.typing as npt
from fiftyone.core.collections import SampleCollection

from hs2s_core.errors import InvalidMask
from hs2s_core.media.masks import check_prompt, object_ids, read_id_map

BoolMask = npt.NDArray[np.bool_]
Size = tuple[int, int]
Key = int | str | tuple[str, int]
"""What identifies an object in its video: ``index``, the id of its ``instance``, or, when a
label has neither, its place among the labels of one frame (see ``is_nameless``)."""

MASK_TYPES: tuple[type[fo.Label], ...] = (fo.Detections, fo.Polylines, fo.Segmentation)
VOID = 255
"""Value of a Segmentation that belongs to no object, unless it is the only one."""


@dataclass(frozen=True)
class TrackedObject:
    """One object of a video: what all its labels share."""

    object_id: int
    """Positive, unique in the video; equals ``index`` where that is positive."""
    index: int
    """The ``index`` of its labels."""
    label: str | None
    instance: fo.Instance


def mask_fields(samples: SampleCollection) -> dict[str, type[fo.Label]]:
    """Frame-level fields whose labels can hold masks, with the type of their labels."""
    schema = samples.get_frame_field_schema(ftype=fo.EmbeddedDocumentField) or {}
    return {
        name: entry.document_type
        for name, entry in schema.items()
        if issubclass(entry.document_type, MASK_TYPES)
    }


def frame_masks(label: fo.Label | None, size: Size) -> dict[int, BoolMask]:
    """Masks (H, W) of one frame's label by ``index``, of any of ``MASK_TYPES``.

    Labels without an index or a mask are left out. Raises InvalidMask if a mask is unreadable or
    was made for another frame size.
    """
    masks: dict[int, BoolMask] = {}
    for key, parts in group_parts(label).items():
        if isinstance(key, int):
            mask = render(parts, size, key_name(key))
            if mask is not None:
                masks[key] = mask
    return masks


def make_key(index: int | None, instance_id: object | None, place: int) -> Key:
    """The key of a label with this ``index`` and instance id at this place in its frame."""
    if index is not None:
        return int(index)
    return str(instance_id) if instance_id is not None else ("place", place)


def is_nameless(key: Key) -> bool:
    """Whether nothing tells which labels of other frames show the same object."""
    return isinstance(key, tuple)


def key_name(key: Key) -> str:
    """What to call an object in a message."""
    if isinstance(key, tuple):
        return f"label number {key[1] + 1}"
    return f"object {key}" if isinstance(key, int) else f"instance {key}"


def group_parts(
    label: fo.Label | None, visible: Collection[object] | None = None
) -> dict[Key, list[Any]]:
    """The labels, or masks of a Segmentation, that make up each object in one frame.

    ``visible`` holds the ids (ObjectId) of the labels to consider, None for all.
    """
    if label is None or (isinstance(label, fo.Segmentation) and _hidden(label, visible)):
        return {}
    if isinstance(label, fo.Segmentation):
        return {index: [mask] for index, mask in _segmentation_masks(label).items()}
    groups: dict[Key, list[Any]] = {}
    for place, item in enumerate(label[label._LABEL_LIST_FIELD]):
        if not _hidden(item, visible):
            groups.setdefault(make_key(item.index, item.instance_id, place), []).append(item)
    return groups


def render(parts: Iterable[Any], size: Size, name: str) -> BoolMask | None:
    """Union (H, W) of an object's parts in one frame; None if it only has boxes there."""
    masks = [mask for mask in (_render(part, size, name) for part in parts) if mask is not None]
    return np.logical_or.reduce(masks) if masks else None


def paste(box: Iterable[float], mask: npt.NDArray[Any], size: Size, name: str = "mask") -> BoolMask:
    """Place the mask (h, w) of a bounding box ``[x, y, w, h]`` (relative) into a frame (H, W).

    FiftyOne's own conversion shifts some masks by a pixel; rounding the corner, as here, returns
    exactly what ``fo.Detection.from_mask`` was given. What lies outside the frame is cut off.
    Raises InvalidMask when the mask's size is not that of its box, as happens when it was made at
    another resolution.
    """
    height, width = size
    left, top, box_width, box_height = (float(value) for value in box)
    mask = np.asarray(mask)
    if mask.ndim != 2:
        raise InvalidMask(f"{name}: the mask has shape {mask.shape}; expected (height, width).")
    expected = (box_height * height, box_width * width)
    # Tools round the corners of a box outwards or inwards: up to a pixel at each of its sides.
    if any(abs(found - want) > 2 for found, want in zip(mask.shape, expected, strict=True)):
        raise InvalidMask(
            f"{name}: the mask is {mask.shape[1]}x{mask.shape[0]} pixels (width x height), but its "
            f"box covers {expected[1]:.0f}x{expected[0]:.0f} of the {width}x{height} video: mask "
            "and video differ in size. Make the mask at the video's size."
        )
    full = np.zeros(size, dtype=np.bool_)
    x, y = round(left * width), round(top * height)
    # Of a box that reaches beyond the frame, what is outside is cut off at every side.
    mask = mask[max(0, -y) :, max(0, -x) :]
    x, y = max(0, x), max(0, y)
    part = full[y : y + mask.shape[0], x : x + mask.shape[1]]
    part[:] = mask[: part.shape[0], : part.shape[1]] > 0
    return full


def to_detections(
    id_map: npt.NDArray[Any],
    objects: Mapping[int, TrackedObject],
    scores: Mapping[int, float] | None = None,
) -> fo.Detections:
    """One Detection per object visible in ``id_map`` (H, W); absent objects have none.

    ``scores`` are confidences in [0, 1] by object id. Every object of the id map must be known.
    """
    height, width = id_map.shape
    detections = []
    for object_id in object_ids(id_map):
        mask = id_map == object_id
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        top, left = int(rows[0]), int(columns[0])
        # Copied: a view would keep a whole frame alive for each small object.
        crop = np.ascontiguousarray(mask[top : rows[-1] + 1, left : columns[-1] + 1])
        box = [left / width, top / height, crop.shape[1] / width, crop.shape[0] / height]
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
        detections.append(detection)
    return fo.Detections(detections=detections)


def _hidden(label: fo.Label, visible: Collection[object] | None) -> bool:
    return visible is not None and label._id not in visible


def _render(part: Any, size: Size, name: str) -> BoolMask | None:
    if isinstance(part, np.ndarray):
        return check_prompt(part, size, name=name)
    if isinstance(part, fo.Polyline):
        return _fill(part, size)
    mask = part.mask if part.mask is not None else _mask_file(part.mask_path, name)
    return None if mask is None else paste(part.bounding_box, mask, size, name)


def _fill(polyline: fo.Polyline, size: Size) -> BoolMask | None:
    """Fill closed shapes; where two overlap is a hole, as FiftyOne draws it."""
    if not (polyline.filled or polyline.closed):
        return None
    height, width = size
    shapes = [
        np.rint(np.asarray(shape, dtype=np.float64) * (width, height)).astype(np.int32)
        for shape in polyline.points
        if len(shape) >= 3
    ]
    canvas = np.zeros(size, dtype=np.uint8)
    if shapes:
        cv2.fillPoly(canvas, shapes, 1)
    return canvas.astype(np.bool_)


def _mask_file(path: str | None, name: str) -> npt.NDArray[Any] | None:
    """A mask on disk; FiftyOne's own reader would turn a palette into colours."""
    if path is None:
        return None
    try:
        return read_id_map(path, void=None)
    except InvalidMask as error:
        raise InvalidMask(f"{name}: {error}") from error


def _segmentation_masks(label: fo.Segmentation) -> dict[int, BoolMask]:
    values = label.mask if label.mask is not None else _mask_file(label.mask_path, "segmentation")
    if values is None:
        return {}
    if values.ndim != 2 or values.dtype.kind not in "bui":
        raise InvalidMask(
            f"the segmentation has shape {values.shape} and type {values.dtype}; expected one "
            "integer per pixel. Turn colours into object ids first."
        )
    if values.dtype.kind == "b":
        values = values.astype(np.uint8)
    ids = object_ids(values)
    if ids == [VOID]:  # black and white, rather than nothing but void
        return {1: values == VOID}
    return {value: values == value for value in ids if value != VOID}
