"""Peak memory of propagating a short and a long video: it must not grow with the length.

    python benchmarks/memory.py [--frames 100 2000] [--preset hs2s-lite]

Each length runs in a process of its own, over a video file made of the demo clip played
back and forth, one object, and reports the process's peak resident memory.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
from itertools import cycle, islice
from pathlib import Path

import cv2

from hs2s_core.media import open_frames
from hs2s_core.media.masks import read_id_map, split_objects
from hs2s_core.propagation import propagate
from hs2s_core.weights import load_model

DEMO = Path(__file__).resolve().parents[1] / "assets" / "demo"


def main() -> None:
    """Measure each length in a fresh process and print the ratio of longest to shortest."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--frames", type=int, nargs="+", default=[100, 2000])
    parser.add_argument("--weights")
    parser.add_argument("--video", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.video:
        print(_measure(arguments.video, arguments.weights))
        return
    peaks = {}
    with tempfile.TemporaryDirectory() as folder:
        for count in arguments.frames:
            video = Path(folder) / f"{count}.mp4"
            _make_video(video, count)
            command = [sys.executable, __file__, "--video", str(video)]
            command += ["--weights", arguments.weights] if arguments.weights else []
            output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            peaks[count] = int(output.split()[-1])
            print(f"{count:6} frames: peak {peaks[count] / 1024:8.1f} MiB", flush=True)
    print(f"longest / shortest: {peaks[max(peaks)] / peaks[min(peaks)]:.3f}")


def _demo() -> tuple[Path, Path]:
    images = next(path for path in (DEMO / "JPEGImages").iterdir() if path.is_dir())
    return images, DEMO / "Annotations" / images.name


def _make_video(path: Path, count: int) -> None:
    frames = list(open_frames(_demo()[0]))
    height, width = frames[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 24, (width, height))
    for frame in islice(cycle(frames + frames[-2:0:-1]), count):
        writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
    writer.release()


def _measure(video: Path, weights: str | None) -> int:
    """Peak resident memory, KiB, of this process after propagating ``video``."""
    annotation = min((path for path in _demo()[1].glob("*.png")), key=lambda path: path.stem)
    prompts = split_objects(read_id_map(annotation))
    first = min(prompts)
    results = propagate(load_model(weights), open_frames(video), {0: {first: prompts[first]}})
    seen = sum(1 for _ in results)
    print(f"{seen} frames", file=sys.stderr)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    main()
