"""J and F of weights and of baselines, on labelled videos and synthetic clips nobody trained on.

    python benchmarks/quality.py FOLDER [FOLDER ...] [--methods copy flow hs2s-lite]
    python benchmarks/quality.py --synthetic STILLS --splits splits.json

Each FOLDER holds ``JPEGImages/<video>`` and ``Annotations/<video>``; ``FOLDER:a,b`` takes some of
its videos. ``--synthetic`` draws 60 clips of 30 frames, with fixed seeds, from the stills that
``splits.json`` lists under ``dev_stills``. A method is ``copy`` (of the first mask), ``flow``
(DIS), ``mil`` or ``camshift`` (OpenCV's box trackers), ``hs2s-lite`` or a weights file.

Every object is given in the first frame that shows it; that frame is not scored. An object's
score is the mean over its later annotated frames, a video's the mean over its objects; early is
less than 10 frames after the prompt, late more than 20. Totals are means over videos and over
objects.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import fmean

import numpy as np
from box_trackers import track_camshift, track_mil
from named_videos import named_videos

from hs2s_core.data.stills import StillSet
from hs2s_core.data.synthesis import Clip, SynthesisConfig, Synthesizer
from hs2s_core.evaluation.lengths import parts_of_time
from hs2s_core.evaluation.rows import Rows
from hs2s_core.evaluation.table import EvaluationTable, FramePair, evaluate_sequence
from hs2s_core.propagation import propagate
from hs2s_core.propagation.baselines import copy_first, warp_with_flow
from hs2s_core.training.validation import UNGROUPED, Method, score_video
from hs2s_core.weights import load_model

BASELINES: dict[str, Method] = {
    "copy": copy_first,
    "flow": warp_with_flow,
    "mil": track_mil,
    "camshift": track_camshift,
}
SYNTHETIC_CLIPS, SYNTHETIC_FRAMES, SYNTHETIC_SIZE = 60, 30, (240, 432)
Scores = dict[str, float | None]
KEYS = ("j", "f", "early", "late")
Scorer = Callable[[Method], EvaluationTable]


def main() -> None:
    """Print one line per video and method, then the means."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folders", nargs="*")
    parser.add_argument("--methods", nargs="+", default=["copy", "flow", "hs2s-lite"])
    parser.add_argument("--frames", type=int, default=60, help="first frames of each video")
    parser.add_argument("--merge", default="argmax")
    parser.add_argument("--speed", default="exact")
    parser.add_argument("--synthetic", type=Path, metavar="STILLS")
    parser.add_argument("--splits", type=Path)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    report = {}
    for name in arguments.methods:
        method = BASELINES.get(name) or partial(
            propagate,
            load_model(name, device="cpu", speed=arguments.speed),
            direction="forward",
            merge=arguments.merge,
        )
        label = Path(name).stem[:12]
        objects: list[Scores] = []
        videos: list[Scores] = []
        for video, score in _scorers(arguments):
            means = list(_means(score(method).rows))
            if not means:
                continue
            objects += means
            videos.append({key: _mean(means, key) for key in KEYS})
            print(f"{label:12} {video:30} {_line(means)}", flush=True)
        for unit, parts in (("objects", objects), ("videos", videos)):
            print(f"{label:12} {f'MEAN OVER {len(parts)} {unit}':30} {_line(parts)}", flush=True)
            report[f"{name}, mean over {unit}"] = {key: _mean(parts, key) for key in KEYS}
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")


def _scorers(arguments: argparse.Namespace) -> Iterator[tuple[str, Scorer]]:
    """Name of each video, and what scores a method on it."""
    for name, video in named_videos(arguments.folders):
        yield name, partial(score_video, video=video, frames=arguments.frames)
    if arguments.synthetic:
        splits = json.loads(arguments.splits.read_text())["dev_stills"]
        # The rest of the draws depend on the order of the sets.
        # What was added to training clips later would make other clips, and other scores.
        unchanged = SynthesisConfig(screen=0.0, fast=0.1)
        synthesizer = Synthesizer(StillSet(arguments.synthetic, sorted(splits), splits), unchanged)
        for seed in range(SYNTHETIC_CLIPS):
            rng = np.random.default_rng(seed)
            clip = synthesizer.draw(rng, SYNTHETIC_SIZE, SYNTHETIC_FRAMES)
            yield f"synthetic/{seed:02}", partial(_score_clip, clip=clip, name=f"synthetic/{seed}")


def _score_clip(method: Method, *, clip: Clip, name: str) -> EvaluationTable:
    prompts: dict[int, dict[int, np.ndarray]] = {}
    for object_id in map(int, np.unique(clip.id_maps[clip.id_maps > 0])):
        start = int((clip.id_maps == object_id).any(axis=(1, 2)).argmax())
        prompts.setdefault(start, {})[object_id] = clip.id_maps[start] == object_id
    pairs = (
        FramePair(result.id_map, clip.id_maps[result.index], result.index)
        for result in method(clip.frames, prompts)
    )
    return evaluate_sequence(name, pairs, UNGROUPED)


def _means(rows: Rows) -> Iterator[Scores]:
    """Of each object with a counted frame."""
    early, late, _ = (np.mean(rows.object_means(part), axis=0) for part in parts_of_time(rows))
    columns = (*rows.object_means(rows.counted), early, late)
    for values in zip(*columns, strict=True):
        if not np.isnan(values[0]):
            yield {k: None if np.isnan(v) else float(v) for k, v in zip(KEYS, values, strict=True)}


def _mean(parts: list[Scores], key: str) -> float | None:
    values = [value for part in parts if (value := part[key]) is not None]
    return fmean(values) if values else None


def _line(parts: list[Scores]) -> str:
    j, f = _mean(parts, "j"), _mean(parts, "f")
    if j is None or f is None:
        return "no scored frame"
    text = f"J {100 * j:5.1f}  F {100 * f:5.1f}  J&F {50 * (j + f):5.1f}"
    for key in ("early", "late"):
        value = _mean(parts, key)
        text += f"  {key} {100 * value:5.1f}" if value is not None else f"  {key}     -"
    return text


if __name__ == "__main__":
    main()
