"""The frames of a video sample, their size, and how many there are.

What a video is comes from its decoder wherever the file is there: FiftyOne's metadata has the size
before rotation and the container's claim of a length, and may be missing or out of date. What only
the frame images could tell, a load notes with the sample (:data:`SOURCE_SIZE`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import fiftyone as fo
import numpy.typing as npt
from bson import ObjectId
from fiftyone.core.collections import SampleCollection

from hs2s_core.errors import InvalidMask, InvalidMedia
from hs2s_core.media.frames import FrameSource, open_frames
from hs2s_core.media.images import image_size
from hs2s_core.media.masks import BoolMask
from hs2s_core.wording import counted, pixels

from .labels.conversion import LabelField, read_documents
from .labels.frame_fields import CORRECTED
from .labels.masks import Size, extend
from .labels.prompts import visible_labels
from .videos.collection import select_videos, source_info

SOURCE_SIZE = "source_size"
"""Sample field with the [height, width] of the frame images that a video was encoded from."""


@dataclass(frozen=True)
class Clip:
    """The frames that the model sees, and how its masks fit the video that the App shows."""

    frames: FrameSource
    video_size: Size
    """(H, W) of the video; FiftyOne's relative coordinates refer to it."""
    claimed: int | None = None
    """How many frames the video should have, by its metadata or its container; None: unknown."""
    span: tuple[int, int] | None = None
    """First and last number of the frames that are wanted; None: all."""
    note: str | None = None
    """What to tell of its frame images."""

    @property
    def length(self) -> int:
        """How many frames are wanted, as far as the file says."""
        if self.span is None:
            return len(self.frames)
        return min(self.span[1], max(self.span[0], len(self.frames))) - self.span[0] + 1

    def covers(self, number: int) -> bool:
        """Whether the frame of this number is wanted."""
        return self.span is None or self.span[0] <= number <= self.span[1]

    def to_frame(self, mask: BoolMask) -> BoolMask:
        """Cut a mask of the video's size to the frames' size."""
        height, width = self.frames.size
        return mask[:height, :width]

    def to_video(self, id_map: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Extend an id map of the frames' size to the video's size with background."""
        return extend(id_map, self.video_size)

    def remark(self, decoded: int) -> str | None:
        """What to tell of a video if it does not have as many frames as it claims to have."""
        if self.span is not None or decoded == self.claimed:
            return self.note
        if self.claimed is None:
            return self.note or self.frames.shortfall
        damaged = "; it may be damaged" if decoded < self.claimed else ""
        return (
            f"{counted(decoded, 'frame')} could be decoded and have their masks, but the file or "
            f"its metadata claims {self.claimed}{damaged}."
        )


def open_clip(sample: fo.Sample, *, exact: bool = True) -> Clip:
    """Open the frames of a video sample: its source images where it has them, else its video.

    The images in ``frames[].filepath`` are preferred because encoding a video changes its
    pixels. They are used when every frame of the video has one; unless ``exact``, it is taken at
    its container's word for how many that are, which is quicker. Then a video that is not there or
    cannot be decoded is not missed. Raises InvalidMedia when a file is missing or cannot be
    decoded, or when images and video differ in size by more than the row or column with which
    encoders make a size even.
    """
    files = _images(sample)
    video, lost = _open_video(sample)
    length = _length(sample, video, exact=exact) if files else 0
    if not files or len(files) < length:
        if video is None:
            some = f"only frames 1 to {len(files)} of {length} have images, and for the others: "
            raise InvalidMedia(f"{some if files else ''}{lost}")
        frames = video
        claimed = None if frames.trimmed else _claimed(sample) or len(frames)
        return Clip(frames, frames.size, claimed)
    try:
        frames = open_frames(files)
    except InvalidMedia as error:
        raise InvalidMedia(f"{error} {_ADVICE}") from error
    size = _video_size(sample, video) or frames.size
    if not _fits(size, frames.size):
        raise InvalidMedia(
            f"the frame images (such as {files[0]}) are {pixels(frames.size)} pixels, but the "
            f"video {sample.filepath} is {pixels(size)}; expected the same size. Encode the video "
            f"from these images. {_ADVICE}"
        )
    note = None
    if lost is not None and not _claimed(sample):
        note = (
            f"neither the video nor its metadata is there to say whether these "
            f"{counted(len(files), 'frame image')} are all of it."
        )
    elif len(files) > length:
        note = (
            f"there are {counted(len(files), 'frame image')}, but the video has {length}: the App "
            "does not show the others."
        )
    return Clip(frames, size, note=note)


_ADVICE = (
    "To use the video in place of its frame images, clear their paths: "
    'dataset.clear_frame_field("filepath").'
)


def _images(sample: fo.Sample) -> list[Path]:
    """The images of frames 1, 2, ... as far as these have one without a gap."""
    dataset = sample.dataset
    if "filepath" not in dataset.get_frame_field_schema():
        return []
    # Read from the database directly: `sample.frames` would load and keep all labels too.
    query = {"_sample_id": ObjectId(sample.id), "filepath": {"$nin": [None, ""]}}
    found = dataset._frame_collection.find(query, {"frame_number": 1, "filepath": 1})
    rows = enumerate(found.sort("frame_number"), 1)
    return [Path(row["filepath"]) for place, row in rows if row["frame_number"] == place]


def _length(sample: fo.Sample, video: FrameSource | None, *, exact: bool) -> int:
    """How many frames images must cover."""
    if video is None:
        return _claimed(sample) or _last(sample)
    return _loaded(sample) or (video.count() if exact else len(video))


def _last(sample: fo.Sample) -> int:
    """The number of the last frame that the dataset has."""
    return select_videos(sample.dataset, sample.id).max("frames.frame_number") or 0


def _claimed(sample: fo.Sample) -> int | None:
    """How many frames there are by the metadata."""
    return sample.metadata.total_frame_count if sample.metadata is not None else None


def _loaded(sample: fo.Sample) -> int | None:
    """How many frames a load encoded."""
    known = source_info(sample.dataset) and sample.has_field("num_frames")
    return sample["num_frames"] if known else None


def _open_video(sample: fo.Sample) -> tuple[FrameSource | None, InvalidMedia | None]:
    """The video, or why there is none."""
    try:
        return open_frames(sample.filepath), None
    except InvalidMedia as error:
        return None, error


_TURNED = (
    "its file holds the frames on their side or mirrored, as those of phones do, and the App's "
    "Annotate tab does not turn them: what was drawn there does not lie on the objects. Make an "
    "upright copy (ffmpeg -i IN.mp4 OUT.mp4), and draw in that"
)


def check_upright(samples: SampleCollection, sample_id: str, field: str) -> None:
    """Raise InvalidMask if labels of a video on its side were drawn in the App.

    Of its labels the App says that they were copied; or a person made them a key frame in a field
    that a run filled. Labels that a view hides do not count.
    """
    known = LabelField.of(samples, field)
    video, _ = _open_video(samples._dataset[sample_id])
    if known.items is None or video is None or not video.turned:
        return
    visible = visible_labels(samples, sample_id, field)
    by_runs = samples._dataset.get_field(f"frames.{known.items}.{CORRECTED}") is not None
    paths = [f"{known.items}.{name}" for name in ("_id", "keyframe", CORRECTED)]
    for document in read_documents(samples, sample_id, paths, annotated=field):
        for raw in known.labels(document):
            drawn = by_runs and raw.get("keyframe") and not raw.get(CORRECTED)
            if visible is not None and raw["_id"] not in visible:
                continue
            if drawn or raw.get("keyframe") is False:
                raise InvalidMask(_TURNED)


# ---------------------------------------------------------------- size and length


class Sizes(NamedTuple):
    """(H, W) of a video, and what is not known of it."""

    video: Size
    """To which its labels are relative."""
    source: Size
    """Of its source frames: a row or column less where an encoder made an odd size even."""
    note: str | None = None
    """Set where the size of the source frames could not be found out."""
    noted: bool = False
    """Whether the size of the source frames is that of such frames, or was noted by a load."""

    def takes(self, size: Size) -> bool:
        """Whether masks of this (H, W) can be those of its frames, without being resized."""
        if size in (self.video, self.source):
            return True
        return not self.noted and _fits(self.video, size)


def mask_sizes(samples: SampleCollection, sample_id: str) -> Sizes:
    """The sizes of a video and of its source frames.

    Raises InvalidMedia if neither file nor metadata nor images say how large the video is.
    """
    sample = samples._dataset[sample_id]
    noted = sample[SOURCE_SIZE] if sample.has_field(SOURCE_SIZE) else None
    files = [] if noted is not None else _images(sample)
    there = next((file for file in files if file.is_file()), None)
    opened, lost = _open_video(sample)
    video = _video_size(sample, opened) or (image_size(there) if there is not None else None)
    if video is None:
        raise InvalidMedia(
            f"the size of its frames is unknown, as the sample has no metadata either: {lost}"
        )
    if noted is not None:
        source = int(noted[0]), int(noted[1])
    else:
        if there is None:
            note = (
                "its frame images are not there, so their size is unknown; that of the video "
                f"({pixels(video)}) is used, which may have a row or column more"
            )
            return Sizes(video, video, note if files else None)
        source = image_size(there)
    fits = _fits(video, source)
    return Sizes(video, source if fits else video, noted=fits)


def frame_count(samples: SampleCollection, sample_id: str) -> int | None:
    """How many frames a video has: those that can be decoded, or of a missing file its metadata's.

    None if neither is there.
    """
    sample = samples._dataset[sample_id]
    loaded = _loaded(sample)
    if loaded is not None:
        return loaded
    video, _ = _open_video(sample)
    return _claimed(sample) if video is None else video.count()


def _video_size(sample: fo.Sample, video: FrameSource | None) -> Size | None:
    """(H, W) as decoded, which is upright; that of the metadata where the file is missing."""
    if video is not None:
        return video.size
    metadata = sample.metadata
    if metadata is not None and metadata.frame_height and metadata.frame_width:
        return metadata.frame_height, metadata.frame_width
    return None


def _fits(video: Size, source: Size) -> bool:
    """Whether a video of this size can have been encoded from frames of that size."""
    return all(0 <= grown - side <= 1 for grown, side in zip(video, source, strict=True))
