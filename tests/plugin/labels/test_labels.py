"""Masks survive the way into FiftyOne's labels and back, to the pixel."""

from __future__ import annotations

from pathlib import Path

import fiftyone as fo
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from hs2s_core.errors import InvalidMask
from hs2s_fiftyone.labels.conversion import TrackedObject, to_detections

from ..helpers import SIZE, detection, frame_masks, square


def tracked(*ids: int) -> dict[int, TrackedObject]:
    return {number: TrackedObject(number, number, "thing", fo.Instance()) for number in ids}


@settings(max_examples=60, deadline=None)
@given(
    hnp.arrays(
        np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=40), elements=st.integers(0, 3)
    )
)
def test_id_maps_round_trip_through_detections(id_map: np.ndarray) -> None:
    detections = to_detections(id_map, tracked(1, 2, 3), {1: 0.25, 2: 0.5, 3: 1.0})
    masks = frame_masks(detections, id_map.shape)
    assert sorted(masks) == sorted(set(np.unique(id_map)) - {0})
    for index, mask in masks.items():
        assert np.array_equal(mask, id_map == index)


def test_detections_carry_identity_and_confidence() -> None:
    objects = {3: TrackedObject(3, 0, "dog", fo.Instance())}
    id_map = square(8, 8).astype(np.uint8) * 3
    (made,) = to_detections(id_map, objects, {3: 0.75}).detections
    assert (made.index, made.label, made.confidence) == (0, "dog", 0.75)
    assert made.instance.id == objects[3].instance.id
    assert made.mask.shape == (16, 16)


def test_crops_do_not_keep_the_frame_alive() -> None:
    (made,) = to_detections(square(0, 0).astype(np.uint8), tracked(1)).detections
    assert made.mask.base is None
    assert made.mask.flags.c_contiguous


def test_an_absent_object_has_no_detection() -> None:
    assert to_detections(np.zeros(SIZE, np.uint8), tracked(1)).detections == []


def test_parts_of_one_object_are_joined() -> None:
    label = fo.Detections(
        detections=[detection(square(0, 0), index=1), detection(square(40, 60), index=1)]
    )
    assert np.array_equal(frame_masks(label, SIZE)[1], square(0, 0) | square(40, 60))


def test_masks_on_disk_may_have_a_palette(tmp_path: Path) -> None:
    crop = np.full((16, 16), 7, np.uint8)
    image = Image.fromarray(crop)
    image.putpalette([200] * 768)
    image.save(tmp_path / "mask.png")
    box = detection(square(8, 8)).bounding_box
    label = fo.Detection(bounding_box=box, mask_path=str(tmp_path / "mask.png"), index=1)
    masks = frame_masks(fo.Detections(detections=[label]), SIZE)
    assert np.array_equal(masks[1], square(8, 8))


def test_a_mask_counts_above_the_file_that_it_was_drawn_over(tmp_path: Path) -> None:
    """As FiftyOne has it."""
    path = str(tmp_path / "mask.png")
    Image.fromarray(np.full((16, 16), 255, np.uint8)).save(path)
    label = detection(square(8, 8), index=1)
    label.mask[8:] = False
    label.mask_path = path
    masks = frame_masks(fo.Detections(detections=[label]), SIZE)
    assert np.array_equal(masks[1], square(8, 8) & (np.arange(SIZE[0]) < 16)[:, None])
    Image.fromarray(np.full(SIZE, 2, np.uint8)).save(path)
    drawn = fo.Segmentation(mask=square(8, 8).astype(np.uint8), mask_path=path)
    assert frame_masks(drawn, SIZE).keys() == {1}


def test_a_missing_mask_file_is_named(tmp_path: Path) -> None:
    label = fo.Detection(bounding_box=[0, 0, 1, 1], mask_path=str(tmp_path / "gone.png"), index=4)
    with pytest.raises(InvalidMask, match=r"object 4 in the frame .*gone\.png: no such mask file"):
        frame_masks(fo.Detections(detections=[label]), SIZE)


def test_polylines_are_filled_with_their_holes() -> None:
    def ring(low: float, high: float) -> list[tuple[float, float]]:
        return [(low, low), (high, low), (high, high), (low, high)]

    polyline = fo.Polyline(points=[ring(0.25, 0.75), ring(0.4, 0.6)], filled=True, index=1)
    mask = frame_masks(fo.Polylines(polylines=[polyline]), (100, 100))[1]
    assert mask[30, 30]
    assert not mask[50, 50]
    assert not mask[10, 10]


@pytest.mark.parametrize("closed", [True, False])
@pytest.mark.parametrize("filled", [True, False])
def test_an_outline_is_an_area_however_it_is_drawn(closed: bool, filled: bool) -> None:
    shape = [(0, 0), (1, 0), (1, 1)]
    line = fo.Polyline(points=[shape], closed=closed, filled=filled, index=1)
    mask = frame_masks(fo.Polylines(polylines=[line]), SIZE)[1]
    assert mask[2, -2]
    assert not mask[-2, 2]


def test_lines_of_two_points_are_no_masks() -> None:
    line = fo.Polyline(points=[[(0, 0), (1, 1)]], index=1, closed=True, filled=True)
    assert frame_masks(fo.Polylines(polylines=[line]), SIZE) == {}


@pytest.mark.parametrize(
    ("values", "expected"),
    [([0, 1, 2, 255], [1, 2]), ([0, 255], [1]), ([0], []), ([0, 3], [3])],
)
def test_segmentations_hold_an_object_per_value(values: list[int], expected: list[int]) -> None:
    columns = np.repeat(values, 8)
    label = fo.Segmentation(mask=np.tile(columns, (10, 1)).astype(np.uint8))
    assert sorted(frame_masks(label, (10, len(columns)))) == expected


def test_a_segmentation_in_several_colours_is_refused() -> None:
    colours = np.zeros((4, 4, 3), np.uint8)
    colours[0, 0], colours[1, 1] = (200, 0, 0), (0, 90, 0)
    with pytest.raises(InvalidMask, match="the segmentation in the frame of 'label'"):
        frame_masks(fo.Segmentation(mask=colours), (4, 4))


def test_a_segmentation_of_another_size_is_refused() -> None:
    label = fo.Segmentation(mask=np.ones((10, 10), np.uint8))
    with pytest.raises(InvalidMask, match=r"is 10x10 pixels .* the video 96x64"):
        frame_masks(label, SIZE)
