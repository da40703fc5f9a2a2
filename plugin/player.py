"""What FiftyOne's App lets nothing in Python do, as moving its video player: ``player.js`` can."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fiftyone.operators as foo

from ._bootstrap import NAME
from .videos.collection import select_videos

SCRIPT = Path(__file__).with_name("player.js")
"""What the App loads with the plugin."""
SHOW_FRAME = f"{NAME}/show_frame"
SHOW_FIELDS = f"{NAME}/show_fields"
RENEW_FIRST_FRAME = f"{NAME}/renew_first_frame"
SAVE_DRAWN = f"{NAME}/save_drawn"
"""The operators in it."""
SAVED = "saved"
"""Parameter of a run before which the App saved what was drawn."""


def show_frame(ctx: foo.ExecutionContext, number: int, *, opening: str = "") -> Any:
    """Let the open video show the frame of this number, from 1; returns what a generator yields.

    ``opening`` is the id of a video that was told to open just before: its player is waited for.
    The App's Annotate tab, where it is open, shows it too; not of a clip, or of a video whose
    number of frames is unknown.
    """
    order: dict[str, Any] = {"frame_number": number}
    if opening:
        order["opening"] = opening
    if not ctx.view._is_generated:
        (count,) = select_videos(ctx.dataset, ctx.current_sample).values(
            "metadata.total_frame_count"
        ) or [None]
        if count:
            order["share"] = (number - 1) / count
    return ctx.trigger(SHOW_FRAME, order)


def show_fields(ctx: foo.ExecutionContext, paths: list[str]) -> Any:
    """Tick these fields alone, and no others, beside the grid and beside the open video.

    Returns what a generator yields.
    """
    return ctx.trigger(SHOW_FIELDS, {"fields": paths})


def renew_first_frame(ctx: foo.ExecutionContext) -> Any:
    """Let the open video, once it can, read the labels of its first frame from the database.

    The App keeps what it read of that frame when the video was first opened. Returns what a
    generator yields.
    """
    view = ctx.request_params.get("view") or []
    asked = {"opening": ctx.current_sample, "dataset": ctx.dataset_name, "view": view}
    return ctx.trigger(RENEW_FIRST_FRAME, asked)


def save_drawn(ctx: foo.ExecutionContext) -> Any:
    """Let the App save what was drawn last, and then execute this operator anew, with ``SAVED``.

    Returns what a generator yields.
    """
    again = {"operator": ctx.operator_uri, "params": {**ctx.params, SAVED: True}}
    return ctx.trigger(SAVE_DRAWN, again)


def time_shown(seconds: float) -> str:
    """A time in a video as the player shows it, cut off and not rounded: "1:07.87"."""
    hundredths = int(seconds * 100)
    return f"{hundredths // 6000}:{hundredths % 6000 / 100:05.2f}"
