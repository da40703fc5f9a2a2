"""Adding fields to a dataset."""

from __future__ import annotations

from collections.abc import Mapping

import fiftyone as fo


def add_fields(
    dataset: fo.Dataset,
    samples: Mapping[str, fo.Field] | None = None,
    frames: Mapping[str, fo.Field] | None = None,
) -> None:
    """Add fields of samples and of frames, by path; those that exist stay as they are.

    In one step each, because FiftyOne reads and writes the whole schema at every one.
    """
    new_samples, new_frames = (
        {path: field for path, field in (fields or {}).items() if not dataset.get_field(at + path)}
        for at, fields in (("", samples), ("frames.", frames))
    )
    for field in (*new_samples.values(), *new_frames.values()):
        # As FiftyOne's own helpers make them: otherwise the session that made a field could save
        # no sample, frame or label that lacks a value.
        field.null = True
    dataset._merge_sample_field_schema(new_samples)
    if new_frames:
        dataset._merge_frame_field_schema(new_frames)
