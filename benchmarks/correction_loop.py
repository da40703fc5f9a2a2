"""From a mask put right in FiftyOne to all masks stored: what the correction loop takes.

    python benchmarks/correction_loop.py [--frames 100] [--size 480x854] [--key 50]

A video of so many frames, made of the demo clip played back and forth, is propagated from its first
mask, in a dataset and a cache of their own. Then the mask of frame ``--key`` is replaced by the
true one, and ``hs2s_fiftyone.repropagate`` is timed: on the clock, in processor time, and the part
of that which the network's steps take, with how many of these there are. On a busy machine only
the processor time says something. Needs a clone: the private database is that of the tests.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import tempfile
import time
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
os.environ.setdefault("OMP_NUM_THREADS", str(os.cpu_count()))  # tests would take one
importlib.import_module("tests.conftest")

import fiftyone as fo  # noqa: E402  (in that database)

from hs2s_core.media import open_frames  # noqa: E402
from hs2s_core.media.encode import VideoWriter  # noqa: E402
from hs2s_core.media.masks import read_id_map  # noqa: E402
from hs2s_core.propagation.network import NetworkEngine  # noqa: E402
from hs2s_fiftyone import propagate, repropagate  # noqa: E402

DEMO = ROOT / "assets" / "demo"


def main() -> None:
    """Print one line per part."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--frames", type=int, default=100)
    parser.add_argument("--size", default="480x854", metavar="HxW")
    parser.add_argument("--key", type=int, default=50, help="frame that is put right, from 0")
    arguments = parser.parse_args()
    height, width = map(int, arguments.size.split("x"))
    with tempfile.TemporaryDirectory() as folder:
        os.environ["HS2S_CACHE"] = folder
        dataset = _dataset(Path(folder), arguments.frames, (height, width))
        try:
            _run(dataset, arguments.key, (height, width))
        finally:
            dataset.delete()


def _run(dataset: fo.Dataset, key: int, size: tuple[int, int]) -> None:
    spent, steps = 0.0, 0
    whole = NetworkEngine.step_together

    def step(self: NetworkEngine, *given: Any) -> Any:
        nonlocal spent, steps
        began = time.thread_time()
        found = whole(self, *given)
        spent += time.thread_time() - began
        steps += len(found)
        return found

    NetworkEngine.step_together = step  # type: ignore[method-assign]
    propagate(dataset, "drawn", "hs2s", progress=False)
    first = steps
    sample = dataset.first()
    label = sample.frames[key + 1].hs2s.detections[0]
    new = fo.Detection.from_mask(_mask(key, size))
    label.mask, label.bounding_box = new.mask, new.bounding_box
    sample.save()
    spent, steps = 0.0, 0
    clock, processor = time.perf_counter(), time.process_time()
    summary = repropagate(dataset, "hs2s", progress=False)
    clock, processor = time.perf_counter() - clock, time.process_time() - processor
    print(summary)
    print(f"steps: {steps} ({first} at first)")
    print(f"clock {clock:.2f} s, processor {processor:.2f} s, of it the network {spent:.2f} s")


def _order(count: int) -> list[int]:
    """Frames of the clip, played back and forth."""
    length = len(open_frames(_images()))
    return list(islice(cycle([*range(length), *range(length - 2, 0, -1)]), count))


def _images() -> Path:
    return next(path for path in (DEMO / "JPEGImages").iterdir() if path.is_dir())


def _mask(place: int, size: tuple[int, int]) -> np.ndarray:
    """The true mask (H, W) of the player."""
    index = _order(place + 1)[-1]
    file = sorted((DEMO / "Annotations" / _images().name).glob("*.png"))[index]
    mask = (read_id_map(file) == 2).astype(np.uint8)
    return cv2.resize(mask, size[::-1], interpolation=cv2.INTER_NEAREST) > 0


def _dataset(folder: Path, count: int, size: tuple[int, int]) -> fo.Dataset:
    frames = [cv2.resize(frame, size[::-1]) for frame in open_frames(_images())]
    with VideoWriter(folder / "clip.mp4", size, 25) as writer:
        for index in _order(count):
            writer.write(frames[index])
    sample = fo.Sample(filepath=str(folder / "clip.mp4"))
    label = fo.Detection.from_mask(_mask(0, size), label="player", index=2)
    sample.frames[1] = fo.Frame(drawn=fo.Detections(detections=[label]))
    dataset = fo.Dataset()
    dataset.add_sample(sample)
    dataset.compute_metadata(progress=False)
    return dataset


if __name__ == "__main__":
    main()
