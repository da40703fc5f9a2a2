"""The progress line and TensorBoard's events of ``hs2s train``."""

from __future__ import annotations

import errno
import io
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from hs2s_core.errors import HS2SError
from hs2s_core.jobs.meters import Meter, StepMeter, reporting


class Terminal(io.StringIO):
    """A stream that somebody watches."""

    def isatty(self) -> bool:
        return True


def record(step: int, seconds: float = 2.0, **more: float) -> dict[str, Any]:
    return {"step": step, "loss": 0.5, "seconds": seconds, **more}


def test_the_line_stays_in_place_and_keeps_validations() -> None:
    stream = Terminal()
    now = [0.0]
    meter = StepMeter(100, stream=stream, clock=lambda: now[0])
    for now[0], step in ((2.0, record(49)), (2.1, record(50, jf=0.25)), (2.2, record(100))):
        meter(step)
    first, second, third = (line.rstrip() for line in stream.getvalue().split("\r")[1:])
    assert first == "[##########----------] step 49 of 100, loss 0.500, 1:42 left"
    assert second == "[##########----------] step 50 of 100, loss 0.500, 1:40 left, J&F 25.00"
    assert third == "[####################] step 100 of 100, loss 0.500, 0:00 left"
    assert stream.getvalue().count("\n") == 2


def test_hours_are_told_as_such() -> None:
    meter = StepMeter(10_000, stream=Terminal())
    meter(record(1000, seconds=1.0))
    assert "2:30:00 left" in meter.line(record(1000))


def test_nobody_watches() -> None:
    stream = io.StringIO()
    StepMeter(10, stream=stream)(record(1))
    assert stream.getvalue() == ""


def test_the_time_left_does_not_follow_one_slow_step() -> None:
    meter = StepMeter(1000, stream=io.StringIO())
    for step in range(1, 200):
        meter(record(step, seconds=1.0))
    assert meter.seconds_left(199) == pytest.approx(801)
    meter(record(200, seconds=20.0))
    assert 800 < meter.seconds_left(200) < 1.5 * 800
    for step in range(201, 500):
        meter(record(step, seconds=3.0))
    assert meter.seconds_left(499) == pytest.approx(3 * 501, rel=0.02)


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What a stand-in for TensorBoard's writer is told."""
    told: list[Any] = []

    class Writer:
        def __init__(self, folder: str) -> None:
            told.append(folder)

        def add_scalar(self, name: str, value: float, step: int) -> None:
            told.append((name, value, step))

        def close(self) -> None:
            told.append("closed")

    module = ModuleType("torch.utils.tensorboard")
    module.SummaryWriter = Writer  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    return told


def test_tensorboard_gets_all_numbers_and_is_closed(events: list[Any], tmp_path: Path) -> None:
    with reporting(2, tmp_path) as report:
        report(record(1, jf=0.5))
        report(record(2))
    assert events == [
        str(tmp_path),
        *[("loss", 0.5, 1), ("seconds", 2.0, 1), ("jf", 0.5, 1)],
        *[("loss", 0.5, 2), ("seconds", 2.0, 2)],
        "closed",
    ]


def test_an_interrupted_run_keeps_its_last_numbers(events: list[Any], tmp_path: Path) -> None:
    def interrupted() -> None:
        with reporting(2, tmp_path) as report:
            report(record(1))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert events[-2:] == [("seconds", 2.0, 1), "closed"]


def test_tensorboard_is_not_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(HS2SError, match=r"hs2s-fiftyone\[tensorboard\]"), reporting(1, tmp_path):
        raise AssertionError("not reached")


def test_events_are_files_that_tensorboard_reads(tmp_path: Path) -> None:
    with reporting(2, tmp_path) as report:
        report(record(1))
        report(record(2))
    found = EventAccumulator(str(tmp_path)).Reload()
    assert [(event.step, event.value) for event in found.Scalars("loss")] == [(1, 0.5), (2, 0.5)]


def test_a_meter_outlives_its_terminal() -> None:
    """One that was closed: what is written to it fails, and the run has to be saved yet."""

    class Gone(Terminal):
        def write(self, text: str) -> int:
            raise OSError(errno.EIO, "Input/output error")

    meter = Meter("frame", stream=Gone(), clock=iter(range(9)).__next__)
    meter(1, 2)
    meter(2, 2)
    meter.end()


def test_a_meter_tells_rate_and_time_left_where_somebody_watches() -> None:
    stream, now = Terminal(), [0.0]
    meter = Meter("frame", stream=stream, clock=lambda: now[0])
    for done, now[0] in ((1, 1.0), (2, 1.1), (50, 25.0), (100, 50.0)):
        meter(done, 100)
    meter.end()
    first, half, last = (line.rstrip() for line in stream.getvalue().split("\r")[1:])
    assert first == "[--------------------] frame 1 of 100, 1.0 per second, 1:39 left"
    assert half == "[##########----------] frame 50 of 100, 2.0 per second, 0:25 left"
    assert last == "[####################] frame 100 of 100, 2.0 per second, 0:00 left"
    assert stream.getvalue().endswith("\n")


def test_a_meter_tells_once_a_minute_where_nobody_watches() -> None:
    stream, now = io.StringIO(), [0.0]
    meter = Meter("frame", stream=stream, clock=lambda: now[0])
    for done in range(1, 200):
        now[0] = float(done)
        meter(done, None)
    meter.end()
    assert stream.getvalue().splitlines() == [
        f"frame {done}, 1.0 per second" for done in (60, 120, 180)
    ]
    silent = io.StringIO()
    quiet = Meter("frame", quiet=True, stream=silent, clock=lambda: now[0])
    now[0] += 100
    quiet(5, 10)
    assert silent.getvalue() == ""


def test_quiet_shows_nothing() -> None:
    stream = Terminal()
    StepMeter(10, stream=stream, quiet=True)(record(10))
    assert stream.getvalue() == ""
