"""Running a generator of progress to its end.

The App shows each step live (``operators.base``); scripts hand the generator to :func:`drive`.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

import fiftyone as fo

from hs2s_core.jobs import Progress, Steps, Value

__all__ = ["Progress"]


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
