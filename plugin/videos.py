"""The video samples of a dataset, their frames, and the frame that labels are relative to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fiftyone as fo
import fiftyone.core.media as fom
import numpy as np
import numpy.typing as npt
from bson import ObjectId
from fiftyone.core.collections import SampleCollection

from hs2s_core.errors import InvalidMedia
from hs2s_core.media.frames import FrameSource, open_frames

from .labels import BoolMask, Size


@dataclass(frozen=True)
class Clip:
    """The frames that the model sees, and how its masks fit the video that the App shows."""

    frames: FrameSource
    video_size: Size
    """(H, W) of the video; FiftyOne's relative coordinates refer to it."""

    def to_frame(self, mask: BoolMask) -> BoolMask:
        """Cut a mask of the video's size to the frames' size."""
        height, width = self.frames.size
        return mask[:height, :width]

    def to_video(self, id_map: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Extend an id map of the frames' size to the video's size with background."""
        pad = [(0, want - have) for want, have in zip(self.video_size, id_map.shape, strict=True)]
        return np.pad(id_map, pad) if any(after for _, after in pad) else id_map


def select_videos(
    samples: SampleCollection, ids: str | Sequence[str], *, ordered: bool = False
) -> SampleCollection:
    """These samples of the whole dataset, whichever slices of their groups they are in.

    ``dataset.select`` alone finds none but those of the active slice. ``ordered`` keeps the order
    of the ids.
    """
    dataset = samples._dataset
    if dataset.media_type == fom.GROUP:
        dataset = dataset.select_group_slices(media_type=fom.VIDEO)
    return dataset.select(ids, ordered=ordered)


def open_clip(sample: fo.Sample) -> Clip:
    """Open the frames of a video sample: its source images where it has them, else its video.

    The images in ``frames[].filepath`` are preferred because encoding a video changes its
    pixels. They are used when every frame has one. Raises InvalidMedia when a file is missing
    or cannot be decoded, or when images and video differ in size by more than the row or column
    with which encoders make a size even.
    """
    files = list(_source_images(sample))
    if not files:
        frames = open_frames(sample.filepath)
        return Clip(frames, frames.size)
    frames = open_frames(files)
    video_size = _video_size(sample) or frames.size
    grown = [video - frame for video, frame in zip(video_size, frames.size, strict=True)]
    if not all(0 <= side <= 1 for side in grown):
        raise InvalidMedia(
            f"the frame images (such as {files[0]}) are {_text(frames.size)} pixels, but the video "
            f"{sample.filepath} is {_text(video_size)}; expected the same size. Encode the video "
            "from these images, or clear the field `filepath` of the frames to use the video."
        )
    return Clip(frames, video_size)


def _source_images(sample: fo.Sample) -> Iterator[Path]:
    """The image of every frame in order, or nothing unless each frame has one."""
    dataset = sample.dataset
    if "filepath" not in dataset.get_frame_field_schema():
        return
    total = sample.metadata.total_frame_count if sample.metadata is not None else None
    # Read from the database directly: `sample.frames` would load and keep all labels too.
    found = dataset._frame_collection.find(
        {"_sample_id": ObjectId(sample.id)}, {"frame_number": 1, "filepath": 1}
    )
    rows = [(row["frame_number"], row.get("filepath")) for row in found.sort("frame_number")]
    numbers = [number for number, path in rows if path]
    if numbers == list(range(1, (total or len(rows)) + 1)):
        yield from (Path(path) for _, path in rows if path)


def _video_size(sample: fo.Sample) -> Size | None:
    """(H, W) of the video file, from its metadata or its first frame; None if it is missing."""
    metadata = sample.metadata
    if metadata is not None and metadata.frame_height and metadata.frame_width:
        return metadata.frame_height, metadata.frame_width
    return open_frames(sample.filepath).size if Path(sample.filepath).is_file() else None


def _text(size: Size) -> str:
    return f"{size[1]}x{size[0]}"
