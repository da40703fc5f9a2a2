"""Going on from trained weights with a handful of labelled videos.

A part of the labels is held out of training: whole videos where there are enough, else the last
labelled frames of each. What was learned is tried whole, and half and a quarter of the way from
the weights before to those after, since such averages lose less of what was known (Wortsman et al.,
CVPR 2022). The one nearest the start is stored of those that do about as well as the best on the
held-out labels, if it beats the start there and does not fall behind it on the bundled clip, which
nobody trains on: that stands for all that must not be forgotten.
"""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from hs2s_core.data.clips import LabelledVideo
from hs2s_core.errors import HS2SError, InvalidConfig
from hs2s_core.jobs import Progress, Steps, require, retold
from hs2s_core.jobs.stopping import Stopped
from hs2s_core.models.base import VideoSegmenter
from hs2s_core.models.config import LiteConfig
from hs2s_core.models.presets import PRESETS
from hs2s_core.own_weights import name_problem, own_folder
from hs2s_core.propagation.network import NetworkEngine
from hs2s_core.training.config import DataConfig, Stage, TrainingConfig
from hs2s_core.training.curriculum import Schedule
from hs2s_core.training.held_out import (
    Held,
    TunedVideo,
    describe,
    hold_out_labels,
    score_held,
    score_known,
)
from hs2s_core.training.loop import train_steps
from hs2s_core.training.losses import LOSS_PRESETS
from hs2s_core.weights import (
    DEFAULT,
    card_head,
    find_weights,
    load_model,
    read_header,
    save_weights,
)

FRAMES = 6
"""Frames of a clip, where videos have as many labelled ones."""
FORGOTTEN = 0.01
"""J&F that may be lost on the bundled clip."""
CLOSE = 0.005
"""J&F on the held-out labels that is given away for a candidate nearer the start."""
SHARES = (1.0, 0.5, 0.25)
"""How far from the weights before to those after training the candidates lie."""
SCORING = 0.1
"""Share of the progress that scoring one network counts for."""


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


_ANY = TrainingConfig(
    model=PRESETS[DEFAULT],
    data=DataConfig(),
    stages=(Stage(1, PRESETS[DEFAULT].input_size, 2, clips=1),),
    losses=LOSS_PRESETS["lite"],
)
"""A run whose settings are good: what is wrong with one that is changed is the change."""


def tuning_problems(settings: TuneSettings) -> dict[str, str]:
    """What is wrong with the settings: parameter -> message."""
    problems = {}
    wrong = name_problem(settings.name, overwrite=settings.overwrite)
    if wrong is not None:
        problems["name"] = wrong
    if settings.steps < 1:
        problems["steps"] = f"{settings.steps} is no number of steps; expected 1 or more"
    for name in ("learning_rate", "seed"):
        try:
            replace(_ANY, **{name: getattr(settings, name)})
        except InvalidConfig as error:
            problems[name] = str(error)
    try:
        read_header(find_weights(settings.start))
    except HS2SError as error:
        problems["start"] = str(error)
    return problems


@dataclass(frozen=True)
class Tuning:
    """What came of it; scores are J&F in [0, 1]."""

    path: Path | None
    """The weights file; None where nothing is stored."""
    held_out: str
    """What was scored, in words."""
    before: float
    after: float
    """Of the held-out labels, with the start and with what is stored; with the best of what was
    tried where nothing is."""
    known_before: float
    known_after: float
    """Of the bundled clip."""
    share: float
    """How far from the start that lies, in [0, 1]."""
    videos: list[str] = field(default_factory=list)
    """Names of the videos that were trained on."""

    @property
    def why_not(self) -> str:
        """Why nothing is stored, where nothing is."""
        if self.after <= self.before:
            return "nothing that was learned was better"
        return "too much of what was known was lost on the bundled clip"

    def __str__(self) -> str:
        scores = (
            f"J&F on {self.held_out}: {self.before:.1%} before, {self.after:.1%} after; on the "
            f"bundled clip: {self.known_before:.1%} before, {self.known_after:.1%} after"
        )
        stored = f"stored as {self.path}" if self.path else f"nothing is stored: {self.why_not}"
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
    before, known = yield from _scored(start, held, 0.0, "Scoring what is there")
    best = Tuning(None, describe(held), before, before, known, known, 0.0)
    kept, tried = start, list[Tuning]()
    with tempfile.TemporaryDirectory() as folder:
        run = train_steps(
            _config(parts, start, settings), Path(folder), device=device, videos=parts
        )
        try:
            trained = yield from retold(run, partial(_progress, settings.steps))
        except Stopped:
            raise KeyboardInterrupt("stopped, and nothing was stored") from None
    top = before
    for place, share in enumerate(SHARES):
        label = f"Scoring what was learned, {place + 1} of {len(SHARES)}"
        model = _between(start, trained, share)
        begin = 1 - (len(SHARES) - place) * SCORING
        after, known = yield from _scored(model, held, begin, label)
        tried.append(replace(best, after=after, known_after=known, share=share))
        remembers = known >= best.known_before - FORGOTTEN
        if remembers and after > max(before, top - CLOSE):
            best, kept = tried[-1], model
            top = max(top, after)
    names = [video.name for video in parts]
    if kept is start:
        return replace(max(tried, key=lambda each: each.after), videos=names)
    best = replace(best, path=own_folder() / f"{settings.name}.safetensors", videos=names)
    assert best.path is not None
    save_weights(kept, best.path, _card(best, settings, device))
    return best


def _scored(
    model: VideoSegmenter, held: Sequence[Held], begin: float, label: str
) -> Steps[tuple[float, float]]:
    """J&F of a network on the held-out labels, and on the bundled clip."""
    engine, own = NetworkEngine(model), 0.8 * SCORING
    yield Progress(begin, label)
    score = yield from retold(
        score_held(engine, held), lambda share: Progress(begin + own * share, label)
    )
    yield Progress(begin + own, f"{label}: the bundled clip")
    return score, score_known(engine)


def _progress(steps: int, record: dict[str, Any]) -> Progress:
    label = f"step {record['step']} of {steps}, loss {record['loss']:.3f}"
    share = record["step"] / steps
    return Progress(SCORING + (1 - (len(SHARES) + 1) * SCORING) * share, label, record=record)


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
        **card_head(settings.name, device),
        "start": start.get("name", settings.start),
        "data": {
            "videos": tuning.videos,
            "note": "the terms of these videos apply, besides those of the data of the start",
            "start": start.get("data"),
        },
        "recipe": {"steps": settings.steps, "learning_rate": settings.learning_rate},
        "tuning": {"held_out": tuning.held_out, "share": tuning.share, "jf": percent},
    }
