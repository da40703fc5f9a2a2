"""The operator "Prepare for drawing": a form around :mod:`..drawing`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import fiftyone.operators as foo
from fiftyone.core.collections import SampleCollection
from fiftyone.operators import types

from hs2s_core.errors import HS2SError

from ..drawing import DRAWN, drawing_problem, known_classes, prepare_drawing
from ..videos import videos_of
from .form_parts import mark, refuse

_TITLE = "Prepare for drawing"


class PrepareDrawing(foo.Operator):
    """Adds a frame field in which masks can be drawn in the App."""

    @property
    def config(self) -> foo.OperatorConfig:
        """What the App shows and how it runs the operator."""
        return foo.OperatorConfig(
            name="prepare_drawing",
            label=_TITLE,
            description="Let the Annotate tab draw masks on videos: annotate, brush, segment",
            icon="/assets/icon.svg",
            dynamic=True,
        )

    def __call__(
        self, samples: SampleCollection, field: str = DRAWN, classes: Iterable[str] | None = None
    ) -> list[str]:
        """Prepare from a script; the arguments are those of ``drawing.prepare_drawing``."""
        return prepare_drawing(samples, field, classes)

    def resolve_input(self, ctx: foo.ExecutionContext) -> types.Property:
        """The field and its classes; what stands in the way disables the button."""
        inputs = types.Object()
        try:
            dataset = videos_of(ctx.dataset)
        except HS2SError as error:
            refuse(inputs, "no_video", "No video here", str(error))
            return types.Property(inputs, view=types.View(label=_TITLE))
        shown = inputs.str(
            "field",
            default=DRAWN,
            label="Frame field",
            description="For the masks that you draw; it is added if there is none of this name",
        )
        inputs.str(
            "classes",
            default=", ".join(known_classes(dataset)) or "object",
            label="Classes",
            description="That an object can have, separated by commas",
        )
        problem = drawing_problem(dataset, _field(ctx))
        if problem is not None:
            mark(shown, problem)
        return types.Property(inputs, view=types.View(label=_TITLE))

    def execute(self, ctx: foo.ExecutionContext) -> dict[str, Any]:
        """Prepare, and let the App see it."""
        classes = ctx.params.get("classes") or None
        if isinstance(classes, str):
            classes = classes.split(",")
        offered = prepare_drawing(ctx.dataset, _field(ctx), classes)
        ctx.ops.reload_dataset()
        return {
            "field": f"frames.{_field(ctx)}",
            "classes": ", ".join(offered),
            "next": "Open a video, choose Annotate, the mask tool and its brush, and paint.",
        }

    def resolve_output(self, ctx: foo.ExecutionContext) -> types.Property:
        """What to do next."""
        outputs = types.Object()
        outputs.str("field", label="Frame field")
        outputs.str("classes", label="Classes")
        outputs.str("next", label="How to draw")
        return types.Property(outputs, view=types.View(label=_TITLE))


def _field(ctx: foo.ExecutionContext) -> str:
    return (ctx.params.get("field") or DRAWN).removeprefix("frames.")
