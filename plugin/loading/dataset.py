"""YouTube-VOS, DAVIS and plain VOS folders -> FiftyOne video datasets.

:func:`load` is the call for scripts; ``load_plan.plan_load`` and :func:`load_steps` are its two
halves for an operator that shows a form and live progress.

Each video becomes one sample. FiftyOne plays video files, so its frames are encoded once as an
H.264 MP4 under FiftyOne's own dataset folder, never beside the source; ``frames[].filepath`` keeps
the source image, which is what models should see. H.264 needs even sizes: frames with an odd side
get it repeated once in the MP4, labels are relative to the MP4, and so every label pixel is exact.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fiftyone as fo
import fiftyone.core.odm as foo
from fiftyone import ViewField

from hs2s_core.checked.calls import checked_call
from hs2s_core.data.videos import VosVideo
from hs2s_core.errors import HS2SError, InvalidDataset, InvalidMask
from hs2s_core.jobs import Done, Item, Steps, Summary, Tick, Watch, Work, run_job
from hs2s_core.media.encode import VideoWriter, even_size
from hs2s_core.media.frames import FrameSource, VideoFrames, open_frames
from hs2s_core.media.masks import object_ids
from hs2s_core.media.mp4 import read_comment
from hs2s_core.wording import counted, pixels

from ..drawing import DRAWN, drawing_problem, prepare_drawing
from ..jobs import FrameWriter, Source, VideoJob, drive, settle_killed
from ..labels.conversion import NO_CLASS, TrackedObject, to_detections
from ..labels.frame_fields import add_fields
from ..labels.masks import extend
from ..media import SOURCE_SIZE
from ..videos.collection import INFO_KEY
from .plan import DEFAULT_LABEL_FIELD, MARK, LoadPlan, LoadSettings, plan_load

__all__ = ["LoadSummary", "delete_unused_videos", "load"]

_log = logging.getLogger(__name__)


@dataclass
class LoadSummary(Summary):
    """What a load did."""

    dataset: fo.Dataset | None = None


@checked_call
def load(
    root: str | Path,
    name: str | None = None,
    *,
    split: str | None = None,
    label_field: str = DEFAULT_LABEL_FIELD,
    videos: str | Sequence[str] | None = None,
    max_samples: int | None = None,
    fps: float | None = None,
    video_dir: str | Path | None = None,
    persistent: bool = False,
    progress: bool | Watch | None = None,
) -> fo.Dataset:
    """Load a VOS folder as a video dataset, or go on with a load that was interrupted.

    Sample fields: ``video_id``, ``num_frames``, ``num_objects``, ``categories``, ``seen`` (whether
    all categories occur in the training split, None where unknown), ``source_size`` ([height,
    width] of the source images). Frame fields: ``filepath`` (the
    source image), ``frame_name`` (its stem), and ``label_field``: ``Detections`` with mask,
    ``index`` (object id), ``label`` (category, or "object") and a shared ``instance`` on annotated
    frames, without any where no object is visible; None on frames that are not annotated.

    A video that cannot be read is logged, noted in ``dataset.info["vos"]["failed"]`` and tried
    again by the next call; the others are loaded. Videos that are already there are left alone.

    Args:
        root: the folder; ``hs2s_core.data.folders`` lists the layouts.
        name: of the dataset; by default from the folder and the split.
        split: ``train``, ``valid``, ... or a list of DAVIS' ``ImageSets``.
        videos: only these, by name.
        max_samples: only the first so many.
        fps: frames per second of the encoded video; by default that of the layout.
        video_dir: where the encoded videos go. Files there that an earlier load made of the same
            frames are used or replaced; others of the same names are refused.
        persistent: keep the dataset after FiftyOne shuts down.
        progress: True or False for a progress bar, or a function that is called with Progress.

    Raises:
        InvalidDataset: before anything is written, or if not one video could be loaded.
    """
    asked = LoadSettings(
        root, name, split, label_field, videos, max_samples, fps, video_dir, persistent
    )
    summary = drive(load_steps(plan_load(asked)), progress)
    for problem in summary.failed:
        _log.warning("video '%s' was not loaded: %s", problem.name, problem.reason)
    return summary.dataset


@checked_call
def delete_unused_videos(*, dry_run: bool = False) -> list[Path]:
    """Delete videos that :func:`load` encoded and that no dataset has any more; returns them.

    FiftyOne deletes a dataset without its files, so that another load of the same frames need not
    encode them again. Only files are deleted that a load put into a folder of its own below
    FiftyOne's folder for datasets, and that say in themselves that they are from one; never one in
    a ``video_dir`` that was given. Do not call it while a load runs.

    Args:
        dry_run: only say which they are.
    """
    root = Path(fo.config.default_dataset_dir).expanduser().absolute()
    made = [
        path
        for path in sorted(root.glob(f"*/videos-{'[0-9a-f]' * 8}/*.mp4"))
        if path.is_file()
        and not any(part.is_symlink() for part in (path, path.parent, path.parent.parent))
        and (read_comment(path) or "").startswith(MARK)
    ]
    used = _used_files([str(path) for path in made])
    unused = [path for path in made if str(path) not in used]
    if not dry_run:
        for path in unused:
            path.unlink(missing_ok=True)
        for folder in {path.parent for path in unused}:
            with suppress(OSError):  # not empty
                folder.rmdir()
                folder.parent.rmdir()
    return unused


def _used_files(paths: Sequence[str]) -> set[str]:
    """Those of ``paths`` that a sample of any dataset has as its file."""
    database, used = foo.get_db_conn(), set()
    for known in database.datasets.find({}, {"sample_collection_name": 1}):
        # As they are stored: a dataset may be one that this FiftyOne cannot load.
        samples = database[known["sample_collection_name"]]
        used.update(samples.distinct("filepath", {"filepath": {"$in": list(paths)}}))
    return used


def load_steps(plan: LoadPlan) -> Steps[LoadSummary]:
    """Load what is not there yet, video by video; closing the generator keeps what is complete.

    Raises InvalidDataset if the dataset would stay empty; it is removed then.
    """
    settle_killed()
    dataset = _open_dataset(plan)
    try:
        done = _loaded_videos(dataset)
        todo = [video for video in plan.videos if video not in done]
        _refuse_strangers(plan, todo)
        summary = LoadSummary(plan.name, skipped=len(plan.videos) - len(todo), dataset=dataset)
        items = [Item(video, video) for video in todo]
        summary.take((yield from run_job(LoadJob(Source(dataset), plan), items)))
        failed = {problem.name: problem.reason for problem in summary.failed}
        dataset.info[INFO_KEY] = {**plan.source, "failed": failed}
        dataset.save()
        if len(dataset) and drawing_problem(dataset, DRAWN) is None:
            prepare_drawing(dataset)
    finally:
        if not len(dataset):
            dataset.delete()
    if dataset.deleted:
        reasons = "\n".join(f"  {problem}" for problem in summary.failed)
        raise InvalidDataset(f"{plan.folder.root}: not one video could be loaded:\n{reasons}")
    return summary


@dataclass(frozen=True)
class LoadJob(VideoJob[Done]):
    """A load, as each process can open it."""

    plan: LoadPlan

    def video(self, item: Item) -> Work[Done]:
        """Load one video, all or nothing."""
        dataset, plan = self.source.samples._dataset, self.plan
        video = plan.folder.video(item.key)
        frames = open_frames(video.frames)
        total = len(video.frames)
        path = plan.video_dir / f"{video.name}.mp4"
        if not _is_current(path, video, frames):
            yield from encode(path, frames, plan.fps, plan.mark)
        sample = _new_sample(plan, video, frames, path)
        dataset.add_sample(sample)
        objects: dict[int, TrackedObject] = {}
        try:
            with FrameWriter(dataset, sample.id, plan.label_field, video.name) as writer:
                for index, file in enumerate(video.frames):
                    labels = _read_labels(video, index, frames.size, objects)
                    writer.add(index + 1, labels, filepath=str(file), frame_name=file.stem)
                    yield Tick((1 + index / total) / 2, f"frame {index + 1} of {total} read", index)
                writer.values = {"num_objects": len(objects.keys() | video.objects.keys())}
        except BaseException:
            dataset.delete_samples(sample.id)
            raise
        return Done(total, len(objects))


# ---------------------------------------------------------------- the dataset


def _open_dataset(plan: LoadPlan) -> fo.Dataset:
    if fo.dataset_exists(plan.name):
        dataset = fo.load_dataset(plan.name)
    else:
        dataset = fo.Dataset(plan.name)
        dataset.media_type = "video"
        _declare_fields(dataset, plan.label_field)
        dataset.info[INFO_KEY] = plan.source
        dataset.app_config.color_scheme = fo.ColorScheme(color_by="instance")
        dataset.save()
    if plan.asked.persistent:
        dataset.persistent = True
    return dataset


def _declare_fields(dataset: fo.Dataset, label_field: str) -> None:
    """All fields, so that they exist (as None) also where nothing is known."""
    samples = {
        "num_objects": fo.IntField(),
        "categories": fo.ListField(fo.StringField()),
        "seen": fo.BooleanField(),
    }
    labels = {label_field: fo.EmbeddedDocumentField(fo.Detections)}
    declare_video_fields(dataset, samples, {"frame_name": fo.StringField(), **labels})


def declare_video_fields(
    dataset: fo.Dataset, samples: Mapping[str, fo.Field], frames: Mapping[str, fo.Field]
) -> None:
    """Those of every video that was encoded of images, and more."""
    known = {
        "video_id": fo.StringField(),
        "num_frames": fo.IntField(),
        SOURCE_SIZE: fo.ListField(fo.IntField()),
    }
    add_fields(dataset, {**known, **samples}, {"filepath": fo.StringField(), **frames})


def _loaded_videos(dataset: fo.Dataset) -> set[str]:
    """Videos whose frames are all there; what a killed run left unfinished is removed."""
    ids, videos, wanted, found = dataset.values(
        ["id", "video_id", "num_frames", ViewField("frames").length()]
    )
    rows = list(zip(ids, videos, wanted, found, strict=True))
    broken = [row[0] for row in rows if row[2] != row[3]]
    if broken:
        dataset.delete_samples(broken)
    return {video for _, video, want, have in rows if want == have}


def _refuse_strangers(plan: LoadPlan, videos: Sequence[str]) -> None:
    """Raise InvalidDataset if a video would replace a file that was not made of these frames."""
    if plan.asked.video_dir is None:  # nobody else has videos there
        return
    files = [plan.video_dir / f"{video}.mp4" for video in videos]
    strange = [file for file in files if file.exists() and read_comment(file) != plan.mark]
    if strange:
        raise InvalidDataset(
            f"{plan.video_dir} holds {counted(len(strange), 'file')} (such as {strange[0].name}) "
            f"not made from {plan.folder.images}, to be replaced; choose another video_dir."
        )


def _is_current(path: Path, video: VosVideo, frames: FrameSource) -> bool:
    """Whether an earlier run encoded these frames: not older, as many, of the same size."""
    if not path.is_file():
        return False
    if path.stat().st_mtime_ns < max(frame.stat().st_mtime_ns for frame in video.frames):
        return False
    try:
        encoded = VideoFrames(path)
    except HS2SError:
        return False
    return len(encoded) == len(frames) and encoded.size == even_size(frames.size)


def _new_sample(plan: LoadPlan, video: VosVideo, frames: FrameSource, path: Path) -> fo.Sample:
    """The sample without its frames."""
    objects = [video.objects[object_id] for object_id in sorted(video.objects)]
    seen = [entry.seen for entry in objects]
    return encoded_sample(
        path,
        video.name,
        frames.size,
        len(video.frames),
        plan.fps,
        tags=[plan.folder.split] if plan.folder.split else [],
        num_objects=len(objects) or None,
        categories=list(dict.fromkeys(entry.category for entry in objects if entry.category)),
        seen=None if not seen or None in seen else all(seen),
    )


def encode(path: Path, frames: FrameSource, fps: float, mark: str = "") -> Iterator[Tick]:
    """Encode a video, which is half of what there is to do."""
    total = len(frames)
    with VideoWriter(path, frames.size, fps, mark) as encoder:
        for index, frame in enumerate(frames, 1):
            encoder.write(frame)
            yield Tick(index / total / 2, f"frame {index} of {total} encoded", index)


def encoded_sample(
    path: Path, name: str, size: tuple[int, int], count: int, fps: float, **more: Any
) -> fo.Sample:
    """The sample of a video that was encoded of ``count`` frames of ``size``, without its frames.

    It has all metadata, so that nobody probes the file.
    """
    height, width = even_size(size)
    metadata = fo.VideoMetadata(
        size_bytes=path.stat().st_size,
        mime_type="video/mp4",
        frame_width=width,
        frame_height=height,
        frame_rate=fps,
        total_frame_count=count,
        duration=count / fps,
        encoding_str="avc1",
    )
    known = {"video_id": name, "num_frames": count, SOURCE_SIZE: list(size)}
    return fo.Sample(filepath=str(path), metadata=metadata, **known, **more)


def _read_labels(
    video: VosVideo, index: int, size: tuple[int, int], objects: dict[int, TrackedObject]
) -> fo.Detections | None:
    """Labels of one frame relative to the encoded video; ``objects`` grows by those it shows."""
    id_map = video.read_id_map(index)
    if id_map is None:
        return None
    if id_map.shape != size:
        raise InvalidMask(
            f"{video.annotations[video.frames[index].stem]}: the id map is {pixels(id_map.shape)} "
            f"pixels, its frame {pixels(size)}; expected the same size. Take frames and "
            "annotations of the same resolution."
        )
    for object_id in object_ids(id_map):
        if object_id not in objects:
            known = video.objects.get(object_id)
            label = (known and known.category) or NO_CLASS
            objects[object_id] = TrackedObject(object_id, object_id, label, fo.Instance())
    return to_detections(extend(id_map, even_size(size)), objects)
