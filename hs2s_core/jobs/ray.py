"""Videos on the workers of a Ray cluster, or of this machine where none is running."""

from __future__ import annotations

import pickle
import sys
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Any

from hs2s_core.errors import HS2SError

from .engines import Event, Events, attempt
from .job import Item, Job, Result, Work, describe
from .process import PATIENCE, home_of, import_home, lost


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
        begun = not ray.is_initialized()
        if begun:
            ray.init(log_to_driver=False)
        # The second thread is for stop().
        actor = ray.remote(max_concurrency=2)(Actor)
        given = sys.path, home_of(type(job)), pickle.dumps(job)
        waiting = deque(items)
        workers = [actor.remote(*given) for _ in range(min(self._workers, len(items)))]
        running: dict[Any, tuple[Any, Item]] = {}
        """By the stream of its events: who does which video."""

        def take(worker: Any) -> Event[Result]:
            item = waiting.popleft()
            running[worker.video.options(num_returns="streaming").remote(item)] = worker, item
            return Event(item)

        try:
            for worker in workers:
                yield take(worker)
            while running:
                (stream, *_), _ = ray.wait(list(running), num_returns=1)
                worker, item = running.pop(stream)
                try:
                    event: Event[Result] = ray.get(next(stream))
                except ray.exceptions.RayActorError as error:
                    workers.remove(worker)
                    # Ray's words say which machine and why, over many lines; the first says most.
                    event = Event(item, error=lost(f"worker ended ({str(error).splitlines()[0]})"))
                    if waiting:
                        workers.append(worker := actor.remote(*given))
                if event.tick is not None:
                    running[stream] = worker, item  # behind those that wait to be heard
                yield event
                if event.tick is None and waiting:
                    yield take(worker)
        finally:
            for worker, _ in running.values():
                worker.stop.remote()
            ends = [stream.completed() for stream in running]
            if ends:
                ray.wait(ends, num_returns=len(ends), timeout=PATIENCE)
            for worker in workers:
                ray.kill(worker)
            if begun:
                ray.shutdown()


class Actor:
    """What runs in a worker."""

    def __init__(self, path: list[str], home: tuple[str, str | None], job: bytes) -> None:
        self._given = path, home, job
        self._work: Callable[[Item], Work[Any]] | None = None
        self._stopped = False

    def video(self, item: Item) -> Events[Any]:
        """Do one video; what keeps it from opening the job ends the run."""
        try:
            work = self._work = self._work or self._open()
        except Exception as error:
            yield Event(item, error=describe(error), ends=True)
            return
        with closing(attempt(work, item)) as events:
            for event in events:
                yield event
                if self._stopped:
                    return

    def stop(self) -> None:
        """Undo the video in hand, and end."""
        self._stopped = True

    def _open(self) -> Callable[[Item], Work[Any]]:
        path, home, job = self._given
        sys.path += [entry for entry in path if entry not in sys.path]
        import_home(*home)
        work: Callable[[Item], Work[Any]] = pickle.loads(job).open()
        return work
