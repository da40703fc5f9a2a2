"""Frames per second of presets on one clip, in one run, as numbers and as ratios.

    python benchmarks/speed.py [--presets hs2s-lite hs2s] [--size 480 854] [--objects 1]

Random weights and noise frames: speed does not depend on them. Times include everything
that ``Propagator.step`` does (resize, network, merge at the frame's size), not decoding.
Rounds of the presets are interleaved; the median frame counts.
"""

from __future__ import annotations

import argparse
import time
from statistics import median

import numpy as np
import torch

from hs2s_core.devices import pick_device
from hs2s_core.models import build_model
from hs2s_core.propagation import Propagator


def main() -> None:
    """Print frames per second by preset, and relative to the last one."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--presets", nargs="+", default=["hs2s-lite", "hs2s"])
    parser.add_argument("--size", type=int, nargs=2, default=[480, 854])
    parser.add_argument("--objects", type=int, nargs="+", default=[1])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    device = pick_device(arguments.device)
    print(f"{device}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    runs = {
        (preset, objects): Propagator(build_model(preset).to(device))
        for preset in arguments.presets
        for objects in arguments.objects
    }
    rng = np.random.default_rng(0)
    height, width = arguments.size
    frame = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    for (_, objects), propagator in runs.items():
        propagator.step(frame, _masks(objects, height, width))
        propagator.step(frame)
    times: dict[tuple[str, int], list[float]] = {key: [] for key in runs}
    for _ in range(arguments.rounds):
        for key, propagator in runs.items():
            start = time.perf_counter()
            propagator.step(frame)
            times[key].append(time.perf_counter() - start)
    base = median(times[list(runs)[-1]])
    for (preset, objects), seconds in times.items():
        middle = median(seconds)
        print(
            f"{preset:16} {objects:2} objects  {height}x{width}  {1000 * middle:8.1f} ms a frame"
            f"  {1 / middle:6.2f} frames/s  {base / middle:6.1f} x the last row"
        )


def _masks(objects: int, height: int, width: int) -> dict[int, np.ndarray]:
    masks = {}
    for number in range(objects):
        left = width * number // objects
        masks[number + 1] = np.zeros((height, width), bool)
        masks[number + 1][height // 4 : height // 2, left : left + width // (objects + 1)] = True
    return masks


if __name__ == "__main__":
    main()
