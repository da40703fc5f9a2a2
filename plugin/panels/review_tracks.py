"""Evaluation tables as columns, and filters on their objects; knows neither FiftyOne nor Plotly.

The rows of a table become columns once (:class:`Tracks`), so that a filter or another order costs
milliseconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from hs2s_core.evaluation import EvaluationTable, Protocol
from hs2s_core.evaluation.lengths import length_bin

from ..evaluation.columns import Columns, scores

SIZES = {"small": (0.0, 0.01), "medium": (0.01, 0.1), "large": (0.1, np.inf)}
"""Object sizes: mean share of the frame's pixels, where the object is visible; from, below."""

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Tracks:
    """An evaluation as columns: one entry per row (R), per object (O) or per video (V)."""

    videos: tuple[str, ...]
    """What each video goes by: id of its sample, or its name in a table of files (V)."""
    lengths: Ints
    """Annotated frames of each video (V,)."""
    object_video: Ints
    """Place of each object's video (O,)."""
    categories: tuple[str | None, ...]
    """Of each object (O)."""
    seen: tuple[bool | None, ...]
    """Whether each object's category was seen in training (O)."""
    areas: Floats
    """Mean pixels of each object where the truth shows it (O,); NaN if it never does."""
    owner: Ints
    """Place of each row's object (R,)."""
    frame: Ints
    """0-based frame of each row (R,)."""
    t: Ints
    """Annotated frames since the object's prompt (R,)."""
    j: Floats
    f: Floats
    counted: Bools
    """Whether the protocol counts the row (R,)."""
    protocol: Protocol
    """What the evaluation followed."""
    kept: Bools
    """Objects that passed the filters (O,)."""

    @classmethod
    def of(cls, table: EvaluationTable) -> Tracks:
        """Turn the row objects of a table into columns; videos go by their names."""
        rows = table.rows
        places: dict[str, int] = {}
        video = [places.setdefault(row.video, len(places)) for row in rows]
        about = {(places[row.video], row.object): (row.category, row.seen) for row in rows}
        return cls._assemble(
            tuple(places),
            np.array(video, np.int64),
            np.array([row.object for row in rows], np.int64),
            about,
            frame=np.array([row.frame for row in rows], np.int64),
            t=np.array([row.since_prompt for row in rows], np.int64),
            j=np.array([row.j for row in rows], np.float64),
            f=np.array([row.f for row in rows], np.float64),
            counted=np.array([row.counted for row in rows], np.bool_),
            area=np.array([row.area_truth for row in rows], np.float64),
            protocol=table.protocol,
        )

    @classmethod
    def of_columns(cls, columns: Columns, protocol: Protocol) -> Tracks:
        """Take the columns of a FiftyOne evaluation run; videos go by the ids of their samples."""
        records = columns.records
        j, f = scores(records)
        about = {
            (video, object_id): (category, columns.seen[video].get(object_id))
            for video, categories in enumerate(columns.categories)
            for object_id, category in categories.items()
        }
        return cls._assemble(
            tuple(columns.sample_ids),
            records["video"].astype(np.int64),
            records["object"].astype(np.int64),
            about,
            frame=records["frame"].astype(np.int64),
            t=records["since_prompt"].astype(np.int64),
            j=j,
            f=f,
            counted=records["counted"],
            area=records["area_truth"].astype(np.float64),
            protocol=protocol,
        )

    @classmethod
    def _assemble(
        cls,
        videos: tuple[str, ...],
        video: Ints,
        object_id: Ints,
        about: Mapping[tuple[int, int], tuple[str | None, bool | None]],
        *,
        area: Floats,
        **columns: Any,
    ) -> Tracks:
        """Number the objects; ``about`` has category and seen flag by video and object id."""
        span = int(object_id.max(initial=0)) + 1
        keys, owner = np.unique(video * span + object_id, return_inverse=True)
        known = [about[key // span, key % span] for key in keys.tolist()]
        visible = area > 0
        return cls(
            videos=videos,
            lengths=_lengths(video, columns["frame"], len(videos)),
            object_video=keys // span,
            categories=tuple(category for category, _ in known),
            seen=tuple(seen for _, seen in known),
            areas=group_means(owner[visible], area[visible], len(keys)),
            owner=owner,
            kept=np.ones(len(keys), np.bool_),
            **columns,
        )

    def filter(self, filters: Filters, pixels: Mapping[str, int]) -> Tracks:
        """Keep some objects.

        Args:
            filters: which.
            pixels: pixels of a frame by video; without them a video's objects have no size.
        """
        bins = [length_bin(int(length)) for length in self.lengths]
        kept = [
            filters.keep(category, seen, size, bins[video])
            and (filters.videos is None or self.videos[video] in filters.videos)
            for category, seen, size, video in zip(
                self.categories, self.seen, self.sizes(pixels), self.object_video, strict=True
            )
        ]
        return replace(self, kept=np.array(kept, np.bool_))

    def sizes(self, pixels: Mapping[str, int]) -> list[str | None]:
        """Name the size of each object, by the pixels of its video's frames; None where unknown."""
        frame_area = np.array([pixels.get(video) or np.nan for video in self.videos])
        return [size_name(share) for share in self.areas / frame_area[self.object_video]]

    def stretch(self, video: str, times: range) -> tuple[int, int] | None:
        """Return the frames of a video that a cell of the heat map stands for.

        Args:
            video: one of ``videos``, or another.
            times: annotated frames since the prompt, of any kept object.

        Returns:
            First and last 0-based frame, with the frames up to the next annotated one; None if
            the video has no frame then.
        """
        if video not in self.videos:
            return None
        rows = self.object_video[self.owner] == self.videos.index(video)
        inside = rows & self.shown() & (self.t >= times.start) & (self.t < times.stop)
        if not inside.any():
            return None
        last = int(self.frame[inside].max())
        later = self.frame[rows & (self.frame > last)]
        return int(self.frame[inside].min()), int(later.min()) - 1 if len(later) else last

    def last_time(self) -> int:
        """Return the longest time since a prompt that any plot shows; 0 without any."""
        return int(self.t[self.shown()].max(initial=0))

    def shown(self) -> Bools:
        """Return which rows are after the prompt, count, and are of kept objects (R,)."""
        shown: Bools = self.counted & (self.t > 0) & self.kept[self.owner]
        return shown


@dataclass(frozen=True)
class Filters:
    """Which objects to look at; an empty set keeps all."""

    categories: frozenset[str] = field(default_factory=frozenset)
    seen: bool | None = None
    sizes: frozenset[str] = field(default_factory=frozenset)
    """Names of ``SIZES``."""
    lengths: frozenset[str] = field(default_factory=frozenset)
    """Names that ``length_bin`` gives."""
    videos: frozenset[str] | None = None
    """Sample ids; None keeps all."""

    def keep(self, category: str | None, seen: bool | None, size: str | None, bin_: str) -> bool:
        """Whether an object passes; what is not known of it passes no filter that asks for it."""
        return (
            (not self.categories or category in self.categories)
            and (self.seen is None or seen is self.seen)
            and (not self.sizes or size in self.sizes)
            and (not self.lengths or bin_ in self.lengths)
        )


def size_name(share: float) -> str | None:
    """Name the size of an object that covers this share of the frame; None for NaN."""
    return next((name for name, (low, high) in SIZES.items() if low <= share < high), None)


def group_means(group: Ints, values: Floats, groups: int) -> Floats:
    """Return the mean of the values of each group (groups,); NaN for a group without any."""
    count = np.bincount(group, minlength=groups)
    total = np.bincount(group, weights=values, minlength=groups)
    means: Floats = np.divide(total, count, out=np.full(groups, np.nan), where=count > 0)
    return means


def _lengths(video: Ints, frame: Ints, videos: int) -> Ints:
    """Annotated frames of each video (V,): its objects share frames."""
    if not len(frame):
        return np.zeros(videos, np.int64)
    pairs = np.unique(video * (frame.max() + 1) + frame)
    lengths: Ints = np.bincount(pairs // (frame.max() + 1), minlength=videos)
    return lengths
