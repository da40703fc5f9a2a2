"""A collection that other processes can open, the work on its videos, and running it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic

import fiftyone as fo
from fiftyone.core.collections import SampleCollection
from pymongo.errors import ConnectionFailure

from hs2s_core import jobs
from hs2s_core.jobs import Item, RunEnded, Steps, Value, Watch, Work
from hs2s_core.jobs.job import Result


class Source:
    """A dataset or view, which arrives in another process as what it is there."""

    def __init__(self, samples: SampleCollection) -> None:
        self.samples = samples

    def __reduce__(self) -> tuple[Any, ...]:
        samples = self.samples
        view = samples._serialize() if isinstance(samples, fo.DatasetView) else None
        return _reopen, (samples._dataset.name, view)


def _reopen(name: str, stages: list[dict[str, Any]] | None) -> Source:
    dataset = fo.load_dataset(name)
    return Source(dataset if stages is None else fo.DatasetView._build(dataset, stages))


@dataclass(frozen=True)
class VideoJob(ABC, Generic[Result]):
    """What is done per video of a collection: ``hs2s_core.jobs.Job``; subclasses do it."""

    source: Source

    def open(self) -> Callable[[Item], Work[Result]]:
        """The work on one video; a database that is gone ends the run, not just the video."""
        work = self.start()

        def guarded(item: Item) -> Work[Result]:
            try:
                return (yield from work(item))
            except ConnectionFailure as error:
                raise RunEnded(
                    f"the database does not answer any more ({error}); nothing was written of "
                    f"'{item.name}', what was done before it is kept. Start it again, then run "
                    "again."
                ) from error

        return guarded

    def start(self) -> Callable[[Item], Work[Result]]:
        """Load what every video needs, where anything is."""
        return self.video

    @abstractmethod
    def video(self, item: Item) -> Work[Result]:
        """Do one video, all or nothing."""


def drive(steps: Steps[Value], progress: bool | Watch | None = None) -> Value:
    """Run work to its end and return the result, telling ``progress`` about each step.

    ``progress`` is True or False for a progress bar, or a function that is called with Progress;
    None follows FiftyOne's settings. If it raises, the work is closed.
    """
    if callable(progress):
        return jobs.drive(steps, progress)
    with fo.ProgressBar(total=100, iters_str="%", progress=progress) as bar:
        return jobs.drive(steps, lambda step: bar.set_iteration(int(100 * step.fraction)))
