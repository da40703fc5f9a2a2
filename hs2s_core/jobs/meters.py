"""What long commands show: a line with a bar, or a plain one a minute; TensorBoard's numbers."""

from __future__ import annotations

import errno
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from hs2s_core.errors import HS2SError

Record = dict[str, Any]
SMOOTH = 0.98
"""Share of the past in the seconds per step from which the time left is told."""
_BAR = 20
_WIDTH = 78
_MINUTE, _BLINK = 60.0, 0.2
"""Seconds between lines where nobody watches, and where somebody does."""


class _Line:
    """One line that stays in place where somebody watches; elsewhere a plain line a minute."""

    def __init__(
        self,
        *,
        quiet: bool = False,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``quiet`` shows nothing."""
        self._quiet = quiet
        self._stream = sys.stderr if stream is None else stream
        self._clock = clock
        self._started = self._told = clock()
        self._open = False

    def _show(self, words: Callable[[], str], *, last: bool = False, kept: bool = False) -> None:
        """Show a line where it is time for one; the ``last`` is shown in any case where watched.

        One that is ``kept`` is shown everywhere, and the next goes below it.
        """
        if self._quiet:
            return
        now, watched = self._clock(), self._stream.isatty()
        due = now - self._told >= (_BLINK if watched else _MINUTE)
        if not (due or kept or (last and watched)):
            return
        self._told, self._open = now, watched and not kept
        line = f"\r{words():<{_WIDTH}}" if watched else words()
        self._print(line, "" if self._open else "\n")

    def _print(self, line: str, end: str) -> None:
        try:
            print(line, end=end, file=self._stream, flush=True)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            self._quiet = True  # the terminal is gone; a run is saved all the same

    def end(self) -> None:
        """Leave the line."""
        if self._open:
            self._print("", "\n")
            self._open = False


def _bar(done: float) -> str:
    return f"[{'#' * round(_BAR * done):-<{_BAR}}]"


class StepMeter(_Line):
    """How far a training run is, and the time left; validations are kept.

    Call it with each step's record (``step``, ``loss``, ``seconds`` and, after a validation,
    ``jf``). The time left is that of training alone, at the smoothed rate of the steps seen.
    """

    def __init__(self, steps: int, **how: Any) -> None:
        """``steps`` of the run; the rest as :class:`Meter`."""
        super().__init__(**how)
        self.steps = steps
        self._seconds = 0.0
        self._weight = 0.0

    def __call__(self, record: Record) -> None:
        """Show a step."""
        self._seconds = SMOOTH * self._seconds + (1 - SMOOTH) * float(record["seconds"])
        self._weight = SMOOTH * self._weight + (1 - SMOOTH)
        kept = "jf" in record or record["step"] >= self.steps
        self._show(lambda: self.line(record), kept=kept)

    def line(self, record: Record) -> str:
        """The words of a step that was shown."""
        bar = _bar(min(1.0, record["step"] / self.steps))
        text = f"{bar} step {record['step']} of {self.steps}, loss {record['loss']:.3f}"
        text += f", {clock_time(self.seconds_left(record['step']))} left"
        return text + (f", J&F {100 * record['jf']:.2f}" if "jf" in record else "")

    def seconds_left(self, step: int) -> float:
        """Seconds that the steps after ``step`` will take; 0 before the first report."""
        rate = self._seconds / self._weight if self._weight else 0.0
        return max(0, self.steps - step) * rate


class Meter(_Line):
    """How far a count is, its rate and the time left."""

    def __init__(self, what: str, **how: Any) -> None:
        """``what`` is counted, such as "frame"; with ``quiet`` nothing is shown."""
        super().__init__(**how)
        self._what = what

    def __call__(self, done: int, total: int | None) -> None:
        """``done`` of ``total`` are."""
        self._show(lambda: self._words(done, total), last=done == total)

    def _words(self, done: int, total: int | None) -> str:
        seconds = self._told - self._started
        rate = done / seconds if seconds else 0.0
        speed = f", {rate:.1f} per second" if rate else ""
        if total is None:
            return f"{self._what} {done}{speed}"
        left = f", {clock_time((total - done) / rate)} left" if rate else ""
        return f"{_bar(done / total)} {self._what} {done} of {total}{speed}{left}"


@contextmanager
def reporting(
    steps: int, tensorboard: Path | None, *, quiet: bool = False
) -> Iterator[Callable[[Record], None]]:
    """What to report steps to: a progress line and, if a folder is given, TensorBoard's events.

    Raises:
        HS2SError: TensorBoard is asked for and not installed.
    """
    meter = StepMeter(steps, quiet=quiet)
    if tensorboard is None:
        yield meter
        return
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise HS2SError(
            "TensorBoard is not installed; pip install 'hs2s-fiftyone[tensorboard]', or leave "
            "out --tensorboard"
        ) from error
    writer = SummaryWriter(str(tensorboard))

    def report(record: Record) -> None:
        for key, value in record.items():
            if key != "step":
                writer.add_scalar(key, value, record["step"])
        meter(record)

    try:
        yield report
    finally:
        writer.close()  # an interrupted run keeps its last numbers too


def clock_time(seconds: float) -> str:
    """A span as "0:07" or "1:02:03"."""
    whole = round(seconds)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"
