"""Videos on the workers of a Ray cluster, or of this machine where none is running."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Any

from hs2s_core.errors import HS2SError

from .engines import Event, Events, attempt
from .job import Item, Job, Result, Work


class RayWorkers:
    """An engine of so many Ray actors; each loads the model once."""

    def __init__(self, workers: int) -> None:
        try:
            import ray
        except ImportError as error:
            raise HS2SError(
                "the engine 'ray' needs Ray; pip install 'hs2s-fiftyone[ray]', or take 'process'."
            ) from error
        self._ray, self._workers = ray, workers

    def __call__(self, job: Job[Result], items: Sequence[Item]) -> Events[Result]:
        """Do all videos; an actor that dies costs its video, and another takes its place."""
        ray = self._ray
        if not ray.is_initialized():
            ray.init(log_to_driver=False)
        actor = ray.remote(Actor)
        waiting, running = deque(items), dict[Any, tuple[Any, Item]]()
        actors = [actor.remote(job) for _ in range(min(self._workers, len(items)))]
        try:
            for worker in actors:
                item = waiting.popleft()
                running[worker.video.remote(item)] = worker, item
                yield Event(item)
            while running:
                (ready, *_), _ = ray.wait(list(running), num_returns=1)
                worker, item = running.pop(ready)
                try:
                    yield ray.get(ready)
                except ray.exceptions.RayActorError as error:
                    yield Event(
                        item,
                        error=f"its worker ended ({error}); the video is as it was. Run again.",
                    )
                    actors.remove(worker)
                    if waiting:
                        actors.append(worker := actor.remote(job))
                if waiting:
                    item = waiting.popleft()
                    running[worker.video.remote(item)] = worker, item
                    yield Event(item)
        finally:
            for worker in actors:
                ray.kill(worker)


class Actor:
    """What runs in a worker."""

    def __init__(self, job: Job[Any]) -> None:
        self._work: Callable[[Item], Work[Any]] = job.open()

    def video(self, item: Item) -> Event[Any]:
        """Do one video; of its events only the last counts."""
        with closing(attempt(self._work, item)) as events:
            *_, last = events
        return last
