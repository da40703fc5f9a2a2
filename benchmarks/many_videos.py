"""Many tiny videos through the engines: that all are done, alike, and how many frames a second.

    python benchmarks/many_videos.py [--videos 500] [--frames 4] [--workers 1 2] [--sample 20]
        [--engines process ray]

Videos of 48x64 pixels with a square that moves, as a YouTube-VOS folder, and a network of few
random weights: what is measured is what surrounds the network. Each number of workers is a run of
``hs2s propagate --data`` with each engine; the masks of some videos are compared, byte
for byte, with those of the engine ``inline``.
"""

from __future__ import annotations

import argparse
import filecmp
import sys
import tempfile
import time
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from hs2s_core import cli
from hs2s_core.media.masks import write_id_map
from hs2s_core.models import build_model
from hs2s_core.models.presets import preset
from hs2s_core.weights import save_weights

SIZE = (48, 64)


def main() -> None:
    """Print one line per number of workers; fails where a video is missing or differs."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--videos", type=int, default=500)
    parser.add_argument("--frames", type=int, default=4)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--sample", type=int, default=20, help="videos that inline does, too")
    parser.add_argument("--engines", nargs="+", default=["process"])
    arguments = parser.parse_args()
    names = [f"{number:05}" for number in range(arguments.videos)]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        torch.manual_seed(0)
        config = replace(preset("hs2s-lite"), width=16, input_size=SIZE, keep_aspect=False)
        save_weights(build_model(config), folder / "tiny.safetensors", {})
        _make(folder / "all", names, arguments.frames)
        _make(folder / "some", names[: arguments.sample], arguments.frames)
        _propagate(folder, "some", "inline", "--engine", "inline")
        for engine, workers in product(arguments.engines, arguments.workers):
            out = f"{engine}{workers}"
            words = ("--engine", engine, "--workers", str(workers))
            seconds = _propagate(folder, "all", out, *words)
            masks = sorted((folder / out).rglob("*.png"))
            expected = arguments.videos * arguments.frames
            same = [_same(folder, out, name) for name in names[: arguments.sample]]
            print(
                f"{engine}, {workers} workers: {len(masks)} of {expected} masks "
                f"in {seconds:.1f} s, {len(masks) / seconds:.1f} frames a second; "
                f"{sum(same)} of {len(same)} videos as inline",
                flush=True,
            )
            if len(masks) < expected or not all(same):
                sys.exit(1)


def _make(root: Path, names: list[str], frames: int) -> None:
    noise = np.random.default_rng(0)
    for name in names:
        images, masks = (root / kind / name for kind in ("JPEGImages", "Annotations"))
        for each in (images, masks):
            each.mkdir(parents=True)
        left = int(noise.integers(0, SIZE[1] - 16 - frames))
        for frame in range(frames):
            mask = np.zeros(SIZE, np.uint8)
            mask[16:32, left + frame : left + frame + 16] = 1
            picture = noise.integers(0, 80, (*SIZE, 3), dtype=np.uint8)
            picture[mask > 0] += 120
            Image.fromarray(picture).save(images / f"{frame:05}.jpg")
            if frame == 0:
                write_id_map(masks / f"{frame:05}.png", mask)


def _propagate(folder: Path, data: str, out: str, *words: str) -> float:
    """Seconds of a run, start of the processes included."""
    began = time.perf_counter()
    places = ("--data", str(folder / data), "--out", str(folder / out))
    model = ("--weights", str(folder / "tiny.safetensors"), "--device", "cpu", "--threads", "1")
    status = cli.main(["propagate", *places, *model, "--quiet", *words])
    if status:
        sys.exit(status)
    return time.perf_counter() - began


def _same(folder: Path, out: str, name: str) -> bool:
    one, other = (
        sorted((folder / each / "Annotations" / name).glob("*.png")) for each in (out, "inline")
    )
    return len(one) == len(other) > 0 and all(
        filecmp.cmp(*pair, shallow=False) for pair in zip(one, other, strict=True)
    )


if __name__ == "__main__":
    main()
