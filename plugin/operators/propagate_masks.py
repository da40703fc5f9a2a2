"""The operator "Propagate masks": a form around :mod:`..propagation`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

import fiftyone.operators as foo
from fiftyone.core.collections import SampleCollection

from hs2s_core.jobs import Plan, Steps, Summary
from hs2s_core.wording import counted

from ..jobs import Source
from ..labels.frame_fields import bare, has_labels, is_ground_truth, is_output, prompt_fields
from ..propagation import (
    CHOICES,
    DEFAULT_OUTPUT,
    PropagateJob,
    PropagateSettings,
    make_plan,
    preview,
    prompts_of,
    propagate,
    propagate_steps,
    settings_errors,
)
from ..videos.clips import clips_of
from .base import JobOperator, job_outputs, reopen, show_result
from .form import FRAMES, LOOKS, Form, is_open_video, seems_labelled
from .model_inputs import add_device, add_model, add_speed, chosen_model

# The form answers within about this time; what is left is checked when the run starts.
_CHECK_SECONDS = 2.0
_CHOSEN = {
    "policy": "Masks that are given to the model",
    "merge": "Where objects overlap, a pixel goes to",
    "direction": "Follow objects",
    "cuts": "Cuts between shots",
}
"""Labels of the settings that are one of some words."""


class PropagateMasks(JobOperator):
    """Follows the objects of a prompt field through each video."""

    key = "propagate_masks"
    title = "Propagate masks"
    page = "propagation.md"
    about = "Segment and track objects through every frame, from masks in one or more of them"
    icon = "animation"
    action = "Propagate masks in"
    takes_more: ClassVar = {"weights": str}
    takes_clips = True
    placed = True
    call = staticmethod(propagate)
    done = "propagated"
    outputs = job_outputs("Field", "propagated")
    hint = "; see 'Why videos were not propagated'"

    def form(self, form: Form, samples: SampleCollection) -> None:
        samples, parts = clips_of(samples)
        names = sorted(prompt_fields(samples))
        if not names:
            text = settings_errors(samples, PropagateSettings("", ""))["prompt_field"]
            form.refuse("no_field", "No masks to start from", text)
            return
        settings = _settings(form, samples)
        form.field(
            "prompt_field",
            names,
            "Prompt field",
            default=settings.prompt_field,
            description="Frame field with the masks to start from, or with boxes or points",
        )
        form.text(
            "output_field",
            "Output field",
            default=DEFAULT_OUTPUT,
            description="Frame field for the propagated masks",
        )
        form.switch(
            "overwrite",
            "Replace masks of earlier runs",
            description="Without, videos that have masks there are skipped; corrections stay",
        )
        form.switch(
            "hints",
            "Make masks of boxes and points",
            description="For objects without a mask, where they are seen first, by colours alone",
        )
        form.whole(
            "online_steps",
            "Online training steps",
            default=0,
            least=0,
            description="Adapt a copy of the model to the given masks of each video; 0 for none",
        )
        for name, label in _CHOSEN.items():
            default = getattr(PropagateSettings, name)
            form.choice(name, CHOICES[name], label, default=default)
        if parts is None:
            form.whole(
                "first_frame",
                "First frame to write",
                default=1,
                least=1,
                description="Masks in all frames count, also in those that are not written",
            )
            form.whole("last_frame", "Last frame to write; none for all", least=1)
        form.whole(
            "workers",
            "Videos at once",
            default=1,
            least=1,
            description="Each in a process of its own, which takes memory for a model of its own",
        )
        config = add_model(form)
        add_device(form, config)
        add_speed(form, config)
        errors = settings_errors(samples, settings, at_most=FRAMES)
        form.mark(errors)
        if not errors:
            settings = replace(settings, parts=parts)
            plan = make_plan(samples, settings, seconds=_CHECK_SECONDS, videos=LOOKS)
            leave_out = bool(form.get("skip_invalid"))
            instead = " What was painted since is followed by 'Propagate corrections'."
            form.plan(plan, "propagate", "propagated", leave_out=leave_out, instead=instead)
            if settings.hints:
                _show_hinted(form, samples, settings, plan)

    def steps(self, ctx: foo.ExecutionContext) -> Steps[Summary]:
        form, samples = Form(ctx), self.target(ctx)
        settings, how = _settings(form, clips_of(samples)[0]), form.given("device", "speed")
        job = PropagateJob(Source(samples), settings, chosen_model(form), **how)
        return propagate_steps(job, **form.given("skip_invalid", "workers", "engine"))

    def refresh(self, ctx: foo.ExecutionContext, summary: Summary) -> Sequence[Any]:
        """Show the new masks, and no more those that they were made of.

        In the open video at once, where the App knows their field from before.
        """
        settings = _settings(Form(ctx), clips_of(self.target(ctx))[0])
        known = f"frames.{settings.output_field}" in (ctx.request_params.get("active_fields") or ())
        if known and is_open_video(ctx) and not ctx.view._is_generated:
            return reopen(ctx, settings.output_field, settings.prompt_field)
        shown = show_result(ctx, settings.output_field, settings.prompt_field)
        return [*super().refresh(ctx, summary), *shown]


def _show_hinted(
    form: Form, samples: SampleCollection, settings: PropagateSettings, plan: Plan
) -> None:
    """A picture of the masks that a run would make of boxes and points, in the first such video."""
    found = preview(samples, settings, plan.todo[:LOOKS], seconds=_CHECK_SECONDS)
    if found is not None:
        item, (number, picture, left) = found
        rest = (
            f", without the {counted(left, 'object')} for which there was no time" if left else ""
        )
        above = list(form.inputs.properties)
        form.picture(f"Made of boxes and points: frame {number} of {item.name}{rest}", picture)
        form.put_first(above)


def _settings(form: Form, samples: SampleCollection) -> PropagateSettings:
    output = bare(form.get("output_field", DEFAULT_OUTPUT))

    looked = samples[:LOOKS].values("id")
    last = prompts_of(samples, output, looked if len(looked) == 1 else ())

    def rank(name: str) -> tuple[bool, ...]:
        # First what a person drew, and of that what these videos have, and what the last run took:
        # one that was stopped goes on. Results of earlier runs last.
        made = name == output or is_output(samples, name)
        truth, unlabelled = is_ground_truth(samples, name), not seems_labelled(samples, name)
        here = any(has_labels(samples, name, each, (1, FRAMES // LOOKS)) for each in looked)
        return made, unlabelled, truth, not here, name != last

    return PropagateSettings(
        prompt_field=form.chosen_field("prompt_field", samples, rank),
        output_field=output,
        **form.given("overwrite", "online_steps", "policy", "merge", "direction", "cuts", "hints"),
        **form.given("first_frame", "last_frame"),
    )
