"""The operator "Evaluate masks (J&F)": a form around :mod:`..evaluation`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterator
from pathlib import Path
from typing import Any

import fiftyone as fo
import fiftyone.operators as foo
from fiftyone.core.collections import SampleCollection
from fiftyone.operators import types

from hs2s_core.errors import HS2SError
from hs2s_core.evaluation import PROTOCOLS, Protocol, score_notes

from ..checks import has_labels
from ..evaluation import (
    DEFAULT_PROTOCOL,
    MATCHES,
    Plan,
    Settings,
    VOSEvaluationResults,
    evaluate,
    make_plan,
    make_settings,
    run,
    settings_errors,
)
from ..evaluation.scoring import metric_values
from ..labels import mask_fields
from ..progress import Progress
from ..videos import source_info, videos_of
from .form_parts import count, dropdown, mark, refuse, target_videos
from .live import is_live, run_delegated, run_live

_TITLE = "Evaluate masks (J&F)"
# The form answers within about this time; what is left is checked when the run starts.
_CHECK_SECONDS = 1.5
_LISTED = 10


class EvaluateVos(foo.Operator):
    """Compares predicted masks with true ones: J, F and J&F."""

    @property
    def config(self) -> foo.OperatorConfig:
        """What the App shows and how it runs the operator."""
        return foo.OperatorConfig(
            name="evaluate_vos",
            label=_TITLE,
            description="J and F of every object and frame, by a named protocol",
            icon="/assets/icon.svg",
            dynamic=True,
            execute_as_generator=True,
            allow_immediate_execution=True,
            allow_delegated_execution=True,
        )

    def __call__(
        self,
        samples: SampleCollection,
        prediction_field: str,
        truth_field: str,
        eval_key: str,
        protocol: str | Protocol = DEFAULT_PROTOCOL,
        *,
        match: str = "index",
        seen_categories: Collection[str] | None = None,
        meta: str | Path | None = None,
        progress: bool | Callable[[Progress], object] | None = None,
        delegate: bool = False,
        delegation_target: str | None = None,
    ) -> VOSEvaluationResults | foo.ExecutionResult:
        """Evaluate from a script; the arguments are those of ``evaluation.evaluate``.

        Runs here and now, without the time limit of ``foo.execute_operator``, and returns the
        results. With ``delegate`` it is queued for ``fiftyone delegated launch`` instead, and a
        protocol must be given by its name.
        """
        if not delegate:
            return evaluate(
                samples,
                prediction_field,
                truth_field,
                eval_key,
                protocol,
                match=match,
                seen_categories=seen_categories,
                meta=meta,
                progress=progress,
            )
        if isinstance(protocol, Protocol):
            if PROTOCOLS.get(protocol.name) != protocol:
                raise HS2SError(
                    f"the protocol {protocol.name!r} is not one of {', '.join(PROTOCOLS)}, so it "
                    "cannot be handed to another process; evaluate it without `delegate`."
                )
            protocol = protocol.name
        params = {
            "prediction_field": prediction_field.removeprefix("frames."),
            "truth_field": truth_field.removeprefix("frames."),
            "eval_key": eval_key,
            "protocol": protocol,
            "match": match,
            "seen_categories": None if seen_categories is None else sorted(seen_categories),
            "meta": None if meta is None else str(Path(meta).expanduser().absolute()),
        }
        target = {"view" if isinstance(samples, fo.DatasetView) else "dataset": samples}
        return foo.execute_operator(
            self.uri,
            target,
            params=params,
            request_delegation=True,
            delegation_target=delegation_target,
        )

    def resolve_placement(self, ctx: foo.ExecutionContext) -> types.Placement:
        """A button above the grid."""
        button = types.Button(label=_TITLE, icon="/assets/icon.svg", prompt=True)
        return types.Placement(types.Places.SAMPLES_GRID_SECONDARY_ACTIONS, button)

    def resolve_input(self, ctx: foo.ExecutionContext) -> types.Property:
        """The form; whatever would stop a run is shown in it and disables its button."""
        return types.Property(_form(ctx), view=types.View(label=_TITLE))

    def execute(self, ctx: foo.ExecutionContext) -> Any:
        """Progress messages for the App; the numbers when the run is delegated."""
        if not is_live(ctx):
            return _shown(run_delegated(ctx, _steps(ctx)))
        return run_live(ctx, lambda: _steps(ctx), lambda results: _finish(ctx, results))

    def resolve_output(self, ctx: foo.ExecutionContext) -> types.Property:
        """How the numbers are shown."""
        return _output()


# ---------------------------------------------------------------- the form


def _form(ctx: foo.ExecutionContext) -> types.Object:
    inputs = types.Object()
    samples = target_videos(ctx, inputs, "Evaluate masks in")
    if samples is None:
        return inputs
    names = sorted(mask_fields(samples))
    if len(names) < 2:
        refuse(
            inputs,
            "no_field",
            "Nothing to compare",
            f"two frame fields with masks are needed, one with predictions and one with the truth; "
            f"found {', '.join(names) or 'none'}. 'Propagate masks' makes predictions.",
        )
        return inputs
    try:
        settings = _settings(ctx, samples)
    except HS2SError as error:
        refuse(inputs, "unusable", "Cannot evaluate", str(error))
        return inputs
    errors = settings_errors(samples, settings)
    _add_fields(inputs, names, settings, errors)
    if not errors:
        if samples._dataset.has_evaluation(settings.eval_key):
            text = "Its fields and its run are replaced."
            label = f"The evaluation '{settings.eval_key}' exists"
            inputs.view("replace", types.Warning(label=label, description=text))
        _add_verdict(inputs, make_plan(samples, settings, seconds=_CHECK_SECONDS))
    return inputs


def _settings(ctx: foo.ExecutionContext, samples: SampleCollection) -> Settings:
    """The form's values; defaults are not in ``ctx.params`` until the user touched them."""
    get = ctx.params.get
    truth = get("truth_field") or _default_truth(samples)
    prediction = get("prediction_field") or _default_prediction(samples, truth)
    key = get("eval_key")
    return make_settings(
        samples,
        prediction,
        truth,
        default_key(prediction) if key is None else key,
        get("protocol") or DEFAULT_PROTOCOL,
        match=get("match") or "index",
        seen_categories=get("seen_categories"),
        meta=get("meta") or None,
    )


def default_key(prediction_field: str) -> str:
    """The name of an evaluation that the form proposes."""
    return f"eval_{prediction_field.removeprefix('frames.')}"


def _default_truth(samples: SampleCollection) -> str:
    """The field that a load made, else one that sounds like it, else one no model has written."""
    loaded = source_info(samples).get("label_field")
    known = ("ground_truth", "truth", "gt", "annotations")

    def order(name: str) -> tuple[bool, bool, bool, str]:
        return name != loaded, name not in known, _is_output(samples, name), name

    return min(mask_fields(samples), key=order)


def _default_prediction(samples: SampleCollection, truth: str) -> str:
    names = [name for name in mask_fields(samples) if name != truth]

    def order(name: str) -> tuple[bool, bool, str]:
        return not _is_output(samples, name), not has_labels(samples, name), name

    return min(names, key=order, default="")


def _is_output(samples: SampleCollection, name: str) -> bool:
    """Whether 'Propagate masks' wrote this field."""
    return bool(samples._dataset.has_sample_field(f"{name}_status"))


def _add_fields(
    inputs: types.Object, names: list[str], settings: Settings, errors: dict[str, str]
) -> None:
    labels = {name: f"frames.{name}" for name in names}
    shown = {
        "prediction_field": inputs.enum(
            "prediction_field",
            names,
            default=settings.prediction_field,
            label="Predictions",
            description="Frame field with the masks to evaluate, of any model",
            view=dropdown(labels),
        ),
        "truth_field": inputs.enum(
            "truth_field",
            names,
            default=settings.truth_field,
            label="Truth",
            description="Frame field with the true masks; it is only read",
            view=dropdown(labels),
        ),
        "eval_key": inputs.str(
            "eval_key",
            default=settings.eval_key,
            label="Name of the evaluation",
            description="Its fields start with this: <name>_jf, <name>_j, <name>_f, ...",
        ),
    }
    inputs.enum(
        "protocol",
        list(PROTOCOLS),
        default=DEFAULT_PROTOCOL,
        label="Protocol",
        view=dropdown({name: name for name in PROTOCOLS}),
    )
    inputs.view("protocol_text", types.Notice(label=settings.protocol.description))
    shown["match"] = inputs.enum(
        "match",
        list(MATCHES),
        default="index",
        label="Which prediction belongs to which object",
        description=MATCHES.get(settings.match, ""),
        view=dropdown({"index": "Equal index", "overlap": "Overlap in the object's first frame"}),
    )
    for name, message in errors.items():
        mark(shown[name], message)


def _add_verdict(inputs: types.Object, plan: Plan) -> None:
    """How many videos a run would evaluate, and which of them cannot be, by name."""
    if plan.problems:
        title = f"{count(len(plan.problems))} cannot be evaluated"
        listed = [str(problem) for problem in plan.problems[:_LISTED]]
        if len(plan.problems) > _LISTED:
            listed.append(f"and {len(plan.problems) - _LISTED} more")
        text = "\n\n".join(listed)
        if not plan.todo:
            refuse(inputs, "problems", title, text)
            return
        inputs.view("problems", types.Warning(label=title, description=text))
    if not plan.todo:
        refuse(inputs, "nothing", "Nothing to do", "The target has no video.")
        return
    label = f"{count(len(plan.todo))} to evaluate"
    if plan.unchecked:
        label += f"; {plan.unchecked} of them will be checked when the run starts"
    inputs.view("plan", types.Notice(label=label))


# ---------------------------------------------------------------- running


def _steps(ctx: foo.ExecutionContext) -> Generator[Progress, None, VOSEvaluationResults]:
    samples = videos_of(ctx.target_view())
    return run(samples, _settings(ctx, samples))


def _finish(ctx: foo.ExecutionContext, results: VOSEvaluationResults) -> Iterator[Any]:
    yield ctx.ops.reload_dataset()
    if results.failures:
        yield ctx.ops.notify(
            f"{count(len(results.failures))} not evaluated; see the field '{results.key}_note'",
            variant="warning",
        )
    yield ctx.ops.show_output(_output().to_json(), _shown(results))


def _shown(results: VOSEvaluationResults) -> dict[str, Any]:
    values = metric_values(results.summary)
    reasons = [f"{video}: {reason}" for video, reason in results.failures]
    return {
        **{key: f"{100 * values[key]:.1f}" for key in ("jf", "j", "f") if key in values},
        "protocol": results.protocol.description,
        "videos": len(results.columns.videos),
        "failed": len(results.failures),
        "reasons": "\n\n".join(reasons[:_LISTED]),
        "notes": "\n\n".join([*score_notes(results.summary), *results.notes][:_LISTED]),
    }


def _output() -> types.Property:
    outputs = types.Object()
    for name, label in (("jf", "J&F (percent)"), ("j", "J (percent)"), ("f", "F (percent)")):
        outputs.str(name, label=label)
    outputs.str("protocol", label="Protocol")
    outputs.int("videos", label="Videos evaluated")
    outputs.int("failed", label="Videos not evaluated")
    outputs.str("reasons", label="Why videos were not evaluated")
    outputs.str("notes", label="What to know about the numbers")
    return types.Property(outputs, view=types.View(label=_TITLE))
