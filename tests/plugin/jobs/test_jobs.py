"""The one loop over videos, and how what a video gets is written: at once, by one run at a time."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import fiftyone as fo
import pytest

from hs2s_core.errors import HS2SError
from hs2s_core.jobs import Done, Item, Problem, Progress, Tick, Work, run_job
from hs2s_fiftyone.jobs import FrameWriter, Taken, claims, drive, settle_killed, writer

from ..helpers import detection, square, video_sample

ITEMS = [Item("1", "one"), Item("2", "two"), Item("3", "three")]


@dataclass(frozen=True)
class Counting:
    """Two frames a video; the named video fails after its first."""

    bad: str = ""

    def open(self) -> Callable[[Item], Work[Done]]:
        return self._video

    def _video(self, item: Item) -> Work[Done]:
        yield Tick(0.5, "frame 1 of 2", 1)
        if item.name == self.bad:
            raise OSError("says the test")
        yield Tick(1.0, "frame 2 of 2", 2)
        return Done(2)


def test_one_failure_leaves_the_others() -> None:
    noted: list[tuple[Item, str]] = []
    told: list[Progress] = []
    job = run_job(Counting("two"), ITEMS, failed=lambda *what: noted.append(what))
    report = drive(job, told.append)
    assert list(report.results) == [ITEMS[0], ITEMS[2]]
    assert report.failed == [Problem("2", "two", "OSError: says the test")]
    assert noted == [(ITEMS[1], "OSError: says the test")]
    assert [step.label for step in told][:3] == ["1/3 one", "1/3 one: frame 1 of 2", "2/3 two"]
    assert (told[-1].fraction, told[-1].videos, told[-1].frames) == (1.0, 3, 4)


def test_the_time_left_follows_from_what_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 1000, 3))
    monkeypatch.setattr("hs2s_core.jobs.loop.time.monotonic", lambda: float(next(clock)))
    told: list[Progress] = []
    drive(run_job(Counting(), ITEMS[:2]), told.append)
    left = [step for step in told if step.seconds_left]
    assert left
    for step in left:
        rate, rest = step.label.split(", ")[1:]
        assert rate.endswith(" per second")
        assert rest.endswith(" left")
    assert left[-1].seconds_left < left[0].seconds_left + 20


# ---------------------------------------------------------------- writing


@pytest.fixture
def sample(dataset: fo.Dataset) -> fo.Sample:
    """A video with a label in its first and third frame."""
    labels = {n: fo.Detections(detections=[detection(square(8, 8), index=1)]) for n in (1, 3)}
    dataset.add_sample(video_sample("/videos/clip.mp4", labels))
    dataset.add_sample_field("status", fo.StringField)
    dataset.add_frame_field("note", fo.StringField)
    found: fo.Sample = dataset.first()
    return found


def indices(sample: fo.Sample) -> dict[int, list[int] | None]:
    """Index of each label by frame number, as the database has them."""
    frames = sample._dataset._frame_collection.find({"truth": {"$ne": None}})
    return {
        frame["frame_number"]: [entry["index"] for entry in frame["truth"]["detections"]]
        for frame in frames.sort("frame_number")
    }


@pytest.fixture(autouse=True)
def nothing_gathered() -> None:
    """Without what tests of killed runs left in this worker's database."""
    writer._staged().delete_many({})
    claims.claims().delete_many({})


def write(sample: fo.Sample, **values: Any) -> FrameWriter:
    """Labels of index 2 for frames 1 and 2; left open."""
    opened = FrameWriter(sample._dataset, sample.id, "truth", "clip")
    opened.__enter__()
    for number in (1, 2):
        label = detection(square(8, 8), index=2)
        opened.add(number, fo.Detections(detections=[label]), **values)
    opened.values = {"status": "done"}
    return opened


def test_labels_come_at_once_and_replace_all(sample: fo.Sample) -> None:
    opened = write(sample, note="new")
    assert indices(sample) == {1: [1], 3: [1]}
    opened.__exit__(None, None, None)
    assert indices(sample) == {1: [2], 2: [2]}
    assert sample.status == "done"  # also of the object that the caller holds
    assert sample._dataset._frame_collection.find_one({"frame_number": 2})["note"] == "new"
    assert not list(claims.claims().find())
    assert not list(writer._staged().find())


def test_what_goes_wrong_changes_nothing(sample: fo.Sample) -> None:
    opened = write(sample)
    opened.__exit__(OSError, OSError("disk full"), None)
    assert indices(sample) == {1: [1], 3: [1]}
    assert not list(claims.claims().find())


def kill(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on, claims of this process are those of one that ended."""
    monkeypatch.setattr(claims, "_held", set())


def test_what_a_killed_run_had_decided_to_write_is_written(
    sample: fo.Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = write(sample)
    with monkeypatch.context() as patch:
        # Killed right after the one write that decides.
        patch.setattr(claims, "_end", lambda *_: None)
        opened.__exit__(None, None, None)
    assert indices(sample) == {1: [1], 3: [1]}
    settle_killed()
    assert indices(sample) == {1: [2], 2: [2]}
    sample.reload()
    assert sample.status == "done"


def test_what_a_killed_run_had_not_finished_is_thrown_away(
    sample: fo.Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = write(sample)
    opened._flush()
    assert writer._staged().count_documents({}) == 2
    settle_killed()  # it is still at work
    assert writer._staged().count_documents({}) == 2
    kill(monkeypatch)
    settle_killed()
    assert writer._staged().count_documents({}) == 0
    assert indices(sample) == {1: [1], 3: [1]}
    # Should it be alive after all, it finds its claim gone and writes nothing.
    with pytest.raises(Taken, match="another run took over"):
        opened.__exit__(None, None, None)
    assert indices(sample) == {1: [1], 3: [1]}


def test_two_runs_cannot_be_at_one_video(sample: fo.Sample) -> None:
    opened = write(sample)
    message = rf"another run is at clip \(process {os.getpid()} on .*; wait for it, or stop it"
    with pytest.raises(HS2SError, match=message):
        write(sample)
    opened.__exit__(None, None, None)
    assert indices(sample) == {1: [2], 2: [2]}


def test_a_process_that_ended_holds_nothing(sample: fo.Sample) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    opened = write(sample)
    claims.claims().update_many({}, {"$set": {"pid": ended.pid}})
    write(sample).__exit__(None, None, None)
    assert indices(sample) == {1: [2], 2: [2]}
    with pytest.raises(Taken):
        opened.__exit__(None, None, None)
