"""From columns of an evaluation to what the panel draws; knows neither FiftyOne nor Plotly.

Everything a plot gets is bounded: time is binned into at most ``MAX_COLUMNS`` columns, whatever the
length of the videos.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import NamedTuple

import numpy as np

from hs2s_core.evaluation import overall_parts
from hs2s_core.evaluation.lengths import EARLY, LATE, length_bin

from .review_tracks import Floats, Ints, Tracks, group_means

MAX_COLUMNS = 60
"""Columns of the heat map and points of the curve, at most."""
ORDERS = ("worst", "length", "drop", "change")
"""Orders of the heat map's videos."""


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
    """J&F as the protocol averages it; None if no frame counts, or if it has no such score."""

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
    j = group_means(tracks.owner[scored], tracks.j[scored], count)
    f = group_means(tracks.owner[scored], tracks.f[scored], count)
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
    mean_j = group_means(video[known], j[known], count)
    mean_f = group_means(video[known], f[known], count)
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
        parts.append(group_means(tracks.object_video[known], jf[known], len(tracks.videos)))
    return parts[0] - parts[1]


def _bars(tracks: Tracks) -> Iterable[Bar]:
    for name, start, end in PARTS:
        j, f = _part(tracks, start, end)
        known = ~np.isnan(j)
        if known.any():
            yield Bar(name, int(known.sum()), float(j[known].mean()), float(f[known].mean()))


def _part(tracks: Tracks, start: int, end: int | None) -> tuple[Floats, Floats]:
    """Mean J and F of each object from time ``start`` until before ``end`` (O,)."""
    rows = tracks.shown() & (tracks.t >= start)
    if end is not None:
        rows &= tracks.t < end
    count, owner = len(tracks.object_video), tracks.owner[rows]
    return group_means(owner, tracks.j[rows], count), group_means(owner, tracks.f[rows], count)


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
    shown = tracks.shown()
    columns = -(-tracks.last_time() // width)
    cell = group[shown] * columns + (tracks.t[shown] - 1) // width
    j = group_means(cell, tracks.j[shown], groups * columns).reshape(groups, columns)
    f = group_means(cell, tracks.f[shown], groups * columns).reshape(groups, columns)
    return (j + f) / 2, j, f


def _overall(tracks: Tracks, jf: Floats) -> float | None:
    """J&F over the objects that count, as the protocol averages them."""
    known = np.flatnonzero(~np.isnan(jf))
    parts = overall_parts([tracks.seen[place] for place in known], tracks.protocol)
    if parts is None:
        return None
    return fmean(fmean(jf[known[part]]) for part in parts)
