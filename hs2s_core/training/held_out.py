"""What is held out of a handful of labelled videos, and how well a network does there."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from functools import partial
from statistics import fmean
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from hs2s_core.data.clips import LabelledVideo
from hs2s_core.data.folders import open_folder
from hs2s_core.errors import InvalidDataset
from hs2s_core.evaluation.scores import summarise
from hs2s_core.evaluation.table import EvaluationTable, FramePair, evaluate_sequence
from hs2s_core.jobs import retold
from hs2s_core.media.frames import FrameSource
from hs2s_core.media.masks import split_objects
from hs2s_core.propagation.network import NetworkEngine
from hs2s_core.resources import asset
from hs2s_core.training.validation import UNGROUPED, score_video, scored_whole
from hs2s_core.wording import counted

Value = TypeVar("Value")
Scoring = Generator[float, None, Value]
"""Scoring that yields, frame by frame, the share of it that is done."""
VIDEOS = 5
"""From so many videos on, every fifth is held out; below, the last quarter of each's labels is."""
LONGEST = 150
"""Frames through which held-out labels are propagated at most, so that scoring takes seconds."""


class TunedVideo(LabelledVideo, Protocol):
    """A labelled video of which all frames can be read, to be propagated through."""

    frames: FrameSource
    indices: Sequence[int]
    """0-based frame of each labelled one, ascending."""


class Held(NamedTuple):
    """Labels that are scored: propagated from labelled frame ``start`` on, from ``first`` on."""

    video: TunedVideo
    start: int
    first: int


class _Beginning:
    """The first labelled frames of a video."""

    def __init__(self, video: LabelledVideo, length: int) -> None:
        self.name, self.video, self.length = video.name, video, length

    def __len__(self) -> int:
        return self.length

    def frame(self, index: int) -> npt.NDArray[np.uint8]:
        return self.video.frame(index)

    def id_map(self, index: int) -> npt.NDArray[Any]:
        return self.video.id_map(index)


def fewest_labels(lengths: Iterable[int]) -> int:
    """How many labelled frames a video needs to be taken, among videos that have so many."""
    return 2 if sum(length >= 2 for length in lengths) >= VIDEOS else 3


def hold_out_labels(videos: Sequence[TunedVideo]) -> tuple[list[LabelledVideo], list[Held]]:
    """What to train on and what to score on; the same for the same videos in the same order."""
    if len(videos) >= VIDEOS:
        kept: list[LabelledVideo] = [v for i, v in enumerate(videos) if i % VIDEOS != VIDEOS - 1]
        return kept, [Held(video, 0, 1) for video in videos[VIDEOS - 1 :: VIDEOS]]
    parts: list[LabelledVideo] = []
    held = []
    for video in videos:
        first = len(video) - max(1, len(video) // 4)
        if first >= 2:
            parts.append(_Beginning(video, first))
            near = (i for i in range(first) if video.indices[-1] - video.indices[i] <= LONGEST)
            held.append(Held(video, next(near, first - 1), first))
    if not parts:
        most = max(map(len, videos), default=0)
        raise InvalidDataset(
            f"{counted(len(videos), 'video')} with {most} labelled frames at the most are too few "
            "to train on and to score on; expected three labelled frames in one video. Correct "
            "some more frames, and say so in others by labelling them"
        )
    return parts, held


def describe(held: Sequence[Held]) -> str:
    """In words."""
    frames = sum(len(each.video) - each.first for each in held)
    videos = counted(len(held), "held-out video" if held[0].first == 1 else "video")
    return f"{counted(frames, 'held-out frame')} of {videos}"


def score_held(engine: NetworkEngine, held: Sequence[Held]) -> Scoring[float]:
    """Mean J&F over videos; those that allow no score are left out.

    Raises InvalidDataset if that leaves none.
    """
    scores = []
    for place, each in enumerate(held):
        share = partial(_share, place, len(held))
        score = yield from retold(_score(engine, each), share)
        if score is not None:
            scores.append(score)
    if not scores:
        raise InvalidDataset(
            "the held-out labels show no object that an earlier one shows too; expected objects "
            "that keep their index, or instance, from frame to frame"
        )
    return fmean(scores)


def _share(place: int, count: int, of_one: float) -> float:
    """What is done of all, when ``of_one`` is of the one at ``place``."""
    return (place + of_one) / count


def _score(engine: NetworkEngine, held: Held) -> Scoring[float | None]:
    """J&F of the labels that count; each object is given where it is first labelled."""
    video = held.video
    truth: dict[int, npt.NDArray[Any]] = {}
    prompts: dict[int, dict[int, npt.NDArray[np.bool_]]] = {}
    known: set[int] = set()
    for place in range(held.start, len(video)):
        index = video.indices[place]
        if index - video.indices[held.start] > LONGEST and place > held.first:
            break
        truth[index] = video.id_map(place)
        new = {key: mask for key, mask in split_objects(truth[index]).items() if key not in known}
        if new:
            prompts[index] = new
            known |= new.keys()
    last = max(truth)
    if not prompts or min(prompts) == last:
        return None
    begun = min(prompts)
    pairs = []
    for result in scored_whole(engine, begun, last)(video.frames, prompts):
        if result.index in truth:
            pairs.append(FramePair(result.id_map, truth[result.index], result.index))
        yield (result.index - begun) / (last - begun)
    rows = evaluate_sequence(video.name, pairs, UNGROUPED).rows
    overall = summarise(rows[rows.records["frame"] >= video.indices[held.first]], UNGROUPED).overall
    return None if overall is None else overall.jf


def score_known(engine: NetworkEngine) -> float:
    """J&F of the bundled clip."""
    folder, method = open_folder(asset("demo")), scored_whole(engine)
    tables = [score_video(method, folder.video(name)) for name in folder.names]
    overall = EvaluationTable.join(tables).summary().overall
    assert overall is not None
    return overall.jf
