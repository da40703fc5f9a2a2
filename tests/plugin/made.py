"""Made videos with known masks, as a FiftyOne dataset and as folders of id maps."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import fiftyone as fo
import numpy as np

from hs2s_core.media.masks import write_id_map

IdMaps = list[np.ndarray | None]
SIZE = (48, 64)


def moving(
    frames: int,
    objects: Mapping[int, tuple[int, int]],
    *,
    step: int = 1,
    shift: int = 0,
    side: int = 14,
    size: tuple[int, int] = SIZE,
) -> IdMaps:
    """Id maps of squares that start at (top, left) and move right; ``shift`` displaces all."""
    maps: IdMaps = []
    for index in range(frames):
        id_map = np.zeros(size, np.uint8)
        for object_id, (top, left) in objects.items():
            x = left + step * index + shift
            id_map[top : top + side, x : x + side] = object_id
        maps.append(id_map)
    return maps


def detections(
    id_map: np.ndarray | None, labels: Mapping[int, str] | None = None, **fields: object
) -> fo.Detections | None:
    """One Detection per id; None for a frame that is not annotated."""
    if id_map is None:
        return None
    return fo.Detections(
        detections=[
            fo.Detection.from_mask(
                id_map == object_id,
                label=(labels or {}).get(int(object_id), f"class {object_id}"),
                index=int(object_id),
                **fields,
            )
            for object_id in np.unique(id_map)
            if object_id
        ]
    )


def add_video(
    dataset: fo.Dataset, name: str, truth: IdMaps, predicted: IdMaps, **sample_fields: object
) -> fo.Sample:
    """A sample without a file: labels and metadata are all that an evaluation needs."""
    height, width = next(entry for entry in truth if entry is not None).shape
    sample = fo.Sample(
        filepath=f"/videos/{name}.mp4",
        metadata=fo.VideoMetadata(
            frame_height=height, frame_width=width, total_frame_count=len(truth), frame_rate=10
        ),
        **sample_fields,
    )
    for index, (true, guess) in enumerate(zip(truth, predicted, strict=True)):
        sample.frames[index + 1] = fo.Frame(truth=detections(true), pred=detections(guess))
    dataset.add_sample(sample)
    return sample


def write_folder(root: Path, videos: Mapping[str, IdMaps], annotated: Mapping[str, IdMaps]) -> Path:
    """``root/<video>/<frame>.png`` of the annotated frames."""
    for name, maps in videos.items():
        for index, (id_map, truth) in enumerate(zip(maps, annotated[name], strict=True)):
            if truth is not None:
                empty = np.zeros(truth.shape, np.uint8)
                write_id_map(root / name / f"{index:05d}.png", empty if id_map is None else id_map)
    return root
