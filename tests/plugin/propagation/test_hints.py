"""Objects that are given by a box or points, of which a run makes masks."""

from __future__ import annotations

import base64
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import fiftyone as fo
import numpy as np
import pytest

import hs2s_fiftyone
from hs2s_core.errors import HS2SError
from hs2s_fiftyone.operators.propagate_masks import PropagateMasks
from hs2s_fiftyone.propagation import PropagateSettings, plan, propagate
from hs2s_fiftyone.propagation.hints import preview_frame
from hs2s_fiftyone.propagation.video import open_video

from ..forms import form, wrong
from ..helpers import SIZE, CopyNetwork, detection, frame_masks, square, video_sample

BALL = square(20, 30, side=24)
AROUND = [26 / 96, 16 / 64, 32 / 96, 32 / 64]
"""A box with some of the grass."""
show = partial(form, PropagateMasks, prompt_field="truth", output_field="out")


@pytest.fixture(autouse=True)
def _forget_verdicts() -> None:
    plan._verdicts.clear()


def make_clip(path: Path, size: tuple[int, int] = SIZE) -> str:
    """A red ball on green grass that stays where it is."""
    noise = np.random.default_rng(0)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), 10, size[::-1])
    for _ in range(4):
        frame = noise.integers(0, 30, (*size, 3), dtype=np.uint8) + np.uint8((20, 120, 20))
        frame[: SIZE[0], : SIZE[1]][BALL] = (20, 20, 220)  # blue, green, red
        writer.write(frame)
    writer.release()
    return str(path)


@pytest.fixture
def clip(tmp_path: Path) -> str:
    return make_clip(tmp_path / "ball.mp4")


def boxed(box: list[float], **values: Any) -> fo.Detections:
    label = fo.Detection(label="ball", bounding_box=box, index=3, **values)
    return fo.Detections(detections=[label])


def run(dataset: fo.Dataset, **settings: Any) -> hs2s_fiftyone.Summary:
    given = {"hints": True, "model": CopyNetwork(), "progress": False}
    return propagate(dataset, "truth", "out", **given | settings)


def found(dataset: fo.Dataset, number: int) -> np.ndarray:
    dataset.reload()
    (mask,) = frame_masks(dataset.first().frames[number].out, SIZE).values()
    return mask


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    return float((one & other).sum() / (one | other).sum())


def test_a_box_becomes_a_mask_and_the_label_says_so(dataset: fo.Dataset, clip: str) -> None:
    # A detector's: in every frame, of which the first counts.
    frames = {number: boxed(AROUND) for number in (2, 3)}
    dataset.add_sample(video_sample(clip, frames))
    summary = run(dataset)
    assert overlap(found(dataset, 2), BALL) > 0.9
    assert overlap(found(dataset, 4), BALL) > 0.9
    assert dataset.values("frames.out.detections.origin")[0] == [[None], ["box"], [None], [None]]
    assert dataset.distinct("frames.out.detections.label") == ["ball"]
    assert dataset.distinct("frames.out.detections.index") == [3]
    remark = "the mask of object 3 in frame 2 was made of its box or points"
    assert dataset.first().out_error.startswith(remark)
    assert remark in str(summary)
    assert dataset.first().frames[2].truth.detections[0].mask is None, "prompts are only read"


@pytest.mark.parametrize("single", [False, True])
def test_points_become_a_mask(dataset: fo.Dataset, clip: str, single: bool) -> None:
    nowhere = (float("nan"), float("nan"))
    point = fo.Keypoint(label="ball", points=[(40 / 96, 30 / 64), nowhere], index=3)
    label = point if single else fo.Keypoints(keypoints=[point])
    dataset.add_sample(video_sample(clip, {1: label}))
    run(dataset)
    mask = found(dataset, 1)
    assert mask[30, 40]
    assert not mask[~BALL].any()
    assert dataset.values("frames.out.detections.origin")[0][0] == ["points"]


def test_a_mask_counts_and_not_the_box(dataset: fo.Dataset, clip: str) -> None:
    own = fo.Detections(detections=[detection(BALL, index=3)])
    dataset.add_sample(video_sample(clip, {1: boxed([0.5, 0.5, 0.2, 0.2]), 3: own}))
    run(dataset)
    assert np.array_equal(found(dataset, 3), BALL)
    assert set(dataset.values("frames.out.detections.origin", unwind=True)) == {None}
    assert dataset.first().out_error is None


def test_boxes_are_no_prompts_unless_asked_for(dataset: fo.Dataset, clip: str) -> None:
    dataset.add_sample(video_sample(clip, {1: boxed(AROUND)}))
    with pytest.raises(HS2SError, match=r"only boxes, .* or have one made of its box or points"):
        run(dataset, hints=False)
    assert not dataset.has_frame_field("out")


@pytest.mark.parametrize(
    ("label", "message"),
    [
        (boxed([0.4, 0.4, 0.0, 0.3]), "has no area"),
        (boxed([1.2, 0.4, 0.5, 0.3]), "has no area"),
        (boxed([20, 10, 30, 30]), "the box 1920,640,4800,2560 is outside"),
        (boxed([float("nan"), 0.4, 0.5, 0.3]), "the box nan,25.6,nan,44.8 is outside"),
        (boxed([0.4, 0.4, 0.5]), "the box nan,.* is outside or has no area"),
        (fo.Keypoints(keypoints=[fo.Keypoint(points=[(1.3, 0.2)])]), "is outside"),
        (fo.Keypoints(keypoints=[fo.Keypoint(points=[])]), "no mask for label number 1, only"),
    ],
)
def test_what_points_nowhere_is_refused_before_the_run(
    dataset: fo.Dataset, clip: str, label: fo.Label, message: str
) -> None:
    dataset.add_sample(video_sample(clip, {1: label}))
    with pytest.raises(HS2SError, match=message):
        run(dataset)
    assert not dataset.has_frame_field("out")


def test_a_box_beyond_the_end_is_refused(dataset: fo.Dataset, clip: str) -> None:
    dataset.add_sample(video_sample(clip, {9: boxed(AROUND)}))
    with pytest.raises(HS2SError, match="a prompt lies on frame 9, but the video has 4 frames"):
        run(dataset)


def test_a_mask_put_right_takes_the_place_of_the_one_made(dataset: fo.Dataset, clip: str) -> None:
    dataset.add_sample(video_sample(clip, {1: boxed(AROUND)}))
    run(dataset)
    mended = square(0, 60)
    sample = dataset.first()
    (label,) = sample.frames[1].out.detections
    new = detection(mended)
    label.mask, label.bounding_box = new.mask, new.bounding_box
    sample.save()
    hs2s_fiftyone.repropagate(dataset, "out", model=CopyNetwork(), progress=False)
    assert np.array_equal(found(dataset, 1), mended)
    assert np.array_equal(found(dataset, 4), mended)
    assert set(dataset.values("frames.out.detections.origin", unwind=True)) == {None}


def test_the_form_shows_the_mask_before_the_run(dataset: fo.Dataset, clip: str) -> None:
    dataset.add_sample(video_sample(clip, {2: boxed(AROUND)}))
    assert "'Make masks of boxes and points'" in wrong(show(dataset))["problems"]
    shown = show(dataset, hints=True)
    assert not wrong(shown)
    (name,) = (name for name in shown if name.startswith("picture"))
    assert shown[name].view.label == "Made of boxes and points: frame 2 of ball.mp4"
    head, data = shown[name].default.split(",")
    assert head == "data:image/jpeg;base64"
    picture = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape[1] == 480
    ball = picture[32 * 5, 42 * 5].astype(int)
    assert ball[1] > 60, "the mask is seen over the red"
    assert list(shown).index(name) < list(shown).index("prompt_field"), "at the top"
    frame = dataset.first().frames[2]
    frame.truth = boxed([0.5, 0.5, 0.2, 0.2])
    frame.save()
    plan._verdicts.clear()
    assert name not in show(dataset, hints=True), "another box, another picture"


def test_many_boxes_do_not_hold_the_form(dataset: fo.Dataset, clip: str) -> None:
    two = [fo.Detection(bounding_box=AROUND, index=index) for index in (1, 2)]
    dataset.add_sample(video_sample(clip, {1: fo.Detections(detections=two)}))
    settings = PropagateSettings("truth", "out", hints=True)
    opened, prompts, _ = open_video(dataset, dataset.first().id, settings)
    late = preview_frame(opened, prompts, deadline=0.0)
    assert late is not None
    assert late.left == 2
