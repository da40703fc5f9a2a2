"""J&F after k given masks: each round gives the true masks of one more frame, and runs again.

    python benchmarks/corrections.py FOLDER[:VIDEO,...] ... [--rounds 4] [--frames 60]

Round 1 gives each object in the first frame that shows it; every further round gives all masks of
a frame that a policy chooses: ``worst`` by J&F, which takes truth to know; the one ``suggested``
without; the ``middle`` of the longest stretch without a key frame. Only labelled frames that show
an object can be chosen, the nearest one where a policy means another. Frames in which an object is
given are not scored for it, nor those before its first mask; videos with fewer than twice as many
labelled frames as rounds are left out. An object's score is the mean over the others, a video's the
mean over its objects. Corrections run in a session: the share of a full run's steps that a round
took is in brackets.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from named_videos import named_videos

from hs2s_core.data.videos import VosVideo
from hs2s_core.evaluation.rows import Row
from hs2s_core.evaluation.table import FramePair, evaluate_sequence
from hs2s_core.media.frames import open_frames
from hs2s_core.media.images import RGBImage
from hs2s_core.media.masks import BoolMask, split_objects
from hs2s_core.prompts import Prompt, Prompts
from hs2s_core.propagation.clip import ClipSettings
from hs2s_core.propagation.engine import Engine, Prediction
from hs2s_core.propagation.network import NetworkEngine
from hs2s_core.propagation.session import Session
from hs2s_core.training.validation import UNGROUPED
from hs2s_core.weights import load_model


class Counted(NetworkEngine):
    """Counts the steps of itself and its siblings."""

    steps = 0

    def step(self, frame: RGBImage, prompts: Mapping[int, BoolMask]) -> Prediction:
        """See :meth:`NetworkEngine.step`."""
        Counted.steps += bool(self._ids)
        return super().step(frame, prompts)

    def step_together(self, others: Sequence[Engine], frame: RGBImage) -> list[Prediction]:
        """See :meth:`NetworkEngine.step_together`."""
        Counted.steps += 1 + len(others)
        return super().step_together(others, frame)


Rounds = list[tuple[float, float]]
"""J&F after each round, and the share of a full run's steps that it took."""


def rounds(engine: Counted, video: VosVideo, policy: str, arguments: argparse.Namespace) -> Rounds:
    """One video, corrected round by round."""
    files, found = video.frames[: arguments.frames], []
    given = {at: masks for at, masks in video.first_masks().items() if at < len(files)}
    prompts = Prompts.of(given)
    settings = ClipSettings(direction=arguments.direction)
    with (
        tempfile.TemporaryDirectory() as folder,
        Session(Path(folder) / "s", engine, settings=settings) as session,
    ):
        for _ in range(arguments.rounds):
            session.correct(prompts)
            Counted.steps = 0
            rows = [row for row in _rows(session, video, files) if _scored(row, prompts)]
            share = Counted.steps / _full(prompts, len(files), arguments.direction)
            found.append((100 * _score(rows), share))
            wanted = POLICIES[policy](session, rows, len(files))
            prompts = _with_nearest(prompts, video, wanted, len(files))
    return found


def _worst(session: Session, rows: list[Row], length: int) -> int:
    frames: dict[int, list[float]] = {}
    for row in rows:
        if row.in_truth:  # a frame without any object has no mask to give
            frames.setdefault(row.frame, []).append((row.j + row.f) / 2)
    return min(frames, key=lambda frame: fmean(frames[frame]))


def _suggested(session: Session, rows: list[Row], length: int) -> int:
    return session.suggest()[0].frame


def _middle(session: Session, rows: list[Row], length: int) -> int:
    keys = [*session.prompts, length]
    start, stop = max(pairwise(keys), key=lambda ends: ends[1] - ends[0])
    return (start + stop) // 2


POLICIES = {"worst": _worst, "suggested": _suggested, "middle": _middle}


def _with_nearest(prompts: Prompts, video: VosVideo, wanted: int, length: int) -> Prompts:
    """``prompts`` and the true masks of the labelled frame nearest to ``wanted``."""
    free = [at for at in video.annotated if at < length and at not in prompts]
    for frame in sorted(free, key=lambda at: abs(at - wanted)):
        truth: Any = video.read_id_map(frame)
        masks = split_objects(truth)
        for object_id, mask in masks.items():
            prompts = prompts.put(Prompt(frame, object_id, mask))
        if masks:
            break
    return prompts


def _rows(session: Session, video: VosVideo, files: tuple[Path, ...]) -> tuple[Row, ...]:
    def pairs() -> Iterator[FramePair]:
        for step in session.run(open_frames(files)):
            result = step.result
            truth = None if result is None else video.read_id_map(result.index)
            if result is not None and truth is not None:
                yield FramePair(result.id_map, truth, result.index, files[result.index].stem)

    return evaluate_sequence(video.name, pairs(), UNGROUPED).rows


def _scored(row: Row, prompts: Prompts) -> bool:
    keys = prompts.key_frames(row.object)
    return bool(keys) and row.frame > keys[0] and row.frame not in keys


def _score(rows: list[Row]) -> float:
    objects: dict[int, list[float]] = {}
    for row in rows:
        objects.setdefault(row.object, []).append((row.j + row.f) / 2)
    return fmean(fmean(scores) for scores in objects.values())


def _full(prompts: Prompts, length: int, direction: str) -> int:
    """Steps of a run that knows nothing."""
    total = 0
    for object_id in prompts.object_ids:
        keys = prompts.key_frames(object_id)
        total += length - keys[0] - len(keys)
        if direction == "both":
            total += keys[-1] + 1 - len(keys)
    return total


def main() -> None:
    """Print one line per video and direction, then the means."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folders", nargs="+")
    parser.add_argument("--weights", default="hs2s-lite")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--frames", type=int, default=60, help="first frames of each video")
    parser.add_argument("--direction", default="both")
    parser.add_argument("--policies", nargs="+", choices=POLICIES, default=list(POLICIES))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    engine = Counted(load_model(arguments.weights, device="cpu"))
    found: dict[str, list[Rounds]] = {}
    for name, video in named_videos(arguments.folders):
        labelled = sum(index < arguments.frames for index in video.annotated)
        for policy in arguments.policies if labelled >= 2 * arguments.rounds else ():
            scores = rounds(engine, video, policy, arguments)
            found.setdefault(policy, []).append(scores)
            _print(policy, name, scores)
    for policy, videos in found.items():
        means = [
            (fmean(score for score, _ in each), fmean(share for _, share in each))
            for each in zip(*videos, strict=True)
        ]
        _print(policy, f"MEAN OVER {len(videos)} videos", means)


def _print(policy: str, name: str, scores: Rounds) -> None:
    columns = " ".join(f"{score:6.1f} ({share:4.0%})" for score, share in scores)
    print(f"{policy:10} {name:32} {columns}", flush=True)


if __name__ == "__main__":
    main()
