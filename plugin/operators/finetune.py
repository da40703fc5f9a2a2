"""The operator "Train on these labels": a form around :func:`..training.finetune`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import fiftyone.operators as foo
from fiftyone.core.collections import SampleCollection

from hs2s_core.jobs import Steps
from hs2s_core.wording import counted, some

from ..drawing import offered_fields
from ..labels.frame_fields import CORRECTED, any_frame, is_output, mask_field_error
from ..training import FRAMES, STEPS, finetune, finetune_steps, glance, only_given
from ..videos.collection import videos_of
from .base import JobOperator
from .form import FRAMES as AT_MOST
from .form import LISTED, Form, seems_labelled
from .model_inputs import MODEL_VALUES, add_device, add_model, chosen_model

if TYPE_CHECKING:
    from hs2s_core.training.finetune import TuneSettings, Tuning


class Finetune(JobOperator):
    """Makes a model of a view's labels, to be chosen in "Propagate masks"."""

    key = "finetune"
    title = "Train on these labels"
    page = "training.md"
    about = "Go on from trained weights with corrected masks, for a model of your own"
    icon = "model_training"
    action = "Train on"
    takes_open = False
    call = staticmethod(finetune)
    changes = False
    outputs: ClassVar = {
        "stored": "Model",
        "videos": "Trained on",
        "held_out": "Scored on",
        "scores": "J&F there",
        "known": "J&F on the bundled clip, which nobody trains on",
    }

    @classmethod
    def takes(cls) -> dict[str, type]:
        """The start is named, or a file."""
        taken = super().takes() | dict.fromkeys(MODEL_VALUES, str)
        del taken["start"]
        return taken

    def form(self, form: Form, samples: SampleCollection) -> None:
        from hs2s_core.training.finetune import tuning_problems

        names = form.mask_fields(samples, "No masks to learn from")
        if not names:
            return
        field = _field(form, samples)
        form.field(
            "label_field",
            names,
            "Labels",
            default=field,
            description="Frame field with the masks, of people or corrected",
        )
        form.choice(
            "frames",
            FRAMES,
            "Frames to learn from",
            default="auto",
            description="All of their masks must be right",
        )
        form.text(
            "name",
            "Name of the model",
            required=True,
            description="Under which 'Propagate masks' and --weights offer it",
        )
        form.switch("overwrite", "Replace a model of this name")
        config = add_model(form, "Go on from")
        form.whole(
            "steps",
            "Training steps",
            default=STEPS,
            least=1,
            description="About a second each; four networks are scored besides",
        )
        add_device(form, config)
        _tell(form, samples, field)
        if form.get("name"):  # nothing typed yet is not an error
            problems = tuning_problems(_settings(form))
            problems.pop("start", None)  # said at the model
            form.mark(problems)

    def steps(self, ctx: foo.ExecutionContext) -> Steps[Tuning]:
        form, samples = Form(ctx), videos_of(self.target(ctx))
        field, settings = _field(form, samples), _settings(form)
        return finetune_steps(samples, field, settings, **form.given("frames", "device"))

    def failures(self, tuning: Tuning) -> int:
        """None: it works, or is an error."""
        return 0

    def result(self, tuning: Tuning) -> dict[str, Any]:
        return {
            "stored": str(tuning.path or f"nothing is stored: {tuning.why_not}"),
            "videos": some(tuning.videos, LISTED),
            "held_out": tuning.held_out,
            "scores": f"{tuning.before:.1%} before, {tuning.after:.1%} after",
            "known": f"{tuning.known_before:.1%} before, {tuning.known_after:.1%} after",
        }


def _tell(form: Form, samples: SampleCollection, field: str) -> None:
    """How many videos and frames it would take, and which videos are left out."""
    frames = form.get("frames", "auto")
    if mask_field_error(samples, field) or frames not in FRAMES:
        return  # said at the input
    plan, number = glance(samples, field, given=only_given(samples, field, frames))
    more = f": {counted(number, 'labelled frame')}"
    if plan.unchecked:
        more = f"{more} in the first {len(plan.todo) - plan.unchecked}" if number else ""
    form.plan(plan, "train on", "trained on", more=more)


def _field(form: Form, samples: SampleCollection) -> str:
    drawn = offered_fields(samples)

    def rank(name: str) -> tuple[bool, ...]:
        made = is_output(samples, name)
        corrected = {f"{name}.detections.{CORRECTED}": True}
        mended = made and any_frame(samples._dataset, corrected, AT_MOST)
        # Of what was drawn to be followed, few frames have masks.
        prompts = name in drawn and not made
        return not seems_labelled(samples, name), not mended, prompts, made

    return form.chosen_field("label_field", samples, rank)


def _settings(form: Form) -> TuneSettings:
    from hs2s_core.training.finetune import TuneSettings

    return TuneSettings(
        name=form.get("name", ""),
        start=chosen_model(form) or TuneSettings.start,
        **form.given("steps", "learning_rate", "overwrite"),
    )
