"""What adapting to the first masks (``--online-steps``) gains and costs, on labelled videos.

    python benchmarks/online.py FOLDER[:VIDEO,...] ... [--settings 0 10@1e-4 30@3e-5]

A setting is STEPS@LEARNING_RATE; 0 leaves the network as it is. Each video is adapted to the
masks of its first prompted frame, as ``hs2s propagate --online-steps`` does. Scores are means over
objects, in per cent; seconds are those of the whole video, adapting included.
"""

from __future__ import annotations

import argparse
import time
from functools import partial

from named_videos import named_videos

from hs2s_core.data.videos import VosVideo
from hs2s_core.evaluation.table import EvaluationTable
from hs2s_core.media.frames import open_frames
from hs2s_core.models.base import VideoSegmenter
from hs2s_core.propagation import propagate
from hs2s_core.training.online import adapt
from hs2s_core.training.validation import score_video
from hs2s_core.weights import load_model


def main() -> None:
    """Print one line per setting and video, then the mean of the setting."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folders", nargs="+")
    parser.add_argument("--weights", help="a weights file; the bundled one if not given")
    parser.add_argument("--settings", nargs="+", default=["0", "10@1e-4", "30@1e-4"])
    parser.add_argument("--frames", type=int, default=60, help="first frames of each video")
    arguments = parser.parse_args()
    model = load_model(arguments.weights)
    videos = [video for _, video in named_videos(arguments.folders)]
    for setting in arguments.settings:
        steps, _, rate = setting.partition("@")
        tables, started, cpu = [], time.perf_counter(), time.process_time()
        for video in videos:
            network = _adapted(model, video, int(steps), float(rate or 0))
            table = score_video(
                partial(propagate, network, direction="forward"), video, frames=arguments.frames
            )
            tables.append(table)
            print(f"{setting:10} {video.name:20} {_line(table)}", flush=True)
        wall, used = time.perf_counter() - started, time.process_time() - cpu
        total = _line(EvaluationTable.join(tables))
        print(f"{setting:10} {'ALL':20} {total}  {wall:.0f} s, {used:.0f} s of CPU", flush=True)


def _adapted(model: VideoSegmenter, video: VosVideo, steps: int, rate: float) -> VideoSegmenter:
    if not steps:
        return model
    return adapt(model, open_frames(video.frames), video.first_masks(), steps, learning_rate=rate)


def _line(table: EvaluationTable) -> str:
    overall = table.summary().overall
    if overall is None:
        return "no scored frame"
    return (
        f"J {100 * overall.j.mean:5.1f}  F {100 * overall.f.mean:5.1f}  J&F {100 * overall.jf:5.1f}"
    )


if __name__ == "__main__":
    main()
