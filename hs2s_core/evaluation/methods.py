"""Run a method over a labelled video and score what it says, frame by frame."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from hs2s_core.data.videos import VosVideo
from hs2s_core.evaluation.protocol import PROTOCOLS
from hs2s_core.evaluation.table import EvaluationTable, FramePair, evaluate_sequence
from hs2s_core.media.frames import open_frames
from hs2s_core.prompts import PlainPrompts
from hs2s_core.propagation.propagator import FrameResult

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
