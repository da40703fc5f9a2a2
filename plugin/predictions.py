"""Folders of palettised masks -> predictions in a dataset: the inverse of :mod:`.export`."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import fiftyone as fo
import numpy as np
from bson import ObjectId
from fiftyone.core.collections import SampleCollection

from hs2s_core.checked.calls import checked_call
from hs2s_core.data.folders import find_annotations
from hs2s_core.errors import InvalidDataset, InvalidMask
from hs2s_core.jobs import Done, Item, Steps, Summary, Tick, Watch, Work, require, run_job
from hs2s_core.media.images import find_name
from hs2s_core.media.masks import list_masks, object_ids, read_id_map
from hs2s_core.wording import counted, pixels

from .jobs import FrameWriter, Source, VideoJob, drive, settle_killed
from .labels.conversion import (
    NO_CLASS,
    LabelField,
    TrackedObject,
    existing_instance,
    read_documents,
    to_detections,
)
from .labels.frame_fields import add_detections, any_frame, bare, mask_field_error, output_error
from .labels.identities import Identities
from .labels.masks import extend
from .media import Sizes, frame_count, mask_sizes
from .videos.collection import items_of, videos_of

__all__ = ["ReadSummary", "read_predictions"]


@dataclass
class ReadSummary(Summary):
    """What was read into a dataset."""

    unknown: list[str] = dataclasses.field(default_factory=list)
    """Videos of the folder that the dataset does not have."""

    def remarks(self) -> list[str]:
        """What stands below the first line."""
        unknown = [f"not in the dataset: {', '.join(self.unknown)}"] if self.unknown else []
        return unknown + super().remarks()


@checked_call
def read_predictions(
    dataset: SampleCollection,
    folder: str | Path,
    field: str,
    *,
    truth_field: str | None = None,
    overwrite: bool = False,
    progress: bool | Watch | None = None,
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
    job = ReadJob(
        Source(dataset),
        Path(folder).expanduser(),
        bare(field),
        truth_field and bare(truth_field),
        overwrite,
    )
    return drive(job.steps(), progress)


@dataclass(frozen=True)
class ReadJob(VideoJob[Done]):
    """What to read into what; fields are frame-level, without ``frames.``."""

    folder: Path
    field: str
    truth_field: str | None = None
    overwrite: bool = False
    folders: Mapping[str, Path] = dataclasses.field(default_factory=dict)
    """Of the videos by name, as found below ``folder`` when a run starts."""

    def steps(self) -> Steps[ReadSummary]:
        """Like :func:`read_predictions`, step by step."""
        samples = videos_of(self.source.samples)
        require(self.errors(samples))
        folders, items = find_annotations(self.folder), items_of(samples)
        names = {item.name for item in items}
        folders = {find_name(name, names) or name: path for name, path in folders.items()}
        todo = [item for item in items if item.name in folders]
        if not todo:
            known = items[0].name if items else "nothing"
            raise InvalidDataset(
                f"{self.folder}: none of its {counted(len(folders), 'video')} (such as "
                f"{next(iter(folders))}) is in the dataset, whose videos are called like {known}."
            )
        settle_killed()
        add_detections(samples, self.field)
        unknown = sorted(set(folders) - names)
        summary = ReadSummary(f"frames.{self.field}", unknown=unknown)
        job = dataclasses.replace(self, source=Source(samples), folders=folders)
        summary.take((yield from run_job(job, todo)))
        return summary

    def errors(self, samples: SampleCollection, *, at_most: int | None = None) -> dict[str, str]:
        """What is wrong with the fields: parameter name -> message.

        ``at_most`` is that of ``has_labels``.
        """
        field, truth = self.field, self.truth_field
        errors = {}
        if truth is not None and (error := mask_field_error(samples, truth)):
            errors["truth_field"] = error
        if field == truth:
            errors["field"] = "the predictions must go to another field than the truth"
        elif error := output_error(samples, field):
            errors["field"] = error
        elif not self.overwrite:
            ids = [ObjectId(sample_id) for sample_id in samples.values("id")]
            query = {"_sample_id": {"$in": ids}, field: {"$ne": None}}
            if any_frame(samples._dataset, query, at_most):
                errors["field"] = (
                    f"the frame field {field!r} holds labels already; choose another, or overwrite"
                )
        return errors

    def video(self, item: Item) -> Work[Done]:
        """Read one video, all or nothing."""
        samples = self.source.samples
        files = list_masks(self.folders[item.name])
        read, shown = 0, False
        with FrameWriter(samples._dataset, item.key, self.field, item.name) as writer:
            for number, labels in _read_video(samples, item.key, files, self.truth_field):
                writer.add(number, labels)
                shown |= bool(labels.detections)
                read += 1
                yield Tick(read / len(files), f"frame {read} of {len(files)}", read)
        return Done(read, note=None if shown else "its masks are empty: no file shows an object")


def _read_video(
    samples: SampleCollection, sample_id: str, files: Sequence[Path], truth: str | None
) -> Iterator[tuple[int, fo.Detections]]:
    """Number (from 1) and labels of each file of one video."""
    sizes = mask_sizes(samples, sample_id)
    documents = read_documents(samples, sample_id, ["frame_name"])
    numbers = {
        each["frame_name"]: each["frame_number"] for each in documents if each.get("frame_name")
    }
    total = frame_count(samples, sample_id)
    known = {} if truth is None else _known_objects(samples, sample_id, truth)
    objects: dict[int, TrackedObject] = {}
    seen: set[int] = set()
    for file in files:
        number = _frame_number(file, numbers, total)
        if number in seen:
            raise InvalidDataset(
                f"{file}: another file has the same number; expected one mask a frame. Remove one."
            )
        seen.add(number)
        id_map = _fit(read_id_map(file), file, sizes)
        for object_id in object_ids(id_map):
            if object_id not in objects:
                new = TrackedObject(object_id, object_id, NO_CLASS, fo.Instance())
                objects[object_id] = known.get(object_id, new)
        yield number, to_detections(id_map, objects)


def _frame_number(file: Path, numbers: Mapping[str, int], total: int | None) -> int:
    own = find_name(file.stem, numbers)
    if own is not None:
        return numbers[own]
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


def _fit(id_map: np.ndarray, file: Path, sizes: Sizes) -> np.ndarray:
    """Extend an id map of the source frames to the video, which may have a row or column more."""
    if not sizes.takes(id_map.shape):
        raise InvalidMask(
            f"{file}: the mask is {pixels(id_map.shape)} pixels (width x height), the frames are "
            f"{pixels(sizes.source)}; expected the same. Save the masks at the size of the frames."
        )
    return extend(id_map, sizes.video)


def _known_objects(
    samples: SampleCollection, sample_id: str, truth: str
) -> dict[int, TrackedObject]:
    """Class and instance of the objects that a field has labels of, by index."""
    known = LabelField.of(samples, truth)
    if known.items is None:
        return {
            index: TrackedObject(index, index, label, fo.Instance())
            for index, label in known.targets.names.items()
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
