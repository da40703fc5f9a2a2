"""What the plots of both panels are made of, as Plotly wants it: plain dicts, no FiftyOne.

Three things FiftyOne 1.22 does to plots shape this file and those that use it: named colour scales
are replaced by the theme, so scales are lists; ``%`` or digits in category labels are taken for
numbers, so such axes say that they are categories; titles must be ``{"text": ...}``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

Trace = dict[str, Any]
Layout = dict[str, Any]

CONFIG = {"scrollZoom": False}
"""Plotly's settings of every plot: over a plot, the wheel scrolls the panel as elsewhere."""
LEGEND = {
    "orientation": "h",
    "x": 0,
    "y": 1.02,
    "yanchor": "bottom",
    "font": {"size": 12},
    # Plotly would reverse it where areas are filled.
    "traceorder": "normal",
}


def scatter(
    name: str, x: Sequence[float], shares: Iterable[float], mode: str = "lines", **more: Any
) -> Trace:
    """Lines or markers at ``shares`` of 1, in per cent; ``more`` is Plotly's."""
    y = [percent(share) for share in shares]
    return {"type": "scatter", "mode": mode, "name": name, "x": x, "y": y, **more}


def text(words: str) -> Layout:
    """The title of an axis or a plot."""
    return {"text": words, "font": {"size": 12}}


def percent(value: float) -> float | None:
    """A share in per cent for the browser; what is not a number becomes a gap."""
    return None if np.isnan(value) else round(100 * float(value), 1)
