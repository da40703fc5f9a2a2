"""Long work as a generator of its progress, and running such a generator to its end.

The App shows each step live (``operators.base``); scripts hand the generator to :func:`drive`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from typing import TypeVar

import fiftyone as fo

__all__ = ["Progress"]


@dataclass(frozen=True)
class Progress:
    """How far some work has come."""

    fraction: float
    """From 0 to 1, over all videos."""
    label: str
    videos: int = 0
    """How many videos have ended, well or not."""
    frames: int = 0
    """How many frames are done in all."""
    seconds_left: float | None = None
    """An estimate, once there is reason for one."""


Value = TypeVar("Value")
Steps = Generator[Progress, None, Value]
"""Work that yields its progress and returns a result; closing it undoes what is half done."""
Watch = Callable[[Progress], object]


def drive(steps: Steps[Value], progress: bool | Watch | None = None) -> Value:
    """Run to the end and return the result, telling ``progress`` about each step.

    ``progress`` is True or False for a progress bar, or a function that is called with Progress;
    None follows FiftyOne's settings. If it raises, the work is closed.
    """
    shown = False if callable(progress) else progress
    with closing(steps), fo.ProgressBar(total=100, progress=shown) as bar:
        while True:
            try:
                step = next(steps)
            except StopIteration as stop:
                result: Value = stop.value
                return result
            if callable(progress):
                progress(step)
            else:
                bar.set_iteration(int(100 * step.fraction))
