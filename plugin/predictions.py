"""Folders of palettised masks -> predictions in a dataset: the inverse of :mod:`.export`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fiftyone as fo
import numpy as np
from bson import ObjectId
from fiftyone.core.collections import SampleCollection
from pymongo import UpdateOne

from hs2s_core.data.folders import find_annotations
from hs2s_core.errors import HS2SError, InvalidDataset, InvalidMask
from hs2s_core.media.masks import list_masks, object_ids, read_id_map
from hs2s_core.wording import counted

from .checks import Problem, describe, is_ground_truth
from .identities import Identities
from .labels import (
    LabelField,
    TrackedObject,
    existing_instance,
    mask_fields,
    read_documents,
    to_detections,
)
from .masks import Size
from .progress import Progress, Steps, drive
from .videos import frame_count, mask_sizes, select_videos, video_names, videos_of
from .writer import FrameWriter

__all__ = ["ReadSummary", "read_predictions"]

_NO_LABEL = "object"

Packed = dict[int, dict[str, Any]]
"""Labels by frame number (from 1), as the database has them: a mask takes about a kilobyte."""


@dataclass
class ReadSummary:
    """What was read into a dataset."""

    output_field: str
    videos: list[str] = field(default_factory=list)
    frames: int = 0
    failed: list[Problem] = field(default_factory=list)
    """Each video that could not be read, and why; what the field held of it is still there."""
    unknown: list[str] = field(default_factory=list)
    """Videos of the folder that the dataset does not have."""

    def __str__(self) -> str:
        what = f"{counted(len(self.videos), 'video')}, {counted(self.frames, 'frame')}"
        lines = [f"{what} -> frames.{self.output_field}"]
        if self.unknown:
            lines.append(f"  not in the dataset: {', '.join(self.unknown)}")
        return "\n".join(lines + [f"  not read: {problem}" for problem in self.failed])


def read_predictions(
    dataset: SampleCollection,
    folder: str | Path,
    field: str,
    *,
    truth_field: str | None = None,
    overwrite: bool = False,
    progress: bool | Callable[[Progress], object] | None = None,
) -> ReadSummary:
    """Read masks of any method into a frame field, as labels with ``index`` and ``instance``.

    Videos are found by ``video_id``, else by the stem of their file; frames by ``frame_name``,
    else by their number from 0. Videos without a folder, and frames without a file, are left alone.

    Args:
        dataset: a dataset or view of videos.
        folder: ``<video>/<frame>.png``, ``Annotations/<video>/<frame>.png`` or DAVIS's
            ``Annotations/480p``: one id map a frame, of the size of the source frames.
        field: frame field to write.
        truth_field: frame field whose labels lend class and instance to the objects of the same
            ``index``; without it, or where it lacks an object, the class is "object".
        overwrite: replace what the field holds of the videos that are in the folder. A video whose
            files cannot all be read keeps its labels. The field of the ground truth with which the
            dataset was loaded is never written.
        progress: True or False for a progress bar, or a function that is called with Progress.

    Raises:
        HS2SError: before anything is written, if folder or fields cannot be used.
    """
    steps = run(dataset, folder, field, truth_field=truth_field, overwrite=overwrite)
    return drive(steps, progress)


def run(
    samples: SampleCollection,
    folder: str | Path,
    field: str,
    *,
    truth_field: str | None = None,
    overwrite: bool = False,
) -> Steps[ReadSummary]:
    """Like :func:`read_predictions`, step by step."""
    samples = videos_of(samples)
    field = field.removeprefix("frames.")
    truth = None if truth_field is None else truth_field.removeprefix("frames.")
    _check_fields(samples, field, truth, overwrite)
    folders = find_annotations(Path(folder).expanduser())
    names = video_names(samples)
    todo = {sample_id: name for sample_id, name in names.items() if name in folders}
    if not todo:
        raise InvalidDataset(
            f"{folder}: none of its {counted(len(folders), 'video')} (such as "
            f"{next(iter(folders))}) is in the dataset, whose videos are called like "
            f"{next(iter(names.values()), 'nothing')}."
        )
    summary = ReadSummary(field, unknown=sorted(set(folders) - set(names.values())))
    for place, (sample_id, name) in enumerate(todo.items()):
        yield Progress(place / len(todo), f"{place + 1}/{len(todo)} {name}")
        try:
            labels = _read_video(samples, sample_id, folders[name], truth)
            _replace(samples, sample_id, field, labels)
        except Exception as error:  # the other videos must not suffer
            summary.failed.append(Problem(sample_id, name, describe(error)))
        else:
            summary.videos.append(name)
            summary.frames += len(labels)
    yield Progress(1.0, "Finished")
    return summary


def _check_fields(
    samples: SampleCollection, field: str, truth: str | None, overwrite: bool
) -> None:
    dataset = samples._dataset
    known = mask_fields(dataset)
    if truth is not None and truth not in known:
        raise HS2SError(
            f"truth_field: {truth!r} is not a frame field that can hold masks; expected one of "
            f"{', '.join(sorted(known)) or 'none, as there is no such field'}."
        )
    if not field.isidentifier() or field.startswith("_"):
        raise HS2SError(f"{field!r} is no field name; expected letters, digits and _.")
    if field == truth:
        raise HS2SError("the predictions must go to another field than the truth.")
    if is_ground_truth(samples, field):
        raise HS2SError(
            f"the frame field {field!r} holds the dataset's ground truth, which is never "
            "overwritten; choose another field."
        )
    if not dataset.has_frame_field(field):
        return
    if known.get(field) is not fo.Detections:
        raise HS2SError(f"the frame field {field!r} does not hold Detections; choose another.")
    ids = [ObjectId(sample_id) for sample_id in samples.values("id")]
    query = {"_sample_id": {"$in": ids}, field: {"$ne": None}}
    if not overwrite and dataset._frame_collection.find_one(query, {"_id": 1}) is not None:
        raise HS2SError(
            f"the frame field {field!r} holds labels already; choose another field, or overwrite."
        )


def _read_video(
    samples: SampleCollection, sample_id: str, folder: Path, truth: str | None
) -> Packed:
    """Read all files of one video; nothing is written."""
    video_size, source_size, _ = mask_sizes(samples, sample_id)
    numbers = _frame_numbers(samples, sample_id)
    total = frame_count(samples, sample_id)
    known = {} if truth is None else _known_objects(samples, sample_id, truth)
    objects: dict[int, TrackedObject] = {}
    labels: Packed = {}
    for file in list_masks(folder):
        number = _frame_number(file, numbers, total)
        if number in labels:
            raise InvalidDataset(
                f"{file}: another file has the same number; expected one mask a frame. Remove one."
            )
        id_map = _fit(read_id_map(file), file, video_size, source_size)
        for object_id in object_ids(id_map):
            if object_id not in objects:
                new = TrackedObject(object_id, object_id, _NO_LABEL, fo.Instance())
                objects[object_id] = known.get(object_id, new)
        labels[number] = to_detections(id_map, objects).to_dict()
    return labels


def _replace(samples: SampleCollection, sample_id: str, field: str, labels: Packed) -> None:
    """Put labels in the place of all that a video has in a field, or leave it as it was."""
    dataset = samples._dataset
    if not dataset.has_frame_field(field):
        dataset.add_frame_field(field, fo.EmbeddedDocumentField, embedded_doc_type=fo.Detections)
    sample = dataset[sample_id]
    view = select_videos(samples, sample_id)
    before = list(read_documents(samples, sample_id, [field], annotated=field))
    try:
        view.clear_frame_field(field)
        writer = FrameWriter(sample, field)
        for number, content in labels.items():
            writer.add(number, fo.Detections.from_dict(content))
        writer.flush()
    except BaseException:
        sample.reload()  # forgets what was not saved
        view.clear_frame_field(field)
        if before:
            updates = [
                UpdateOne({"_id": old["_id"]}, {"$set": {field: old[field]}}) for old in before
            ]
            dataset._bulk_write(updates, ids=[old["_id"] for old in before], frames=True)
        raise


def _frame_numbers(samples: SampleCollection, sample_id: str) -> dict[str, int]:
    """Number of each frame that has a name, by that name."""
    documents = read_documents(samples, sample_id, ["frame_name"])
    named = ((entry.get("frame_name"), entry["frame_number"]) for entry in documents)
    return {name: number for name, number in named if name}


def _frame_number(file: Path, numbers: Mapping[str, int], total: int | None) -> int:
    if file.stem in numbers:
        return numbers[file.stem]
    if numbers or not (file.stem.isascii() and file.stem.isdigit()):
        expected = "the names in `frame_name`" if numbers else "numbers from 00000"
        raise InvalidDataset(
            f"{file}: the video has no frame of this name; expected {expected}. Name the masks "
            "like the frames they belong to."
        )
    number = int(file.stem) + 1
    if total is not None and number > total:
        raise InvalidDataset(
            f"{file}: the video has only {counted(total, 'frame')}; expected numbers from 00000 to "
            f"{total - 1:05d}. Name the masks by the frames they belong to, counted from 0."
        )
    return number


def _fit(id_map: np.ndarray, file: Path, video_size: Size, source_size: Size) -> np.ndarray:
    """Extend an id map of the source frames to the video, which may have a row or column more."""
    if id_map.shape not in (source_size, video_size):
        raise InvalidMask(
            f"{file}: the mask is {id_map.shape[1]}x{id_map.shape[0]} pixels (width x height), the "
            f"frames are {source_size[1]}x{source_size[0]}; expected the same. Save the masks at "
            "the size of the frames."
        )
    return np.pad(
        id_map, [(0, want - have) for want, have in zip(video_size, id_map.shape, strict=True)]
    )


def _known_objects(
    samples: SampleCollection, sample_id: str, truth: str
) -> dict[int, TrackedObject]:
    """Class and instance of the objects that a field has labels of, by index."""
    known = LabelField.of(samples, truth)
    if known.items is None:
        return {
            index: TrackedObject(index, index, label, fo.Instance())
            for index, label in known.targets.items()
        }
    identities = Identities(known.marks(samples, sample_id))
    found: dict[int, TrackedObject] = {}
    for _, parts in known.frames(samples, sample_id):
        for part in parts:
            object_id = identities.find(part.mark)
            if object_id is not None and object_id not in found:
                found[object_id] = TrackedObject(
                    object_id,
                    identities.index(object_id),
                    part.mark.label,
                    existing_instance(part.mark.instance),
                )
    return found
