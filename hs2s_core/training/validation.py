"""A method, or a network in training, run over labelled videos and scored frame by frame."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from statistics import fmean

import numpy as np
import numpy.typing as npt

from hs2s_core.data.videos import VosVideo
from hs2s_core.errors import InvalidConfig
from hs2s_core.evaluation.protocol import PROTOCOLS
from hs2s_core.evaluation.table import EvaluationTable, FramePair, evaluate_sequence
from hs2s_core.media.frames import open_frames
from hs2s_core.models.base import VideoSegmenter
from hs2s_core.prompts import PlainPrompts
from hs2s_core.propagation import FrameResult, propagate
from hs2s_core.propagation.network import NetworkEngine
from hs2s_core.training.config import DataConfig, ValidationConfig
from hs2s_core.training.sources import folder_videos, named_splits
from hs2s_core.wording import counted

Method = Callable[[Iterable[npt.NDArray[np.uint8]], PlainPrompts], Iterator[FrameResult]]
"""Frames and prompts in, one result per frame out, as ``propagate`` does."""

UNGROUPED = replace(PROTOCOLS["youtube_vos"], name="youtube_vos_ungrouped", by_seen=False)
"""YouTube-VOS's rule for frames, averaged over all objects: for data without its categories."""


def score_video(method: Method, video: VosVideo, *, frames: int | None = None) -> EvaluationTable:
    """Give each object in the first frame that shows it, propagate, and compare with the truth.

    ``frames`` limits the clip to its first so many. Frames are streamed.
    """
    files = video.frames[:frames]
    prompts = {at: masks for at, masks in video.first_masks().items() if at < len(files)}

    def pairs() -> Iterator[FramePair]:
        for result in method(open_frames(files), prompts):
            truth = video.read_id_map(result.index)
            if truth is not None:
                name = video.frame_names[result.index]
                yield FramePair(result.id_map, truth, result.index, name)

    return evaluate_sequence(video.name, pairs(), UNGROUPED)


class Validation:
    """Scores a model every ``config.every`` steps; videos that allow no score are left out.

    Raises:
        InvalidConfig: none is left.
    """

    def __init__(self, config: ValidationConfig, data: DataConfig) -> None:
        self.config = config
        splits = named_splits(data)
        found = [
            video
            for folder in config.folders
            for video in folder_videos(folder, splits.get("dev_video"))
        ]
        self.videos: list[VosVideo] = [
            video for video in found if _can_be_scored(video, config.frames)
        ]
        if not self.videos:
            raise InvalidConfig(
                f"of {counted(len(found), 'validation video')} none can be scored; expected an "
                f"object in one of the first {config.frames} frames and a later annotated frame "
                "among them. Set [validation] folders and frames to such videos"
            )

    def due(self, step: int, steps: int) -> bool:
        """Whether to score after ``step`` steps of ``steps``."""
        return step % self.config.every == 0 or step == steps

    def score(self, model: VideoSegmenter) -> float:
        """Mean J&F over videos, in [0, 1]; the model's mode is left as it was."""
        training = model.training
        model.eval()
        scores, method = [], scored_whole(model)
        for video in self.videos:
            table = score_video(method, video, frames=self.config.frames)
            overall = table.summary().overall
            if overall is not None:
                scores.append(overall.jf)
        model.train(training)
        return fmean(scores)


def scored_whole(
    model: VideoSegmenter | NetworkEngine, first: int = 0, last: int | None = None
) -> Method:
    """Propagation by ``model`` as it is scored: one that reads ahead sees the whole video.

    ``first`` and ``last`` are the frames that are wanted. The network is prepared once, as it is
    now, for all videos.
    """
    engine = NetworkEngine(model) if isinstance(model, VideoSegmenter) else model
    return partial(
        propagate, engine, chunk=sys.maxsize, direction="forward", first=first, last=last
    )


def _can_be_scored(video: VosVideo, frames: int) -> bool:
    """Whether some object has an annotated frame after its first, within the first ``frames``."""
    annotated = [index for index in video.annotated if index < frames]
    maps = (video.read_id_map(index) for index in annotated[:-1])
    return any(id_map is not None and id_map.any() for id_map in maps)
