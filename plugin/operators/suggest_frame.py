"""The operator "Suggest a frame to correct", also a button beside an open video."""

from __future__ import annotations

from typing import Any, ClassVar

import fiftyone.operators as foo
from fiftyone.core.collections import SampleCollection

from hs2s_core.errors import HS2SError

from ..labels.frame_fields import has_labels
from ..player import show_frame
from ..propagation import prompts_of, suggest_frames
from .base import BaseOperator, show_result
from .form import Form, is_open_video, listed
from .propagate_corrections import beside_video, chosen_result, result_form

_OFFERED = 5


class SuggestFrame(BaseOperator):
    """Names the frames whose masks are most in doubt."""

    key = "suggest_frame"
    title = "Suggest a frame to correct"
    about = "Find the frames whose correction promises most, without a truth"
    page = "correct.md"
    icon = "troubleshoot"
    action = "Look for frames to correct in"
    outputs: ClassVar = {"frames": "To correct next"}
    resolve_placement = beside_video

    call = staticmethod(suggest_frames)

    def form(self, form: Form, samples: SampleCollection) -> None:
        result_form(form, samples)

    def execute(self, ctx: foo.ExecutionContext) -> dict[str, Any]:
        """Name the frames, best first, and bring the App to the best, or to its video.

        What a button's operator returns or raises, the App does not tell.
        """
        try:
            said = self._suggest(ctx)
        except HS2SError as error:
            if not is_open_video(ctx):
                raise
            ctx.ops.notify(str(error), variant="error")
            said = str(error)
        return {"frames": said}

    def _suggest(self, ctx: foo.ExecutionContext) -> str:
        (samples, field), opened = chosen_result(ctx), is_open_video(ctx)
        count = Form(ctx).get("count", 1 if opened else _OFFERED)
        found = suggest_frames(samples, field, count)
        said = listed(map(str, found)) or _nothing(samples, field)
        show_result(ctx, field, prompts_of(ctx.dataset, field, samples.values("id")[:1]))
        if opened:
            ctx.ops.notify(f"To correct next: {said}" if found else said)
        if found and opened:
            show_frame(ctx, found[0].frame_number)
        elif found:
            ctx.trigger("open_sample", {"id": found[0].sample_id, "mode": "annotate"})
        return said


def _nothing(samples: SampleCollection, field: str) -> str:
    """Why no frame is named."""
    if any(has_labels(samples, field, sample_id) for sample_id in samples.values("id")):
        return "No mask is in doubt."
    return "There are no masks yet: run 'Propagate masks' first."
