"""How far a training run is, for whoever watches: its curve in a notebook, else lines."""

from __future__ import annotations

import base64
import importlib.util
import io
import sys
import time
from collections.abc import Callable
from typing import Any

from hs2s_core.jobs import Progress
from hs2s_core.meters import Record, StepMeter

SECONDS = 3.0
"""Between two pictures."""
_SMOOTH = 20


def in_notebook() -> bool:
    """Whether pictures can be shown below a cell, and be drawn."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    kernel = getattr(shell, "kernel", None)
    return kernel is not None and importlib.util.find_spec("matplotlib") is not None


def step_meter(steps: int) -> Callable[[Record], None]:
    """What to report each step of a run of so many to."""
    return LiveCurve(steps) if in_notebook() else StepMeter(steps)


class LiveCurve:
    """The learning curve of a run below the cell that trains, drawn anew as it grows.

    Call it with each step's record, as :class:`hs2s_core.meters.StepMeter`.
    """

    def __init__(self, steps: int) -> None:
        """``steps`` of the run."""
        self._meter = StepMeter(steps, quiet=True)
        self._records: list[Record] = []
        self._place: Any = None
        self._drawn = -SECONDS

    def __call__(self, record: Record) -> None:
        """Add a step."""
        self._records.append(record)
        self._meter(record)
        self._show(self._meter.line(record), now=record["step"] >= self._meter.steps)

    def watch(self, progress: Progress) -> None:
        """As :data:`hs2s_core.jobs.Watch`, of work that trains on its way."""
        if progress.record is not None:
            self(progress.record)
        else:
            self._show(progress.label, now=True)

    def _show(self, words: str, *, now: bool) -> None:
        if not now and time.monotonic() - self._drawn < SECONDS:
            return
        from IPython.display import display

        shown: dict[str, Any] = {"text/plain": words}
        if self._records:
            from hs2s_core.training.curve import curve_figure

            figure = curve_figure(self._records, smooth=_SMOOTH)
            figure.suptitle(words, fontsize="medium")
            picture = io.BytesIO()
            figure.savefig(picture, format="png", dpi=90)
            shown["image/png"] = base64.b64encode(picture.getvalue()).decode()
        if self._place is None:
            self._place = display(shown, raw=True, display_id=True)  # type: ignore[no-untyped-call]
        else:
            self._place.update(shown, raw=True)
        self._drawn = time.monotonic()
