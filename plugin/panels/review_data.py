"""From the rows of an evaluation to what the panel draws; knows neither FiftyOne nor Plotly.

Everything a plot gets is bounded: time is binned into at most ``MAX_COLUMNS`` columns, whatever the
length of the videos. Videos go by their place in the evaluation's ``Rows.videos`` here, and by the
id of their sample in what is drawn.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean

import numpy as np

from hs2s_core.evaluation import Protocol, Rows, lengths, overall_parts
from hs2s_core.evaluation.rows import Floats, group_means

MAX_COLUMNS = 60
"""Columns of the heat map and points of the curve, at most."""
ORDERS = ("worst", "length", "drop", "change")
"""Orders of the heat map's videos."""
SIZES = {"small": (0.0, 0.01), "medium": (0.01, 0.1), "large": (0.1, np.inf)}
"""Object sizes: mean share of the frame's pixels, where the object is visible; from, below."""
PARTS = (
    f"early (t < {lengths.EARLY})",
    f"late (t > {lengths.LATE[0]})",
    f"late (t > {lengths.LATE[1]})",
)
"""Parts of time: the paper's heading and text differ on what is late."""


@dataclass(frozen=True, eq=False)
class Evaluated:
    """The rows of an evaluation, all or those that passed the filters."""

    rows: Rows
    samples: Sequence[str]
    """What each of ``rows.videos`` goes by: the id of its sample."""
    protocol: Protocol
    pixels: Sequence[int | None]
    """Pixels of a frame of each video, where known."""

    @property
    def names(self) -> dict[str, str]:
        """What a video is called, by what it goes by."""
        names = (video.name for video in self.rows.videos)
        return dict(zip(self.samples, names, strict=True))

    def stretch(self, video: str, times: range) -> tuple[int, int] | None:
        """Return the frames of a video that a cell of the heat map stands for.

        Args:
            video: one of ``samples``, or another.
            times: annotated frames since the prompt, of any object.

        Returns:
            First and last 0-based frame, with the frames up to the next annotated one; None if
            the video has no frame then.
        """
        if video not in self.samples:
            return None
        own = self.rows[self.rows.records["video"] == self.samples.index(video)]
        frames = own.records["frame"]
        inside = lengths.counted_after_prompt(own) & (own.t >= times.start) & (own.t < times.stop)
        if not inside.any():
            return None
        last = int(frames[inside].max())
        later = frames[frames > last]
        return int(frames[inside].min()), int(later.min()) - 1 if len(later) else last


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

    def apply(self, evaluated: Evaluated) -> Evaluated:
        """The objects that pass; what is not known of one passes no filter that asks for it."""
        if self == Filters():
            return evaluated
        rows = evaluated.rows
        bins = [lengths.length_bin(int(length)) for length in rows.lengths]
        kept = [
            (not self.categories or info.category in self.categories)
            and (self.seen is None or info.seen is self.seen)
            and (not self.sizes or size in self.sizes)
            and (not self.lengths or bins[video] in self.lengths)
            and (self.videos is None or evaluated.samples[video] in self.videos)
            for info, size, video in zip(
                rows.infos, object_sizes(evaluated), rows.object_video, strict=True
            )
        ]
        return replace(evaluated, rows=rows[np.array(kept, np.bool_)[rows.owner]])


def object_sizes(evaluated: Evaluated) -> list[str | None]:
    """Name the size of each object; None where the pixels of its video's frames are unknown."""
    rows = evaluated.rows
    visible = rows.in_truth
    areas = rows.records["area_truth"][visible].astype(np.float64)
    means = group_means(rows.owner[visible], areas, len(rows.objects))
    pixels = np.array([count or np.nan for count in evaluated.pixels])
    return [size_name(share) for share in means / pixels[rows.object_video]]


def size_name(share: float) -> str | None:
    """Name the size of an object that covers this share of the frame; None for NaN."""
    return next((name for name, (low, high) in SIZES.items() if low <= share < high), None)


@dataclass(frozen=True)
class Dot(lengths.Segment):
    """One video: means over its objects, of the frames its protocol counts."""

    video: str
    frames: int
    """Annotated frames."""
    drop: float | None
    """J&F lost from early to late; None where either is missing."""


@dataclass(frozen=True, eq=False)
class Review:
    """What the panel draws of one evaluation."""

    dots: tuple[Dot, ...]
    width: int
    """Times of one bin."""
    heat: Floats
    """J&F of each dot's video by time since the prompt (V, K), K <= MAX_COLUMNS; else NaN."""
    curve: list[lengths.CurvePoint]
    """J&F over all objects, by the same time."""
    parts: lengths.EarlyLate
    objects: int
    overall: float | None
    """J&F as the protocol averages it; None if no frame counts, or if it has no such score."""

    @property
    def bars(self) -> list[tuple[str, lengths.Segment]]:
        """The parts of time that have a frame, as in the paper's Table 2a."""
        found = (self.parts.early, self.parts.late, self.parts.late_after_10)
        return [(name, part) for name, part in zip(PARTS, found, strict=True) if part is not None]

    def times(self, column: int) -> range:
        """Times since the prompt of a column of the heat map."""
        return range(1 + column * self.width, 1 + (column + 1) * self.width)

    def rows(self, videos: Iterable[str]) -> Floats:
        """Rows of the heat map for some videos (N, K); NaN for a video that is not here."""
        places = {dot.video: place for place, dot in enumerate(self.dots)}
        empty = np.full(self.heat.shape[1], np.nan)
        found = [self.heat[places[v]] if v in places else empty for v in videos]
        return np.array(found).reshape(-1, self.heat.shape[1])


def review(evaluated: Sequence[Evaluated]) -> list[Review]:
    """Summarise evaluations, filtered already, on one common axis of time."""
    last = max(
        (int(e.rows.t[lengths.counted_after_prompt(e.rows)].max(initial=0)) for e in evaluated),
        default=0,
    )
    width = max(1, -(-last // MAX_COLUMNS))
    columns = max(1, -(-last // width))
    return [_review(each, width, columns) for each in evaluated]


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
        bins.setdefault(lengths.length_bin(dot.frames), []).append(dot)
    return [
        (name, float(np.mean([d.frames for d in found])), float(np.mean([d.jf for d in found])))
        for name, found in bins.items()
    ]


def _review(evaluated: Evaluated, width: int, columns: int) -> Review:
    rows, samples = evaluated.rows, evaluated.samples
    j, f = rows.object_means(rows.counted)
    scored = ~np.isnan(j)
    video, videos = rows.object_video, len(samples)
    objects = np.bincount(video[scored], minlength=videos)
    mean_j, mean_f = _video_means(rows, j), _video_means(rows, f)
    early, late = (
        _video_means(rows, np.mean(rows.object_means(part), axis=0))
        for part in lengths.parts_of_time(rows)[:2]
    )
    drop = early - late
    shown = np.flatnonzero(objects).tolist()
    grid = np.mean(lengths.time_grid(rows, video[rows.owner], videos, width), axis=0)
    heat = np.full((len(shown), columns), np.nan)
    heat[:, : grid.shape[1]] = grid[shown]
    return Review(
        dots=tuple(
            Dot(
                objects=int(objects[v]),
                j=float(mean_j[v]),
                f=float(mean_f[v]),
                video=samples[v],
                frames=int(rows.lengths[v]),
                drop=None if np.isnan(drop[v]) else float(drop[v]),
            )
            for v in shown
        ),
        width=width,
        heat=heat,
        curve=lengths.curve(rows, width),
        parts=lengths.early_late(rows),
        objects=int(scored.sum()),
        overall=_overall(evaluated, (j + f) / 2),
    )


def _video_means(rows: Rows, values: Floats) -> Floats:
    """Means of each video (V,) over its objects (O,) that have a value."""
    known = ~np.isnan(values)
    return group_means(rows.object_video[known], values[known], len(rows.videos))


def _overall(evaluated: Evaluated, jf: Floats) -> float | None:
    """J&F over the objects that count, as the protocol averages them."""
    known = np.flatnonzero(~np.isnan(jf))
    seen = [evaluated.rows.infos[place].seen for place in known]
    parts = overall_parts(seen, evaluated.protocol)
    if parts is None:
        return None
    return fmean(fmean(jf[known[part]]) for part in parts)
