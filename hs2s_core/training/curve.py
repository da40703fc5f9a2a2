"""The learning curve of a run as a picture, from the log that training writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hs2s_core.errors import HS2SError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_STEERING = {
    "rate": "learning rate, of its highest",
    "sampling": "chance that the own mask is fed back",
    "jf": "J&F",
}
_OTHER = {"step", "loss", "norm", "seconds", "waited", *_STEERING}
"""Keys of a record that are no term of the loss."""


def read_log(path: Path) -> list[dict[str, Any]]:
    """Records of a ``log.jsonl``, one per step; of a step that was logged twice the later one.

    Raises:
        HS2SError: no such file, or nothing in it that training writes.
    """
    try:
        lines = path.read_text().splitlines()
    except OSError as error:
        raise HS2SError(
            f"{path}: cannot be read ({error.strerror}); expected the log.jsonl of a training run"
        ) from error
    steps: dict[int, dict[str, Any]] = {}
    for number, line in enumerate(lines, start=1):
        try:
            record = json.loads(line)
            steps[int(record["step"])] = record | {"loss": float(record["loss"])}
        except (ValueError, KeyError, TypeError) as error:
            raise HS2SError(
                f"{path}, line {number}: not a step of a training run; expected JSON with a step "
                "and its loss"
            ) from error
    if not steps:
        raise HS2SError(f"{path}: is empty; the run has not finished a step yet")
    return [steps[step] for step in sorted(steps)]


def moving_average(values: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    """Mean of up to ``width`` values ending at each one; NaNs (not measured) do not count."""
    known = np.isfinite(values)
    sums = np.cumsum(np.concatenate([[0.0], np.where(known, values, 0.0)]))
    counts = np.cumsum(np.concatenate([[0], known]))
    first = np.maximum(np.arange(len(values)) + 1 - width, 0)
    last = np.arange(len(values)) + 1
    number = counts[last] - counts[first]
    with np.errstate(invalid="ignore"):
        return np.asarray((sums[last] - sums[first]) / np.where(number > 0, number, np.nan))


def draw_curve(records: list[dict[str, Any]], out: Path, *, smooth: int = 50) -> None:
    """Write the picture of :func:`curve_figure`.

    Raises:
        HS2SError: matplotlib is not installed, or cannot write a picture of that ending.
    """
    figure = curve_figure(records, smooth=smooth)
    endings = figure.canvas.get_supported_filetypes()
    if out.suffix[1:].lower() not in endings:
        raise HS2SError(f"{out}: no kind of picture; expected one of {', '.join(endings)}")
    figure.savefig(out, dpi=90)


def curve_figure(records: list[dict[str, Any]], *, smooth: int = 50) -> Figure:
    """Draw the loss and its terms above, what steered the run below.

    Raises:
        HS2SError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise HS2SError(
            "drawing needs matplotlib, which FiftyOne brings; pip install matplotlib"
        ) from error
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
