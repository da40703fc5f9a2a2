"""The operator "Review an evaluation": saves the views of :mod:`..views` and opens one."""

from __future__ import annotations

from typing import Any, ClassVar

import fiftyone.operators as foo
from fiftyone.core.collections import SampleCollection

from hs2s_core.errors import HS2SError

from ..evaluation import list_evaluations, load_results
from ..views import VIEWS, knows_seen, save_views
from .base import BaseOperator
from .form import Form


class ReviewViews(BaseOperator):
    """Saves views of where an evaluation found trouble."""

    key = "review_views"
    title = "Review an evaluation"
    about = "Save views of worst videos, late failures, lost objects and more"
    page = "review.md"
    icon = "pageview"
    placed = True
    takes_more: ClassVar = {"show": str}
    outputs: ClassVar = {"views": "Saved views, and how many videos or clips they have"}
    options: ClassVar = {"allow_immediate_execution": True}

    call = staticmethod(save_views)

    def form(self, form: Form, samples: None) -> None:
        dataset = form.ctx.dataset
        keys = list_evaluations(dataset)
        if not keys:
            text = "Run 'Evaluate masks (J&F)' first; it needs predictions and true masks."
            form.refuse("none", "Nothing has been evaluated yet", text)
            return
        key = form.get("eval_key", keys[-1])
        form.choice("eval_key", keys, "Evaluation", default=keys[-1])
        offered = _offered(dataset, key) if key in keys else list(VIEWS)
        form.choice(
            "show",
            {name: f"{VIEWS[name].label}: {VIEWS[name].description}" for name in offered},
            "View to open",
            default=offered[0],
            description="All of them are saved",
        )

    def execute(self, ctx: foo.ExecutionContext) -> dict[str, Any]:
        """Save the views, all or only ``which``, and open the one that was asked for."""
        keys = list_evaluations(ctx.dataset)
        key = ctx.params.get("eval_key") or (keys[-1] if keys else "")
        saved = save_views(ctx.dataset, key, ctx.params.get("which"))
        chosen = VIEWS[ctx.params.get("show") or next(iter(VIEWS))].name(key)
        if chosen in saved:
            ctx.ops.set_view(view=ctx.dataset.load_saved_view(chosen))
        else:
            ctx.ops.notify(f"'{chosen}' is empty: there is nothing of this kind", variant="info")
        return {"views": "\n\n".join(f"{name}: {count}" for name, count in saved.items())}


def _offered(dataset: SampleCollection, eval_key: str) -> list[str]:
    """Views that the evaluation can give."""
    try:
        known = knows_seen(load_results(dataset, eval_key))
    except HS2SError:
        known = False
    return [name for name in VIEWS if known or name not in ("seen", "unseen")]
