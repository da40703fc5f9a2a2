"""How large and how many the frames of a video are, without decoding it where possible."""

from __future__ import annotations

from pathlib import Path

import fiftyone as fo
from bson import ObjectId
from fiftyone.core.collections import SampleCollection

from hs2s_core.errors import InvalidMedia
from hs2s_core.media.frames import open_frames
from hs2s_core.media.images import image_size

from .labels import Size
from .videos import select_videos


def mask_sizes(samples: SampleCollection, sample_id: str) -> tuple[Size, Size]:
    """(H, W) of a video, to which its labels are relative, and of its source frames.

    The two differ by a row or column where an encoder made an odd size even. Raises InvalidMedia if
    neither metadata nor file say how large the video is.
    """
    view = select_videos(samples, sample_id)
    fields = ["filepath", "metadata.frame_height", "metadata.frame_width"]
    path, height, width = (values[0] for values in view.values(fields))
    if not (height and width):
        if not Path(path).is_file():
            raise InvalidMedia(
                f"{path}: no such file, and the sample has no metadata, so the size of its frames "
                "is unknown; restore the file or run `dataset.compute_metadata()`."
            )
        height, width = open_frames(path).size
    video = int(height), int(width)
    source = _source_size(samples._dataset, sample_id)
    if source is not None and all(0 <= v - s <= 1 for v, s in zip(video, source, strict=True)):
        return video, source
    return video, video


def frame_count(samples: SampleCollection, sample_id: str) -> int | None:
    """How many frames a video has, by its metadata or its file; None if neither is there."""
    view = select_videos(samples, sample_id)
    fields = ["filepath", "metadata.total_frame_count"]
    path, count = (values[0] for values in view.values(fields))
    if count is None and Path(path).is_file():
        count = len(open_frames(path))
    return count


def _source_size(dataset: fo.Dataset, sample_id: str) -> Size | None:
    """(H, W) of the image of the first frame that has one."""
    if "filepath" not in dataset.get_frame_field_schema():
        return None
    query = {"_sample_id": ObjectId(sample_id), "filepath": {"$ne": None}}
    found = dataset._frame_collection.find_one(query, {"filepath": 1}, sort=[("frame_number", 1)])
    if found is None or not Path(found["filepath"]).is_file():
        return None
    return image_size(Path(found["filepath"]))
