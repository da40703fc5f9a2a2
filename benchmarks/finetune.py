"""Fine-tuning on some frames of a few videos, as an annotator would give them.

    python benchmarks/finetune.py FOLDER:VIDEO,... NAME [--every 4] [--most 10] [--steps 60]

Every fourth frame, ten a video at most, is labelled; the last quarter of them is held out. The
weights are stored under NAME, for ``python benchmarks/quality.py ... --methods hs2s-lite FILE``.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence

import torch
from named_videos import named_videos

from hs2s_core.data.clips import FolderVideo
from hs2s_core.data.videos import VosVideo
from hs2s_core.jobs import Progress, drive
from hs2s_core.media.frames import open_frames
from hs2s_core.media.source import FrameSource
from hs2s_core.training.finetune import TuneSettings, tune_steps


class SomeLabelled(FolderVideo):
    """A video of a folder, with labels in some of its frames."""

    def __init__(self, video: VosVideo, every: int, most: int) -> None:
        super().__init__(video)
        self.frames: FrameSource = open_frames(video.frames)
        self._indices = video.annotated[::every][:most]
        self.indices: Sequence[int] = self._indices


def main() -> None:
    """Print progress, and the scores before and after."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("videos", metavar="FOLDER:VIDEO,...")
    parser.add_argument("name")
    parser.add_argument("--every", type=int, default=4)
    parser.add_argument("--most", type=int, default=10)
    parser.add_argument("--steps", type=int, default=60)
    args = parser.parse_args()
    chosen = named_videos([args.videos])
    videos = [SomeLabelled(video, args.every, args.most) for _, video in chosen]
    steps = tune_steps(videos, TuneSettings(args.name, steps=args.steps), torch.device("cpu"))
    began = time.process_time()

    def told(step: Progress) -> None:
        print(f"{time.process_time() - began:6.0f} s of CPU", step.label, flush=True)

    tuning = drive(steps, told)
    print(tuning, f"{tuning.share:.0%} of the way from the start", sep="\n")


if __name__ == "__main__":
    main()
