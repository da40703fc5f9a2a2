"""The form of "Propagate masks": it shows whatever would stop a run, and then cannot be sent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fiftyone.operators as foo
from fiftyone.core.collections import SampleCollection
from fiftyone.operators import types

from hs2s_core.errors import HS2SError

from ..checks import (
    EXISTING,
    POLICIES,
    Plan,
    Settings,
    has_labels,
    is_ground_truth,
    make_plan,
    settings_errors,
)
from ..labels import mask_fields
from ..propagation import DEFAULT_OUTPUT
from ..videos import videos_of
from .form_parts import count, dropdown, mark, refuse

_FROM_FILE = "file"
_DEVICES = ("auto", "cpu", "cuda", "mps")
_EXISTING_LABELS = {
    "skip": "Skip them",
    "overwrite": "Overwrite their masks",
    "fail": "Refuse to run",
}
# The form answers within about this time; what is left is checked when the run starts.
_CHECK_SECONDS = 2.0
_LISTED = 10


def build_form(ctx: foo.ExecutionContext) -> types.Object:
    """All inputs, with errors at the inputs they belong to."""
    inputs = types.Object()
    inputs.view_target(ctx, action_description="Propagate masks in")
    try:
        samples = videos_of(ctx.target_view())
    except HS2SError as error:
        refuse(inputs, "no_video", "No video here", str(error))
        return inputs
    if not mask_fields(samples):
        text = settings_errors(samples, Settings("", ""))["prompt_field"]
        refuse(inputs, "no_field", "No masks to start from", text)
        return inputs
    settings = read_settings(ctx, samples)
    errors = settings_errors(samples, settings)
    _add_fields(inputs, sorted(mask_fields(samples)), settings, errors)
    _add_model(inputs, ctx)
    _add_device(inputs, ctx)
    if not errors:
        _add_verdict(inputs, samples, settings, bool(ctx.params.get("skip_invalid")))
    return inputs


def read_settings(ctx: foo.ExecutionContext, samples: SampleCollection) -> Settings:
    """The form's values; defaults are not in ``ctx.params`` until the user touched them."""
    output = ctx.params.get("output_field") or DEFAULT_OUTPUT
    known = samples._dataset.get_field_schema()

    def made_here(name: str) -> bool:
        return name == output or Settings("", name).status_field in known

    def rank(name: str) -> tuple[object, ...]:
        # First what a person drew; results of earlier runs last.
        empty = not has_labels(samples, name)
        return made_here(name), empty, is_ground_truth(samples, name), name

    asked = ctx.params.get("prompt_field")
    default = asked or min(mask_fields(samples), key=rank, default="")
    return Settings(
        prompt_field=default.removeprefix("frames."),
        output_field=output.removeprefix("frames."),
        existing=ctx.params.get("existing") or EXISTING[0],
        online_steps=ctx.params.get("online_steps") or 0,
        policy=ctx.params.get("policy") or "auto",
    )


def read_model(ctx: foo.ExecutionContext) -> str | None:
    """The network asked for: a name, a path ("" while none was typed) or None for the default."""
    chosen: str | None = ctx.params.get("model")
    return str(ctx.params.get("weights") or "") if chosen == _FROM_FILE else chosen


def model_params(model: Any) -> dict[str, str]:
    """The form values that ask for ``model``."""
    from hs2s_core.weights import DEFAULT, PUBLISHED

    if model is None:
        return {"model": DEFAULT}
    if not isinstance(model, (str, Path)):
        raise HS2SError(
            f"a loaded {type(model).__name__} cannot be handed to another process; "
            "give the weights file or the name of a model"
        )
    if str(model) in PUBLISHED:
        return {"model": str(model)}
    return {"model": _FROM_FILE, "weights": str(Path(model).absolute())}


def _add_fields(
    inputs: types.Object, fields: list[str], settings: Settings, errors: dict[str, str]
) -> None:
    prompt = inputs.enum(
        "prompt_field",
        fields,
        default=settings.prompt_field,
        label="Prompt field",
        description="Frame field with masks; each object is followed from its first one",
        view=dropdown({name: f"frames.{name}" for name in fields}),
    )
    output = inputs.str(
        "output_field",
        default=DEFAULT_OUTPUT,
        label="Output field",
        description="Frame field for the propagated masks",
    )
    existing = inputs.enum(
        "existing",
        list(EXISTING),
        default=EXISTING[0],
        label="Videos that have masks there already",
        view=dropdown(_EXISTING_LABELS),
    )
    steps = inputs.int(
        "online_steps",
        default=0,
        min=0,
        label="Online training steps",
        description="Adapt a copy of the model to the first masks of each video; 0 for none",
    )
    policy = inputs.enum(
        "policy",
        list(POLICIES),
        default="auto",
        label="Masks that are given to the model",
        view=dropdown(POLICIES),
    )
    shown = {
        "prompt_field": prompt,
        "output_field": output,
        "existing": existing,
        "online_steps": steps,
        "policy": policy,
    }
    for name, message in errors.items():
        mark(shown[name], message)


def _add_model(inputs: types.Object, ctx: foo.ExecutionContext) -> None:
    from hs2s_core.weights import PUBLISHED, find_weights, read_header

    shipped = [name for name, entry in PUBLISHED.items() if entry.file]
    shown = inputs.enum(
        "model",
        [*shipped, _FROM_FILE],
        default=shipped[0],
        label="Model",
        view=dropdown({**{name: name for name in shipped}, _FROM_FILE: "A weights file ..."}),
    )
    if ctx.params.get("model") == _FROM_FILE:
        shown = inputs.str(
            "weights",
            required=True,
            label="Weights file",
            description="Path of a .safetensors file on the machine that runs FiftyOne",
        )
    model = read_model(ctx)
    if model != "":  # nothing typed yet is not an error
        try:
            read_header(find_weights(model))
        except HS2SError as error:
            mark(shown, str(error))


def _add_device(inputs: types.Object, ctx: foo.ExecutionContext) -> None:
    from hs2s_core.devices import pick_device

    shown = inputs.enum(
        "device",
        list(_DEVICES),
        default=_DEVICES[0],
        label="Device",
        view=dropdown({name: name for name in _DEVICES}),
    )
    try:
        kind = pick_device(ctx.params.get("device") or _DEVICES[0]).type
    except HS2SError as error:
        mark(shown, str(error))
        return
    if kind == "cpu":
        text = "It is several times slower; consider scheduling long runs."
        inputs.view("cpu", types.Warning(label="Runs on the CPU, without CUDA", description=text))


def _add_verdict(
    inputs: types.Object, samples: SampleCollection, settings: Settings, leave_out: bool
) -> None:
    """How many videos a run would process, and which of them cannot be, by name."""
    plan = make_plan(samples, settings, seconds=_CHECK_SECONDS)
    if plan.problems:
        _add_problems(inputs, plan, leave_out)
    if plan.todo:
        inputs.view("plan", types.Notice(label=_plan_text(plan)))
    elif not plan.problems:
        hint = "Choose overwriting to do them again." if plan.skipped else "The target is empty."
        refuse(inputs, "nothing", "Nothing to do", f"{_plan_text(plan)}. {hint}")


def _add_problems(inputs: types.Object, plan: Plan, leave_out: bool) -> None:
    number = count(len(plan.problems))
    inputs.bool(
        "skip_invalid",
        default=False,
        label=f"Go on without the {number} below",
        view=types.CheckboxView(),
    )
    title = f"{number} cannot be propagated"
    listed = [str(problem) for problem in plan.problems[:_LISTED]]
    if len(plan.problems) > _LISTED:
        listed.append(f"and {len(plan.problems) - _LISTED} more")
    text = "\n\n".join(listed)
    if leave_out and plan.todo:
        inputs.view("problems", types.Warning(label=title, description=text))
    else:
        refuse(inputs, "problems", title, text)


def _plan_text(plan: Plan) -> str:
    text = f"{count(len(plan.todo))} to propagate"
    if plan.skipped:
        text += f", {len(plan.skipped)} done already"
    if plan.unchecked:
        text += f"; {plan.unchecked} of them will be checked when the run starts"
    return text
