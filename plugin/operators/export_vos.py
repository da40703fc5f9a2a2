"""The operator "Export masks (PNG)": a form around :mod:`..export`."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import fiftyone as fo
import fiftyone.operators as foo
from fiftyone.core.collections import SampleCollection
from fiftyone.operators import types

from .. import export as exporting
from ..checks import has_labels
from ..export import LAYOUTS, ExportSettings, ExportSummary
from ..labels import mask_fields
from ..progress import Progress
from ..videos import videos_of
from .form_parts import count, dropdown, mark, refuse, target_videos
from .live import is_live, run_delegated, run_live

_TITLE = "Export masks (PNG)"
_LISTED = 10


class ExportVos(foo.Operator):
    """Writes masks in the layout and zip that the benchmarks' servers take."""

    @property
    def config(self) -> foo.OperatorConfig:
        """What the App shows and how it runs the operator."""
        return foo.OperatorConfig(
            name="export_vos",
            label=_TITLE,
            description="Palettised masks and zip for the YouTube-VOS and DAVIS servers",
            icon="/assets/icon.svg",
            dynamic=True,
            execute_as_generator=True,
            allow_immediate_execution=True,
            allow_delegated_execution=True,
        )

    def __call__(
        self,
        samples: SampleCollection,
        field: str,
        out_dir: str | Path,
        *,
        layout: str = "youtube_vos",
        zip: bool | str | Path = False,
        annotated_in: str | None = None,
        overwrite: bool = False,
        progress: bool | Callable[[Progress], object] | None = None,
        delegate: bool = False,
        delegation_target: str | None = None,
    ) -> ExportSummary | foo.ExecutionResult:
        """Export from a script; the arguments are those of ``export.export``.

        Runs here and now. With ``delegate`` it is queued for ``fiftyone delegated launch`` instead;
        the zip then lies beside the folder.
        """
        if not delegate:
            return exporting.export(
                samples,
                field,
                out_dir,
                layout=layout,
                zip=zip,
                annotated_in=annotated_in,
                overwrite=overwrite,
                progress=progress,
            )
        params = {
            "field": field.removeprefix("frames."),
            "out_dir": str(Path(out_dir).expanduser().absolute()),
            "layout": layout,
            "zip": bool(zip),
            "annotated_in": annotated_in,
            "overwrite": overwrite,
        }
        target = {"view" if isinstance(samples, fo.DatasetView) else "dataset": samples}
        return foo.execute_operator(
            self.uri,
            target,
            params=params,
            request_delegation=True,
            delegation_target=delegation_target,
        )

    def resolve_input(self, ctx: foo.ExecutionContext) -> types.Property:
        """The form; whatever would stop an export is shown in it and disables its button."""
        return types.Property(_form(ctx), view=types.View(label=_TITLE))

    def execute(self, ctx: foo.ExecutionContext) -> Any:
        """Progress messages for the App; the summary when the export is delegated."""

        def steps() -> Generator[Progress, None, ExportSummary]:
            samples = videos_of(ctx.target_view())
            return exporting.run(samples, _settings(ctx, samples))

        def finish(summary: ExportSummary) -> Iterator[Any]:
            if summary.failed:
                number = count(len(summary.failed))
                yield ctx.ops.notify(f"{number} not written", variant="warning")
            yield ctx.ops.show_output(self.resolve_output(ctx).to_json(), _shown(summary))

        if not is_live(ctx):
            return _shown(run_delegated(ctx, steps()))
        return run_live(ctx, steps, finish)

    def resolve_output(self, ctx: foo.ExecutionContext) -> types.Property:
        """How the summary is shown."""
        outputs = types.Object()
        outputs.str("folder", label="Folder")
        outputs.str("zip_file", label="Zip for the server")
        outputs.int("videos", label="Videos written")
        outputs.int("frames", label="Frames written")
        outputs.str("reasons", label="Why videos were not written")
        outputs.str("notes", label="What to know about the files")
        return types.Property(outputs, view=types.View(label=_TITLE))


# ---------------------------------------------------------------- the form


def _settings(ctx: foo.ExecutionContext, samples: SampleCollection) -> ExportSettings:
    get = ctx.params.get
    fields = sorted(mask_fields(samples), key=lambda name: (not has_labels(samples, name), name))
    out_dir = Path(get("out_dir") or "").expanduser().absolute()
    return ExportSettings(
        field=get("field") or next(iter(fields), ""),
        out_dir=out_dir,
        layout=get("layout") or next(iter(LAYOUTS)),
        zip_file=out_dir.with_name(f"{out_dir.name}.zip") if get("zip", True) else None,
        annotated_in=get("annotated_in") or None,
        overwrite=bool(get("overwrite")),
    )


def _form(ctx: foo.ExecutionContext) -> types.Object:
    inputs = types.Object()
    samples = target_videos(ctx, inputs, "Export masks of")
    if samples is None:
        return inputs
    names = sorted(mask_fields(samples))
    if not names:
        refuse(inputs, "no_field", "No masks to export", "No frame field can hold masks.")
        return inputs
    labels = {name: f"frames.{name}" for name in names}
    settings = _settings(ctx, samples)
    shown = {
        "field": inputs.enum(
            "field",
            names,
            default=settings.field,
            label="Masks",
            view=dropdown(labels),
        ),
        "out_dir": inputs.str(
            "out_dir",
            required=True,
            label="Folder",
            description="To write to, as seen by the machine that runs FiftyOne",
        ),
        "layout": inputs.enum(
            "layout",
            list(LAYOUTS),
            default=settings.layout,
            label="Layout",
            view=dropdown(LAYOUTS),
        ),
        "annotated_in": inputs.enum(
            "annotated_in",
            names,
            label="Only frames with labels in",
            description="Empty: every frame of the video",
            view=dropdown(labels),
        ),
    }
    inputs.bool("zip", default=True, label="Also write <folder>.zip for the server")
    inputs.bool("overwrite", default=False, label="Replace folders of videos that are there")
    if ctx.params.get("out_dir"):  # nothing typed yet is not an error
        for name, message in exporting.settings_errors(samples, settings).items():
            mark(shown[name], message)
    return inputs


def _shown(summary: ExportSummary) -> dict[str, Any]:
    return {
        "folder": str(summary.folder),
        "zip_file": str(summary.zip_file or ""),
        "videos": len(summary.videos),
        "frames": summary.frames,
        "reasons": "\n\n".join(str(problem) for problem in summary.failed[:_LISTED]),
        "notes": "\n\n".join(str(note) for note in summary.notes[:_LISTED]),
    }
