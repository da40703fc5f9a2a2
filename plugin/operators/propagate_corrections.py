"""The operator "Propagate corrections", a button beside an open video."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import fiftyone.operators as foo
from fiftyone.core.collections import SampleCollection
from fiftyone.operators import types

from hs2s_core.errors import HS2SError
from hs2s_core.jobs import Steps, Summary

from ..frame_fields import bare
from ..propagation import corrected_fields, made_fields, repropagate, repropagate_steps
from ..videos import select_videos, videos_of
from .base import JobOperator, job_outputs
from .form import Form


class PropagateCorrections(JobOperator):
    """Propagates what people put right in a result, the way in which it was made."""

    key = "propagate_corrections"
    title = "Propagate corrections"
    page = "correct.md"
    about = "Follow objects from the masks that you put right in a result"
    icon = "published_with_changes"
    action = "Propagate corrections in"
    call = staticmethod(repropagate)
    done = "propagated"
    outputs = job_outputs("Field", "propagated")

    def resolve_placement(self, ctx: foo.ExecutionContext) -> types.Placement | None:
        """A button beside an open video, which needs no form."""
        button = types.Button(label=self.title, icon=self.icon, prompt=False)
        return types.Placement(types.Places.SAMPLES_VIEWER_ACTIONS, button)

    def form(self, form: Form, samples: SampleCollection) -> None:
        """The result, where there are several; all else is as it was made."""
        fields = made_fields(samples)
        if not fields:
            form.refuse("none", "No result to correct", "Run 'Propagate masks' first.")
        else:
            form.field("output_field", fields, "Result", default=fields[0])

    def steps(self, ctx: foo.ExecutionContext) -> Steps[Summary]:
        """Of the open video, else of all that are chosen in the form."""
        if not ctx.current_sample:
            samples, field = videos_of(ctx.target_view()), Form(ctx).get("output_field")
            return repropagate_steps(samples, bare(field or _first(made_fields(samples))))
        samples = select_videos(ctx.dataset, ctx.current_sample)
        field = _first(corrected_fields(samples) or made_fields(samples))
        return repropagate_steps(samples, field, corrected=False)

    def refresh(self, ctx: foo.ExecutionContext, summary: Summary) -> Sequence[Any]:
        """Show the new masks; the Annotate tab would go on with those that it has read."""
        if not ctx.current_sample:
            return super().refresh(ctx, summary)
        shown = {"id": ctx.current_sample, "mode": "explore"}
        return [ctx.ops.reload_samples(), ctx.trigger("open_sample", shown)]


def _first(fields: list[str]) -> str:
    if not fields:
        raise HS2SError("there is no result to correct; run 'Propagate masks' first")
    return fields[0]
