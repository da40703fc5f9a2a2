"""Ctrl-C and SIGTERM while a run trains: the step in hand is finished, and the run saved."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopped(KeyboardInterrupt):
    """A run was asked to stop and has been saved; its message says how far it came."""

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
def stop_requests() -> Iterator[StopRequest]:
    """Take note of signals in here instead of ending at once; in the main thread only."""
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    before = {number: signal.signal(number, request.note) for number in SIGNALS}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
