"""The plots of "Review by length" as Plotly traces and layouts; see :mod:`.layout`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from os.path import commonprefix
from typing import Any

import numpy as np

from hs2s_core.wording import counted

from .layout import LEGEND, Layout, Trace, percent, scatter, text
from .review_data import Dot, Review, length_means

COLORS = ("#ff8c3a", "#4ea8f0")
"""Of the evaluation and of the one it is compared with."""
BANDS = ("rgba(255,140,58,0.18)", "rgba(78,168,240,0.18)")
SCALE = [
    [0.0, "#a50026"],
    [0.25, "#f46d43"],
    [0.5, "#fee090"],
    [0.75, "#74add1"],
    [1.0, "#313695"],
]
"""Red to blue, which readers with any colour vision tell apart; pale at 0.5, where J counts as
lost."""
MAX_ROWS = 500
"""Videos of the heat map, at most; the panel says so when it leaves some out."""
_LONGEST = 28
_TAIL = 8
_CONTEXT = 3
"""Characters shown before the first that tells names apart."""
_HEIGHT = 300
_ROW = 18
_PERCENT = [-3, 103]
_MARGIN = {"t": 34, "l": 48, "r": 12, "b": 44}


def scatter_plot(reviews: Sequence[tuple[str, Review]], names: Mapping[str, str]) -> list[Trace]:
    """J&F against video length: one dot a video, and the means of the length bins as a line.

    Args:
        reviews: title and review, at most two; a click hands back the id of a dot.
        names: what each video is called.
    """
    traces: list[Trace] = []
    for place, (title, review) in enumerate(reviews):
        dots = review.dots
        marker = {"color": COLORS[place], "symbol": ("circle", "diamond-open")[place]}
        means = length_means(dots)
        traces += [
            scatter(
                title,
                [dot.frames for dot in dots],
                [dot.jf for dot in dots],
                mode="markers",
                ids=[dot.video for dot in dots],
                text=[_describe(dot, names) for dot in dots],
                hovertemplate="%{text}<extra></extra>",
                marker={**marker, "size": 9, "opacity": 0.8},
            ),
            scatter(
                f"{title}, mean by length",
                [length for _, length, _ in means],
                [jf for _, _, jf in means],
                text=[name for name, _, _ in means],
                hovertemplate="%{text} frames: mean J&F %{y:.1f}<extra></extra>",
                line={"color": COLORS[place], "width": 2, "dash": "dot"},
                showlegend=False,
            ),
        ]
    return traces


def scatter_layout(reviews: Sequence[Review]) -> Layout:
    """Logarithmic lengths where a few videos are far longer than the others."""
    lengths = [dot.frames for review in reviews for dot in review.dots]
    spread = bool(lengths) and max(lengths) > 8 * float(np.median(lengths))
    return _layout(
        "Videos by their length",
        {"title": text("annotated frames"), "type": "log" if spread else "linear"},
        {"title": text("J&F (%)"), "range": _PERCENT},
        len(reviews) > 1,
        dragmode="select",
    )


def heat_plot(
    reviews: Sequence[tuple[str, Review]], order: Sequence[str], labels: Mapping[str, str]
) -> list[Trace]:
    """J&F of each video by time since the prompt, two evaluations below each other.

    Args:
        reviews: title and review, at most two.
        order: videos from top to bottom.
        labels: what a video's row is called; no two alike.
    """
    shown = list(order)[:MAX_ROWS]
    traces: list[Trace] = []
    for place, (title, review) in enumerate(reviews):
        rows = review.rows(shown)
        times = [review.times(column) for column in range(rows.shape[1])]
        traces.append(
            {
                "type": "heatmap",
                "name": title,
                "x": [time.start + (review.width - 1) / 2 for time in times],
                "y": [labels[video] for video in shown],
                "z": np.where(np.isnan(rows), np.array(None), np.round(100 * rows, 1)).tolist(),
                "hovertemplate": "%{y}, t = %{x}: J&F %{z:.1f}<extra></extra>",
                "hoverongaps": False,
                "colorscale": SCALE,
                "zmin": 0,
                "zmax": 100,
                "showscale": place == 0,
                "colorbar": {
                    "title": text("J&F (%)"),
                    "thickness": 10,
                    "outlinewidth": 0,
                    "x": 1.01,
                    "xpad": 4,
                },
                "xaxis": "x",
                "yaxis": ("y", "y2")[place],
            }
        )
    return traces


def heat_layout(reviews: Sequence[tuple[str, Review]], rows: int) -> Layout:
    """Rows high enough to hit, as long as they fit on a screen."""
    shown = min(rows, MAX_ROWS)
    axis = {
        "type": "category",
        "autorange": "reversed",
        "showgrid": False,
        "tickfont": {"size": 11},
    }
    layout = _layout(
        "Videos by time since the prompt",
        {"title": text("annotated frames"), "showgrid": False, "zeroline": False},
        axis,
        legend=False,
    )
    each = int(np.clip(_ROW * shown, 90, 630))
    layout["height"] = _MARGIN["t"] + _MARGIN["b"] + each
    if len(reviews) > 1:
        gap = 26
        part = each / (2 * each + gap)
        layout["height"] += each + gap
        layout["margin"]["t"] += 20
        layout["yaxis"] |= {"domain": [1 - part, 1]}
        layout["yaxis2"] = {**axis, "domain": [0, part]}
        layout["xaxis"] |= {"anchor": "y2"}  # or its numbers and title lie on the lower map
        layout["annotations"] = [
            {
                "text": title,
                "x": 0,
                "y": (1, part)[place],
                "xref": "paper",
                "yref": "paper",
                "xanchor": "left",
                "yanchor": "bottom",
                "showarrow": False,
                "font": {"color": COLORS[place], "size": 13},
            }
            for place, (title, _) in enumerate(reviews)
        ]
    return layout


def curve_plot(reviews: Sequence[tuple[str, Review]]) -> list[Trace]:
    """Mean J&F over objects by time since the prompt, with the middle half of the objects."""
    traces: list[Trace] = []
    for place, (title, review) in enumerate(reviews):
        x = [point.t + (review.width - 1) / 2 for point in review.curve]
        edge: Trace = {"line": {"width": 0}, "hoverinfo": "skip", "showlegend": False}
        filled: Trace = {"fill": "tonexty", "fillcolor": BANDS[place]}
        low, high = [point.low for point in review.curve], [point.high for point in review.curve]
        traces += [
            scatter(f"{title}, lower quartile", x, low, **edge),
            scatter(f"{title}, upper quartile", x, high, **edge, **filled),
            scatter(
                title,
                x,
                [point.jf for point in review.curve],
                text=[
                    f"J {100 * point.j:.1f}, F {100 * point.f:.1f}, "
                    + counted(point.objects, "object")
                    for point in review.curve
                ],
                hovertemplate="t = %{x}: J&F %{y:.1f}<br>%{text}<extra></extra>",
                line={"color": COLORS[place], "width": 2},
            ),
        ]
    return traces


def curve_layout(reviews: Sequence[Review]) -> Layout:
    """The same axis of time as the heat map's."""
    return _layout(
        "Objects by time since the prompt",
        {"title": text("annotated frames"), "rangemode": "tozero"},
        {"title": text("J&F (%): mean, middle half"), "range": _PERCENT},
        len(reviews) > 1,
    )


def bar_plot(reviews: Sequence[tuple[str, Review]]) -> list[Trace]:
    """J and F of early and late frames, as in the paper's Table 2a."""
    traces: list[Trace] = []
    for place, (title, review) in enumerate(reviews):
        bars = [
            # Plotly reads labels as HTML.
            (escape(part), metric, value, bar.objects)
            for part, bar in review.bars
            for metric, value in (("J", bar.j), ("F", bar.f))
        ]
        traces.append(
            {
                "type": "bar",
                "name": title,
                "x": [[part for part, *_ in bars], [metric for _, metric, *_ in bars]],
                "y": [percent(value) for *_, value, _ in bars],
                "text": [f"{100 * value:.{2 - len(reviews)}f}" for *_, value, _ in bars],
                "textposition": "outside",
                "textangle": 0,
                "textfont": {"size": 11},
                "constraintext": "none",
                "cliponaxis": False,
                "customdata": [objects for *_, objects in bars],
                "hovertemplate": "%{x}: %{y:.1f}, %{customdata} objects<extra></extra>",
                "marker": {"color": COLORS[place]},
            }
        )
    return traces


def bar_layout(reviews: Sequence[Review]) -> Layout:
    """Groups beside each other."""
    layout = _layout(
        "Objects early and late",
        {"type": "multicategory", "showgrid": False, "tickfont": {"size": 11}},
        {"title": text("mean (%)"), "range": [0, 112]},
        len(reviews) > 1,
    )
    return {**layout, "barmode": "group", "bargap": 0.25}


def _layout(title: str, xaxis: Layout, yaxis: Layout, legend: bool, **more: Any) -> Layout:
    # Short titles: a plot is 194 pixels wide in a window of 720, and Plotly cuts what is wider.
    heading = {"x": 0, "xref": "container", "xanchor": "left", "y": 1, "yanchor": "top"}
    return {
        "height": _HEIGHT + 24 * legend,
        "title": {**text(title), **heading, "pad": {"t": 8, "l": 8}},
        "xaxis": xaxis,
        "yaxis": yaxis,
        "showlegend": legend,
        "legend": LEGEND,
        "margin": {**_MARGIN, "t": _MARGIN["t"] + 24 * legend},
        "hoverlabel": {"align": "left", "namelength": 0, "font": {"size": 12}},
        **more,
    }


def _describe(dot: Dot, names: Mapping[str, str]) -> str:
    drop = "" if dot.drop is None else f"<br>early less late {100 * dot.drop:+.1f}"
    return (
        f"{names[dot.video]}<br>{counted(dot.frames, 'frame')}, "
        f"{counted(dot.objects, 'object')}<br>"
        f"J&F {100 * dot.jf:.1f} (J {100 * dot.j:.1f}, F {100 * dot.f:.1f}){drop}"
    )


def row_labels(names: Mapping[str, str]) -> dict[str, str]:
    """Short names, no two alike, by video."""
    labels = _shorten(names)
    taken: set[str] = set()
    for video, short in labels.items():
        label, copy = short, 1
        while label in taken:
            copy += 1
            label = f"{short} ({copy})"
        taken.add(label)
        labels[video] = label
    return labels


def _shorten(names: Mapping[str, str]) -> dict[str, str]:
    """Cut the middle out of long names; where that tells them apart, their common start instead."""
    groups: dict[str, dict[str, str]] = {}
    for video, name in names.items():
        short = name
        if len(name) > _LONGEST:
            short = f"{name[: _LONGEST - _TAIL - 1]}…{name[-_TAIL:]}"
        groups.setdefault(short, {})[video] = name
    labels: dict[str, str] = {}
    for short, alike in groups.items():
        start = len(commonprefix(list(alike.values()))) - _CONTEXT  # noqa: RUF071  (as meant)
        if start > 1 and len(set(alike.values())) > 1:
            labels |= _shorten({video: f"…{name[start:]}" for video, name in alike.items()})
        else:
            labels |= dict.fromkeys(alike, short)
    return {video: labels[video] for video in names}
