"""The fields of an evaluation run: their names, their types, and how they come and go."""

from __future__ import annotations

from collections.abc import Iterator

import fiftyone as fo
from fiftyone.core.collections import SampleCollection

SAMPLE_FIELDS: dict[str, tuple[type[fo.Field], str]] = {
    "jf": (fo.FloatField, "J&F: mean of J and F"),
    "j": (fo.FloatField, "J, region similarity: mean per object, then over objects"),
    "f": (fo.FloatField, "F, contour accuracy: mean per object, then over objects"),
    "early": (fo.FloatField, "J&F in the frames t < 10 after each object's prompt"),
    "late": (fo.FloatField, "J&F in the frames t > 20 after each object's prompt"),
    "drop": (fo.FloatField, "J&F lost from early to late frames"),
    "first_failure": (
        fo.IntField,
        "Frame number in which an object is first lost: J < 0.5 for 3 annotated frames",
    ),
    "num_frames": (fo.IntField, "Number of annotated frames"),
    "length_bin": (fo.StringField, "Bin of the number of annotated frames"),
    "note": (fo.StringField, "Why the video has no score, or what to know about it"),
}
"""By suffix; the field is ``<eval_key>_<suffix>``."""

FRAME_FIELDS = {
    "jf": "J&F: mean over the objects that count in this frame",
    "j": "J: mean over the objects that count in this frame",
    "f": "F: mean over the objects that count in this frame",
}
LABEL_FIELDS = {"jf": "J&F of this object", "j": "J of this object", "f": "F of this object"}


def prediction_list(samples: SampleCollection, field: str) -> str | None:
    """Path below a frame of the labels in a field; None for a Segmentation, which has no list."""
    entry = samples._dataset.get_frame_field_schema().get(field)
    label_type = getattr(entry, "document_type", None)
    items = getattr(label_type, "_LABEL_LIST_FIELD", None)
    return None if items is None else f"{field}.{items}"


def frame_paths(eval_key: str, items: str | None) -> Iterator[tuple[str, type[fo.Field], str]]:
    """Path below a frame, type and description of every frame-level field of a run."""
    for suffix, text in FRAME_FIELDS.items():
        yield f"{eval_key}_{suffix}", fo.FloatField, text
    if items is not None:
        yield (
            f"{items}.{eval_key}",
            fo.StringField,
            "tp where J is at least 0.5, else fp; only in frames that count",
        )
        for suffix, text in LABEL_FIELDS.items():
            yield f"{items}.{eval_key}_{suffix}", fo.FloatField, text


def sample_paths(eval_key: str) -> Iterator[tuple[str, type[fo.Field], str]]:
    """Path, type and description of every sample-level field of a run."""
    for suffix, (kind, text) in SAMPLE_FIELDS.items():
        yield f"{eval_key}_{suffix}", kind, text


def taken(samples: SampleCollection, eval_key: str) -> list[str]:
    """Existing sample and frame fields that a new run of this key would write."""
    dataset = samples._dataset
    found = [path for path, _, _ in sample_paths(eval_key) if dataset.has_sample_field(path)]
    return found + [
        f"frames.{path}"
        for path, _, _ in frame_paths(eval_key, None)
        if dataset.has_frame_field(path)
    ]


def declare(dataset: fo.Dataset, eval_key: str, items: str | None) -> None:
    """Add all fields of a run, each with a description that the App shows."""
    # In two steps, because FiftyOne reads and writes the whole schema at each of them.
    dataset._merge_sample_field_schema(
        {path: kind(description=text) for path, kind, text in sample_paths(eval_key)}
    )
    dataset._merge_frame_field_schema(
        {path: kind(description=text) for path, kind, text in frame_paths(eval_key, items)}
    )


def rename(dataset: fo.Dataset, eval_key: str, new_key: str, items: str | None) -> None:
    """Rename the fields of a run, and their values."""
    dataset.rename_sample_fields(_pairs(sample_paths(eval_key), sample_paths(new_key)))
    old, new = frame_paths(eval_key, items), frame_paths(new_key, items)
    dataset.rename_frame_fields(_pairs(old, new))


def remove(dataset: fo.Dataset, eval_key: str, items: str | None) -> None:
    """Delete the fields of a run, as far as they exist."""
    dataset.delete_sample_fields([path for path, _, _ in sample_paths(eval_key)], error_level=2)
    paths = [path for path, _, _ in frame_paths(eval_key, items)]
    dataset.delete_frame_fields(paths, error_level=2)


def _pairs(
    old: Iterator[tuple[str, type[fo.Field], str]], new: Iterator[tuple[str, type[fo.Field], str]]
) -> dict[str, str]:
    return {before[0]: after[0] for before, after in zip(old, new, strict=True)}
