"""Calls on a thread beside: their order, how many wait, errors, and that no thread stays."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial

import cv2
import pytest
import torch

from hs2s_core.jobs.threads import in_turn, sharing_threads

from ..threads import threads


def test_calls_are_made_in_their_order_beside_this_thread() -> None:
    made: list[tuple[int, bool]] = []
    with in_turn() as give:
        for number in range(30):
            give(lambda n=number: made.append((n, threading.current_thread() is here)))  # type: ignore[misc]
    assert made == [(number, False) for number in range(30)]


here = threading.current_thread()


def test_a_bounded_number_waits() -> None:
    """What is given beyond that waits itself, until one call is made."""
    go, given = threading.Event(), []

    def giver() -> None:
        with in_turn() as give:
            for number in range(50):
                give(go.wait)
                given.append(number)

    thread = threading.Thread(target=giver)
    thread.start()
    thread.join(0.2)
    assert len(given) < 20
    go.set()
    thread.join(400)
    assert len(given) == 50


@pytest.mark.parametrize("more", [0, 100])
def test_what_a_call_raises_comes_out(more: int) -> None:
    """At the end of the block, or before."""
    before = threading.active_count()

    def run() -> None:
        with in_turn() as give:
            give(_fail)
            for _ in range(more):
                give(int)

    with pytest.raises(OSError, match="disk"):
        run()
    assert threading.active_count() == before


def _fail() -> None:
    raise OSError("the disk is full")


def test_a_block_that_fails_drops_what_waits() -> None:
    made: list[int] = []
    go, timer = threading.Event(), threading.Timer(0.2, lambda: go.set())

    def run() -> None:
        with in_turn() as give:
            give(go.wait)
            give(lambda: made.append(1))
            timer.start()
            raise KeyboardInterrupt

    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        run()
    timer.join()
    assert made == []
    assert threading.active_count() == before


@pytest.fixture
def four_threads() -> Iterator[None]:
    """Of torch's, as this suite runs on one."""
    with threads(4):
        yield


@pytest.mark.usefixtures("four_threads")
def test_calls_are_made_at_the_same_time_each_on_its_share_of_the_threads() -> None:
    meet = threading.Barrier(2, timeout=400)
    active, of_opencv = threading.active_count(), cv2.getNumThreads()

    def call() -> tuple[int, int]:
        meet.wait()
        found = torch.get_num_threads()
        torch.ones(64, 64) @ torch.ones(64, 64)  # the first layer of a thread settles theirs
        return found, torch.get_num_threads()

    with sharing_threads(2) as give:
        assert torch.get_num_threads() == cv2.getNumThreads() == 1
        for share in (2, 1, 2):
            turns = [give(call, share) for _ in range(2)]
            assert [turn.result() for turn in turns] == [(share, share)] * 2
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 4
    assert cv2.getNumThreads() == of_opencv
    assert threading.active_count() == active


@pytest.mark.usefixtures("four_threads")
def test_at_an_error_what_is_under_way_ends_and_the_rest_is_dropped() -> None:
    made: list[int] = []
    begun, goes_on = threading.Event(), threading.Event()

    def first() -> None:
        begun.set()
        goes_on.wait(400)
        made.append(1)

    def fail() -> None:
        with sharing_threads(1) as give:
            give(first, 1)
            give(partial(made.append, 2), 1)
            begun.wait(400)
            threading.Timer(0.2, goes_on.set).start()
            raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        fail()
    assert made == [1]
    assert torch.get_num_threads() == 4
