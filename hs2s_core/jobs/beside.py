"""Calls on one thread beside the network's, so that reading and writing do not keep it waiting."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

_WAITING = 8
"""Calls that wait at most: what they hold bounds the memory."""


@contextmanager
def in_turn() -> Iterator[Callable[[Callable[[], object]], None]]:
    """Takes calls, and makes them one after another on a thread of its own.

    What a call raises comes out where a later one is given, or at the end of the block, which is
    when all have been made. If the block ends by an error, calls that wait are dropped. No thread
    outlives the block.
    """
    waiting: deque[Future[object]] = deque()
    thread = ThreadPoolExecutor(1)

    def give(call: Callable[[], object]) -> None:
        while waiting and (len(waiting) >= _WAITING or waiting[0].done()):
            waiting.popleft().result()
        waiting.append(thread.submit(call))

    try:
        yield give
        while waiting:
            waiting.popleft().result()
    finally:
        thread.shutdown(cancel_futures=True)
