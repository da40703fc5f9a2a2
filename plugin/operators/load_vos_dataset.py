"""The operator "Load a VOS dataset": a form around :mod:`..loading`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import fiftyone as fo
import fiftyone.operators as foo

from hs2s_core.data.folders import list_splits
from hs2s_core.jobs import Steps

from ..loading.dataset import LoadSummary, load, load_steps
from ..loading.plan import DEFAULT_LABEL_FIELD, InvalidSettings, LoadPlan, LoadSettings, plan_load
from .base import JobOperator, job_outputs
from .form import Form, count


class LoadVosDataset(JobOperator):
    """Makes a video dataset of a YouTube-VOS, DAVIS or plain VOS folder."""

    key = "load_vos_dataset"
    title = "Load a VOS dataset"
    about = "Make a video dataset of a YouTube-VOS or DAVIS folder"
    page = "data.md"
    icon = "create_new_folder"
    call = staticmethod(load)
    done = "loaded"
    outputs = job_outputs("Dataset", "loaded")

    def form(self, form: Form, samples: None) -> None:
        plan, errors = _plan(form)
        form.text(
            "root",
            "Folder",
            required=True,
            description="Root of the dataset, such as /data/DAVIS or /data/YouTube-VOS/valid, as "
            "seen by the machine that runs FiftyOne",
        )
        if form.get("root") and "root" not in errors:
            _add_settings(form, plan)
        form.mark(errors)
        if plan is not None:
            form.notice("plan", _plan_text(plan))

    def params(self, given: dict[str, Any]) -> dict[str, Any]:
        """The form's values; another process makes the dataset, so it is persistent."""
        return super().params({**given, "persistent": True})

    def steps(self, ctx: foo.ExecutionContext) -> Steps[LoadSummary]:
        """The load that the form describes; the finished videos stay if it is stopped."""
        plan, errors = _plan(Form(ctx))
        if plan is None:
            missing = {"root": "no folder given; name the root of the dataset."}
            raise InvalidSettings(errors or missing)
        return load_steps(plan)

    def refresh(self, ctx: foo.ExecutionContext, summary: LoadSummary) -> Sequence[Any]:
        return [ctx.ops.open_dataset(summary.target)]


def _plan(form: Form) -> tuple[LoadPlan | None, dict[str, str]]:
    """The load that the form describes, or what stands in its way by field."""
    root = form.get("root", "").strip()
    if not root:
        return None, {}
    names = ("name", "split", "label_field", "videos", "max_samples", "fps", "video_dir")
    persistent = bool(form.ctx.params.get("persistent", True))
    try:
        return plan_load(LoadSettings(root, **form.given(*names), persistent=persistent)), {}
    except InvalidSettings as error:
        errors = dict(error.errors)
        if "videos" in errors:
            errors["root"] = errors.pop("videos")
        elif "root" in errors and list_splits(root) and not form.get("split"):
            # Not the folder is wrong: one of its splits has to be chosen.
            errors["split"] = errors.pop("root")
        return None, errors


def _add_settings(form: Form, plan: LoadPlan | None) -> None:
    """Everything that depends on the folder."""
    splits = list_splits(form.get("root").strip())
    if splits:
        given = form.get("split")
        if plan is not None and given:  # also as much of a split's name as tells which it is
            splits = list(dict.fromkeys([*splits, given]))
        form.choice("split", splits, "Split", description="Which of the folder's parts")
    form.text(
        "name",
        "Dataset name",
        description=f"Empty: {plan.name}" if plan is not None else "Empty: from the folder",
    )
    form.text(
        "label_field",
        "Label field",
        default=DEFAULT_LABEL_FIELD,
        description="Frame field for the annotated masks",
    )
    form.whole("max_samples", "At most so many videos", least=1, description="Empty: all of them")
    form.number(
        "fps",
        "Frames per second",
        description="Of the videos that the App plays; empty: those of the layout",
    )
    form.switch("persistent", "Keep the dataset after FiftyOne shuts down", default=True)


def _plan_text(plan: LoadPlan) -> str:
    layouts = {"youtube-vos": "YouTube-VOS", "davis": "DAVIS", "plain": "plain"}
    again = " (only what is not there yet)" if fo.dataset_exists(plan.name) else ""
    return (
        f"{layouts[plan.folder.layout]} layout: {count(len(plan.videos))} into '{plan.name}'{again}"
    )
