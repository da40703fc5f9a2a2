"""The rows of an evaluation in the database: as text in JSON in its run, as scores with labels."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from statistics import fmean
from typing import Any

import fiftyone as fo
import numpy as np
from bson import ObjectId
from pymongo import UpdateOne

from hs2s_core.data.meta import ObjectInfo
from hs2s_core.evaluation import Row
from hs2s_core.evaluation.rows import RECORD, Records, Rows, RowsVideo

from ..jobs import utc_now
from .scoring import TRUE_POSITIVE
from .video import FrameLabels

_BATCH = 1000

LABELLED = np.dtype(
    [
        *RECORD.descr,
        # Label ids, 12 bytes each and zero where there is no label.
        ("truth_id", "V12"),
        ("prediction_id", "V12"),
        ("confidence", "<f4"),  # nan where unknown
    ]
)


def with_labels(rows: Rows, frames: Sequence[FrameLabels]) -> Rows:
    """The rows of one video with the labels they came from."""
    records = np.zeros(len(rows), LABELLED)
    for name in RECORD.names or ():
        records[name] = rows.records[name]
    records["confidence"] = np.nan
    by_frame = {labels.frame: labels for labels in frames}
    for record in records:
        labels, object_id = by_frame[int(record["frame"])], int(record["object"])
        if object_id in labels.truth:
            record["truth_id"] = np.void(labels.truth[object_id].binary)
        for _, label_id, shown, confidence in labels.predicted:
            if shown == object_id:
                record["prediction_id"] = np.void(label_id.binary)
                record["confidence"] = np.nan if confidence is None else confidence
    return Rows(records, rows.videos)


def to_text(rows: Rows, sample_ids: Sequence[str]) -> str:
    """All rows, which have labels, and the sample of each video."""
    categories = [{key: o.category for key, o in v.objects.items()} for v in rows.videos]
    seen = [{key: o.seen for key, o in v.objects.items()} for v in rows.videos]
    names = [video.frame_names for video in rows.videos]
    about = [[video.name for video in rows.videos], list(sample_ids), categories, seen, names]
    head, body = map(zlib.compress, (json.dumps(about).encode(), rows.records.tobytes()))
    return base64.b64encode(len(head).to_bytes(8, "little") + head + body).decode("ascii")


def from_text(text: str) -> tuple[Rows, tuple[str, ...]]:
    """The inverse of :func:`to_text`."""
    content = base64.b64decode(text)
    end = 8 + int.from_bytes(content[:8], "little")
    about: list[list[Any]] = json.loads(zlib.decompress(content[8:end]))
    videos = tuple(
        RowsVideo(
            name,
            {int(key): ObjectInfo(categories[key], seen.get(key)) for key in categories},
            {int(frame): stem for frame, stem in stems.items()},
        )
        for name, _, categories, seen, stems in zip(*about, strict=True)
    )
    records: Records = np.frombuffer(zlib.decompress(content[end:]), LABELLED)
    return Rows(records, videos), tuple(about[1])


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
