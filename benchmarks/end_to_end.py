"""End to end beside the network's own time, and where the rest goes.

    python benchmarks/end_to_end.py [--presets hs2s-lite] [--frames 76] [--objects 1 3]

The demo clip, enlarged to 480x854 and repeated, is propagated from the first masks of its objects:
by the command line from an MP4 to PNGs, and by the plugin from a dataset to its database. The
network's own time is that of its calls on the same frames while nothing runs beside them. Weights
are loaded before. The fastest of the rounds counts: in wall time, and in processor time, which is
what one core would need without any overlap, and holds on a busy machine. The parts, of one further
round, are processor time of the threads that do them; FFmpeg's own threads and the database's
server are not in there. Needs a clone: the private database is that of the tests.
"""

from __future__ import annotations

import argparse
import importlib
import io
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, redirect_stdout
from pathlib import Path
from typing import Any
from unittest.mock import patch

import cv2
import numpy as np
from speed import made, processor

from hs2s_core import cli
from hs2s_core.commands import propagate_work as command
from hs2s_core.devices import pick_device, use_threads
from hs2s_core.media import masks, video
from hs2s_core.media.encode import VideoWriter
from hs2s_core.media.frames import open_frames
from hs2s_core.media.images import list_images, read_image
from hs2s_core.models import build_model
from hs2s_core.models.base import VideoSegmenter
from hs2s_core.propagation import clip, prepared, propagate
from hs2s_core.resources import asset
from hs2s_core.weights import DEFAULT, load_model

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
SIZE = (480, 854)
Part = tuple[str, Any, str]
AROUND: list[Part] = [
    ("decoding", video._Cursor, "advance"),
    ("decoding", video._Cursor, "frame"),
    ("resizing frames", prepared, "resize"),
    ("masks at the frame's size", clip._Settling, "settle"),
    ("writing PNG", command, "write_id_map"),
]


def main() -> None:
    """Print a table for each network and number of objects."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--presets", nargs="+", default=["hs2s-lite"])
    parser.add_argument("--frames", type=int, default=76)
    parser.add_argument("--objects", type=int, nargs="+", default=[1, 3])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    importlib.import_module("tests.conftest")  # a private database, before FiftyOne is imported
    print(processor(pick_device("cpu")), use_threads(arguments.threads), sep="; ")
    for name in arguments.presets:
        model = load(name)
        for objects in arguments.objects:
            print(f"\n{name}, objects: {objects}, {arguments.frames} frames of {SIZE}\n")
            with tempfile.TemporaryDirectory() as folder:
                report(model, Path(folder), objects, arguments.frames, arguments.rounds)


def load(name: str) -> VideoSegmenter:
    """The bundled weights of this name, or random ones; ``speed`` as the command line has it."""
    model: Any
    if name == DEFAULT:
        model = load_model(name, device="cpu")
    else:
        model = made(lambda: build_model(name), pick_device("cpu"))
    model.speed = "auto"
    return model


def report(model: VideoSegmenter, folder: Path, objects: int, frames: int, rounds: int) -> None:
    """Run everything in turn; print what each frame took."""
    make_clip(folder, objects, frames)
    own = [
        ("the network", type(model), each)
        for each in ("encode", "begin", "step", "step_each", "remember")
        if each in vars(type(model))
    ]
    alone: Callable[[], object] = lambda: in_memory(model, folder)  # noqa: E731
    paths: dict[str, Callable[[], object]] = {
        "command line": lambda: to_files(model, folder),
        "plugin": lambda: to_database(model, folder),
    }
    clocks = time.perf_counter, time.process_time
    best = {name: [float("inf")] * 2 for name in ("network", *paths)}
    for _ in range(rounds):
        for place, clock in enumerate(clocks):
            best["network"][place] = min(best["network"][place], timed(alone, own, clock).total())
        for name, path in paths.items():
            start = [clock() for clock in clocks]
            path()
            took = [clock() - began for clock, began in zip(clocks, start, strict=True)]
            best[name] = [min(pair) for pair in zip(best[name], took, strict=True)]
    print("| | ms a frame | times the network | processor time | times the network |")
    print("|---|---|---|---|---|")
    for name, seconds in best.items():
        cells = [(1000 * s / frames, s / b) for s, b in zip(seconds, best["network"], strict=True)]
        print(f"| {name} | " + " | ".join(f"{ms:.1f} | {ratio:.2f}" for ms, ratio in cells) + " |")
    from hs2s_fiftyone.jobs import FrameWriter
    from hs2s_fiftyone.propagation import video as job

    labels = [
        ("making labels", job, "to_detections"),
        ("writing to the database", FrameWriter, "add"),
        ("writing to the database", FrameWriter, "__exit__"),
    ]
    print("\n| ms of thread time a frame | " + " | ".join(paths) + " |\n|---|---|---|")
    found = [timed(path, own + AROUND + labels, time.thread_time) for path in paths.values()]
    for name in dict.fromkeys(name for name, _, _ in own + AROUND + labels):
        print(f"| {name} | " + " | ".join(f"{1000 * x[name] / frames:.1f}" for x in found) + " |")


def timed(run: Callable[[], object], parts: list[Part], clock: Callable[[], float]) -> Counter[str]:
    """Seconds that ``run`` spends in each of ``parts``, which do not call each other."""
    spent: Counter[str] = Counter()
    with ExitStack() as stack:
        for name, place, attribute in parts:
            stack.enter_context(
                patch.object(place, attribute, noted(name, place, attribute, clock, spent))
            )
        run()
    return spent


def noted(
    name: str, place: Any, attribute: str, clock: Callable[[], float], spent: Counter[str]
) -> Any:
    """A function that adds its time to ``spent``."""
    function = getattr(place, attribute)

    def call(*args: Any, **kwargs: Any) -> Any:
        start = clock()
        try:
            return function(*args, **kwargs)
        finally:
            spent[name] += clock() - start

    return call


def make_clip(folder: Path, objects: int, frames: int) -> None:
    """``clip.mp4`` and ``first.png``: the demo clip to and fro, with the first of its objects."""
    images = [
        enlarged(read_image(path)) for path in list_images(next(asset("demo/JPEGImages").iterdir()))
    ]
    way = [*range(len(images)), *range(len(images) - 2, 0, -1)]
    with VideoWriter(folder / "clip.mp4", SIZE, 25) as out:
        for number in range(frames):
            out.write(images[way[number % len(way)]])
    given = masks.read_id_map(min(next(asset("demo/Annotations").iterdir()).iterdir()))
    given = enlarged(np.where(given <= objects, given, 0).astype(np.uint8), cv2.INTER_NEAREST)
    masks.write_id_map(folder / "first.png", given)


def enlarged(image: Any, mode: int = cv2.INTER_CUBIC) -> Any:
    """``image`` at :data:`SIZE`."""
    return cv2.resize(image, SIZE[::-1], interpolation=mode)


def in_memory(model: VideoSegmenter, folder: Path) -> None:
    """Masks of frames in a list, which are thrown away."""
    first = masks.split_objects(masks.read_id_map(folder / "first.png"))
    for _ in propagate(model, list(open_frames(folder / "clip.mp4")), {0: first}):
        pass


def to_files(model: VideoSegmenter, folder: Path) -> None:
    """What ``hs2s propagate`` does."""
    shutil.rmtree(folder / "out", ignore_errors=True)
    words = ["propagate", "clip.mp4", "first.png", "out"]
    with patch.object(command, "load", lambda _: model), redirect_stdout(io.StringIO()):
        assert cli.main([words[0], *(str(folder / word) for word in words[1:]), "--quiet"]) == 0


def to_database(model: VideoSegmenter, folder: Path) -> None:
    """What the operator does."""
    import fiftyone as fo

    from hs2s_fiftyone.propagation import propagate as propagate_dataset

    dataset = fo.Dataset()
    sample = fo.Sample(str(folder / "clip.mp4"))
    given = masks.split_objects(masks.read_id_map(folder / "first.png"))
    sample.frames[1] = fo.Frame(
        drawn=fo.Detections(
            detections=[
                fo.Detection(label="object", bounding_box=[0, 0, 1, 1], mask=mask, index=index)
                for index, mask in given.items()
            ]
        )
    )
    dataset.add_sample(sample)
    summary = propagate_dataset(dataset, "drawn", model=model, progress=False)
    assert not summary.failed, summary
    dataset.delete()


if __name__ == "__main__":
    main()
