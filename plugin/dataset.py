"""YouTube-VOS, DAVIS and plain VOS folders -> FiftyOne video datasets.

:func:`load` is the call for scripts; :func:`plan_load` and :func:`run` are its two halves for an
operator that shows a form and live progress.

Each video becomes one sample. FiftyOne plays video files, so its frames are encoded once as an
H.264 MP4 under FiftyOne's own dataset folder, never beside the source; ``frames[].filepath`` keeps
the source image, which is what models should see. H.264 needs even sizes: frames with an odd side
get it repeated once in the MP4, labels are relative to the MP4, and so every label pixel is exact.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fiftyone as fo
import fiftyone.core.utils as fou
import numpy as np
from fiftyone import ViewField

from hs2s_core.data.folders import VosFolder, VosVideo, open_folder
from hs2s_core.errors import HS2SError, InvalidDataset, InvalidMask
from hs2s_core.media.encode import VideoWriter, even_size, find_ffmpeg
from hs2s_core.media.frames import FrameSource, VideoFrames, open_frames

from .labels import TrackedObject, to_detections, write_frame
from .propagation import Progress

_log = logging.getLogger(__name__)

INFO_KEY = "vos"
DEFAULT_LABEL_FIELD = "ground_truth"
_FIELD_NAME = re.compile(r"[A-Za-z]\w*", re.ASCII)
_TAKEN = {"filepath", "frame_name", "frame_number", "id", "created_at", "last_modified_at"}
# Labels wait in memory until this much has gathered, however long the video is.
_FLUSH_BYTES = 32 * 2**20
_FLUSH_FRAMES = 256


class InvalidSettings(InvalidDataset):
    """What stops a load before it starts, by the argument that has to change."""

    def __init__(self, errors: Mapping[str, str]) -> None:
        self.errors = dict(errors)
        super().__init__("; ".join(self.errors.values()))


@dataclass(frozen=True)
class LoadPlan:
    """A load that may start: all settings were checked, nothing was written."""

    folder: VosFolder
    name: str
    videos: tuple[str, ...]
    label_field: str
    fps: float
    video_dir: Path
    persistent: bool

    @property
    def source(self) -> dict[str, Any]:
        """What a dataset remembers about where it came from."""
        seen = self.folder.seen_categories
        return {
            "root": str(self.folder.root),
            "split": self.folder.split,
            "layout": self.folder.layout,
            "label_field": self.label_field,
            "seen_categories": sorted(seen) if seen is not None else None,
        }


@dataclass
class LoadSummary:
    """What a load did."""

    dataset: fo.Dataset
    loaded: list[str] = field(default_factory=list)
    skipped: int = 0
    """How many videos an earlier run had loaded."""
    failed: dict[str, str] = field(default_factory=dict)
    """Video -> why it could not be loaded."""


def load(
    root: str | Path,
    name: str | None = None,
    *,
    split: str | None = None,
    label_field: str = DEFAULT_LABEL_FIELD,
    videos: Sequence[str] | None = None,
    max_samples: int | None = None,
    fps: float | None = None,
    video_dir: str | Path | None = None,
    persistent: bool = False,
    progress: bool | Callable[[Progress], object] | None = None,
) -> fo.Dataset:
    """Load a VOS folder as a video dataset, or go on with a load that was interrupted.

    Sample fields: ``video_id``, ``num_frames``, ``num_objects``, ``categories``, ``seen`` (whether
    all categories occur in the training split, None where unknown). Frame fields: ``filepath`` (the
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
        video_dir: where the encoded videos go; it should belong to this folder alone.
        persistent: keep the dataset after FiftyOne shuts down.
        progress: True or False for a progress bar, or a function that is called with Progress.

    Raises:
        InvalidDataset: before anything is written, or if not one video could be loaded.
    """
    plan = plan_load(
        root,
        name,
        split=split,
        label_field=label_field,
        videos=videos,
        max_samples=max_samples,
        fps=fps,
        video_dir=video_dir,
        persistent=persistent,
    )
    summary = _drive(run(plan), progress)
    for video, reason in summary.failed.items():
        _log.warning("video '%s' was not loaded: %s", video, reason)
    return summary.dataset


def plan_load(
    root: str | Path,
    name: str | None = None,
    *,
    split: str | None = None,
    label_field: str = DEFAULT_LABEL_FIELD,
    videos: Sequence[str] | None = None,
    max_samples: int | None = None,
    fps: float | None = None,
    video_dir: str | Path | None = None,
    persistent: bool = False,
) -> LoadPlan:
    """Check all settings of :func:`load` without writing; raises InvalidSettings with every error.

    An error of ``root`` or ``split`` hides the others, which depend on the folder.
    """
    try:
        folder = open_folder(root, split)
    except HS2SError as error:
        key = "root" if split is None else "split"
        raise InvalidSettings({key: str(error)}) from error
    errors: dict[str, str] = {}
    chosen = _choose(folder, videos, max_samples, errors)
    label_field = label_field.removeprefix("frames.")
    if not _FIELD_NAME.fullmatch(label_field) or label_field in _TAKEN:
        errors["label_field"] = (
            f"'{label_field}' cannot be a label field; expected letters, digits and _, a letter "
            f"first, and none of {', '.join(sorted(_TAKEN))}."
        )
    rate = folder.fps if fps is None else float(fps)
    if not 0 < rate <= 240:
        errors["fps"] = f"{rate:g} frames per second; expected more than 0 and at most 240."
    name = name or _default_name(folder)
    plan = LoadPlan(
        folder=folder,
        name=name,
        videos=chosen,
        label_field=label_field,
        fps=rate,
        video_dir=_video_dir(video_dir, name, folder, rate),
        persistent=persistent,
    )
    errors |= _name_errors(plan)
    try:
        find_ffmpeg()
    except HS2SError as error:
        errors["ffmpeg"] = str(error)
    if errors:
        raise InvalidSettings(errors)
    return plan


def run(plan: LoadPlan) -> Generator[Progress, None, LoadSummary]:
    """Load what is not there yet, video by video; closing the generator undoes the current one.

    Raises InvalidDataset if the dataset would stay empty; it is removed then.
    """
    dataset = _open_dataset(plan)
    try:
        done = _loaded_videos(dataset)
        summary = LoadSummary(dataset, skipped=sum(video in done for video in plan.videos))
        todo = [video for video in plan.videos if video not in done]
        for place, video in enumerate(todo):
            yield Progress(place / len(todo), f"{place + 1}/{len(todo)} {video}")
            try:
                _load_video(dataset, plan, video)
            except Exception as error:  # the other videos must not suffer
                own = isinstance(error, HS2SError)
                summary.failed[video] = str(error) if own else f"{type(error).__name__}: {error}"
            else:
                summary.loaded.append(video)
        dataset.info[INFO_KEY] = {**plan.source, "failed": summary.failed}
        dataset.save()
    finally:
        if not len(dataset):
            dataset.delete()
    if dataset.deleted:
        reasons = "\n".join(f"  {video}: {why}" for video, why in summary.failed.items())
        raise InvalidDataset(f"{plan.folder.root}: not one video could be loaded:\n{reasons}")
    yield Progress(1.0, "Finished")
    return summary


# ---------------------------------------------------------------- settings


def _choose(
    folder: VosFolder,
    videos: Sequence[str] | None,
    max_samples: int | None,
    errors: dict[str, str],
) -> tuple[str, ...]:
    names = folder.names
    if not names:
        errors["root"] = f"{folder.images}: no videos; expected one folder of frames per video."
    if videos is not None:
        wanted = [videos] if isinstance(videos, str) else list(videos)
        unknown = [name for name in wanted if name not in names]
        if unknown:
            errors["videos"] = (
                f"no video '{unknown[0]}' in {folder.images}; expected names such as "
                f"{', '.join(names[:3])}."
            )
        names = tuple(dict.fromkeys(wanted))
    if max_samples is not None and max_samples < 1:
        errors["max_samples"] = f"max_samples is {max_samples}; expected at least 1."
    return names[:max_samples]


def _default_name(folder: VosFolder) -> str:
    """``YouTube-VOS-valid``, ``DAVIS-2017-val``, ``my-videos``."""
    parts = [folder.root.name]
    if folder.split is not None:
        base = folder.root.parent if folder.layout == "youtube-vos" else folder.root
        parts = [base.name, folder.split.replace("/", "-")]
    return "-".join(part for part in parts if part) or "vos"


def _name_errors(plan: LoadPlan) -> dict[str, str]:
    """A dataset of that name may only be one that was loaded from the same place."""
    if not fo.dataset_exists(plan.name):
        try:
            fou.to_slug(plan.name)
        except ValueError as error:
            return {"name": f"'{plan.name}' cannot name a dataset ({error}); choose another name."}
        return {}
    source = fo.load_dataset(plan.name).info.get(INFO_KEY)
    if source is None:
        return {
            "name": f"a dataset '{plan.name}' exists and was not loaded from a VOS folder; choose "
            "another name."
        }
    for key in ("root", "split", "label_field"):
        if source.get(key) != plan.source[key]:
            return {
                "name": f"a dataset '{plan.name}' exists and was loaded with {key} "
                f"'{source.get(key)}', not '{plan.source[key]}'; choose another name or delete it."
            }
    return {}


def _video_dir(given: str | Path | None, name: str, folder: VosFolder, fps: float) -> Path:
    """Encoded videos of one source; a second source under the same name gets its own folder."""
    if given is not None:
        return Path(given).expanduser().absolute()
    source = hashlib.sha256(f"{folder.images}\n{fps:g}".encode()).hexdigest()[:8]
    slug = re.sub(r"[^\w.-]+", "-", name).strip(".-") or "vos"
    return Path(fo.config.default_dataset_dir) / slug / f"videos-{source}"


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
    if plan.persistent:
        dataset.persistent = True
    return dataset


def _declare_fields(dataset: fo.Dataset, label_field: str) -> None:
    """All fields, so that they exist (as None) also where nothing is known."""
    dataset.add_sample_field("video_id", fo.StringField)
    dataset.add_sample_field("num_frames", fo.IntField)
    dataset.add_sample_field("num_objects", fo.IntField)
    dataset.add_sample_field("categories", fo.ListField, subfield=fo.StringField)
    dataset.add_sample_field("seen", fo.BooleanField)
    dataset.add_frame_field("filepath", fo.StringField)
    dataset.add_frame_field("frame_name", fo.StringField)
    dataset.add_frame_field(label_field, fo.EmbeddedDocumentField, embedded_doc_type=fo.Detections)


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


def _load_video(dataset: fo.Dataset, plan: LoadPlan, name: str) -> None:
    """One video, all or nothing."""
    video = plan.folder.video(name)
    frames = open_frames(video.frames)
    path = plan.video_dir / f"{name}.mp4"
    if not _is_current(path, video, frames):
        with VideoWriter(path, frames.size, plan.fps) as writer:
            for frame in frames:
                writer.write(frame)
    sample = _new_sample(plan, video, frames, path)
    dataset.add_sample(sample)
    try:
        _add_frames(sample, plan.label_field, video, frames.size)
    except BaseException:
        dataset.delete_samples(sample.id)
        raise


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
    """The sample without its frames; the metadata is known, so no ffprobe is needed."""
    height, width = even_size(frames.size)
    count = len(video.frames)
    objects = [video.objects[object_id] for object_id in sorted(video.objects)]
    seen = [entry.seen for entry in objects]
    return fo.Sample(
        filepath=str(path),
        tags=[plan.folder.split] if plan.folder.split else [],
        metadata=fo.VideoMetadata(
            size_bytes=path.stat().st_size,
            mime_type="video/mp4",
            frame_width=width,
            frame_height=height,
            frame_rate=plan.fps,
            total_frame_count=count,
            duration=count / plan.fps,
            encoding_str="avc1",
        ),
        video_id=video.name,
        num_frames=count,
        num_objects=len(objects) or None,
        categories=list(dict.fromkeys(entry.category for entry in objects if entry.category)),
        seen=None if not seen or None in seen else all(seen),
    )


def _add_frames(
    sample: fo.Sample, label_field: str, video: VosVideo, size: tuple[int, int]
) -> None:
    objects: dict[int, TrackedObject] = {}
    padding = [(0, side % 2) for side in size]
    waiting = since_save = 0
    for index, file in enumerate(video.frames):
        sample.frames[index + 1] = fo.Frame(filepath=str(file), frame_name=file.stem)
        since_save += 1
        id_map = video.read_id_map(index)
        if id_map is not None:
            if id_map.shape != size:
                raise InvalidMask(
                    f"{video.annotations[file.stem]}: the id map is {id_map.shape[1]}x"
                    f"{id_map.shape[0]} pixels, its frame {size[1]}x{size[0]}; expected the same "
                    "size. Take frames and annotations of the same resolution."
                )
            for object_id in np.unique(id_map[id_map > 0]).tolist():
                if object_id not in objects:
                    objects[object_id] = _new_object(video, object_id)
            detections = to_detections(np.pad(id_map, padding), objects)
            waiting += write_frame(sample, index + 1, label_field, detections)
        if waiting >= _FLUSH_BYTES or since_save >= _FLUSH_FRAMES:
            sample.save()
            waiting = since_save = 0
    sample["num_objects"] = len(objects.keys() | video.objects.keys())
    sample.save()


def _new_object(video: VosVideo, object_id: int) -> TrackedObject:
    known = video.objects.get(object_id)
    label = known.category if known is not None else None
    return TrackedObject(object_id, object_id, label or "object", fo.Instance())


def _drive(
    steps: Generator[Progress, None, LoadSummary],
    progress: bool | Callable[[Progress], object] | None,
) -> LoadSummary:
    """Run to the end, telling ``progress`` (or a progress bar) about each step."""
    shown = False if callable(progress) else progress
    with closing(steps), fo.ProgressBar(total=100, progress=shown) as bar:
        while True:
            try:
                step = next(steps)
            except StopIteration as stop:
                summary: LoadSummary = stop.value
                return summary
            if callable(progress):
                progress(step)
            else:
                bar.set_iteration(int(100 * step.fraction))
