"""Which videos an evaluation would take, and which it could not."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from fiftyone.core.collections import SampleCollection

from ..checks import Problem
from ..videos import video_names
from .settings import Settings
from .video import Video


@dataclass
class Plan:
    """Which videos a run would evaluate, and which it could not."""

    todo: list[str] = field(default_factory=list)
    """Sample ids."""
    problems: list[Problem] = field(default_factory=list)
    unchecked: int = 0
    """How many of ``todo`` were not looked at for lack of time."""


def make_plan(
    samples: SampleCollection, settings: Settings, *, seconds: float | None = None
) -> Plan:
    """Look at every video, without decoding masks; nothing is written.

    With ``seconds``, videos beyond that time are taken on trust and counted as unchecked: a form
    must answer quickly, and the run checks everything again.
    """
    deadline = None if seconds is None else time.monotonic() + seconds
    plan = Plan()
    for sample_id, name in video_names(samples).items():
        if deadline is not None and time.monotonic() > deadline:
            plan.unchecked += 1
            plan.todo.append(sample_id)
            continue
        reason = Video(samples, sample_id, name, settings).problem()
        if reason is None:
            plan.todo.append(sample_id)
        else:
            plan.problems.append(Problem(sample_id, name, reason))
    return plan
