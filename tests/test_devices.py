"""How many threads of the CPU are used, and what is said of it."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from hs2s_core import devices
from hs2s_core.devices import free_threads, use_threads


@pytest.fixture(autouse=True)
def same_afterwards() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize(("cores", "load", "chosen"), [(8, 0.2, 8), (8, 5.6, 2), (2, 9.0, 1)])
def test_free_cores_are_taken(
    cores: int, load: float, chosen: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(devices, "cores", lambda: cores)
    monkeypatch.setattr(devices, "_load", lambda: load)
    told = use_threads()
    assert torch.get_num_threads() == chosen
    assert told.startswith(f"computing on {chosen} thread")
    assert f"{cores} cores, load {load}" in told


def test_what_is_asked_for_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr(devices, "cores", lambda: 4)
    torch.set_num_threads(1)
    assert "OMP_NUM_THREADS" in use_threads()
    assert use_threads(9999) == "computing on 4 threads (9999 asked for, but there are 4 cores)"
    assert torch.get_num_threads() == 4
    assert use_threads(3) == "computing on 3 threads (as asked for)"
    assert torch.get_num_threads() == 3


@pytest.mark.parametrize(("running", "chosen"), [(0.0, 3), (2.0, 2), (9.0, 1)])
def test_a_program_takes_free_cores_for_a_while(
    running: float, chosen: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And no more than it has been given."""
    monkeypatch.setattr(devices, "cores", lambda: 4)
    monkeypatch.setattr(devices, "_running", lambda: running)
    torch.set_num_threads(3)
    with free_threads():
        assert torch.get_num_threads() == chosen
    assert torch.get_num_threads() == 3


@pytest.mark.skipif(not Path("/proc/loadavg").is_file(), reason="only Linux tells what runs now")
def test_processes_that_have_just_begun_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """The average of a minute does not know of them yet."""
    monkeypatch.setattr("os.getloadavg", lambda: (0.0, 0.0, 0.0))
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2)]
    try:
        deadline = time.monotonic() + 400
        while devices._load() < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert devices._load() >= 2
    finally:
        for process in busy:
            process.kill()
            process.wait()
