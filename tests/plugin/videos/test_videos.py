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
from hs2s_core.media.masks import read_id_map, write_id_map
from hs2s_fiftyone.evaluation import evaluate
from hs2s_fiftyone.export import export
from hs2s_fiftyone.loading.dataset import load
from hs2s_fiftyone.media import frame_count, mask_sizes
from hs2s_fiftyone.operators.prepare_drawing import PrepareDrawing
from hs2s_fiftyone.predictions import read_predictions
from hs2s_fiftyone.propagation import propagate
from hs2s_fiftyone.training import labelled_videos
from hs2s_fiftyone.videos.collection import videos_of

from ...data.builders import plain
from ..forms import context
from ..helpers import SIZE, CopyNetwork, detection, frame_masks, square, video_sample

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


def test_what_the_app_draws_on_a_turned_video_is_refused(
    dataset: fo.Dataset, make_video: MakeVideo, tmp_path: Path, network: CopyNetwork
) -> None:
    """Its Annotate tab does not turn the frames: the mask does not lie on the object."""
    turned = str(tmp_path / "turned.mp4")
    ffmpeg("-i", make_video("s.mp4"), "-metadata:s:v:0", "rotate=90", "-c", "copy", turned)
    cat = fo.Instance()
    drawn = fo.Detection(label="cat", instance=cat, bounding_box=[0, 0, 0.5, 0.5], mask=np.eye(8))
    drawn["keyframe"] = True
    frames = {1: fo.Detections(detections=[drawn])}
    dataset.add_sample(video_sample(turned, frames))
    propagate(dataset, "truth", "found", model=network)  # as other tools set it, too
    sample = dataset.first()
    copy = fo.Detection(label="cat", instance=cat, bounding_box=[0, 0, 0.5, 0.5], keyframe=False)
    sample.frames[2]["truth"] = fo.Detections(detections=[copy])
    sample.save()
    with pytest.raises(HS2SError, match="upright copy"):
        propagate(dataset, "truth", "found", model=network, overwrite=True)
    assert "upright copy" in str(export(dataset, "truth", tmp_path / "out").failed)
    for fields in (("found", "truth"), ("truth", "found")):
        with pytest.raises(HS2SError, match="upright copy"):
            evaluate(dataset, *fields, "scores", "all_frames")
    with pytest.raises(HS2SError, match=r"turned: .* on their side"):
        list(labelled_videos(dataset, "truth"))
    dataset.clear_frame_field("truth")
    sample.reload()
    sample.frames[3].found.detections[0]["keyframe"] = True  # mended in the App
    sample.save()
    with pytest.raises(HS2SError, match="on their side"):
        propagate(dataset, "truth", "found", model=network, overwrite=True)
    assert "on their side" in str(export(dataset, "found", tmp_path / "out").failed)
    assert PrepareDrawing().execute(context(dataset))["turned"] == "turned.mp4"


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


def break_video(sample: fo.Sample, how: str) -> None:
    path = Path(sample.filepath)
    if how == "moved":
        path.rename(path.with_name("elsewhere.mp4"))
    else:
        path.write_bytes(b"no video")


@pytest.mark.parametrize("how", ["moved", "damaged"])
@pytest.mark.parametrize("known", [True, False])
def test_images_of_all_frames_need_no_video(
    dataset: fo.Dataset,
    make_video: MakeVideo,
    tmp_path: Path,
    network: CopyNetwork,
    how: str,
    known: bool,
) -> None:
    """Nor its metadata; what nothing can say any more is told."""
    sample = video_sample(make_video(frames=4), {number: start() for number in range(1, 5)})
    add_images(sample, tmp_path, range(1, 5), SIZE)
    dataset.add_sample(sample)
    if not known:
        sample.metadata = None
        sample.save()
    break_video(sample, how)
    summary = propagate(dataset, "truth", "found", model=network)
    assert summary.frames == 4
    told = ["neither the video nor its metadata" in note.reason for note in summary.notes]
    assert told == ([] if known else [True])
    assert evaluate(dataset, "found", "truth", "e", "all_frames").summary.overall.jf == 1
    assert export(dataset, "found", tmp_path / "out").frames == 4
    assert read_predictions(dataset, tmp_path / "out", "read").failed == []


def test_images_of_some_frames_are_no_substitute_for_a_video(
    dataset: fo.Dataset, make_video: MakeVideo, tmp_path: Path, network: CopyNetwork
) -> None:
    sample = video_sample(make_video(frames=6), {1: start(), 6: start()})
    sample.metadata = None
    add_images(sample, tmp_path, range(1, 5), SIZE)
    dataset.add_sample(sample)
    break_video(sample, "moved")
    with pytest.raises(HS2SError, match="only frames 1 to 4 of 6 have images, and for the others:"):
        propagate(dataset, "truth", "found", model=network)
    dataset.clear_frame_field("filepath")
    (failed,) = export(dataset, "truth", tmp_path / "out").failed
    assert "the size of its frames is unknown, as the sample has no metadata" in failed.reason
    assert "no such file" in failed.reason


def test_images_beyond_the_end_of_their_video_are_told(
    dataset: fo.Dataset, make_video: MakeVideo, tmp_path: Path, network: CopyNetwork
) -> None:
    sample = video_sample(make_video(frames=2), {1: start()})
    add_images(sample, tmp_path, range(1, 5), SIZE)
    dataset.add_sample(sample)
    (note,) = propagate(dataset, "truth", "found", model=network).notes
    assert note.reason.startswith("there are 4 frame images, but the video has 2")


@pytest.mark.parametrize("images", ["moved", "cleared"])
def test_masks_of_odd_frames_are_read_without_these(
    dataset: fo.Dataset, make_video: MakeVideo, tmp_path: Path, images: str
) -> None:
    """Nothing says any more that a row and a column were added to make the video's size even."""
    sample, odd = video_sample(make_video(frames=2), {1: start()}), (SIZE[0] - 1, SIZE[1] - 1)
    if images == "moved":
        sample.frames[1]["filepath"] = "/nowhere/1.png"
    dataset.add_sample(sample)
    folder = tmp_path / "masks" / "clip"
    write_id_map(folder / "00000.png", square(8, 8, size=odd).astype(np.uint8))
    assert read_predictions(dataset, folder.parent, "read").failed == []
    found = frame_masks(dataset.first().frames[1].read, SIZE)[1]
    assert np.array_equal(found, square(8, 8))
    write_id_map(folder / "00000.png", square(8, 8, size=(SIZE[0] - 2, SIZE[1])).astype(np.uint8))
    (failed,) = read_predictions(dataset, folder.parent, "other").failed
    assert "expected the same" in failed.reason


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


@pytest.mark.parametrize("counted", [None, 9])
def test_a_trimmed_video_is_not_damaged(
    dataset: fo.Dataset,
    make_video: MakeVideo,
    network: CopyNetwork,
    tmp_path: Path,
    counted: int | None,
) -> None:
    """The container, and metadata made of it, may count the frames that its edit list hides."""
    trimmed = str(tmp_path / "trimmed.mp4")
    ffmpeg("-ss", "0.25", "-i", make_video("stored.mp4", frames=9), "-c", "copy", trimmed)
    sample = video_sample(trimmed, {1: start()})
    sample.metadata = fo.VideoMetadata(total_frame_count=counted)
    dataset.add_sample(sample)
    summary = propagate(dataset, "truth", "found", model=network)
    assert not summary.notes
    assert labelled_frames(sample) == list(range(1, summary.frames + 1))
    assert summary.frames < 9


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
    with pytest.raises(TypeError, match="expected a FiftyOne dataset or view"):
        videos_of(given)
    with pytest.raises(HS2SError, match="samples is ") as error:
        videos_of(given)
    assert len(str(error.value)) < 400  # not all that a list of samples has
