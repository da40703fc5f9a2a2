"""From evaluation tables to plots: the numbers are hs2s_core's, the amounts are bounded."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pytest

from hs2s_core.evaluation import EvaluationTable
from hs2s_core.evaluation.lengths import curve, early_late
from hs2s_fiftyone.panels import review_plots as plots
from hs2s_fiftyone.panels.review_data import (
    MAX_COLUMNS,
    ORDERS,
    Evaluated,
    Filters,
    Review,
    length_means,
    order_videos,
    review,
    size_name,
)
from hs2s_fiftyone.panels.review_plots import row_labels

from ...evaluation.tables import make_table, make_track, random_table
from .review_tables import as_evaluated

VIDEOS = [f"video {number}" for number in range(12)]


@pytest.fixture(scope="module")
def table() -> EvaluationTable:
    return random_table(VIDEOS)


@pytest.fixture(scope="module")
def evaluated(table: EvaluationTable) -> Evaluated:
    return as_evaluated(table)


def one(evaluated: Evaluated) -> Review:
    return review([evaluated])[0]


def test_dots_are_the_scores_of_videos(table: EvaluationTable, evaluated: Evaluated) -> None:
    found = one(evaluated)
    summary = table.summary()
    lengths = dict(zip(VIDEOS, table.rows.lengths.tolist(), strict=True))
    assert {dot.video for dot in found.dots} == set(VIDEOS)
    for dot in found.dots:
        score = summary.videos[dot.video]
        assert (dot.j, dot.f) == pytest.approx((score.j.mean, score.f.mean))
        assert (dot.frames, dot.objects) == (lengths[dot.video], score.objects)
        parts = early_late(table.rows[table.rows.records["video"] == VIDEOS.index(dot.video)])
        assert dot.drop == (None if parts.drop is None else pytest.approx(parts.drop))
    assert summary.overall is not None
    assert found.overall == pytest.approx(summary.overall.jf)
    assert found.objects == len(summary.objects)


@pytest.mark.parametrize("seen", [(None, None), (True, False), (True, None), (False, False)])
@pytest.mark.parametrize("protocol", ["youtube_vos", "davis2017"])
def test_the_overall_score_follows_the_rule_of_the_core(
    seen: tuple[bool | None, bool | None], protocol: str
) -> None:
    made = [
        make_track("a", [1, 0.9, 0.7], seen=seen[0]),
        make_track("a", [1, 0.4, 0.2], object_id=2, seen=seen[0]),
        make_track("b", [1, 0.1, 0.3], seen=seen[1]),
    ]
    table = make_table(made, protocol)
    overall, found = table.summary().overall, one(as_evaluated(table)).overall
    assert found == (None if overall is None else pytest.approx(overall.jf, abs=1e-12))


def test_bars_and_the_curve_are_those_of_the_core() -> None:
    table = random_table(VIDEOS, longest=MAX_COLUMNS + 1)
    found, expected = one(as_evaluated(table)), early_late(table.rows)
    assert [bar for _, bar in found.bars] == [
        expected.early,
        expected.late,
        expected.late_after_10,
    ]
    assert (found.width, found.curve) == (1, curve(table.rows))


@pytest.mark.parametrize("frames", [2, 61, 62, 1000])
def test_time_fits_in_the_columns(frames: int) -> None:
    values = np.linspace(1, 0, frames).tolist()
    found = one(as_evaluated(make_table([make_track("a", values)])))
    columns = found.heat.shape[1]
    assert columns <= MAX_COLUMNS
    assert found.times(columns - 1).start <= frames - 1 < found.times(columns - 1).stop
    for column in range(columns):
        expected = [values[t] for t in found.times(column) if t < frames]
        assert found.heat[0, column] == pytest.approx(np.mean(expected), abs=1e-6)


def test_time_is_each_objects_own() -> None:
    """Two objects, the second prompted at frame 4: at t = 1 it is frame 5 for it."""
    early = make_track("a", [1, 0.8, 0, 0, 0, 0, 0])
    late = make_track("a", [0, 0, 0, 0, 1, 0.4, 0], object_id=2, prompt=4)
    evaluated = as_evaluated(make_table([early, late]))
    assert one(evaluated).heat[0, 0] == pytest.approx(0.6)
    assert evaluated.stretch("a", range(1, 2)) == (1, 5)
    assert evaluated.stretch("a", range(6, 7)) == (6, 6)
    assert evaluated.stretch("a", range(7, 8)) is None


def test_a_stretch_reaches_to_the_next_annotated_frame() -> None:
    evaluated = as_evaluated(make_table([make_track("a", [1, 0.9, 0.8, 0.7], every=5)]))
    assert evaluated.stretch("a", range(1, 3)) == (5, 14)
    assert evaluated.stretch("a", range(3, 4)) == (15, 15)


def test_filters_choose_objects() -> None:
    table = make_table(
        [
            make_track("a", [1] * 30, category="dog", seen=True, area=50),
            make_track("a", [0.5] * 30, object_id=2, category="cat", seen=False, area=2000),
            make_track("b", [0.2] * 90, category="dog", seen=False, area=500),
            make_track("c", [0.9] * 5),
        ]
    )
    evaluated = as_evaluated(table, [10_000, 10_000, None])

    def chosen(filters: Filters) -> dict[str, float]:
        found = one(filters.apply(evaluated))
        return {dot.video: pytest.approx(dot.jf) for dot in found.dots}

    assert chosen(Filters()) == {"a": 0.75, "b": 0.2, "c": 0.9}
    assert chosen(Filters(categories=frozenset({"dog"}))) == {"a": 1.0, "b": 0.2}
    assert chosen(Filters(seen=False)) == {"a": 0.5, "b": 0.2}
    assert chosen(Filters(sizes=frozenset({"small", "medium"}))) == {"a": 1.0, "b": 0.2}
    assert chosen(Filters(sizes=frozenset({"large"}))) == {"a": 0.5}
    assert chosen(Filters(lengths=frozenset({"81-160", "1-20"}))) == {"b": 0.2, "c": 0.9}
    assert chosen(Filters(frozenset({"cat"}), seen=True)) == {}


def test_nothing_left_is_nothing_drawn(evaluated: Evaluated) -> None:
    filters = Filters(categories=frozenset({"unicorn"}))
    found = one(filters.apply(evaluated))
    assert (found.dots, found.curve, found.bars, found.overall) == ((), [], [], None)
    assert found.heat.shape[0] == 0
    assert order_videos([found], "worst") == []
    assert plots.heat_plot([("a", found)], [], {})[0]["z"] == []


def test_sizes_meet_without_a_gap() -> None:
    names = [size_name(share) for share in (0.0, 0.0099, 0.01, 0.0999, 0.1, 1.0, float("nan"))]
    assert names == ["small", "small", "medium", "medium", "large", "large", None]


def test_orders() -> None:
    before = make_table(
        [
            make_track("long", [0.8] * 40),
            make_track("worst", [0.3] * 10),
            make_track("fading", [1.0] * 15 + [0.5] * 20),
        ]
    )
    after = make_table([make_track("long", [0.2] * 40), make_track("fading", [0.9] * 35)])
    reviews = review([as_evaluated(before), as_evaluated(after)])
    assert order_videos(reviews, "worst") == ["worst", "fading", "long"]
    assert order_videos(reviews, "length") == ["long", "fading", "worst"]
    assert order_videos(reviews, "drop") == ["fading", "long", "worst"]
    assert order_videos(reviews, "change") == ["long", "fading", "worst"]
    assert order_videos(reviews[:1], "change") == order_videos(reviews, "worst")


def test_two_evaluations_share_their_time() -> None:
    short = as_evaluated(make_table([make_track("a", [0.5] * 30)]))
    long = as_evaluated(make_table([make_track("a", [0.5] * 300), make_track("b", [1.0] * 9)]))
    first, second = review([short, long])
    assert first.width == second.width == 5
    assert first.heat.shape[1] == second.heat.shape[1] == 60
    assert np.isnan(first.rows(["b"])).all()
    assert first.rows(["b", "a"]).shape == (2, 60)


def test_means_by_length_go_from_short_to_long(evaluated: Evaluated) -> None:
    found = one(evaluated)
    names = [name for name, _, _ in length_means(found.dots)]
    assert names == [name for name in ("1-20", "21-40", "41-80", "81-160") if name in names]
    assert len(names) > 1


def layouts_of(titled: Sequence[tuple[str, Review]], rows: int) -> list[plots.Layout]:
    """Of the dots, the heat map, the curve and the bars."""
    reviews = [review for _, review in titled]
    return [
        plots.scatter_layout(reviews),
        plots.heat_layout(titled, rows),
        plots.curve_layout(reviews),
        plots.bar_layout(reviews),
    ]


@pytest.mark.parametrize("compared", [False, True])
def test_plots_are_small_json(compared: bool, table: EvaluationTable) -> None:
    """500 videos, however long, must not choke the browser."""
    videos = [f"{number:03}" for number in range(500)]
    tables = [random_table(videos, seed, longest=70) for seed in range(1 + compared)]
    reviews = review([as_evaluated(table) for table in tables])
    titled = list(zip(("before", "after"), reviews, strict=False))
    names = dict.fromkeys(videos, "the same long name of a video")
    labels = row_labels(names)
    assert len(set(labels.values())) == 500
    for by in ORDERS:
        heat = plots.heat_plot(titled, order_videos(reviews, by), labels)
        assert len(heat[0]["z"]) == 500
        assert len(heat[0]["z"][0]) <= MAX_COLUMNS
    drawn = {
        "scatter": plots.scatter_plot(titled, names),
        "heat": heat,
        "curve": plots.curve_plot(titled),
        "bars": plots.bar_plot(titled),
    }
    layouts = layouts_of(titled, 500)
    assert len(json.dumps([drawn, layouts], allow_nan=False)) < (1 + compared) * 500_000


def test_long_names_keep_what_tells_them_apart() -> None:
    start, end = "2026-05-01-north-entrance-camera", "-daylight-compressed"
    names = {str(n): f"{start}-{n:02}{end}" for n in range(1, 13)} | {"a": "short"}
    labels = row_labels(names)
    assert labels["a"] == "short"
    for number in range(1, 13):
        assert f"{number:02}" in labels[str(number)]
    assert max(map(len, labels.values())) <= 28


def test_scores_are_per_cent_everywhere(evaluated: Evaluated) -> None:
    found = one(evaluated)
    titled, names = [("run", found)], {dot.video: dot.video for dot in found.dots}
    order = order_videos([found], "worst")
    drawn = [
        [dot["y"] for dot in plots.scatter_plot(titled, names)],
        [bar["y"] for bar in plots.bar_plot(titled)],
        [line["y"] for line in plots.curve_plot(titled)],
        [row for heat in plots.heat_plot(titled, order, names) for row in heat["z"]],
    ]
    for kind in drawn:
        assert 1 < max(value for values in kind for value in values if value is not None) <= 100
    for layout in (plots.scatter_layout([found]), plots.curve_layout([found])):
        assert layout["yaxis"]["range"][1] > 100
        assert "%" in layout["yaxis"]["title"]["text"]


def test_plots_have_titles_and_hover_texts_one_line_of_names(evaluated: Evaluated) -> None:
    reviews = review([evaluated, evaluated])
    titled = list(zip(("before", "after"), reviews, strict=True))
    names = {dot.video: dot.video for dot in reviews[0].dots}
    layouts = layouts_of(titled, 3)
    # In a window of 720 pixels a plot has 194, and 146 below its axis; a letter takes five to six.
    assert all(0 < len(layout["title"]["text"]) <= 32 for layout in layouts)
    below = [layout["xaxis"]["title"]["text"] for layout in layouts[:3]]
    assert all(0 < len(words) <= 24 for words in below)
    assert layouts[1]["xaxis"]["anchor"] == "y2", "below both maps"
    heat = plots.heat_plot(titled, list(names), names)
    assert heat[0]["colorbar"]["title"]["text"] == "J&F (%)"
    drawn = [plots.scatter_plot(titled, names), heat, plots.curve_plot(titled)]
    shown = [trace for traces in drawn for trace in traces if trace.get("hoverinfo") != "skip"]
    # Plotly would put the trace's name beside the text, in a box as large again.
    assert all("<extra></extra>" in trace["hovertemplate"] for trace in shown)
