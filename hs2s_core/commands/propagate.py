"""``hs2s propagate``: a video and masks of its objects in, a mask for every frame out."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from hs2s_core.errors import HS2SError

if TYPE_CHECKING:
    from hs2s_core.media.source import FrameSource
    from hs2s_core.prompts import Prompts
    from hs2s_core.propagation.propagator import FrameResult

_FPS = 24.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``hs2s propagate``."""
    parser.add_argument("source", type=Path, metavar="SOURCE", help="a video or a folder of frames")
    parser.add_argument(
        "masks",
        type=Path,
        metavar="MASKS",
        help="a PNG of object ids (or black and white) for the first frame; or a folder of them, "
        "named as the frames (of a video: by number from 0); every mask counts",
    )
    parser.add_argument("out", type=Path, metavar="OUT", help="folder for one palettised PNG each")
    parser.add_argument(
        "--frame",
        type=int,
        metavar="N",
        help="the frame, from 0, that a single PNG belongs to (default: the one it is named "
        "after, else 0)",
    )
    parser.add_argument(
        "--weights",
        metavar="FILE",
        help="a .safetensors file or the name of shipped weights (default: hs2s-lite)",
    )
    parser.add_argument("--device", default="auto", help="auto (default), cpu, cuda, cuda:N or mps")
    parser.add_argument(
        "--overlay", type=Path, metavar="FILE.mp4", help="also write the masks over the video"
    )
    parser.add_argument(
        "--fps", type=float, help=f"speed of the overlay (default: the video's, else {_FPS:g})"
    )
    parser.add_argument(
        "--online-steps",
        type=int,
        default=0,
        metavar="N",
        help="first train the network for N steps on the first masks (slow; default: 0)",
    )
    parser.add_argument(
        "--chunk",
        type=int,
        default=16,
        metavar="N",
        help="frames that a bidirectional network (Bi-HS2S) reads ahead at once: more help it and "
        "take memory; other networks read none ahead (default: 16)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace files of an earlier run")


def run(args: argparse.Namespace) -> int:
    """Propagate, frame by frame; everything that can be wrong is found before the first."""
    from hs2s_core.media.frames import open_frames
    from hs2s_core.prompts import Prompts

    if args.chunk < 1:
        raise HS2SError(f"--chunk is {args.chunk}; expected at least 1 frame")
    frames = open_frames(args.source)
    _check_places(args)
    prompts = Prompts.from_files(args.masks, frames, frame=args.frame)
    started = time.perf_counter()
    count = _write(args, frames, prompts)
    ids = prompts.object_ids
    seconds = time.perf_counter() - started
    print(
        f"{len(ids)} object{'s' * (len(ids) != 1)} through {count} frames in {seconds:.1f} s "
        f"({count / seconds:.1f} frames per second) -> {args.out}"
    )
    if args.overlay is not None:
        print(f"overlay -> {args.overlay}")
    return 0


def _check_places(args: argparse.Namespace) -> None:
    """Nothing that was given may be overwritten, nor anything else without a word."""
    out = args.out.resolve()
    if out in (args.masks.resolve(), args.source.resolve(), args.masks.resolve().parent):
        raise HS2SError(f"{args.out}: holds what was given; expected another folder to write to.")
    if args.out.exists() and not args.out.is_dir():
        raise HS2SError(f"{args.out}: is a file; expected a folder to write masks to.")
    present = next(args.out.glob("*.png"), None) if args.out.is_dir() else None
    if present is not None and not args.overwrite:
        raise HS2SError(
            f"{args.out}: holds masks already, such as {present.name}; give another folder, or "
            "--overwrite to replace them."
        )
    if args.overlay is None:
        return
    from hs2s_core.media.encode import find_ffmpeg

    find_ffmpeg()
    if args.overlay.suffix.lower() != ".mp4":
        raise HS2SError(f"{args.overlay}: cannot write this format; expected a name in .mp4.")
    if args.overlay.resolve() == args.source.resolve():
        raise HS2SError(f"{args.overlay}: is the source itself; expected another file to write.")
    if args.overlay.exists() and not args.overwrite:
        raise HS2SError(
            f"{args.overlay}: exists already; give another name, or --overwrite to replace it."
        )


def _write(args: argparse.Namespace, frames: FrameSource, prompts: Prompts) -> int:
    """Write every frame's mask; returns how many frames there were."""
    from hs2s_core.media.encode import VideoWriter
    from hs2s_core.media.masks import write_id_map
    from hs2s_core.media.overlay import draw_masks

    count = 0
    with ExitStack() as stack:
        video = None
        if args.overlay is not None:
            fps = args.fps or frames.fps or _FPS
            video = stack.enter_context(VideoWriter(args.overlay, frames.size, fps))
        for result in _results(args, frames, prompts):
            name = frames.names[result.index] if frames.names is not None else f"{result.index:05d}"
            write_id_map(args.out / f"{name}.png", result.id_map)
            if video is not None:
                video.write(draw_masks(frames.at(result.index), result.id_map))
            count = result.index + 1
            _show_progress(count, len(frames))
    return count


def _results(
    args: argparse.Namespace, frames: FrameSource, prompts: Prompts
) -> Iterator[FrameResult]:
    from hs2s_core.propagation import propagate
    from hs2s_core.weights import load_model

    model = load_model(args.weights, device=args.device)
    if args.online_steps:
        from hs2s_core.training.online import adapt

        first = min(prompts)
        print(f"adapting to the masks of frame {first}: {args.online_steps} steps", file=sys.stderr)
        model = adapt(model, frames.at(first), prompts[first], args.online_steps)
    return propagate(model, frames, prompts, chunk=args.chunk)


def _show_progress(done: int, total: int) -> None:
    """One line that stays in place, only where somebody watches."""
    if sys.stderr.isatty():
        end = "\n" if done >= total else ""
        print(f"\rframe {done} of {total}", end=end, file=sys.stderr, flush=True)
