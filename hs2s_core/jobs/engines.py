"""Who does the videos of a job."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol

from .job import Item, Job, Result, RunEnded, Tick, Work, describe
from .progress import retold


@dataclass(frozen=True)
class Event(Generic[Result]):
    """What an engine has to say of a video: its begin, a tick, its result or its error."""

    item: Item
    tick: Tick | None = None
    result: Result | None = None
    error: str | None = None
    ends: bool = False
    """Whether the error ends the whole run."""


Events = Generator[Event[Result], None, None]
"""Closing it stops the videos in hand, which stay as they were."""


class Engine(Protocol):
    """Does all videos of a job."""

    def __call__(self, job: Job[Result], items: Sequence[Item]) -> Events[Result]:
        """The events of all videos; each begins, and ends with a result or an error."""


def inline(job: Job[Result], items: Sequence[Item]) -> Events[Result]:
    """In this process, in order."""
    work = job.open()
    for item in items:
        yield Event(item)
        yield from attempt(work, item)


def attempt(work: Callable[[Item], Work[Result]], item: Item) -> Events[Result]:
    """One video to its end; what goes wrong with it is told, so that the others do not suffer."""
    event: Event[Any]
    try:
        result = yield from retold(work(item), lambda tick: Event(item, tick=tick))
        event = Event(item, result=result)
    except Exception as error:
        event = Event(item, error=describe(error), ends=isinstance(error, RunEnded))
    yield event


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
