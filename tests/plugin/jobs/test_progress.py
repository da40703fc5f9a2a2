"""Work that is driven to its end, and what is left of it when its watcher gives up."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import fiftyone as fo
import pytest

from hs2s_core.jobs import Progress, Steps
from hs2s_fiftyone.evaluation import evaluate
from hs2s_fiftyone.export import export
from hs2s_fiftyone.jobs import drive
from hs2s_fiftyone.loading.dataset import load
from hs2s_fiftyone.predictions import read_predictions
from hs2s_fiftyone.propagation import propagate

from ...data.builders import plain
from ..helpers import SIZE, CopyNetwork, detection, square, video_sample
from ..made import moving, write_folder


class GaveUp(Exception):
    pass


def give_up_at(label: str) -> Callable[[Progress], None]:
    def watch(step: Progress) -> None:
        if label in step.label:
            raise GaveUp

    return watch


def work(ended: list[str]) -> Steps[str]:
    try:
        yield Progress(0.0, "first")
        yield Progress(0.5, "second")
        ended.append("done")
    finally:
        ended.append("closed")
    return "result"


@pytest.mark.parametrize("progress", [True, False, None])
def test_the_result_is_returned(progress: bool | None, capfd: pytest.CaptureFixture[str]) -> None:
    ended: list[str] = []
    assert drive(work(ended), progress) == "result"
    assert ended == ["done", "closed"]
    shown = capfd.readouterr().out
    assert ("/100" in shown) is (progress is True)
    assert "samples" not in shown  # they are per cent


def test_every_step_is_told() -> None:
    told: list[Progress] = []
    drive(work([]), told.append)
    assert told == [Progress(0.0, "first"), Progress(0.5, "second")]


def test_a_watcher_that_raises_closes_the_work() -> None:
    ended: list[str] = []
    steps = work(ended)
    with pytest.raises(GaveUp):
        drive(steps, give_up_at("second"))
    assert ended == ["closed"]


@pytest.fixture
def video(dataset: fo.Dataset, make_video: Callable[..., str]) -> fo.Dataset:
    """One video of an object in two fields."""
    labels = {n: fo.Detections(detections=[detection(square(8, 8), index=1)]) for n in range(1, 6)}
    sample = video_sample(make_video(), labels)
    for frame in sample.frames.values():
        frame["guess"] = frame.truth.copy()
    dataset.add_sample(sample)
    return dataset


def test_nothing_half_done_is_left(video: fo.Dataset, tmp_path: Path) -> None:
    fields = video.get_frame_field_schema().keys()
    clip, maps = give_up_at("clip"), moving(5, {1: (4, 2)}, size=SIZE)
    # While the exception is kept, as a notebook does, so are its frames and the generator in them.
    with pytest.raises(GaveUp) as kept:
        propagate(video, "truth", "found", model=CopyNetwork(), progress=give_up_at("frame 1"))
    assert kept.value.__traceback__ is not None
    assert video.values("found_status") == [None]
    assert not any(video.values("frames.found", unwind=True))
    with pytest.raises(GaveUp):
        evaluate(video, "guess", "truth", "scores", progress=clip)
    assert video.list_evaluations() == []
    assert not video.has_sample_field("scores_jf")
    with pytest.raises(GaveUp):
        export(video, "guess", tmp_path / "out", progress=clip)
    assert not (tmp_path / "out").exists()
    masks = write_folder(tmp_path / "masks", {"clip": maps}, {"clip": maps})
    with pytest.raises(GaveUp):
        read_predictions(video, masks, "back", progress=clip)
    assert video.get_frame_field_schema().keys() - fields == {"found", "back"}
    assert not any(video.values("frames.back", unwind=True))
    root = plain(tmp_path / "data")
    with pytest.raises(GaveUp):
        load(root, "given up", video_dir=tmp_path / "videos", progress=clip)
    assert not fo.dataset_exists("given up")
