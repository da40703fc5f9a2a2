"""What the panel shows: the evaluations and the objects that its controls ask for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import fiftyone.operators as foo

from ..videos.collection import videos_of
from . import review_plots as plots
from .review_controls import Controls, find_options
from .review_data import Evaluated, Filters, Review, order_videos, review
from .review_memory import memory_of
from .review_source import list_runs, load_run


@dataclass(frozen=True, eq=False)
class Shown:
    """What the controls ask for; the first of each list is the evaluation, then the other."""

    runs: list[str]
    """All evaluations there are."""
    controls: Controls
    sources: tuple[Evaluated, ...]
    options: dict[str, Any]
    """What there is to filter by."""
    evaluated: list[Evaluated]
    """Filtered."""
    reviews: list[Review]
    order: list[str]
    """Videos of the heat map, from the top."""

    @classmethod
    def of(cls, ctx: foo.ExecutionContext) -> Shown:
        """By the panel's state; quick where the runs are in memory."""
        runs = list_runs(ctx.dataset)
        controls = Controls.read(ctx.panel.state.controls, runs)
        sources = tuple(load_run(ctx.dataset, key) for key in controls.runs)
        options = find_options(sources)
        controls = controls.offered(options)
        memory_of(ctx.panel_id).drawn = chosen = _view_videos(ctx)
        filters = replace(controls.filters, videos=chosen)
        evaluated, reviews = _review(sources, filters)
        order = order_videos(reviews, controls.order)
        return cls(runs, controls, sources, options, evaluated, reviews, order)

    @property
    def titled(self) -> list[tuple[str, Review]]:
        return list(zip(self.controls.runs, self.reviews, strict=True))

    def data(self) -> dict[str, Any]:
        """The panel's data, by path."""
        names = {video: name for source in self.sources for video, name in source.names.items()}
        return {
            "summary": _summary(self.titled, self.sources),
            "upper.scatter": plots.scatter_plot(self.titled, names),
            "upper.bars": plots.bar_plot(self.titled),
            "heat": plots.heat_plot(self.titled, self.order, plots.row_labels(names)),
            "curve": plots.curve_plot(self.titled),
        }


@lru_cache(maxsize=8)
def _review(
    sources: tuple[Evaluated, ...], filters: Filters
) -> tuple[list[Evaluated], list[Review]]:
    """Kept for the next event, which mostly asks for the same."""
    evaluated = [filters.apply(source) for source in sources]
    return evaluated, review(evaluated)


def _summary(titled: Sequence[tuple[str, Review]], sources: Sequence[Evaluated]) -> str:
    """A table of the main numbers, and the protocol they follow."""
    head = "| | J&F | early | late | drop | videos | objects |\n|---|---|---|---|---|---|---|"
    lines = [head]
    for title, found in titled:
        parts = found.parts
        early, late = (None if part is None else part.jf for part in (parts.early, parts.late))
        shares = (found.overall, early, late, parts.drop)
        numbers = ["-" if share is None else f"{100 * share:.1f}" for share in shares]
        counts = [str(len(found.dots)), str(found.objects)]
        lines.append(f"| **{title}** | {' | '.join(numbers + counts)} |")
    incomplete = [title for title, found in titled if found.objects and found.overall is None]
    protocols = dict.fromkeys(source.protocol.description for source in sources)
    notes = [f"Protocol {text}." for text in protocols]
    if incomplete:
        notes.append(
            f"{' and '.join(incomplete)}: it is not known of every object whether its category was "
            "seen in training, so this protocol has no overall J&F."
        )
    rows = len(titled[0][1].dots)
    if rows > plots.MAX_ROWS:
        notes.append(f"The heat map has the first {plots.MAX_ROWS} of {rows} videos.")
    return "\n".join(lines) + "\n\n" + " ".join(notes)


def other_videos(ctx: foo.ExecutionContext) -> bool:
    """Whether only the view's videos are asked for, and these are not the ones drawn."""
    chosen = _view_videos(ctx)
    return chosen is not None and chosen != memory_of(ctx.panel_id).drawn


def _view_videos(ctx: foo.ExecutionContext) -> frozenset[str] | None:
    """Sample ids of the App's view, where only these are asked for."""
    controls = ctx.panel.state.controls or {}
    if controls.get("only_view") is not True:
        return None
    view = ctx.view
    if not view._is_generated:
        view = videos_of(view) if len(view) else view
    return frozenset(view.values("sample_id" if view._is_generated else "id"))
