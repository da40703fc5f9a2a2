"""Labels that people put right in an output field: told apart, kept, and followed from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import fiftyone as fo
import numpy as np
import pytest

from hs2s_core.errors import HS2SError
from hs2s_fiftyone.propagation import propagate

from ..helpers import SIZE, CopyNetwork, detection, frame_masks, square, video_sample

A, B, C = square(0, 0), square(20, 20), square(40, 60)


@pytest.fixture
def clip(dataset: fo.Dataset, make_video: Callable[..., str], network: CopyNetwork) -> fo.Dataset:
    """A propagated video of nine frames with two objects, given in the first."""
    given = [detection(A, index=1, label="cat"), detection(C, index=2, label="dog")]
    frames = {1: fo.Detections(detections=given)}
    dataset.add_sample(video_sample(make_video(frames=9), frames))
    again(dataset)
    return dataset


def again(dataset: fo.Dataset, **options: object) -> None:
    """Propagate once more, over what is there."""
    network = options.pop("model", None) or CopyNetwork()
    summary = propagate(dataset, "truth", "found", model=network, overwrite=True, **options)
    assert not summary.failed, summary


def labels(dataset: fo.Dataset, number: int) -> dict[int, fo.Detection]:
    dataset.clear_cache()  # what runs write goes past it
    return {made.index: made for made in dataset.first().frames[number].found.detections}


def edit(dataset: fo.Dataset, number: int, mask: np.ndarray, index: int = 1) -> None:
    """Give a label another mask, as the App does: its other attributes stay."""
    sample = dataset.first()
    for label in sample.frames[number].found.detections:
        if label.index == index:
            drawn = detection(mask)
            label.mask, label.bounding_box = drawn.mask, drawn.bounding_box
    sample.save()


def draw(dataset: fo.Dataset, number: int, mask: np.ndarray, **fields: object) -> None:
    """Add a label, as a person does who draws one anew."""
    sample = dataset.first()
    sample.frames[number].found.detections.append(detection(mask, **fields))
    sample.save()


def masks(dataset: fo.Dataset, number: int) -> dict[int, np.ndarray]:
    dataset.clear_cache()  # what runs write goes past it
    return frame_masks(dataset.first().frames[number].found, SIZE)


def test_what_a_run_wrote_is_no_correction(clip: fo.Dataset) -> None:
    before = clip.first().frames[5].found.to_dict()
    sample = clip.first()
    sample.frames[5].found.detections[0].tags = ["seen"]  # written anew, and still the run's
    sample.save()
    again(clip)
    found = labels(clip, 5)
    assert [label.corrected for label in found.values()] == [False, False]
    assert found[1].id not in {label["_id"] for label in before["detections"]}
    assert all(len(masks(clip, number)) == 2 for number in range(1, 10))


def test_masks_that_are_moved_to_files_are_no_corrections(clip: fo.Dataset, tmp_path: Path) -> None:
    """FiftyOne's own call keeps masks out of the database; what one draws then goes there again."""
    sample = clip.first()
    for number in range(1, 10):
        for label in sample.frames[number].found.detections:
            label.export_mask(str(tmp_path / f"{label.id}.png"), update=True)
    sample.save()
    edit(clip, 6, B)
    again(clip)
    corrected = {n for n in range(1, 10) if any(x.corrected for x in labels(clip, n).values())}
    assert corrected == {6}
    assert np.array_equal(masks(clip, 6)[1], B)


def test_an_edited_mask_is_kept_and_followed_both_ways(clip: fo.Dataset) -> None:
    edit(clip, 6, B)
    edited = labels(clip, 6)[1]
    for _ in range(2):  # the second run finds what the first one marked
        again(clip)
        kept = labels(clip, 6)[1]
        assert (kept.id, kept.label, kept.instance) == (edited.id, "cat", edited.instance)
        assert kept.corrected
        assert not labels(clip, 6)[2].corrected
        assert np.array_equal(kept.mask, edited.mask)
        assert kept.bounding_box == edited.bounding_box
        assert np.array_equal(masks(clip, 1)[1], A)
        assert all(np.array_equal(masks(clip, number)[1], B) for number in (6, 7, 8, 9))
        assert all(np.array_equal(masks(clip, number)[2], C) for number in range(1, 10))
        assert clip.count_values("frames.found.detections.corrected")[True] == 1


@pytest.mark.parametrize("overwrite", [False, True])
def test_no_choice_replaces_a_correction(
    clip: fo.Dataset, overwrite: bool, network: CopyNetwork
) -> None:
    edit(clip, 4, B)
    propagate(clip, "truth", "found", model=network, overwrite=overwrite)
    assert np.array_equal(masks(clip, 4)[1], B)


def test_a_correction_counts_above_the_prompt_of_the_same_frame(clip: fo.Dataset) -> None:
    edit(clip, 1, B)
    again(clip)
    assert all(np.array_equal(masks(clip, number)[1], B) for number in range(1, 10))
    (given,) = [label for label in clip.first().frames[1].truth.detections if label.index == 1]
    assert np.array_equal(frame_masks(fo.Detections(detections=[given]), SIZE)[1], A)


def test_a_correction_counts_where_only_first_masks_do(clip: fo.Dataset) -> None:
    edit(clip, 5, B)
    again(clip, policy="first")
    assert np.array_equal(masks(clip, 9)[1], B)


def test_corrections_alone_are_enough(clip: fo.Dataset) -> None:
    edit(clip, 5, B)
    clip.clear_frame_field("truth")
    again(clip)
    assert all(list(masks(clip, number)) == [1] for number in (1, 5, 9))


def test_boxes_and_copies_that_the_app_adds_are_no_corrections(clip: fo.Dataset) -> None:
    """It gives the label that is drawn a new instance, and later frames its box."""
    new = fo.Instance()
    draw(clip, 3, B, label="bird", instance=new, keyframe=True)
    sample = clip.first()
    box = sample.frames[3].found.detections[-1].bounding_box
    for number in range(4, 10):
        copy = fo.Detection(label="bird", bounding_box=box, instance=new, keyframe=False)
        sample.frames[number].found.detections.append(copy)
    # As after the key K: the App moves what is there to the box of the key frame.
    for number in range(5, 10):
        moved = sample.frames[number].found.detections[0]
        moved.bounding_box, moved["keyframe"] = box, False
    sample.save()
    again(clip)
    for number in range(1, 10):
        found = labels(clip, number)
        assert sorted(found) == [1, 2, 3]
        assert {index for index, label in found.items() if label.corrected} == (
            {3} if number == 3 else set()
        )
        assert np.array_equal(masks(clip, number)[1], A)
        assert np.array_equal(masks(clip, number)[3], B)
        assert found[3].instance == new


def test_a_mask_marked_as_a_key_frame_is_followed(clip: fo.Dataset) -> None:
    sample = clip.first()
    sample.frames[5].found.detections[0]["keyframe"] = True
    sample.save()
    again(clip)
    assert labels(clip, 5)[1].corrected


def test_an_edit_of_a_copy_is_no_copy(clip: fo.Dataset) -> None:
    sample = clip.first()
    sample.frames[5].found.detections[0]["keyframe"] = False
    sample.save()
    larger = square(20, 20, 20)
    edit(clip, 5, larger)
    again(clip)
    assert np.array_equal(masks(clip, 9)[1], larger)


def test_a_mask_drawn_anew_is_of_the_only_object_of_its_class_that_is_not_seen(
    clip: fo.Dataset,
) -> None:
    sample = clip.first()
    sample.frames[5].found.detections = [
        label for label in sample.frames[5].found.detections if label.index != 1
    ]
    sample.save()
    draw(clip, 5, B, label="cat", instance=fo.Instance(), keyframe=True)
    draw(clip, 5, square(0, 60), label="dog", instance=fo.Instance(), keyframe=True)
    again(clip)
    found = labels(clip, 5)
    assert sorted(found) == [1, 2, 3]  # the dog of this frame is another than the one seen
    assert found[1].instance == labels(clip, 1)[1].instance
    assert np.array_equal(masks(clip, 9)[1], B)
    assert all(sorted(masks(clip, number)) == [1, 2, 3] for number in (1, 9))


def test_what_is_said_of_objects_by_index_is_taken(clip: fo.Dataset) -> None:
    """A script copies a label of the truth: of its index, without or with another instance."""
    draw(clip, 5, B, label="horse", index=2, instance=fo.Instance())
    again(clip)
    assert np.array_equal(masks(clip, 9)[2], B)
    assert sorted(labels(clip, 5)) == [1, 2]


def test_empty_masks_stay_but_nothing_is_followed_from_them(clip: fo.Dataset) -> None:
    sample = clip.first()
    label = sample.frames[5].found.detections[0]
    label.mask = np.zeros_like(label.mask)
    sample.save()
    again(clip)
    assert not labels(clip, 5)[1].mask.any()
    assert np.array_equal(masks(clip, 6)[1], A)


def test_bad_corrections_are_named_before_anything_is_written(clip: fo.Dataset) -> None:
    sample = clip.first()
    sample.frames[5].found.detections[0].mask = np.full((4, 4), -1.0)
    sample.save()
    with pytest.raises(HS2SError, match=r"clip\.mp4: object 1 in frame 5 of 'found'"):
        again(clip)


def test_an_edit_while_a_run_is_at_it_is_not_lost(clip: fo.Dataset) -> None:
    class Editing(CopyNetwork):
        def encode(self, frame):  # type: ignore[no-untyped-def]
            edit(clip, 7, B)
            return super().encode(frame)

    options = {"model": Editing(), "overwrite": True}
    (problem,) = propagate(clip, "truth", "found", **options).failed
    assert "were changed while it ran" in problem.reason
    assert np.array_equal(masks(clip, 7)[1], B)
    assert np.array_equal(masks(clip, 9)[1], A)
    again(clip)
    assert np.array_equal(masks(clip, 9)[1], B)


def test_labels_of_versions_that_signed_nothing_are_replaced(clip: fo.Dataset) -> None:
    field = "found.detections.$[].digest"
    clip._frame_collection.update_many({"found": {"$ne": None}}, {"$unset": {field: ""}})
    edit(clip, 5, B)
    again(clip)
    assert np.array_equal(masks(clip, 5)[1], A)


def test_runs_agree_on_instances(clip: fo.Dataset) -> None:
    """Else a correction would show another object when prompts have only an index."""
    before = labels(clip, 1)[1].instance
    again(clip)
    assert labels(clip, 9)[1].instance == before


def test_what_tells_of_trouble_is_stored(clip: fo.Dataset) -> None:
    edit(clip, 7, B)
    again(clip)
    far = labels(clip, 3)[1]
    assert far.distance == 2
    assert 0 < far.disagreement <= 1
    assert labels(clip, 9)[1].disagreement is None
    assert labels(clip, 1)[2].distance == 0
    assert labels(clip, 7)[1].distance == 0


@pytest.fixture
def untouched(dataset: fo.Dataset, make_video: Callable[..., str]) -> fo.Dataset:
    """A video of five frames without a prompt; the output field is that of a run over others."""
    dataset.add_sample(video_sample(make_video(frames=5), {}))
    for name in ("truth", "found"):
        dataset.add_frame_field(name, fo.EmbeddedDocumentField, embedded_doc_type=fo.Detections)
    dataset.add_sample_field("found_status", fo.StringField)
    return dataset


def put(dataset: fo.Dataset, number: int, *drawn: fo.Detection) -> None:
    sample = dataset.first()
    sample.frames[number]["found"] = fo.Detections(detections=list(drawn))
    sample.save()


@pytest.mark.parametrize("tool", ["brush", "pen"])
def test_what_is_drawn_in_the_output_field_is_followed(
    untouched: fo.Dataset, network: CopyNetwork, tool: str
) -> None:
    """As the Annotate tab does where the field of the prompts is hidden."""
    cat = fo.Instance()
    said = {"keyframe": True} if tool == "brush" else {}
    put(untouched, 2, detection(A, label="cat", instance=cat, **said))
    for number in (3, 4, 5):
        box = fo.Detection(bounding_box=[0, 0, 0.2, 0.2], label="cat", instance=cat, keyframe=False)
        put(untouched, number, box)
    summary = propagate(untouched, "truth", "found", model=network)
    assert summary.done == ["clip.mp4"]
    assert "Masks changed" not in str(summary), "there were none before"
    assert all(np.array_equal(masks(untouched, number)[1], A) for number in range(1, 6))
    assert [labels(untouched, number)[1].corrected for number in (1, 2, 3)] == [False, True, False]
    assert propagate(untouched, "truth", "found", model=network).skipped == 1


def test_labels_of_others_in_the_output_field_are_no_drawings(
    untouched: fo.Dataset, network: CopyNetwork
) -> None:
    """Of another model, of which one was touched in the App."""
    put(untouched, 1, detection(A, label="cat", index=1, keyframe=True))
    put(untouched, 2, detection(A, label="cat", index=1))
    assert propagate(untouched, "truth", "found", model=network).skipped == 1
    with pytest.raises(HS2SError, match="were not made by this operator"):
        propagate(untouched, "truth", "found", model=network, overwrite=True)
