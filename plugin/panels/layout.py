"""How the panels lay out what they show, and the dropdown that both have."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fiftyone.operators import types

from ..operators.form import dropdown


def add_choice(
    row: types.Object,
    name: str,
    label: str,
    choices: Mapping[str, str],
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
