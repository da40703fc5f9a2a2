"""Scores from rows: mean, recall and decay per object, then per video, group and overall."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from hs2s_core.errors import InvalidDataset
from hs2s_core.evaluation.protocol import Protocol
from hs2s_core.evaluation.rows import ObjectKey, Row, by_object

RECALL_THRESHOLD = 0.5
DECAY_BINS = 4


@dataclass(frozen=True)
class Statistics:
    """What the DAVIS benchmark reports of a sequence of J or F values; all are shares."""

    mean: float
    recall: float
    """Share of frames above 0.5."""
    decay: float
    """Mean of the first quarter of the frames less that of the last quarter."""

    @classmethod
    def of(cls, values: Sequence[float]) -> Statistics:
        """Summarise the values of one object, in time order; at least one."""
        recall = fmean(value > RECALL_THRESHOLD for value in values)
        return cls(mean=fmean(values), recall=recall, decay=_decay(values))

    @classmethod
    def average(cls, parts: Sequence[Statistics]) -> Statistics:
        """Average objects or groups, each with the same weight; at least one."""
        return cls(
            mean=fmean(part.mean for part in parts),
            recall=fmean(part.recall for part in parts),
            decay=fmean(part.decay for part in parts),
        )


def _decay(values: Sequence[float]) -> float:
    """Compare the first and last of four bins, which share their border frames as DAVIS's do.

    DAVIS's tool keeps the borders in 8-bit integers, which wrap around past 256 frames; here they
    are as wide as an index.
    """
    borders = np.round(np.linspace(1, len(values), DECAY_BINS + 1) + 1e-10).astype(np.intp) - 1
    first = values[borders[0] : borders[1] + 1]
    last = values[borders[-2] : borders[-1] + 1]
    return fmean(first) - fmean(last)


@dataclass(frozen=True)
class ObjectScore:
    """Scores of one object over the frames its protocol counts."""

    video: str
    object: int
    category: str | None
    seen: bool | None
    frames: int
    j: Statistics
    f: Statistics

    @property
    def jf(self) -> float:
        """J&F, the mean of the two means."""
        return (self.j.mean + self.f.mean) / 2


@dataclass(frozen=True)
class GroupScore:
    """Scores averaged over objects."""

    objects: int
    j: Statistics
    f: Statistics

    @property
    def jf(self) -> float:
        """J&F, the mean of the two means."""
        return (self.j.mean + self.f.mean) / 2

    @classmethod
    def of(cls, parts: Sequence[ObjectScore] | Sequence[GroupScore]) -> GroupScore:
        """Average objects or groups with equal weight; at least one."""
        return cls(
            objects=sum(part.objects if isinstance(part, GroupScore) else 1 for part in parts),
            j=Statistics.average([part.j for part in parts]),
            f=Statistics.average([part.f for part in parts]),
        )


@dataclass(frozen=True)
class Summary:
    """Everything a protocol says about a table."""

    protocol: Protocol
    objects: tuple[ObjectScore, ...]
    videos: dict[str, GroupScore]
    groups: dict[str, GroupScore]
    """``seen`` and ``unseen``, where known."""
    overall: GroupScore | None
    """None if no frame counts."""
    uncounted: tuple[ObjectKey, ...]
    """Objects without a single counted frame; they enter no mean."""


def summarise(rows: Iterable[Row], protocol: Protocol) -> Summary:
    """Average rows as their protocol asks.

    Raises:
        InvalidDataset: the protocol averages seen and unseen objects apart, and it is known of
            some of them only.
    """
    objects: list[ObjectScore] = []
    uncounted: list[ObjectKey] = []
    for key, group in by_object(rows).items():
        counted = [row for row in group if row.counted]
        if counted:
            objects.append(_object_score(counted))
        else:
            uncounted.append(key)
    groups = _seen_groups(objects)
    overall = GroupScore.of(objects) if objects else None
    if protocol.by_seen and groups:
        _refuse_partly_known(objects)
        overall = GroupScore.of(list(groups.values()))
    return Summary(
        protocol=protocol,
        objects=tuple(objects),
        videos=_video_scores(objects),
        groups=groups,
        overall=overall,
        uncounted=tuple(uncounted),
    )


def _object_score(rows: Sequence[Row]) -> ObjectScore:
    return ObjectScore(
        video=rows[0].video,
        object=rows[0].object,
        category=rows[0].category,
        seen=rows[0].seen,
        frames=len(rows),
        j=Statistics.of([row.j for row in rows]),
        f=Statistics.of([row.f for row in rows]),
    )


def _video_scores(objects: Iterable[ObjectScore]) -> dict[str, GroupScore]:
    videos: dict[str, list[ObjectScore]] = {}
    for score in objects:
        videos.setdefault(score.video, []).append(score)
    return {video: GroupScore.of(scores) for video, scores in videos.items()}


def _seen_groups(objects: Iterable[ObjectScore]) -> dict[str, GroupScore]:
    groups: dict[str, list[ObjectScore]] = {"seen": [], "unseen": []}
    for score in objects:
        if score.seen is not None:
            groups["seen" if score.seen else "unseen"].append(score)
    return {name: GroupScore.of(scores) for name, scores in groups.items() if scores}


def _refuse_partly_known(objects: Iterable[ObjectScore]) -> None:
    unknown = [f"{score.video}/{score.object}" for score in objects if score.seen is None]
    if unknown:
        raise InvalidDataset(
            f"it is not known whether {len(unknown)} objects are of a seen category "
            f"({', '.join(unknown[:5])}), though it is of others; give every object a category in "
            "meta.json, or use a protocol that does not tell seen from unseen."
        )
