"""What a video is: the frames that can be decoded, upright, whatever is claimed of them."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import cv2
import fiftyone as fo
import numpy as np
import pytest

from hs2s_core.errors import HS2SError
from hs2s_core.media.masks import read_id_map
from hs2s_fiftyone.dataset import load
from hs2s_fiftyone.evaluation import evaluate
from hs2s_fiftyone.export import export
from hs2s_fiftyone.propagation import propagate
from hs2s_fiftyone.videos import frame_count, mask_sizes, videos_of

from ..data.builders import plain
from .helpers import SIZE, CopyNetwork, detection, square, video_sample

MakeVideo = Callable[..., str]


def ffmpeg(*arguments: str) -> None:
    subprocess.run(["ffmpeg", "-y", "-loglevel", "error", *arguments], check=True)


def start(size: tuple[int, int] = SIZE) -> fo.Detections:
    return fo.Detections(detections=[detection(square(8, 8, size=size), index=1)])


def labelled_frames(sample: fo.Sample, field: str = "found") -> list[int]:
    sample.reload()
    return [number for number, frame in sample.frames.items() if frame[field] is not None]


def add_images(sample: fo.Sample, folder: Path, numbers: range, size: tuple[int, int]) -> None:
    for number in numbers:
        file = folder / f"{number}.png"
        cv2.imwrite(str(file), np.full((*size, 3), 10 * number, np.uint8))
        sample.frames[number]["filepath"] = str(file)


@pytest.mark.parametrize("turn", [90, 180, 270])
def test_rotated_videos_are_as_they_are_shown(
    dataset: fo.Dataset, make_video: MakeVideo, tmp_path: Path, network: CopyNetwork, turn: int
) -> None:
    turned = str(tmp_path / "turned.mp4")
    stored = make_video("stored.mp4", frames=3)
    ffmpeg("-i", stored, "-metadata:s:v:0", f"rotate={turn}", "-c", "copy", turned)
    upright = SIZE[:: 1 if turn == 180 else -1]
    dataset.add_sample(video_sample(turned, {n: start(upright) for n in (1, 2, 3)}))
    dataset.compute_metadata()
    assert mask_sizes(dataset, dataset.first().id).video == upright
    propagate(dataset, "truth", "found", model=network)
    assert evaluate(dataset, "found", "truth", "e", "all_frames").failures == []
    export(dataset, "found", tmp_path / "out")
    for file in (tmp_path / "out/Annotations/turned").iterdir():
        assert np.array_equal(read_id_map(file) == 1, square(8, 8, size=upright))


@pytest.mark.parametrize("numbers", [range(1, 2), range(1, 5), range(3, 7), range(1, 7)])
@pytest.mark.parametrize("claimed", [None, 4])
def test_images_of_some_frames_are_no_video(
    dataset: fo.Dataset,
    make_video: MakeVideo,
    tmp_path: Path,
    network: CopyNetwork,
    numbers: range,
    claimed: int | None,
) -> None:
    """Whatever the metadata claims, or if there is none; here the video has six frames."""
    sample = video_sample(make_video(frames=6), {1: start()})
    add_images(sample, tmp_path, numbers, SIZE)
    if claimed is not None:
        sample.metadata = fo.VideoMetadata(total_frame_count=claimed)
    dataset.add_sample(sample)
    summary = propagate(dataset, "truth", "found", model=network)
    assert summary.frames == 6
    assert labelled_frames(sample) == [1, 2, 3, 4, 5, 6]


@pytest.fixture
def short_claim(make_video: MakeVideo, tmp_path: Path) -> str:
    """A video of variable frame rate; its container says nothing of its length but a duration."""
    path = tmp_path / "slow-then-fast.mkv"
    slow = "setpts='if(lt(N,4),N*0.1,0.4+(N-4)*0.02)/TB'"
    rate = ("-fps_mode", "passthrough", "-enc_time_base", "1/1000", "-bf", "0")
    ffmpeg("-i", make_video(frames=16), "-vf", slow, "-c:v", "libx264", *rate, str(path))
    assert cv2.VideoCapture(str(path)).get(cv2.CAP_PROP_FRAME_COUNT) < 14
    return str(path)


def test_a_claimed_length_is_no_bound(
    dataset: fo.Dataset, short_claim: str, network: CopyNetwork, tmp_path: Path
) -> None:
    sample = video_sample(short_claim, {1: start(), 15: start()})
    dataset.add_sample(sample)
    summary = propagate(dataset, "truth", "found", model=network)
    assert (summary.frames, summary.failed) == (16, [])
    assert labelled_frames(sample) == list(range(1, 17))
    assert "16 frames could be decoded" in str(summary)
    assert "16 frames could be decoded" in sample.found_error
    assert sample.found_status == "done"
    assert frame_count(dataset, sample.id) == 16
    assert export(dataset, "truth", tmp_path / "out").frames == 16


def test_images_that_cover_only_what_is_claimed_are_no_video(
    dataset: fo.Dataset, short_claim: str, network: CopyNetwork, tmp_path: Path
) -> None:
    claimed = int(cv2.VideoCapture(short_claim).get(cv2.CAP_PROP_FRAME_COUNT))
    sample = video_sample(short_claim, {1: start()})
    add_images(sample, tmp_path, range(1, claimed + 1), SIZE)
    dataset.add_sample(sample)
    assert propagate(dataset, "truth", "found", model=network).frames == 16


def test_a_damaged_video_says_how_far_it_got(
    dataset: fo.Dataset, make_video: MakeVideo, network: CopyNetwork
) -> None:
    path = Path(make_video(frames=4))
    sample = video_sample(str(path), {1: start()})
    sample.metadata = fo.VideoMetadata(total_frame_count=9)
    dataset.add_sample(sample)
    (note,) = propagate(dataset, "truth", "found", model=network).notes
    assert "4 frames could be decoded" in note.reason
    assert "claims 9; it may be damaged" in note.reason


@pytest.fixture
def moved(tmp_path: Path) -> fo.Dataset:
    """A dataset of odd frames, opened where its frame images are not."""
    root = plain(tmp_path / "source", size=(47, 63))
    loaded = load(root, "here", video_dir=tmp_path / "videos")
    loaded.export(export_dir=str(tmp_path / "pack"), dataset_type=fo.types.FiftyOneDataset)
    loaded.delete()
    shutil.move(root, tmp_path / "elsewhere")
    there = fo.Dataset.from_dir(str(tmp_path / "pack"), fo.types.FiftyOneDataset, name="there")
    yield there
    there.delete()


def test_what_the_source_images_told_is_kept(
    moved: fo.Dataset, network: CopyNetwork, tmp_path: Path
) -> None:
    with pytest.raises(HS2SError, match=r"no such file.*clear_frame_field\(\"filepath\"\)"):
        propagate(moved, "ground_truth", "found", model=network)
    moved.clear_frame_field("filepath")
    assert propagate(moved, "ground_truth", "found", model=network).failed == []
    assert export(moved, "found", tmp_path / "out").notes == []
    sizes = {read_id_map(file).shape for file in (tmp_path / "out").rglob("*.png")}
    assert sizes == {(47, 63)}


def test_what_is_lost_with_the_source_images_is_told(moved: fo.Dataset, tmp_path: Path) -> None:
    """A dataset that an earlier version loaded."""
    moved.delete_sample_field("source_size")
    summary = export(moved, "ground_truth", tmp_path / "out")
    assert {note.reason for note in summary.notes} == {
        "its frame images are not there, so their size is unknown; that of the video (64x48) is "
        "used, which may have a row or column more"
    }
    assert "(64x48)" in str(summary)


@pytest.mark.parametrize("given", ["a dataset's name", None, 3, [fo.Sample("a.mp4")] * 9])
def test_what_is_no_collection_is_named(given: object) -> None:
    with pytest.raises(TypeError, match="expected a FiftyOne dataset or view, found"):
        videos_of(given)
    with pytest.raises(HS2SError, match="found") as error:
        videos_of(given)
    assert len(str(error.value)) < 400  # not all that a list of samples has
