"""Which fields the App shows: its Annotate tab cannot show two fields of one object."""

from __future__ import annotations

from typing import Any

import fiftyone.operators as foo

from ..drawing import offered_fields


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
    return [] if fields == list(active) else [ctx.ops.set_active_fields(fields)]
