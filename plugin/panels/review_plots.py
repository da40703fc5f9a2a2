"""The plots of the panel as Plotly traces and layouts: plain dicts, no FiftyOne.

Three things FiftyOne 1.22 does to plots shape this file: named colour scales are replaced by the
theme, so scales are lists; ``%`` or digits in category labels are taken for numbers, so such axes
say that they are categories; titles must be ``{"text": ...}``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hs2s_core.wording import counted

from .review_data import Dot, Review, length_means

Trace = dict[str, Any]
Layout = dict[str, Any]

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
_NAME = 28
_HEIGHT = 300
_LEGEND = {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "font": {"size": 12}}


def scatter_plot(reviews: Sequence[tuple[str, Review]], names: Mapping[str, str]) -> list[Trace]:
    """J&F against video length: one dot a video, and the means of the length bins as a line.

    Args:
        reviews: title and review, at most two; a click hands back the id in ``Tracks.videos``.
        names: what each video is called.
    """
    traces: list[Trace] = []
    for place, (title, review) in enumerate(reviews):
        dots = review.dots
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": title,
                "x": [dot.frames for dot in dots],
                "y": [_round(dot.jf) for dot in dots],
                "ids": [dot.video for dot in dots],
                "text": [_describe(dot, names) for dot in dots],
                "hovertemplate": "%{text}",
                "marker": {
                    "color": COLORS[place],
                    "symbol": ("circle", "diamond-open")[place],
                    "size": 9,
                    "opacity": 0.8,
                },
            }
        )
        means = length_means(dots)
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": f"{title}, mean by length",
                "x": [length for _, length, _ in means],
                "y": [_round(jf) for _, _, jf in means],
                "text": [name for name, _, _ in means],
                "hovertemplate": "%{text} frames: mean J&F %{y:.3f}",
                "line": {"color": COLORS[place], "width": 2, "dash": "dot"},
                "showlegend": False,
            }
        )
    return traces


def scatter_layout(reviews: Sequence[Review]) -> Layout:
    """Logarithmic lengths where a few videos are far longer than the others."""
    lengths = [dot.frames for review in reviews for dot in review.dots]
    spread = bool(lengths) and max(lengths) > 8 * float(np.median(lengths))
    return _layout(
        {"title": _text("video length (annotated frames)"), "type": "log" if spread else "linear"},
        {"title": _text("J&F"), "range": [-0.03, 1.03]},
        len(reviews) > 1,
        dragmode="select",
    )


def heat_plot(
    reviews: Sequence[tuple[str, Review]], order: Sequence[str], labels: Mapping[str, str]
) -> list[Trace]:
    """J&F of each video by time since the prompt, two evaluations beside each other.

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
                "z": np.where(np.isnan(rows), None, np.round(rows, 3)).tolist(),
                "hovertemplate": "%{y}<br>t = %{x}<br>J&F %{z:.3f}<extra>" + title + "</extra>",
                "hoverongaps": False,
                "colorscale": SCALE,
                "zmin": 0,
                "zmax": 1,
                "showscale": place == 0,
                "colorbar": {"thickness": 10, "outlinewidth": 0, "x": 1.01},
                "xaxis": ("x", "x2")[place],
                "yaxis": "y",
            }
        )
    return traces


def heat_layout(reviews: Sequence[tuple[str, Review]], rows: int) -> Layout:
    """Rows high enough to hit, as long as they fit on a screen."""
    shown = min(rows, MAX_ROWS)
    layout = _layout(
        {"title": _text("annotated frames since the prompt"), "showgrid": False, "zeroline": False},
        {"type": "category", "autorange": "reversed", "showgrid": False, "tickfont": {"size": 11}},
        legend=False,
    )
    layout["height"] = int(np.clip(90 + 18 * shown, 180, 720))
    if len(reviews) > 1:
        layout["margin"]["t"] = 28
        layout["xaxis"] |= {"domain": [0, 0.485]}
        layout["xaxis2"] = {**layout["xaxis"], "domain": [0.515, 1]}
        layout["annotations"] = [
            {
                "text": title,
                "x": (0.2425, 0.7575)[place],
                "y": 1,
                "xref": "paper",
                "yref": "paper",
                "xanchor": "center",
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
        x = [bin_.start + (review.width - 1) / 2 for bin_ in review.curve]
        edge = {"type": "scatter", "mode": "lines", "x": x, "line": {"width": 0}}
        quiet = {"hoverinfo": "skip", "showlegend": False}
        low = [_round(bin_.low) for bin_ in review.curve]
        high = [_round(bin_.high) for bin_ in review.curve]
        traces += [
            {**edge, **quiet, "name": f"{title}, lower quartile", "y": low},
            {
                **edge,
                **quiet,
                "name": f"{title}, upper quartile",
                "y": high,
                "fill": "tonexty",
                "fillcolor": BANDS[place],
            },
            {
                "type": "scatter",
                "mode": "lines",
                "name": title,
                "x": x,
                "y": [_round(bin_.jf) for bin_ in review.curve],
                "text": [
                    f"J {bin_.j:.3f}, F {bin_.f:.3f}, {counted(bin_.objects, 'object')}"
                    for bin_ in review.curve
                ],
                "hovertemplate": "t = %{x}: J&F %{y:.3f}<br>%{text}",
                "line": {"color": COLORS[place], "width": 2},
            },
        ]
    return traces


def curve_layout(reviews: Sequence[Review]) -> Layout:
    """The same axis of time as the heat map's."""
    return _layout(
        {"title": _text("annotated frames since the prompt"), "rangemode": "tozero"},
        {"title": _text("J&F"), "range": [-0.03, 1.03]},
        len(reviews) > 1,
    )


def bar_plot(reviews: Sequence[tuple[str, Review]]) -> list[Trace]:
    """J and F of early and late frames, as in the paper's Table 2a."""
    traces: list[Trace] = []
    for place, (title, review) in enumerate(reviews):
        bars = [
            (_plain(bar.part), metric, value, bar.objects)
            for bar in review.bars
            for metric, value in (("J", bar.j), ("F", bar.f))
        ]
        traces.append(
            {
                "type": "bar",
                "name": title,
                "x": [[part for part, *_ in bars], [metric for _, metric, *_ in bars]],
                "y": [_round(value) for *_, value, _ in bars],
                "text": [f"{100 * value:.1f}" for *_, value, _ in bars],
                "textposition": "outside",
                "textangle": 0 if len(reviews) == 1 else -90,
                "cliponaxis": False,
                "customdata": [objects for *_, objects in bars],
                "hovertemplate": "%{x}: %{y:.3f}, %{customdata} objects",
                "marker": {"color": COLORS[place]},
            }
        )
    return traces


def bar_layout(reviews: Sequence[Review]) -> Layout:
    """Groups beside each other."""
    layout = _layout(
        {"type": "multicategory", "showgrid": False},
        {"title": _text("mean over objects"), "range": [0, 1.12 if len(reviews) == 1 else 1.3]},
        len(reviews) > 1,
    )
    return {**layout, "barmode": "group", "bargap": 0.25}


def row_labels(names: Mapping[str, str]) -> dict[str, str]:
    """Short names for the rows of the heat map, no two alike, by video."""
    labels: dict[str, str] = {}
    taken: set[str] = set()
    for video, name in names.items():
        short = name if len(name) <= _NAME else f"{name[: _NAME - 9]}…{name[-8:]}"
        label, copy = short, 1
        while label in taken:
            copy += 1
            label = f"{short} ({copy})"
        taken.add(label)
        labels[video] = label
    return labels


def _layout(xaxis: Layout, yaxis: Layout, legend: bool, **more: Any) -> Layout:
    return {
        "height": _HEIGHT,
        "xaxis": xaxis,
        "yaxis": yaxis,
        "showlegend": legend,
        "legend": _LEGEND,
        "margin": {"t": 28 if legend else 12, "l": 48, "r": 12, "b": 36},
        "hoverlabel": {"align": "left"},
        **more,
    }


def _describe(dot: Dot, names: Mapping[str, str]) -> str:
    drop = "" if dot.drop is None else f"<br>early less late {dot.drop:+.3f}"
    return (
        f"{names[dot.video]}<br>{counted(dot.frames, 'frame')}, "
        f"{counted(dot.objects, 'object')}<br>J&F {dot.jf:.3f} (J {dot.j:.3f}, F {dot.f:.3f}){drop}"
    )


def _plain(part: str) -> str:
    """Plotly reads labels as HTML, in which ``<`` opens a tag."""
    return part.replace("<", "&lt;").replace(">", "&gt;")


def _text(text: str) -> Layout:
    return {"text": text, "font": {"size": 12}}


def _round(value: float) -> float | None:
    """Three decimals for the browser; what is not a number becomes a gap."""
    return None if np.isnan(value) else round(float(value), 3)
