"""A dataset is made ready for drawing, and says so where FiftyOne cannot draw."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import fiftyone as fo
import fiftyone.core.annotation.utils as annotation
import pytest

from hs2s_core.errors import HS2SError
from hs2s_fiftyone.drawing import DRAWN, draws_on_videos, prepare_drawing
from hs2s_fiftyone.operators.prepare_drawing import PrepareDrawing
from hs2s_fiftyone.propagation import DEFAULT_OUTPUT, propagate

from .forms import context
from .helpers import CopyNetwork, detection, square, video_sample

needs_drawing = pytest.mark.skipif(
    not draws_on_videos(), reason="FiftyOne before 1.18, whose App draws on no video"
)


@pytest.fixture
def video(dataset: fo.Dataset) -> fo.Dataset:
    """A video with a truth of two classes."""
    labels = [detection(square(0, 0), index=1, label="dog"), detection(square(9, 9), label="cat")]
    dataset.add_sample(video_sample("/nowhere/clip.mp4", {1: fo.Detections(detections=labels)}))
    return dataset


@needs_drawing
def test_the_app_can_draw_where_it_could_not(video: fo.Dataset) -> None:
    assert prepare_drawing(video) == ["cat", "dog"]
    video.reload()
    assert video.get_frame_field_schema()["drawn"].document_type is fo.Detections
    assert "frames.drawn" in video.active_label_schemas
    schema = video.label_schemas["frames.drawn"]
    assert (schema["type"], schema["classes"]) == ("detections", ["cat", "dog"])
    assert video.count("frames.truth.detections") == 2


@needs_drawing
def test_what_a_schema_has_is_kept_unless_other_classes_are_named(video: fo.Dataset) -> None:
    prepare_drawing(video, "frames.mine", ["bird "])
    assert prepare_drawing(video, "mine") == ["bird", "cat", "dog"]
    assert prepare_drawing(video, "mine", ["fish", ""]) == ["fish"]
    assert video.active_label_schemas.count("frames.mine") == 1


@needs_drawing
def test_without_any_label_there_is_one_class(dataset: fo.Dataset) -> None:
    dataset.add_sample(fo.Sample(filepath="/nowhere/clip.mp4"))
    assert prepare_drawing(dataset) == ["object"]


@needs_drawing
def test_fields_of_another_kind_are_refused(video: fo.Dataset) -> None:
    video.add_frame_field("score", fo.FloatField)
    for field, message in (("score", "does not hold Detections"), ("two words", "no field name")):
        with pytest.raises(HS2SError, match=message):
            prepare_drawing(video, field)
    assert not video.label_schemas


def test_images_are_refused() -> None:
    images = fo.Dataset()
    images.add_sample(fo.Sample(filepath="/nowhere/image.png"))
    with pytest.raises(HS2SError, match="video"):
        prepare_drawing(images)
    images.delete()


@pytest.fixture(params=["without label schemas", "with those of samples alone"])
def older(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """FiftyOne before 1.18."""
    if request.param == "without label schemas":
        monkeypatch.delattr(fo.Dataset, "activate_label_schemas")
        return

    def fields(samples: Any, require_app_support: bool = False, flatten: bool = False) -> list[str]:
        return ["tags"]

    monkeypatch.setattr(annotation, "list_valid_annotation_fields", fields)


@pytest.mark.usefixtures("older")
def test_a_fiftyone_that_cannot_draw_on_videos_is_named(video: fo.Dataset) -> None:
    with pytest.raises(HS2SError, match=rf"{fo.__version__}.*cannot draw masks on videos"):
        prepare_drawing(video)
    assert not video.has_frame_field("drawn")
    shown = PrepareDrawing().resolve_input(context(video)).type.properties
    assert "cannot draw" in shown["field"].error_message


@pytest.mark.usefixtures("older")
def test_it_propagates_all_the_same(
    dataset: fo.Dataset, make_video: Callable[..., str], network: CopyNetwork
) -> None:
    label = fo.Detections(detections=[detection(square(8, 8), index=1)])
    dataset.add_sample(video_sample(make_video(frames=3), {1: label}))
    assert propagate(dataset, "truth", model=network, progress=False).done == ["clip.mp4"]
    assert dataset.count("frames.hs2s.detections") == 3


@needs_drawing
def test_the_form_offers_the_known_classes(video: fo.Dataset) -> None:
    def form(**params: str) -> dict[str, Any]:
        return dict(PrepareDrawing().resolve_input(context(video, **params)).type.properties)

    assert form()["classes"].default == "cat, dog"
    assert not form()["field"].invalid
    assert "no field name" in form(field="two words")["field"].error_message
    prepare_drawing(video, "drawn", ["bird"])
    assert form()["classes"].default == "bird", "what it has, and no more"


@needs_drawing
def test_the_operator_prepares_with_and_without_a_form(video: fo.Dataset) -> None:
    assert PrepareDrawing().execute(context(video))["classes"] == "cat, dog"
    result = PrepareDrawing().execute(context(video, field="frames.mine", classes="cat, bird"))
    assert (result["field"], result["classes"]) == ("frames.mine", "cat, bird")
    assert PrepareDrawing()(video, "mine") == ["cat", "bird", "dog"]


@needs_drawing
def test_an_open_video_can_show_the_first_result(
    dataset: fo.Dataset, make_video: Callable[..., str], network: CopyNetwork
) -> None:
    """FiftyOne shows no field in it that is added while it is open."""
    label = fo.Detections(detections=[detection(square(8, 8), index=1, label="cat")])
    dataset.add_sample(video_sample(make_video(frames=3), {1: label}))
    PrepareDrawing().execute(context(dataset, field="to_draw"))
    assert not dataset.has_frame_field(DEFAULT_OUTPUT), "what is drawn would go to it"
    PrepareDrawing().execute(context(dataset))
    assert dataset.label_schemas["frames.hs2s"]["classes"] == ["cat"]
    known = fields(dataset)
    propagate(dataset, "truth", model=network, progress=False)
    assert fields(dataset) == known


def fields(dataset: fo.Dataset) -> set[str]:
    """The fields of samples and frames, and those of their labels."""
    dataset.reload()
    return {*dataset.get_field_schema(flat=True), *dataset.get_frame_field_schema(flat=True)}


@needs_drawing
def test_the_app_draws_only_where_the_number_of_frames_is_known(
    dataset: fo.Dataset, make_video: Callable[..., str]
) -> None:
    dataset.add_samples([fo.Sample(filepath=make_video(frames=5)), fo.Sample("/nowhere/clip.mp4")])
    result = PrepareDrawing().execute(context(dataset))
    assert result["unknown"] == 1
    assert dataset.values("metadata.total_frame_count") == [5, None]


@needs_drawing
def test_a_result_offers_the_classes_that_can_be_drawn(
    dataset: fo.Dataset, make_video: Callable[..., str], network: CopyNetwork
) -> None:
    drawn = detection(square(8, 8), instance=fo.Instance(), label="dog")
    frames = {1: fo.Detections(detections=[drawn])}
    dataset.add_sample(video_sample(make_video(frames=3), frames, field=DRAWN))
    prepare_drawing(dataset, classes="dog, cat")
    propagate(dataset, DRAWN, model=network, progress=False)
    assert dataset.label_schemas["frames.hs2s"]["classes"] == ["dog", "cat"]


@needs_drawing
def test_the_form_takes_classes_away_too_but_those_of_labels(video: fo.Dataset) -> None:
    video.add_frame_field("drawn", fo.EmbeddedDocumentField, embedded_doc_type=fo.Detections)
    sample = video.first()
    sample.frames[1]["drawn"] = fo.Detections(detections=[detection(square(0, 0), label="dog")])
    sample.save()
    result = PrepareDrawing().execute(context(video, classes="dog, car;, cat"))
    assert result["classes"] == "dog, car;, cat"
    assert PrepareDrawing().execute(context(video))["classes"] == "dog, car;, cat", "as it shows"
    assert PrepareDrawing().execute(context(video, classes="car"))["classes"] == "car, dog"
