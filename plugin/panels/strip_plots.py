"""The strip of one video as Plotly traces and a layout; see :mod:`.layout`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..player import time_shown
from .layout import LEGEND, Layout, Trace, scatter, text
from .strip_data import Line, Strip

COLORS = (
    "#ff8c3a",
    "#4ea8f0",
    "#5fc27e",
    "#d879c8",
    "#e6c847",
    "#9b8cf0",
    "#e0605e",
    "#53c5c9",
    "#b98a63",
    "#a3b84c",
    "#f29bb0",
    "#8fa3b8",
)
"""Of the objects, by their place."""
_ABOVE = 0.08
"""Where key frames stand above the lines, as a share of the axis."""
_MARKS = {
    "given": ("Given masks", "diamond", "#ffffff"),
    "corrected": ("Corrected masks", "star", "#ffd84d"),
}


def traces(strip: Strip, rate: float | None, at: int | None = None) -> list[Trace]:
    """Everything that is drawn.

    Args:
        strip: what is known; its frames, 0-based, are drawn by their numbers, from 1.
        rate: frames per second of the video, where known.
        at: the frame that was clicked last.
    """
    top = 100 + _ABOVE * (100 - strip.low)
    found = _lines(strip.scores, strip, rate, "J&F" if strip.evaluated else "confidence", "y")
    found += _lines(strip.disagreement, strip, rate, "disagreement", "y2")
    for kind, (name, symbol, color) in _MARKS.items():
        frames: Mapping[int, Sequence[str]] = getattr(strip, kind)
        if frames:
            edge = {"color": "#555555", "width": 1}
            found.append(
                scatter(
                    name,
                    [frame + 1 for frame in frames],
                    [top / 100] * len(frames),
                    mode="markers",
                    text=[
                        f"{time_of(frame, rate)}<br>{name.lower()}: {', '.join(names)}"
                        for frame, names in frames.items()
                    ],
                    hovertemplate="%{text}<extra></extra>",
                    marker={"symbol": symbol, "size": 10, "color": color, "line": edge},
                    cliponaxis=False,  # in the first frame, half of it would be cut off
                )
            )
    if strip.suggested is not None:
        found.append(_upright("Suggested next", strip.suggested, strip.low, "#e0605e", "dash"))
    if at is not None:
        found.append(_upright("Chosen", at, strip.low, "#888888", "solid"))
    return found


def layout(*, evaluated: bool, both: bool, low: int, length: int) -> Layout:
    """Scores above, disagreement below where there is any; see :class:`Strip` for the rest."""
    title = "J&F (%)" if evaluated else "confidence (%)"
    span = 100 - low
    axis = {
        "title": text(title),
        "range": [low - 0.03 * span, 100 + 2 * _ABOVE * span],
        "zeroline": False,
    }
    made: Layout = {
        "height": 420 if both else 300,
        "xaxis": {
            "title": text("frame"),
            "range": [0.5, length + 0.5],
            "zeroline": False,
            "anchor": "y2" if both else "y",
        },
        "yaxis": axis | ({"domain": [0.42, 1]} if both else {}),
        "showlegend": True,
        "legend": LEGEND,
        "margin": {"t": 60, "l": 52, "r": 12, "b": 44},
        "hoverlabel": {"align": "left", "namelength": 0},
    }
    if both:
        made["yaxis2"] = {
            "title": text("disagreement (%)"),
            "range": [-3, 103],
            "domain": [0, 0.34],
        }
    return made


def time_of(frame: int, rate: float | None) -> str:
    """Where a frame (0-based) is: its number, and the time that the player shows."""
    shown = f"frame {frame + 1}"
    if rate:
        shown += f" ({time_shown(frame / rate)})"
    return shown


def _lines(
    lines: Sequence[Line], strip: Strip, rate: float | None, what: str, axis: str
) -> list[Trace]:
    names = [line.name for line in strip.scores]
    found: list[Trace] = []
    for line in lines:
        place = names.index(line.name) if line.name in names else len(names)
        found.append(
            scatter(
                line.name,
                (line.frames + 1).tolist(),
                line.values,
                mode="lines+markers",
                legendgroup=line.name,
                showlegend=axis == "y",
                text=[time_of(int(frame), rate) for frame in line.frames],
                hovertemplate=f"{line.name}, %{{text}}<br>{what} %{{y:.1f}}<extra></extra>",
                line={"color": COLORS[place % len(COLORS)], "width": 2},
                marker={"size": 4},
                yaxis=axis,
            )
        )
    return found


def _upright(name: str, frame: int, low: int, color: str, dash: str) -> Trace:
    line = {"color": color, "width": 2, "dash": dash}
    return scatter(name, [frame + 1] * 2, [low / 100, 1], hoverinfo="skip", line=line)
