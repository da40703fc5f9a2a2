"""What a run changes of the masks that were there before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import fiftyone as fo
from bson import ObjectId
from fiftyone.core.collections import SampleCollection

from hs2s_core.media.masks import BoolMask
from hs2s_core.wording import counted

from ..labels.conversion import LabelField
from ..labels.masks import Size
from .corrections import DIGEST


class Changes:
    """Compares, frame by frame, what an output field gets with what it has."""

    def __init__(self, samples: SampleCollection, sample_id: str, field: str, size: Size) -> None:
        self._frames = samples._dataset._frame_collection
        self._query = {"_sample_id": ObjectId(sample_id)}
        self._field = LabelField(field, fo.Detections)
        self._size = size
        self._compared, self._changed = 0, 0
        self._overlaps: list[float] = []

    def see(
        self, number: int, found: fo.Detections, kept: Iterable[Mapping[str, Any]] = ()
    ) -> None:
        """Compare the labels that a run found in a frame; those that were kept did not change."""
        query = {**self._query, "frame_number": number}
        document = self._frames.find_one(query, {self._field.name: 1}) or {}
        same = {raw["_id"] for raw in kept}
        old = [raw for raw in self._field.labels(document) if raw["_id"] not in same]
        new = [label.to_dict() for label in found.detections]
        self._compared += 1
        signed = {raw.get(DIGEST) for raw in old} & {raw[DIGEST] for raw in new}
        before, after = (
            self._masks([raw for raw in rows if raw.get(DIGEST) not in signed])
            for rows in (old, new)
        )
        pairs = ((before.get(index), after.get(index)) for index in {*before, *after})
        changed = [overlap for overlap in (_overlap(*pair) for pair in pairs) if overlap < 1]
        self._changed += bool(changed)
        self._overlaps += changed

    def __str__(self) -> str:
        if not self._changed:
            return "No mask changed."
        mean = sum(self._overlaps) / len(self._overlaps)
        return (
            f"Masks changed in {self._changed} of {counted(self._compared, 'frame')}; those that "
            f"did have a mean IoU of {mean:.2f} with what was there before."
        )

    def _masks(self, rows: list[Any]) -> dict[int | None, BoolMask]:
        parts = self._field.parts({self._field.name: {"detections": rows}}, self._size, "a frame")
        return {part.mark.index: part.mask for part in parts if part.mask is not None}


def _overlap(before: BoolMask | None, after: BoolMask | None) -> float:
    """Their IoU, in [0, 1]; 0 where one is missing."""
    if before is None or after is None:
        return 0.0
    union = (before | after).sum()
    return float((before & after).sum() / union) if union else 1.0
