"""Mean, recall and decay, and the means over objects and groups."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest

from hs2s_core.evaluation import (
    PROTOCOLS,
    EvaluationTable,
    Statistics,
    format_table,
    overall_parts,
)
from hs2s_core.evaluation.scores import summarise

from .tables import Track, make_rows, make_track


def track_of(
    video: str,
    object_id: int,
    values: Sequence[tuple[float, float]],
    *,
    seen: bool | None = None,
    counted: bool = True,
) -> Track:
    """One object with the given J and F."""
    j, f = zip(*values, strict=True)
    marks = str(int(counted)) * len(values)
    return make_track(video, j, f, object_id=object_id, seen=seen, counted=marks)


def test_known_statistics() -> None:
    # Bins of eight frames share their border frames: 1 to 3 and 6 to 8.
    values = [1.0, 0.9, 0.8, 0.6, 0.5, 0.4, 0.2, 0.0]
    statistics = Statistics.of(values)
    assert statistics.mean == pytest.approx(0.55)
    assert statistics.recall == pytest.approx(4 / 8)  # 0.5 itself is not above 0.5
    assert statistics.decay == pytest.approx(0.9 - 0.2)


@pytest.mark.parametrize("values", [[0.7], [0.7, 0.7], [0.7] * 3])
def test_few_equal_frames_have_no_decay(values: list[float]) -> None:
    assert Statistics.of(values) == Statistics(pytest.approx(0.7), 1.0, 0.0)


def test_decay_of_two_frames() -> None:
    assert Statistics.of([1.0, 0.5]).decay == pytest.approx(0.5)


@pytest.mark.parametrize("frames", [256, 257, 300, 1000, 70_000])
def test_bins_do_not_overflow(frames: int) -> None:
    quarter = frames // 4
    values = [1.0] * (quarter + 2) + [0.5] * (frames - 2 * quarter - 4) + [0.0] * (quarter + 2)
    assert Statistics.of(values).decay == 1.0


def test_objects_weigh_the_same_whatever_their_video() -> None:
    rows = make_rows(
        track_of("a", 1, [(1.0, 0.8)] * 4),
        track_of("a", 2, [(0.5, 0.6)] * 4),
        track_of("b", 1, [(0.0, 0.1)]),
    )
    summary = summarise(rows, PROTOCOLS["davis2017"])
    assert summary.overall is not None
    assert summary.overall.objects == 3
    assert summary.overall.j.mean == pytest.approx(0.5)
    assert summary.overall.f.mean == pytest.approx(0.5)
    assert summary.overall.jf == pytest.approx(0.5)
    assert summary.videos["a"].j.mean == pytest.approx(0.75)
    assert summary.videos["b"].jf == pytest.approx(0.05)
    assert [score.frames for score in summary.objects] == [4, 4, 1]
    assert summary.groups == {}


def test_youtube_vos_is_the_mean_of_four() -> None:
    rows = make_rows(
        track_of("a", 1, [(0.9, 0.8)], seen=True),
        track_of("b", 1, [(0.7, 0.6)], seen=True),
        track_of("c", 1, [(0.2, 0.4)], seen=False),
    )
    summary = summarise(rows, PROTOCOLS["youtube_vos"])
    assert summary.groups["seen"].j.mean == pytest.approx(0.8)
    assert summary.groups["unseen"].f.mean == pytest.approx(0.4)
    assert summary.overall is not None
    assert summary.overall.jf == pytest.approx((0.8 + 0.7 + 0.2 + 0.4) / 4)
    assert summary.overall.objects == 3
    # Groups are reported by every protocol; only this one averages over them.
    davis = summarise(rows, PROTOCOLS["davis2017"])
    assert davis.groups == summary.groups
    assert davis.overall is not None
    assert davis.overall.j.mean == pytest.approx(0.6)


def test_one_known_group_alone_is_the_score() -> None:
    summary = summarise(
        make_rows(track_of("a", 1, [(0.4, 0.6)], seen=False)), PROTOCOLS["youtube_vos"]
    )
    assert list(summary.groups) == ["unseen"]
    assert summary.overall == summary.groups["unseen"]


def test_partly_known_groups_have_no_overall_score() -> None:
    rows = make_rows(
        track_of("a", 1, [(1, 1)], seen=True),
        track_of("b", 1, [(0.5, 0.5)]),
        track_of("b", 3, [(0, 0)], seen=False, counted=False),
    )
    summary = summarise(rows, PROTOCOLS["youtube_vos"])
    assert summary.overall is None
    assert summary.seen_unknown == (("b", 1),)
    # All else that was found is there, and other protocols do not mind.
    assert {video: score.jf for video, score in summary.videos.items()} == {"a": 1, "b": 0.5}
    assert list(summary.groups) == ["seen"]
    davis = summarise(rows, PROTOCOLS["davis2017"]).overall
    assert davis is not None
    assert davis.jf == 0.75
    table = EvaluationTable(PROTOCOLS["youtube_vos"], rows)
    report = format_table(table)
    assert re.search(r"no overall score: .* 1 object .*\(b/1\)", report)
    assert "No frame counts" not in report
    assert re.search(r"^b +50.00", report, re.MULTILINE)


def test_notebooks_get_the_scores_as_a_table() -> None:
    rows = make_rows(track_of("a<b", 1, [(1, 0.5)]), track_of("c", 1, [(0.25, 0.25)]))
    html = EvaluationTable(PROTOCOLS["davis2017"], rows)._repr_html_()
    assert "<tr><td>a&lt;b</td><td>75.00</td><td>100.00</td>" in html
    assert "<tr><td>overall</td><td>50.00</td>" in html
    assert html.count("<th>") == 8


@pytest.mark.parametrize(
    ("seen", "parts"),
    [
        ([], None),
        ([None, None], [[0, 1]]),
        ([True, False, True], [[0, 2], [1]]),
        ([False, False], [[0, 1]]),
        ([True, None, False], None),
    ],
)
def test_what_makes_up_the_overall_score(
    seen: list[bool | None], parts: list[list[int]] | None
) -> None:
    assert overall_parts(seen, PROTOCOLS["youtube_vos"]) == parts
    everything = [list(range(len(seen)))] if seen else None
    assert overall_parts(seen, PROTOCOLS["davis2017"]) == everything


def test_rows_that_do_not_count_enter_nothing() -> None:
    rows = make_rows(
        make_track("a", [1.0, 0.2], [1.0, 0.4], counted="01"),
        track_of("a", 2, [(0.9, 0.9)], counted=False),
    )
    summary = summarise(rows, PROTOCOLS["all_frames"])
    assert [(score.object, score.j.mean) for score in summary.objects] == [(1, 0.2)]
    assert summary.uncounted == (("a", 2),)
    nothing = summarise(rows[:1], PROTOCOLS["all_frames"])
    assert nothing.overall is None
    assert nothing.videos == {}
