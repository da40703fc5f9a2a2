"""The evaluation table in memory and in the database: columns of counts instead of row objects.

A row object takes about 500 bytes, a record here 73; J and F are not stored, because they follow
exactly from the counts.
"""

from __future__ import annotations

import base64
import io
import json
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from hs2s_core.evaluation import EvaluationTable, FrameCounts, Protocol, Row, VideoFailure

COUNTS = FrameCounts._fields
RECORD = np.dtype(
    [
        ("video", "<i4"),  # place in Columns.videos
        ("object", "<i4"),
        ("frame", "<i4"),  # 0-based
        ("since_prompt", "<i4"),
        ("counted", "?"),
        *((name, "<i4") for name in COUNTS),
        # Label ids, 12 bytes each and zero where there is no label.
        ("truth_id", "V12"),
        ("prediction_id", "V12"),
        ("confidence", "<f4"),  # nan where unknown
    ]
)
Records = npt.NDArray[np.void]


@dataclass
class Columns:
    """All rows of an evaluation, and what they refer to."""

    videos: list[str] = field(default_factory=list)
    """Name of each video, as in ``Row.video``."""
    sample_ids: list[str] = field(default_factory=list)
    """Sample of each video."""
    categories: list[dict[int, str | None]] = field(default_factory=list)
    """Category by object id, per video."""
    seen: list[dict[int, bool | None]] = field(default_factory=list)
    """Whether the category was seen in training by object id, per video."""
    frame_names: list[dict[int, str]] = field(default_factory=list)
    """Stem of the source file by frame, per video; frames without one are left out."""
    parts: list[Records] = field(default_factory=list)
    """Records of each video."""

    def add(self, sample_id: str, name: str, rows: Sequence[Row], records: Records) -> None:
        """Append a video; ``records`` are ``to_records(rows)``."""
        records["video"] = len(self.videos)
        self.videos.append(name)
        self.sample_ids.append(sample_id)
        self.categories.append({row.object: row.category for row in rows})
        self.seen.append({row.object: row.seen for row in rows})
        self.frame_names.append({row.frame: row.frame_name for row in rows if row.frame_name})
        self.parts.append(records)

    @property
    def records(self) -> Records:
        """The records of all videos, in order."""
        if len(self.parts) != 1:
            self.parts = [np.concatenate([np.zeros(0, RECORD), *self.parts])]
        return self.parts[0]

    def rows(self, chosen: Records | None = None) -> Iterator[Row]:
        """Rows as ``hs2s_core`` has them, of ``chosen`` records or all."""
        names = [name for name in RECORD.names or () if name not in _LABELS]
        for values in (self.records if chosen is None else chosen)[names].tolist():
            video, object_id, frame, since_prompt, counted, *numbers = values
            counts = FrameCounts(*numbers)
            yield Row(
                video=self.videos[video],
                object=object_id,
                category=self.categories[video].get(object_id),
                seen=self.seen[video].get(object_id),
                frame=frame,
                frame_name=self.frame_names[video].get(frame, ""),
                since_prompt=since_prompt,
                counted=counted,
                j=counts.j,
                f=counts.f,
                in_truth=counts.area_truth > 0,
                in_prediction=counts.area_prediction > 0,
                **counts._asdict(),
            )

    def to_text(self) -> str:
        """Everything as text that fits a JSON document."""
        about = [self.videos, self.sample_ids, self.categories, self.seen, self.frame_names]
        with io.BytesIO() as file:
            head = zlib.compress(json.dumps(about).encode())
            body = zlib.compress(self.records.tobytes())
            for part in (len(head).to_bytes(8, "little"), head, body):
                file.write(part)
            return base64.b64encode(file.getvalue()).decode("ascii")

    @classmethod
    def from_text(cls, text: str) -> Columns:
        """The inverse of :meth:`to_text`."""
        content = base64.b64decode(text)
        end = 8 + int.from_bytes(content[:8], "little")
        videos, sample_ids, categories, seen, names = json.loads(zlib.decompress(content[8:end]))
        return cls(
            videos,
            sample_ids,
            categories=_by_number(categories),
            seen=_by_number(seen),
            frame_names=_by_number(names),
            # A copy, because an array over bytes cannot be written.
            parts=[np.frombuffer(zlib.decompress(content[end:]), RECORD).copy()],
        )


_LABELS = ("truth_id", "prediction_id", "confidence")


def to_records(rows: Sequence[Row]) -> Records:
    """Records of one video's rows; label ids and confidences are still missing."""
    records = np.zeros(len(rows), RECORD)
    for name in ("object", "frame", "since_prompt", "counted", *COUNTS):
        records[name] = [getattr(row, name) for row in rows]
    records["confidence"] = np.nan
    return records


def scores(records: Records) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """J and F of each record, the same as ``FrameCounts.j`` and ``f`` to the last bit."""
    union = records["area_prediction"] + records["area_truth"] - records["intersection"]
    j = np.divide(records["intersection"], union, out=np.ones(len(records)), where=union > 0)
    boundaries = [records[f"boundary_{name}"] for name in ("prediction", "truth")]
    both = (boundaries[0] > 0) & (boundaries[1] > 0)
    f = (boundaries[0] == boundaries[1]).astype(np.float64)
    precision, recall = (
        np.divide(records[f"matched_{name}"], count, out=np.zeros(len(records)), where=both)
        for name, count in zip(("prediction", "truth"), boundaries, strict=True)
    )
    some = both & (precision + recall > 0)
    f[both] = 0.0
    np.divide(2 * precision * recall, precision + recall, out=f, where=some)
    return j, f


def table(
    columns: Columns,
    protocol: Protocol,
    failures: Sequence[VideoFailure] = (),
    notes: Sequence[str] = (),
) -> EvaluationTable:
    """The table with row objects, as ``hs2s_core`` and its reports take it."""
    return EvaluationTable(protocol, tuple(columns.rows()), tuple(failures), tuple(notes))


def protocol_to_dict(protocol: Protocol) -> dict[str, Any]:
    """A protocol as stored with a run."""
    return asdict(protocol)


def _by_number(entries: list[dict[str, Any]]) -> list[dict[int, Any]]:
    """JSON turns the numbers that are keys into text."""
    return [{int(key): value for key, value in entry.items()} for entry in entries]
