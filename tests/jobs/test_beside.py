"""Calls on a thread beside: their order, how many wait, errors, and that no thread stays."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial

import pytest
import torch

from hs2s_core.jobs.beside import Abreast, in_turn

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
def test_two_calls_are_made_at_the_same_time_on_half_of_the_threads() -> None:
    meet = threading.Barrier(2, timeout=400)
    threads = threading.active_count()

    def call() -> tuple[int, int]:
        meet.wait()
        found = torch.get_num_threads()
        torch.ones(64, 64) @ torch.ones(64, 64)  # the first layer of a thread settles theirs
        return found, torch.get_num_threads()

    with Abreast() as abreast:
        for _ in range(3):
            assert abreast.both(call, call) == ((2, 2), (2, 2))
            assert torch.get_num_threads() == 4
    assert threading.active_count() == threads


@pytest.mark.usefixtures("four_threads")
@pytest.mark.parametrize("who", ["here", "there", "both"])
def test_an_error_of_either_comes_when_both_have_ended(who: str) -> None:
    ended = []

    def call(name: str) -> None:
        if who in (name, "both"):
            raise ValueError(name)
        ended.append(name)

    with Abreast() as abreast:
        with pytest.raises(ValueError, match="there" if who == "there" else "here"):
            abreast.both(partial(call, "here"), partial(call, "there"))
        assert len(ended) == (who != "both")
        assert torch.get_num_threads() == 4
