"""The panel "Masks over time" without a browser: what it shows, and where a click goes."""

from __future__ import annotations

from collections.abc import Callable

import fiftyone as fo
import pytest

from hs2s_fiftyone.drawing import draws_on_videos
from hs2s_fiftyone.evaluation import evaluate
from hs2s_fiftyone.panels import MaskStrip
from hs2s_fiftyone.player import SHOW_FRAME
from hs2s_fiftyone.propagation import made_fields, propagate, repropagate

from ..helpers import CopyNetwork, detection, square, video_sample
from .opened_panel import OpenedPanel

FRAMES = 6


@pytest.fixture
def clip(dataset: fo.Dataset, make_video: Callable[..., str]) -> fo.Dataset:
    """A video of which the first frame has a mask, and every one a truth beside it."""
    given = {1: fo.Detections(detections=[detection(square(8, 8), index=1, label="cat")])}
    sample = video_sample(make_video(frames=FRAMES), given, "drawn")
    for number in range(1, FRAMES + 1):
        moved = detection(square(8, 8 + 2 * number), index=1, label="cat")
        sample.frames[number]["right"] = fo.Detections(detections=[moved])
    dataset.add_sample(sample)
    dataset.compute_metadata()
    return dataset


def opened(clip: fo.Dataset) -> OpenedPanel:
    return OpenedPanel(clip, MaskStrip, sample=clip.first().id)


def lines(panel: OpenedPanel) -> dict[str, dict]:
    return {trace["name"]: trace for trace in panel.data["body.strip"]}


def test_it_says_what_is_missing(clip: fo.Dataset) -> None:
    panel = opened(clip)
    assert "No propagated masks here" in panel.text
    assert "body.strip" not in panel.data


def test_a_video_without_masks_and_a_deleted_result_say_so(
    clip: fo.Dataset, make_video: Callable[..., str], network: CopyNetwork
) -> None:
    propagate(clip, "drawn", "found", model=network)
    clip.add_sample(video_sample(make_video("other.mp4", frames=2), {}, "drawn"))
    panel = OpenedPanel(clip, MaskStrip, sample=clip.last().id)
    assert "No propagated masks here" in panel.text
    if draws_on_videos():
        clip.delete_label_schemas("frames.found")
    clip.delete_frame_field("found")
    assert made_fields(clip) == []
    assert "No propagated masks here" in opened(clip).text


def test_confidence_without_truth_and_scores_with_it(
    clip: fo.Dataset, network: CopyNetwork
) -> None:
    propagate(clip, "drawn", "found", model=network)
    panel = opened(clip)
    assert "confidence (%)" in panel.text
    assert lines(panel)["cat 1"]["x"] == list(range(1, FRAMES + 1))
    assert lines(panel)["Given masks"]["x"] == [1]
    evaluate(clip, "found", "right", "eval")
    panel.send("on_load")
    assert "J&F (%)" in panel.text
    scores = lines(panel)["cat 1"]["y"]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] > scores[-1], "the object moves away from its mask"
    panel.state["controls"]["scores"] = "none"
    panel.send("on_setting", path="controls.scores", value="none")
    assert "confidence (%)" in panel.text


def test_a_click_goes_to_the_frame(clip: fo.Dataset, network: CopyNetwork) -> None:
    propagate(clip, "drawn", "found", model=network)
    panel = opened(clip)
    panel.send("on_frame", x=4)
    assert panel.asked[SHOW_FRAME] == {"frame_number": 4, "share": 3 / 6}
    assert lines(panel)["Chosen"]["x"] == [4, 4]
    assert "frame 4 (0:00.30)" in panel.data["said"]
    panel.send("to_suggested")
    assert panel.asked[SHOW_FRAME]["frame_number"] == lines(panel)["Suggested next"]["x"][0]


def test_a_correction_is_a_key_frame(clip: fo.Dataset, network: CopyNetwork) -> None:
    propagate(clip, "drawn", "found", model=network)
    sample = clip.first()
    label = sample.frames[FRAMES].found.detections[0]
    new = detection(square(8, 40))
    label.mask, label.bounding_box = new.mask, new.bounding_box
    sample.save()
    repropagate(clip, "found", model=network)
    panel = opened(clip)
    assert lines(panel)["Corrected masks"]["x"] == [FRAMES]
    # Followed from both sides now, and these disagree.
    (apart,) = (trace for trace in panel.data["body.strip"] if trace.get("yaxis") == "y2")
    assert max(value for value in apart["y"] if value is not None) > 50
    assert "disagreement (%)" in panel.text


def test_another_video_and_an_error_are_told(clip: fo.Dataset, network: CopyNetwork) -> None:
    propagate(clip, "drawn", "found", model=network)
    panel = opened(clip)
    panel.send("on_frame", x=4)
    panel.sample = "0" * 24
    panel.send("on_change_current_sample")
    assert "No propagated masks here" in panel.text
    assert panel.asked == {}
