"""Views of clips: masks are followed within each clip, and only its frames are written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import fiftyone as fo
import fiftyone.operators as foo
import numpy as np
import pytest
from fiftyone import ViewField as F
from fiftyone.operators.executor import Executor

from hs2s_core.errors import HS2SError
from hs2s_fiftyone import propagate, repropagate
from hs2s_fiftyone.jobs import FrameWriter
from hs2s_fiftyone.labels.frame_fields import add_detections
from hs2s_fiftyone.operators import PropagateMasks

from ..helpers import SIZE, CopyNetwork, detection, square, video_sample


@pytest.fixture
def dataset(dataset: fo.Dataset, make_video: Callable[..., str]) -> fo.Dataset:
    """Two videos of nine frames; a dog is given in frames 2 and 6, a cat in frame 6."""
    for name in ("one", "two"):
        dogs = [detection(square(8, left), index=1, label="dog") for left in (8, 40)]
        cat = detection(square(40, 40), index=2, label="cat")
        labels = {2: [dogs[0]], 6: [dogs[1], cat]}
        frames = {number: fo.Detections(detections=each) for number, each in labels.items()}
        dataset.add_sample(video_sample(make_video(f"{name}.mp4", frames=9), frames))
    return dataset


def found(dataset: fo.Dataset, place: int = 0) -> dict[int, list[str]]:
    """Frame number -> the objects that were found in it, of one video."""
    frames = dataset.skip(place).first().frames
    return {
        number: [each.label for each in frame.hs2s.detections]
        for number, frame in frames.items()
        if frame.has_field("hs2s") and frame.hs2s is not None
    }


def test_masks_are_followed_within_their_clip(dataset: fo.Dataset, network: CopyNetwork) -> None:
    clips = dataset.to_clips([[[1, 3], [5, 8]], [[2, 4]]])
    summary = propagate(clips, "truth", model=network)
    dog, both = ["dog"], ["dog", "cat"]
    assert summary.done == [
        "one.mp4, frames 1 to 3",
        "one.mp4, frames 5 to 8",
        "two.mp4, frames 2 to 4",
    ]
    assert found(dataset) == {1: dog, 2: dog, 3: dog, 5: both, 6: both, 7: both, 8: both}
    assert found(dataset, 1) == {2: dog, 3: dog, 4: dog}
    frames = dataset.first().frames
    # In the clip, the mask of frame 6 is the only one; the one before it does not count.
    boxes = [frames[number].hs2s.detections[0].bounding_box for number in (3, 5)]
    assert boxes == [frames[number].truth.detections[0].bounding_box for number in (2, 6)]
    assert [len(clip.frames.first().hs2s.detections) for clip in clips] == [1, 2, 1]


def test_a_clip_is_done_again_without_its_neighbours(
    dataset: fo.Dataset, network: CopyNetwork
) -> None:
    view = dataset.limit(1)
    propagate(view.to_clips([[[1, 3], [5, 8]]]), "truth", model=network)
    kept = [dataset.first().frames[n].hs2s.detections[0].id for n in (1, 3)]
    clips = view.to_clips([[[2, 2], [6, 9]]])
    summary = propagate(clips, "truth", model=network)
    assert (summary.done, summary.skipped) == ([], 2)
    propagate(clips.skip(1), "truth", model=network, overwrite=True)
    assert sorted(found(dataset)) == [1, 2, 3, 5, 6, 7, 8, 9]
    assert [dataset.first().frames[n].hs2s.detections[0].id for n in (1, 3)] == kept
    assert propagate(view, "truth", model=network).skipped == 1
    propagate(view, "truth", model=network, overwrite=True)
    assert sorted(found(dataset)) == list(range(1, 10))
    assert dataset.first().hs2s_status == "done"


def test_corrections_count_in_their_clip_alone(dataset: fo.Dataset, network: CopyNetwork) -> None:
    clips = dataset.limit(1).to_clips([[[1, 3], [5, 8]]])
    propagate(clips, "truth", model=network)
    sample = dataset.first()
    drawn = detection(square(20, 60), label="bird", index=7)
    sample.frames[7].hs2s.detections.append(drawn)
    sample.save()
    propagate(clips, "truth", model=network, overwrite=True)
    birds = {number: "bird" in labels for number, labels in found(dataset).items()}
    assert birds == {number: number > 4 for number in birds}
    assert drawn.id in [each.id for each in dataset.first().frames[7].hs2s.detections]
    with pytest.raises(HS2SError, match="made clip by clip; run 'Propagate masks'"):
        repropagate(dataset)


def test_what_a_clip_had_and_is_not_found_again_goes(
    dataset: fo.Dataset, network: CopyNetwork
) -> None:
    view = dataset.limit(1)
    propagate(view, "truth", model=network)
    before = found(dataset)
    assert before[5] == before[8] == ["dog", "cat"]
    only = view.filter_labels("frames.truth", F("label") == "cat").to_clips([[[5, 8]]])
    propagate(only, "truth", model=network, overwrite=True)
    assert found(dataset) == before | {number: ["cat"] for number in range(5, 9)}
    assert dataset.first().hs2s_status == "done"


def test_clips_that_overlap_are_one(dataset: fo.Dataset, network: CopyNetwork) -> None:
    clips = dataset.limit(1).to_clips([[[5, 7], [6, 9], [1, 1]]])
    summary = propagate(clips, "truth", model=network, skip_invalid=True)
    assert summary.done == ["one.mp4, frames 5 to 9"]
    (failed,) = summary.failed
    assert str(failed) == (
        "one.mp4, frames 1 to 1: no prompt mask: no frame of the clip has labels in 'truth'"
    )


def test_clips_of_one_video_are_written_at_the_same_time(dataset: fo.Dataset) -> None:
    add_detections(dataset, "hs2s")
    sample = dataset.first()
    label = sample.frames[2].truth
    writers = [FrameWriter(dataset, sample.id, "hs2s", "clip", span) for span in ((1, 3), (5, 8))]
    with writers[0] as first, writers[1] as second:
        first.add(2, label)
        second.add(6, label)
    assert found(dataset) == {2: ["dog"], 6: ["dog"]}


def test_clips_without_all_of_their_labels_are_refused(dataset: fo.Dataset) -> None:
    clips = dataset.to_clips([[[1, 3]], [[1, 3]]])
    for view in (
        clips.filter_labels("frames.truth", F("label") == "cat"),
        dataset.to_trajectories("frames.truth"),
    ):
        with pytest.raises(HS2SError, match="some of their labels, or trajectories"):
            propagate(view, "truth")


def test_fields_that_the_app_does_not_show_do_not_matter(
    dataset: fo.Dataset, network: CopyNetwork
) -> None:
    """Its choice of visible fields is a stage of the view."""
    clips = dataset.limit(1).to_clips([[[1, 3]]])
    propagate(clips.select_fields("frames.truth"), "truth", model=network)
    assert sorted(found(dataset)) == [1, 2, 3]


def test_a_clip_beyond_the_end_of_its_video_is_told_before_the_run(
    dataset: fo.Dataset, network: CopyNetwork
) -> None:
    clips = dataset.limit(1).to_clips([[[1, 3], [5, 10]]])
    with pytest.raises(HS2SError, match="is of frames 5 to 10, but the video has 9 frames"):
        propagate(clips, "truth", model=network)
    assert not dataset.has_frame_field("hs2s")
    summary = propagate(clips, "truth", model=network, skip_invalid=True)
    assert summary.done == ["one.mp4, frames 1 to 3"]


def test_frames_are_clips_of_their_videos(
    dataset: fo.Dataset, network: CopyNetwork, tmp_path: Path
) -> None:
    for sample in dataset.limit(1):
        for number in range(1, 10):
            path = tmp_path / f"{number}.png"
            cv2.imwrite(str(path), np.zeros((*SIZE, 3), np.uint8))
            sample.frames[number]["filepath"] = str(path)
        sample.save()
    frames = dataset.limit(1).to_frames().match(F("frame_number") > 4)
    summary = propagate(frames.limit(4), "truth", model=network)
    assert summary.done == ["one.mp4, frames 5 to 8"]
    assert sorted(found(dataset)) == [5, 6, 7, 8]
    propagate(frames, "truth", model=network, overwrite=True)
    frames.reload()
    assert [len(each.hs2s.detections) for each in frames] == [2] * 5


def test_the_form_counts_clips(dataset: fo.Dataset) -> None:
    clips = dataset.to_clips([[[1, 3], [5, 8]], [[2, 4]]])
    request = {"dataset_name": dataset.name, "view": clips._serialize(), "params": {}}
    context = foo.ExecutionContext(request_params=request, executor=Executor())
    shown: dict[str, Any] = PropagateMasks().resolve_type(context, "inputs").type.properties
    assert shown["plan"].view.label == "3 videos to propagate"
