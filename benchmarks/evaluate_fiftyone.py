"""Memory and time of evaluating a large FiftyOne dataset: they must not grow with its size.

    python benchmarks/evaluate_fiftyone.py [--videos 20 200] [--frames 100] [--objects 2]

Datasets of moving blobs at 480x854, with shifted copies as predictions, are made in a database of
their own; each is evaluated in a process of its own, which reports its time and its memory before
and at most. Needs a clone: the private database is that of the tests.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
SIZE = (480, 854)


def main() -> None:
    """Measure datasets of every size and print the ratio of largest to smallest."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--videos", type=int, nargs="+", default=[20, 200])
    parser.add_argument("--frames", type=int, default=100)
    parser.add_argument("--objects", type=int, default=2)
    parser.add_argument("--dataset", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.dataset:
        print(json.dumps(measure(arguments.dataset)))
        return
    # A private database, set up before FiftyOne is first imported.
    importlib.import_module("tests.conftest")
    found = {}
    for videos in arguments.videos:
        name = make_dataset(videos, arguments.frames, arguments.objects)
        command = [sys.executable, __file__, "--dataset", name]
        said = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=os.environ)
        found[videos] = json.loads(said.stdout.decode().splitlines()[-1])
        report(videos, arguments.frames, arguments.objects, found[videos])
    few, many = min(found), max(found)
    if few != many:
        grown = found[many]["peak"] - found[few]["peak"]
        print(f"{many} instead of {few} videos: {grown:+.0f} MB")


def make_dataset(videos: int, frames: int, objects: int) -> str:
    """A dataset of one made video and, copied within the database, the others."""
    import fiftyone as fo
    from bson import ObjectId

    from hs2s_fiftyone.labels.conversion import TrackedObject, to_detections

    dataset = fo.Dataset(f"large-{videos}", persistent=True)
    known = {key: TrackedObject(key, key, "blob", fo.Instance()) for key in range(1, objects + 1)}
    sample = fo.Sample(
        filepath="/videos/0000.mp4",
        metadata=fo.VideoMetadata(frame_height=SIZE[0], frame_width=SIZE[1]),
    )
    for index in range(frames):
        truth = blobs(index, objects)
        shifted = np.roll(truth, 3, axis=1)
        sample.frames[index + 1] = fo.Frame(
            truth=to_detections(truth, known), pred=to_detections(shifted, known)
        )
    dataset.add_sample(sample)
    video = dataset._sample_collection.find_one()
    documents = list(dataset._frame_collection.find())
    for number in range(1, videos):
        video |= {"_id": ObjectId(), "filepath": f"/videos/{number:04d}.mp4"}
        dataset._sample_collection.insert_one(video)
        for document in documents:
            document |= {"_id": ObjectId(), "_sample_id": video["_id"]}
            for field in ("truth", "pred"):
                for label in document[field]["detections"]:
                    label["_id"] = ObjectId()
        dataset._frame_collection.insert_many(documents)
    return str(dataset.name)


def blobs(index: int, objects: int) -> np.ndarray:
    """An id map (H, W) of ellipses with wavy edges that move and change."""
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    id_map = np.zeros(SIZE, np.uint8)
    for key in range(1, objects + 1):
        y, x = 120 + 110 * key - index, 100 + 200 * key + 2 * index
        angle = np.arctan2(rows - y, columns - x)
        radius = 60 + 12 * key + 8 * np.sin(7 * angle + index / 5)
        id_map[np.hypot(rows - y, columns - x) < radius] = key
    return id_map


def measure(name: str) -> dict[str, float]:
    """Evaluate a stored dataset; seconds, and peak megabytes before and after."""
    import fiftyone as fo

    from hs2s_fiftyone.evaluation import evaluate, load_results

    dataset = fo.load_dataset(name)
    dataset.first()
    before = resident()
    # Taken after each video, because the import of FiftyOne has the higher peak.
    seen = [before]
    started, worked = time.perf_counter(), time.process_time()
    results = evaluate(
        dataset, "pred", "truth", "scores", progress=lambda step: seen.append(resident())
    )
    seconds, cpu = time.perf_counter() - started, time.process_time() - worked
    stored = len(results.serialize()["columns"])
    dataset.clear_cache()
    started = time.perf_counter()
    load_results(dataset, "scores")
    loading = time.perf_counter() - started
    return {
        "seconds": seconds,
        "cpu": cpu,
        "before": before,
        "peak": max(*seen, resident()),
        "rows": len(results.rows),
        "stored": stored / 2**20,
        "loading": loading,
        "jf": results.metrics()["jf"],
    }


def resident() -> float:
    """Resident memory of this process, in megabytes."""
    return float(psutil.Process().memory_info().rss) / 2**20


def report(videos: int, frames: int, objects: int, found: dict[str, float]) -> None:
    """Print one line per dataset."""
    count = videos * frames
    print(
        f"{videos} videos x {frames} frames x {objects} objects: {found['seconds']:.0f} s "
        f"({1000 * found['seconds'] / count:.1f} ms a frame, {1000 * found['cpu'] / count:.1f} ms "
        f"of processor time), memory {found['before']:.0f} -> {found['peak']:.0f} MB; "
        f"{found['rows']:.0f} rows stored in {found['stored']:.1f} MB, "
        f"loaded in {found['loading']:.2f} s; J&F {100 * found['jf']:.1f}",
        flush=True,
    )


if __name__ == "__main__":
    main()
