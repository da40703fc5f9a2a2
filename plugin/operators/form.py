"""What the forms of all operators are made of."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Collection, Iterable, Mapping
from math import isfinite
from typing import Any
from zlib import crc32

import fiftyone.operators as foo
from fiftyone.core.collections import SampleCollection
from fiftyone.operators import types

from hs2s_core.errors import HS2SError
from hs2s_core.jobs import Plan
from hs2s_core.media.strip import Picture
from hs2s_core.wording import counted

from ..labels.frame_fields import bare, has_labels, mask_fields, prompt_fields
from ..videos.clips import clips_of
from ..videos.collection import select_videos, videos_of

HELP, TARGET = "help", "view_target"
"""The line at the top of a form; what it works on."""
OPEN, SELECTED = "OPEN_VIDEO", "SELECTED_SAMPLES"
"""Values of that target: the open video, which FiftyOne does not offer, and what is selected."""
LISTED = 10
"""How many videos a form or a result names."""
LOOKS = 5
"""How many videos a form opens each time it is shown; a run looks at all of them first."""
FRAMES = 1000
"""How many frames a form looks at to tell what a field holds: it must answer quickly, however large
a dataset is."""


_KINDS: Mapping[type, tuple[str, tuple[type, ...]]] = {
    str: ("a text", (str,)),
    bool: ("true or false", (bool,)),
    int: ("a whole number", (int, float)),  # a fraction is told at its input
    float: ("a number", (int, float)),
    list: ("a list of texts", (list, tuple, str)),
}


def misfits(
    values: Mapping[str, Any], takes: Mapping[str, type], *, strict: bool
) -> dict[str, str]:
    """Which values are not of the kind that an operator ``takes``: name -> message.

    ``strict`` refuses names that it does not read too: the App keeps values of inputs that are not
    shown any more, but what a script gives would be left out without a word.
    """
    wrong = {}
    for name, value in values.items():
        if name not in takes:
            if strict and name != TARGET:
                listed = ", ".join(sorted(takes)) or "none"
                wrong[name] = f"there is no parameter of this name; expected some of {listed}"
            continue
        expected, kinds = _KINDS[takes[name]]
        fits = isinstance(value, kinds) and isinstance(value, bool) <= (takes[name] is bool)
        if isinstance(value, float):
            fits = fits and isfinite(value)
        elif isinstance(value, (list, tuple)):
            fits = fits and all(isinstance(each, str) for each in value)
        if not fits and value is not None and value != "":
            wrong[name] = f"found {value!r}; expected {expected}"
    return wrong


class Form:
    """The inputs of an operator, each shown once; errors stand at the input they belong to."""

    def __init__(self, ctx: foo.ExecutionContext) -> None:
        self.ctx = ctx
        self.inputs = types.Object()
        self._shown: dict[str, types.Property] = {}

    def get(self, name: str, default: Any = None) -> Any:
        """A value of the form, the default where it is empty.

        Defaults are not in ``ctx.params`` until the user touched them.
        """
        value = self.ctx.params.get(name)
        if value is None or value == "":
            return default
        return int(value) if isinstance(value, float) and value.is_integer() else value

    def given(self, *names: str) -> dict[str, Any]:
        """Those of these values that are not empty; the defaults are whose they are for."""
        values = ((name, self.get(name)) for name in names)
        return {name: value for name, value in values if value is not None}

    def target(
        self, action: str, *, clips: bool = False, opened: bool = True
    ) -> SampleCollection | None:
        """Let the user choose what to work on; None, and a notice, if that has no videos.

        With ``clips`` it may also be a view of clips, as which it is returned. ``opened`` is that
        of :func:`target_of`.
        """
        offer = self.inputs.view_target(self.ctx, action_description=action)
        if self.ctx.current_sample:
            _offer_open_video(offer, action)
        if wanted := _wanted_target(self.ctx, opened):
            offer.default = wanted
        try:
            chosen = target_of(self.ctx, opened=opened, clips=clips)
            return chosen if clips and clips_of(chosen)[1] is not None else videos_of(chosen)
        except HS2SError as error:
            self.refuse("no_video", "No video here", str(error))
            return None

    def mask_fields(self, samples: SampleCollection, title: str) -> list[str]:
        """The frame fields that can hold masks; a refusal of this ``title`` if there are none."""
        names = sorted(mask_fields(samples))
        if not names:
            self.refuse("no_field", title, "No frame field can hold masks.")
        return names

    def chosen_field(
        self, name: str, samples: SampleCollection, rank: Callable[[str], Any], other: str = ""
    ) -> str:
        """What was chosen at this input, else the field of masks of lowest rank but ``other``.

        A field of points is only proposed where there is none of masks.
        """
        names = mask_fields(samples).keys() - {other} or prompt_fields(samples)
        return bare(self.get(name) or min(sorted(names), key=rank, default=""))

    def choice(
        self, name: str, choices: Mapping[str, str] | Iterable[str], label: str, **shown: Any
    ) -> None:
        """One of several values, each with what is shown for it."""
        labels = shown_for(choices)
        view = dropdown(labels)
        self._shown[name] = self.inputs.enum(name, list(labels), label=label, view=view, **shown)
        given = self.get(name)
        if given is not None and given not in labels:
            self.mark({name: f"{given!r} is none of {', '.join(labels)}"})

    def field(self, name: str, names: Iterable[str], label: str, **shown: Any) -> None:
        """One of several frame fields; scripts may give one as FiftyOne calls it, "frames.hs2s"."""
        labels = {each: f"frames.{each}" for each in names}
        given = self.get(name)
        if given in labels.values():
            labels[given] = given
        self.choice(name, labels, label, **shown)

    def text(self, name: str, label: str, **shown: Any) -> None:
        """A line of text."""
        self._shown[name] = self.inputs.str(name, label=label, **shown)

    def whole(self, name: str, label: str, *, least: int, **shown: Any) -> None:
        """A whole number; the App's input takes others too."""
        self._shown[name] = self.inputs.int(name, label=label, min=least, **shown)
        given = self.get(name)
        if isinstance(given, float) or (given is not None and given < least):
            self.mark({name: f"{given} was given; expected a whole number, {least} or more"})

    def number(self, name: str, label: str, **shown: Any) -> None:
        """Any number."""
        self._shown[name] = self.inputs.float(name, label=label, **shown)

    def switch(self, name: str, label: str, default: bool = False, **shown: Any) -> None:
        """Yes or no."""
        self._shown[name] = self.inputs.bool(name, label=label, default=default, **shown)

    def notice(self, name: str, label: str) -> None:
        """Something to know."""
        self.inputs.view(name, types.Notice(label=label))

    def picture(self, label: str, picture: Picture) -> None:
        """A picture to look at, as wide as it is."""
        url = f"data:image/jpeg;base64,{b64encode(picture._repr_jpeg_()).decode()}"
        # The App keeps the value of an input, and would go on showing an older picture.
        name = f"picture_{crc32(url.encode()):08x}"
        self.inputs.str(name, label=label, default=url, view=types.ImageView(alt=label))

    def warn(self, name: str, label: str, text: str) -> None:
        """Something to think of."""
        self.inputs.view(name, types.Warning(label=label, description=text))

    def refuse(self, name: str, label: str, text: str) -> None:
        """Something that disables the form's button."""
        self._shown[name] = self.inputs.view(name, types.Error(label=label, description=text))
        self.mark({name: f"{label}: {text}"})

    def mark(self, errors: Mapping[str, str]) -> None:
        """Show messages at their inputs and disable the form's button."""
        for name, message in errors.items():
            if name not in self._shown:
                self._shown[name] = self.inputs.view(
                    name, types.Error(label="This cannot work", description=message)
                )
            self._shown[name].invalid = True
            self._shown[name].error_message = message

    def plan(
        self,
        plan: Plan,
        verb: str,
        done: str,
        *,
        leave_out: bool | None = None,
        more: str = "",
        instead: str = "",
    ) -> None:
        """How many videos a job would do ("to propagate"), and which cannot be ("propagated").

        ``more`` is what else to know of the first, ``instead`` what else can be done where all are
        done already. Where ``leave_out`` is a bool, it says whether
        the user agreed to go on without the others.
        """
        above = list(self.inputs.properties)
        text = f"{count(len(plan.todo))} to {verb}{more}"
        if plan.skipped:
            text += f", {len(plan.skipped)} done already"
        if plan.unchecked:
            text += f"; {plan.unchecked} of them will be checked when the run starts"
        if plan.problems:
            number = count(len(plan.problems))
            if leave_out is not None:
                label = f"Go on without the {number} that cannot be {done}"
                self.switch("skip_invalid", label, view=types.CheckboxView())
            shown = self.warn if plan.todo and leave_out is not False else self.refuse
            shown("problems", f"{number} cannot be {done}", listed(map(str, plan.problems)))
        if plan.todo:
            self.notice("plan", text)
        elif not plan.problems:
            hint = "No video is left."
            if plan.skipped:
                hint = f"Tick '{self._shown['overwrite'].view.label}' to do them again.{instead}"
            view = types.Notice(label="Nothing to do", description=f"{text}. {hint}")
            self._shown["nothing"] = self.inputs.view("nothing", view)
            self.mark({"nothing": f"Nothing to do: {text}. {hint}"})
        self.put_first(above)

    def put_first(self, rest: Collection[str]) -> None:
        """Show the inputs that are not in ``rest`` above it, below the target.

        Below a long form nobody would see why its button is disabled.
        """
        head = [name for name in rest if name in (HELP, TARGET)]
        new = [name for name in self.inputs.properties if name not in rest]
        order = [*head, *new, *(name for name in rest if name not in head)]
        self.inputs.properties = {name: self.inputs.properties[name] for name in order}


def target_of(
    ctx: foo.ExecutionContext, *, opened: bool = True, clips: bool = False
) -> SampleCollection:
    """What an operator works on: what its form chose, else what is most likely meant.

    That is what is selected, else the view; before both, where ``opened``, the open video. Of a
    clip that is open this is the whole video, unless it takes ``clips``.
    """
    target = _wanted_target(ctx, opened)
    if target == OPEN:
        if ctx.view._is_generated and not clips:
            return open_video(ctx)
        view = ctx.view if ctx.view._is_generated else videos_of(ctx.view)
        shown = view.select(ctx.current_sample)  # with the labels that the view shows
        return shown if shown else open_video(ctx)
    if target == SELECTED:
        return ctx.target_view().select(ctx.selected)
    return ctx.target_view()


def open_video(ctx: foo.ExecutionContext) -> SampleCollection:
    """The open video, or that of an open clip, of the whole dataset; empty if there is none."""
    opened = ctx.current_sample
    if ctx.view._is_generated:
        opened = next(iter(ctx.view.select(opened).values("sample_id")), opened)
    return select_videos(ctx.dataset, opened)


def is_open_video(ctx: foo.ExecutionContext) -> bool:
    """Whether that is what :func:`target_of` gives."""
    return _wanted_target(ctx, True) == OPEN


def _wanted_target(ctx: foo.ExecutionContext, opened: bool) -> str | None:
    """The target that was chosen, else the default; None where FiftyOne's own will do."""
    # Newer FiftyOnes take it out of the form's values.
    given = ctx.params.get(TARGET) or ctx.request_params.get(TARGET)
    if given and not (given == OPEN and not ctx.current_sample):
        return str(given)
    if opened and ctx.current_sample:
        return OPEN
    return SELECTED if ctx.selected else None


def _offer_open_video(offer: types.Property, action: str) -> None:
    """Add the open video to what can be chosen, and show the choice, of two at least now."""
    shown = offer.options.choices_view
    shown.add_choice(OPEN, label="Open video", description=f"{action} the video that is open")
    offer.type.values.append(OPEN)
    offer.view = shown


def seems_labelled(samples: SampleCollection, field: str) -> bool:
    """Whether a frame field has labels, as far as a bounded number of frames tells."""
    return has_labels(samples, field, at_most=FRAMES)


def shown_for(choices: Mapping[str, str] | Iterable[str]) -> Mapping[str, str]:
    """What is shown for each of some values: where nothing else is said, themselves."""
    return choices if isinstance(choices, Mapping) else {value: value for value in choices}


def dropdown(choices: Mapping[str, str] | Iterable[str], **shown: Any) -> types.DropdownView:
    """Choices by value, each with what is shown for it."""
    view = types.DropdownView(**shown)
    for value, label in shown_for(choices).items():
        view.add_choice(value, label=label)
    return view


def count(number: int) -> str:
    """ "1 video", "2 videos"."""
    return counted(number, "video")


def listed(lines: Iterable[str]) -> str:
    """The first of many lines, a paragraph each."""
    given = list(lines)
    more = [f"and {len(given) - LISTED} more"] if len(given) > LISTED else []
    return "\n\n".join(given[:LISTED] + more)
