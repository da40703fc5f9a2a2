"""What is done per video, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from hs2s_core.errors import HS2SError
from hs2s_core.wording import counted


class Item(NamedTuple):
    """One video of a job."""

    key: str
    """What the job finds the video by, such as a sample id."""
    name: str


class Tick(NamedTuple):
    """How far one video has come."""

    fraction: float
    """From 0 to 1."""
    text: str
    frames: int = 0
    """How many frames of it are done."""


@dataclass
class Done:
    """What came of one video."""

    frames: int = 0
    objects: int = 0
    note: str | None = None
    """What to know about it."""


Result = TypeVar("Result", bound=Done)
Result_co = TypeVar("Result_co", bound=Done, covariant=True)
Work = Generator[Tick, None, Result]
"""One video at work, all or nothing; closing it leaves the video as it was."""


class Job(Protocol[Result_co]):
    """A picklable description of the work, from which each process makes its worker."""

    def open(self) -> Callable[[Item], Work[Result_co]]:
        """Load what every video needs, once a process; the function does one video."""


class Problem(NamedTuple):
    """What stands in the way of one video, or what to know about it."""

    key: str
    """That of its item."""
    name: str
    reason: str

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}"


class RunEnded(HS2SError):
    """What ends a whole run, as every video would fail of it."""


def describe(error: BaseException) -> str:
    """An error as a user should read it; our own say all in their message."""
    return str(error) if isinstance(error, HS2SError) else f"{type(error).__name__}: {error}"


def require(errors: Mapping[str, str]) -> None:
    """Raise HS2SError with everything that is wrong with settings: parameter -> message."""
    if errors:
        raise HS2SError("; ".join(f"{name}: {reason}" for name, reason in errors.items()))


@dataclass
class Plan:
    """Which videos a job would do, leave alone, and could not do."""

    todo: list[Item] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    """Keys of videos that are done already."""
    problems: list[Problem] = field(default_factory=list)
    kept: set[str] = field(default_factory=set)
    """Those of the problems' keys whose videos have labels, or nothing to start from: neither these
    nor the status may change."""
    unchecked: int = 0
    """How many of ``todo`` were not looked at for lack of time."""


@dataclass
class Report(Generic[Result]):
    """What came of all videos."""

    results: dict[Item, Result] = field(default_factory=dict)
    failed: list[Problem] = field(default_factory=list)
    """Each video that failed, and why; the others did not suffer."""
    seconds: float = 0.0


@dataclass
class Summary:
    """What a job did."""

    target: str
    """Where its results are."""
    done: list[str] = field(default_factory=list)
    """Names of the videos that are done now."""
    skipped: int = 0
    """How many were done already."""
    failed: list[Problem] = field(default_factory=list)
    """Each video that could not be done, and why; what was stored of it is still there."""
    left_out: int = 0
    """How many of these were known before and left out, as was asked."""
    notes: list[Problem] = field(default_factory=list)
    """What to know about videos that are done."""
    frames: int = 0
    objects: int = 0
    seconds: float = 0.0

    def take(self, report: Report[Any]) -> None:
        """Add what a job reports."""
        for item, result in report.results.items():
            self.done.append(item.name)
            self.frames += result.frames
            self.objects += result.objects
            if result.note is not None:
                self.notes.append(Problem(item.key, item.name, result.note))
        self.failed += report.failed
        self.seconds += report.seconds

    def join(self, other: Summary) -> None:
        """Add what another run of the same job did."""
        for name in ("done", "skipped", "failed", "left_out", "notes", "frames", "objects"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.seconds += other.seconds

    @property
    def speed(self) -> str:
        """How much was done in what time, opening and writing included; empty if nothing was."""
        if not self.frames:
            return ""
        objects = f"{counted(self.objects, 'object')} through " if self.objects else ""
        rate = f" ({self.frames / self.seconds:.1f} per second)" if self.seconds else ""
        return f"{objects}{counted(self.frames, 'frame')} in {self.seconds:.1f} s{rate}"

    def remarks(self) -> list[str]:
        """What stands below the first line."""
        return [str(entry) for entry in (*self.failed, *self.notes)]

    def __str__(self) -> str:
        speed = f": {self.speed}" if self.speed else ""
        line = (
            f"{counted(len(self.done), 'video')} done, {self.skipped} skipped, {len(self.failed)} "
            f"failed{speed} -> {self.target}"
        )
        return "\n  ".join([line, *self.remarks()])
