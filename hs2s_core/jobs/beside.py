"""Calls on a thread beside the network's: reading and writing do not keep it waiting, and a second
network works where one alone leaves cores idle."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import TypeVar

import torch

Here = TypeVar("Here")
There = TypeVar("There")

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


class Abreast:
    """Makes two calls at the same time, each with half of torch's threads; in a ``with`` block.

    What a layer of a small network computes is shared out among threads at a loss.
    """

    def __init__(self) -> None:
        # A thread's first look at their number settles it; else its first layer would, too late.
        self._thread = ThreadPoolExecutor(1, initializer=torch.get_num_threads)

    def __enter__(self) -> Abreast:
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.shutdown()

    def both(self, here: Callable[[], Here], there: Callable[[], There]) -> tuple[Here, There]:
        """What both return; waits for both. What ``here`` raises comes before the other's."""
        before = torch.get_num_threads()
        half = max(1, before // 2)

        def call() -> There:
            torch.set_num_threads(half)
            return there()

        other = self._thread.submit(call)
        torch.set_num_threads(half)
        try:
            found = here()
        finally:
            wait([other])
            torch.set_num_threads(before)
        return found, other.result()
