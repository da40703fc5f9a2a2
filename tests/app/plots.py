"""Plotly's plots in the page: what they draw, and the pointer on one of their points."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from playwright.sync_api import Locator, Page

from .browser import BRIEF, act_until, soon, wait_until

_PLACES = {"scatter": 0, "bar": 1, "heatmap": 2}
"""Plots of the panel "Review by length", by the kind of their first trace."""
# Pixels inside the plot of the point [x, y] of its first trace, by numbers of points or cells.
_POINT = """(g, [kind, x, y]) => {
    const l = g._fullLayout, d = g._fullData[0];
    const down = kind === "heatmap" ? l.yaxis.r2p(y) : l.yaxis.d2p(d.y[y]);
    return {x: l.xaxis._offset + l.xaxis.d2p(d.x[x]), y: l.yaxis._offset + down};
}"""
_HOVERED = "g => (g._hoverdata || []).map(h => [h.curveNumber, h.pointNumber])"
_RIGHT_OF = """(g, x) => {
    const l = g._fullLayout, r = g.getBoundingClientRect();
    const left = r.left + l.xaxis._offset, top = r.top + l.yaxis._offset;
    return {
        left: left + l.xaxis.d2p(x),
        top: top + 3,
        right: left + l.xaxis._length - 3,
        bottom: top + l.yaxis._length - 3,
    };
}"""
_SELECTING = "g => g.querySelectorAll('.zoomlayer path').length > 0"


def plot(page: Page, kind: str) -> Locator:
    """The plot whose first trace is of this kind."""
    return page.locator(".js-plotly-plot").nth(_PLACES[kind])


def traces(page: Page, kind: str) -> list[dict[str, Any]]:
    """What Plotly draws; nothing while there is no plot."""
    box = plot(page, kind)
    if not box.count():
        return []
    shown = "g => g._fullData.map(d => ({type: d.type, x: [...d.x], y: [...d.y], ids: d.ids}))"
    found: list[dict[str, Any]] = box.evaluate(shown)
    return [trace for trace in found if trace["type"] == kind]


def click_cell(page: Page, row: int, column: int, answered: Callable[[], bool]) -> None:
    """Click a cell of the first heat map, until the App has ``answered`` as it shall."""
    _click(page, "heatmap", column, row, [0, [row, column]], answered)


def click_point(page: Page, place: int, answered: Callable[[], bool]) -> None:
    """Click a point of the first trace of a plot of points or lines, until that is ``answered``."""
    _click(page, "scatter", place, place, [0, place], answered)


def _click(
    page: Page, kind: str, x: int, y: int, expected: list[Any], answered: Callable[[], bool]
) -> None:
    """Click a point, once Plotly has noticed that the pointer is there: else it takes no click."""
    box = plot(page, kind)

    def noticed() -> bool:
        box.hover(position=box.evaluate(_POINT, [kind, x, y]), timeout=1000 * BRIEF)
        return expected in box.evaluate(_HOVERED)

    def click() -> None:
        if soon(noticed):
            page.mouse.down()
            page.mouse.up()

    act_until(answered, click, f"a click on {expected} of the {kind} is not answered")


def select_right_of(page: Page, x: float) -> None:
    """Draw a box around all dots right of ``x``."""
    box = plot(page, "scatter")
    box.scroll_into_view_if_needed()
    corners = box.evaluate(_RIGHT_OF, x)
    # From below: the bar of Plotly's buttons covers the upper edge.
    page.mouse.move(corners["left"], corners["bottom"])
    page.mouse.down()
    across = 0

    def drawn() -> bool:
        # Plotly draws the box at most so many times a second, and counts what was drawn: the
        # pointer goes on until the box is there.
        nonlocal across
        across = 1 - across
        page.mouse.move(corners["right"] - across, corners["top"], steps=4)
        return bool(box.evaluate(_SELECTING))

    wait_until(drawn, "Plotly draws no box")
    page.mouse.move(corners["right"], corners["top"], steps=2)
    page.mouse.up()
