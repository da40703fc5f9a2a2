"""Which videos an evaluation would take, and which it could not."""

from __future__ import annotations

import sys
import time

from fiftyone.core.collections import SampleCollection

from hs2s_core.jobs import Plan, Problem

from ..videos import items_of
from .settings import EvaluateSettings
from .video import Video


def make_plan(
    samples: SampleCollection,
    settings: EvaluateSettings,
    *,
    seconds: float | None = None,
    videos: int = sys.maxsize,
) -> Plan:
    """Look at every video, without decoding masks; nothing is written.

    With ``seconds``, it looks into ``videos`` of them at most, as long as the time lasts. The rest
    is taken on trust and counted as unchecked: a form must answer quickly, and the run checks
    everything again.
    """
    deadline = None if seconds is None else time.monotonic() + seconds
    plan = Plan()
    for place, item in enumerate(items_of(samples)):
        if deadline is not None and (place >= videos or time.monotonic() > deadline):
            plan.unchecked += 1
            plan.todo.append(item)
            continue
        reason = Video(samples, *item, settings).problem()
        if reason is None:
            plan.todo.append(item)
        else:
            plan.problems.append(Problem(*item, reason))
    return plan
