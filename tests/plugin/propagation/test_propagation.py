"""Propagation through FiftyOne videos from a script: results, failures, resuming."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import cv2
import fiftyone as fo
import numpy as np
import pytest
import torch

from hs2s_core.errors import HS2SError
from hs2s_core.jobs import Progress
from hs2s_core.media.masks import read_id_map
from hs2s_core.models import build_model
from hs2s_core.models.presets import preset
from hs2s_core.propagation import clip as core_clip
from hs2s_core.propagation.propagator import MERGES
from hs2s_fiftyone.evaluation import evaluate
from hs2s_fiftyone.export import export
from hs2s_fiftyone.jobs import Source, run_info, writer
from hs2s_fiftyone.propagation import (
    CHOICES,
    PropagateJob,
    PropagateSettings,
    propagate,
    propagate_steps,
)

from ...threads import threads
from ..helpers import (
    SIZE,
    CopyNetwork,
    detection,
    frame_masks,
    lock,
    square,
    tiny_network,
    video_sample,
    write_shots,
)

MakeVideo = Callable[..., str]


def start(*masks: np.ndarray) -> fo.Detections:
    """One labelled object per mask, index from 1."""
    return fo.Detections(
        detections=[
            detection(mask, index=place, label=f"thing {place}", instance=fo.Instance())
            for place, mask in enumerate(masks, 1)
        ]
    )


@pytest.fixture
def videos(dataset: fo.Dataset, make_video: MakeVideo) -> fo.Dataset:
    """Three videos with one object; the second fails at its fourth frame."""
    for name, white in (("a.mp4", -1), ("b.mp4", 3), ("c.mp4", -1)):
        sample = video_sample(make_video(name, white=white), {1: start(square(8, 8))})
        dataset.add_sample(sample)
    return dataset


def test_every_frame_gets_the_objects(
    dataset: fo.Dataset, make_video: MakeVideo, network: CopyNetwork
) -> None:
    labels = start(square(0, 0), square(40, 60))
    labels.detections[1].index = 9
    dataset.add_sample(video_sample(make_video(frames=6), {1: labels}))

    summary = propagate(dataset, "frames.truth", "frames.found", model=network)

    assert (summary.done, summary.frames, summary.objects) == (["clip.mp4"], 6, 2)
    sample = dataset.first()
    assert sample.found_status == "done"
    assert sample.found_error is None
    given = {made.index: made for made in sample.frames[1].truth.detections}
    for number in range(1, 7):
        found = {made.index: made for made in sample.frames[number].found.detections}
        assert sorted(found) == [1, 9]
        for index, made in found.items():
            assert made.label == given[index].label
            assert made.instance.id == given[index].instance.id
            assert 0.9 < made.confidence <= 1
        masks = frame_masks(sample.frames[number].found, SIZE)
        assert np.array_equal(masks[1], square(0, 0))
        assert np.array_equal(masks[9], square(40, 60))


def test_objects_are_followed_to_both_ends(
    dataset: fo.Dataset, make_video: MakeVideo, network: CopyNetwork
) -> None:
    second = fo.Detections(detections=[detection(square(40, 60), index=2)])
    frames = {2: start(square(0, 0)), 4: second}
    dataset.add_sample(video_sample(make_video(), frames))
    propagate(dataset, "truth", "found", model=network)
    sample = dataset.first()
    for number in range(1, 6):
        masks = frame_masks(sample.frames[number].found, SIZE)
        assert np.array_equal(masks[1], square(0, 0))
        assert np.array_equal(masks[2], square(40, 60))


def test_networks_that_read_ahead(dataset: fo.Dataset, make_video: MakeVideo) -> None:
    """Bi-HS2S runs through the same call, from its first mask to the last frame."""
    torch.manual_seed(0)
    config = dataclasses.replace(preset("bi-hs2s/16"), input_size=(64, 96))
    second = fo.Detections(detections=[detection(square(40, 60), index=2)])
    frames = {1: start(square(0, 0)), 4: second}
    dataset.add_sample(video_sample(make_video(frames=6), frames))

    summary = propagate(dataset, "truth", "found", model=build_model(config).eval())

    assert (summary.done, summary.frames, summary.failed) == (["clip.mp4"], 6, [])
    sample = dataset.first()
    assert np.array_equal(frame_masks(sample.frames[1].found, SIZE)[1], square(0, 0))
    assert np.array_equal(frame_masks(sample.frames[4].found, SIZE)[2], square(40, 60))


def test_a_single_detection_a_frame_is_propagated_scored_and_exported(
    dataset: fo.Dataset, make_video: MakeVideo, network: CopyNetwork, tmp_path: Path
) -> None:
    labels = {number: detection(square(8, 8), index=3, label="ball") for number in range(1, 6)}
    dataset.add_sample(video_sample(make_video(), labels))
    propagate(dataset, "truth", "found", model=network)
    assert dataset.values("frames.found.detections.index") == [[[3]] * 5]
    assert dataset.values("frames.found.detections.label") == [[["ball"]] * 5]
    for predicted, truth in (("found", "truth"), ("truth", "found")):
        results = evaluate(dataset, predicted, truth, f"of_{predicted}", "all_frames")
        assert results.summary.overall.jf == 1.0
    dataset.rename_evaluation("of_truth", "renamed")
    dataset.delete_evaluations()
    assert export(dataset, "truth", tmp_path / "out").done == ["clip"]
    written = [read_id_map(path) for path in sorted((tmp_path / "out").rglob("*.png"))]
    assert len(written) == 5
    assert all(np.array_equal(id_map == 3, square(8, 8)) for id_map in written)


def test_results_are_deleted_as_the_docs_say(videos: fo.Dataset, network: CopyNetwork) -> None:
    propagate(videos, "truth", model=network, progress=False)
    evaluate(videos, "hs2s", "truth", "eval_hs2s", progress=False)
    text = (Path(__file__).resolve().parents[3] / "docs" / "questions.md").read_text("utf-8")
    _, _, below = text.partition("### How do I delete results?")
    code = below.split("```python\n")[1].split("```")[0]
    exec(code, {"dataset": videos})
    assert not videos.has_frame_field("hs2s")
    assert not any("hs2s" in name for name in videos.get_field_schema())
    assert videos.list_evaluations() == []
    propagate(videos, "truth", model=network, progress=False)
    assert videos.count("frames.hs2s.detections") > 0


def test_the_prompts_are_only_read(videos: fo.Dataset, network: CopyNetwork) -> None:
    before = [frame.truth.to_dict() for frame in (s.frames[1] for s in videos)]
    propagate(videos, "truth", "found", model=network)
    assert [frame.truth.to_dict() for frame in (s.frames[1] for s in videos)] == before


def test_one_failing_video_does_not_stop_the_others(
    videos: fo.Dataset, network: CopyNetwork
) -> None:
    summary = propagate(videos, "truth", "found", model=network)
    assert summary.done == ["a.mp4", "c.mp4"]
    assert [str(problem) for problem in summary.failed] == [
        "b.mp4: RuntimeError: out of memory, says the test"
    ]
    assert videos.values("found_status") == ["done", "failed", "done"]
    assert videos.values("found_error")[1] == "RuntimeError: out of memory, says the test"
    # All or nothing: no labels of the frames before the failure.
    assert [frame.found for frame in videos.skip(1).first().frames.values()] == [None]
    assert "b.mp4: RuntimeError" in str(summary)


def test_a_second_run_does_what_is_left(
    videos: fo.Dataset, network: CopyNetwork, make_video: MakeVideo
) -> None:
    propagate(videos, "truth", "found", model=network)
    make_video("b.mp4")  # mended
    summary = propagate(videos, "truth", "found", model=network)
    assert (summary.done, summary.skipped) == (["b.mp4"], 2)
    assert videos.values("found_status") == ["done"] * 3
    assert videos.values("found_error") == [None] * 3


def test_overwriting_leaves_nothing_of_the_old_labels(
    dataset: fo.Dataset, make_video: MakeVideo, network: CopyNetwork
) -> None:
    dataset.add_sample(video_sample(make_video(), {1: start(square(0, 0))}))
    propagate(dataset, "truth", "found", model=network)
    sample = dataset.first()
    sample.frames[3].truth = start(square(20, 20))
    sample.frames[1].truth = None
    sample.save()
    summary = propagate(dataset, "truth", "found", model=network, overwrite=True)
    assert summary.done == ["clip.mp4"]
    for frame in dataset.first().frames.values():
        masks = frame_masks(frame.found, SIZE)
        assert list(masks) == [1]
        assert np.array_equal(masks[1], square(20, 20))


def test_online_training_is_for_one_video_only(dataset: fo.Dataset, make_video: MakeVideo) -> None:
    for name in ("a.mp4", "b.mp4"):
        video = make_video(name, frames=3)
        dataset.add_sample(video_sample(video, {1: start(square(8, 8))}))
    model = tiny_network()
    before = {key: value.clone() for key, value in model.state_dict().items()}

    told: list[str] = []
    summary = propagate(
        dataset,
        "truth",
        "adapted",
        model=model,
        online_steps=1,
        progress=lambda step: told.append(step.label),
    )

    assert summary.done == ["a.mp4", "b.mp4"]
    assert [label for label in told if "learning its masks" in label] == [
        "1/2 a.mp4: learning its masks",
        "2/2 b.mp4: learning its masks",
    ]
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    with pytest.raises(HS2SError, match="online_steps: -1 is no number of steps"):
        propagate(dataset, "truth", "other", online_steps=-1)


def test_results_outlive_a_run_that_cannot_replace_them(
    videos: fo.Dataset, network: CopyNetwork
) -> None:
    propagate(videos[:1], "truth", "found", model=network)
    Path(videos.first().filepath).unlink()
    options = {"model": network, "overwrite": True, "skip_invalid": True}
    summary = propagate(videos, "truth", "found", **options)
    assert "no such file" in summary.failed[0].reason
    assert videos.values("found_status") == ["done", "failed", "done"]
    assert frames_with(videos[:1], "found") == 5


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("failed", [False, True])
def test_labels_drawn_by_hand_are_kept(
    videos: fo.Dataset, network: CopyNetwork, overwrite: bool, failed: bool
) -> None:
    """In a field that this operator made, for a video that it did not do."""
    propagate(videos[1:2] if failed else videos[:1], "truth", "found", model=network)
    by_hand = videos[1:2].first()
    by_hand.frames[2]["found"] = start(square(30, 30))
    by_hand.save()
    status = "failed" if failed else None
    summary = propagate(
        videos, "truth", "found", model=network, overwrite=overwrite, skip_invalid=True
    )
    assert "c.mp4" in summary.done
    assert "b.mp4" not in summary.done
    by_hand.reload()
    assert by_hand.found_status == status
    masks = [frame_masks(frame.found, SIZE) for frame in by_hand.frames.values()]
    assert [sorted(found) for found in masks] == [[], [1]]
    assert np.array_equal(masks[1][1], square(30, 30))


def test_what_a_killed_run_left_of_a_video_that_is_gone_is_removed(
    videos: fo.Dataset, network: CopyNetwork
) -> None:
    propagate(videos[:1], "truth", "found", model=network)
    sample = videos.first()
    sample["found_status"] = "running"
    sample.save()
    Path(sample.filepath).unlink()
    propagate(videos, "truth", "found", model=network, skip_invalid=True)
    assert videos.values("found_status") == ["failed", "failed", "done"]
    assert frames_with(videos[:1], "found") == 0


def test_stopping_leaves_no_half_video(videos: fo.Dataset, network: CopyNetwork) -> None:
    settings = PropagateSettings("truth", "found")
    steps = propagate_steps(PropagateJob(Source(videos), settings, network))
    for step in steps:
        if step.label.startswith("3/3"):
            steps.close()
    assert videos.values("found_status") == ["done", "failed", None]
    assert frames_with(videos.skip(2), "found") == 0
    assert run_info(videos, "propagate_found")["status"] == "cancelled"
    summary = propagate(videos[2:], "truth", "found", model=network)
    assert summary.done == ["c.mp4"]
    assert run_info(videos, "propagate_found")["status"] == "done"
    assert run_info(videos, "propagate_other") == {}


def test_a_killed_run_is_done_again(videos: fo.Dataset, network: CopyNetwork) -> None:
    """A process that was killed leaves the status `running` and some labels."""
    propagate(videos[:1], "truth", "found", model=network)
    sample = videos.first()
    sample["found_status"] = "running"
    sample.save()
    assert propagate(videos[:1], "truth", "found", model=network).done == ["a.mp4"]


def test_labels_gather_a_bounded_number_at_a_time_and_come_at_once(
    dataset: fo.Dataset, make_video: MakeVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "FLUSH_FRAMES", 4)
    dataset.add_sample(video_sample(make_video(frames=10), {1: start(square(0, 0))}))
    stored = []
    own = {"_dataset_id": dataset._doc.id}  # what tests of killed runs left may lie there too

    class Watching(CopyNetwork):
        def encode(self, frame):  # type: ignore[no-untyped-def]
            # Loading the sample resets FiftyOne's shared object, which must not lose labels.
            stored.append((writer._staged().count_documents(own), frames_with(dataset, "found")))
            return super().encode(frame)

    propagate(dataset, "truth", "found", model=Watching())
    counts = [count for count, _ in stored]  # a thread beside writes them, some frames later
    assert counts == sorted(counts)
    assert set(counts) <= {0, 4, 8}
    assert not any(visible for _, visible in stored)
    assert frames_with(dataset, "found") == 10
    assert writer._staged().count_documents(own) == 0


def test_source_images_are_preferred_over_the_video(
    dataset: fo.Dataset, make_video: MakeVideo, tmp_path: Path
) -> None:
    """The video is one pixel larger each way, as encoders pad it; labels refer to the video."""
    height, width = SIZE
    inner = (height - 1, width - 1)
    sample = video_sample(make_video(frames=3), {1: start(square(40, 79, 20))})
    for number in range(1, 4):
        path = tmp_path / f"{number:05d}.png"
        cv2.imwrite(str(path), np.full((*inner, 3), 10 * number, np.uint8))
        sample.frames[number]["filepath"] = str(path)
    dataset.add_sample(sample)
    seen = []

    class Watching(CopyNetwork):
        def encode(self, frame):  # type: ignore[no-untyped-def]
            seen.append(tuple(frame.shape[2:]))
            return super().encode(frame)

    network = Watching()
    network.config = type(network.config)(**{**network.config.to_dict(), "input_size": inner})
    propagate(dataset, "truth", "found", model=network)
    assert seen == [inner] * 3
    masks = frame_masks(dataset.first().frames[3].found, SIZE)
    expected = square(40, 79, 20)
    expected[:, -1] = False  # the padding belongs to no object
    assert np.array_equal(masks[1], expected)


def test_progress_is_reported(videos: fo.Dataset, network: CopyNetwork) -> None:
    seen: list[Progress] = []
    propagate(videos, "truth", "found", model=network, progress=seen.append)
    fractions = [step.fraction for step in seen]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1
    assert any(step.label.startswith("1/3 a.mp4: frame") for step in seen)


def test_a_view_with_filtered_labels_propagates_those(
    dataset: fo.Dataset, make_video: MakeVideo, network: CopyNetwork
) -> None:
    labels = start(square(0, 0), square(40, 60))
    dataset.add_sample(video_sample(make_video(), {1: labels}))
    view = dataset.filter_labels("frames.truth", fo.ViewField("index") == 2)
    propagate(view, "truth", "found", model=network)
    assert sorted(frame_masks(dataset.first().frames[5].found, SIZE)) == [2]


# ---------------------------------------------------------------- refused before any work


def refuse(samples: fo.Dataset, message: str, prompt: str = "truth", **options: object) -> None:
    options = {"model": CopyNetwork(), **options}
    before = samples.get_field_schema() if isinstance(samples, fo.Dataset) else None
    with pytest.raises(HS2SError, match=message):
        propagate(samples, prompt, str(options.pop("output", "found")), **options)  # type: ignore[arg-type]
    if before is not None:
        assert samples.get_field_schema() == before


def test_image_datasets_are_refused(dataset: fo.Dataset) -> None:
    dataset.add_sample(fo.Sample(filepath="/nowhere/image.png"))
    refuse(dataset, "no video: the samples are of type 'image'")


def test_videos_without_prompts_are_named(videos: fo.Dataset) -> None:
    sample = videos.last()
    sample.frames[1].truth = None
    sample.save()
    refuse(videos, r"1 video .*\n  c\.mp4: no prompt mask: no frame has labels in 'truth'")
    nobody = videos[:2].filter_labels(
        "frames.truth", fo.ViewField("index") == 99, only_matches=False
    )
    refuse(nobody, "no frame has labels in 'truth' that the view's filters leave")


def test_labels_without_an_object_are_named(dataset: fo.Dataset, make_video: MakeVideo) -> None:
    empty = fo.Segmentation(mask=np.zeros(SIZE, np.uint8))
    dataset.add_sample(video_sample(make_video(), {1: empty}))
    refuse(dataset, "the labels in 'truth' show no object")


def test_missing_files_are_named(videos: fo.Dataset) -> None:
    Path(videos.first().filepath).unlink()
    refuse(videos, r"a\.mp4: .*no such file")


def test_unreadable_files_are_named(videos: fo.Dataset) -> None:
    Path(videos.first().filepath).write_bytes(b"not a video")
    refuse(videos, r"a\.mp4: .*not readable as a video")


def test_boxes_are_no_prompts(dataset: fo.Dataset, make_video: MakeVideo) -> None:
    box = fo.Detection(bounding_box=[0, 0, 0.5, 0.5], index=3)
    labels = fo.Detections(detections=[box])
    dataset.add_sample(video_sample(make_video(), {1: labels}))
    refuse(dataset, r"clip\.mp4: no mask for object 3, only boxes")


def test_segmentations_of_another_size_are_named(
    dataset: fo.Dataset, make_video: MakeVideo
) -> None:
    labels = fo.Segmentation(mask=square(0, 0, size=(32, 48)).astype(np.uint8))
    dataset.add_sample(video_sample(make_video(), {1: labels}))
    refuse(dataset, r"clip\.mp4: the segmentation in frame 1 of 'truth' is 48x32 pixels .* 96x64")


def test_masks_of_a_screen_are_stretched_to_the_video(
    dataset: fo.Dataset, make_video: MakeVideo, network: CopyNetwork
) -> None:
    """As the App's brush leaves them, with the boxes that it writes into all later frames."""
    instance = fo.Instance()
    drawn = detection(square(80, 160, side=80, size=(320, 480)), instance=instance, keyframe=True)
    labels = {1: fo.Detections(detections=[drawn])}
    for number in (2, 3):
        box = fo.Detection(bounding_box=drawn.bounding_box, instance=instance)
        labels[number] = fo.Detections(detections=[box])
    dataset.add_sample(video_sample(make_video(), labels))
    assert propagate(dataset, "truth", "found", model=network).done == ["clip.mp4"]
    for frame in dataset.first().frames.values():
        assert np.array_equal(frame_masks(frame.found, SIZE)[1], square(16, 32))


@pytest.mark.parametrize(("policy", "corner"), [("all", (40, 60)), ("first", (0, 0))])
def test_later_masks_count_unless_only_the_first_are_wanted(
    dataset: fo.Dataset, make_video: MakeVideo, network: CopyNetwork, policy: str, corner: tuple
) -> None:
    labels = {1: start(square(0, 0)), 5: start(square(40, 60))}
    dataset.add_sample(video_sample(make_video(), labels))
    propagate(dataset, "truth", "found", model=network, policy=policy)
    assert np.array_equal(frame_masks(dataset.first().frames[5].found, SIZE)[1], square(*corner))
    # Of the truth that a dataset was loaded with, every frame would be given away.
    dataset.info["vos"] = {"label_field": "truth"}
    dataset.save()
    propagate(dataset, "truth", "found", model=network, overwrite=True)
    assert np.array_equal(frame_masks(dataset.first().frames[5].found, SIZE)[1], square(0, 0))


@pytest.mark.parametrize("clips", [False, True])
def test_how_objects_compete_for_pixels_can_be_chosen(
    dataset: fo.Dataset,
    make_video: MakeVideo,
    network: CopyNetwork,
    clips: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dataset.add_sample(video_sample(make_video(frames=3), {1: start(square(0, 0))}))
    view, chosen, settle = dataset, [], core_clip.settle
    monkeypatch.setattr(core_clip, "settle", lambda *a: chosen.append(a[-1]) or settle(*a))
    for merge in ("soft", "argmax", "soft"):
        if clips:
            view = dataset.to_clips([[[1, 3]]])
        propagate(view, "truth", f"by_{merge}", model=network, merge=merge, overwrite=True)
        assert set(chosen) <= {merge}  # nothing, where it is kept from before
        assert chosen or merge == "soft"
        chosen.clear()
    made = dataset.get_run_info("propagate_by_soft").config.made
    assert made["settings"]["merge"] == "soft"
    assert tuple(CHOICES["merge"]) == MERGES
    with pytest.raises(HS2SError, match="merge: 'best' is none of argmax, soft"):
        propagate(dataset, "truth", "other", model=network, merge="best")


@pytest.mark.parametrize("clips", [False, True])
def test_objects_can_be_followed_one_way(
    dataset: fo.Dataset, make_video: MakeVideo, network: CopyNetwork, clips: bool
) -> None:
    dataset.add_sample(video_sample(make_video(frames=5), {3: start(square(0, 0))}))
    view = dataset.to_clips([[[1, 5]]]) if clips else dataset
    for direction, numbers in (
        ("forward", [3, 4, 5]),
        ("backward", [1, 2, 3]),
        ("both", [1, 2, 3, 4, 5]),
    ):
        # The second time from what was kept of the first.
        for _ in range(2):
            propagate(view, "truth", "out", model=network, direction=direction, overwrite=True)
            dataset.reload()
            shown = dataset.first().frames
            assert [n for n, f in shown.items() if f.out and f.out.detections] == numbers
    with pytest.raises(HS2SError, match="direction: 'up' is none of both, forward, backward"):
        propagate(dataset, "truth", "other", model=network, direction="up")


@pytest.mark.parametrize("span", [None, (2, 10)])
def test_no_object_is_followed_across_a_cut_where_that_is_asked_for(
    dataset: fo.Dataset, tmp_path: Path, network: CopyNetwork, span: tuple[int, int] | None
) -> None:
    path = tmp_path / "shots.mp4"
    write_shots(path)
    dataset.add_sample(video_sample(str(path), {3: start(square(0, 0))}))
    view = dataset if span is None else dataset.to_clips([[span]])
    first, last = span or (1, 12)
    for cuts, end in (("stop", 6), ("report", last), ("ignore", last)):
        propagate(view, "truth", "out", model=network, cuts=cuts, overwrite=True, progress=False)
        dataset.reload()
        sample = dataset.first()
        shown = [n for n, f in sample.frames.items() if f.out and f.out.detections]
        assert shown == list(range(first, end + 1)), cuts
        told = None if cuts == "ignore" else "another shot begins at frame 7."
        assert sample.out_error == told
    with pytest.raises(HS2SError, match="cuts: 'go' is none of ignore, report, stop"):
        propagate(dataset, "truth", "other", model=network, cuts="go")


def test_prompts_beyond_the_end_are_named(dataset: fo.Dataset, make_video: MakeVideo) -> None:
    dataset.add_sample(video_sample(make_video(frames=5), {9: start(square(0, 0))}))
    refuse(dataset, r"clip\.mp4: a prompt lies on frame 9, but the video has 5 frames")


def test_frame_images_of_another_size_are_named(
    dataset: fo.Dataset, make_video: MakeVideo, tmp_path: Path
) -> None:
    sample = video_sample(make_video(frames=1), {1: start(square(0, 0))})
    cv2.imwrite(str(tmp_path / "1.png"), np.zeros((32, 48, 3), np.uint8))
    sample.frames[1]["filepath"] = str(tmp_path / "1.png")
    dataset.add_sample(sample)
    refuse(dataset, r"clip\.mp4: the frame images .* are 48x32 pixels, but the video .* is 96x64")


def test_missing_frame_images_are_named(
    dataset: fo.Dataset, make_video: MakeVideo, tmp_path: Path
) -> None:
    sample = video_sample(make_video(frames=1), {1: start(square(0, 0))})
    sample.frames[1]["filepath"] = str(tmp_path / "gone.png")
    dataset.add_sample(sample)
    refuse(dataset, r"clip\.mp4: .*gone\.png: no such file")


def test_the_prompt_field_is_never_the_output(videos: fo.Dataset) -> None:
    refuse(videos, "output_field: .* must differ from the prompt field", output="truth")


@pytest.mark.parametrize("output", ["two words", "1st", "a.b", "", "_hidden"])
def test_output_names_are_checked(videos: fo.Dataset, output: str) -> None:
    refuse(videos, "is no field name", output=output)


def test_labels_of_others_are_not_overwritten(videos: fo.Dataset) -> None:
    sample = videos.first()
    sample.frames[2]["theirs"] = start(square(0, 0))
    sample.save()
    refuse(videos, "not made by this operator", output="theirs", overwrite=True)


def test_output_fields_of_another_type_are_refused(videos: fo.Dataset) -> None:
    refuse(videos, "exists and does not hold Detections", output="frame_number")
    lock(videos, "truth")  # it is only read
    propagate(videos, "truth", "out", model=CopyNetwork())
    lock(videos, "out")
    refuse(videos, "'out' is read-only; choose another, or unlock it", output="out", overwrite=True)


def test_unknown_prompt_fields_are_answered_with_the_known(videos: fo.Dataset) -> None:
    refuse(videos, "'masks' is not a frame field .*; expected one of truth", prompt="masks")


def test_weights_are_checked_before_anything_is_written(videos: fo.Dataset) -> None:
    refuse(videos, "no weights file", model="nowhere.safetensors")


def test_invalid_videos_can_be_left_out(videos: fo.Dataset, network: CopyNetwork) -> None:
    Path(videos.first().filepath).unlink()
    summary = propagate(videos, "truth", "found", model=network, skip_invalid=True)
    assert summary.done == ["c.mp4"]
    assert [problem.name for problem in summary.failed] == ["a.mp4", "b.mp4"]
    assert videos.values("found_status") == ["failed", "failed", "done"]
    assert "no such file" in videos.values("found_error")[0]


def frames_with(samples: fo.core.collections.SampleCollection, path: str) -> int:
    """How many frames have labels in a field."""
    return sum(frame[path] is not None for sample in samples for frame in sample.frames.values())


def test_busy_cores_are_left_alone(
    dataset: fo.Dataset, make_video: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Threads that share a core with another program wait for each other."""
    monkeypatch.setattr("hs2s_core.devices.cores", lambda: 4)
    monkeypatch.setattr("hs2s_core.devices._running", lambda: 3.0)
    seen = []

    class Counting(CopyNetwork):
        def encode(self, frame: torch.Tensor) -> torch.Tensor:
            seen.append(torch.get_num_threads())
            return super().encode(frame)

    labels = fo.Detections(detections=[detection(square(8, 8), index=1)])
    dataset.add_sample(video_sample(make_video(), {1: labels}))
    with threads(4):
        propagate(dataset, "truth", "hs2s", model=Counting())
        assert torch.get_num_threads() == 4
    assert set(seen[-3:]) == {1}
