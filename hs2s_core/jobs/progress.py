"""Long work as a generator of its progress."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from typing import Any, TypeVar

__all__ = ["Progress"]


@dataclass(frozen=True)
class Progress:
    """How far some work has come."""

    fraction: float
    """From 0 to 1, over all videos."""
    label: str
    videos: int = 0
    """How many videos have ended, well or not."""
    frames: int = 0
    """How many frames are done in all."""
    seconds_left: float | None = None
    """An estimate, once there is reason for one."""
    total: int = 0
    """How many videos there are in all."""
    record: dict[str, Any] | None = None
    """Of a step of training: its number, loss and more."""


Step = TypeVar("Step")
Told = TypeVar("Told")
Value = TypeVar("Value")
Steps = Generator[Progress, None, Value]
"""Work that yields its progress and returns a result; closing it undoes what is half done."""
Watch = Callable[[Progress], object]
"""What is told of each step; if it raises, the work is closed."""


def drive(
    steps: Generator[Step, None, Value], watch: Callable[[Step], object] | None = None
) -> Value:
    """Run to the end and return the result."""
    told = retold(steps, watch or (lambda step: None))
    while True:
        try:
            next(told)
        except StopIteration as stop:
            result: Value = stop.value
            return result


def retold(
    steps: Generator[Step, None, Value], tell: Callable[[Step], Told]
) -> Generator[Told, None, Value]:
    """The same work; of each step, what ``tell`` makes of it.

    The work is closed with this, not by the garbage collector, which would swallow what goes wrong.
    """
    with closing(steps):
        while True:
            try:
                step = next(steps)
            except StopIteration as stop:
                result: Value = stop.value
                return result
            yield tell(step)
