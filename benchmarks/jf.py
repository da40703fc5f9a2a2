"""Cost of J and F: our counts against the plain full-frame definition, and the share of decoding.

    python benchmarks/jf.py [--repeat 5] [--annotations FOLDER]

Everything is measured in one process on one core in processor time, the two sides in turn, so the
ratios hold on a noisy machine where the times do not. Needs a clone: the
plain definition and the 480p sequences are those of the tests.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import median
from typing import TypeVar

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "evaluation")]

from jf_reference import plain_counts  # noqa: E402

from hs2s_core.evaluation import (  # noqa: E402
    FrameCounts,
    FramePair,
    count_objects,
    evaluate_sequence,
)
from hs2s_core.media.masks import object_ids, read_id_map, write_id_map  # noqa: E402

SIZE = (480, 854)
SEQUENCES = ("m00_all", "m03_vanish_return")
BOX_SHARES = (0.02, 0.1, 0.3, 0.9)
Pair = tuple[np.ndarray, np.ndarray]
Result = TypeVar("Result")


def main() -> None:
    """Print both comparisons."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeat", type=int, default=5, help="rounds")
    parser.add_argument("--annotations", type=Path, help="folder of videos with id maps, if any")
    arguments = parser.parse_args()
    repeat = arguments.repeat
    cv2.setNumThreads(1)
    sequences = {name: read_sequence(ROOT / "tests" / "data" / "jf", name) for name in SEQUENCES}
    print(f"{SIZE[0]} x {SIZE[1]}, one core, processor time, {repeat} rounds")
    compare_metric(
        "parity sequences, 3 objects", [p for s in sequences.values() for p in s], repeat
    )
    if arguments.annotations:
        compare_metric("annotations", read_annotations(arguments.annotations), repeat)
    for share in BOX_SHARES:
        compare_metric(f"one object, box {share:.0%} of the frame", blobs(share, 6), repeat)
    compare_decoding(list(sequences.values()), repeat)


def compare_metric(title: str, pairs: list[Pair], repeat: int) -> None:
    """Time both metrics on the same frames, check that they agree, print frames per second."""
    seconds = np.zeros((2, repeat, len(pairs)))
    for turn in range(repeat):
        # All frames by one, then all by the other: each finds the caches as it leaves them.
        results = []
        for side, count in enumerate((count_objects, plain_objects)):
            timings = [timed(lambda pair=pair, count=count: count(*pair)) for pair in pairs]
            seconds[side, turn] = [taken for taken, _ in timings]
            results.append([found for _, found in timings])
        if results[0] != results[1]:
            raise AssertionError("the fast counts differ from the plain ones")
    # The fastest turn of a frame is the one least disturbed by other work on the machine.
    fast, slow = seconds.min(axis=1).sum(axis=1)
    frames = len(pairs)
    print(
        f"{title}: {frames / fast:.0f} frames/s against {frames / slow:.0f} plain, "
        f"{slow / fast:.1f} times"
    )


def compare_decoding(sequences: list[list[Pair]], repeat: int) -> None:
    """Time decoding of both PNGs against everything else that ``hs2s evaluate`` does."""
    with tempfile.TemporaryDirectory() as folder:
        files = write_files(Path(folder), [pair for pairs in sequences for pair in pairs])
        shares, milliseconds = [], []
        for _ in range(repeat):
            decoding, maps = timed(lambda: [(read_id_map(a), read_id_map(b)) for a, b in files])
            frames = [FramePair(a, b, index) for index, (a, b) in enumerate(maps)]
            rest, _ = timed(lambda frames=frames: evaluate_sequence("all", frames))
            shares.append(decoding / (decoding + rest))
            milliseconds.append(1000 * decoding / len(files))
    print(
        f"evaluate, 3 objects: decoding two PNGs takes {median(milliseconds):.1f} ms a frame, "
        f"{median(shares):.0%} of the time"
    )


def plain_objects(prediction: np.ndarray, truth: np.ndarray) -> dict[int, FrameCounts]:
    """Apply the definition to every object, over the full frame."""
    ids = sorted({*object_ids(prediction), *object_ids(truth)})
    return {key: plain_counts(prediction == key, truth == key) for key in ids}


def read_sequence(data: Path, name: str) -> list[Pair]:
    """Read predictions and truth of every third frame."""
    files = sorted((data / "truth" / name).glob("*.png"))[::3]
    return [
        (read_id_map(data / "predictions" / name / file.name), read_id_map(file)) for file in files
    ]


def read_annotations(folder: Path, frames: int = 4) -> list[Pair]:
    """Read some frames of each video of a folder, enlarged; an earlier frame is the prediction."""
    pairs = []
    for video in sorted(path for path in folder.iterdir() if path.is_dir()):
        files = sorted(video.glob("*.png"))
        for place in np.linspace(1, len(files) - 1, frames).astype(int):
            ids = [read_id_map(files[index]) for index in (place - 1, place)]
            size = (SIZE[1], SIZE[0])
            first, second = (cv2.resize(i, size, interpolation=cv2.INTER_NEAREST) for i in ids)
            pairs.append((first, second))
    areas = sorted(share for _, truth in pairs for share in box_shares(truth))
    print(
        f"boxes of the annotated objects: {areas[0]:.1%} to {areas[-1]:.0%} of the frame, "
        f"median {median(areas):.0%}; {len(areas) / len(pairs):.1f} objects a frame"
    )
    return pairs


def box_shares(ids: np.ndarray) -> list[float]:
    """Return what share of the frame each object's box covers."""
    boxes = [cv2.boundingRect((ids == key).astype(np.uint8)) for key in object_ids(ids)]
    return [box[2] * box[3] / ids.size for box in boxes]


def blobs(share: float, count: int) -> list[Pair]:
    """Draw wobbly ellipses whose box covers ``share`` of the frame, and shifted predictions."""
    rng = np.random.default_rng(0)
    height, width = (round(side * share**0.5) for side in SIZE)
    angles = np.linspace(0, 2 * np.pi, 200, endpoint=False)
    pairs = []
    for _ in range(count):
        wobble = 0.9 + 0.1 * np.sin(rng.integers(3, 12) * angles + rng.random())
        shape = np.stack([width * np.cos(angles), height * np.sin(angles)], axis=1) / 2
        points = shape * wobble[:, None] + np.array(SIZE[::-1]) / 2
        maps = []
        for shift in (rng.normal(0, 4, 2), np.zeros(2)):
            drawn = np.zeros(SIZE, np.uint8)
            cv2.fillPoly(drawn, [np.round(points + shift).astype(np.int32)], 1)
            maps.append(drawn)
        pairs.append((maps[0], maps[1]))
    return pairs


def write_files(folder: Path, pairs: Iterable[Pair]) -> list[tuple[Path, Path]]:
    """Write the maps as PNGs; they are then decoded from the page cache."""
    files = []
    for index, pair in enumerate(pairs):
        paths = (folder / f"{index}p.png", folder / f"{index}t.png")
        for path, id_map in zip(paths, pair, strict=True):
            write_id_map(path, id_map)
        files.append(paths)
    return files


def timed(function: Callable[[], Result]) -> tuple[float, Result]:
    """Return seconds and the result."""
    start = time.process_time()
    result = function()
    return time.process_time() - start, result


if __name__ == "__main__":
    main()
