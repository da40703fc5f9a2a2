"""Fields are added all at once, and may be empty."""

from __future__ import annotations

import fiftyone as fo

from hs2s_fiftyone.labels.frame_fields import add_fields


def test_fields_may_be_empty_and_what_is_there_stays(dataset: fo.Dataset) -> None:
    dataset.media_type = "video"
    dataset.add_sample_field("score", fo.FloatField, description="of somebody")
    samples = {"score": fo.FloatField(description="ours"), "names": fo.ListField(fo.StringField())}
    frames = {"made": fo.EmbeddedDocumentField(fo.Detections), "note": fo.StringField()}
    add_fields(dataset, samples, frames)
    add_fields(dataset, frames={"made.detections.sure": fo.FloatField()})
    assert dataset.get_field("score").description == "of somebody"
    assert isinstance(dataset.get_field("names").field, fo.StringField)
    assert dataset.get_field("frames.made").document_type is fo.Detections
    dataset.add_sample(fo.Sample(filepath="clip.mp4"))
    # In the session that made the fields, without a value of any.
    sample = dataset.first()
    sample.frames[1] = fo.Frame(made=fo.Detections(detections=[fo.Detection(label="a")]))
    sample.save()
    assert isinstance(dataset.get_field("frames.made.detections.sure"), fo.FloatField)
    assert dataset.first().frames[1].made.detections[0].label == "a"
