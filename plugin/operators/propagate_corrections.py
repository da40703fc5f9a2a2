"""The operator "Propagate corrections", a button beside an open video."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import fiftyone.operators as foo
from fiftyone.core.collections import SampleCollection
from fiftyone.operators import types

from hs2s_core.errors import HS2SError
from hs2s_core.jobs import Steps, Summary

from ..labels.frame_fields import bare
from ..player import SAVED, save_drawn, show_frame
from ..propagation import corrected_fields, made_fields, prompts_of, repropagate, repropagate_steps
from ..propagation.repropagation import last_corrected
from ..videos.collection import videos_of
from .base import BaseOperator, JobOperator, job_outputs, reopen
from .form import Form, is_open_video, open_video, target_of
from .model_inputs import chosen_model

_SHOWN = "shown_frame"
"""Of a run's own parameters: the frame of the open video in which somebody was at work."""


def beside_video(operator: BaseOperator, ctx: foo.ExecutionContext) -> types.Placement | None:
    """A button above an open video, which needs no form."""
    button = types.Button(label=operator.title, icon=operator.icon, prompt=False)
    return types.Placement(types.Places.SAMPLES_VIEWER_ACTIONS, button)


def result_form(form: Form, samples: SampleCollection) -> None:
    """Choose a result of runs."""
    fields = made_fields(samples)
    if not fields:
        form.refuse("none", "No result to correct", "Run 'Propagate masks' first.")
    else:
        form.field("output_field", fields, "Result", default=fields[0])


def chosen_result(ctx: foo.ExecutionContext) -> tuple[SampleCollection, str]:
    """The open video, unless the form chooses others; and a field with a result for it."""
    # Whatever the view shows of it: what was put right may be hidden.
    samples = videos_of(open_video(ctx) if is_open_video(ctx) else target_of(ctx))
    field, fields = Form(ctx).get("output_field"), made_fields(samples)
    if not field and not fields:
        raise HS2SError("there is no result to correct; run 'Propagate masks' first")
    if not field and len(fields) > 1:  # that in which somebody is at work
        fields = corrected_fields(samples) or fields
    return samples, bare(field or fields[0])


class PropagateCorrections(JobOperator):
    """Propagates what people put right in a result, the way in which it was made."""

    key = "propagate_corrections"
    title = "Propagate corrections"
    page = "correct.md"
    about = "Follow objects from the masks that you put right in a result"
    icon = "published_with_changes"
    action = "Propagate corrections in"
    call = staticmethod(repropagate)
    takes_more: ClassVar = {"weights": str}
    done = "propagated"
    outputs = job_outputs("Field", "propagated")

    resolve_placement = beside_video

    def form(self, form: Form, samples: SampleCollection) -> None:
        result_form(form, samples)

    def steps(self, ctx: foo.ExecutionContext) -> Steps[Summary]:
        """Of the open video, whatever was done to it, else of those that need it."""
        (samples, field), form = chosen_result(ctx), Form(ctx)
        if is_open_video(ctx):
            # Only now it can be told: afterwards, all its labels are of one run.
            ctx.params[_SHOWN] = last_corrected(samples, field)
        return repropagate_steps(
            samples,
            field,
            model=chosen_model(form),
            corrected=not is_open_video(ctx),
            **form.given("workers", "engine"),
        )

    def _live(self, ctx: foo.ExecutionContext) -> Iterator[Any]:
        """In an open video, only after what was drawn there last is saved: it would be lost."""
        if ctx.current_sample and not ctx.params.get(SAVED):
            yield save_drawn(ctx)
        else:
            yield from super()._live(ctx)

    def refresh(self, ctx: foo.ExecutionContext, summary: Summary) -> Sequence[Any]:
        """Show the new masks, in the frame that was put right last."""
        if not ctx.current_sample or ctx.view._is_generated:
            return super().refresh(ctx, summary)
        field, shown = bare(summary.target), ctx.params.get(_SHOWN)
        opened = reopen(ctx, field, prompts_of(ctx.dataset, field, [ctx.current_sample]))
        if shown:
            opened.append(show_frame(ctx, shown, opening=ctx.current_sample))
        return opened
