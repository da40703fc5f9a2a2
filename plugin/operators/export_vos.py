"""The operator "Export masks (PNG)": a form around :mod:`..export`."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import fiftyone.operators as foo
from fiftyone.core.collections import SampleCollection

from hs2s_core.data.results import LAYOUTS
from hs2s_core.jobs import Steps

from ..export import ExportSettings, ExportSummary, export, export_steps, settings_errors
from ..frame_fields import bare, has_labels, mask_fields
from ..videos import video_names, videos_of
from .base import JobOperator, job_outputs
from .form import Form, count, listed, seems_labelled

_VIDEOS = 20
"""How many videos the form looks for masks in."""


class ExportVos(JobOperator):
    """Writes masks in the layout and zip that the benchmarks' servers take."""

    key = "export_vos"
    title = "Export masks (PNG)"
    about = "Palettised masks and zip for the YouTube-VOS and DAVIS servers"
    page = "export.md"
    icon = "save_alt"
    action = "Export masks of"
    call = staticmethod(export)
    done = "written"
    outputs = job_outputs("Folder", "written", zip_file="Zip for the server")

    def form(self, form: Form, samples: SampleCollection) -> None:
        """What to write where."""
        names = sorted(mask_fields(samples))
        if not names:
            form.refuse("no_field", "No masks to export", "No frame field can hold masks.")
            return
        settings = _settings(form, samples)
        form.field("field", names, "Masks", default=settings.field)
        form.text(
            "out_dir",
            "Folder",
            required=True,
            description="To write to, as seen by the machine that runs FiftyOne",
        )
        form.choice("layout", LAYOUTS, "Layout", default=settings.layout)
        form.field(
            "annotated_in",
            names,
            "Only frames with labels in",
            description="Empty: every frame of the video",
        )
        form.switch("zip", "Also write <folder>.zip for the server", default=True)
        form.switch("overwrite", "Replace folders of videos that are there")
        _ask_for_empty(form, samples, settings)
        if form.get("out_dir"):  # nothing typed yet is not an error
            form.mark(settings_errors(samples, settings))

    def steps(self, ctx: foo.ExecutionContext) -> Steps[ExportSummary]:
        """The export that the form describes."""
        samples = videos_of(ctx.target_view())
        return export_steps(samples, _settings(Form(ctx), samples))

    def params(self, given: dict[str, Any]) -> dict[str, Any]:
        """The form's values; a zip lies beside the folder."""
        return super().params({**given, "zip": bool(given["zip"])})

    def result(self, summary: ExportSummary) -> dict[str, Any]:
        """What was written, and the zip."""
        return {**super().result(summary), "zip_file": str(summary.zip_file or "")}

    def refresh(self, ctx: foo.ExecutionContext, summary: ExportSummary) -> Sequence[Any]:
        """The dataset is as it was."""
        return []


def _ask_for_empty(form: Form, samples: SampleCollection, settings: ExportSettings) -> None:
    """Name the videos whose masks would all be empty, and ask whether that is meant."""
    names = video_names(samples)
    empty = [
        name
        for sample_id, name in islice(names.items(), _VIDEOS)
        if not has_labels(samples, settings.field, sample_id)
    ]
    if not empty:
        return
    title = f"{count(len(empty))} without any mask in '{settings.field}'"
    if len(names) > _VIDEOS:
        title += f"; the first {_VIDEOS} were looked at"
    form.switch("empty", f"Write empty masks for {count(len(empty))} without labels")
    if form.get("empty"):
        form.warn("unlabelled", title, listed(empty))
    else:
        form.refuse("unlabelled", title, listed(empty))


def _settings(form: Form, samples: SampleCollection) -> ExportSettings:
    fields = sorted(
        mask_fields(samples), key=lambda name: (not seems_labelled(samples, name), name)
    )
    out_dir = Path(form.get("out_dir", "")).expanduser().absolute()
    annotated_in = form.get("annotated_in")
    return ExportSettings(
        field=bare(form.get("field") or next(iter(fields), "")),
        out_dir=out_dir,
        layout=form.get("layout") or next(iter(LAYOUTS)),
        zip_file=out_dir.with_name(f"{out_dir.name}.zip")
        if form.ctx.params.get("zip", True)
        else None,
        annotated_in=annotated_in and bare(annotated_in),
        overwrite=bool(form.get("overwrite")),
    )
