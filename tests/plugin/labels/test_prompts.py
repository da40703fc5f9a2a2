"""Which labels of a video become prompts."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import fiftyone as fo
import numpy as np
import pytest
from fiftyone import ViewField as F
from PIL import Image

from hs2s_core.errors import InvalidMask
from hs2s_fiftyone.labels.prompts import VideoPrompts, read_prompts, visible_labels

from ..helpers import SIZE, detection, prompts_of, square, video_sample

Read = Callable[..., VideoPrompts]


def by_frame(prompts: VideoPrompts) -> dict[int, list[int]]:
    """Ids of the objects given in each frame, numbered as FiftyOne does."""
    return {frame + 1: sorted(masks) for frame, masks in prompts.masks.items()}


def detections(*labels: fo.Detection) -> fo.Detections:
    return fo.Detections(detections=list(labels))


@pytest.fixture
def read(dataset: fo.Dataset) -> Read:
    """Stores labels in a video sample and reads its prompts back."""
    return partial(prompts_of, dataset)


def test_every_mask_counts_or_only_those_of_an_objects_first_frame(read: Read) -> None:
    frames = {
        2: detections(detection(square(0, 0), index=1, label="cat")),
        3: detections(detection(square(8, 8), index=1), detection(square(40, 40), index=7)),
        4: detections(detection(square(9, 9), index=7)),
    }
    prompts = read(frames)
    assert by_frame(prompts) == {2: [1], 3: [1, 7], 4: [7]}
    assert np.array_equal(prompts.masks[2][7], square(40, 40))
    assert prompts.objects[1].label == "cat"
    assert by_frame(read(frames, "first")) == {2: [1], 3: [7]}


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
    assert by_frame(prompts) == {1: [1], 2: [1, 2]}


@pytest.mark.parametrize("policy", ["all", "first"])
def test_a_field_may_hold_one_label_a_frame(dataset: fo.Dataset, policy: str) -> None:
    corners = [(0.25, 0.25), (0.75, 0.25), (0.75, 0.75), (0.25, 0.75)]
    frames = {
        2: detection(square(0, 0), index=4, label="ball"),
        3: detection(square(9, 9), index=4, label="ball"),
    }
    lines = {2: fo.Polyline(points=[corners], label="ball"), 4: fo.Polyline(points=[corners])}
    dataset.add_sample(video_sample("/nowhere/clip.mp4", frames))
    dataset.add_sample(video_sample("/nowhere/lines.mp4", lines, "line"))
    prompts = read_prompts(dataset.first(), "truth", SIZE, policy=policy)
    assert by_frame(prompts) == ({2: [4], 3: [4]} if policy == "all" else {2: [4]})
    assert prompts.objects[4].label == "ball"
    assert np.array_equal(prompts.masks[1][4], square(0, 0))
    drawn = read_prompts(dataset.last(), "line", SIZE, policy=policy)
    assert by_frame(drawn) == ({2: [1], 4: [1]} if policy == "all" else {2: [1]})
    assert drawn.masks[1][1][16:48, 24:72].all()
    # A view that leaves the label out.
    view = dataset.filter_labels("frames.truth", F("label") == "dog", only_matches=False)
    hidden = visible_labels(view, dataset.first().id, "truth")
    assert hidden is not None
    assert not read_prompts(dataset.first(), "truth", SIZE, visible=hidden).objects


def test_of_labels_without_identity_the_first_frame_counts(read: Read) -> None:
    prompts = read(
        {
            3: detections(detection(square(0, 0)), detection(square(30, 0))),
            4: detections(*(detection(square(0, left)) for left in (0, 30, 60))),
        }
    )
    assert by_frame(prompts) == {3: [1, 2]}
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
    assert len(prompts.masks[0]) == 5


def test_boxes_wait_for_a_mask(read: Read) -> None:
    box = fo.Detection(bounding_box=[0, 0, 0.5, 0.5], index=1)
    prompts = read({1: detections(box), 2: detections(detection(square(0, 0), index=1))})
    assert by_frame(prompts) == {2: [1]}
    assert prompts.without_mask == []


def test_objects_without_any_mask_are_named(read: Read) -> None:
    box = fo.Detection(bounding_box=[0, 0, 0.5, 0.5], index=4)
    prompts = read({1: detections(box, detection(square(0, 0), index=1))})
    assert prompts.without_mask == ["object 4"]
    assert prompts.remarks == [
        "object 4 was left out: it has only boxes, points or lines, which are no masks; draw its "
        "mask to have it followed, or have one made of its box or points (hints=True; 'Make masks "
        "of boxes and points')."
    ]


def test_a_line_without_identity_is_called_by_its_place(dataset: fo.Dataset) -> None:
    line = fo.Polyline(points=[[(0.1, 0.1), (0.5, 0.5)]], label="a")
    lines = fo.Polylines(polylines=[line])
    dataset.add_sample(video_sample("/nowhere/clip.mp4", {1: lines}))
    assert read_prompts(dataset.first(), "truth", SIZE).without_mask == ["label number 1"]


def test_an_empty_mask_is_refused(read: Read) -> None:
    empty = fo.Detection(bounding_box=[0, 0, 0.5, 0.5], mask=np.zeros((32, 48), bool), index=1)
    with pytest.raises(InvalidMask, match="object 1 in frame 2: the mask is empty"):
        read({2: detections(empty)})
    prompts = read({1: detections(empty), 2: detections(detection(square(0, 0), index=1))})
    assert by_frame(prompts) == {2: [1]}, "it is out of sight in the first frame"


def test_a_targets_colours_are_objects_and_so_is_a_named_255(
    dataset: fo.Dataset, read: Read, tmp_path: Path
) -> None:
    colours = np.zeros((*SIZE, 3), np.uint8)
    colours[:8], colours[8:16], colours[16:20] = (255, 0, 0), (0, 255, 0), (9, 9, 9)
    Image.fromarray(colours).save(tmp_path / "mask.png")
    classes = {"#00ff00": "dog", "#000000": "background", "#090909": "ignore", "#ff0000": "cat"}
    dataset.mask_targets = {"frames.truth": classes}
    for label in ({"mask": colours}, {"mask_path": str(tmp_path / "mask.png")}):
        prompts = read({1: fo.Segmentation(**label)})
        assert {i: known.label for i, known in prompts.objects.items()} == {1: "dog", 2: "cat"}
        assert prompts.masks[0][2][:8].all()
    colours[0, 0] = 7
    with pytest.raises(InvalidMask, match="without a name, such as #070707"):
        read({1: fo.Segmentation(mask=colours)})

    white = square(0, 0).astype(np.uint8) * 255
    several = white.copy()
    several[-8:] = 1
    for names, values, expected in (
        ({255: "cat"}, white, {1: "cat"}),
        ({1: "dog", 255: "cat"}, several, {1: "dog", 255: "cat"}),
        ({1: "dog", 255: "void"}, several, {1: "dog"}),
    ):
        dataset.mask_targets = {"frames.truth": names}
        prompts = read({1: fo.Segmentation(mask=values)})
        assert {i: known.label for i, known in prompts.objects.items()} == expected


def test_segmentation_values_are_objects_with_target_names(dataset: fo.Dataset, read: Read) -> None:
    dataset.mask_targets = {"frames.truth": {2: "dog"}}
    first, later = square(0, 0).astype(np.uint8) * 2, square(0, 0).astype(np.uint8) * 2
    later[40:, 40:] = 3
    frames = {1: fo.Segmentation(mask=first), 4: fo.Segmentation(mask=later)}
    prompts = read(frames)
    assert by_frame(prompts) == {1: [2], 4: [2, 3]}
    assert by_frame(read(frames, "first")) == {1: [2], 4: [3]}
    assert [prompts.objects[i].label for i in (2, 3)] == ["dog", None]


def test_polylines_are_prompts(read: Read) -> None:
    shape = [(0.0, 0.0), (0.5, 0.0), (0.5, 0.5), (0.0, 0.5)]
    polyline = fo.Polyline(points=[shape], closed=True, filled=True, index=5, label="car")
    prompts = read({1: fo.Polylines(polylines=[polyline])})
    assert prompts.masks[0][5][10, 10]
    assert prompts.objects[5].label == "car"


def test_boxes_that_the_app_adds_after_a_drawn_mask_are_no_prompts(read: Read) -> None:
    """It also copies what it interpolates, and marks what a person drew as key frames."""
    instance = fo.Instance()
    box = [0.25, 0.25, 0.2, 0.2]
    drawn = detection(square(8, 8), instance=instance, label="cat", keyframe=True)
    copied = {
        number: detections(fo.Detection(label="cat", bounding_box=box, instance=instance))
        for number in (2, 3)
    }
    prompts = read({1: detections(drawn), **copied})
    assert by_frame(prompts) == {1: [1]}
    assert prompts.without_mask == []


def test_copies_of_a_drawn_mask_are_no_prompts(read: Read) -> None:
    def label(top: int, keyframe: bool | None) -> fo.Detections:
        return detections(detection(square(top, 8), index=3, keyframe=keyframe))

    frames = {1: label(0, True), 2: label(1, None), 3: label(2, None), 4: label(9, True)}
    assert by_frame(read(frames)) == {1: [3], 4: [3]}
    # The App's pen does not mark what it draws, but the App marks its copies.
    pen = {1: label(0, True), 2: label(0, False), 3: label(9, None)}
    assert by_frame(read(pen)) == {1: [3], 3: [3]}
    # Where nobody said so, every mask is one.
    assert by_frame(read({1: label(0, None), 2: label(1, None)})) == {1: [3], 2: [3]}


def test_a_copy_will_do_where_what_was_drawn_is_a_box(read: Read) -> None:
    box = fo.Detection(bounding_box=[0, 0, 0.5, 0.5], index=1, keyframe=True)
    copy = detection(square(0, 0), index=1, keyframe=False)
    assert by_frame(read({1: detections(box), 2: detections(copy)})) == {2: [1]}


def test_an_open_outline_is_a_prompt_and_a_line_is_none(read: Read) -> None:
    """The App's polygon tool neither closes nor fills what it draws."""
    outline = [(0.0, 0.0), (0.5, 0.0), (0.5, 0.5), (0.0, 0.5)]
    drawn = [
        fo.Polyline(points=[outline], index=1),
        fo.Polyline(points=[outline[:2]], index=2),
    ]
    prompts = read({1: fo.Polylines(polylines=drawn)})
    assert by_frame(prompts) == {1: [1]}
    assert prompts.masks[0][1].sum() == pytest.approx(SIZE[0] * SIZE[1] / 4, rel=0.1)
    assert prompts.without_mask == ["object 2"]


def test_objects_that_share_an_index_are_told_apart_and_named(read: Read) -> None:
    prompts = read(
        {
            1: detections(
                detection(square(0, 0), index=1, label="cat"),
                detection(square(40, 40), index=1, label="dog"),
            ),
            2: detections(detection(square(41, 41), index=1, label="dog")),
        }
    )
    assert by_frame(prompts) == {1: [1, 2], 2: [2]}
    assert [prompts.objects[number].label for number in (1, 2)] == ["cat", "dog"]
    assert "index 1 is that of 2 objects (cat, dog)" in prompts.remarks[0]


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
