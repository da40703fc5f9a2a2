"""A FiftyOne view as training data."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import fiftyone as fo
import numpy as np
import pytest
import torch

from hs2s_core.data.clips import ClipSet
from hs2s_core.errors import InvalidDataset
from hs2s_core.models import build_model
from hs2s_core.models.presets import preset
from hs2s_core.training.config import DataConfig, Stage, TrainingConfig
from hs2s_core.training.loop import train
from hs2s_core.training.losses import LOSS_PRESETS
from hs2s_fiftyone.training import labelled_videos

from ..threads import threads
from .helpers import SIZE, detection, square, video_sample


@pytest.fixture
def labelled(dataset: fo.Dataset, make_video: Callable[..., str]) -> fo.Dataset:
    """One video with labels on frames 1, 2, 4 (empty) and 5; another with labels on one frame.

    In frame 6 of the first, nothing tells of which object a label is.
    """
    first = {
        1: fo.Detections(detections=[detection(square(5, 5), label="a", index=3)]),
        2: fo.Detections(detections=[detection(square(6, 8), label="a", index=3)]),
        4: fo.Detections(),
        5: fo.Detections(
            detections=[
                detection(square(8, 20), label="a", index=3),
                detection(square(40, 60), label="b", index=7),
            ]
        ),
        6: fo.Detections(
            detections=[
                detection(square(8, 20), label="a", index=3),
                detection(square(1, 60), label="c"),
            ]
        ),
    }
    only = {2: fo.Detections(detections=[detection(square(5, 5), label="a", index=1)])}
    dataset.add_samples(
        [
            video_sample(make_video("one.mp4"), first),
            video_sample(make_video("two.mp4"), only),
        ]
    )
    return dataset


def test_labels_become_id_maps(labelled: fo.Dataset) -> None:
    (video,) = labelled_videos(labelled, "frames.truth")
    assert video.name == "one"
    # In the sixth frame it would be learnt that an object is none.
    assert list(video.indices) == [0, 1, 3, 4]
    assert (video.id_map(0) == 3 * square(5, 5)).all()
    assert not video.id_map(2).any()
    assert set(np.unique(video.id_map(3))) == {0, 3, 7}
    assert video.frame(3).shape == (*SIZE, 3)


def test_clips_can_be_drawn(labelled: fo.Dataset) -> None:
    clips = ClipSet(list(labelled_videos(labelled, "truth")))
    clip = clips.draw(np.random.default_rng(0), (64, 80), 3)
    assert clip.frames.shape == (3, 64, 80, 3)
    assert clip.id_maps.shape == (3, 64, 80)


def test_other_fields_are_refused(labelled: fo.Dataset) -> None:
    with pytest.raises(InvalidDataset, match="expected one of truth"):
        list(labelled_videos(labelled, "frames.nothing"))


@pytest.mark.parametrize("workers", [0, 1])
def test_a_view_can_be_trained_on(labelled: fo.Dataset, tmp_path: Path, workers: int) -> None:
    """Three steps on a view alone, in this process and with a worker that reads the clips."""
    view = labelled.match(fo.ViewField("frames").length() > 1)
    config = TrainingConfig(
        model=replace(preset("hs2s-lite"), encoder="small", width=16, input_size=SIZE),
        data=DataConfig(workers=workers),
        stages=(Stage(steps=3, size=SIZE, frames=3, clips=2),),
        losses=LOSS_PRESETS["lite"],
    )
    with threads(1):
        torch.manual_seed(config.seed)
        start = build_model(config.model)
        model = train(config, tmp_path, videos=labelled_videos(view, "frames.truth"))
    records = [json.loads(line) for line in (tmp_path / "log.jsonl").open()]
    assert [record["step"] for record in records] == [1, 2, 3]
    assert all(np.isfinite(record["loss"]) for record in records)
    moved = [
        not torch.equal(a, b) for a, b in zip(start.parameters(), model.parameters(), strict=True)
    ]
    assert sum(moved) > 0.9 * len(moved)
