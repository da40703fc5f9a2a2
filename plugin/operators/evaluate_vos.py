"""The operator "Evaluate masks (J&F)": a form around :mod:`..evaluation`."""

from __future__ import annotations

from typing import Any, ClassVar

import fiftyone.operators as foo
from fiftyone.core.collections import SampleCollection

from hs2s_core.errors import HS2SError
from hs2s_core.evaluation import PROTOCOLS, Protocol, find_protocol, score_notes
from hs2s_core.evaluation.identities import MATCHES
from hs2s_core.jobs import Steps

from ..evaluation import (
    DEFAULT_PROTOCOL,
    EvaluateSettings,
    VOSEvaluationResults,
    evaluate,
    evaluate_steps,
    glance,
    settings_errors,
)
from ..evaluation.scoring import metric_values
from ..labels.frame_fields import is_output, mask_fields
from ..videos.collection import source_info, videos_of
from .base import JobOperator
from .form import FRAMES, LOOKS, Form, listed, seems_labelled

# The form answers within about this time; what is left is checked when the run starts.
_CHECK_SECONDS = 1.5


class EvaluateVos(JobOperator):
    """Compares predicted masks with true ones: J, F and J&F."""

    key = "evaluate_vos"
    title = "Evaluate masks (J&F)"
    about = "Compare predicted masks with true ones: J and F of every object and frame"
    page = "evaluation-in-fiftyone.md"
    icon = "assessment"
    action = "Evaluate masks in"
    takes_open = False
    placed = True
    call = staticmethod(evaluate)
    done = "evaluated"
    hint = "; see the field '{0.key}_note'"
    outputs: ClassVar = {
        "jf": "J&F (percent)",
        "j": "J (percent)",
        "f": "F (percent)",
        "protocol": "Protocol",
        "done": "Videos evaluated",
        "failed": "Videos not evaluated",
        "reasons": "Why videos were not evaluated",
        "notes": "What to know about the numbers",
    }

    def form(self, form: Form, samples: SampleCollection) -> None:
        names = sorted(mask_fields(samples))
        if len(names) < 2:
            form.refuse(
                "no_field",
                "Nothing to compare",
                "two frame fields with masks are needed, one with predictions and one with the "
                f"truth; found {', '.join(names) or 'none'}. 'Propagate masks' makes predictions.",
            )
            return
        try:
            settings = _settings(form, samples)
        except HS2SError as error:
            form.refuse("unusable", "Cannot evaluate", str(error))
            return
        _add_inputs(form, names, settings)
        errors = settings_errors(samples, settings, at_most=FRAMES)
        form.mark(errors)
        if errors:
            return
        above, dataset, key = list(form.inputs.properties), samples._dataset, settings.eval_key
        if dataset.has_evaluation(key):
            earlier = dataset.get_evaluation_info(key).config
            text = f"It is of '{earlier.pred_field}'; its fields and its run are replaced."
            form.warn("replace", f"The evaluation '{key}' exists", text)
        plan = glance(samples, settings, seconds=_CHECK_SECONDS, videos=LOOKS)
        form.plan(plan, "evaluate", "evaluated")
        form.put_first(above)

    def params(self, given: dict[str, Any]) -> dict[str, Any]:
        """The form's values; a protocol goes by its name."""
        protocol = given["protocol"]
        if isinstance(protocol, Protocol):
            if PROTOCOLS.get(protocol.name) != protocol:
                raise HS2SError(
                    f"the protocol {protocol.name!r} is not one of {', '.join(PROTOCOLS)}, so it "
                    "cannot be handed to another process; evaluate it without `delegate`."
                )
            given["protocol"] = protocol.name
        return super().params(given)

    def steps(self, ctx: foo.ExecutionContext) -> Steps[VOSEvaluationResults]:
        samples = videos_of(self.target(ctx))
        return evaluate_steps(samples, _settings(Form(ctx), samples))

    def failures(self, results: VOSEvaluationResults) -> int:
        return len(results.failures)

    def result(self, results: VOSEvaluationResults) -> dict[str, Any]:
        values = metric_values(results.summary)
        return {
            **{key: f"{100 * values[key]:.1f}" for key in ("jf", "j", "f") if key in values},
            "protocol": results.protocol.description,
            "done": len(results.sample_ids),
            "failed": len(results.failures),
            "reasons": listed(f"{video}: {reason}" for video, reason in results.failures),
            "notes": listed([*score_notes(results.summary), *results.notes]),
        }


def _settings(form: Form, samples: SampleCollection) -> EvaluateSettings:
    loaded = source_info(samples).get("label_field")
    known = ("ground_truth", "truth", "gt", "annotations")

    # The field that a load made, else one that sounds like it, else one no model has written.
    def as_truth(name: str) -> tuple[bool, bool, bool]:
        return name != loaded, name not in known, is_output(samples, name)

    def as_prediction(name: str) -> tuple[bool, bool]:
        return not is_output(samples, name), not seems_labelled(samples, name)

    truth = form.chosen_field("truth_field", samples, as_truth)
    prediction = form.chosen_field("prediction_field", samples, as_prediction, truth)
    given = EvaluateSettings(
        prediction,
        truth,
        form.get("eval_key", f"eval_{prediction}"),
        find_protocol(form.get("protocol", DEFAULT_PROTOCOL)),
        **form.given("match", "seen_categories", "meta"),
    )
    return given.complete(samples)


def _add_inputs(form: Form, names: list[str], settings: EvaluateSettings) -> None:
    form.field(
        "prediction_field",
        names,
        "Predictions",
        default=settings.prediction_field,
        description="Frame field with the masks to evaluate, of any model",
    )
    form.field(
        "truth_field",
        names,
        "Truth",
        default=settings.truth_field,
        description="Frame field with the true masks; it is only read",
    )
    prediction = settings.prediction_field
    form.text(
        "eval_key",
        "Name of the evaluation",
        # No default: the App keeps what it has shown, also when other predictions are chosen.
        description=f"Its fields start with this: <name>_jf, ...; empty: 'eval_{prediction}'",
    )
    form.choice("protocol", PROTOCOLS.keys(), "Protocol", default=DEFAULT_PROTOCOL)
    form.notice("protocol_text", settings.protocol.description)
    form.choice(
        "match",
        {name: meaning.capitalize() for name, meaning in MATCHES.items()},
        "Which prediction belongs to which object",
        default="ids",
    )
