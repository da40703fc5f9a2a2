"""The one loop over videos: who does them, progress, failures, the report."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing

from hs2s_core.errors import HS2SError, check_choice
from hs2s_core.jobs.meters import clock_time

from .engines import Engine, inline
from .job import Item, Job, Problem, Report, Result, RunEnded, Tick
from .progress import Progress, Steps

_REPORT_SECONDS = 0.25
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
    name = check_choice("engine", name or ("inline" if workers == 1 else "process"), ENGINES)
    if name == "process":
        from .process import Processes

        return Processes(workers)
    if name == "ray":
        from .ray import RayWorkers

        return RayWorkers(workers)
    if workers > 1:
        raise HS2SError(f"workers is {workers}, but 'inline' is one process; expected 'process'.")
    return inline


def run_job(
    job: Job[Result],
    items: Sequence[Item],
    *,
    engine: Engine = inline,
    failed: Callable[[Item, str], None] | None = None,
    done: Callable[[Item], None] | None = None,
) -> Steps[Report[Result]]:
    """Do every video, and tell how far it is; closing the generator stops the videos in hand.

    ``failed`` notes with the dataset why a video failed, ``done`` that one is done. Raises RunEnded
    where one failed of what all the others would fail of too.
    """
    found: dict[Item, Result] = {}
    report: Report[Result] = Report()
    pace = _Pace(items)
    if items:
        with closing(engine(job, items)) as events:
            for event in events:
                if event.result is not None:
                    found[event.item] = event.result
                    if done is not None:
                        done(event.item)
                    pace.end(event.item, event.result.frames)
                elif event.error is not None:
                    if event.ends:
                        raise RunEnded(event.error)
                    if failed is not None:
                        failed(event.item, event.error)
                    report.failed.append(Problem(*event.item, event.error))
                    pace.end(event.item, 0)
                elif pace.take(event.item, event.tick):
                    yield pace.progress(event.item, event.tick)
    # In the order of the videos, whoever was ready first.
    report.results = {item: found[item] for item in items if item in found}
    report.seconds = pace.seconds
    yield Progress(1.0, "Finished", pace.ended, pace.frames, 0.0, pace.total)
    return report


class _Pace:
    """How far all videos are together, and how long the rest will take."""

    def __init__(self, items: Sequence[Item]) -> None:
        self.total = len(items)
        self._started = time.monotonic()
        self._told: dict[Item, float] = {}
        """When the videos in hand, in the order of their begin, were last told of."""
        self._places: dict[Item, int] = {}
        self._ticks: dict[Item, Tick] = {}
        self._done = 0
        self.ended = 0

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._started

    @property
    def frames(self) -> int:
        return self._done + sum(tick.frames for tick in self._ticks.values())

    def take(self, item: Item, tick: Tick | None) -> bool:
        """Note where a video is; whether it is worth telling."""
        now = time.monotonic()
        if tick is None:
            self._places[item] = len(self._places) + 1
            return True
        self._ticks[item] = tick
        if tick.frames and now - self._told.get(item, 0.0) < _REPORT_SECONDS:
            return False
        self._told[item] = now
        return True

    def end(self, item: Item, frames: int) -> None:
        self._ticks.pop(item, None)
        self._told.pop(item, None)
        self._done += frames
        self.ended += 1

    def progress(self, item: Item, tick: Tick | None) -> Progress:
        fraction = (self.ended + sum(each.fraction for each in self._ticks.values())) / self.total
        label = f"{self._places[item]}/{self.total} {item.name}"
        left = None
        if tick is not None:
            label += f": {tick.text}"
            seconds = self.seconds
            if tick.frames and fraction and seconds > 1.0:
                left = seconds * (1 - fraction) / fraction
                rate = self.frames / seconds
                label += f", {rate:.1f} per second, {clock_time(left)} left"
        return Progress(fraction, label, self.ended, self.frames, left, self.total)
