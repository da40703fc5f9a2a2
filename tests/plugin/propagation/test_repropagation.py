"""Masks propagated again from what people put right: the same way, no more than needed."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path

import fiftyone as fo
import numpy as np
import pytest
from fiftyone import ViewField
from fiftyone.operators import types

from hs2s_core.errors import HS2SError
from hs2s_core.jobs import Progress
from hs2s_core.models.lite.network import HS2SLite
from hs2s_core.weights import save_weights
from hs2s_fiftyone import suggest_frames
from hs2s_fiftyone.drawing import draws_on_videos, prepare_drawing
from hs2s_fiftyone.operators.export_vos import ExportVos
from hs2s_fiftyone.operators.propagate_corrections import PropagateCorrections
from hs2s_fiftyone.operators.suggest_frame import SuggestFrame
from hs2s_fiftyone.player import SAVE_DRAWN, SHOW_FRAME
from hs2s_fiftyone.propagation import prompts_of, propagate, repropagate, sessions
from hs2s_fiftyone.propagation.sessions import cache_folder

from ..forms import context, form, wrong
from ..helpers import CopyNetwork, detection, tiny_network, video_sample
from .test_corrections import A, B, C, edit, labels, masks

MakeVideo = Callable[..., str]


class Counting(CopyNetwork):
    """Counts its steps."""

    steps = 0

    def step(self, *given, **named):  # type: ignore[no-untyped-def]
        type(self).steps += 1
        return super().step(*given, **named)


@pytest.fixture
def clip(dataset: fo.Dataset, make_video: MakeVideo) -> fo.Dataset:
    """Two videos of nine frames with two objects, given in the first."""
    for name in ("a.mp4", "b.mp4"):
        given = [detection(A, index=1, label="cat"), detection(C, index=2, label="dog")]
        frames = {1: fo.Detections(detections=given)}
        dataset.add_sample(video_sample(make_video(name, frames=9), frames))
    shutil.rmtree(cache_folder(), ignore_errors=True)
    Counting.steps = 0
    return dataset


def test_only_what_a_correction_changes_is_computed(clip: fo.Dataset) -> None:
    network = Counting()
    propagate(clip, "truth", "found", model=network)
    first, Counting.steps = Counting.steps, 0
    edit(clip, 5, B)
    summary = repropagate(clip, "found", model=network)
    assert summary.done == ["a.mp4"]  # the other has no correction
    # One object of one video: three frames back from it, four on. What led there is known.
    assert Counting.steps == 7 < first
    (note,) = summary.notes
    assert note.reason.startswith("Masks changed in 6 of 9 frames; those that did have a mean IoU")
    assert np.array_equal(masks(clip, 9)[1], B)
    Counting.steps = 0
    (note,) = repropagate(clip, "found", model=network).notes
    assert Counting.steps == 0
    assert note.reason == "No mask changed."


def test_frames_that_the_network_saw_lately_are_not_encoded_again(
    clip: fo.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until its file changes."""
    weights = tmp_path / "w.safetensors"
    save_weights(tiny_network(), weights, {})
    encoded = []
    encode = HS2SLite.encode
    monkeypatch.setattr(HS2SLite, "encode", lambda *a: encoded.append(1) or encode(*a))
    a = clip.limit(1)
    propagate(a, "truth", "found", model=weights, device="cpu")
    first = len(encoded)
    assert first >= 9
    edit(clip, 1, B)
    assert repropagate(a, "found").done == ["a.mp4"]
    assert len(encoded) == first
    save_weights(tiny_network(), weights, {"changed": True})
    propagate(a, "truth", "other", model=str(weights), device="cpu")
    assert len(encoded) == 2 * first


@pytest.mark.parametrize("kept", [True, False])
def test_it_is_what_a_full_run_gives(
    clip: fo.Dataset, weights: str, kept: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    propagate(clip[:1], "truth", "found", model=weights, policy="first")
    draw_in_fourth(clip)
    if not kept:
        monkeypatch.setattr(sessions, "LONGEST", 0)
    repropagate(clip, "found")  # how, is remembered
    again = stored(clip, "found")
    shutil.rmtree(cache_folder())
    options = {"model": weights, "policy": "first", "overwrite": True}
    propagate(clip[:1], "truth", "found", **options)
    assert stored(clip, "found") == again
    assert labels(clip, 4)[1].corrected


def draw_in_fourth(clip: fo.Dataset) -> None:
    """A label where there is none: random weights find nothing."""
    sample = clip.first()
    sample.frames[4]["found"] = fo.Detections(detections=[detection(B, index=1, label="cat")])
    sample.save()


def stored(clip: fo.Dataset, field: str) -> list[object]:
    """All that frames of the first video have but the ids of labels."""
    clip.reload()
    found = [frame[field].to_dict()["detections"] for frame in clip.first().frames.values()]
    return [[{**each, "_id": None} for each in frame] for frame in found]


def test_nothing_is_done_without_a_correction(clip: fo.Dataset) -> None:
    propagate(clip, "truth", "found", model=CopyNetwork())
    summary = repropagate(clip, "found", model=CopyNetwork())
    assert (summary.done, summary.failed) == ([], [])
    assert str(summary).startswith("0 videos done, 0 skipped, 0 failed -> frames.found\n")
    assert "nobody changed a mask here" in str(summary)


def test_what_is_not_known_is_said_before_anything_is_written(clip: fo.Dataset) -> None:
    with pytest.raises(HS2SError, match="nothing is known of how the masks in 'found' were made"):
        repropagate(clip, "found")
    propagate(clip, "truth", "found", model=CopyNetwork())
    with pytest.raises(HS2SError, match=r"given as an object \(CopyNetwork\); give it again"):
        repropagate(clip, "found")


def test_a_run_that_had_nothing_to_do_is_not_remembered(clip: fo.Dataset) -> None:
    network = CopyNetwork()
    propagate(clip, "truth", "found", model=network)
    clip.clone_frame_field("truth", "other")
    propagate(clip, "other", "found", model=network)
    assert clip.get_run_info("propagate_found").config.made["settings"]["prompt_field"] == "truth"


def test_what_a_view_left_out_stays_out(clip: fo.Dataset) -> None:
    view = clip.filter_labels("frames.truth", fo.ViewField("index") == 1)
    propagate(view, "truth", "found", model=CopyNetwork())
    edit(clip, 5, B)
    repropagate(clip, "found", model=CopyNetwork())
    assert list(masks(clip, 9)) == [1]


def test_each_video_is_made_again_the_way_that_it_was_made(clip: fo.Dataset) -> None:
    """Not that of the last run of all, which may have had other prompts, or another network."""
    clip.clone_frame_field("truth", "drawn")
    first = clip.first().id
    propagate(clip.select(first), "drawn", "found", model=Counting())
    propagate(clip, "truth", "found", model=Counting(), direction="forward")
    made = clip.get_run_info("propagate_found").config
    assert made.made["settings"]["prompt_field"] == "truth"
    assert [way["videos"] for way in made.earlier] == [[first]]
    asked = [prompts_of(clip, "found", [each]) for each in clip.values("id")]
    assert asked == ["drawn", "truth"]
    for sample in clip:
        edit(clip.select(sample.id), 5, B)
    told: list[float] = []
    summary = repropagate(
        clip, "found", model=Counting(), progress=lambda step: told.append(step.fraction)
    )
    assert sorted(summary.done) == ["a.mp4", "b.mp4"]
    assert summary.frames == 18
    assert told == sorted(told)
    ways = [sample.frames[4].found.detections[0].disagreement for sample in clip]
    assert [way is None for way in ways] == [False, True], "one both ways, one forwards"
    assert clip.get_run_info("propagate_found").config.earlier  # each still its own


def test_what_a_stopped_run_did_not_reach_was_made_as_before(clip: fo.Dataset) -> None:
    first, second = clip.values("id")
    propagate(clip, "truth", "found", model=Counting())

    def stop(step: Progress) -> None:
        if step.videos == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        propagate(
            clip,
            "truth",
            "found",
            model=Counting(),
            direction="forward",
            overwrite=True,
            progress=stop,
        )
    made = clip.get_run_info("propagate_found").config
    assert made.status == "cancelled"
    assert made.made["settings"]["direction"] == "forward"
    (way,) = made.earlier
    assert (way["made"]["settings"]["direction"], way["videos"]) == ("both", [second])
    edit(clip.select(first), 5, B)
    edit(clip.select(second), 5, B)
    repropagate(clip, "found", model=Counting())
    ways = [sample.frames[4].found.detections[0].disagreement for sample in clip]
    assert [way is None for way in ways] == [True, False]


def test_other_networks_and_files_are_not_taken_for_those_before(
    clip: fo.Dataset, make_video: MakeVideo
) -> None:
    network = Counting()
    options = {"overwrite": True, "model": network}
    propagate(clip, "truth", "found", **options)
    full, Counting.steps = Counting.steps, 0
    propagate(clip, "truth", "found", **options)
    assert Counting.steps == 0
    make_video("b.mp4", frames=9, white=20)  # written anew
    propagate(clip, "truth", "found", **options)
    assert Counting.steps == full / 2
    Counting.steps = 0
    network.config = dataclasses.replace(network.config, value_width=49)
    propagate(clip, "truth", "found", **options)
    assert Counting.steps == full


def test_the_cache_stays_below_its_limit(clip: fo.Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    network = CopyNetwork()
    propagate(clip, "truth", "found", model=network)
    assert len(list(cache_folder().iterdir())) == 2
    monkeypatch.setattr(sessions, "LIMIT", 0)
    propagate(clip[1:], "truth", "other", model=network)
    (left,) = cache_folder().iterdir()
    assert ".other." in left.name
    monkeypatch.setattr(sessions, "SPARE", 2**70)
    assert propagate(clip, "truth", "third", model=network).done == ["a.mp4", "b.mp4"]
    assert not [each for each in cache_folder().glob("*.third.*") if any(each.iterdir())]


def test_the_frame_most_in_doubt_is_suggested(clip: fo.Dataset) -> None:
    propagate(clip, "truth", "found", model=CopyNetwork())
    for video, number, confidence in ((0, 4, 0.9), (1, 6, 0.7)):
        sample = clip.skip(video).first()
        sample.frames[number].found.detections[1].confidence = confidence
        sample.save()
    clip.compute_metadata()
    best, second = suggest_frames(clip, "frames.found", 2)
    assert (best.video, best.frame_number, best.label, best.index) == ("b", 6, "dog", 2)
    assert best.seconds == 0.5
    assert str(best) == "b: frame 6 (0:00.50), where the dog (object 2) is most in doubt"
    nameless = best._replace(label="object")
    assert str(nameless).endswith("where object 2 is most in doubt")
    assert second.gain < best.gain
    edit(clip, 4, B, index=2)
    repropagate(clip, "found", model=CopyNetwork())
    (first,) = suggest_frames(clip[:1], "found")
    assert first.frame_number == 3  # between two given masks that have nothing in common
    with pytest.raises(HS2SError, match="no frame field 'gone'"):
        suggest_frames(clip, "gone")
    with pytest.raises(HS2SError, match="'truth' holds nothing that propagate"):
        suggest_frames(clip, "truth")


def test_an_object_that_is_gone_is_hardly_in_doubt(clip: fo.Dataset) -> None:
    propagate(clip, "truth", "found", model=CopyNetwork())
    sample = clip.first()
    sample.frames[4].found.detections[0].confidence = 0.7
    for number in (7, 8, 9):
        sample.frames[number].found.detections.pop(1)
    sample.save()
    (best,) = suggest_frames(clip[:1], "found")
    assert (best.frame_number, best.index) == (4, 1)


def test_the_buttons_beside_an_open_video(clip: fo.Dataset, weights: str) -> None:
    propagate(clip[:1], "truth", "found", model=weights)
    draw_in_fourth(clip)
    opened = context(clip)
    opened.request_params["current_sample"] = clip.first().id
    for operator in (PropagateCorrections(), SuggestFrame()):
        placement = operator.resolve_placement(opened)
        assert placement.place == types.Places.SAMPLES_VIEWER_ACTIONS
        assert not placement.view.prompt
    (before,) = (message.body for message in PropagateCorrections().execute(opened))
    assert before.operator_uri == SAVE_DRAWN, "what was drawn last would be lost"
    assert before.params == {"operator": opened.operator_uri, "params": {"saved": True}}
    opened.params.update(before.params["params"])
    messages = [message.body for message in PropagateCorrections().execute(opened)]
    assert [each.operator_uri.split("/")[-1] for each in messages[-5:]] == [
        "reload_samples",
        "open_sample",
        "renew_first_frame",
        "show_frame",
        "show_output",
    ]
    assert messages[-2].params["frame_number"] == 4, "where somebody was at work"
    assert messages[-1].params["results"]["done"] == 1
    assert labels(clip, 4)[1].corrected
    if draws_on_videos():  # what was drawn would be shown in place of the result
        prepare_drawing(clip, "truth")
        opened.request_params["active_fields"] = ["frames.truth"]
        shown = [each.body for each in PropagateCorrections().execute(opened)][-6:-2]
        assert [each.operator_uri.split("/")[-1] for each in shown] == [
            "reload_samples",
            "open_sample",
            "show_fields",
            "renew_first_frame",
        ]
        assert shown[2].params == {"fields": ["frames.found"]}
    said = SuggestFrame().execute(opened)["frames"]
    assert said.startswith("a: frame ")
    *_, told, asked = opened.executor._requests
    assert told.params["message"] == f"To correct next: {said}", "as its output is not shown"
    assert asked.operator_uri == SHOW_FRAME
    number = suggest_frames(clip[:1], "found")[0].frame_number
    assert asked.params == {"frame_number": number, "share": (number - 1) / 9}


def test_the_buttons_beside_an_open_clip(clip: fo.Dataset, weights: str) -> None:
    """They work on its whole video, as a review opens clips: its masks are those of the video."""
    propagate(clip, "truth", "found", model=weights)
    draw_in_fourth(clip)
    clips = clip.to_clips([[[3, 6]]] * len(clip))
    opened = clips.first().id
    for operator in (PropagateCorrections, SuggestFrame, ExportVos):
        assert not wrong(form(operator, clips, opened=opened))
    messages = PropagateCorrections().execute(context(clips, opened=opened, saved=True))
    *_, closed, reloaded, said = (message.body for message in messages)
    assert [each.operator_uri for each in (closed, reloaded)] == ["close_sample", "reload_dataset"]
    assert said.params["results"]["done"] == 1
    assert labels(clip, 4)[1].corrected
    asked = context(clips, opened=opened)
    assert SuggestFrame().execute(asked)["frames"].startswith("a: frame ")
    assert asked.executor._requests[-1].params.keys() == {"frame_number"}, "a clip's is another"
    exported = form(ExportVos, clips, opened=opened)
    assert exported["field"].default == "found"


def test_the_forms_offer_what_was_propagated(clip: fo.Dataset) -> None:
    assert "No result to correct" in wrong(form(PropagateCorrections, clip))["none"]
    with pytest.raises(HS2SError, match="there is no result to correct"):
        SuggestFrame().execute(context(clip))
    opened = context(clip)
    opened.request_params["current_sample"] = clip.first().id
    SuggestFrame().execute(opened)
    told = opened.executor._requests[-1]
    assert told.params["variant"] == "error"
    assert "there is no result to correct" in told.params["message"]
    propagate(clip, "truth", "found", model=CopyNetwork())
    for operator in (PropagateCorrections, SuggestFrame):
        shown = form(operator, clip)
        assert not wrong(shown)
        assert shown["output_field"].type.values == ["found"]
    chosen = context(clip, output_field="found")
    lines = SuggestFrame().execute(chosen)["frames"].splitlines()
    assert {line[0] for line in lines if line} == {"a", "b"}
    clip.clear_frame_field("found")
    assert "no masks yet" in SuggestFrame().execute(chosen)["frames"]


def test_suggestions_are_of_what_a_view_shows(clip: fo.Dataset) -> None:
    propagate(clip, "truth", "found", model=CopyNetwork())
    edit(clip, 5, B)
    edit(clip, 7, C, index=2)
    propagate(clip, "truth", "found", model=CopyNetwork(), overwrite=True)
    assert {each.index for each in suggest_frames(clip[:1], "found", 9)} == {1, 2}
    dogs = clip[:1].filter_labels("frames.found", ViewField("label") == "dog")
    assert {each.index for each in suggest_frames(dogs, "found", 9)} == {2}
    late = clip[:1].match_frames(ViewField("frame_number") > 5)
    assert {each.frame_number for each in suggest_frames(late, "found", 9)} <= {6, 7, 8, 9}
    is_cow = ViewField("label") == "cow"
    nothing = clip[:1].filter_labels("frames.found", is_cow, only_matches=False)
    assert suggest_frames(nothing, "found", 9) == []


@pytest.mark.parametrize("how", ["deleted", "cleared"])
def test_videos_whose_masks_are_gone_are_not_done(clip: fo.Dataset, how: str) -> None:
    """Their status is still there."""
    propagate(clip, "truth", "found", model=CopyNetwork())
    if how == "deleted":
        if clip.label_schemas:
            clip.delete_label_schemas("frames.found")
        clip.delete_frame_field("found")
    else:
        clip.clear_frame_field("found")
    summary = propagate(clip, "truth", "found", model=CopyNetwork())
    assert (summary.done, summary.skipped) == (["a.mp4", "b.mp4"], 0)
    assert sorted(masks(clip, 9)) == [1, 2]


def test_a_correction_is_taken_back(clip: fo.Dataset) -> None:
    """Its label is deleted: what was followed from it is made again without it, once."""
    propagate(clip, "truth", "found", model=CopyNetwork())
    edit(clip, 5, B)
    repropagate(clip, "found", model=CopyNetwork())
    sample = clip.first()
    kept = [label for label in sample.frames[5].found.detections if label.index != 1]
    sample.frames[5].found.detections = kept
    sample.save()
    assert repropagate(clip, "found", model=CopyNetwork()).done == ["a.mp4"]
    assert all(np.array_equal(masks(clip, number)[1], A) for number in range(1, 10))
    assert repropagate(clip, "found", model=CopyNetwork()).done == []
