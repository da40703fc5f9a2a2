"""From evaluation tables to what the panel draws; knows neither FiftyOne nor Plotly.

The rows of a table become columns once (:class:`Tracks`), so that a filter or another order costs
milliseconds. Everything a plot gets is bounded: time is binned into at most ``MAX_COLUMNS``
columns, whatever the length of the videos.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from hs2s_core.evaluation import EvaluationTable, Protocol
from hs2s_core.evaluation.lengths import EARLY, LATE, length_bin

from ..evaluation.columns import Columns, scores

MAX_COLUMNS = 60
"""Columns of the heat map and points of the curve, at most."""
SIZES = {"small": (0.0, 0.01), "medium": (0.01, 0.1), "large": (0.1, np.inf)}
"""Object sizes: mean share of the frame's pixels, where the object is visible; from, below."""
ORDERS = ("worst", "length", "drop", "change")
"""Orders of the heat map's videos."""

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
    by_seen: bool
    """Whether the protocol averages seen and unseen objects apart."""
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
            by_seen=table.protocol.by_seen,
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
            by_seen=protocol.by_seen,
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
            areas=_means(owner[visible], area[visible], len(keys)),
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
        frame_area = np.array([pixels.get(video) or np.nan for video in self.videos])
        shares = self.areas / frame_area[self.object_video]
        kept = [
            filters.keep(category, seen, size_name(share), bins[video])
            for category, seen, share, video in zip(
                self.categories, self.seen, shares, self.object_video, strict=True
            )
        ]
        return replace(self, kept=np.array(kept, np.bool_))

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
        inside = rows & self._shown() & (self.t >= times.start) & (self.t < times.stop)
        if not inside.any():
            return None
        last = int(self.frame[inside].max())
        later = self.frame[rows & (self.frame > last)]
        return int(self.frame[inside].min()), int(later.min()) - 1 if len(later) else last

    def last_time(self) -> int:
        """Return the longest time since a prompt that any plot shows; 0 without any."""
        return int(self.t[self._shown()].max(initial=0))

    def _shown(self) -> Bools:
        """Rows after the prompt that count, of kept objects (R,)."""
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


class Dot(NamedTuple):
    """One video: means over its kept objects, of the frames its protocol counts."""

    video: str
    frames: int
    """Annotated frames."""
    objects: int
    j: float
    f: float
    drop: float | None
    """J&F lost from early to late; None where either is missing."""

    @property
    def jf(self) -> float:
        """J&F, the mean of the two."""
        return (self.j + self.f) / 2


class Bin(NamedTuple):
    """Objects at one stretch of time since their prompt."""

    start: int
    """First time of the bin."""
    objects: int
    j: float
    f: float
    low: float
    """Lower quartile of J&F over objects."""
    high: float

    @property
    def jf(self) -> float:
        """J&F, the mean of the two."""
        return (self.j + self.f) / 2


class Bar(NamedTuple):
    """Means over objects of a part of time, as in the paper's Table 2a."""

    part: str
    objects: int
    j: float
    f: float

    @property
    def jf(self) -> float:
        """J&F, the mean of the two."""
        return (self.j + self.f) / 2


@dataclass(frozen=True, eq=False)
class Review:
    """What the panel draws of one evaluation."""

    dots: tuple[Dot, ...]
    width: int
    """Times of one bin."""
    heat: Floats
    """J&F of each dot's video by time since the prompt (V, K), K <= MAX_COLUMNS; else NaN."""
    curve: tuple[Bin, ...]
    bars: tuple[Bar, ...]
    """Parts without a frame are left out."""
    objects: int
    overall: float | None
    """J&F as the protocol averages it; None if no frame counts."""

    @property
    def drop(self) -> float | None:
        """J&F lost from early to late (t > 20), over all objects."""
        means = {bar.part: bar.jf for bar in self.bars}
        if PARTS[0][0] not in means or PARTS[1][0] not in means:
            return None
        return means[PARTS[0][0]] - means[PARTS[1][0]]

    def times(self, column: int) -> range:
        """Times since the prompt of a column of the heat map."""
        return range(1 + column * self.width, 1 + (column + 1) * self.width)

    def rows(self, videos: Iterable[str]) -> Floats:
        """Rows of the heat map for some videos (N, K); NaN for a video that is not here."""
        places = {dot.video: place for place, dot in enumerate(self.dots)}
        empty = np.full(self.heat.shape[1], np.nan)
        found = [self.heat[places[v]] if v in places else empty for v in videos]
        return np.array(found).reshape(-1, self.heat.shape[1])


PARTS = (
    (f"early (t < {EARLY})", 1, EARLY),
    (f"late (t > {LATE[0]})", LATE[0] + 1, None),
    (f"late (t > {LATE[1]})", LATE[1] + 1, None),
)
"""Parts of time: name, first time, end; the paper's heading and text differ on what is late."""


def review(tracks: Sequence[Tracks]) -> list[Review]:
    """Summarise evaluations, filtered already, on one common axis of time."""
    last = max((track.last_time() for track in tracks), default=0)
    width = max(1, -(-last // MAX_COLUMNS))
    columns = max(1, -(-last // width))
    return [_review(track, width, columns) for track in tracks]


def order_videos(reviews: Sequence[Review], by: str) -> list[str]:
    """Return the videos of the first review as the heat map lists them, top first.

    ``worst``: lowest J&F first; ``length``: longest first; ``drop``: what loses most from early to
    late first; ``change``: what loses most from the first review to the second first.
    """
    other = {dot.video: dot.jf for dot in reviews[1].dots} if len(reviews) > 1 else {}

    def key(dot: Dot) -> tuple[float, str]:
        if by == "length":
            return -dot.frames, dot.video
        if by == "drop":
            return (np.inf if dot.drop is None else -dot.drop), dot.video
        if by == "change" and other:
            return other.get(dot.video, np.inf) - dot.jf, dot.video
        return dot.jf, dot.video

    return [dot.video for dot in sorted(reviews[0].dots, key=key)]


def length_means(dots: Iterable[Dot]) -> list[tuple[str, float, float]]:
    """Return mean length and mean J&F of the videos of each length bin, shortest first."""
    bins: dict[str, list[Dot]] = {}
    for dot in sorted(dots, key=lambda dot: dot.frames):
        bins.setdefault(length_bin(dot.frames), []).append(dot)
    return [
        (name, float(np.mean([d.frames for d in found])), float(np.mean([d.jf for d in found])))
        for name, found in bins.items()
    ]


def _review(tracks: Tracks, width: int, columns: int) -> Review:
    count = len(tracks.object_video)
    scored = tracks.counted & tracks.kept[tracks.owner]
    j = _means(tracks.owner[scored], tracks.j[scored], count)
    f = _means(tracks.owner[scored], tracks.f[scored], count)
    dots = _dots(tracks, j, f)
    video_heat = _grid(tracks, tracks.object_video[tracks.owner], len(tracks.videos), width)
    places = {video: place for place, video in enumerate(tracks.videos)}
    heat = np.full((len(dots), columns), np.nan)
    chosen = video_heat[0][[places[dot.video] for dot in dots]]
    heat[:, : chosen.shape[1]] = chosen
    return Review(
        dots=dots,
        width=width,
        heat=heat,
        curve=_curve(tracks, width),
        bars=tuple(_bars(tracks)),
        objects=int((~np.isnan(j)).sum()),
        overall=_overall(tracks, (j + f) / 2),
    )


def _dots(tracks: Tracks, j: Floats, f: Floats) -> tuple[Dot, ...]:
    known = ~np.isnan(j)
    video, count = tracks.object_video, len(tracks.videos)
    objects = np.bincount(video[known], minlength=count)
    mean_j = _means(video[known], j[known], count)
    mean_f = _means(video[known], f[known], count)
    drop = _video_drop(tracks)
    return tuple(
        Dot(
            video=tracks.videos[v],
            frames=int(tracks.lengths[v]),
            objects=int(objects[v]),
            j=float(mean_j[v]),
            f=float(mean_f[v]),
            drop=None if np.isnan(drop[v]) else float(drop[v]),
        )
        for v in np.flatnonzero(objects)
    )


def _video_drop(tracks: Tracks) -> Floats:
    """J&F lost from early to late of each video, over its objects (V,)."""
    parts = []
    for _, start, end in PARTS[:2]:
        j, f = _part(tracks, start, end)
        jf = (j + f) / 2
        known = ~np.isnan(jf)
        parts.append(_means(tracks.object_video[known], jf[known], len(tracks.videos)))
    return parts[0] - parts[1]


def _bars(tracks: Tracks) -> Iterable[Bar]:
    for name, start, end in PARTS:
        j, f = _part(tracks, start, end)
        known = ~np.isnan(j)
        if known.any():
            yield Bar(name, int(known.sum()), float(j[known].mean()), float(f[known].mean()))


def _part(tracks: Tracks, start: int, end: int | None) -> tuple[Floats, Floats]:
    """Mean J and F of each object from time ``start`` until before ``end`` (O,)."""
    rows = tracks._shown() & (tracks.t >= start)
    if end is not None:
        rows &= tracks.t < end
    count, owner = len(tracks.object_video), tracks.owner[rows]
    return _means(owner, tracks.j[rows], count), _means(owner, tracks.f[rows], count)


def _curve(tracks: Tracks, width: int) -> tuple[Bin, ...]:
    jf, j, f = _grid(tracks, tracks.owner, len(tracks.object_video), width)
    curve = []
    for column in range(jf.shape[1]):
        known = ~np.isnan(jf[:, column])
        if known.any():
            low, high = np.quantile(jf[known, column], (0.25, 0.75))
            mean_j, mean_f = float(j[known, column].mean()), float(f[known, column].mean())
            start = 1 + column * width
            curve.append(Bin(start, int(known.sum()), mean_j, mean_f, float(low), float(high)))
    return tuple(curve)


def _grid(tracks: Tracks, group: Ints, groups: int, width: int) -> tuple[Floats, Floats, Floats]:
    """Mean J&F, J and F by group of rows and bin of time, each (groups, K)."""
    shown = tracks._shown()
    columns = -(-tracks.last_time() // width)
    cell = group[shown] * columns + (tracks.t[shown] - 1) // width
    j = _means(cell, tracks.j[shown], groups * columns).reshape(groups, columns)
    f = _means(cell, tracks.f[shown], groups * columns).reshape(groups, columns)
    return (j + f) / 2, j, f


def _overall(tracks: Tracks, jf: Floats) -> float | None:
    """J&F over objects; over seen and unseen apart where the protocol says so."""
    known = ~np.isnan(jf)
    if not known.any():
        return None
    if tracks.by_seen:
        groups = [known & np.array([s is value for s in tracks.seen]) for value in (True, False)]
        means = [jf[group].mean() for group in groups if group.any()]
        # Where it is not known of every object, the protocol has no number; this is the nearest.
        if means and sum(group.sum() for group in groups) == known.sum():
            return float(np.mean(means))
    return float(jf[known].mean())


def _means(group: Ints, values: Floats, groups: int) -> Floats:
    """Mean of the values of each group (groups,); NaN for a group without any."""
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
