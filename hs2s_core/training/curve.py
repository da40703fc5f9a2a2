"""The learning curve of a run: as a picture from its log, and as it grows in a notebook."""

from __future__ import annotations

import base64
import io
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hs2s_core.errors import HS2SError
from hs2s_core.files import replacing
from hs2s_core.jobs import Progress
from hs2s_core.jobs.meters import Record, StepMeter

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_STEERING = {
    "rate": "learning rate, of its highest",
    "sampling": "chance that the own mask is fed back",
    "jf": "J&F",
}
_OTHER = {"step", "loss", "norm", "seconds", "waited", *_STEERING}
"""Keys of a record that are no term of the loss."""
SECONDS = 3.0
"""Between two pictures."""
_SMOOTH = 20


def read_log(path: Path) -> list[Record]:
    """Records of a ``log.jsonl``, one per step; of a step that was logged twice the later one.

    A last line that breaks off is passed over: it is being written, or the run was killed there.

    Raises:
        HS2SError: no such file, or nothing in it that training writes.
    """
    try:
        lines = path.read_text("utf-8").splitlines(keepends=True)
    except (OSError, UnicodeDecodeError) as error:
        raise HS2SError(
            f"{path}: cannot be read ({getattr(error, 'strerror', 'no text')}); expected the "
            "log.jsonl of a training run"
        ) from error
    steps: dict[int, Record] = {}
    for number, line in enumerate(lines, start=1):
        try:
            record = {key: float(value) for key, value in json.loads(line).items()}
            step, _ = int(record["step"]), record["loss"]
            steps[step] = record | {"step": step}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            if not line.endswith("\n"):
                break
            raise HS2SError(
                f"{path}, line {number}: not a step of a training run; expected JSON with a step "
                "and its loss"
            ) from error
    if not steps:
        raise HS2SError(f"{path}: is empty; the run has not finished a step yet")
    return [steps[step] for step in sorted(steps)]


def moving_average(values: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    """Mean of up to ``width`` values ending at each one; NaNs (not measured) do not count."""
    from pandas import Series

    return np.asarray(Series(values).rolling(width, min_periods=1).mean())


def draw_curve(records: list[Record], out: Path, *, smooth: int = 50) -> None:
    """Write the picture of :func:`curve_figure`.

    Raises:
        HS2SError: ``smooth`` is below 1; matplotlib cannot write a picture of that ending.
    """
    if smooth < 1:
        raise HS2SError(f"smooth is {smooth}; expected at least 1 step")
    figure = curve_figure(records, smooth=smooth)
    endings = figure.canvas.get_supported_filetypes()
    if out.suffix[1:].lower() not in endings:
        raise HS2SError(f"{out}: no kind of picture; expected one of {', '.join(endings)}")
    with replacing(out) as part:
        figure.savefig(part, dpi=90, format=out.suffix[1:].lower())


def curve_figure(records: list[Record], *, smooth: int = 50) -> Figure:
    """Draw the loss and its terms above, what steered the run below."""
    from matplotlib.figure import Figure

    steps = np.array([record["step"] for record in records])

    def series(key: str) -> NDArray[np.float64]:
        return np.array([float(record.get(key, np.nan)) for record in records])

    steered = [key for key in _STEERING if np.isfinite(series(key)).any()]
    figure = Figure(figsize=(8, 5 if steered else 3.5), layout="constrained")
    ratios = (2.2, 1) if steered else (1,)
    panels = figure.subplots(len(ratios), 1, sharex=True, height_ratios=ratios, squeeze=False)
    losses = panels[0, 0]
    losses.plot(steps, series("loss"), color="0.85", linewidth=0.6)
    losses.plot(steps, moving_average(series("loss"), smooth), color="black", label="loss")
    for term in sorted({key for record in records for key in record} - _OTHER):
        losses.plot(steps, moving_average(series(term), smooth), label=term, linewidth=1)
    losses.set_yscale("log")
    losses.set_ylabel(f"mean of {smooth} steps")
    for key in steered:
        known = np.isfinite(series(key))
        marker = "o" if key == "jf" else ""
        panels[1, 0].plot(
            steps[known], series(key)[known], marker=marker, markersize=3, label=_STEERING[key]
        )
        panels[1, 0].set_ylim(-0.05, 1.05)
    for panel in panels[:, 0]:
        panel.legend(fontsize="small", ncols=2)
        panel.grid(alpha=0.3)
    panels[-1, 0].set_xlabel("step")
    return figure


def in_notebook() -> bool:
    """Whether pictures can be shown below a cell."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return getattr(shell, "kernel", None) is not None


def step_meter(steps: int) -> Callable[[Record], None]:
    """What to report each step of a run of so many to."""
    return LiveCurve(steps) if in_notebook() else StepMeter(steps)


class LiveCurve:
    """The learning curve of a run below the cell that trains, drawn anew as it grows.

    Call it with each step's record, as :class:`hs2s_core.jobs.meters.StepMeter`.
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
