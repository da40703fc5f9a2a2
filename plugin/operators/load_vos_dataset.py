"""The operator "Load a VOS dataset": a form around :mod:`..dataset`."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import fiftyone as fo
import fiftyone.operators as foo
from fiftyone.operators import types

from hs2s_core.data.folders import list_splits

from ..dataset import LoadSummary, load, run
from ..load_plan import DEFAULT_LABEL_FIELD, InvalidSettings, LoadPlan, plan_load
from ..progress import Progress
from .form_parts import count, dropdown, mark
from .live import is_live, run_delegated, run_live

_TITLE = "Load a VOS dataset"
_LISTED = 10


class LoadVosDataset(foo.Operator):
    """Makes a video dataset of a YouTube-VOS, DAVIS or plain VOS folder."""

    @property
    def config(self) -> foo.OperatorConfig:
        """What the App shows and how it runs the operator."""
        return foo.OperatorConfig(
            name="load_vos_dataset",
            label=_TITLE,
            description="Make a video dataset of a YouTube-VOS or DAVIS folder",
            icon="/assets/icon.svg",
            dynamic=True,
            execute_as_generator=True,
            allow_immediate_execution=True,
            allow_delegated_execution=True,
        )

    def __call__(
        self,
        root: str | Path,
        name: str | None = None,
        *,
        split: str | None = None,
        label_field: str = DEFAULT_LABEL_FIELD,
        videos: Sequence[str] | None = None,
        max_samples: int | None = None,
        fps: float | None = None,
        video_dir: str | Path | None = None,
        persistent: bool = False,
        delegate: bool = False,
        delegation_target: str | None = None,
    ) -> fo.Dataset | foo.ExecutionResult:
        """Load from a script; the arguments are those of ``dataset.load``.

        Runs here and now, without the time limit of ``foo.execute_operator``, and returns the
        dataset. With ``delegate`` it is queued for ``fiftyone delegated launch`` instead; the
        dataset is persistent then, because another process makes it.
        """
        settings: dict[str, Any] = {
            "split": split,
            "label_field": label_field,
            "videos": list(videos) if videos is not None else None,
            "max_samples": max_samples,
            "fps": fps,
            "video_dir": str(video_dir) if video_dir is not None else None,
        }
        if not delegate:
            return load(root, name, persistent=persistent, **settings)
        place = str(Path(root).expanduser().absolute())
        return foo.execute_operator(
            self.uri,
            params={"root": place, "name": name, "persistent": True, **settings},
            request_delegation=True,
            delegation_target=delegation_target,
        )

    def resolve_input(self, ctx: foo.ExecutionContext) -> types.Property:
        """The form; whatever would stop a load is shown at its field and disables the button."""
        inputs = types.Object()
        plan, errors = _plan(ctx)
        root = inputs.str(
            "root",
            required=True,
            label="Folder",
            description="Root of the dataset, as seen by the machine that runs FiftyOne",
        )
        shown = {"root": root, "videos": root}
        if ctx.params.get("root") and "root" not in errors:
            shown |= _add_settings(inputs, ctx, plan)
        for key, message in errors.items():
            field = shown.get(key)
            if field is None:
                field = inputs.view(key, types.Error(label="Cannot load", description=message))
            mark(field, message)
        if plan is not None:
            inputs.view("plan", types.Notice(label=_plan_text(plan)))
        return types.Property(inputs, view=types.View(label=_TITLE))

    def execute(self, ctx: foo.ExecutionContext) -> Any:
        """Progress messages for the App; the summary when the load is delegated."""
        if not is_live(ctx):
            return _result(run_delegated(ctx, _steps(ctx)))
        # A closed browser tab ends it; the finished videos stay, and the next load goes on.
        return run_live(ctx, lambda: _steps(ctx), lambda summary: _finish(ctx, summary))

    def resolve_output(self, ctx: foo.ExecutionContext) -> types.Property:
        """How the summary is shown."""
        return _output()


# ---------------------------------------------------------------- the form


def _plan(ctx: foo.ExecutionContext) -> tuple[LoadPlan | None, dict[str, str]]:
    """The load that the form describes, or what stands in its way by field."""
    root = (ctx.params.get("root") or "").strip()
    if not root:
        return None, {}
    get = ctx.params.get
    try:
        plan = plan_load(
            root,
            get("name") or None,
            split=get("split") or None,
            label_field=get("label_field") or DEFAULT_LABEL_FIELD,
            videos=get("videos"),
            max_samples=get("max_samples"),
            fps=get("fps"),
            video_dir=get("video_dir"),
            persistent=bool(get("persistent", True)),
        )
    except InvalidSettings as error:
        errors = dict(error.errors)
        if "root" in errors and list_splits(root) and not get("split"):
            # Not the folder is wrong: one of its splits has to be chosen.
            errors["split"] = errors.pop("root")
        return None, errors
    return plan, {}


def _add_settings(
    inputs: types.Object, ctx: foo.ExecutionContext, plan: LoadPlan | None
) -> dict[str, types.Property]:
    """Everything that depends on the folder; returns the fields that can be marked as wrong."""
    shown: dict[str, types.Property] = {}
    splits = list_splits(ctx.params["root"].strip())
    if splits:
        view = dropdown({name: name for name in splits})
        shown["split"] = inputs.enum(
            "split", splits, label="Split", description="Which of the folder's parts", view=view
        )
    shown["name"] = inputs.str(
        "name",
        label="Dataset name",
        description=f"Empty: {plan.name}" if plan is not None else "Empty: from the folder",
    )
    shown["label_field"] = inputs.str(
        "label_field",
        default=DEFAULT_LABEL_FIELD,
        label="Label field",
        description="Frame field for the annotated masks",
    )
    shown["max_samples"] = inputs.int(
        "max_samples", label="At most so many videos", description="Empty: all of them"
    )
    shown["fps"] = inputs.float(
        "fps",
        label="Frames per second",
        description="Of the videos that the App plays; empty: those of the layout",
    )
    inputs.bool("persistent", default=True, label="Keep the dataset after FiftyOne shuts down")
    return shown


def _plan_text(plan: LoadPlan) -> str:
    layouts = {"youtube-vos": "YouTube-VOS", "davis": "DAVIS", "plain": "plain"}
    again = " (only what is not there yet)" if fo.dataset_exists(plan.name) else ""
    return (
        f"{layouts[plan.folder.layout]} layout: {count(len(plan.videos))} into '{plan.name}'{again}"
    )


# ---------------------------------------------------------------- running


def _steps(ctx: foo.ExecutionContext) -> Generator[Progress, None, LoadSummary]:
    plan, errors = _plan(ctx)
    if plan is None:
        raise InvalidSettings(errors or {"root": "no folder given; name the root of the dataset."})
    return run(plan)


def _finish(ctx: foo.ExecutionContext, summary: LoadSummary) -> Iterator[Any]:
    if summary.failed:
        yield ctx.ops.notify(f"{count(len(summary.failed))} not loaded", variant="warning")
    yield ctx.ops.open_dataset(summary.dataset.name)
    yield ctx.ops.show_output(_output().to_json(), _result(summary))


def _result(summary: LoadSummary) -> dict[str, Any]:
    reasons = [f"**{video}**: {why}" for video, why in summary.failed.items()]
    if len(reasons) > _LISTED:
        reasons = [*reasons[:_LISTED], f"and {len(reasons) - _LISTED} more"]
    return {
        "dataset": summary.dataset.name,
        "loaded": len(summary.loaded),
        "skipped": summary.skipped,
        "failed": len(summary.failed),
        "reasons": "\n\n".join(reasons),
    }


def _output() -> types.Property:
    outputs = types.Object()
    outputs.str("dataset", label="Dataset")
    outputs.int("loaded", label="Videos loaded")
    outputs.int("skipped", label="Videos that were there already")
    outputs.int("failed", label="Videos not loaded")
    outputs.str("reasons", label="Why videos were not loaded")
    return types.Property(outputs, view=types.View(label=_TITLE))
