"""The operator "Read masks (PNG)": a form around :mod:`..predictions`."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import fiftyone.operators as foo
from fiftyone.core.collections import SampleCollection
from fiftyone.operators import types

from hs2s_core.data.folders import find_annotations
from hs2s_core.errors import HS2SError

from .. import predictions as reading
from ..labels import mask_fields
from ..predictions import ReadSummary
from ..progress import Progress
from ..videos import videos_of
from .form_parts import count, dropdown, mark, target_videos
from .live import is_live, run_delegated, run_live

_TITLE = "Read masks (PNG)"
_DEFAULT_FIELD = "predictions"
_LISTED = 10


class ReadVosPredictions(foo.Operator):
    """Reads a folder of masks, of any method, into a frame field."""

    @property
    def config(self) -> foo.OperatorConfig:
        """What the App shows and how it runs the operator."""
        return foo.OperatorConfig(
            name="read_vos_predictions",
            label=_TITLE,
            description="Masks of any method, from a folder of palettised PNGs",
            icon="/assets/icon.svg",
            dynamic=True,
            execute_as_generator=True,
            allow_immediate_execution=True,
            allow_delegated_execution=True,
        )

    def __call__(
        self,
        samples: SampleCollection,
        folder: str | Path,
        field: str,
        *,
        truth_field: str | None = None,
        overwrite: bool = False,
        progress: bool | Callable[[Progress], object] | None = None,
    ) -> ReadSummary:
        """Read from a script; the arguments are those of ``predictions.read_predictions``."""
        return reading.read_predictions(
            samples, folder, field, truth_field=truth_field, overwrite=overwrite, progress=progress
        )

    def resolve_input(self, ctx: foo.ExecutionContext) -> types.Property:
        """The form; a folder that cannot be read is shown at its field."""
        return types.Property(_form(ctx), view=types.View(label=_TITLE))

    def execute(self, ctx: foo.ExecutionContext) -> Any:
        """Progress messages for the App; the summary when the work is delegated."""

        def steps() -> Generator[Progress, None, ReadSummary]:
            return reading.run(
                videos_of(ctx.target_view()),
                ctx.params["folder"],
                ctx.params.get("field") or _DEFAULT_FIELD,
                truth_field=ctx.params.get("truth_field") or None,
                overwrite=bool(ctx.params.get("overwrite")),
            )

        def finish(summary: ReadSummary) -> Iterator[Any]:
            yield ctx.ops.reload_dataset()
            yield ctx.ops.show_output(self.resolve_output(ctx).to_json(), _shown(summary))

        if not is_live(ctx):
            return _shown(run_delegated(ctx, steps()))
        return run_live(ctx, steps, finish)

    def resolve_output(self, ctx: foo.ExecutionContext) -> types.Property:
        """How the summary is shown."""
        outputs = types.Object()
        outputs.str("field", label="Field")
        outputs.int("videos", label="Videos read")
        outputs.int("frames", label="Frames read")
        outputs.str("unknown", label="Videos of the folder that the dataset does not have")
        outputs.str("reasons", label="Why videos were not read")
        return types.Property(outputs, view=types.View(label=_TITLE))


def _form(ctx: foo.ExecutionContext) -> types.Object:
    inputs = types.Object()
    samples = target_videos(ctx, inputs, "Read masks of")
    if samples is None:
        return inputs
    folder = inputs.str(
        "folder",
        required=True,
        label="Folder",
        description="<video>/<frame>.png or Annotations/<video>/<frame>.png",
    )
    if ctx.params.get("folder"):
        try:
            found = find_annotations(Path(ctx.params["folder"]).expanduser())
        except HS2SError as error:
            mark(folder, str(error))
        else:
            inputs.view("found", types.Notice(label=f"{count(len(found))} in this folder"))
    inputs.str("field", default=_DEFAULT_FIELD, label="Frame field to write")
    names = sorted(mask_fields(samples))
    if names:
        inputs.enum(
            "truth_field",
            names,
            label="Classes and instances from",
            description="Labels of the same index lend them; empty: class 'object'",
            view=dropdown({name: f"frames.{name}" for name in names}),
        )
    inputs.bool("overwrite", default=False, label="Replace labels that the field holds")
    return inputs


def _shown(summary: ReadSummary) -> dict[str, Any]:
    return {
        "field": f"frames.{summary.output_field}",
        "videos": len(summary.videos),
        "frames": summary.frames,
        "unknown": ", ".join(summary.unknown[:_LISTED]),
        "reasons": "\n\n".join(str(problem) for problem in summary.failed[:_LISTED]),
    }
