"""A range of frames: masks of the whole video count, and only its frames are written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import fiftyone as fo
import numpy as np
import pytest

from hs2s_core.errors import HS2SError
from hs2s_fiftyone import propagate, repropagate
from hs2s_fiftyone.operators import PropagateMasks

from ..forms import form
from ..helpers import CopyNetwork, detection, square, video_sample, write_shots


@pytest.fixture
def video(dataset: fo.Dataset, make_video: Callable[..., str]) -> fo.Dataset:
    """Nine frames; a dog is given in frames 2 and 8."""
    frames = {
        number: fo.Detections(detections=[detection(square(8, left), index=1, label="dog")])
        for number, left in ((2, 8), (8, 12))
    }
    dataset.add_sample(video_sample(make_video(frames=9), frames))
    return dataset


def written(dataset: fo.Dataset, field: str = "hs2s") -> list[int]:
    """Numbers of the frames that show an object."""
    dataset.reload()
    frames = dataset.first().frames
    return [n for n, f in frames.items() if f.has_field(field) and f[field] and f[field].detections]


@pytest.mark.parametrize(
    ("wanted", "numbers"),
    [
        ({"first_frame": 4, "last_frame": 6}, [4, 5, 6]),
        ({"first_frame": 7}, [7, 8, 9]),
        ({"last_frame": 1}, [1]),
        ({"first_frame": 8, "last_frame": 100}, [8, 9]),
        ({"first_frame": 1, "last_frame": None}, list(range(1, 10))),
    ],
)
def test_only_its_frames_are_written(
    video: fo.Dataset, network: CopyNetwork, wanted: dict[str, Any], numbers: list[int]
) -> None:
    propagate(video, "truth", "whole", model=network)
    summary = propagate(video, "truth", model=network, **wanted)
    assert not summary.failed
    assert written(video) == numbers
    sample = video.first()
    assert sample.hs2s_status == ("done" if len(numbers) == 9 else "clips")
    for number in numbers:  # as in a run of all frames: masks outside of the range count
        label, whole = (sample.frames[number][field].detections[0] for field in ("hs2s", "whole"))
        assert label.bounding_box == whole.bounding_box
        assert (label.confidence, label.distance) == (whole.confidence, whole.distance)


def test_ranges_of_a_video_are_made_one_after_the_other(
    video: fo.Dataset, network: CopyNetwork
) -> None:
    propagate(video, "truth", model=network, last_frame=3)
    kept = video.first().frames[2].hs2s.detections[0].id
    assert propagate(video, "truth", model=network, first_frame=2, last_frame=5).skipped == 1
    propagate(video, "truth", model=network, first_frame=4)
    assert written(video) == list(range(1, 10))
    assert video.first().frames[2].hs2s.detections[0].id == kept


def test_corrections_elsewhere_count_and_stay(video: fo.Dataset, network: CopyNetwork) -> None:
    propagate(video, "truth", model=network)
    sample = video.first()
    bird = detection(square(40, 60), label="bird", index=7)
    sample.frames[3].hs2s.detections.append(bird)
    sample.save()
    propagate(video, "truth", model=network, first_frame=5, last_frame=6, overwrite=True)
    video.reload()
    shown = {n: {each.label for each in f.hs2s.detections} for n, f in video.first().frames.items()}
    assert shown == {n: {"dog", "bird"} if n in (3, 5, 6) else {"dog"} for n in range(1, 10)}
    assert bird.id in [each.id for each in video.first().frames[3].hs2s.detections]


def test_what_is_put_right_is_followed_in_the_range(
    video: fo.Dataset, network: CopyNetwork, tmp_path: Path
) -> None:
    propagate(video, "truth", model=network, first_frame=4, last_frame=6)
    sample = video.first()
    sample.frames[5].hs2s.detections[0].mask = np.ones((4, 4), bool)
    sample.frames[5].hs2s.detections[0].bounding_box = [0.5, 0.5, 0.1, 0.1]
    sample.save()
    repropagate(video, model=network)
    assert written(video) == [4, 5, 6]
    assert video.first().frames[6].hs2s.detections[0].distance == 1


def test_no_object_is_followed_across_a_cut_before_the_range(
    dataset: fo.Dataset, tmp_path: Path, network: CopyNetwork
) -> None:
    path = tmp_path / "shots.mp4"
    write_shots(path)
    mask = fo.Detections(detections=[detection(square(0, 0), index=1)])
    dataset.add_sample(video_sample(str(path), {3: mask}))
    propagate(dataset, "truth", model=network, cuts="stop", first_frame=9)
    assert written(dataset) == []
    assert dataset.first().hs2s_error is None
    propagate(dataset, "truth", model=network, cuts="stop", first_frame=5, overwrite=True)
    assert written(dataset) == [5, 6]
    assert dataset.first().hs2s_error == "another shot begins at frame 7."


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"first_frame": 0}, "first_frame: 0 is no frame number; expected 1 or more"),
        ({"last_frame": 0}, "last_frame: 0 is no frame number; expected 1 or more"),
        ({"first_frame": 5, "last_frame": 4}, "last_frame: frame 4 lies before frame 5"),
        ({"first_frame": 10}, "frames from 10 on are wanted, but the video has 9 frames"),
        ({"first_frame": "2"}, "first_frame is '2'"),
    ],
)
def test_ranges_that_cannot_be_are_refused(
    video: fo.Dataset, network: CopyNetwork, wanted: dict[str, Any], message: str
) -> None:
    with pytest.raises(HS2SError, match=message):
        propagate(video, "truth", model=network, **wanted)
    assert not video.has_frame_field("hs2s")


def test_a_view_of_clips_has_its_own(video: fo.Dataset, network: CopyNetwork) -> None:
    clips = video.to_clips([[[1, 3]]])
    with pytest.raises(HS2SError, match="the view of clips says already which frames are wanted"):
        propagate(clips, "truth", model=network, last_frame=2)


def test_a_length_that_the_container_misstates_is_no_bound(
    video: fo.Dataset, network: CopyNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hs2s_core.media.video import VideoFrames

    monkeypatch.setattr(VideoFrames, "__len__", lambda self: 5)
    propagate(video, "truth", model=network, first_frame=7)
    assert written(video) == [7, 8, 9]
    propagate(video, "truth", "out", model=network, first_frame=7, last_frame=8)
    assert written(video, "out") == [7, 8]


def test_the_form_asks_for_it(video: fo.Dataset, network: CopyNetwork) -> None:
    shown = form(PropagateMasks, video, first_frame=5, last_frame=3)
    assert "lies before frame 5" in shown["last_frame"].error_message
    shown = form(PropagateMasks, video, first_frame=2.5)
    assert "2.5 is no frame number" in shown["first_frame"].error_message
    assert "problems" not in shown
    assert not form(PropagateMasks, video, first_frame=5)["first_frame"].invalid
    clips = video.to_clips([[[1, 3]]])
    assert "first_frame" not in form(PropagateMasks, clips)
    PropagateMasks()(video, "truth", first_frame=2, last_frame=2)
    assert written(video) == [2]
