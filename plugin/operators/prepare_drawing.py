"""The operator "Prepare for drawing": a form around :mod:`..drawing`."""

from __future__ import annotations

from typing import Any, ClassVar

import fiftyone as fo
import fiftyone.operators as foo

from hs2s_core.errors import HS2SError

from ..drawing import (
    DRAWN,
    drawing_problem,
    known_classes,
    offered_classes,
    prepare_drawing,
    turned_videos,
    without_metadata,
)
from ..labels.conversion import NO_CLASS
from ..labels.frame_fields import bare
from ..propagation import DEFAULT_OUTPUT, PropagateSettings, declare_output
from ..videos.collection import videos_of
from .base import BaseOperator
from .form import FRAMES, Form, listed

_VIDEOS = 50
"""How many videos are looked at for being turned."""


class PrepareDrawing(BaseOperator):
    """Adds a frame field in which masks can be drawn in the App."""

    key = "prepare_drawing"
    title = "Prepare for drawing"
    about = "Let the Annotate tab draw masks on videos, into a frame field"
    page = "draw.md"
    icon = "brush"
    placed = True
    call = staticmethod(prepare_drawing)
    outputs: ClassVar = {
        "field": "Frame field",
        "classes": "Classes",
        "unknown": "Videos that cannot be drawn on, as ffprobe is missing or cannot read them",
        "turned": "Videos that Annotate shows on their side; draw in upright copies of them",
        "next": "How to draw",
    }

    def form(self, form: Form, samples: None) -> None:
        """The field and its classes; what stands in the way disables the button."""
        try:
            dataset = videos_of(form.ctx.dataset)
        except HS2SError as error:
            form.refuse("no_video", "No video here", str(error))
            return
        form.text(
            "field",
            "Frame field",
            default=DRAWN,
            description="For the masks that you draw; it is added if there is none of this name",
        )
        field = _field(form)  # what can be drawn in it already, else what labels have
        classes = offered_classes(dataset, field) or known_classes(dataset, FRAMES) or [NO_CLASS]
        form.text(
            "classes",
            "Classes",
            default=", ".join(classes),
            description="That an object can have, separated by commas; those of labels stay",
        )
        problem = drawing_problem(dataset, field)
        form.mark({} if problem is None else {"field": problem})

    def execute(self, ctx: foo.ExecutionContext) -> dict[str, Any]:
        form = Form(ctx)
        field = _field(form)
        # What the form shows, where nothing was typed.
        classes = form.get("classes") or offered_classes(ctx.dataset, field) or None
        offered = prepare_drawing(ctx.dataset, field, classes)
        _prepare_results(ctx.dataset, field)
        ctx.ops.reload_dataset()
        return {
            "field": f"frames.{field}",
            "classes": ", ".join(offered),
            "unknown": len(without_metadata(videos_of(ctx.dataset))) or None,
            "turned": listed(turned_videos(videos_of(ctx.dataset), _VIDEOS)),
            "next": "Open a video, choose Annotate, the mask tool and its brush, and paint.",
        }


def _prepare_results(dataset: fo.Dataset, drawn: str) -> None:
    """Add the field in which results will be, as an open video shows none that is added later.

    Not where it would stand before the field ``drawn``, and get what is drawn (see ``DRAWN``).
    """
    if drawn < DEFAULT_OUTPUT and drawing_problem(dataset, DEFAULT_OUTPUT) is None:
        declare_output(dataset, PropagateSettings(drawn, DEFAULT_OUTPUT))


def _field(form: Form) -> str:
    return bare(form.get("field", DRAWN))
