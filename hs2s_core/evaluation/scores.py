"""Scores from rows: mean, recall and decay per object, then per video, group and overall."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from statistics import fmean

import numpy as np

from hs2s_core.data.meta import ObjectInfo
from hs2s_core.errors import InvalidDataset
from hs2s_core.evaluation.protocol import Protocol
from hs2s_core.evaluation.rows import ObjectKey, Rows
from hs2s_core.wording import counted, some

RECALL_THRESHOLD = 0.5
DECAY_BINS = 4
HEADINGS = ("J&F", "J mean", "J recall", "J decay", "F mean", "F recall", "F decay")
"""Of what :meth:`Summary.lines` has in a line."""


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


class _Scored:
    """What has a J and an F."""

    j: Statistics
    f: Statistics

    @property
    def jf(self) -> float:
        """J&F, the mean of the two means."""
        return (self.j.mean + self.f.mean) / 2


@dataclass(frozen=True)
class ObjectScore(_Scored):
    """Scores of one object over the frames its protocol counts."""

    video: str
    object: int
    category: str | None
    seen: bool | None
    frames: int
    j: Statistics
    f: Statistics


@dataclass(frozen=True)
class GroupScore(_Scored):
    """Scores averaged over objects."""

    objects: int
    j: Statistics
    f: Statistics

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
    uncounted: tuple[ObjectKey, ...]
    """Objects without a single counted frame; they enter no mean."""
    videos: dict[str, GroupScore]
    groups: dict[str, GroupScore]
    """``seen`` and ``unseen``, where known."""
    overall: GroupScore | None
    """None if no frame counts, or by the rule of :func:`overall_parts`."""

    @property
    def seen_unknown(self) -> tuple[ObjectKey, ...]:
        """Scored objects of which it is not known whether their category is a seen one."""
        return tuple((score.video, score.object) for score in self.objects if score.seen is None)

    def lines(self, *, objects: bool = False) -> Iterator[tuple[str, list[str]]]:
        """Name and values in percent, one for each of HEADINGS: per video, per group, overall.

        With ``objects``, a line per object instead of one per video.
        """
        named: dict[str, ObjectScore | GroupScore] = {**self.videos}
        if objects:
            named = {f"{score.video}/{score.object}": score for score in self.objects}
        overall = {} if self.overall is None else {"overall": self.overall}
        for name, score in (*named.items(), *self.groups.items(), *overall.items()):
            j, f = score.j, score.f
            values = (score.jf, j.mean, j.recall, j.decay, f.mean, f.recall, f.decay)
            yield name, [f"{100 * value:.2f}" for value in values]

    def _repr_html_(self) -> str:
        """The scores of each video as a table, its protocol as the caption."""
        head = "".join(f"<th>{escape(heading)}</th>" for heading in ("video", *HEADINGS))
        rows = "".join(
            f"<tr><td>{escape(name)}</td>{''.join(f'<td>{value}</td>' for value in values)}</tr>"
            for name, values in self.lines()
        )
        caption = f"Protocol {self.protocol.description}. Scores in percent."
        return (
            f"<table><caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead>"
            f"<tbody>{rows}</tbody></table>"
        )


def overall_parts(seen: Sequence[bool | None], protocol: Protocol) -> list[list[int]] | None:
    """Say which objects make up the overall score: the one rule for tables, datasets and panels.

    All objects have the same weight. Where the protocol averages seen and unseen objects apart and
    it is known of every object which it is, the two groups (or the only one) have the same weight
    instead. Where it is known of none, the protocol's mean of groups cannot be had, and the mean is
    over all objects. Where it is known of some only, there is no overall score: a mean over all
    would follow neither rule, and one over the known would hide objects.

    Args:
        seen: of each object, whether its category was seen in training; None where unknown.
        protocol: the protocol that the objects were scored by.

    Returns:
        Places in ``seen``, to be averaged within each list and then over the lists; None if there
        is no overall score.
    """
    if not seen:
        return None
    if not protocol.by_seen or all(flag is None for flag in seen):
        return [list(range(len(seen)))]
    if any(flag is None for flag in seen):
        return None
    groups = [
        [place for place, known in enumerate(seen) if known is flag] for flag in (True, False)
    ]
    return [group for group in groups if group]


def check_seen(
    objects: Mapping[str, Mapping[int, ObjectInfo]], videos: Iterable[str], protocol: Protocol
) -> None:
    """Refuse what would leave an evaluation without an overall score, before its work.

    Args:
        objects: what is known of the objects by video and id.
        videos: names of the videos to evaluate.
        protocol: what they are evaluated by.

    Raises:
        InvalidDataset: the protocol averages seen and unseen objects apart, and it is known of
            some of the videos' objects only.
    """
    if not protocol.by_seen:
        return
    flags = {
        (video, object_id): info.seen
        for video in videos
        for object_id, info in objects.get(video, {}).items()
        if info.frames is None or info.frames
    }
    unknown = [f"{video}/{key}" for (video, key), seen in flags.items() if seen is None]
    if unknown and len(unknown) < len(flags):
        raise InvalidDataset(
            f"meta.json does not say for {counted(len(unknown), 'object')} whether the category "
            f"was seen ({some(unknown)}), though it does for {len(flags) - len(unknown)} more, so "
            f'{protocol.name} has no overall score; give every object a category or a "seen", '
            "or use a protocol that does not tell seen from unseen."
        )


def summarise(rows: Rows, protocol: Protocol) -> Summary:
    """Average rows as their protocol asks."""
    scores = score_objects(rows)
    parts = overall_parts([score.seen for score in scores], protocol)
    overall = None
    if parts is not None:
        groups = [GroupScore.of([scores[place] for place in part]) for part in parts]
        overall = groups[0] if len(groups) == 1 else GroupScore.of(groups)
    scored = {(score.video, score.object) for score in scores}
    return Summary(
        protocol=protocol,
        objects=tuple(scores),
        videos=_grouped(scores, lambda score: score.video),
        groups=dict(sorted(_grouped(scores, lambda score: _SEEN.get(score.seen)).items())),
        overall=overall,
        uncounted=tuple(key for key in rows.objects if key not in scored),
    )


def score_objects(rows: Rows) -> list[ObjectScore]:
    """Score the objects that have counted frames."""
    kept = rows[rows.counted]
    j, f = kept.j.tolist(), kept.f.tolist()
    return [
        ObjectScore(
            video=video,
            object=object_id,
            category=info.category,
            seen=info.seen,
            frames=end - start,
            j=Statistics.of(j[start:end]),
            f=Statistics.of(f[start:end]),
        )
        for (video, object_id), info, (start, end) in zip(
            kept.objects, kept.infos, pairwise(kept.starts.tolist()), strict=True
        )
    ]


_SEEN: dict[bool | None, str] = {True: "seen", False: "unseen"}


def _grouped(
    scores: Iterable[ObjectScore], name: Callable[[ObjectScore], str | None]
) -> dict[str, GroupScore]:
    """Means over the objects of each group; those without a ``name`` are in none."""
    groups: dict[str, list[ObjectScore]] = {}
    for score in scores:
        group = name(score)
        if group is not None:
            groups.setdefault(group, []).append(score)
    return {group: GroupScore.of(found) for group, found in groups.items()}
