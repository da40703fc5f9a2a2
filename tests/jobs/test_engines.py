"""Videos in processes of their own: what comes back, what is lost, and what stays behind."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from hs2s_core.errors import HS2SError
from hs2s_core.jobs import Done, Item, Report, Tick, Work, find_engine, run_job

ITEMS = [Item(str(number), f"video {number}") for number in range(4)]


@dataclass(frozen=True)
class Noting:
    """Writes the process that does each video into a folder, and takes it away if undone.

    Of a video in hand the file ends in dots.
    """

    folder: Path
    bad: str = ""
    killed: str = ""
    broken: bool = False
    slow: int = 0
    """Tenths of a second that a video takes."""

    def open(self) -> Callable[[Item], Work[Done]]:
        if self.broken:
            raise HS2SError("no weights file, says the test")
        return self._video

    def _video(self, item: Item) -> Work[Done]:
        file = self.folder / item.key
        file.write_text(f"{os.getpid()}...")
        try:
            yield Tick(0.5, "frame 1 of 2", 1)
            print("what a video prints does not disturb")
            if item.key == self.bad:
                raise OSError("says the test")
            if item.key == self.killed:
                os.kill(os.getpid(), signal.SIGKILL)
            for _ in range(self.slow):
                time.sleep(0.1)
                yield Tick(0.5, "frame 1 of 2", 1)
            yield Tick(1.0, "frame 2 of 2", 2)
        except BaseException:
            file.unlink()
            raise
        file.write_text(str(os.getpid()))
        return Done(2)


def run(job: Noting, engine: str, workers: int = 2) -> Report[Done]:
    steps = run_job(job, ITEMS, engine=find_engine(engine, workers))
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            report: Report[Done] = stop.value
            return report


@pytest.fixture(scope="module")
def local_ray() -> Iterator[None]:
    """Ray on this machine, for all tests: it takes seconds to begin."""
    ray = pytest.importorskip("ray", reason="Ray is an extra")
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.fixture(params=["process", "ray"])
def several(request: pytest.FixtureRequest) -> str:
    """Each engine of several workers."""
    name: str = request.param
    if name == "ray":
        request.getfixturevalue("local_ray")
    return name


def test_several_workers_do_what_one_does(tmp_path: Path, several: str) -> None:
    job = Noting(tmp_path, bad="1")
    inline = run(job, "inline", 1)
    shared = run(job, several)
    assert (shared.results, shared.failed) == (inline.results, inline.failed)
    assert list(shared.results) == [ITEMS[0], ITEMS[2], ITEMS[3]]
    assert [problem.reason for problem in shared.failed] == ["OSError: says the test"]
    pids = {(tmp_path / key).read_text() for key in "023"}
    assert 1 <= len(pids) <= 2
    assert str(os.getpid()) not in pids


def test_a_killed_worker_loses_its_video_only(tmp_path: Path, several: str) -> None:
    report = run(Noting(tmp_path, killed="1"), several)
    assert list(report.results) == [ITEMS[0], ITEMS[2], ITEMS[3]]
    (problem,) = report.failed
    assert problem.name == "video 1"
    expected = {"process": "its worker process ended (signal 9)", "ray": "its worker ended ("}
    assert expected[several] in problem.reason


def test_stopping_undoes_the_videos_in_hand(tmp_path: Path, several: str) -> None:
    job = Noting(tmp_path, slow=600)
    with closing(run_job(job, ITEMS, engine=find_engine(several, 2))) as steps:
        label = next(step.label for step in steps if "frame 1" in step.label)
        (item,) = [item for item in ITEMS if item.name in label]
        pid = int((tmp_path / item.key).read_text().rstrip("."))
    assert not list(tmp_path.iterdir())
    while psutil.pid_exists(pid):  # Ray ends its workers when it comes to it
        assert several == "ray"
        time.sleep(0.1)


def test_what_stops_every_worker_is_told(tmp_path: Path, several: str) -> None:
    with pytest.raises(HS2SError, match="no weights file, says the test"):
        run(Noting(tmp_path, broken=True), several)


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
