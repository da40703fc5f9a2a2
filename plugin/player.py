"""The App's video player, which FiftyOne lets nothing in Python move: ``player.js`` can."""

from __future__ import annotations

from pathlib import Path

import fiftyone.operators as foo

from ._bootstrap import NAME

SCRIPT = Path(__file__).with_name("player.js")
"""What the App loads with the plugin."""
SHOW_FRAME = f"{NAME}/show_frame"
"""The operator in it."""


def show_frame(ctx: foo.ExecutionContext, number: int) -> None:
    """Let the open video show the frame of this number, from 1.

    The App's Annotate tab has another player, which takes no orders: nothing happens there.
    """
    ctx.trigger(SHOW_FRAME, {"frame_number": number})
