"""Which fields the App shows: its Annotate tab cannot show two fields of one object."""

from __future__ import annotations

from typing import Any

import fiftyone.operators as foo

from ..drawing import offered_fields


def show_instead(ctx: foo.ExecutionContext, prompt_field: str, output_field: str) -> list[Any]:
    """Untick the frame field with drawn masks where it is shown, and tick that with the result.

    Of labels of one object the Annotate tab shows those that it happens to read first, and these as
    they are in the first frame (FiftyOne 1.22): nobody could mend the result. Fields that the tab
    does not offer stay as they are. Returns what a generator has to yield.
    """
    drawn, result = f"frames.{prompt_field}", f"frames.{output_field}"
    active = list(getattr(ctx, "active_fields", []))
    if drawn not in active or prompt_field not in offered_fields(ctx.dataset):
        return []
    fields = [path for path in dict.fromkeys([*active, result]) if path != drawn]
    return [ctx.ops.set_active_fields(fields)]
