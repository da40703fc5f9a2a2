"""The row of the evaluation table: one object in one annotated frame of one video."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

ObjectKey = tuple[str, int]
"""Video and object id."""


class Row(NamedTuple):
    """J, F and the counts they came from; every number this package prints derives from rows."""

    video: str
    object: int
    """Object id; 1 where the protocol merges objects."""
    category: str | None
    seen: bool | None
    """Whether the category was seen in training; None where unknown."""
    frame: int
    """0-based frame of the video (position among annotated frames, unless the caller says more)."""
    frame_name: str
    """Stem of the annotated frame's file; empty where there is no file."""
    since_prompt: int
    """Annotated frames since the object's prompt; 0 at the prompt, negative before it."""
    counted: bool
    """Whether the protocol counts this row."""
    j: float
    f: float
    area_truth: int
    area_prediction: int
    intersection: int
    boundary_truth: int
    boundary_prediction: int
    matched_truth: int
    matched_prediction: int
    in_truth: bool
    in_prediction: bool


def by_object(rows: Iterable[Row]) -> dict[ObjectKey, list[Row]]:
    """Group rows by video and object; groups and rows keep their order."""
    groups: dict[ObjectKey, list[Row]] = {}
    for row in rows:
        groups.setdefault((row.video, row.object), []).append(row)
    return groups
