"""Running a generator of progress to its end.

The App shows each step live (``operators.base``); scripts hand the generator to :func:`drive`.
"""

from __future__ import annotations

import fiftyone as fo

from hs2s_core import jobs
from hs2s_core.jobs import Steps, Value, Watch


def drive(steps: Steps[Value], progress: bool | Watch | None = None) -> Value:
    """Run to the end and return the result, telling ``progress`` about each step.

    ``progress`` is True or False for a progress bar, or a function that is called with Progress;
    None follows FiftyOne's settings. If it raises, the work is closed.
    """
    if callable(progress):
        return jobs.drive(steps, progress)
    with fo.ProgressBar(total=100, iters_str="%", progress=progress) as bar:
        return jobs.drive(steps, lambda step: bar.set_iteration(int(100 * step.fraction)))
