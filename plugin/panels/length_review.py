"""The panel "Review by length": where scores drop as videos get longer, one click from the frames.

The numbers come from :mod:`.review_data`, the drawings from :mod:`.review_plots`; this file is what
happens on a click. Plots and texts are panel data, which the browser need not send back. The
panel's state, which travels with every click, has the controls alone, and everything else is made
from them again: the App may write an older state over a newer one.
"""

from __future__ import annotations

import logging
from typing import Any

import fiftyone as fo
import fiftyone.operators as foo
from fiftyone.core.collections import SampleCollection
from fiftyone.operators import types

from hs2s_core.errors import HS2SError

from ..videos.collection import select_videos, videos_of
from . import review_plots as plots
from .layout import CONFIG, Panel, fitting
from .review_clips import Target, clip_view, has_sample, stretch_of
from .review_controls import Controls, add_controls
from .review_memory import memory_of
from .review_shown import Shown, other_videos
from .review_source import list_runs

_HELP = (
    "A dot is a video, and so is a row of the heat map. Click a dot to open the video; click a "
    "cell to get that stretch as a clip. Draw a box or a lasso around dots to make them the view."
)
_NOT_VIDEO = (
    "#### No videos here\n\nThis panel reviews masks that were propagated through videos. Open a "
    "video dataset, or load one with the operator *Load a VOS dataset*."
)
_NOT_EVALUATED = (
    "#### Nothing has been evaluated yet\n\nThis panel shows where and when predicted masks fail: "
    "J&F against the length of the videos and against the time since each object's prompt.\n\n"
    "It needs an evaluation of one frame field with masks (*Propagate masks* makes one, any other "
    "model's masks will do) against another with the true masks."
)
_PLOT = 330
"""Pixels of a plot, at least, if another is to be beside it."""
_BUTTON = 150
"""Pixels of a button, at least."""
_NO_OBJECT = "No object passes the filters, or the protocol counts none of its frames."

_log = logging.getLogger(__name__)


class LengthReview(Panel):
    """J&F by video length and by time since the prompt, of one evaluation or two."""

    key = "length_review"
    title = "Review by length"
    icon = "insights"
    about = _HELP
    place = "grid"
    data = ("upper", "heat", "curve", "summary")

    def execute(self, ctx: foo.ExecutionContext) -> Any:
        """Handle an event, then render; but not for the view and the sample, not shown here.

        The App tells of the view again and again, also when a panel's state changes: an answer that
        changed it would be the beginning of a loop.
        """
        method = ctx.params.get("__method__")
        other = method == "on_change_view" and other_videos(ctx)
        if method in ("on_change_view", "on_change_current_sample") and not other:
            getattr(self, method)(ctx)
            return None
        return super().execute(ctx)

    # ------------------------------------------------------------ what happens

    def on_change_dataset(self, ctx: foo.ExecutionContext) -> None:
        """Another dataset has other evaluations and categories."""
        ctx.panel.state.controls = {}
        self._refresh(ctx)

    def on_setting(self, ctx: foo.ExecutionContext) -> None:
        """A control was changed; its value is in the panel's state already.

        All but lists: the App merges those item by item, so that none ever gets shorter.
        """
        path, value = ctx.params.get("path"), ctx.params.get("value")
        if path == "controls.categories":
            ctx.panel.set_state(path, value or [])
        self._refresh(ctx)

    def on_dot(self, ctx: foo.ExecutionContext) -> None:
        """Open the video of a dot; the line of means has no ids."""
        video = ctx.params.get("id")
        if not video:
            return
        if not has_sample(ctx.dataset, video):
            _warn(ctx, "This video is no longer in the dataset")
            return
        memory_of(ctx.panel_id).opening.want(Target(video))
        if not self._open(ctx, clicked=True):
            _go(ctx, None)

    def on_change_view(self, ctx: foo.ExecutionContext) -> None:
        """Open what a click asked for, if this is the view that has it."""
        self._open(ctx)
        if other_videos(ctx):
            self._refresh(ctx)

    def on_change_current_sample(self, ctx: foo.ExecutionContext) -> None:
        """What a click asked for may be open now, or closed again by the reader."""
        memory_of(ctx.panel_id).opening.notice(ctx.current_sample)

    def _open(self, ctx: foo.ExecutionContext, *, clicked: bool = False) -> bool:
        """Tell the App to open what is wanted; False if the view does not have it, or nothing is.

        Who has ``clicked`` the panel has no sample open in front of it.
        """
        request = ctx.request_params
        # A saved view comes without the filters that the sidebar has on top of it.
        unclear = request.get("view_name") and (request.get("filters") or request.get("extended"))
        found = memory_of(ctx.panel_id).opening.due(
            lambda target: None if unclear else target.find(ctx.view),
            None if clicked else ctx.current_sample,
        )
        if found is not None:
            ctx.ops.open_sample(id=found)
        return found is not None

    def on_select(self, ctx: foo.ExecutionContext) -> None:
        """Make the dots inside a box or a lasso the view."""
        points = ctx.params.get("data") or []
        videos = list(dict.fromkeys(point["id"] for point in points if point.get("id")))
        if videos:
            memory_of(ctx.panel_id).opening.forget()
            _go(ctx, select_videos(ctx.dataset, videos))

    def on_cell(self, ctx: foo.ExecutionContext) -> None:
        """Make the stretch of a cell the view, as a clip."""
        row, column = ctx.params["idx"]
        shown = Shown.of(ctx)
        video = shown.order[row]
        # The second heat map is that of the second evaluation.
        place = int(ctx.params.get("trace_idx") or 0)
        stretch = shown.evaluated[place].stretch(video, shown.reviews[place].times(column))
        if stretch is None or not has_sample(ctx.dataset, video):
            _warn(ctx, "This video has no frames there")
            return
        target = stretch_of(ctx.dataset, video, *stretch)
        memory_of(ctx.panel_id).opening.want(target)
        if not self._open(ctx, clicked=True):
            _go(ctx, clip_view(ctx.dataset, target))

    def back(self, ctx: foo.ExecutionContext) -> None:
        """Back from a clip, a selection or all videos to the view that the reader had."""
        memory = memory_of(ctx.panel_id)
        memory.opening.forget()
        view = memory.way_back.go(ctx.dataset)
        _clear(ctx, view=not isinstance(view, fo.DatasetView) or not view._stages)
        if isinstance(view, fo.DatasetView) and view._stages:
            ctx.ops.set_view(view)

    def show_all(self, ctx: foo.ExecutionContext) -> None:
        """From a clip, a selection or a filter to the whole dataset."""
        memory_of(ctx.panel_id).opening.forget()
        _go(ctx, None)

    def clear_filters(self, ctx: foo.ExecutionContext) -> None:
        """All objects again."""
        controls = Controls.read(ctx.panel.state.controls, list_runs(ctx.dataset))
        ctx.panel.set_state("controls", controls.unfiltered().to_state())
        self._refresh(ctx)

    def evaluate(self, ctx: foo.ExecutionContext) -> None:
        """Open the operator's form; the panel fills when it has run."""
        ctx.prompt(f"{self.plugin_name}/evaluate_vos", on_success=self.on_load)

    # ------------------------------------------------------------ what is shown

    def _refresh(self, ctx: foo.ExecutionContext) -> None:
        super()._refresh(ctx)
        if not list_runs(ctx.dataset):
            return
        try:
            shown = Shown.of(ctx)
        except Exception:
            _log.exception("the evaluation cannot be shown")  # and render says so
            return
        ctx.panel.set_state("controls", shown.controls.to_state())
        ctx.panel.set_data(shown.data())

    def fill(self, ctx: foo.ExecutionContext, panel: types.Object) -> None:
        if list_runs(ctx.dataset):
            self._render_review(ctx, panel)
        elif _has_videos(ctx.dataset):
            panel.md(_NOT_EVALUATED, name="not_evaluated")
            panel.btn("evaluate", label="Evaluate masks", on_click=self.evaluate)
        else:
            panel.md(_NOT_VIDEO, name="not_video")

    def _render_review(self, ctx: foo.ExecutionContext, panel: types.Object) -> None:
        try:
            shown = Shown.of(ctx)
        except Exception as error:  # or the panel would stay as it was without a word
            text = f"{type(error).__name__}: {error}"
            panel.view("problem", types.Error(label="Cannot be shown", description=text))
            panel.btn("again", label="Try again", on_click=self.on_load)
            return
        buttons = panel.grid("buttons", gap=1, **fitting(_BUTTON))
        if memory_of(ctx.panel_id).way_back:
            buttons.btn("back", label="Back to my view", icon="undo", on_click=self.back)
        buttons.btn("all", label="Show all videos", on_click=self.show_all)
        if shown.controls.filtered:
            buttons.btn("clear", label="Clear filters", on_click=self.clear_filters)
        buttons.btn("reload", label="Reload", on_click=self.on_load)
        buttons.btn("evaluate", label="Evaluate masks", on_click=self.evaluate)
        add_controls(panel, shown.controls, shown.runs, shown.options, self.on_setting)
        if shown.order:
            self._render_plots(panel, shown)
        else:
            panel.md(_NO_OBJECT, name="no_object")

    def _render_plots(self, panel: types.Object, shown: Shown) -> None:
        panel.md("", name="summary")
        upper = panel.grid("upper", gap=1, **fitting(_PLOT))
        upper.plot(
            "scatter",
            layout=plots.scatter_layout(shown.reviews),
            config={**CONFIG, "modeBarButtonsToAdd": ["lasso2d", "select2d"]},
            on_click=self.on_dot,
            on_selected=self.on_select,
        )
        upper.plot("bars", layout=plots.bar_layout(shown.reviews), config=CONFIG)
        panel.plot(
            "heat",
            layout=plots.heat_layout(shown.titled, len(shown.order)),
            config=CONFIG,
            on_click=self.on_cell,
        )
        panel.plot("curve", layout=plots.curve_layout(shown.reviews), config=CONFIG)


def _has_videos(dataset: fo.Dataset) -> bool:
    if not len(dataset):
        return dataset.media_type == fo.core.media.VIDEO
    try:
        videos_of(dataset)
    except HS2SError:
        return False
    return True


def _go(ctx: foo.ExecutionContext, view: SampleCollection | None) -> None:
    """Make something else the view, None for the whole dataset; it can be undone."""
    memory_of(ctx.panel_id).way_back.leave(ctx.view, ctx.dataset if view is None else view)
    _clear(ctx, view=view is None)
    if view is not None:
        ctx.ops.set_view(view)


def _clear(ctx: foo.ExecutionContext, *, view: bool = True) -> None:
    """Clear what may hide a video: the sidebar's filters, other panels' stages and the view.

    The App clears the view without the filters, and says nothing if nothing changes.
    """
    if ctx.request_params.get("extended"):
        # Nothing less resets what other panels have selected or sorted by.
        ctx.ops.clear_all_stages()
        return
    if ctx.request_params.get("filters"):
        ctx.ops.clear_sidebar_filters()
    if view:
        ctx.ops.clear_view()


def _warn(ctx: foo.ExecutionContext, text: str) -> None:
    ctx.ops.notify(text, variant="warning")
