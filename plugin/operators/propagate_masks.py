"""The operator "Propagate masks": a form around :mod:`..propagation`."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fiftyone as fo
import fiftyone.operators as foo
from fiftyone.core.collections import SampleCollection
from fiftyone.operators import types

from hs2s_core.wording import counted

from ..progress import Progress
from ..propagation import DEFAULT_OUTPUT, Summary, propagate, run
from ..videos import videos_of
from .form_parts import count
from .live import is_live, run_delegated, run_live
from .propagate_form import build_form, model_params, read_model, read_settings

if TYPE_CHECKING:
    from hs2s_core.models import VideoSegmenter

_TITLE = "Propagate masks"


class PropagateMasks(foo.Operator):
    """Follows the objects of a prompt field through each video."""

    @property
    def config(self) -> foo.OperatorConfig:
        """What the App shows and how it runs the operator."""
        return foo.OperatorConfig(
            name="propagate_masks",
            label=_TITLE,
            description="Follow each object from its first mask to the end of the video",
            icon="/assets/icon.svg",
            dynamic=True,
            execute_as_generator=True,
            allow_immediate_execution=True,
            allow_delegated_execution=True,
        )

    def __call__(
        self,
        samples: SampleCollection,
        prompt_field: str,
        output_field: str = DEFAULT_OUTPUT,
        *,
        model: VideoSegmenter | str | Path | None = None,
        device: str = "auto",
        existing: str = "skip",
        online_steps: int = 0,
        policy: str = "auto",
        skip_invalid: bool = False,
        progress: bool | Callable[[Progress], object] | None = None,
        delegate: bool = False,
        delegation_target: str | None = None,
    ) -> Summary | foo.ExecutionResult:
        """Propagate masks from a script; the arguments are those of ``propagation.propagate``.

        Runs here and now, without the time limit of ``foo.execute_operator``, and returns a
        Summary. With ``delegate`` it is queued for ``fiftyone delegated launch`` instead.
        """
        if not delegate:
            return propagate(
                samples,
                prompt_field,
                output_field,
                model=model,
                device=device,
                existing=existing,
                online_steps=online_steps,
                policy=policy,
                skip_invalid=skip_invalid,
                progress=progress,
            )
        params = {
            "prompt_field": prompt_field.removeprefix("frames."),
            "output_field": output_field.removeprefix("frames."),
            **model_params(model),
            "device": device,
            "existing": existing,
            "online_steps": online_steps,
            "policy": policy,
            "skip_invalid": skip_invalid,
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
        inputs = build_form(ctx)
        return types.Property(inputs, view=types.View(label=_TITLE))

    def execute(self, ctx: foo.ExecutionContext) -> Any:
        """Progress messages for the App; the summary when the run is delegated."""
        if not is_live(ctx):
            return _result(run_delegated(ctx, _steps(ctx)))
        return run_live(ctx, lambda: _steps(ctx), lambda summary: _finish(ctx, summary))

    def resolve_output(self, ctx: foo.ExecutionContext) -> types.Property:
        """How the summary is shown."""
        return _output(ctx.results or {})


def _steps(ctx: foo.ExecutionContext) -> Generator[Progress, None, Summary]:
    samples = videos_of(ctx.target_view())
    return run(
        samples,
        read_settings(ctx, samples),
        model=read_model(ctx),
        device=ctx.params.get("device") or "auto",
        skip_invalid=bool(ctx.params.get("skip_invalid")),
    )


def _finish(ctx: foo.ExecutionContext, summary: Summary) -> Iterator[Any]:
    yield ctx.ops.reload_dataset()
    if summary.failed:
        yield ctx.ops.notify(
            f"{count(len(summary.failed))} failed; see 'Why videos failed'",
            variant="warning",
        )
    result = _result(summary)
    yield ctx.ops.show_output(_output(result).to_json(), result)


def _result(summary: Summary) -> dict[str, Any]:
    return {
        "done": len(summary.done),
        "skipped": summary.skipped,
        "failed": len(summary.failed),
        "speed": f"{counted(summary.frames, 'frame')} in {summary.seconds:.1f} s "
        f"({summary.frames_per_second:.1f} per second)",
        "reasons": "\n\n".join(str(problem) for problem in summary.failed),
        "notes": "\n\n".join(str(note) for note in summary.notes),
    }


def _output(result: Mapping[str, Any]) -> types.Property:
    outputs = types.Object()
    outputs.int("done", label="Videos propagated")
    outputs.int("skipped", label="Videos skipped")
    outputs.int("failed", label="Videos failed")
    outputs.str("speed", label="Speed")
    if result.get("reasons"):
        outputs.str("reasons", label="Why videos failed")
    if result.get("notes"):
        outputs.str("notes", label="What to know about the masks")
    return types.Property(outputs, view=types.View(label=_TITLE))
