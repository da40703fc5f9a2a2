"""The one base of all operators: what they are called, where they stand, how they run.

A subclass says what is its own; see "How to add" in CONTRIBUTING.md.
"""

from __future__ import annotations

import inspect
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, get_args, get_origin

import fiftyone as fo
import fiftyone.operators as foo
from fiftyone.core.collections import SampleCollection
from fiftyone.operators import types

from hs2s_core.checked.calls import argument_hints
from hs2s_core.errors import HS2SError
from hs2s_core.jobs import Steps, describe, retold

from ..drawing import offered_fields
from ..help import help_line
from ..jobs import drive
from ..labels.frame_fields import bare
from ..player import renew_first_frame, show_fields
from .form import HELP, Form, count, listed, misfits, target_of
from .model_inputs import model_params

_log = logging.getLogger(__name__)


class Named:
    """What the App calls an operator, or a panel."""

    key: ClassVar[str]
    """Its name in URIs; it also stands in fiftyone.yml."""
    title: ClassVar[str]
    about: ClassVar[str]
    """Of an operator, a line for the list of them and its form; of a panel, how to use it."""
    icon: ClassVar[str]
    """Name of a Material icon: it takes the colour of the App's theme, also below the pointer."""

    def named(self) -> dict[str, str]:
        """As FiftyOne's configurations take it."""
        return {"name": self.key, "label": self.title, "icon": self.icon}


class BaseOperator(Named, foo.Operator, ABC):
    """A form and what it does; ``execute`` is the subclass's."""

    call: ClassVar[Callable[..., Any]]
    """The function for scripts, as a staticmethod; its arguments are those of the operator."""
    page: ClassVar[str]
    """Of docs/, to which the form links."""
    action: ClassVar[str | None] = None
    """What it does to the videos that its form lets choose: "Propagate masks in"."""
    takes_more: ClassVar[Mapping[str, type]] = {}
    """Values that only its form has, beside the arguments of :attr:`call`: name -> kind."""
    takes_open: ClassVar[bool] = True
    """Whether it takes the open video, where one is open and nothing else is chosen.

    Not where what comes out is about all videos together.
    """
    takes_clips: ClassVar[bool] = False
    """Whether its form also takes a view of clips."""
    placed: ClassVar[bool] = False
    """Whether it has a button above the grid."""
    outputs: ClassVar[Mapping[str, str]] = {}
    """What its result may hold: name -> label; what is empty is not shown."""
    options: ClassVar[Mapping[str, Any]] = {}
    """More of FiftyOne's OperatorConfig."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run from a script; the arguments are those of :attr:`call`, whose result comes back."""
        return self.call(*args, **kwargs)

    @classmethod
    def takes(cls) -> dict[str, type]:
        """The values that it reads, also those that only scripts give: name -> kind.

        ``list`` is of texts.
        """
        hints = argument_hints(cls.call)
        asked = {name: _kind_of(hint) for name, hint in hints.items() if hint != SampleCollection}
        asked.pop("progress", None)
        return asked | dict(cls.takes_more)

    @property
    def config(self) -> foo.OperatorConfig:
        """What the App shows and how it runs the operator."""
        return foo.OperatorConfig(
            **self.named(), description=self.about, dynamic=True, **self.options
        )

    def resolve_placement(self, ctx: foo.ExecutionContext) -> types.Placement | None:
        """A button above the grid, for those that have one."""
        if not self.placed:
            return None
        button = types.Button(label=self.title, icon=self.icon, prompt=True)
        return types.Placement(types.Places.SAMPLES_GRID_SECONDARY_ACTIONS, button)

    def resolve_input(self, ctx: foo.ExecutionContext) -> types.Property:
        """The form; whatever would stop a run is shown in it and disables its button."""
        form = Form(ctx)
        form.inputs.md(help_line(self.about, self.page), name=HELP)
        wrong = misfits(ctx.params, self.takes(), strict=_asker(ctx) == "script")
        samples = None
        if wrong:
            form.mark(wrong)
        elif self.action is not None:
            samples = form.target(self.action, clips=self.takes_clips, opened=self.takes_open)
        if samples is not None or not (wrong or self.action):
            self.form(form, samples)
        return types.Property(form.inputs, view=types.View(label=self.title))

    def target(self, ctx: foo.ExecutionContext) -> SampleCollection:
        """What it works on."""
        return target_of(ctx, opened=self.takes_open, clips=self.takes_clips)

    @abstractmethod
    def form(self, form: Form, samples: Any) -> None:
        """Add the inputs; ``samples`` are the chosen videos, None without an ``action``."""

    def resolve_output(self, ctx: foo.ExecutionContext) -> types.Property:
        """How the result is shown."""
        return self.output(ctx.results or {})

    def output(self, result: Mapping[str, Any]) -> types.Property:
        """How a result is shown."""
        outputs = types.Object()
        for name, label in self.outputs.items():
            value = result.get(name)
            if isinstance(value, int):
                outputs.int(name, label=label)
            elif value:
                # Of plain text the App shows all lines as one.
                view = types.MarkdownView() if "\n" in str(value) else None
                outputs.str(name, label=label, view=view)
        return types.Property(outputs, view=types.View(label=self.title))


class JobOperator(BaseOperator):
    """Runs a job: at once with its progress live in the App, delegated, or from a script."""

    done: ClassVar[str]
    """What happened to a video: "propagated"."""
    hint: ClassVar[str] = ""
    """Where to read why videos failed."""
    changes: ClassVar[bool] = True
    """Whether it changes the dataset."""
    options: ClassVar[Mapping[str, Any]] = {
        "execute_as_generator": True,
        "allow_immediate_execution": True,
        "allow_delegated_execution": True,
    }

    def __call__(
        self,
        *args: Any,
        delegate: bool = False,
        delegation_target: str | None = None,
        **kwargs: Any,
    ) -> Any:
        """Run here and now, without the time limit of ``foo.execute_operator``.

        With ``delegate`` it is queued for ``fiftyone delegated launch`` instead.
        """
        if not delegate:
            return super().__call__(*args, **kwargs)
        bound = inspect.signature(self.call).bind(*args, **kwargs)
        bound.apply_defaults()
        given = dict(bound.arguments)
        given.pop("progress", None)
        target = None
        for name, value in list(given.items()):
            if isinstance(value, SampleCollection):
                target = {"view" if isinstance(value, fo.DatasetView) else "dataset": value}
                del given[name]
        return foo.execute_operator(
            self.uri,
            target,
            params=self.params(given),
            request_delegation=True,
            delegation_target=delegation_target,
        )

    def params(self, given: dict[str, Any]) -> dict[str, Any]:
        """The form's values for the arguments of :attr:`call`, as another process can read them.

        A network, where one is given, is named, or a file.
        """
        for name in ("model", "start"):
            if (model := given.pop(name, None)) is not None:
                given |= model_params(model)
        return {name: _plain(name, value) for name, value in given.items()}

    @abstractmethod
    def steps(self, ctx: foo.ExecutionContext) -> Steps[Any]:
        """The job that the form describes."""

    def result(self, summary: Any) -> dict[str, Any]:
        """What is shown, and kept of a delegated run, as plain values."""
        return {
            "target": summary.target,
            "done": len(summary.done),
            "skipped": summary.skipped,
            "left_out": summary.left_out or None,
            "failed": self.failures(summary),
            "speed": summary.speed,
            "reasons": listed(map(str, summary.failed)),
            "notes": listed(map(str, summary.notes)),
        }

    def failures(self, summary: Any) -> int:
        """How many videos failed, without those that were left out as the user wished."""
        return len(summary.failed) - int(summary.left_out)

    def refresh(self, ctx: foo.ExecutionContext, summary: Any) -> Sequence[Any]:
        """What the App has to do to show what is new.

        An open video is closed: it knows no field that is added while it is open, and its Annotate
        tab would go on with the labels that it has read (FiftyOne 1.22).
        """
        if not self.changes:
            return []
        closed = [ctx.trigger("close_sample")] if ctx.current_sample else []
        return [*closed, ctx.ops.reload_dataset()]

    def execute(self, ctx: foo.ExecutionContext) -> Any:
        """Progress messages for the App; the result when the run is delegated."""
        if _asker(ctx) == "app":
            return self._live(ctx)
        return self.result(
            drive(
                self.steps(ctx),
                lambda step: ctx.set_progress(progress=step.fraction, label=step.label),
            )
        )

    def _live(self, ctx: foo.ExecutionContext) -> Iterator[Any]:
        """An error that left this generator would freeze the App's dialog without a word."""
        try:
            summary = yield from retold(  # closed with this generator when the browser tab is
                self.steps(ctx),
                lambda step: ctx.ops.set_progress(progress=step.fraction, label=step.label),
            )
            failed = self.failures(summary)
            if failed:
                text = f"{count(failed)} not {self.done}{self.hint.format(summary)}"
                yield ctx.ops.notify(text, variant="warning")
            yield from self.refresh(ctx, summary)
            result = self.result(summary)
            yield ctx.ops.show_output(self.output(result).to_json(), result)
        except Exception as error:
            if not isinstance(error, HS2SError):
                _log.exception("%s failed", ctx.operator_uri)
            yield ctx.ops.notify(describe(error), variant="error")


def job_outputs(target: str, done: str, **more: str) -> dict[str, str]:
    """The labels of a summary's result."""
    return {
        "target": target,
        "done": f"Videos {done}",
        "skipped": "Videos that were done already",
        "left_out": "Videos left out",
        "failed": "Videos that failed",
        "speed": "Speed",
        **more,
        "reasons": f"Why videos were not {done}",
        "notes": "What to know",
    }


def show_result(ctx: foo.ExecutionContext, field: str, prompt_field: str = "") -> list[Any]:
    """Tick the frame field with a result, and untick that with the drawn masks of which it is made.

    Of labels of one object the Annotate tab shows those that it happens to read first, and these as
    they are in the first frame (FiftyOne 1.22): nobody could mend the result. Fields that the tab
    does not offer stay as they are. Where fields were unticked, the App ticks no new one by itself.
    Returns what a generator has to yield.
    """
    active = ctx.request_params.get("active_fields")
    if active is None:  # older FiftyOnes do not tell
        return []
    hidden = f"frames.{prompt_field}" if prompt_field in offered_fields(ctx.dataset) else ""
    wanted = dict.fromkeys([*active, f"frames.{field}"])
    fields = [path for path in wanted if path != hidden]
    return [] if fields == list(active) else [show_fields(ctx, fields)]


def reopen(ctx: foo.ExecutionContext, field: str, prompt_field: str) -> list[Any]:
    """Show the open video with new masks in a field that the App knows; see :func:`show_result`.

    Its Annotate tab would go on with the labels that it has read (FiftyOne 1.22).
    """
    shown = {"id": ctx.current_sample, "mode": "explore"}
    opened = ctx.trigger("open_sample", shown)
    ticked = show_result(ctx, field, prompt_field)
    return [ctx.ops.reload_samples(), opened, *ticked, renew_first_frame(ctx)]


def _kind_of(hint: Any) -> type:
    """What a form gives for an argument of this type."""
    parts = {get_origin(part) or part for part in get_args(hint) or (hint,)}
    if parts & {Collection, Iterable, Sequence}:
        return list
    return next((kind for kind in (bool, int, float) if kind in parts), str)


def _asker(ctx: foo.ExecutionContext) -> str:
    """Who asks: the ``app``, which shows messages; a ``script``, which chose all values; or none.

    Only the App's requests name the operator: FiftyOne's server would refuse others.
    """
    if ctx.delegated:
        return "nobody"
    return "app" if "operator_uri" in ctx.request_params else "script"


def _plain(name: str, value: Any) -> Any:
    if isinstance(value, Path) or (value and name in ("root", "meta", "folder", "out_dir")):
        return str(Path(value).expanduser().absolute())
    if isinstance(value, (set, frozenset, tuple)):
        return sorted(value)
    return bare(value) if isinstance(value, str) and name.endswith("field") else value
