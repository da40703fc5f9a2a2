"""Videos in processes of their own: what comes back, what is lost, and what stays behind."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from hs2s_core.errors import HS2SError
from hs2s_core.jobs import Done, Item, Report, Tick, Work, find_engine, run_job

ITEMS = [Item(str(number), f"video {number}") for number in range(4)]


@dataclass(frozen=True)
class Noting:
    """Writes the process that does each video into a folder, and takes it away if undone."""

    folder: Path
    bad: str = ""
    killed: str = ""
    broken: bool = False

    def open(self) -> Callable[[Item], Work[Done]]:
        if self.broken:
            raise HS2SError("no weights file, says the test")
        return self._video

    def _video(self, item: Item) -> Work[Done]:
        file = self.folder / item.key
        file.write_text(str(os.getpid()))
        try:
            yield Tick(0.5, "frame 1 of 2", 1)
            print("what a video prints does not disturb")
            if item.key == self.bad:
                raise OSError("says the test")
            if item.key == self.killed:
                os.kill(os.getpid(), signal.SIGKILL)
            yield Tick(1.0, "frame 2 of 2", 2)
        except BaseException:
            file.unlink()
            raise
        return Done(2)


def run(job: Noting, engine: str, workers: int = 2) -> Report[Done]:
    steps = run_job(job, ITEMS, engine=find_engine(engine, workers))
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            report: Report[Done] = stop.value
            return report


def test_processes_do_what_one_does(tmp_path: Path) -> None:
    job = Noting(tmp_path, bad="1")
    inline = run(job, "inline", 1)
    shared = run(job, "process")
    assert (shared.results, shared.failed) == (inline.results, inline.failed)
    assert list(shared.results) == [ITEMS[0], ITEMS[2], ITEMS[3]]
    assert [problem.reason for problem in shared.failed] == ["OSError: says the test"]
    pids = {(tmp_path / key).read_text() for key in "023"}
    assert 1 <= len(pids) <= 2
    assert str(os.getpid()) not in pids


def test_a_killed_worker_loses_its_video_only(tmp_path: Path) -> None:
    report = run(Noting(tmp_path, killed="1"), "process")
    assert list(report.results) == [ITEMS[0], ITEMS[2], ITEMS[3]]
    (problem,) = report.failed
    assert problem.name == "video 1"
    assert "its worker process ended (signal 9)" in problem.reason


def test_stopping_undoes_the_videos_in_hand(tmp_path: Path) -> None:
    with closing(run_job(Noting(tmp_path), ITEMS, engine=find_engine("process", 2))) as steps:
        next(step for step in steps if "frame 1" in step.label)
    for file in tmp_path.iterdir():  # what was finished meanwhile stays; its process is gone
        with pytest.raises(ProcessLookupError):
            os.kill(int(file.read_text()), 0)


def test_what_stops_every_worker_is_told(tmp_path: Path) -> None:
    with pytest.raises(HS2SError, match="no weights file, says the test"):
        run(Noting(tmp_path, broken=True), "process")


@pytest.mark.parametrize(
    ("name", "workers", "message"),
    [
        ("magic", 1, "engine is 'magic'; expected one of inline, process, ray"),
        (None, 0, "workers is 0; expected at least 1"),
        ("inline", 2, "'inline' is one process"),
    ],
)
def test_wrong_engines_are_refused(name: str | None, workers: int, message: str) -> None:
    with pytest.raises(HS2SError, match=message):
        find_engine(name, workers)


def test_ray_is_asked_for_by_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(HS2SError, match=r"pip install 'hs2s-fiftyone\[ray\]'"):
        find_engine("ray")


def test_ray_does_what_one_process_does(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="Ray is an extra")
    job = Noting(tmp_path, bad="1")
    inline, shared = run(job, "inline", 1), run(job, "ray")
    assert (shared.results, shared.failed) == (inline.results, inline.failed)
