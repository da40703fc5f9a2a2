"""The operator "Review an evaluation": saves the views of :mod:`..views` and opens one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import fiftyone.operators as foo
from fiftyone.core.collections import SampleCollection
from fiftyone.operators import types

from hs2s_core.errors import HS2SError

from ..evaluation import list_evaluations, load_results
from ..views import VIEWS, knows_seen, save_views
from .form_parts import dropdown, refuse

_TITLE = "Review an evaluation"


class ReviewViews(foo.Operator):
    """Saves views of where an evaluation found trouble."""

    @property
    def config(self) -> foo.OperatorConfig:
        """What the App shows and how it runs the operator."""
        return foo.OperatorConfig(
            name="review_views",
            label=_TITLE,
            description="Save views of worst videos, late failures, lost objects and more",
            icon="/assets/icon.svg",
            dynamic=True,
            allow_immediate_execution=True,
        )

    def __call__(
        self, samples: SampleCollection, eval_key: str, which: Iterable[str] | None = None
    ) -> dict[str, int]:
        """Save the views from a script; the arguments are those of ``views.save_views``."""
        return save_views(samples, eval_key, which)

    def resolve_placement(self, ctx: foo.ExecutionContext) -> types.Placement:
        """A button above the grid."""
        button = types.Button(label=_TITLE, icon="/assets/icon.svg", prompt=True)
        return types.Placement(types.Places.SAMPLES_GRID_SECONDARY_ACTIONS, button)

    def resolve_input(self, ctx: foo.ExecutionContext) -> types.Property:
        """Which evaluation, and which view to open."""
        inputs = types.Object()
        keys = list_evaluations(ctx.dataset)
        if not keys:
            text = "Run 'Evaluate masks (J&F)' first; it needs predictions and true masks."
            refuse(inputs, "none", "Nothing has been evaluated yet", text)
            return types.Property(inputs, view=types.View(label=_TITLE))
        key = ctx.params.get("eval_key") or keys[-1]
        inputs.enum(
            "eval_key",
            keys,
            default=keys[-1],
            label="Evaluation",
            view=dropdown({name: name for name in keys}),
        )
        offered = _offered(ctx.dataset, key) if key in keys else list(VIEWS)
        inputs.enum(
            "show",
            offered,
            default=offered[0],
            label="View to open",
            description="All of them are saved",
            view=dropdown({name: VIEWS[name].description for name in offered}),
        )
        return types.Property(inputs, view=types.View(label=_TITLE))

    def execute(self, ctx: foo.ExecutionContext) -> dict[str, Any]:
        """Save the views, and open the one that was asked for."""
        keys = list_evaluations(ctx.dataset)
        key = ctx.params.get("eval_key") or (keys[-1] if keys else "")
        saved = save_views(ctx.dataset, key)
        chosen = VIEWS[ctx.params.get("show") or next(iter(VIEWS))].name(key)
        if chosen in saved:
            ctx.ops.set_view(view=ctx.dataset.load_saved_view(chosen))
        else:
            ctx.ops.notify(f"'{chosen}' is empty: there is nothing of this kind", variant="info")
        return {"views": "\n\n".join(f"{name}: {count}" for name, count in saved.items())}

    def resolve_output(self, ctx: foo.ExecutionContext) -> types.Property:
        """What was saved."""
        outputs = types.Object()
        outputs.str("views", label="Saved views, and how many videos or clips they have")
        return types.Property(outputs, view=types.View(label=_TITLE))


def _offered(dataset: SampleCollection, eval_key: str) -> list[str]:
    """Views that the evaluation can give."""
    try:
        known = knows_seen(load_results(dataset, eval_key))
    except HS2SError:
        known = False
    return [name for name in VIEWS if known or name not in ("seen", "unseen")]
