"""J&F of a model in training, on labelled videos it is not trained on."""

from __future__ import annotations

import json
from functools import partial
from statistics import fmean

from hs2s_core.data.videos import VosVideo
from hs2s_core.evaluation.methods import score_video
from hs2s_core.models.base import VideoSegmenter
from hs2s_core.propagation import propagate
from hs2s_core.training.config import DataConfig, ValidationConfig
from hs2s_core.training.sources import folder_videos


class Validation:
    """Scores a model every ``config.every`` steps."""

    def __init__(self, config: ValidationConfig, data: DataConfig) -> None:
        self.config = config
        splits = json.loads(data.splits.read_text()) if data.splits else {}
        self.videos: list[VosVideo] = [
            video
            for folder in config.folders
            for video in folder_videos(folder, splits.get("dev_video"))
        ]

    def due(self, step: int, steps: int) -> bool:
        """Whether to score after ``step`` steps of ``steps``."""
        return step % self.config.every == 0 or step == steps

    def score(self, model: VideoSegmenter) -> float:
        """Mean J&F over videos, in [0, 1]; the model's mode is left as it was."""
        training = model.training
        model.eval()
        scores = []
        for video in self.videos:
            table = score_video(partial(propagate, model), video, frames=self.config.frames)
            overall = table.summary().overall
            if overall is not None:
                scores.append(overall.jf)
        model.train(training)
        return fmean(scores)
