"""The panel "Masks over time", beside an open video: how good its masks are, where to go next.

The numbers come from :mod:`.strip_data`, the drawing from :mod:`.strip_plots`; this file is what
happens on a click.
"""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass

import fiftyone.operators as foo
from fiftyone.core.collections import SampleCollection
from fiftyone.operators import types

from hs2s_core.errors import HS2SError

from ..evaluation import load_results
from ..labels.frame_fields import bare
from ..operators.form import open_video
from ..player import show_frame
from ..propagation import made_fields
from ..propagation.suggest import read_signs
from . import strip_plots as plots
from .layout import CONFIG, Panel, add_choice, fitting
from .review_source import list_runs
from .strip_data import Strip, make_strip

NO_TRUTH = "none"
_HELP = (
    "A line is an object: its J&F where the video was evaluated, else the network's own confidence "
    "and how much both directions disagree. Click a frame to go there."
)
_NOTHING = (
    "#### No propagated masks here\n\nThis panel shows, frame by frame, how good the masks of the "
    "open video are, and which frame to correct next. Run *Propagate masks* first."
)
_WIDTH, _BUTTON = 330, 180
"""Pixels of the plot and of a button, at least; the plot is as wide as the panel."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Choice:
    """What the controls say, and what there is to choose."""

    field: str
    """The frame field with the masks."""
    scores: str
    """Key of an evaluation; ``NO_TRUTH`` for what is known without."""
    fields: tuple[str, ...]
    runs: tuple[str, ...]

    @classmethod
    def of(cls, ctx: foo.ExecutionContext, samples: SampleCollection) -> Choice | None:
        """By the panel's state; the latest evaluation unless something was chosen. None: no masks.

        The first field is that of the latest evaluation, if a run filled it.
        """
        known = ctx.panel.state.controls or {}
        evaluated = _evaluated(ctx.dataset, samples.first().id)
        fields = tuple(dict.fromkeys([*made_fields(samples), *evaluated]))
        if not fields:
            return None
        field = known.get("field") or ""
        field = field if field in fields else fields[0]
        runs = evaluated.get(field, ())
        # The App fills in defaults as if they were chosen.
        scores = (known.get("scores") or "") if ctx.panel.state.chosen else ""
        offered = (*runs, NO_TRUTH)
        return cls(field, scores if scores in offered else offered[0], fields, tuple(runs))


class MaskStrip(Panel):
    """One video over its frames: scores or confidence, key frames, and the frame to correct."""

    key, title, icon = "mask_strip", "Masks over time", "timeline"
    about = _HELP
    place = "modal"
    data = ("body", "said")

    # ------------------------------------------------------------ what happens

    def on_change_current_sample(self, ctx: foo.ExecutionContext) -> None:
        """Another video is open."""
        ctx.panel.set_state("at", None)
        self._refresh(ctx)

    def on_setting(self, ctx: foo.ExecutionContext) -> None:
        """A control was changed; its value is in the panel's state already."""
        if ctx.params.get("path") == "controls.scores":
            ctx.panel.set_state("chosen", True)
        self._refresh(ctx)

    def on_frame(self, ctx: foo.ExecutionContext) -> None:
        """Go to the frame of a point that was clicked."""
        number = ctx.params.get("x")
        if number is not None:
            self._go(ctx, round(float(number)) - 1)

    def to_suggested(self, ctx: foo.ExecutionContext) -> None:
        """Go to the frame that is suggested."""
        suggested = (ctx.panel.state.shown or {}).get("suggested")
        if suggested is not None:
            self._go(ctx, suggested)

    def _go(self, ctx: foo.ExecutionContext, frame: int) -> None:
        ctx.panel.set_state("at", frame)
        self._refresh(ctx)
        show_frame(ctx, frame + 1)

    def _refresh(self, ctx: foo.ExecutionContext) -> None:
        super()._refresh(ctx)
        ctx.panel.set_state("shown", None)
        ctx.panel.set_state("problem", None)
        try:
            samples = open_video(ctx) if ctx.current_sample else None
            choice = Choice.of(ctx, samples) if samples else None
            if samples is None or choice is None:
                return
            strip = read_strip(samples, choice)
            if not strip.scores and len(choice.fields) == 1:  # else another can be chosen
                return
        except Exception as error:  # or the panel would stay as it was without a word
            if not isinstance(error, HS2SError):
                _log.exception("the masks over time cannot be shown")
            ctx.panel.set_state("problem", f"{type(error).__name__}: {error}")
            return
        rate = samples.values("metadata.frame_rate")[0]
        at = ctx.panel.state.at
        ctx.panel.set_state("controls", {"field": choice.field, "scores": choice.scores})
        shown = {
            "evaluated": strip.evaluated,
            "both": bool(strip.disagreement),
            "low": strip.low,
            "length": strip.length,
            "suggested": strip.suggested,
        }
        ctx.panel.set_state("shown", shown)
        ctx.panel.set_state("choice", asdict(choice))
        drawn = plots.traces(strip, rate, at)
        ctx.panel.set_data({"body.strip": drawn, "said": _said(strip, rate, at)})

    # ------------------------------------------------------------ what is shown

    def fill(self, ctx: foo.ExecutionContext, panel: types.Object) -> None:
        shown, problem = ctx.panel.state.shown, ctx.panel.state.problem
        if problem:
            panel.view("problem", types.Error(label="Cannot be shown", description=problem))
        elif not shown:
            panel.md(_NOTHING, name="nothing")
        buttons = panel.grid("buttons", gap=1, **fitting(_BUTTON))
        if shown:
            if shown["suggested"] is not None:
                buttons.btn("suggested", label="Go to suggested frame", on_click=self.to_suggested)
            self._add_controls(panel, Choice(**ctx.panel.state.choice))
        buttons.btn("reload", label="Reload", icon="refresh", on_click=self.on_load)
        if shown:
            panel.md("", name="said")
            layout = plots.layout(**{k: v for k, v in shown.items() if k != "suggested"})
            body = panel.grid("body", gap=1, **fitting(_WIDTH))
            body.plot("strip", layout=layout, config=CONFIG, on_click=self.on_frame)

    def _add_controls(self, panel: types.Object, choice: Choice) -> None:
        row = panel.grid("controls", gap=1)

        def add(name: str, label: str, value: str, choices: dict[str, str]) -> None:
            if len(choices) > 1:
                add_choice(row, name, label, choices, value, self.on_setting)

        add("field", "Masks", choice.field, {name: f"frames.{name}" for name in choice.fields})
        runs = {key: f"J&F of {key}" for key in choice.runs}
        add("scores", "Shown", choice.scores, runs | {NO_TRUTH: "Confidence"})


def read_strip(samples: SampleCollection, choice: Choice) -> Strip:
    """All that is known of the one video of ``samples``."""
    (sample_id,) = samples.values("id")
    signs = read_signs(samples, sample_id, choice.field)
    if choice.scores == NO_TRUTH:
        return make_strip(signs)
    results = load_results(samples._dataset, choice.scores)
    place = list(results.sample_ids.values()).index(sample_id)
    return make_strip(signs, results.rows[results.rows.records["video"] == place])


def _evaluated(dataset: SampleCollection, sample_id: str) -> dict[str, list[str]]:
    """Evaluations that have a video, by the field with the masks, the latest first."""
    found: dict[str, list[str]] = {}
    for key in list_runs(dataset):
        if sample_id in load_results(dataset, key).sample_ids.values():
            field = bare(dataset.get_evaluation_info(key).config.pred_field)
            found.setdefault(field, []).append(key)
    return found


def _said(strip: Strip, rate: float | None, at: int | None) -> str:
    lines = []
    if at is not None:
        lines.append(f"Chosen: **{plots.time_of(at, rate)}**.")
    if strip.suggested is not None:
        lines.append(f"To correct next: **{plots.time_of(strip.suggested, rate)}**.")
    if strip.left_out:
        lines.append(f"{strip.left_out} more objects are not drawn; these have the worst frames.")
    return " ".join(lines)
