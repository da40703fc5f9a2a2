"""The panel "Review by length": where scores drop as videos get longer, one click from the frames.

The numbers come from :mod:`.review_data`, the drawings from :mod:`.review_plots`; this file is what
happens on a click. Plots are panel data, which the browser never sends back; the panel's state,
which travels with every click, holds the controls and a few sentences only.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import fiftyone as fo
import fiftyone.operators as foo
from fiftyone.operators import types

from . import review_plots as plots
from .review_controls import Controls, add_controls, find_options
from .review_data import PARTS, Review, Tracks, order_videos, review
from .review_source import Source, list_runs, load_run

CLIP_FRAMES = 12
"""Frames of a clip, at least: less can hardly be watched."""
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
_PLOTS = ("upper", "heat", "curve")
"""Where plots are in the panel's data."""
_NO_OBJECT = "No object passes the filters, or the protocol counts none of its frames."

_log = logging.getLogger(__name__)


class LengthReview(foo.Panel):
    """J&F by video length and by time since the prompt, of one evaluation or two."""

    @property
    def config(self) -> foo.PanelConfig:
        """What the App shows."""
        return foo.PanelConfig(
            name="length_review",
            label="Review by length",
            icon="insights",
            help_markdown=_HELP,
            surfaces="grid",
            allow_multiple=False,
        )

    # ------------------------------------------------------------ what happens

    def on_load(self, ctx: foo.ExecutionContext) -> None:
        """The panel was opened, or an evaluation has finished."""
        self._refresh(ctx)

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
        if not _has(ctx.dataset, video):
            _warn(ctx, "This video is no longer in the dataset")
            return
        if ctx.view._is_generated or not _has(ctx.view, video):
            # The App opens only what its current view has.
            ctx.ops.clear_view()
        ctx.ops.open_sample(id=video)

    def on_select(self, ctx: foo.ExecutionContext) -> None:
        """Make the dots inside a box or a lasso the view."""
        points = ctx.params.get("data") or []
        videos = list(dict.fromkeys(point["id"] for point in points if point.get("id")))
        if videos:
            ctx.ops.set_view(ctx.dataset.select(videos))

    def on_cell(self, ctx: foo.ExecutionContext) -> None:
        """Make the stretch of a cell the view, as a clip."""
        row, column = ctx.params["idx"]
        controls = _controls(ctx)
        tracks, found = _look(ctx.dataset, controls)
        video = order_videos(found, controls.order)[row]
        # The second heat map is that of the second evaluation.
        place = int(ctx.params.get("trace_idx") or 0)
        stretch = tracks[place].stretch(video, found[place].times(column))
        if stretch is None or not _has(ctx.dataset, video):
            _warn(ctx, "This video has no frames there")
            return
        clip = make_clip(ctx.dataset, video, *stretch)
        ctx.ops.set_view(clip)
        ctx.ops.open_sample(id=clip.first().id)

    def show_all(self, ctx: foo.ExecutionContext) -> None:
        """Back from a clip or a selection to the whole dataset."""
        ctx.ops.clear_view()

    def evaluate(self, ctx: foo.ExecutionContext) -> None:
        """Open the operator's form; the panel fills when it has run."""
        ctx.prompt(f"{self.plugin_name}/evaluate_vos", on_success=self.on_load)

    # ------------------------------------------------------------ what is shown

    def _refresh(self, ctx: foo.ExecutionContext) -> None:
        state = ctx.panel.state
        # A changed control makes the App copy the plots into the state, from where they would
        # travel with every click and get merged into the next ones.
        ctx.panel.set_state(dict.fromkeys(_PLOTS))
        state.video = ctx.dataset.media_type == fo.core.media.VIDEO
        state.runs = list_runs(ctx.dataset)
        state.problem = None
        if not state.runs:
            return
        try:
            _draw(ctx)
        except Exception as error:  # or the panel would keep its old plots without a word
            _log.exception("the evaluation cannot be shown")
            state.problem = f"{type(error).__name__}: {error}"

    def render(self, ctx: foo.ExecutionContext) -> types.Property:
        """The panel, from its state alone."""
        panel = types.Object()
        state = ctx.panel.state
        if not state.runs:
            panel.md(_NOT_EVALUATED if state.video else _NOT_VIDEO, name="nothing")
            if state.video:
                panel.btn("evaluate", label="Evaluate masks", on_click=self.evaluate)
        elif state.problem:
            panel.view("problem", types.Error(label="Not shown", description=state.problem))
            panel.btn("again", label="Try again", on_click=self.on_load)
        else:
            self._render_review(ctx, panel)
        return types.Property(panel, view=types.GridView(orientation="vertical", gap=1))

    def _render_review(self, ctx: foo.ExecutionContext, panel: types.Object) -> None:
        state = ctx.panel.state
        add_controls(panel, _controls(ctx), state.runs, state.options, self.on_setting)
        if not state.found:
            panel.md(_NO_OBJECT, name="nothing")
            return
        panel.md(state.summary, name="summary")
        upper = panel.grid("upper", columns=2, gap=1, orientation="horizontal")
        upper.plot(
            "scatter",
            layout=state.layouts["scatter"],
            on_click=self.on_dot,
            on_selected=self.on_select,
            config={"modeBarButtonsToAdd": ["lasso2d", "select2d"]},
        )
        upper.plot("bars", layout=state.layouts["bars"])
        panel.plot("heat", layout=state.layouts["heat"], on_click=self.on_cell)
        panel.plot("curve", layout=state.layouts["curve"])
        buttons = panel.h_stack("buttons", gap=1)
        buttons.btn("all", label="Show all videos", on_click=self.show_all)
        buttons.btn("reload", label="Reload", on_click=self.on_load)
        buttons.btn("evaluate", label="Evaluate masks", on_click=self.evaluate)


def make_clip(dataset: fo.Dataset, video: str, first: int, last: int) -> fo.DatasetView:
    """A clips view of frames ``first`` to ``last`` (0-based) of a video, or a little longer."""
    view = dataset.select(video)
    count = view.values("metadata.total_frame_count")[0] or view.count("frames")
    end = max(last + 1, min(first + CLIP_FRAMES, count))
    return view.to_clips([[(first + 1, end)]])


def _controls(ctx: foo.ExecutionContext) -> Controls:
    return Controls.read(ctx.panel.state.controls, ctx.panel.state.runs)


def _look(dataset: fo.Dataset, controls: Controls) -> tuple[list[Tracks], list[Review]]:
    """The chosen evaluations, filtered, and what is drawn of them."""
    sources = [load_run(dataset, key) for key in controls.runs]
    tracks = [source.tracks.filter(controls.filters, source.pixels) for source in sources]
    return tracks, review(tracks)


def _draw(ctx: foo.ExecutionContext) -> None:
    """Send plots as data, and everything else as state."""
    controls = _controls(ctx)
    sources = [load_run(ctx.dataset, key) for key in controls.runs]
    found = _look(ctx.dataset, controls)[1]
    titled = list(zip(controls.runs, found, strict=True))
    names = {video: name for source in sources for video, name in source.names.items()}
    order = order_videos(found, controls.order)
    ctx.panel.set_data(
        {
            "upper.scatter": plots.scatter_plot(titled, names),
            "upper.bars": plots.bar_plot(titled),
            "heat": plots.heat_plot(titled, order, plots.row_labels(names)),
            "curve": plots.curve_plot(titled),
        }
    )
    layouts = {
        "scatter": plots.scatter_layout(found),
        "bars": plots.bar_layout(found),
        "heat": plots.heat_layout(titled, len(order)),
        "curve": plots.curve_layout(found),
    }
    ctx.panel.set_state(
        {
            "controls": controls.to_state(),
            "options": find_options([source.tracks for source in sources]),
            "summary": _summary(titled, sources),
            "layouts": layouts,
            "found": bool(order),
        }
    )


def _summary(titled: Sequence[tuple[str, Review]], sources: Sequence[Source]) -> str:
    """A table of the main numbers, and the protocol they follow."""
    head = "| | J&F | early | late | drop | videos | objects |\n|---|---|---|---|---|---|---|"
    lines = [head]
    for title, found in titled:
        parts = {bar.part: bar.jf for bar in found.bars}
        early, late = (parts.get(name) for name, *_ in PARTS[:2])
        numbers = [_percent(value) for value in (found.overall, early, late, found.drop)]
        counts = [str(len(found.dots)), str(found.objects)]
        lines.append(f"| **{title}** | {' | '.join(numbers + counts)} |")
    protocols = dict.fromkeys(source.protocol.description for source in sources)
    notes = [f"Protocol {text}." for text in protocols]
    rows = len(titled[0][1].dots)
    if rows > plots.MAX_ROWS:
        notes.append(f"The heat map has the first {plots.MAX_ROWS} of {rows} videos.")
    return "\n".join(lines) + "\n\n" + " ".join(notes)


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"


def _has(samples: fo.core.collections.SampleCollection, sample_id: str) -> bool:
    return len(samples.select(sample_id)) > 0


def _warn(ctx: foo.ExecutionContext, text: str) -> None:
    ctx.ops.notify(text, variant="warning")
