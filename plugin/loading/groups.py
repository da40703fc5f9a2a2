"""Images that are grouped as videos: as a dataset of videos, and masks back to the images.

FiftyOne shows ``dataset.group_by(video, order_by=frame)`` like videos, but labels there belong to
samples, not to frames, and its Annotate tab opens one image at a time. So each group becomes a
video: its frames are the images themselves, with copies of their labels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fiftyone as fo
import fiftyone.core.stages as fos
import numpy as np
from fiftyone.core.collections import SampleCollection

from hs2s_core.checked.calls import checked_call
from hs2s_core.data.splits import safe_name
from hs2s_core.errors import HS2SError
from hs2s_core.jobs import Done, Item, Tick, Watch, Work, run_job
from hs2s_core.media.encode import even_size
from hs2s_core.media.frames import open_frames

from ..drawing import DRAWN, drawing_problem, prepare_drawing
from ..jobs import FrameWriter, Source, VideoJob, drive
from ..labels.conversion import LabelField, read_documents
from ..labels.frame_fields import MASK_TYPES, bare
from ..media import SOURCE_SIZE
from ..videos.collection import is_images_in_groups
from .dataset import declare_video_fields, encode, encoded_sample

IMAGE_ID = "image_id"
"""Frame field with the id of the image sample that a frame is."""
INFO = "hs2s_groups"
"""Key of ``dataset.info``: the images' dataset, and the fields that were copied."""
Size = tuple[int, int]


@checked_call
def load_groups(
    images: SampleCollection,
    name: str | None = None,
    *,
    fps: float = 10.0,
    video_dir: str | Path | None = None,
    persistent: bool = False,
    progress: bool | Watch | None = None,
) -> fo.Dataset:
    """Make a dataset of videos of ``dataset.group_by(FIELD, order_by=FIELD)``, one per group.

    Frames have ``filepath`` (the image, which is what models see), ``image_id`` and copies of all
    fields of the images that can hold masks; samples have ``video_id``, the value of the group.
    An MP4 of each is encoded for the App to play. :func:`write_to_images` brings masks back.

    Args:
        images: a view of images in dynamic groups with an order.
        name: of the new dataset; by default that of the images' with ``-videos``.
        fps: frames per second of the videos.
        video_dir: where they are written; by default beside FiftyOne's other datasets.
        persistent: keep the dataset after FiftyOne shuts down.
        progress: True or False for a progress bar, or a function that is called with Progress.

    Raises:
        HS2SError: no such view, a dataset of this name, or a group that cannot be a video, such as
            one with images of several sizes; nothing is left of the dataset then.
    """
    groups = _groups(images)
    source = images._dataset
    name = name or f"{source.name}-videos"
    if fo.dataset_exists(name):
        raise HS2SError(f"there is a dataset {name!r} already; choose another name, or delete it")
    folder = Path(video_dir or Path(fo.config.default_dataset_dir) / name).expanduser().absolute()
    schema = source.get_field_schema(ftype=fo.EmbeddedDocumentField)
    kinds = {
        field: entry.document_type
        for field, entry in schema.items()
        if issubclass(entry.document_type, MASK_TYPES)
    }
    dataset = fo.Dataset(name, persistent=persistent)
    try:
        dataset.media_type = "video"
        labels = {field: fo.EmbeddedDocumentField(kind) for field, kind in kinds.items()}
        declare_video_fields(dataset, {}, {IMAGE_ID: fo.StringField(), **labels})
        dataset.info[INFO] = {"images": source.name, "copied": list(kinds)}
        dataset.save()
        job = GroupsJob(Source(dataset), Source(images), groups, tuple(kinds), folder, fps)
        report = drive(run_job(job, [Item(each, each) for each in groups]), progress)
        if report.failed:
            raise HS2SError("; ".join(map(str, report.failed)))
        if drawing_problem(dataset, DRAWN) is None:
            prepare_drawing(dataset)
    except BaseException:
        dataset.delete()
        raise
    return dataset


@checked_call
def write_to_images(videos: SampleCollection, field: str, *, overwrite: bool = False) -> fo.Dataset:
    """Write the masks of a frame field to the images that the frames are; returns their dataset.

    Args:
        videos: of :func:`load_groups`; all, or some.
        field: frame field with Detections; the images get a field of this name.
        overwrite: replace what these images have in that field.

    Raises:
        HS2SError: other videos; a field that was copied from the images, which is never written;
            labels of these images in it, without ``overwrite``.
    """
    field, dataset = bare(field), videos._dataset
    known = dataset.info.get(INFO)
    if known is None or not fo.dataset_exists(known["images"]):
        raise HS2SError(
            f"the dataset {dataset.name!r} was not made of images by load_groups(), or these are "
            "gone; expected one that was"
        )
    if field in known["copied"]:
        raise HS2SError(f"{field!r} was copied from the images, and is never written there")
    if LabelField.of(dataset, field).kind is not fo.Detections:
        raise HS2SError(f"the frame field {field!r} does not hold Detections; choose another")
    images = fo.load_dataset(known["images"])
    if not images.has_sample_field(field):
        images.add_sample_field(field, fo.EmbeddedDocumentField, embedded_doc_type=fo.Detections)
    rows = list(zip(*videos.values(["id", SOURCE_SIZE]), strict=True))
    if not overwrite:
        ids = [each for own in videos.values(f"frames.{IMAGE_ID}") for each in own]
        there = images.select(ids).exists(field)
        if len(there):
            raise HS2SError(
                f"{len(there)} of these images have labels in {field!r}; choose another field, or "
                "overwrite=True to replace them"
            )
    for sample_id, (height, width) in rows:
        found: dict[str, fo.Detections | None] = {}
        for document in read_documents(dataset, sample_id, [IMAGE_ID, field]):
            label = document.get(field)
            made = None if label is None else fo.Detections.from_dict(label)
            if made is not None:
                _rescale(made, even_size((height, width)), (height, width))
            found[document[IMAGE_ID]] = made
        images.set_values(field, found, key_field="id")
    return images


@dataclass(frozen=True)
class GroupsJob(VideoJob[Done]):
    """Groups of images into videos, as each process can open it; ``source`` is written."""

    images: Source
    groups: Mapping[str, Any]
    """Value of each group, by what it is called."""
    fields: Sequence[str]
    folder: Path
    fps: float

    def video(self, item: Item) -> Work[Done]:
        """Make one video, all or nothing."""
        dataset = self.source.samples._dataset
        group = self.images.samples.get_dynamic_group(self.groups[item.key])
        files = [Path(path) for path in group.values("filepath")]
        frames = open_frames(files)
        size, count = frames.size, len(files)
        path = self.folder / f"{safe_name(item.name, 'the dataset')}.mp4"
        yield from encode(path, frames, self.fps)
        sample = encoded_sample(path, item.name, size, count, self.fps)
        dataset.add_sample(sample)
        with FrameWriter(dataset, sample.id, IMAGE_ID, item.name) as writer:
            for index, image in enumerate(group.iter_samples(), 1):
                known = {name: image[name] for name in self.fields}
                values: dict[str, Any] = {n: _copy(label, size) for n, label in known.items()}
                values |= {"filepath": image.filepath, IMAGE_ID: image.id}
                writer.add(index, None, **values)
                yield Tick((1 + index / count) / 2, f"frame {index} of {count} read", index)
        return Done(count)


def _groups(images: SampleCollection) -> dict[str, Any]:
    """The value of each group, by what it is called; HS2SError unless they are images in order."""
    if not isinstance(images, fo.DatasetView) or not is_images_in_groups(images):
        raise HS2SError(
            "expected a view of images in dynamic groups, such as dataset.group_by('video', "
            "order_by='frame')"
        )
    stage = next(each for each in reversed(images._stages) if isinstance(each, fos.GroupBy))
    field = stage.field_or_expr
    if stage.order_by is None or not isinstance(field, str):
        raise HS2SError(
            f"the groups ({stage}) are by more than one field, or have no order; expected "
            "dataset.group_by(FIELD, order_by=FIELD), where the last tells which frame comes first"
        )
    values = images.values(field)  # of the first of each group
    groups = {str(value): value for value in sorted(values, key=str)}
    if len(groups) < len(values):
        raise HS2SError(f"values of {field!r} differ in their type alone; give groups other names")
    return groups


def _copy(label: fo.Label | None, size: Size) -> dict[str, Any] | None:
    """A label of an image of ``size`` for the video that was encoded of it."""
    if label is None:
        return None
    made = label.copy()
    _rescale(made, size, even_size(size))
    return made.to_dict()


def _rescale(label: fo.Label, old: Size, new: Size) -> None:
    """Let a label keep its pixels where the frame gets, or loses, a last row or column."""
    if old == new:
        return
    down, across = (before / after for before, after in zip(old, new, strict=True))
    if isinstance(label, fo.Segmentation):
        mask = label.get_mask()
        if mask is not None:
            rows, columns = (min(pair) for pair in zip(old, new, strict=True))
            label.mask = np.zeros(new, mask.dtype)
            label.mask[:rows, :columns] = mask[:rows, :columns]
            label.mask_path = None
        return
    for each in label[label._LABEL_LIST_FIELD]:
        if isinstance(each, fo.Polyline):
            each.points = [[(x * across, y * down) for x, y in part] for part in each.points]
        else:
            x, y, width, height = each.bounding_box
            each.bounding_box = [x * across, y * down, width * across, height * down]
