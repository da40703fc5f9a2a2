"""The rows of an evaluation as a run stores them: with their labels, as text in JSON."""

from __future__ import annotations

import base64
import io
import json
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from hs2s_core.data.meta import ObjectInfo
from hs2s_core.evaluation.rows import RECORD, Records, Rows, RowsVideo

from .video import FrameLabels

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
    with io.BytesIO() as file:
        head = zlib.compress(json.dumps(about).encode())
        body = zlib.compress(rows.records.tobytes())
        for part in (len(head).to_bytes(8, "little"), head, body):
            file.write(part)
        return base64.b64encode(file.getvalue()).decode("ascii")


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
