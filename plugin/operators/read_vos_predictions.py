"""The operator "Read masks (PNG)": a form around :mod:`..predictions`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import fiftyone.operators as foo
from fiftyone.core.collections import SampleCollection

from hs2s_core.data.folders import find_annotations
from hs2s_core.errors import HS2SError
from hs2s_core.jobs import Steps

from ..jobs import Source
from ..labels.frame_fields import bare, mask_fields
from ..predictions import ReadJob, ReadSummary, read_predictions
from .base import JobOperator, job_outputs, show_result
from .form import FRAMES, LISTED, Form, count

_DEFAULT_FIELD = "predictions"


class ReadVosPredictions(JobOperator):
    """Reads a folder of masks, of any method, into a frame field."""

    key = "read_vos_predictions"
    title = "Read masks (PNG)"
    about = "Read masks of your own or of any method from a folder of PNG files"
    page = "draw.md"
    icon = "input"
    action = "Read masks of"
    takes_open = False
    call = staticmethod(read_predictions)
    done = "read"
    unknown = "Videos of the folder that the dataset does not have"
    outputs = job_outputs("Field", "read", unknown=unknown)

    def form(self, form: Form, samples: SampleCollection) -> None:
        form.text(
            "folder",
            "Folder",
            required=True,
            description="<video>/<frame>.png or Annotations/<video>/<frame>.png",
        )
        if form.get("folder"):
            try:
                found = find_annotations(Path(form.get("folder")).expanduser())
            except HS2SError as error:
                form.mark({"folder": str(error)})
            else:
                form.notice("found", f"{count(len(found))} in this folder")
        form.text("field", "Frame field to write", default=_DEFAULT_FIELD)
        names = sorted(mask_fields(samples))
        if names:
            form.field(
                "truth_field",
                names,
                "Classes and instances from",
                description="Labels of the same index lend them; empty: class 'object'",
            )
        form.switch("overwrite", "Replace labels that the field holds")
        form.mark(_job(form, samples).errors(samples, at_most=FRAMES))

    def steps(self, ctx: foo.ExecutionContext) -> Steps[ReadSummary]:
        return _job(Form(ctx), self.target(ctx)).steps()

    def refresh(self, ctx: foo.ExecutionContext, summary: ReadSummary) -> Sequence[Any]:
        """Show the new labels."""
        return [*super().refresh(ctx, summary), *show_result(ctx, bare(summary.target))]

    def result(self, summary: ReadSummary) -> dict[str, Any]:
        return {**super().result(summary), "unknown": ", ".join(summary.unknown[:LISTED])}


def _job(form: Form, samples: SampleCollection) -> ReadJob:
    return ReadJob(
        Source(samples),
        Path(form.get("folder", "")).expanduser(),
        bare(form.get("field", _DEFAULT_FIELD)),
        bare(form.get("truth_field", "")) or None,
        bool(form.get("overwrite")),
    )
