"""HS2S-lite of FiftyOne's model zoo: registered from an address, loaded by its name, applied."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fiftyone as fo
import fiftyone.operators as foo
import fiftyone.zoo as foz
import numpy as np
import pytest
from fiftyone import ViewField as F
from fiftyone.core.collections import SampleCollection
from fiftyone.operators.executor import Executor

from hs2s_core.errors import HS2SError
from hs2s_fiftyone import propagate
from hs2s_fiftyone.zoo_model import ZooModel

from .clone import served_clone
from .helpers import detection, square, video_sample


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ZooModel:
    zoo = Path(fo.config.model_zoo_dir, "hs2s")
    shutil.rmtree(zoo, ignore_errors=True)
    with served_clone(tmp_path_factory.mktemp("clone") / "served") as url:
        foz.register_zoo_model_source(url)
    assert sorted(path.name for path in zoo.iterdir()) == ["__init__.py", "manifest.json"]
    loaded: ZooModel = foz.load_zoo_model("hs2s-lite", device="cpu", speed="exact")
    return loaded


@pytest.fixture
def dataset(dataset: fo.Dataset, make_video: Callable[..., str]) -> fo.Dataset:
    labels = [detection(square(8, 8 + 30 * i), index=i + 1, label=f"dog {i}") for i in range(2)]
    dataset.add_sample(video_sample(make_video(frames=3), {2: fo.Detections(detections=labels)}))
    return dataset


def test_it_gives_the_masks_of_the_operator(model: ZooModel, dataset: fo.Dataset) -> None:
    apply(model, dataset)
    propagate(dataset, "truth", "own", model="hs2s-lite", device="cpu", speed="exact")
    frames = dataset.first().frames
    given = {each.label: each for each in frames[2].truth.detections}
    for number in (1, 2, 3):
        # Where nothing is found, the model has to give an empty label, and the operator gives none.
        operators = frames[number].own or fo.Detections()
        for zoo, own in zip(frames[number].zoo.detections, operators.detections, strict=True):
            assert np.array_equal(zoo.mask, own.mask)
            assert zoo.confidence == own.confidence
            assert (zoo.index, zoo.label) == (own.index, own.label)
            assert zoo.index == given[zoo.label].index
    assert len(frames[2].zoo.detections) == 2


def test_a_views_filter_chooses_the_objects(model: ZooModel, dataset: fo.Dataset) -> None:
    apply(model, dataset.filter_labels("frames.truth", F("index") == 2))
    assert dataset.distinct("frames.zoo.detections.index") == [2]


def test_what_an_earlier_run_found_does_not_stay(model: ZooModel, dataset: fo.Dataset) -> None:
    sample = dataset.first()
    sample.frames[1]["zoo"] = fo.Detections(detections=[detection(square(0, 0), index=9)])
    sample.save()
    apply(model, dataset)
    assert dataset.distinct("frames.zoo.detections.index") == [1, 2]


def test_a_video_without_masks_is_said_and_leaves_the_others(
    model: ZooModel, dataset: fo.Dataset, caplog: pytest.LogCaptureFixture
) -> None:
    first = dataset.first()
    dataset.add_sample(fo.Sample(shutil.copy(first.filepath, f"{first.filepath}.mp4")))
    apply(model, dataset.sort_by("id", reverse=True), skip_failures=True)
    assert "no prompt mask: no frame has labels in 'truth'" in caplog.text
    assert dataset.values(F("frames").filter(F("zoo") != None).length()) == [3, 0]  # noqa: E711


def test_what_is_missing_or_wrong_is_said(model: ZooModel, dataset: fo.Dataset) -> None:
    with pytest.raises(HS2SError, match=r"prompt_field='frames\.objects'"):
        dataset.apply_model(model, label_field="zoo", skip_failures=False)
    with pytest.raises(HS2SError, match="policy is 'some'; expected one of auto, all, first"):
        foz.load_zoo_model("hs2s-lite", policy="some")


def test_its_form_has_what_it_takes(model: ZooModel, dataset: fo.Dataset) -> None:
    context = foo.ExecutionContext(
        request_params={"dataset_name": dataset.name, "params": {}}, executor=Executor()
    )
    form = foz.get_zoo_model("hs2s-lite").resolve_input(context)
    assert list(form.type.properties) == ["device", "speed", "policy"]


def apply(model: ZooModel, samples: SampleCollection, **settings: Any) -> None:
    settings = {"skip_failures": False, **settings}
    samples.apply_model(model, label_field="zoo", prompt_field="frames.truth", **settings)
