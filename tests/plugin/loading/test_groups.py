"""Videos in groups, such as the cameras of a car: every slice is worked on, not the active one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import fiftyone as fo
import numpy as np
import pytest

from hs2s_core.errors import HS2SError
from hs2s_core.media.masks import read_id_map
from hs2s_fiftyone.evaluation import evaluate
from hs2s_fiftyone.export import export
from hs2s_fiftyone.predictions import read_predictions
from hs2s_fiftyone.propagation import propagate
from hs2s_fiftyone.training import labelled_videos
from hs2s_fiftyone.views import worst_sequences

from ..helpers import SIZE, CopyNetwork, detection, frame_masks, square, video_sample

FRAMES = 3
PLACES = {"left0": (8, 8), "right0": (8, 40), "left1": (40, 8), "right1": (40, 40)}
"""Video -> corner of the square that it shows in every frame."""


def label(name: str) -> fo.Detections:
    return fo.Detections(detections=[detection(square(*PLACES[name]), index=1, label="thing")])


@pytest.fixture
def grouped(dataset: fo.Dataset, make_video: Callable[..., str]) -> fo.Dataset:
    """Two groups of two videos and an image; the left video is the active slice."""
    dataset.add_group_field("camera", default="left")
    dataset.add_sample_field("video_id", fo.StringField)
    for number in range(2):
        group = fo.Group()
        for side in ("left", "right"):
            name = f"{side}{number}"
            path = make_video(f"{name}.mp4", frames=FRAMES)
            sample = video_sample(path, {n + 1: label(name) for n in range(FRAMES)})
            sample["video_id"] = name
            sample["camera"] = group.element(side)
            dataset.add_sample(sample)
        dataset.add_sample(fo.Sample(filepath=f"/none/{number}.png", camera=group.element("map")))
    return dataset


def videos(dataset: fo.Dataset) -> dict[str, fo.Sample]:
    every = dataset.select_group_slices(media_type="video")
    return {name: dataset[key] for key, name in zip(*every.values(["id", "video_id"]), strict=True)}


def test_every_slice_is_propagated_and_overwritten(
    grouped: fo.Dataset, network: CopyNetwork
) -> None:
    summary = propagate(grouped, "truth", "found", model=network)
    assert sorted(summary.done) == sorted(f"{name}.mp4" for name in PLACES)
    for name, sample in videos(grouped).items():
        assert sample.found_status == "done"
        for frame in sample.frames.values():
            assert np.array_equal(frame_masks(frame.found, SIZE)[1], square(*PLACES[name]))
        for number in (1, 2):
            sample.frames[number].truth = None
        sample.frames[FRAMES].truth = label("left0")
        sample.save()
    assert propagate(grouped, "truth", "found", model=network).skipped == 4
    propagate(grouped, "truth", "found", model=network, overwrite=True)
    for sample in videos(grouped).values():
        sample.reload()
        for frame in sample.frames.values():
            assert np.array_equal(frame_masks(frame.found, SIZE)[1], square(*PLACES["left0"]))


def test_every_slice_is_evaluated(grouped: fo.Dataset, network: CopyNetwork) -> None:
    propagate(grouped, "truth", "found", model=network)
    broken = videos(grouped)["right1"]
    broken.frames[2].found.detections[0].bounding_box = []
    broken.save()
    moved = videos(grouped)["right0"]
    moved.frames[2].found = label("left0")  # the first and the last do not count
    moved.save()
    results = evaluate(grouped, "found", "truth", "scores", progress=False)
    assert sorted(results.sample_ids) == ["left0", "left1", "right0"]
    assert [failure.video for failure in results.failures] == ["right1"]
    scores = {name: sample.scores_jf for name, sample in videos(grouped).items()}
    assert scores["left0"] == scores["left1"] == 1
    assert scores["right0"] < 1
    assert scores["right1"] is None
    assert "not evaluated" in videos(grouped)["right1"].scores_note
    worst = worst_sequences(grouped, "scores")
    assert worst.values("video_id")[0] == "right0"
    assert len(worst) == 3


def test_every_slice_is_exported_and_read_back(grouped: fo.Dataset, tmp_path: Path) -> None:
    sample = videos(grouped)["right0"]
    sample.frames[FRAMES].truth = None
    sample.save()
    export(grouped, "truth", tmp_path, progress=False)
    for name, place in PLACES.items():
        files = sorted((tmp_path / "Annotations" / name).iterdir())
        assert len(files) == FRAMES
        assert np.array_equal(read_id_map(files[0]) == 1, square(*place))
    assert not read_id_map(files[0].parents[1] / "right0" / f"{FRAMES - 1:05d}.png").any()

    read_predictions(grouped, tmp_path, "back", progress=False)
    before = {
        name: sample.frames[1].back.detections[0].id for name, sample in videos(grouped).items()
    }
    with pytest.raises(HS2SError, match="holds labels already"):
        read_predictions(grouped, tmp_path, "back", progress=False)
    (tmp_path / "Annotations/right1/00001.png").unlink()
    read_predictions(grouped, tmp_path, "back", overwrite=True, progress=False)
    for name, sample in videos(grouped).items():
        sample.reload()
        assert sample.frames[1].back.detections[0].id != before[name]
        assert (sample.frames[2].back is None) == (name == "right1")


def test_frames_to_the_end_are_exported(grouped: fo.Dataset, tmp_path: Path) -> None:
    """Also those that the database has no document of."""
    grouped.compute_metadata()
    for sample in videos(grouped).values():
        del sample.frames[FRAMES]
        sample.save()
    export(grouped, "truth", tmp_path, progress=False)
    counts = [len(list(folder.iterdir())) for folder in (tmp_path / "Annotations").iterdir()]
    assert counts == [FRAMES] * 4


def test_every_slice_is_trained_on(grouped: fo.Dataset) -> None:
    assert {video.name for video in labelled_videos(grouped, "truth")} == PLACES.keys()
