"""What time does to a score: early against late frames, decay curves, failures, absences.

Time ``t`` is object-relative: annotated frames since the object's prompt, which is t = 0 and
enters nothing here, because its mask was given. Means and curves use the rows that the table's
protocol counts; failures, recoveries and absences are about runs of frames and use every annotated
frame after the prompt.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from statistics import fmean
from typing import NamedTuple

import numpy as np

from hs2s_core.evaluation.rows import ObjectKey, Row, by_object

EARLY = 10
"""Frames with t below this are early (paper, Table 2a)."""
LATE = (20, 10)
"""Frames with t above these are late: the heading of the paper's Table 2a, then its text."""
FAILURE_THRESHOLD = 0.5
FAILURE_FRAMES = 3
LENGTH_BINS = (20, 40, 80, 160)
"""Longest video of each bin but the last, in annotated frames."""


class Segment(NamedTuple):
    """Mean J and F of a stretch of time: per object first, then over objects."""

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


def early_late(rows: Iterable[Row]) -> EarlyLate:
    """Compare early with late frames, as the paper's Table 2a does.

    The paper's heading says t > 20 for late frames, its text and caption t > 10: both are given.
    """
    counted = _after_prompt(row for row in rows if row.counted)
    return EarlyLate(
        early=_segment(counted, lambda t: t < EARLY),
        late=_segment(counted, lambda t: t > LATE[0]),
        late_after_10=_segment(counted, lambda t: t > LATE[1]),
    )


def _after_prompt(rows: Iterable[Row]) -> list[Row]:
    return [row for row in rows if row.since_prompt > 0]


def _segment(rows: Sequence[Row], inside: Callable[[int], bool]) -> Segment | None:
    tracks = by_object(row for row in rows if inside(row.since_prompt)).values()
    if not tracks:
        return None
    return Segment(
        objects=len(tracks),
        j=fmean(fmean(row.j for row in track) for track in tracks),
        f=fmean(fmean(row.f for row in track) for track in tracks),
    )


def length_bin(frames: int) -> str:
    """Name the bin of a video of so many annotated frames, such as ``"21-40"``."""
    first = 1
    for last in LENGTH_BINS:
        if frames <= last:
            return f"{first}-{last}"
        first = last + 1
    return f"{first}+"


def video_lengths(rows: Iterable[Row]) -> dict[str, int]:
    """Count the annotated frames of every video."""
    frames: dict[str, set[int]] = {}
    for row in rows:
        frames.setdefault(row.video, set()).add(row.frame)
    return {video: len(found) for video, found in frames.items()}


class CurvePoint(NamedTuple):
    """J and F at one time since the prompt, over the objects that have that frame."""

    t: int
    objects: int
    j: float
    f: float
    j_quartiles: tuple[float, float]
    f_quartiles: tuple[float, float]


def curve(rows: Iterable[Row]) -> list[CurvePoint]:
    """Follow J and F over the frames since the prompt; each object counts once per time."""
    times: dict[int, list[Row]] = {}
    for row in _after_prompt(row for row in rows if row.counted):
        times.setdefault(row.since_prompt, []).append(row)
    return [_curve_point(t, times[t]) for t in sorted(times)]


def _curve_point(t: int, rows: Sequence[Row]) -> CurvePoint:
    j, f = [row.j for row in rows], [row.f for row in rows]
    return CurvePoint(t, len(rows), fmean(j), fmean(f), _quartiles(j), _quartiles(f))


def _quartiles(values: Sequence[float]) -> tuple[float, float]:
    low, high = np.quantile(values, (0.25, 0.75))
    return float(low), float(high)


def curves_by_length(rows: Sequence[Row]) -> dict[str, list[CurvePoint]]:
    """Return one curve per bin of video length, shortest videos first; empty bins are left out."""
    lengths = video_lengths(rows)
    bins: dict[str, list[Row]] = {}
    for row in sorted(rows, key=lambda row: lengths[row.video]):
        bins.setdefault(length_bin(lengths[row.video]), []).append(row)
    return {name: curve(members) for name, members in bins.items()}


def first_failures(
    rows: Iterable[Row], threshold: float = FAILURE_THRESHOLD, frames: int = FAILURE_FRAMES
) -> dict[ObjectKey, int | None]:
    """Return the ``frame`` in which each object is first lost, or None if it never is.

    Lost means J below ``threshold`` in ``frames`` annotated frames in a row; the frame is the
    first of them. Objects without a frame after their prompt are left out.
    """
    failures: dict[ObjectKey, int | None] = {}
    for key, track in by_object(_after_prompt(rows)).items():
        runs = _runs(track, lambda row: row.j < threshold)
        failures[key] = next((run[0].frame for run in runs if len(run) >= frames), None)
    return failures


def _runs(track: Iterable[Row], inside: Callable[[Row], bool]) -> list[list[Row]]:
    """Return the stretches of consecutive rows for which ``inside`` holds."""
    return [list(run) for holds, run in groupby(track, key=inside) if holds]


class Recovery(NamedTuple):
    """One return of an object after it was out of sight."""

    video: str
    object: int
    left: int
    """First frame without the object."""
    returned: int
    """First frame in which it is back."""
    absent: int
    """Annotated frames in between."""
    delay: int | None
    """Annotated frames until J reaches the threshold again, 0 = at once; None if it does not
    before the object leaves again or the video ends."""


def recoveries(rows: Iterable[Row], threshold: float = FAILURE_THRESHOLD) -> list[Recovery]:
    """Return every return of every object, and how long finding it again took."""
    found = []
    for (video, object_id), track in by_object(_after_prompt(rows)).items():
        runs = [(present, list(run)) for present, run in groupby(track, key=lambda r: r.in_truth)]
        for (present, away), (_, back) in pairwise(runs):
            if present:
                continue
            delays = (delay for delay, row in enumerate(back) if row.j >= threshold)
            found.append(
                Recovery(
                    video=video,
                    object=object_id,
                    left=away[0].frame,
                    returned=back[0].frame,
                    absent=len(away),
                    delay=next(delays, None),
                )
            )
    return found


class Absence(NamedTuple):
    """What was predicted while an object was out of sight."""

    frames: int
    """Annotated frames after the prompt in which the truth lacks the object."""
    false_positives: int
    """Those of them in which the prediction shows it nevertheless."""
    mean_area: float
    """Predicted pixels per absent frame."""


def absences(rows: Iterable[Row]) -> dict[ObjectKey, Absence]:
    """Return false positives while absent, for the objects that are ever absent."""
    found = {}
    absent = by_object(row for row in _after_prompt(rows) if not row.in_truth)
    for key, track in absent.items():
        found[key] = Absence(
            frames=len(track),
            false_positives=sum(row.in_prediction for row in track),
            mean_area=fmean(row.area_prediction for row in track),
        )
    return found
