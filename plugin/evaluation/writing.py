"""Writes the scores of one video in a few bulk operations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from statistics import fmean
from typing import Any

import fiftyone as fo
from bson import ObjectId
from pymongo import UpdateOne

from hs2s_core.evaluation import Row, Rows

from ..jobs import utc_now
from .scoring import TRUE_POSITIVE
from .video import FrameLabels

_BATCH = 1000


def write_scores(
    dataset: fo.Dataset,
    sample_id: str,
    eval_key: str,
    items: str | None,
    rows: Rows,
    frames: Sequence[FrameLabels],
    scores: Mapping[str, Any],
) -> None:
    """Set the scores of a video's predicted labels and frames, then those of the sample.

    ``items`` is the path of the predicted labels below a frame, None for a Segmentation.
    """
    by_frame: dict[int, dict[int, Row]] = {}
    for row in rows:
        by_frame.setdefault(row.frame, {})[row.object] = row
    now = utc_now()
    for start in range(0, len(frames), _BATCH):
        batch = frames[start : start + _BATCH]
        updates = [
            _frame_update(frame, by_frame.get(frame.frame, {}), eval_key, items, now)
            for frame in batch
        ]
        dataset._bulk_write(updates, ids=[frame.frame_id for frame in batch], frames=True)
    values = {f"{eval_key}_{suffix}": value for suffix, value in scores.items()}
    update = UpdateOne({"_id": ObjectId(sample_id)}, {"$set": {**values, "last_modified_at": now}})
    dataset._bulk_write([update], ids=[sample_id])


def _frame_update(
    frame: FrameLabels, rows: Mapping[int, Row], eval_key: str, items: str | None, now: datetime
) -> UpdateOne:
    query: dict[str, Any] = {"_id": frame.frame_id}
    values: dict[str, Any] = {"last_modified_at": now}
    counted = [row for row in rows.values() if row.counted]
    if counted:
        values |= _values(eval_key, fmean(r.j for r in counted), fmean(r.f for r in counted))
    for place, label_id, object_id, _ in frame.predicted if items is not None else ():
        row = rows.get(object_id)
        if row is None:  # the truth never has this object
            continue
        path = f"{items}.{place}"
        # Labels may have been edited meanwhile: the place must still hold the label that was read.
        query[f"{path}._id"] = label_id
        values |= _values(f"{path}.{eval_key}", row.j, row.f)
        if row.counted:
            hit = row.in_truth and row.j >= TRUE_POSITIVE
            values[f"{path}.{eval_key}"] = "tp" if hit else "fp"
    return UpdateOne(query, {"$set": values})


def _values(prefix: str, j: float, f: float) -> dict[str, float]:
    return {f"{prefix}_j": j, f"{prefix}_f": f, f"{prefix}_jf": (j + f) / 2}
