"""Going on from trained weights with a handful of labelled videos.

A part of the labels is held out of training: whole videos where there are enough, else the last
labelled frames of each. What was learned is offered whole and half way between the weights before
and after, since such averages lose less of what was known (Wortsman et al., CVPR 2022). Whichever
scores best on the held-out labels is stored, if it beats the start there and does not fall behind
it on the bundled clip, which nobody trains on: that stands for all that must not be forgotten.
"""

from __future__ import annotations

import copy
import platform
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import torch

from hs2s_core.data.clips import LabelledVideo
from hs2s_core.data.folders import open_folder
from hs2s_core.errors import HS2SError, InvalidDataset
from hs2s_core.evaluation.methods import UNGROUPED, score_video
from hs2s_core.evaluation.scores import summarise
from hs2s_core.evaluation.table import EvaluationTable, FramePair, evaluate_sequence
from hs2s_core.jobs import Progress, Steps, require
from hs2s_core.media.frames import FrameSource
from hs2s_core.media.masks import split_objects
from hs2s_core.models.base import VideoSegmenter
from hs2s_core.models.config import LiteConfig
from hs2s_core.own_weights import name_problem, own_folder
from hs2s_core.resources import asset
from hs2s_core.training.config import DataConfig, Stage, TrainingConfig
from hs2s_core.training.curriculum import Schedule
from hs2s_core.training.loop import train_steps
from hs2s_core.training.losses import LOSS_PRESETS
from hs2s_core.training.stopping import Stopped
from hs2s_core.training.validation import scored_whole
from hs2s_core.weights import DEFAULT, find_weights, load_model, read_header, save_weights
from hs2s_core.wording import counted

VIDEOS = 5
"""From so many videos on, every fifth is held out; below, the last quarter of each's labels is."""
FRAMES = 6
"""Frames of a clip, where videos have as many labelled ones."""
LONGEST = 150
"""Frames through which held-out labels are propagated at most, so that scoring takes seconds."""
FORGOTTEN = 0.01
"""J&F that may be lost on the bundled clip."""
SHARES = (1.0, 0.5)
"""How far from the weights before to those after training the candidates lie."""


class TunedVideo(LabelledVideo, Protocol):
    """A labelled video of which all frames can be read, to be propagated through."""

    frames: FrameSource
    indices: Sequence[int]
    """0-based frame of each labelled one, ascending."""


@dataclass(frozen=True)
class TuneSettings:
    """What to make of the labels."""

    name: str
    """Under which the weights are stored and offered."""
    start: str = DEFAULT
    """The weights to go on from: a name or a file."""
    steps: int = 300
    """Training steps, of one clip each; a step takes about as long as propagating 20 frames."""
    learning_rate: float = 1e-4
    """Of AdamW, at its highest."""
    seed: int = 0
    """Decides the clips."""
    overwrite: bool = False
    """Whether weights of that name may be replaced."""


def tuning_problems(settings: TuneSettings) -> dict[str, str]:
    """What is wrong with the settings: parameter -> message."""
    problems = {}
    wrong = name_problem(settings.name, overwrite=settings.overwrite)
    if wrong is not None:
        problems["name"] = wrong
    if settings.steps < 1:
        problems["steps"] = f"{settings.steps} is no number of steps; expected 1 or more"
    try:
        read_header(find_weights(settings.start))
    except HS2SError as error:
        problems["start"] = str(error)
    return problems


@dataclass(frozen=True)
class Tuning:
    """What came of it; scores are J&F in [0, 1]."""

    path: Path | None
    """The weights file; None where nothing was better, and nothing is stored."""
    held_out: str
    """What was scored, in words."""
    before: float
    after: float
    """Of the held-out labels, with the start and with the best that was offered."""
    known_before: float
    known_after: float
    """Of the bundled clip."""
    share: float
    """How far from the start the best lies, in [0, 1]."""
    videos: list[str] = field(default_factory=list)
    """Names of the videos that were trained on."""

    def __str__(self) -> str:
        scores = (
            f"J&F on {self.held_out}: {self.before:.1%} before, {self.after:.1%} after; on the "
            f"bundled clip: {self.known_before:.1%} before, {self.known_after:.1%} after"
        )
        stored = f"stored as {self.path}" if self.path else "nothing was better, nothing is stored"
        return f"{scores}; {stored}"


def tune_steps(
    videos: Iterable[TunedVideo], settings: TuneSettings, device: torch.device
) -> Steps[Tuning]:
    """Train, choose and store, step by step.

    Raises:
        HS2SError: settings that cannot work.
        InvalidDataset: too few labels to train on and to hold out.
    """
    require(tuning_problems(settings))
    parts, held = hold_out_labels(list(videos))
    start = load_model(settings.start, device=str(device))
    yield Progress(0.0, "Scoring what is there")
    before, known = score_held(start, held), _score_known(start)
    best = Tuning(None, _describe(held), before, before, known, known, 0.0)
    kept = start
    with tempfile.TemporaryDirectory() as folder:
        run = train_steps(
            _config(parts, start, settings), Path(folder), device=device, videos=parts
        )
        trained = yield from _trained(run, settings.steps)
    yield Progress(0.9, "Scoring what was learned")
    for share in SHARES:
        model = _between(start, trained, share)
        after, known = score_held(model, held), _score_known(model)
        if after > best.after and known >= best.known_before - FORGOTTEN:
            best, kept = replace(best, after=after, known_after=known, share=share), model
    names = [video.name for video in parts]
    if kept is start:
        return replace(best, videos=names)
    best = replace(best, path=own_folder() / f"{settings.name}.safetensors", videos=names)
    assert best.path is not None
    save_weights(kept, best.path, _card(best, settings, device))
    return best


def _trained(run: Iterator[dict[str, Any]], steps: int) -> Steps[VideoSegmenter]:
    while True:
        try:
            record = next(run)
        except StopIteration as stop:
            model: VideoSegmenter = stop.value
            return model
        except Stopped:
            raise KeyboardInterrupt("stopped, and nothing was stored") from None
        label = f"step {record['step']} of {steps}, loss {record['loss']:.3f}"
        yield Progress(0.05 + 0.85 * record["step"] / steps, label)


# ---------------------------------------------------------------- what is held out


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


def _describe(held: Sequence[Held]) -> str:
    frames = sum(len(each.video) - each.first for each in held)
    videos = counted(len(held), "held-out video" if held[0].first == 1 else "video")
    return f"{counted(frames, 'held-out frame')} of {videos}"


def score_held(model: VideoSegmenter, held: Sequence[Held]) -> float:
    """Mean J&F over videos; those that allow no score are left out.

    Raises InvalidDataset if that leaves none.
    """
    scores = [score for each in held if (score := _score(model, each)) is not None]
    if not scores:
        raise InvalidDataset(
            "the held-out labels show no object that an earlier one shows too; expected objects "
            "that keep their index, or instance, from frame to frame"
        )
    return fmean(scores)


def _score(model: VideoSegmenter, held: Held) -> float | None:
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
    pairs = (
        FramePair(result.id_map, truth[result.index], result.index)
        for result in scored_whole(model, begun, last)(video.frames, prompts)
        if result.index in truth
    )
    rows = evaluate_sequence(video.name, pairs, UNGROUPED).rows
    overall = summarise(rows[rows.records["frame"] >= video.indices[held.first]], UNGROUPED).overall
    return None if overall is None else overall.jf


def _score_known(model: VideoSegmenter) -> float:
    """J&F of the bundled clip."""
    folder = open_folder(asset("demo"))
    tables = [score_video(scored_whole(model), folder.video(name)) for name in folder.names]
    overall = EvaluationTable.join(tables).summary().overall
    assert overall is not None
    return overall.jf


# ---------------------------------------------------------------- training, and what is kept


def _config(
    parts: Sequence[LabelledVideo], start: VideoSegmenter, settings: TuneSettings
) -> TrainingConfig:
    lite = isinstance(start.config, LiteConfig)
    frames = min(FRAMES, max(map(len, parts)))
    return TrainingConfig(
        model=start.config,
        data=DataConfig(workers=0),
        stages=(Stage(settings.steps, start.config.input_size, frames, clips=1),),
        losses=LOSS_PRESETS["lite" if lite else "authors"],
        schedule=Schedule(freeze=0.0),  # so few videos would spoil the norms' statistics
        start=settings.start,
        seed=settings.seed,
        learning_rate=settings.learning_rate,
    )


def _between(start: VideoSegmenter, trained: VideoSegmenter, share: float) -> VideoSegmenter:
    """The network whose weights lie so far on the way from the one to the other."""
    model = copy.deepcopy(start)
    for value, goal in zip(model.parameters(), trained.parameters(), strict=True):
        value.data.lerp_(goal.data, share)
    return model


def _card(tuning: Tuning, settings: TuneSettings, device: torch.device) -> dict[str, Any]:
    start = read_header(find_weights(settings.start)).card
    percent = {
        name: round(100 * getattr(tuning, name), 2)
        for name in ("before", "after", "known_before", "known_after")
    }
    return {
        "name": settings.name,
        "trained": datetime.now(timezone.utc).date().isoformat(),
        "software": f"PyTorch {torch.__version__}, Python {platform.python_version()}",
        "device": str(device),
        "start": start.get("name", settings.start),
        "data": {
            "videos": tuning.videos,
            "note": "the terms of these videos apply, besides those of the data of the start",
            "start": start.get("data"),
        },
        "recipe": {"steps": settings.steps, "learning_rate": settings.learning_rate},
        "tuning": {"held_out": tuning.held_out, "share": tuning.share, "jf": percent},
    }
