"""How much half precision changes the masks of HS2S-lite, and what it saves.

    python benchmarks/half_precision.py [FOLDER[:VIDEO,...] ...] [--frames 24] [--weights FILE]

Each video is propagated from the first frame that shows an object, with ``speed`` ``exact`` and
``fast``; without a folder the demo clip. Prints each object's IoU between the two, over all frames,
and the processor time of ``fast`` as a part of that of ``exact``. Whether scores change,
``python benchmarks/quality.py ... --speed fast`` says.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch
from named_videos import named_videos

from hs2s_core.data.videos import VosVideo
from hs2s_core.media.frames import open_frames
from hs2s_core.media.masks import split_objects
from hs2s_core.models.base import VideoSegmenter
from hs2s_core.propagation import propagate
from hs2s_core.resources import asset
from hs2s_core.weights import load_model


def main() -> None:
    """Print one line per video."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folders", nargs="*")
    parser.add_argument("--frames", type=int, default=24, help="first frames of each video")
    parser.add_argument("--weights", help="file or name; default: the bundled")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    models = [
        load_model(arguments.weights, device="cpu", speed=speed) for speed in ("exact", "fast")
    ]
    for name, video in named_videos(arguments.folders or [str(asset("demo"))]):
        (exact, slow), (fast, quick) = (_masks(each, video, arguments.frames) for each in models)
        objects = [(exact == k, fast == k) for k in np.unique(exact)[1:]]
        overlaps = [f"{(one & two).sum() / (one | two).sum():.4f}" for one, two in objects]
        print(f"{name:30} IoU {', '.join(overlaps)}   time {quick / slow:.2f}", flush=True)


def _masks(model: VideoSegmenter, video: VosVideo, count: int) -> tuple[np.ndarray, float]:
    """Id maps (T, H, W) from the first annotated frame on, and the processor time."""
    start = video.annotated[0]
    given = video.read_id_map(start)
    assert given is not None
    frames = list(open_frames(video.frames[start : start + count]))
    began = time.process_time()
    maps = [each.id_map for each in propagate(model, frames, {0: split_objects(given)})]
    return np.stack(maps), time.process_time() - began


if __name__ == "__main__":
    main()
