"""Signals that ask to stop: Ctrl-C, SIGTERM, and SIGHUP of a terminal that is closed.

A command puts right what is half done; a run that trains finishes its step and is saved.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)


class Stopped(KeyboardInterrupt):
    """A command was asked to stop; its message says what is to be known, such as what is saved."""

    def __init__(self, message: str, number: int) -> None:
        super().__init__(message)
        self.status = 128 + number
        """Exit status of a process that ends by this signal."""


class StopRequest:
    """Whether a signal has asked to stop."""

    number = 0
    """Of the signal; 0 as long as none has come."""

    def note(self, number: int, _: FrameType | None) -> None:
        """Handle a signal. A second one does not wait for the step to end."""
        if self.number:
            raise KeyboardInterrupt
        self.number = number


@contextmanager
def stopping() -> Iterator[None]:
    """Let every signal in here raise as Ctrl-C does, so that nothing is left half done."""

    def stop(number: int, _: FrameType | None) -> None:
        raise Stopped("stopped", number)

    with _handling(stop):
        yield


@contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Take note of signals in here instead of ending at once; in the main thread only."""
    request = StopRequest()
    with _handling(request.note):
        yield request


@contextmanager
def _handling(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """What is ignored stays so, as nohup wishes it of SIGHUP; but shells do it to Ctrl-C, too."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {
        number: signal.signal(number, handler)
        for number in SIGNALS
        if number == signal.SIGINT or signal.getsignal(number) != signal.SIG_IGN
    }
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)
