"""Images that are grouped as videos: made videos of, propagated, and masks back to the images."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import fiftyone as fo
import numpy as np
import pytest
from PIL import Image

from hs2s_core.errors import HS2SError
from hs2s_fiftyone.evaluation import evaluate
from hs2s_fiftyone.loading.groups import load_groups, write_to_images
from hs2s_fiftyone.propagation import propagate

from ..helpers import CopyNetwork, frame_masks, square

SIZE = (63, 95)
"""(H, W) of the images: odd, as videos cannot be."""
FRAMES = 4
A, B = (square(8, 8, size=SIZE), square(8 + 30, 95 - 16, size=SIZE))
"""One reaches the last column."""


@pytest.fixture
def images(dataset: fo.Dataset, tmp_path: Path) -> fo.Dataset:
    """Two videos as images, in no order; the first image of each has a mask, all have a truth."""
    noise = np.random.default_rng(0)
    samples = []
    for video, mask in (("a", A), ("b", B)):
        for frame in range(FRAMES):
            path = tmp_path / video / f"{frame}.png"
            path.parent.mkdir(exist_ok=True)
            pixels = noise.integers(0, 120, (*SIZE, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(path)
            sample = fo.Sample(filepath=str(path), video=video, frame=frame)
            label = fo.Detection.from_mask(mask, label="cat", index=1)
            sample["truth"] = fo.Detections(detections=[label])
            if frame == 0:
                sample["drawn"] = fo.Detections(detections=[label.copy()])
            samples.append(sample)
    dataset.add_samples(samples[::-1])
    return dataset


@pytest.fixture
def videos(images: fo.Dataset, tmp_path: Path) -> Iterator[fo.Dataset]:
    view = images.group_by("video", order_by="frame")
    made = load_groups(view, f"{images.name}-made", video_dir=tmp_path / "made")
    yield made
    made.delete()


def masks(images: fo.Dataset, field: str) -> dict[tuple[str, int], np.ndarray]:
    found = {}
    for sample in images:
        for mask in frame_masks(sample[field], SIZE).values():
            found[sample.video, sample.frame] = mask
    return found


def test_a_group_is_a_video_of_its_images(videos: fo.Dataset, images: fo.Dataset) -> None:
    assert videos.values("video_id") == ["a", "b"]
    for sample in videos:
        assert Path(sample.filepath).is_file()
        assert sample.metadata.total_frame_count == sample.num_frames == FRAMES
        shown = [images[frame.image_id] for frame in sample.frames.values()]
        assert [each.frame for each in shown] == list(range(FRAMES))
        assert [each.filepath for each in shown] == [f.filepath for f in sample.frames.values()]


def test_masks_come_back_to_the_images(
    videos: fo.Dataset, images: fo.Dataset, network: CopyNetwork
) -> None:
    summary = propagate(videos, "drawn", "found", model=network)
    assert len(summary.done) == 2
    assert write_to_images(videos, "found") is images
    found = masks(images, "found")
    assert len(found) == 2 * FRAMES
    for (video, frame), mask in found.items():
        # The network works at another size; what was given comes back to the pixel.
        given = A if video == "a" else B
        assert (mask == given).mean() > (0.98 if frame else 0.99999)
    one = images.match({"video": "a", "frame": 2}).first().found.detections[0]
    assert (one.label, one.index) == ("cat", 1)
    assert evaluate(videos, "found", "truth", "eval").summary.overall.jf > 0.9
    with pytest.raises(HS2SError, match="8 of these images have labels in 'found'"):
        write_to_images(videos, "found")
    write_to_images(videos.limit(1), "found", overwrite=True)


def test_copies_are_never_written_back(videos: fo.Dataset, images: fo.Dataset) -> None:
    with pytest.raises(HS2SError, match="'truth' was copied from the images"):
        write_to_images(videos, "truth", overwrite=True)
    with pytest.raises(HS2SError, match="was not made of images"):
        write_to_images(images, "truth")


def test_what_cannot_be_a_video_is_told(images: fo.Dataset, tmp_path: Path) -> None:
    with pytest.raises(HS2SError, match=r"load_groups\(dataset.group_by"):
        propagate(images.group_by("video", order_by="frame"), "drawn")
    with pytest.raises(HS2SError, match="expected a view of images in dynamic groups"):
        load_groups(images)
    with pytest.raises(HS2SError, match="have no order"):
        load_groups(images.group_by("video"))
    sample = images.first()
    Image.new("RGB", (20, 20)).save(sample.filepath)
    view = images.group_by("video", order_by="frame")
    with pytest.raises(HS2SError, match="expected one size"):
        load_groups(view, "broken", video_dir=tmp_path / "made")
    assert not fo.dataset_exists("broken")
