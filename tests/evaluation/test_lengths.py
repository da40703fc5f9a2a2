"""Early against late, curves, failures, recoveries and absences, on hand-made tracks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple
from typing import Any

import numpy as np
import pytest

from hs2s_core.evaluation import Rows
from hs2s_core.evaluation.lengths import (
    Absence,
    Segment,
    absences,
    curve,
    early_late,
    first_failures,
    length_bin,
    losses,
    recoveries,
)

from .tables import Track, make_rows, make_track


def track(j: Sequence[float], video: str = "v", **options: Any) -> Track:
    """One object; F is J less 0.1, and every frame counts by default."""
    f = np.maximum(np.array(j) - 0.1, 0)
    return make_track(video, j, f.tolist(), **{"counted": "1" * len(j), **options})


def astuples(segment: Segment | None) -> tuple[float, ...]:
    assert segment is not None
    return astuple(segment)


def test_early_and_late_are_object_relative_and_exclude_the_prompt() -> None:
    # Early is t = 1 to 9, late is t = 21 to 24; the prompt's J must not matter.
    rows = make_rows(track([0.0] + [0.9] * 9 + [0.7] + [0.6] * 10 + [0.4] * 4))
    split = early_late(rows)
    assert split.early is not None
    assert split.late is not None
    assert split.late_after_10 is not None
    assert split.early.j == pytest.approx(0.9)
    assert split.early.f == pytest.approx(0.8)
    assert split.late.j == pytest.approx(0.4)
    assert split.late_after_10.j == pytest.approx((10 * 0.6 + 4 * 0.4) / 14)
    assert split.drop == pytest.approx(0.5)
    shifted = make_rows(track([1.0] * 5 + [0.0] + [0.9] * 9, prompt=5))
    assert astuples(early_late(shifted).early) == pytest.approx((1, 0.9, 0.8))
    assert early_late(shifted).late is None
    assert early_late(shifted).drop is None


def test_early_means_weigh_objects_not_frames() -> None:
    rows = make_rows(track([1, 1.0]), track([1] + [0.5] * 9, object_id=2))
    assert astuples(early_late(rows).early) == pytest.approx((2, 0.75, 0.65))


def test_only_counted_rows_enter_means_and_curves() -> None:
    rows = make_rows(track([1, 0.5, 0.7], counted="110"))
    assert astuples(early_late(rows).early) == pytest.approx((1, 0.5, 0.4))
    assert [point.t for point in curve(rows)] == [1]
    assert early_late(Rows()).early is None
    assert curve(Rows()) == []


def test_curve_over_objects() -> None:
    rows = make_rows(track([1, 0.8, 0.6]), track([1, 1, 0.4], object_id=2, prompt=1))
    points = {point.t: point for point in curve(rows)}
    assert list(points) == [1, 2]
    assert points[1].objects == 2
    assert points[1].j == pytest.approx((0.8 + 0.4) / 2)
    assert (points[1].low, points[1].high) == pytest.approx((0.45, 0.65))
    assert (points[2].objects, points[2].j) == (1, 0.6)
    (both,) = curve(rows, width=2)  # of both objects, the one with more frames counts no more
    assert (both.t, both.objects, both.j) == (1, 2, pytest.approx((0.7 + 0.4) / 2))


@pytest.mark.parametrize(
    ("frames", "name"),
    [(1, "1-20"), (20, "1-20"), (21, "21-40"), (160, "81-160"), (161, "161+"), (9999, "161+")],
)
def test_length_bins(frames: int, name: str) -> None:
    assert length_bin(frames) == name


def test_the_length_of_a_video_is_that_of_its_annotated_frames() -> None:
    shorts = track([0.7] * 5, video="short"), track([0.5] * 5, video="short", object_id=2)
    assert make_rows(track([0.9] * 50, video="long"), *shorts).lengths.tolist() == [50, 5]


def test_first_failure_needs_frames_in_a_row() -> None:
    values = [0.0, 0.9, 0.4, 0.4, 0.9, 0.3, 0.2, 0.1, 0.9]
    assert first_failures(make_rows(track(values))) == {("v", 1): 5}
    assert first_failures(make_rows(track(values, every=5))) == {("v", 1): 25}
    starts = [loss.places[0] for loss in losses(make_rows(track(values)), frames=2)]
    assert starts == [2, 5]
    assert not list(losses(make_rows(track(values)), frames=4))
    assert first_failures(make_rows(track([0.5] * 9))) == {("v", 1): None}
    assert first_failures(make_rows(track([0.0]))) == {}


def test_recoveries() -> None:
    truth = "1100111011"
    j = [1, 0.9, 1.0, 1.0, 0.2, 0.4, 0.6, 0.0, 0.1, 0.2]
    assert recoveries(make_rows(track(j, truth=truth))) == [2, None]
    assert recoveries(make_rows(track(j, truth="1111110000"))) == []
    # What happens before the prompt is no absence.
    assert recoveries(make_rows(track(j, truth="0001111111", prompt=3))) == []


def test_absences() -> None:
    rows = make_rows(
        track([1] * 6, truth="110011", prediction="110111"),
        track([1] * 6, object_id=2),
        track([1] * 6, object_id=3, truth="001100", prediction="111100", prompt=2),
    )
    assert absences(rows) == {
        ("v", 1): Absence(frames=2, false_positives=1),
        ("v", 3): Absence(frames=2, false_positives=0),
    }
