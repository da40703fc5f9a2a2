"""What time does to a score: early against late frames, curves, failures, absences.

Time ``t`` is object-relative: annotated frames since the object's prompt, which is t = 0 and
enters nothing here, because its mask was given. Means and curves use the rows that the table's
protocol counts; failures, recoveries and absences are about stretches of frames and use every
annotated frame after the prompt.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from hs2s_core.evaluation.rows import Bools, Floats, Ints, ObjectKey, Rows, group_means

EARLY = 10
"""Frames with t below this are early (paper, Table 2a)."""
LATE = (20, 10)
"""Frames with t above these are late: the heading of the paper's Table 2a, then its text."""
FAILURE_THRESHOLD = 0.5
FAILURE_FRAMES = 3
LENGTH_BINS = (20, 40, 80, 160)
"""Longest video of each bin but the last, in annotated frames."""


@dataclass(frozen=True)
class Segment:
    """Mean J and F of some rows: per object first, then over objects."""

    objects: int
    j: float
    f: float

    @property
    def jf(self) -> float:
        """J&F, the mean of the two."""
        return (self.j + self.f) / 2


@dataclass(frozen=True)
class EarlyLate:
    """Early and late means of a table; None where no object has such frames."""

    early: Segment | None
    """t < 10."""
    late: Segment | None
    """t > 20."""
    late_after_10: Segment | None
    """t > 10."""

    @property
    def drop(self) -> float | None:
        """J&F lost from early to late (t > 20); None where either is missing."""
        return None if self.early is None or self.late is None else self.early.jf - self.late.jf


def early_late(rows: Rows) -> EarlyLate:
    """Compare early with late frames, as the paper's Table 2a does.

    The paper's heading says t > 20 for late frames, its text and caption t > 10: both are given.
    """
    return EarlyLate(*(_segment(*rows.object_means(part)) for part in parts_of_time(rows)))


def parts_of_time(rows: Rows) -> tuple[Bools, Bools, Bools]:
    """Which counted rows have t < 10, t > 20 and t > 10, each (R,)."""
    counted, t = counted_after_prompt(rows), rows.t
    return counted & (t < EARLY), counted & (t > LATE[0]), counted & (t > LATE[1])


def counted_after_prompt(rows: Rows) -> Bools:
    """Which rows enter means over time (R,)."""
    return rows.counted & (rows.t > 0)


def _segment(j: Floats, f: Floats) -> Segment | None:
    """Of J and F per object, NaN for those that have none."""
    known = ~np.isnan(j)
    if not known.any():
        return None
    return Segment(int(known.sum()), float(j[known].mean()), float(f[known].mean()))


def length_bin(frames: int) -> str:
    """Name the bin of a video of so many annotated frames, such as ``"21-40"``."""
    place = bisect_left(LENGTH_BINS, frames)
    first = (0, *LENGTH_BINS)[place] + 1
    return f"{first}-{LENGTH_BINS[place]}" if place < len(LENGTH_BINS) else f"{first}+"


@dataclass(frozen=True)
class CurvePoint(Segment):
    """J and F at one stretch of time since the prompt, over the objects that have such frames."""

    t: int
    """First time of the stretch."""
    low: float
    """Lower quartile of J&F over objects."""
    high: float


def curve(rows: Rows, width: int = 1) -> list[CurvePoint]:
    """Follow J and F over the time since the prompt, ``width`` annotated frames to a point."""
    j, f = time_grid(rows, rows.owner, len(rows.objects), width)
    points = []
    for column in range(j.shape[1]):
        mean = _segment(j[:, column], f[:, column])
        if mean is not None:
            low, high = np.nanquantile((j[:, column] + f[:, column]) / 2, (0.25, 0.75)).tolist()
            points.append(CurvePoint(**vars(mean), t=1 + column * width, low=low, high=high))
    return points


def time_grid(rows: Rows, group: Ints, groups: int, width: int) -> tuple[Floats, Floats]:
    """Mean J and F by group of rows and time since the prompt.

    Args:
        rows: the rows.
        group: of each row (R,).
        groups: how many there are.
        width: times to a column; the first begins at t = 1.

    Returns:
        Each (groups, K); NaN where a group has no counted row.
    """
    shown = counted_after_prompt(rows)
    columns = -(-int(rows.t[shown].max(initial=0)) // width)
    cell = group[shown] * columns + (rows.t[shown] - 1) // width
    j, f = (
        group_means(cell, values[shown], groups * columns).reshape(groups, columns)
        for values in (rows.j, rows.f)
    )
    return j, f


class Streak(NamedTuple):
    """Consecutive rows of one object that agree in something."""

    object: int
    """Its place among the objects."""
    holds: bool
    places: Ints
    """Of the rows."""
    last: bool
    """Whether no more rows of the object follow."""


def streaks(rows: Rows, holds: Bools, among: Bools | None = None) -> Iterator[Streak]:
    """Cut the rows after each object's prompt where ``holds`` (R,) changes.

    ``among`` (R,) leaves out rows: those before and after them are then consecutive.
    """
    places = np.flatnonzero(rows.t > 0 if among is None else (rows.t > 0) & among)
    owner, flags = rows.owner[places], holds[places]
    cuts = 1 + np.flatnonzero((np.diff(owner) != 0) | np.diff(flags))
    for start, end in pairwise([0, *cuts.tolist(), len(places)] if len(places) else []):
        last = end == len(places) or owner[end] != owner[start]
        yield Streak(int(owner[start]), bool(flags[start]), places[start:end], bool(last))


def losses(
    rows: Rows, frames: int = FAILURE_FRAMES, among: Bools | None = None
) -> Iterator[Streak]:
    """Stretches in which an object is lost: J below 0.5 in ``frames`` rows or more."""
    for streak in streaks(rows, rows.j < FAILURE_THRESHOLD, among):
        if streak.holds and len(streak.places) >= frames:
            yield streak


def first_failures(rows: Rows) -> dict[ObjectKey, int | None]:
    """Return the ``frame`` in which each object is first lost, or None if it never is.

    It is the first frame of the first of its :func:`losses`. Objects without a frame after their
    prompt are left out.
    """
    followed = np.unique(rows.owner[rows.t > 0])
    failures: dict[ObjectKey, int | None] = {rows.objects[place]: None for place in followed}
    for streak in losses(rows):
        key = rows.objects[streak.object]
        if failures[key] is None:
            failures[key] = int(rows.records["frame"][streak.places[0]])
    return failures


def recoveries(rows: Rows) -> list[int | None]:
    """Of every return of an object after an absence, how long finding it again took.

    That is the annotated frames until J reaches the threshold again, 0 = at once; None if it does
    not before the object leaves again or the video ends.
    """
    found = []
    for away, back in pairwise(streaks(rows, rows.in_truth)):
        if not (away.last or away.holds):
            reached = np.flatnonzero(rows.j[back.places] >= FAILURE_THRESHOLD).tolist()
            found.append(reached[0] if reached else None)
    return found


class Absence(NamedTuple):
    """What was predicted while an object was out of sight."""

    frames: int
    """Annotated frames after the prompt in which the truth lacks the object."""
    false_positives: int
    """Those of them in which the prediction shows it nevertheless."""


def absences(rows: Rows) -> dict[ObjectKey, Absence]:
    """Return false positives while absent, for the objects that are ever absent."""
    away = rows[(rows.t > 0) & ~rows.in_truth]
    found = {}
    for key, (start, end) in zip(away.objects, pairwise(away.starts.tolist()), strict=True):
        areas = away.records["area_prediction"][start:end]
        found[key] = Absence(end - start, int((areas > 0).sum()))
    return found
