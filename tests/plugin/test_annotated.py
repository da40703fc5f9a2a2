"""Masks as `dataset.annotate()` brings them back, made by FiftyOne's own converters."""

from __future__ import annotations

from collections.abc import Callable

import fiftyone as fo
import fiftyone.utils.cvat as fouc
import fiftyone.utils.labelstudio as foul
import numpy as np
import pytest

from .helpers import SIZE, prompts_of, square

TOP, LEFT, SIDE = 8, 24, 16
MASK = square(TOP, LEFT, SIDE)
RIGHT, BOTTOM = LEFT + SIDE, TOP + SIDE
CORNERS = [(LEFT, TOP), (RIGHT - 1, TOP), (RIGHT - 1, BOTTOM - 1), (LEFT, BOTTOM - 1)]
"""Of the square, as a person clicks them: in its outermost pixels."""


def from_cvat(kind: str, points: list[float], index: int | None = None) -> fouc.CVATShape:
    """A shape as CVAT's server returns it."""
    shape = {"label_id": 1, "id": 7, "attributes": [], "type": kind, "points": points}
    frame = {"width": SIZE[1], "height": SIZE[0]}
    return fouc.CVATShape(shape, {1: "dog"}, {1: {}}, {}, frame, index=index)


def cvat_mask(index: int | None = None) -> fo.Detection:
    """Cropped to its box, of which CVAT names the last row and column rather than the next."""
    runs = [0, SIDE * SIDE, LEFT, TOP, RIGHT - 1, BOTTOM - 1]
    return from_cvat("mask", runs, index).to_instance()


def cvat_polygon(index: int | None = None, *, filled: bool = False) -> fo.Polyline:
    """Filled or not as the type of the field is "polygons" or "polylines"."""
    points = [float(value) for corner in CORNERS for value in corner]
    return from_cvat("polygon", points, index).to_polyline(closed=True, filled=filled)


def cvat_instance() -> fo.Detection:
    """A polygon that was drawn for a field of instance masks."""
    return cvat_polygon(filled=True).to_detection(frame_size=SIZE[::-1])


def studio_polygon() -> fo.Polyline:
    points = [[100 * x / SIZE[1], 100 * y / SIZE[0]] for x, y in CORNERS]
    value = {"points": points, "polygonlabels": ["dog"]}
    shape = {"type": "polygonlabels", "value": value, "from_name": "label", "id": "a1"}
    _, label = foul.import_label_studio_annotation(shape)
    return label


def studio_brush() -> fo.Segmentation:
    """Label Studio's brush is the alpha channel of a picture: 0 and 255."""
    return fo.Segmentation(mask=MASK.astype(np.uint8) * 255)


def studio_instance() -> fo.Detection:
    return studio_brush().to_detections({255: "dog"}).detections[0]


def of_a_frame(label: fo.Label) -> fo.Label:
    """The label, or a list with it, as a frame holds it."""
    if isinstance(label, fo.Detection):
        return fo.Detections(detections=[label])
    if isinstance(label, fo.Polyline):
        return fo.Polylines(polylines=[label])
    return label


@pytest.mark.parametrize(
    "make",
    [cvat_mask, cvat_polygon, cvat_instance, studio_polygon, studio_brush, studio_instance],
)
def test_what_annotation_tools_return_is_a_prompt(
    dataset: fo.Dataset, make: Callable[[], fo.Label]
) -> None:
    masks = prompts_of(dataset, {2: of_a_frame(make())}).masks
    (mask,) = masks[1].values()
    # A polygon's corners lie in the middle of pixels or at their edge: that is up to the tool.
    wrong = (mask ^ MASK).sum()
    assert wrong <= 2 * SIDE + 1
    if make in (cvat_mask, studio_brush, studio_instance):
        assert wrong == 0


def test_of_a_track_only_what_a_person_drew_counts(dataset: fo.Dataset) -> None:
    """CVAT's tracks are copied to all frames up to the next that was drawn."""
    frames = {}
    for number in range(1, 6):
        label = cvat_polygon(index=1)
        if number in (1, 4):
            label["keyframe"] = True
        frames[number] = of_a_frame(label)
    prompts = prompts_of(dataset, frames)
    assert sorted(prompts.masks) == [0, 3]
    assert prompts.objects[1].label == "dog"
