"""Small pieces that the forms of several operators are made of."""

from __future__ import annotations

from collections.abc import Mapping

import fiftyone.operators as foo
from fiftyone.core.collections import SampleCollection
from fiftyone.operators import types

from hs2s_core.errors import HS2SError
from hs2s_core.wording import counted

from ..videos import videos_of


def dropdown(choices: Mapping[str, str]) -> types.DropdownView:
    """Choices by value, each with what is shown for it."""
    view = types.DropdownView()
    for value, label in choices.items():
        view.add_choice(value, label=label)
    return view


def mark(shown: types.Property, message: str) -> None:
    """Show a message at an input and disable the form's button."""
    shown.invalid = True
    shown.error_message = message


def refuse(inputs: types.Object, name: str, title: str, text: str) -> None:
    """A notice that also disables the form's button."""
    shown = inputs.view(name, types.Error(label=title, description=text))
    mark(shown, f"{title}: {text}")


def count(number: int) -> str:
    """ "1 video", "2 videos"."""
    return counted(number, "video")


def target_videos(
    ctx: foo.ExecutionContext, inputs: types.Object, action: str
) -> SampleCollection | None:
    """Let the user choose what to work on; None, and a notice, if that has no videos."""
    inputs.view_target(ctx, action_description=action)
    try:
        return videos_of(ctx.target_view())
    except HS2SError as error:
        refuse(inputs, "no_video", "No video here", str(error))
        return None
