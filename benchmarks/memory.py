"""Memory of propagating short and long videos: it must not grow with the length.

    python benchmarks/memory.py [--frames 100 10000] [--directions forward both]
        [--input 96x160] [--plot FILE]

Each length and direction runs in a process of its own, over a video file made of the demo clip
played back and forth, one object, given in the first frame and, both ways, also in the last that
shows it. The process's resident memory is read a hundred times on the way, its peak by the system;
``--plot`` draws the curves. ``--input`` lets the network work at another size: what memory depends
on besides is the same, and ten thousand frames take minutes.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path

import cv2
import psutil

from hs2s_core.media import open_frames
from hs2s_core.media.masks import BoolMask, read_id_map
from hs2s_core.propagation import propagate
from hs2s_core.weights import load_model

DEMO = Path(__file__).resolve().parents[1] / "assets" / "demo"
POINTS = 100
MIB = 2**20
Curve = tuple[str, int, list[tuple[float, float]]]
"""Direction, frames, and pairs of the share that is done and MiB."""


def main() -> None:
    """Measure each length in a fresh process and print the ratio of longest to shortest."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--frames", type=int, nargs="+", default=[100, 10000])
    parser.add_argument("--directions", nargs="+", default=["forward", "both"])
    parser.add_argument("--weights")
    parser.add_argument("--input", metavar="HxW", help="size the network works at")
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--video", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.video:
        print(json.dumps(_measure(arguments)))
        return
    curves: list[Curve] = []
    with tempfile.TemporaryDirectory() as folder:
        for direction in arguments.directions:
            peaks = []
            for count in sorted(arguments.frames):
                video = Path(folder) / f"{count}.mp4"
                _make_video(video, count)
                command = [sys.executable, __file__, "--video", str(video)]
                command += ["--directions", direction]
                for option in ("weights", "input"):
                    given = getattr(arguments, option)
                    command += [f"--{option}", given] if given else []
                output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
                peak, curve = json.loads(output)
                peaks.append(peak)
                curves.append((direction, count, curve))
                print(f"{direction:8} {count:6} frames: peak {peak:7.1f} MiB", flush=True)
            print(f"{direction:8} longest / shortest: {peaks[-1] / peaks[0]:.3f}", flush=True)
    if arguments.plot:
        _draw(curves, arguments.plot)


def _images() -> Path:
    return next(path for path in (DEMO / "JPEGImages").iterdir() if path.is_dir())


def _make_video(path: Path, count: int) -> None:
    frames = list(open_frames(_images()))
    height, width = frames[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 24, (width, height))
    for frame in islice(cycle(frames + frames[-2:0:-1]), count):
        writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
    writer.release()


def _mask(index: int) -> BoolMask:
    """The true mask of object 1 in a frame of the video that is made."""
    files = sorted((DEMO / "Annotations" / _images().name).glob("*.png"))
    return read_id_map([*files, *files[-2:0:-1]][index % (2 * len(files) - 2)]) == 1


def _measure(arguments: argparse.Namespace) -> tuple[float, list[tuple[float, float]]]:
    """Peak resident memory, MiB, of this process while it propagates a video; and the curve."""
    frames, this, (direction,) = (
        open_frames(arguments.video),
        psutil.Process(),
        arguments.directions,
    )
    keys = [0]
    if direction == "both":
        keys.append(next(at for at in reversed(range(len(frames))) if _mask(at).any()))
    curve: list[tuple[float, float]] = []

    def watch(done: int, total: int | None) -> None:
        share = done / (total or done)
        if not curve or share >= curve[-1][0] + 1 / POINTS:
            curve.append((share, this.memory_info().rss / MIB))

    prompts = {key: {1: _mask(key)} for key in keys}
    model = load_model(arguments.weights, device="cpu")
    if arguments.input:
        height, width = map(int, arguments.input.split("x"))
        model.config = replace(model.config, input_size=(height, width))
    for _ in propagate(model, frames, prompts, direction=direction, progress=watch):
        pass
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, curve


def _draw(curves: list[Curve], out: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.5), layout="constrained")
    axes = figure.subplots()
    for direction, count, curve in curves:
        shares, sizes = zip(*curve, strict=True)
        axes.plot([100 * share for share in shares], sizes, label=f"{direction}, {count:,} frames")
    highest = max(size for _, _, curve in curves for _, size in curve)
    axes.set(xlabel="per cent of the run", ylabel="resident memory (MiB)", ylim=(0, 1.2 * highest))
    axes.legend(fontsize="small", ncols=2)
    axes.grid(alpha=0.3)
    figure.savefig(out, dpi=90, bbox_inches="tight")


if __name__ == "__main__":
    main()
