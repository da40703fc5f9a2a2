"""Test-time options: the mean of several runs over one video, mirrored or at another size.

    python benchmarks/averaged_runs.py FOLDER[:VIDEO,...] ... [--weights hs2s-lite] [--frames 60]

Runs forwards, as ``benchmarks/quality.py`` scores; soft masks are averaged at the frame's size,
and a pixel goes to the object that is likest there, if it is at least as likely as not.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from statistics import fmean
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from named_videos import named_videos

from hs2s_core.models import VideoSegmenter
from hs2s_core.prompts import PlainPrompts
from hs2s_core.propagation import FrameResult, propagate
from hs2s_core.training.validation import Method, score_video
from hs2s_core.weights import load_model

Image = npt.NDArray[np.uint8]
LARGER = 1.125
"""Of the second size, times the first's height and width."""


def main() -> None:
    """Print the mean over videos of each option."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folders", nargs="+")
    parser.add_argument("--weights", default="hs2s-lite")
    parser.add_argument("--frames", type=int, default=60)
    arguments = parser.parse_args()
    model, larger = (load_model(arguments.weights, device="cpu", speed="exact") for _ in range(2))
    larger.config = _enlarged(larger)
    plain, flipped = partial(_run, model), partial(_mirrored, model)
    options: dict[str, list[Method]] = {
        "one run": [plain],
        "and mirrored": [plain, flipped],
        f"and at {LARGER} of the size": [plain, partial(_run, larger)],
    }
    videos = list(named_videos(arguments.folders))
    for name, runs in options.items():
        scores = []
        for _, video in videos:
            table = score_video(partial(_mean, runs), video, frames=arguments.frames)
            overall = table.summary().overall
            if overall is not None:
                scores.append(overall.jf)
        print(f"{name:28} J&F {100 * fmean(scores):.1f}, {len(scores)} videos", flush=True)


def _enlarged(model: VideoSegmenter) -> Any:
    height, width = model.config.input_size
    step = model.stride
    size = (round(height * LARGER / step) * step, round(width * LARGER / step) * step)
    return replace(model.config, input_size=size)


def _run(
    model: VideoSegmenter, frames: Iterable[Image], prompts: PlainPrompts
) -> Iterator[FrameResult]:
    return propagate(model, list(frames), prompts, direction="forward", soft=True)


def _mirrored(
    model: VideoSegmenter, frames: Iterable[Image], prompts: PlainPrompts
) -> Iterator[FrameResult]:
    """A run over the mirrored video, its results mirrored back."""
    given = {
        at: {number: np.ascontiguousarray(mask[:, ::-1]) for number, mask in masks.items()}
        for at, masks in prompts.items()
    }
    turned = [np.ascontiguousarray(frame[:, ::-1]) for frame in frames]
    for result in _run(model, turned, given):
        soft = {number: mask[:, ::-1] for number, mask in (result.soft or {}).items()}
        yield replace(result, id_map=result.id_map[:, ::-1], soft=soft)


def _mean(
    runs: list[Method], frames: Iterable[Image], prompts: PlainPrompts
) -> Iterator[FrameResult]:
    shown = list(frames)
    for results in zip(*(run(shown, prompts) for run in runs), strict=True):
        yield replace(results[0], id_map=_settle(results, prompts.get(results[0].index, {})))


def _settle(results: tuple[FrameResult, ...], given: Any) -> npt.NDArray[np.uint16]:
    shape = results[0].id_map.shape
    likest, id_map = np.full(shape, 127.5, np.float32), np.zeros(shape, np.uint16)
    for number in results[0].ids:
        if number in given:
            continue
        masks = [np.ascontiguousarray((result.soft or {})[number]) for result in results]
        likely = np.mean(
            [cv2.resize(m.astype(np.float32), shape[::-1]) for m in masks], axis=0, dtype=np.float32
        )
        id_map[likely > likest] = number
        likest = np.maximum(likest, likely)
    for number, mask in given.items():
        id_map[mask] = number
    return id_map


if __name__ == "__main__":
    main()
