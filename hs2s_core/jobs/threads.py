"""Calls on threads beside the network's own: reading and writing do not keep it waiting, and
several networks work where one alone leaves cores idle."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Protocol, TypeVar

import cv2
import torch

Found = TypeVar("Found")

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


class Give(Protocol):
    """Takes a call, to be made on another thread."""

    def __call__(self, call: Callable[[], Found], threads: int) -> Future[Found]:
        """``threads`` is how many of torch's threads it may use."""


@contextmanager
def sharing_threads(hands: int) -> Iterator[Give]:
    """Makes up to ``hands`` calls at the same time, each on some of torch's threads.

    What a layer of a small network computes is shared out among threads at a loss. Within the
    block, one thread is left to who gives the calls, and each of OpenCV's functions stays on the
    thread that calls it; at its end calls that are under way are waited for, and others dropped.
    """
    before, of_opencv = torch.get_num_threads(), cv2.getNumThreads()
    # A thread's first look at their number settles it; else its first layer would, too late.
    pool = ThreadPoolExecutor(hands, initializer=torch.get_num_threads)

    def give(call: Callable[[], Found], threads: int) -> Future[Found]:
        def on_its_share() -> Found:
            torch.set_num_threads(threads)
            return call()

        return pool.submit(on_its_share)

    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    try:
        yield give
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(before)
        cv2.setNumThreads(of_opencv)
