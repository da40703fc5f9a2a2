"""Videos of a dataset in several processes, which all write to the one database."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import fiftyone as fo
import pytest

from hs2s_fiftyone.propagation import propagate

from ..helpers import CopyNetwork, detection, square, video_sample


class Deadly(CopyNetwork):
    """Takes its process with it at a white frame."""

    def encode(self, frame):  # type: ignore[no-untyped-def]
        if frame.min() > 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().encode(frame)


@pytest.fixture
def videos(dataset: fo.Dataset, make_video: Callable[..., str]) -> fo.Dataset:
    """Three videos; the last has a white frame."""
    for name, white in (("a.mp4", -1), ("b.mp4", -1), ("c.mp4", 3)):
        labels = fo.Detections(detections=[detection(square(8, 8), index=1, label="thing")])
        dataset.add_sample(video_sample(make_video(name, white=white), {1: labels}))
    return dataset


def shown(dataset: fo.Dataset, field: str) -> list[object]:
    """What every frame has in a field, but for ids."""
    return dataset.values([f"frames.{field}.detections.{name}" for name in ("index", "mask")])


def test_two_processes_write_what_one_does_and_a_killed_one_loses_its_video(
    videos: fo.Dataset,
) -> None:
    """In one test, because a process takes seconds to start; and none takes the killed one's place,
    as nothing is left to do: tests/jobs has that."""
    inline = propagate(videos, "truth", "one", model=CopyNetwork())
    shared = propagate(videos, "truth", "two", model=Deadly(), workers=2)
    assert (shared.done, shared.frames) == (inline.done, inline.frames)
    assert str(shown(videos, "two")) == str(shown(videos, "one"))
    assert videos.values("two_status") == videos.values("one_status") == ["done", "done", "failed"]
    (problem,) = shared.failed
    assert "its worker process ended (signal 9)" in problem.reason
    assert videos.values("two_error")[2] == problem.reason
    # What is left is done by the next run, which also clears what the killed one had gathered.
    assert propagate(videos, "truth", "two", model=CopyNetwork(), workers=1).skipped == 2
