"""Which labels of a video become prompts."""

from __future__ import annotations

from collections.abc import Callable

import fiftyone as fo
import numpy as np
import pytest
from fiftyone import ViewField as F

from hs2s_core.errors import InvalidMask
from hs2s_fiftyone.prompts import VideoPrompts, read_prompts, visible_labels

from .helpers import SIZE, detection, square, video_sample

Read = Callable[..., VideoPrompts]


def detections(*labels: fo.Detection) -> fo.Detections:
    return fo.Detections(detections=list(labels))


@pytest.fixture
def read(dataset: fo.Dataset) -> Read:
    """Stores labels in a video sample and reads its prompts back."""

    def read(frames: dict[int, fo.Label]) -> VideoPrompts:
        dataset.add_sample(video_sample("/nowhere/clip.mp4", frames))
        return read_prompts(dataset.last(), "truth", SIZE)

    return read


def test_each_object_starts_at_its_first_mask(read: Read) -> None:
    prompts = read(
        {
            2: detections(detection(square(0, 0), index=1, label="cat")),
            3: detections(detection(square(8, 8), index=1), detection(square(40, 40), index=7)),
            4: detections(detection(square(9, 9), index=7)),
        }
    )
    assert {number: sorted(masks) for number, masks in prompts.masks.items()} == {2: [1], 3: [7]}
    assert sorted(prompts.by_index()) == [1, 2]
    assert np.array_equal(prompts.masks[3][7], square(40, 40))
    assert prompts.objects[1].label == "cat"


def test_the_instance_of_the_prompt_is_kept(read: Read) -> None:
    instance = fo.Instance()
    prompts = read({1: detections(detection(square(0, 0), index=2, instance=instance))})
    assert prompts.objects[2].instance.id == instance.id


def test_instances_identify_labels_without_index(read: Read) -> None:
    one, two = fo.Instance(), fo.Instance()
    prompts = read(
        {
            1: detections(detection(square(0, 0), instance=one)),
            2: detections(
                detection(square(30, 0), instance=two), detection(square(0, 9), instance=one)
            ),
        }
    )
    assert {number: sorted(masks) for number, masks in prompts.masks.items()} == {1: [1], 2: [2]}


def test_of_labels_without_identity_the_first_frame_counts(read: Read) -> None:
    prompts = read(
        {
            3: detections(detection(square(0, 0)), detection(square(30, 0))),
            4: detections(*(detection(square(0, left)) for left in (0, 30, 60))),
        }
    )
    assert {number: sorted(masks) for number, masks in prompts.masks.items()} == {3: [1, 2]}
    assert {entry.index for entry in prompts.objects.values()} == {1, 2}


def test_odd_indexes_keep_their_labels_apart(read: Read) -> None:
    """0 and negative indexes, as other trackers write them, cannot be object ids."""
    indexes = (None, 1, 0, -5, 70_000)
    prompts = read(
        {1: detections(*(detection(square(0, 16 * n), index=i) for n, i in enumerate(indexes)))}
    )
    written = {entry.index for entry in prompts.objects.values()}
    assert written == {2, 1, 0, -5, 70_000}
    assert all(0 < object_id < 2**16 for object_id in prompts.objects)
    assert len(prompts.masks[1]) == 5


def test_boxes_wait_for_a_mask(read: Read) -> None:
    box = fo.Detection(bounding_box=[0, 0, 0.5, 0.5], index=1)
    prompts = read({1: detections(box), 2: detections(detection(square(0, 0), index=1))})
    assert list(prompts.masks) == [2]
    assert prompts.without_mask == []


def test_objects_without_any_mask_are_named(read: Read) -> None:
    box = fo.Detection(bounding_box=[0, 0, 0.5, 0.5], index=4)
    prompts = read({1: detections(box, detection(square(0, 0), index=1))})
    assert prompts.without_mask == ["object 4"]


def test_an_empty_mask_is_refused(read: Read) -> None:
    empty = fo.Detection(bounding_box=[0, 0, 0.5, 0.5], mask=np.zeros((32, 48), bool), index=1)
    with pytest.raises(InvalidMask, match="object 1 in frame 2: the mask is empty"):
        read({2: detections(empty)})


def test_segmentation_values_are_objects_with_target_names(dataset: fo.Dataset, read: Read) -> None:
    dataset.mask_targets = {"frames.truth": {2: "dog"}}
    first, later = square(0, 0).astype(np.uint8) * 2, square(0, 0).astype(np.uint8) * 2
    later[40:, 40:] = 3
    prompts = read({1: fo.Segmentation(mask=first), 4: fo.Segmentation(mask=later)})
    assert {number: sorted(masks) for number, masks in prompts.masks.items()} == {1: [2], 4: [3]}
    assert [prompts.objects[i].label for i in (2, 3)] == ["dog", None]


def test_polylines_are_prompts(read: Read) -> None:
    shape = [(0.0, 0.0), (0.5, 0.0), (0.5, 0.5), (0.0, 0.5)]
    polyline = fo.Polyline(points=[shape], closed=True, filled=True, index=5, label="car")
    prompts = read({1: fo.Polylines(polylines=[polyline])})
    assert prompts.masks[1][5][10, 10]
    assert prompts.objects[5].label == "car"


def test_no_labels_no_prompts(read: Read) -> None:
    assert read({1: fo.Detections()}).objects == {}


def test_a_filtered_view_hides_labels(dataset: fo.Dataset) -> None:
    labels = detections(
        detection(square(0, 0), index=1, label="cat"),
        detection(square(30, 0), index=2, label="dog"),
    )
    dataset.add_sample(video_sample("/nowhere/clip.mp4", {1: labels}))
    sample = dataset.first()

    def objects(view: fo.DatasetView) -> list[int]:
        visible = visible_labels(view, sample.id, "truth")
        return sorted(read_prompts(sample, "truth", SIZE, visible=visible).objects)

    assert objects(dataset.filter_labels("frames.truth", F("label") == "dog")) == [2]
    assert objects(dataset.match_frames(F("frame_number") > 1, omit_empty=False)) == []
    assert visible_labels(dataset.sort_by("filepath").limit(1), sample.id, "truth") is None
    assert visible_labels(dataset, sample.id, "truth") is None
