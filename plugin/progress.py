"""Long work as a generator of its progress, and running such a generator to its end.

The App shows each step live (``operators.live``); scripts hand the generator to :func:`drive`.
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


Result = TypeVar("Result")
Steps = Generator[Progress, None, Result]
"""Work that yields its progress and returns a result; closing it undoes what is half done."""


def drive(
    steps: Steps[Result], progress: bool | Callable[[Progress], object] | None = None
) -> Result:
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
                result: Result = stop.value
                return result
            if callable(progress):
                progress(step)
            else:
                bar.set_iteration(int(100 * step.fraction))
