"""Calls on a thread beside: their order, how many wait, errors, and that no thread stays."""

from __future__ import annotations

import threading

import pytest

from hs2s_core.jobs.beside import in_turn


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
