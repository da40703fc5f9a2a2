"""The operator "Export masks (PNG)": a form around :mod:`..export`."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

import fiftyone.operators as foo
from fiftyone.core.collections import SampleCollection

from hs2s_core.data.results import LAYOUTS
from hs2s_core.jobs import Steps
from hs2s_core.wording import some

from ..export import ExportJob, ExportSummary, export
from ..jobs import Source
from ..labels.frame_fields import bare, has_labels, is_output
from ..videos.collection import video_names
from .base import JobOperator, job_outputs
from .form import LISTED, Form, count, listed, seems_labelled

_VIDEOS = 20
"""How many videos the form looks for masks in."""


class ExportVos(JobOperator):
    """Writes masks in the layout and zip that the benchmarks' servers take."""

    key = "export_vos"
    title = "Export masks (PNG)"
    about = "Write masks as PNG files, with a zip for the YouTube-VOS and DAVIS servers"
    page = "export.md"
    icon = "save_alt"
    action = "Export masks of"
    call = staticmethod(export)
    done = "written"
    changes = False
    takes_more: ClassVar = {"empty": bool}
    outputs = job_outputs(
        "Folder",
        "written",
        zip_file="Zip for the server",
        others="Videos in the folder that are of earlier runs",
    )

    def form(self, form: Form, samples: SampleCollection) -> None:
        names = form.mask_fields(samples, "No masks to export")
        if not names:
            return
        job = _job(form, samples)
        form.field("field", names, "Masks", default=job.field)
        form.text(
            "out_dir",
            "Folder",
            required=True,
            description="To write to, as seen by the machine that runs FiftyOne",
        )
        form.choice("layout", LAYOUTS, "Layout", default=job.layout)
        form.field(
            "annotated_in",
            names,
            "Only frames with labels in",
            description="Empty: every frame of the video",
        )
        form.switch("zip", "Also write <folder>.zip for the server", default=True)
        form.switch("overwrite", "Replace folders of videos that are there")
        if job.field in names:
            _ask_for_empty(form, samples, job.field)
        if form.get("out_dir"):  # nothing typed yet is not an error
            form.mark(job.errors())

    def steps(self, ctx: foo.ExecutionContext) -> Steps[ExportSummary]:
        return _job(Form(ctx), self.target(ctx)).steps()

    def params(self, given: dict[str, Any]) -> dict[str, Any]:
        """The form's values; a zip lies beside the folder."""
        return super().params({**given, "zip": bool(given["zip"])})

    def result(self, summary: ExportSummary) -> dict[str, Any]:
        return {
            **super().result(summary),
            "zip_file": str(summary.zip_file or ""),
            "others": some(summary.others, LISTED) if summary.others else "",
        }


def _ask_for_empty(form: Form, samples: SampleCollection, field: str) -> None:
    """Name the videos whose masks would all be empty, and ask whether that is meant."""
    names = video_names(samples)
    empty = [
        name
        for sample_id, name in islice(names.items(), _VIDEOS)
        if not has_labels(samples, field, sample_id)
    ]
    if not empty:
        return
    title = f"{count(len(empty))} without any mask in '{field}'"
    if len(names) > _VIDEOS:
        title += f"; the first {_VIDEOS} were looked at"
    above = list(form.inputs.properties)
    form.switch("empty", f"Write empty masks for {count(len(empty))} without labels")
    tell = form.warn if form.get("empty") else form.refuse
    tell("unlabelled", title, listed(empty))
    form.put_first(above)


def _job(form: Form, samples: SampleCollection) -> ExportJob:
    out_dir = Path(form.get("out_dir", "")).expanduser().absolute()
    zipped = form.ctx.params.get("zip", True)

    def rank(name: str) -> tuple[bool, bool]:
        return not is_output(samples, name), not seems_labelled(samples, name)

    return ExportJob(
        Source(samples),
        field=form.chosen_field("field", samples, rank),
        out_dir=out_dir,
        layout=form.get("layout") or next(iter(LAYOUTS)),
        zip_file=out_dir.with_name(f"{out_dir.name}.zip") if zipped else None,
        annotated_in=bare(form.get("annotated_in", "")) or None,
        overwrite=bool(form.get("overwrite")),
    )
