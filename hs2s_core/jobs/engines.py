"""Who does the videos of a job."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Generic, Protocol

from hs2s_core.errors import HS2SError

from .job import Item, Job, Result, Tick, Work, describe


@dataclass(frozen=True)
class Event(Generic[Result]):
    """What an engine has to say of a video: its begin, a tick, its result or its error."""

    item: Item
    tick: Tick | None = None
    result: Result | None = None
    error: str | None = None


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
        # Closed here rather than by the garbage collector, which would swallow what goes wrong.
        with closing(work(item)) as steps:
            while True:
                try:
                    tick = next(steps)
                except StopIteration as stop:
                    event = Event(item, result=stop.value)
                    break
                yield Event(item, tick=tick)
    except Exception as error:
        event = Event(item, error=describe(error))
    yield event


ENGINES = {
    "inline": "This process, one video after the other",
    "process": "Several processes on this machine, a video each",
    "ray": "The workers of a Ray cluster, a video each",
}
"""Who can do the videos: name -> description."""


def find_engine(name: str | None, workers: int = 1) -> Engine:
    """An engine by its name; None is ``inline`` for one worker and ``process`` for several.

    Raises HS2SError for an unknown name, a wrong number of workers, or where Ray is missing.
    """
    if workers < 1:
        raise HS2SError(f"workers is {workers}; expected at least 1.")
    name = name or ("inline" if workers == 1 else "process")
    if name not in ENGINES:
        raise HS2SError(f"there is no engine {name!r}; expected one of {', '.join(ENGINES)}.")
    if name == "process":
        from .process import Processes

        return Processes(workers)
    if name == "ray":
        from .ray import RayWorkers

        return RayWorkers(workers)
    if workers > 1:
        raise HS2SError(f"workers is {workers}, but 'inline' is one process; expected 'process'.")
    return inline
