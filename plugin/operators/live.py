"""How operators run work that reports its progress step by step."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import fiftyone.operators as foo

from hs2s_core.errors import HS2SError

from ..checks import describe
from ..progress import Result, Steps, drive

_log = logging.getLogger(__name__)


def run_live(
    ctx: foo.ExecutionContext,
    steps: Callable[[], Steps[Result]],
    finish: Callable[[Result], Iterator[Any]],
) -> Iterator[Any]:
    """Messages for the App while the work goes on, then those of ``finish``.

    An error that left this generator would freeze the App's dialog without a word.
    """
    try:
        # Closed with this generator when the browser tab is.
        with closing(steps()) as work:
            while True:
                try:
                    step = next(work)
                except StopIteration as stop:
                    result: Result = stop.value
                    break
                yield ctx.ops.set_progress(progress=step.fraction, label=step.label)
        yield from finish(result)
    except Exception as error:
        if not isinstance(error, HS2SError):
            _log.exception("%s failed", ctx.operator_uri)
        yield ctx.ops.notify(describe(error), variant="error")


def is_live(ctx: foo.ExecutionContext) -> bool:
    """Whether the App asks, and shows messages; a script or a delegated run wants the result.

    Only the App's requests name the operator: FiftyOne's server would refuse others.
    """
    return not ctx.delegated and "operator_uri" in ctx.request_params


def run_delegated(ctx: foo.ExecutionContext, steps: Steps[Result]) -> Result:
    """Run to the end, noting the progress with the delegated operation."""
    return drive(steps, lambda step: ctx.set_progress(progress=step.fraction, label=step.label))
