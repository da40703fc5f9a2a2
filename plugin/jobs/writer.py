"""Writes what the frames of a video get: all of it at once, or nothing.

Labels gather beside the dataset, a bounded number in memory. When the video is done, one write to
its claim says so; from then on its labels are moved in place by the database itself, for this
process or, if that is killed just then, for the next that looks. Until then the dataset is as it
was.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from datetime import datetime, timezone
from typing import Any

import fiftyone as fo
import fiftyone.core.frame as fofr
import fiftyone.core.odm as foo
import fiftyone.core.sample as fos
from bson import ObjectId
from pymongo.collection import Collection

from .claims import Claim, Record, claim, settle_stale

FLUSH_BYTES = 32 * 2**20
FLUSH_FRAMES = 64


class FrameWriter:
    """Takes what the frames of one video get; leaving its block without an error puts it in place.

    What the video had in ``field`` before is replaced: frames that get nothing are None there then.
    Raises HS2SError where another run is writing the same field of this video.
    """

    def __init__(
        self,
        dataset: fo.Dataset,
        sample_id: str,
        field: str,
        name: str,
        span: tuple[int, int] | None = None,
    ) -> None:
        """``span`` is the first and last number of the frames that are at issue; None: all."""
        self._span = span
        self._dataset, self._sample_id, self._field = dataset, ObjectId(sample_id), field
        self._name = name
        self._stack = ExitStack()
        self._claim: Claim
        self._fields = {field}
        self._waiting: list[dict[str, Any]] = []
        self._bytes = 0
        self.values: dict[str, Any] = {}
        """What the sample gets, at the same moment."""

    def __enter__(self) -> FrameWriter:
        _staged().create_index("_claim")
        key = f"{self._sample_id}.{self._field}"
        if self._span is not None:  # clips of one video do not wait for each other
            key += ":{}-{}".format(*self._span)
        self._claim = self._stack.enter_context(claim(key, self._name, _settle))
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        # The claim ends with the stack, which puts in place what was committed.
        with self._stack:
            if kind is None:
                self._flush()
                commit = {
                    "frames": self._dataset._frame_collection_name,
                    "samples": self._dataset._sample_collection_name,
                    "sample": self._sample_id,
                    "field": self._field,
                    "fields": sorted(self._fields),
                    "span": self._span,
                    "values": self.values,
                }
                self._claim.update({"commit": commit})

    def add(
        self,
        frame_number: int,
        label: fo.Label | None,
        kept: Iterable[dict[str, Any]] = (),
        **values: Any,
    ) -> None:
        """Take the labels of a frame (numbers from 1) and the ``values`` of its other fields.

        ``kept`` are more of its labels, as the database has them.
        """
        content = None if label is None else label.to_dict()
        if content is not None:
            content.setdefault("detections", []).extend(kept)
        now = utc_now()
        self._waiting.append(
            {
                "_claim": self._claim.owner,
                "_sample_id": self._sample_id,
                "_dataset_id": self._dataset._doc.id,
                "frame_number": frame_number,
                "created_at": now,
                "last_modified_at": now,
                self._field: content,
                **values,
            }
        )
        self._fields.update(values)
        for entry in (content or {}).get("detections", ()):
            self._bytes += len(entry.get("mask") or b"")
        if self._bytes >= FLUSH_BYTES or len(self._waiting) >= FLUSH_FRAMES:
            self._flush()
        self._claim.beat()

    def _flush(self) -> None:
        if self._waiting:
            _staged().insert_many(self._waiting)
        self._waiting, self._bytes = [], 0


def utc_now() -> datetime:
    """The time as FiftyOne stores it: in UTC, without a time zone."""
    return datetime.now(timezone.utc).replace(tzinfo=None)


def settle_killed() -> None:
    """Finish or throw away what killed runs left in this database."""
    settle_stale(_settle)


def _staged() -> Collection[Record]:
    return foo.get_db_conn()["hs2s.staged"]


def _settle(record: Record) -> None:
    """Put what was committed in place, which may be done twice, and remove what was gathered."""
    commit, db = record.get("commit"), foo.get_db_conn()
    if commit is not None and commit["frames"] in db.list_collection_names():
        names = [*commit["fields"], "last_modified_at"]
        pipeline = [
            {"$match": {"_claim": record["owner"]}},
            {"$unset": "_claim"},
            {
                "$merge": {
                    "into": commit["frames"],
                    "on": ["_sample_id", "frame_number"],
                    "whenMatched": [{"$set": {name: f"$$new.{name}" for name in names}}],
                    "whenNotMatched": "insert",
                }
            },
        ]
        numbers = _staged().distinct("frame_number", {"_claim": record["owner"]})
        _staged().aggregate(pipeline)
        video = {"_sample_id": commit["sample"]}
        others: dict[str, Any] = {"$nin": numbers}
        if commit.get("span") is not None:
            others |= dict(zip(("$gte", "$lte"), commit["span"], strict=True))
        old = {**video, commit["field"]: {"$ne": None}, "frame_number": others}
        db[commit["frames"]].update_many(old, {"$set": {commit["field"]: None}})
        changes = {**commit["values"], "last_modified_at": utc_now()}
        db[commit["samples"]].update_one({"_id": commit["sample"]}, {"$set": changes})
        fofr.Frame._reload_docs(commit["frames"], sample_ids=[commit["sample"]])
        fos.Sample._reload_docs(commit["samples"], sample_ids=[commit["sample"]])
    _staged().delete_many({"_claim": record["owner"]})
