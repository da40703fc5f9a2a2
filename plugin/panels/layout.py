"""What both panels are made of: their frame, dropdowns, plots as Plotly wants them.

Three things FiftyOne 1.22 does to plots shape this file and those that use it: named colour scales
are replaced by the theme, so scales are lists; ``%`` or digits in category labels are taken for
numbers, so such axes say that they are categories; titles must be ``{"text": ...}``.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar

import fiftyone.operators as foo
import numpy as np
from fiftyone.operators import types

from ..operators.base import Named
from ..operators.form import dropdown

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


class Panel(Named, foo.Panel):
    """A panel; what it shows is made anew by ``_refresh`` and laid out by ``fill``."""

    place: ClassVar[str]
    """Where it can be opened: ``grid``, or ``modal``, beside an open video."""
    data: ClassVar[tuple[str, ...]]
    """What the panel's data has."""

    @property
    def config(self) -> foo.PanelConfig:
        """What the App shows."""
        shown = {"help_markdown": self.about, "surfaces": self.place, "allow_multiple": False}
        return foo.PanelConfig(**self.named(), **shown)

    def on_load(self, ctx: foo.ExecutionContext) -> None:
        """The panel was opened, or asked to read again."""
        self._refresh(ctx)

    def _refresh(self, ctx: foo.ExecutionContext) -> None:
        # The App copies data into the state when a control changes; from there it would be merged
        # into the next data, item by item.
        ctx.panel.set_state(dict.fromkeys(self.data))

    @abstractmethod
    def fill(self, ctx: foo.ExecutionContext, panel: types.Object) -> None:
        """Add what is shown."""

    def render(self, ctx: foo.ExecutionContext) -> types.Property:
        """The panel; FiftyOne calls this after every event."""
        panel = types.Object()
        self.fill(ctx, panel)
        return types.Property(panel, view=stacked())


def add_choice(
    row: types.Object,
    name: str,
    label: str,
    choices: Mapping[str, str] | Iterable[str],
    value: str,
    on_change: Callable[..., object],
) -> None:
    """A dropdown of values, each with what is shown for it."""
    view = dropdown(choices, label=label)
    row.enum(name, view.values(), default=value, view=view, on_change=on_change)


def stacked() -> types.GridView:
    """One below the other, each as wide as the panel.

    Else the widest part, as a table, makes all of a narrow panel as wide as it is, and a plot
    alone stays narrow in a wide one.
    """
    style = {
        "grid": {"sx": {"gridTemplateColumns": "minmax(0, 1fr)"}},
        "item": {"sx": {"minWidth": 0, "overflowX": "auto"}},
    }
    return types.GridView(orientation="vertical", gap=1, pad=1, componentsProps=style)


def fitting(least: int) -> dict[str, Any]:
    """Of a grid: as many columns as fit, each at least so many pixels wide."""
    columns = f"repeat(auto-fit, minmax(min({least}px, 100%), 1fr))"
    style = {"display": "grid", "gridTemplateColumns": columns, "alignItems": "end"}
    return {"componentsProps": {"grid": {"sx": style}}}


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
